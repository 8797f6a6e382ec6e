# SPDX-License-Identifier: MIT
"""gdb commands that show tarn's state; they read memory only and never call into the machine."""
import gdb

VPF = ((1, "down"), (2, "blocked"), (4, "paused"))
RUNSTATE = ("running", "runnable", "blocked", "offline")


def symbol(name):
    return gdb.parse_and_eval(name)


def list_entries(head, type_name, member):
    """The structures on an intrusive list, of which `member` is the link."""
    struct = gdb.lookup_type(type_name)
    offset = next(f.bitpos // 8 for f in struct.fields() if f.name == member)
    node, end = head["next"], int(head.address)
    for _ in range(4096):
        if int(node) in (end, 0):
            return
        yield gdb.Value(int(node) - offset).cast(struct.pointer()).dereference()
        node = node["next"]


def domains():
    return list_entries(symbol("domain_list"), "struct domain", "link")


def vcpus(domain):
    for i in range(int(domain["max_vcpus"])):
        vcpu = domain["vcpu"][i]
        if int(vcpu):
            yield vcpu.dereference()


def cpus():
    for i in range(int(symbol("nr_pcpus"))):
        pcpu = symbol("pcpus")[i]
        if int(pcpu):
            yield pcpu.dereference()


def mask_cpus(mask):
    """CPU numbers of a struct cpumask, as 0-3,5"""
    words = mask[mask.type.fields()[0].name]
    low, high = words.type.range()
    width = words.type.target().sizeof * 8
    on = [w * width + b for w in range(low, high + 1) for b in range(width) if int(words[w]) >> b & 1]
    runs = []
    for cpu in on:
        if runs and runs[-1][1] == cpu - 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def vcpu_name(vcpu):
    """d1v0; idle vcpus belong to no domain, or to one that stands for idle"""
    if int(vcpu.address) == 0:
        return "-"
    if int(vcpu["domain"]) == 0 or int(vcpu["domain"]["domid"]) >= 0x7FF0:
        return f"idle{int(vcpu['id'])}"
    return f"d{int(vcpu['domain']['domid'])}v{int(vcpu['id'])}"


def flags(vcpu):
    value = int(vcpu["pause_flags"])
    return "+".join(name for bit, name in VPF if value & bit) or "runnable"


class TarnCommand(gdb.Command):
    """Base: the docstring of each subclass is its help."""

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_DATA)

    def invoke(self, argument, _from_tty):
        try:
            self.show(argument.strip())
        except gdb.MemoryError as error:
            print(f"{error}: is the hypervisor up and this CPU in 64-bit mode?")


class Domains(TarnCommand):
    """tarn-domains: all domains."""

    name = "tarn-domains"

    def show(self, _argument):
        print("domid name             vcpus  pages pool             weight cap state")
        for d in domains():
            state = "running"
            if d["is_shut_down"]:
                state = f"shut down, code {int(d['shutdown_code'])}"
            pool = d["pool"]["name"].string() if int(d["pool"]) else "-"
            print(f"{int(d['domid']):5} {d['name'].string():16} {int(d['max_vcpus']):5} {int(d['tot_pages']):6} "
                  f"{pool:16} {int(d['sched']['weight']):6} {int(d['sched']['cap']):3} {state}")


class Vcpus(TarnCommand):
    """tarn-vcpus [DOMID]: the vcpus of all domains or of one."""

    name = "tarn-vcpus"

    def show(self, argument):
        print("vcpu     cpu runs state            runstate upcall mask selector         hard affinity")
        for d in domains():
            if argument and int(d["domid"]) != int(argument, 0):
                continue
            for v in vcpus(d):
                unit, info = v["unit"], v["info"]
                upcall = "-    -    -"
                if int(info):
                    upcall = (f"{int(info['evtchn_upcall_pending']):<6} {int(info['evtchn_upcall_mask']):<4} "
                              f"{int(info['evtchn_pending_sel']):016x}")
                print(f"{vcpu_name(v):8} {int(unit['cpu']):3} {'yes ' if unit['running'] else 'no  '} {flags(v):16} "
                      f"{RUNSTATE[int(v['runstate']['state']) & 3]:8} {upcall} {mask_cpus(unit['hard'])}")


class Cpus(TarnCommand):
    """tarn-cpus: the pcpus and what they run."""

    name = "tarn-cpus"

    def show(self, _argument):
        print("cpu apic online current  softirq  irqs       cr3              pcpu")
        for p in cpus():
            current = vcpu_name(p["curr"].dereference()) if int(p["curr"]) else "-"
            print(f"{int(p['id']):3} {int(p['apic_id']):4} {'yes   ' if p['online'] else 'no    '} {current:8} "
                  f"{int(p['softirq_pending']):08x} {int(p['nr_irqs']):<10} {int(p['loaded_cr3']):016x} "
                  f"{int(p.address):#x}")


class Runqueues(TarnCommand):
    """tarn-runqueues: by pool and CPU, who runs and who waits (the policy's own order is not shown)."""

    name = "tarn-runqueues"

    def show(self, _argument):
        pools = {}
        for d in domains():
            if int(d["pool"]):
                pools.setdefault(int(d["pool"]), d["pool"].dereference())
        pool0 = symbol("pool0")
        pools.setdefault(int(pool0.address), pool0)
        for address, pool in pools.items():
            ops = pool["ops"]["name"].string() if int(pool["ops"]) else "no policy yet"
            print(f"{pool['name'].string()}: {ops}, cpus {mask_cpus(pool['cpus'])}, idle {mask_cpus(pool['idlers']) or '-'}")
            units = [v for d in domains() if int(d["pool"]) == address for v in vcpus(d)]
            for p in cpus():
                here = [v for v in units if int(v["unit"]["cpu"]) == int(p["id"]) and v["unit"]["runnable"]]
                runs = [vcpu_name(v) for v in here if v["unit"]["running"]]
                waits = [vcpu_name(v) for v in here if not v["unit"]["running"]]
                print(f"  cpu {int(p['id']):3}: runs {' '.join(runs) or 'idle':8} waits {' '.join(waits) or '-'}")


# The hypervisor's address space, as arch/x86/include/x86/layout.h has it
AREAS = (
    (0xFFFF880000000000, "the guest's"),
    (0xFFFF830000000000, "direct map"),
    (0xFFFF82D000000000, "image"),
    (0xFFFF82C000000000, "stack area of a pcpu"),
    (0xFFFF828000000000, "device window"),
    (0xFFFF820000000000, "descriptor window of a vcpu"),
    (0xFFFF808000000000, "the hypervisor's, unused"),
    (0xFFFF800000000000, "M2P, as guests see it"),
    (0, "the guest's"),
)
PCPU_AREA, PCPU_PAGES = 0x10000, {1: "#DF stack", 3: "NMI stack", 5: "#MC stack", 7: "#DB stack", 14: "stack", 15: "stack"}
FRAME_TYPES = ("none", "writable", "L1", "L2", "L3", "L4", "descriptors", "?")


class Where(TarnCommand):
    """tarn-where ADDRESS: whose address that is, and what lies there."""

    name = "tarn-where"

    def show(self, argument):
        address = int(gdb.parse_and_eval(argument)) & (1 << 64) - 1
        start, what = next((s, w) for s, w in AREAS if address >= s)
        print(f"{address:#x}: PML4 slot {address >> 39 & 511}, {what}")
        if what == "image":
            gdb.execute(f"info symbol {address:#x}")
        elif what == "direct map":
            print(f"machine address {address - start:#x}, mfn {address - start >> 12:#x}: see tarn-frame")
        elif what.startswith("stack"):
            cpu, offset = divmod(address - start, PCPU_AREA)
            print(f"cpu {cpu}, page {offset >> 12}: {PCPU_PAGES.get(offset >> 12, 'guard, not mapped')}")


class Frame(TarnCommand):
    """tarn-frame MFN: owner, references and type of a machine frame."""

    name = "tarn-frame"

    def show(self, argument):
        mfn = int(gdb.parse_and_eval(argument))
        if mfn >= int(symbol("nr_frames")):
            print(f"mfn {mfn:#x} is beyond the frame table")
            return
        f, pfn = symbol("frame_table")[mfn], int(symbol("m2p")[mfn])
        ref, kind = int(f["ref"]), int(f["type"])
        if ref == 0:
            print(f"mfn {mfn:#x}: free, or nobody's: no RAM, or what was there at boot")
            return
        words = [w for bit, w in ((1 << 31, "validated"), (1 << 27, "pinned")) if kind & bit]
        print(f"mfn {mfn:#x}: owner {int(f['node']['tag']):#x}, {ref & 0x7FFFFFFF} references"
              f"{' (one for its allocation)' if ref >> 31 else ''}, type {FRAME_TYPES[kind >> 28 & 7]} "
              f"used {kind & (1 << 27) - 1} times{''.join(', ' + w for w in words)}, "
              f"pfn {'none' if pfn == (1 << 64) - 1 else hex(pfn)}")


class Log(TarnCommand):
    """tarn-log: what the console printed last, serial line or not."""

    name = "tarn-log"

    def show(self, _argument):
        ring = symbol("console_ring")
        end, size = int(ring["end"]), int(ring["size"])
        data = bytes(gdb.selected_inferior().read_memory(int(ring["data"]), size))
        data = data[:end] if end <= size else data[end % size:] + data[:end % size]
        print(data.decode("ascii", "replace"))


for command in (Domains, Vcpus, Cpus, Runqueues, Where, Frame, Log):
    command()

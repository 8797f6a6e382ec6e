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
            state = "dying" if d["dying"] else "running"
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
            current = vcpu_name(p["current"].dereference()) if int(p["current"]) else "-"
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


class Where(TarnCommand):
    """tarn-where ADDRESS: whose address that is, guest, direct map or image."""

    name = "tarn-where"

    def show(self, argument):
        address = int(gdb.parse_and_eval(argument)) & (1 << 64) - 1
        slot = address >> 39 & 511
        if not 256 <= slot <= 271:
            print(f"{address:#x}: PML4 slot {slot}, the guest's")
            return
        print(f"{address:#x}: PML4 slot {slot}, the hypervisor's")
        gdb.execute(f"info symbol {address:#x}")


for command in (Domains, Vcpus, Cpus, Runqueues, Where):
    command()

# SPDX-License-Identifier: MIT
"""A machine on which schedulers are measured: domain 0 alone on CPU 0, all other CPUs free for pools.

Virtual time follows the instructions (-icount), so a run depends on the host's speed as little as on its
load. Shares come from the hypervisor's own books, which the control domain reads to the nanosecond
(`measure`), never from what a guest counts. All names in a lab go away by clear().

TARN_FULL=1 measures over a minute and demands a point; without it, over 10 s and two points.
"""
import os
import re

from host import Machine

FULL = os.environ.get("TARN_FULL", "0") not in ("", "0")
WINDOW = 60000 if FULL else 10000  # ms of virtual time
POINTS = 1 if FULL else 2
CPUS = 9
PATIENCE = 900 if FULL else 120  # s of the host's time without a word from the machine


class Shares(dict):
    """{domain: per cent of one CPU, all vcpus together}; of each vcpu in `vcpus`, of idling CPUs in `idle`."""

    def __init__(self, text):
        super().__init__()
        self.vcpus, self.where, self.idle, self.idled_ns, self.ran_ns = {}, {}, {}, {}, {}
        for name, vcpu, cpu, ran, of in re.findall(r"^vcpu (\S+) (\d+) cpu (\d+) ran (\d+) of (\d+)$", text, re.M):
            share = 100 * int(ran) / int(of)
            self.vcpus[name, int(vcpu)] = share
            self.where[name, int(vcpu)] = int(cpu)
            self.ran_ns[name, int(vcpu)] = int(ran)
            self[name] = self.get(name, 0) + share
        for cpu, idled, of in re.findall(r"^cpu (\d+) idled (\d+) of (\d+)$", text, re.M):
            self.idle[int(cpu)] = 100 * int(idled) / int(of)
            self.idled_ns[int(cpu)] = int(idled)

    def of(self, *names):
        return [self[n] for n in names]


class Lab(Machine):
    """pools=False: all CPUs stay in Pool-0.

    metronome: one more CPU, on which a domain sets a timer every so many us. The emulator goes from one CPU to the
    next only when that one halts, pauses or a timer is due, while time passes for all; so without it the control
    domain may have the others stand still for many milliseconds."""

    def __init__(self, shift=4, cpus=CPUS, up=(), pools=True, metronome=0, **kw):
        self.cpus, self.domains, self.pools = cpus, [], []
        super().__init__(smp=str(cpus + bool(metronome)), up=[f"--icount={shift}", *up], **kw)
        if metronome:
            self.xl("cpupool-cpu-remove", "Pool-0", str(cpus))
            self.pool("metronome", str(cpus))
            self.napper("metronome", "metronome", f"period={metronome} work=0 seconds=1000000")
            self.domains, self.pools = [], []
        if pools and cpus > 1:
            self.xl("cpupool-cpu-remove", "Pool-0", f"1-{cpus - 1}")

    def xl(self, *args, **kw):
        """A loaded host may keep a machine silent for long."""
        kw.setdefault("timeout", PATIENCE + 60)
        return self.run("--timeout", str(PATIENCE), "xl", *args, **kw)

    def pool(self, name, cpus, sched="credit"):
        self.xl("cpupool-create", f'name="{name}"', f'sched="{sched}"', f'cpus="{cpus}"')
        self.pools.append(name)
        return name

    def domain(self, file, name, pool, *words, vcpus=1, **keys):
        words = [f'name="{name}"', f'pool="{pool}"', f"vcpus={vcpus}", *words]
        words += [f'{k}="{v}"' if isinstance(v, str) else f"{k}={v}" for k, v in keys.items()]
        self.xl("create", file, *words)
        self.domains.append(name)
        return name

    def burner(self, name, pool, vcpus=1, args="", **keys):
        """vcpus that compute without end. keys: cpu_weight, cap, cpus, cpus_soft."""
        return self.domain("burn.cfg", name, pool, vcpus=vcpus, extra=f"seconds=1000000 vcpus={vcpus} {args}", **keys)

    def napper(self, name, pool, args="", **keys):
        return self.domain("nap.cfg", name, pool, extra=args, **keys)

    def measure(self, ms=WINDOW, *command, settle=1000):
        """command: words of one that is run half-way."""
        if settle:
            self.xl("measure", str(settle))
        return Shares(self.out("measure", str(ms), *command))

    def script(self, lines, name="lab.sh"):
        """Lines for the control domain's shell, which it runs without a word from the host in between."""
        self.run("put", self.file(name, "\n".join(lines) + "\n"))
        return self.xl("run", name)

    def console(self, name):
        return self.run("console", name).stdout

    def consoles(self, *names):
        """What all of them said; they stand still meanwhile, since that keeps the control domain busy."""
        self.xl("pause", *self.domains)
        said = [self.console(name) for name in names]
        self.xl("unpause", *self.domains)
        return said

    def told(self, *names):
        """How much each said so far; what is judged begins behind the report of that moment. The control domain was busy
        with these and other domains until now, and a loaded host may have drawn that out over seconds."""
        return {name: self.console(name).count("\n") for name in names}

    @staticmethod
    def in_time(judge, times=3):
        """Calls `judge`, which measures and asserts how late something was; if it fails, again, a few times.

        The emulator's timers belong to another thread than its CPUs. When the host takes the processor from that one
        while a timer is due, virtual time goes on without it, and something is late by a millisecond that never was
        on a machine. What tarn does too late is too late each time."""
        for left in reversed(range(times)):
            try:
                return judge()
            except AssertionError as late:
                if not left:
                    raise
                print("measured again:", str(late).split("\n", maxsplit=1)[0])

    @staticmethod
    def reports(pattern, text, told):
        return re.findall(pattern, "\n".join(text.split("\n")[told:]))[1:]

    def latencies(self, told, what="wakes"):
        """{name: (count, p50, p99, max)} in us over what nappers reported since they had told so much: sums, and the
        worst."""
        found = {}
        for name, text in zip(told, self.consoles(*told)):
            said = self.reports(rf"nap: {what} (\d+), p50 (\d+) us, p99 (\d+) us, max (\d+) us", text, told[name])
            assert said, text
            rows = [tuple(map(int, row)) for row in said]
            found[name] = (sum(r[0] for r in rows), *(max(r[i] for r in rows) for i in (1, 2, 3)))
        return found

    def destroy(self, name):
        self.xl("destroy", name)
        self.domains.remove(name)

    def clear(self):
        for name in self.domains:
            self.xl("destroy", name, status=None)
        for name in self.pools:
            self.xl("cpupool-destroy", name)
        self.domains, self.pools = [], []
        assert self.info("free_cpus") == str(self.cpus - 1)


def close(got, want, points=POINTS):
    """Within so many points each; says all of them if not."""
    assert all(abs(g - w) <= points for g, w in zip(got, want, strict=True)), \
        f"{[round(g, 2) for g in got]} is not {want} within {points}"

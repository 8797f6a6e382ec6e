# SPDX-License-Identifier: MIT
"""Scheduling domains: what a master and its members get together, and each of them; and what happens when one comes,
goes, sleeps, crashes or moves."""
import random
import re

from lab import FULL, Shares, close

WINDOW = 60000 if FULL else 6000  # ms
POINT = 1 if FULL else 1.5  # in 6 s one turn more or less is half a point


def group(lab, master, *members, weight=None, cap=None):
    for member in members:
        words = ["-w", str(weight)] if weight else []
        words += ["-c", str(cap)] if cap else []
        lab.xl("sched-group-add", master, member, *words)


def shown(got, *names):
    print({n: round(got[n], 2) for n in names})


def test_shared(lab):
    """One weight and one cap for all of them, equal parts inside, whatever the number of domains, vcpus and CPUs; and if
    the master sleeps its members have it all."""
    one = lab.pool("one", "1")
    lab.burner("capped", one, cap=10)
    lab.burner("second", one)
    before = lab.measure(3000)
    close(before.of("capped", "second"), [10, 90])
    group(lab, "capped", "second")

    weighed = lab.pool("weighed", "2")
    for name in ("A", "B", "C"):
        lab.burner(name, weighed)
    group(lab, "A", "B")

    wide = lab.pool("wide", "3-6")
    lab.burner("wide1", wide, vcpus=2, cap=10)
    lab.burner("wide2", wide, vcpus=2, cap=50)  # its own cap doesn't count in a group
    group(lab, "wide1", "wide2")

    idle = lab.pool("idle", "7")
    lab.napper("sleeper", idle, "period=100000000 work=0", cap=10)
    lab.burner("alone", idle)
    group(lab, "sleeper", "alone")

    got = lab.measure(WINDOW)
    shown(got, *lab.domains)
    both = got["capped"] + got["second"]
    close([both], [10], POINT)
    close([100 * got["capped"] / both], [50], 5)
    close([got["A"] + got["B"], got["C"]], [50, 50], POINT)
    close([100 * got["A"] / (got["A"] + got["B"])], [50], 5)
    close([got["wide1"] + got["wide2"]], [10], POINT)
    close([got["alone"]], [10], POINT)


def test_nested(lab):
    """Two groups of equal weight, one of them divided 1 to 3: by the master's own weight inside, and a level deeper
    below a master that sleeps. Caps inside, below the group's."""
    flat = lab.pool("flat", "1")
    for name in ("A", "B", "one"):
        lab.burner(name, flat)
    group(lab, "A", "B", weight=768)

    deep = lab.pool("deep", "2")
    lab.napper("top", deep, "period=100000000 work=0")
    for name in ("P", "Q", "R", "S"):
        lab.burner(name, deep)
    group(lab, "P", "Q", weight=768)
    group(lab, "top", "P")
    group(lab, "top", "R", weight=512)
    group(lab, "R", "S")

    caps = lab.pool("caps", "3")
    for name, keys in (("tenant", {"cap": 40}), ("held", {}), ("other", {})):
        lab.burner(name, caps, **keys)
    group(lab, "tenant", "held", cap=30)
    lab.xl("sched-group-set", "tenant", "tenant", "-c", "5")

    got = lab.measure(WINDOW)
    shown(got, *lab.domains)
    close(got.of("A", "B", "one"), [12.5, 37.5, 50], POINT)
    close(got.of("P", "Q", "R", "S"), [100 / 12, 25, 100 / 3, 100 / 3], POINT)
    close(got.of("tenant", "held"), [5, 30], POINT)
    close([got["other"]], [65], POINT)


def test_at_once(lab):
    """A member's time counts from the moment it joins, and is its own from the moment the master ends."""
    pool = lab.pool("p", "1")
    lab.burner("m", pool, cap=10)
    lab.burner("b", pool)
    text = lab.script(["measure 300", "sched-group-add m b", "measure 600", "destroy m", "measure 600"]).stdout
    lab.domains.remove("m")
    sections = [Shares(part) for part in re.split(r"(?=^vcpu Domain-0 0 )", text, flags=re.M)[1:]]
    parts = [s.get("m", 0) + s["b"] for s in sections]
    print("alone, together, and after the master's end:", [round(p, 1) for p in parts])
    assert parts[0] > 98
    assert parts[1] <= 10 + 100 * 30 / 600, "it took more than a period of the accounts"
    assert parts[2] >= 100 - 100 * 60 / 600, "it took longer than 60 ms"


def credit(lab, name):
    """(weight, cap) that sched-credit shows."""
    row = re.search(rf"^{name} +\d+ +(\d+) +(\d+)", lab.out("sched-credit", "-d", name), re.M)
    return tuple(map(int, row.groups()))


def test_parameters(lab):
    """A member's weight and cap can't be changed, the master's are the group's; who leaves has its own again, even by the
    end of the master."""
    pool = lab.pool("p", "1")
    lab.burner("m", pool)
    lab.burner("b", pool, cpu_weight=512, cap=20)
    lab.burner("c", pool, cpu_weight=128)
    lab.burner("rest", pool)
    group(lab, "m", "b", "c")
    assert "EBUSY" in lab.xl("sched-credit", "-d", "b", "-w", "100", status=1).stderr
    assert "EBUSY" in lab.xl("sched-credit", "-d", "b", "-c", "5", status=1).stderr
    lab.xl("sched-credit", "-d", "m", "-w", "768")
    got = lab.measure(3000)
    shown(got, *lab.domains)
    close([got["m"] + got["b"] + got["c"], got["rest"]], [75, 25])
    close(got.of("m", "b", "c"), [25] * 3)
    lab.xl("sched-group-remove", "b")
    assert credit(lab, "b") == (512, 20)
    lab.destroy("m")
    assert credit(lab, "c") == (128, 0)
    got = lab.measure(3000)
    shown(got, *lab.domains)
    close(got.of("b", "c", "rest"), [20, 80 / 3, 160 / 3])
    lab.xl("sched-credit", "-d", "b", "-c", "0")  # nobody's member any more


def test_member_crashes(lab):
    """What it had goes to the others of its group, and nobody else."""
    pool = lab.pool("p", "1")
    for name in ("m", "b", "rest"):
        lab.burner(name, pool)
    lab.xl("create", "-p", "hello.cfg", 'name="bad"', f'pool="{pool}"', 'kernel="bad.elf"', 'extra="fault=ud2"',
           'on_crash="preserve"')
    lab.domains.append("bad")
    group(lab, "m", "b", "bad")
    lab.xl("unpause", "bad")
    got = lab.measure(3000)
    assert "c" in re.search(r"^bad .*?\s([rbpscd-]{6})\s", lab.out("list"), re.M).group(1)
    close([got["m"] + got["b"], got["rest"]], [50, 50])
    lab.destroy("bad")
    assert "bad" not in lab.out("sched-group-list")
    lab.destroy("b")
    got = lab.measure(3000)
    close(got.of("m", "rest"), [50, 50])


def pools(lab, *names):
    """{domain: pool}, of these."""
    text = lab.out("list", "-c")
    return {n: re.search(rf"^{n} .* (\S+)$", text, re.M).group(1) for n in names}


def test_move(lab):
    """All of them by the topmost, to a pool where the group is one again; or nobody."""
    lab.pool("from", "1")
    lab.pool("to", "2-3")
    lab.pool("plain", "4", "rr")
    for name, keys in (("m", {"cap": 50}), ("b", {}), ("c", {})):
        lab.burner(name, "from", **keys)
    lab.burner("rest", "to", vcpus=2)
    group(lab, "m", "b")
    group(lab, "b", "c")
    for name in ("b", "c"):
        assert "EBUSY" in lab.xl("cpupool-migrate", name, "to", status=1).stderr
    assert set(pools(lab, "m", "b", "c").values()) == {"from"}
    lab.pool("empty", "5")
    lab.xl("cpupool-cpu-remove", "empty", "5")
    assert "ENOENT" in lab.xl("cpupool-migrate", "m", "empty", status=1).stderr
    assert set(pools(lab, "m", "b", "c").values()) == {"from"}
    lab.xl("cpupool-migrate", "m", "to")
    assert set(pools(lab, "m", "b", "c").values()) == {"to"}
    got = lab.measure(3000)
    shown(got, *lab.domains)
    close([got["m"] + got["b"] + got["c"]], [50])
    close(got.of("m", "b", "c"), [25, 12.5, 12.5])
    lab.xl("cpupool-migrate", "m", "plain")  # which knows no groups, and no caps
    got = lab.measure(3000)
    close(got.of("m", "b", "c"), [100 / 3] * 3)
    lab.xl("cpupool-migrate", "m", "from")
    got = lab.measure(3000)
    close([got["m"] + got["b"] + got["c"]], [50])


def test_refused(lab):
    """Each mistake, and that it changed nothing."""
    lab.pool("p", "1")
    lab.pool("q", "2")
    for name, pool in (("m", "p"), ("b", "p"), ("c", "p"), ("far", "q")):
        lab.burner(name, pool)
    before = lab.out("sched-group-list")

    def fails(error, *words):
        assert error in lab.xl(*words, status=1).stderr

    fails("EXDEV", "sched-group-add", "m", "far")
    fails("EINVAL", "sched-group-add", "m", "m")
    fails("nosuch", "sched-group-add", "m", "nosuch")
    fails("nosuch", "sched-group-add", "nosuch", "m")
    fails("ENOENT", "sched-group-remove", "b")
    fails("ENOENT", "sched-group-dissolve", "b")
    assert lab.out("sched-group-list") == before
    group(lab, "m", "b")
    group(lab, "b", "c")
    fails("EBUSY", "sched-group-add", "m", "b")
    fails("EINVAL", "sched-group-add", "c", "m")  # a circle
    fails("ENOENT", "sched-group-set", "m", "c", "-w", "5")  # b's, not m's
    lines = lab.out("sched-group-list")
    print(lines)
    assert all(re.search(rf"\b{n}\b", lines) for n in "mbc") and "far" not in lines
    lab.xl("sched-group-dissolve", "b")
    lab.xl("sched-group-remove", "b")
    assert lab.out("sched-group-list") == before


class Random:
    """Lines for the shell, at random: groups, quotas, weights, pools, pauses and CPUs, of domains with and without an
    emulator that come and go. What each answers does not matter; most of it must be refused."""
    POOLS = {"p1": "1-2", "p2": "3-4", "plain": "5", "real": "6"}
    OFTEN = ["p1", "p1", "p1", "p2", "plain", "real"]

    def __init__(self, seed):
        self.random, self.names, self.lines, self.made = random.Random(seed), [], [], 0
        self.makers = [self.group, self.member, self.quota, self.move, self.pause, self.pin, self.cpu, self.end]

    def pick(self, *values):
        return self.random.choice(values)

    def create(self):
        self.made += 1
        name, pool, vcpus = f"r{self.made}", self.pick(*self.OFTEN), self.pick(1, 2, 3)
        keys = f"name=\"{name}\" pool=\"{pool}\" vcpus={vcpus} cap={self.pick(0, 10, 50)}"
        kind = self.pick("burn", "nap", "client", "client")
        more = f"'emulator_disk=[\"2048\"]' charge=\"{self.pick('own', 'client')}\"" if kind == "client" else ""
        extra = f"rate=200 burn seconds=1000000 vcpus={vcpus} period=2000 work=500"
        self.names.append(name)
        self.lines.append(f"create {kind}.cfg {keys} 'extra=\"{extra}\"' {more}")

    def group(self):
        what, inner = self.pick("add", "add", "add", "set"), f"-w {self.pick(1, 256, 1000)} -c {self.pick(0, 20)}"
        self.lines.append(f"sched-group-{what} {inner} {self.pick(*self.names)} {self.pick(*self.names)}")

    def member(self):
        self.lines.append(f"sched-group-{self.pick('remove', 'remove', 'dissolve')} {self.pick(*self.names)}")

    def quota(self):
        unit = self.pick("domain", "vcpu", "vcpu0", "emulator")
        limit = f"-p {self.pick(1000, 10000, 50000)} -q {self.pick(-1, 1000, 5000, 20000)}"
        self.lines.append(f"bandwidth -d {self.pick(*self.names)} -u {unit} {limit}")

    def move(self):
        self.lines.append(f"cpupool-migrate {self.pick(*self.names)} {self.pick(*self.OFTEN)}")

    def pause(self):
        self.lines.append(f"{self.pick('pause', 'unpause', 'unpause')} {self.pick(*self.names)}")

    def pin(self):
        name = self.pick(*self.names)
        self.lines.append(self.pick(f"vcpu-pin {name} 0 {self.pick('all', 1, 3, '2-6')}",
                                    f"sched-credit -d {name} -w {self.pick(1, 256, 600)} -c {self.pick(0, 10)}"))

    def cpu(self):
        self.lines += ["cpupool-cpu-remove p1 2", "cpupool-cpu-add p1 2"]

    def end(self):
        name = self.pick(*self.names)
        if self.pick(0, 1, 2) and len(self.names) > 4:
            self.names.remove(name)
            self.lines.append(f"destroy {name}")
        else:
            self.lines.append(f"destroy {name}-emu")

    def make(self, n):
        while len(self.lines) < n:
            if len(self.names) < 5 or (len(self.names) < 9 and self.pick(*range(12)) == 0):
                self.create()
            else:
                self.pick(*self.makers[:3], *self.makers)()
        return self.lines


def test_anything(lab):
    """In any order nothing is lost: memory, groups, CPUs; and a group made afterwards has its due."""
    for name, cpus in Random.POOLS.items():
        lab.pool(name, cpus, {"plain": "rr", "real": "rtds"}.get(name, "credit"))
    free = lab.free_pages()
    orders = Random(1)
    lines = orders.make(4000 if FULL else 250)
    for i in range(0, len(lines), 50):
        lab.run("put", lab.file("random.sh", "\n".join(lines[i:i + 50]) + "\n"))
        lab.xl("run", "random.sh", status=None)
    left = re.findall(r"^(r\d+) ", lab.out("list"), re.M)
    print(len(lines), "lines,", orders.made, "domains, left:", *left)
    assert set(left) <= set(orders.names)
    for name in left:
        lab.xl("destroy", name)
    assert not re.search(r"\br\d+", lab.out("list") + lab.out("sched-group-list"))
    assert lab.free_pages() == free
    for name in ("A", "B", "C"):
        lab.burner(name, "p2")
    group(lab, "A", "B")
    got = lab.measure(2000)
    close([got["A"] + got["B"], got["C"]], [100, 100], 3)

# SPDX-License-Identifier: MIT
"""CPU pools while the machine runs: made, given CPUs and domains, and taken apart, by the shell's words.

What the words are, and what is refused: test_pool_cmds.py."""
import random
import re

import pytest

from host import Machine


def pools(m):
    """{name: (CPUs, scheduler, domains)}"""
    counts = re.findall(r"^(\S+) +(\d+) +(\S+) +\S +(\d+)$", m.out("cpupool-list"), re.M)
    cpus = dict(re.findall(r"^(\S+) +([\d,]*)$", m.out("cpupool-list", "-c"), re.M))
    found = {name: ([int(c) for c in cpus.get(name, "").split(",") if c], sched, int(doms))
             for name, n, sched, doms in counts}
    for name, n, _, _ in counts:
        assert len(found[name][0]) == int(n)
    return found


def free_cpus(m):
    return int(m.info("free_cpus"))


def disjoint(m, cpus):
    """Each CPU is in one pool or free."""
    members = [c for p in pools(m).values() for c in p[0]]
    assert len(members) == len(set(members))
    assert len(members) + free_cpus(m) == cpus


def test_life():
    with Machine(smp="8,sockets=2,cores=2,threads=2") as m:
        memory = m.free_pages()
        assert pools(m) == {"Pool-0": (list(range(8)), "credit", 1)}
        m.xl("cpupool-cpu-remove", "Pool-0", "4-7")
        assert free_cpus(m) == 4
        m.xl("cpupool-create", 'name="rt"', 'sched="rtds"', 'cpus="4-5"')
        m.xl("cpupool-create", 'name="one"', 'sched="null"')
        m.xl("cpupool-cpu-add", "one", "6")
        m.xl("cpupool-rename", "one", "single")
        assert pools(m) == {"Pool-0": ([0, 1, 2, 3], "credit", 1), "rt": ([4, 5], "rtds", 0), "single": ([6], "null", 0)}
        m.xl("create", "burn.cfg", 'pool="rt"', "vcpus=2")
        assert re.search(r"^burn .* rt$", m.out("list", "-c"), re.M)
        m.xl("cpupool-migrate", "burn", "single")
        m.xl("cpupool-migrate", "burn", "Pool-0")
        m.xl("destroy", "burn")
        m.xl("cpupool-destroy", "single")
        m.xl("cpupool-destroy", "rt")
        m.xl("cpupool-cpu-add", "Pool-0", "4-7")
        assert pools(m) == {"Pool-0": (list(range(8)), "credit", 1)}
        assert m.free_pages() == memory


def times(m, name):
    """CPU and time of each vcpu."""
    return [(int(cpu), float(t)) for cpu, t in re.findall(rf"^{name} +\d+ +\d+ +(\d+) +\S+ +(\d+\.\d)", m.out("vcpu-list", name), re.M)]


def test_isolation():
    """Eight burners share the two CPUs of their pool, 25 % each, and never leave it."""
    with Machine(smp="4", up=["--icount=4"]) as m:
        m.xl("cpupool-cpu-remove", "Pool-0", "2-3")
        m.xl("cpupool-create", 'name="b"', 'cpus="2-3"')
        m.xl("create", "burn.cfg", 'pool="b"', "vcpus=8", "memory=16", 'extra="vcpus=8 seconds=100000"')
        m.xl("sleep", "2")
        start = times(m, "burn")
        for _ in range(5):
            m.xl("sleep", "2")
            assert {cpu for cpu, _ in times(m, "burn")} <= {2, 3}
        spent = [after[1] - before[1] for before, after in zip(start, times(m, "burn"))]
        assert len(spent) == 8
        for s in spent:
            assert abs(s / sum(spent) - 1 / 8) < 0.02, spent


def test_moves():
    """A clock that goes to and fro between two schedulers is never late by 20 ms, and keeps its weight."""
    with Machine(smp="4", up=["--icount=2"]) as m:
        m.xl("cpupool-cpu-remove", "Pool-0", "3")
        m.xl("cpupool-create", 'name="rt"', 'sched="rtds"', 'cpus="3"')
        m.xl("create", "ticks.cfg", 'extra="seconds=3"', "cpu_weight=512", 'on_poweroff="preserve"')
        for i in range(100):
            m.xl("cpupool-migrate", "ticks", "Pool-0" if i % 2 else "rt")
        assert re.search(r"^ticks +\d+ +512", m.out("sched-credit"), re.M)
        for _ in range(60):
            if "ticks: ok" in m.run("console", "ticks").stdout:
                break
            m.xl("sleep", "1")
        said = m.run("console", "ticks").stdout
        assert "ticks: ok" in said
        assert all(int(late) < 20000 for late in re.findall(r"late avg \d+ us max (\d+) us", said)), said


@pytest.mark.alone
@pytest.mark.parametrize("seed", [1, 2])
def test_churn(seed):
    """CPUs and domains go to and fro at random; every CPU is in one place, and everybody gets on."""
    rng = random.Random(seed)
    with Machine(smp="6") as m:
        m.xl("cpupool-cpu-remove", "Pool-0", "3-5")
        for name, sched in (("a", "credit"), ("b", "rtds"), ("c", "null")):
            m.xl("cpupool-create", f'name="{name}"', f'sched="{sched}"')
        for i in range(4):
            m.xl("create", "burn.cfg", f'name="d{i}"', "vcpus=2", 'extra="vcpus=2 seconds=100000"')
        for _ in range(150):
            pool, other = rng.choice("abc"), rng.choice(["Pool-0", "a", "b", "c"])
            m.xl(*rng.choice([["cpupool-cpu-add", pool, str(rng.randrange(6))], ["cpupool-cpu-remove", pool, str(rng.randrange(6))],
                              ["cpupool-cpu-add", pool, str(rng.randrange(3, 6))], ["cpupool-migrate", f"d{rng.randrange(4)}", other],
                              ["cpupool-cpu-remove", "Pool-0", str(rng.randrange(1, 6))],
                              ["vcpu-pin", f"d{rng.randrange(4)}", "0", str(rng.randrange(6))]]), status=None)
        disjoint(m, 6)
        for i in range(4):
            m.xl("cpupool-migrate", f"d{i}", "Pool-0")
            m.xl("vcpu-pin", f"d{i}", "all", "all")
        before = [t for i in range(4) for _, t in times(m, f"d{i}")]
        m.xl("sleep", "8")
        after = [t for i in range(4) for _, t in times(m, f"d{i}")]
        assert all(a > b for a, b in zip(after, before)), (before, after)
        assert "PANIC" not in m.log()

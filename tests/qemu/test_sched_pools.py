# SPDX-License-Identifier: MIT
"""Pools and affinities under load: nothing leaves its pool, and CPUs and domains that come and go hurt nobody."""
import re

from lab import FULL, close

MANY = 10000 if FULL else 1000


def test_isolation(lab):
    """Eight burners on the two CPUs of their pool while six idle in another: 25 % each, and none elsewhere."""
    lab.pool("busy", "1-2")
    lab.pool("idle", "3-8")
    names = [lab.burner(f"b{i}", "busy") for i in range(8)]
    got = lab.measure()
    print("isolation", [round(got[n], 2) for n in names])
    close(got.of(*names), [25] * 8)
    assert {got.where[n, 0] for n in names} <= {1, 2}
    assert all(got.idle[cpu] > 99.9 for cpu in range(3, 9)), got.idle


def test_cpu_leaves_and_returns(lab):
    """A busy CPU is taken from its pool and given back, many times: it is never lost, the burners get on."""
    lab.pool("a", "1-2")
    for i in range(3):
        lab.burner(f"b{i}", "a")
    lab.script([f"cpupool-cpu-remove a {1 + i % 2}\ncpupool-cpu-add a {1 + i % 2}" for i in range(MANY)])
    got = lab.measure(3000)
    close(got.of("b0", "b1", "b2"), [66.7] * 3, 3)


def test_last_cpu_leaves_and_returns(lab):
    """A pool is emptied and filled again, many times."""
    lab.pool("a", "1")
    lab.pool("b", "2", sched="rtds")
    lab.pool("c", "3", sched="null")
    lab.pool("d", "4", sched="sedf")
    lab.script([f"cpupool-cpu-remove {p} {c}\ncpupool-cpu-add {p} {c}" for _ in range(MANY // 4) for p, c in
                zip("abcd", "1234")])
    assert lab.out("cpupool-list", "-c").count("\n") == 5
    lab.burner("x", "a")
    assert "EBUSY" in lab.xl("cpupool-cpu-remove", "a", "1", status=1).stderr
    close([lab.measure(1000)["x"]], [100])


def test_last_cpu_leaves_a_sleeper(lab):
    """Each time a domain comes into the refilled pool it runs there."""
    lab.pool("a", "1")
    lab.pool("b", "2")
    lab.burner("x", "b")
    lab.script(["cpupool-migrate x a\ncpupool-cpu-remove b 2\ncpupool-cpu-add b 2\ncpupool-migrate x b\n"
                "cpupool-cpu-remove a 1\ncpupool-cpu-add a 1"] * (MANY // 5))
    got = lab.measure(1000)
    close([got["x"]], [100])
    assert got.where["x", 0] == 2


def test_removed_cpu_breaks_and_restores_affinity(lab):
    """Who was pinned to a CPU that leaves goes on elsewhere at once, and is back with it."""
    lab.pool("a", "1-3")
    lab.burner("x", "a", cpus="3")
    lab.burner("y", "a", cpus="1")
    assert lab.measure(200).where["x", 0] == 3
    lab.xl("cpupool-cpu-remove", "a", "3")
    got = lab.measure(1000, settle=0)
    assert got.where["x", 0] in (1, 2)
    close(got.of("x", "y"), [100, 100])
    lab.xl("cpupool-cpu-add", "a", "3")
    got = lab.measure(1000)
    assert got.where["x", 0] == 3
    close(got.of("x"), [100])


def test_soft_affinity(lab):
    """A wish: followed on an idle machine, and no reason to wait when that CPU is taken."""
    lab.pool("a", "1-4")
    lab.burner("x", "a", cpus_soft="3")
    got = lab.measure(1000)
    assert got.where["x", 0] == 3 and got.idle[1] + got.idle[2] + got.idle[4] > 299
    lab.burner("hog", "a", cpus="3", cpu_weight=10000)
    got = lab.measure(2000)
    close(got.of("x", "hog"), [100, 100], 3)


def test_vcpu_set(lab):
    """4 vcpus, 2, and 4 again: those taken away do nothing at all, the others share what there is."""
    lab.pool("a", "1-2")
    lab.burner("four", "a", vcpus=4, memory=16)
    every = [("four", v) for v in range(4)]
    for vcpus in (4, 2, 4):
        lab.xl("vcpu-set", "four", str(vcpus))
        got = lab.measure(2000)
        print("vcpu-set", vcpus, [round(got.vcpus[v], 1) for v in every])
        for v in every:
            assert abs(got.vcpus[v] - (200 / vcpus if v[1] < vcpus else 0)) <= 2

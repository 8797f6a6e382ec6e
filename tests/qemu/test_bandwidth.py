# SPDX-License-Identifier: MIT
"""Period and quota: of vcpus, of an emulator and its iothreads, of a domain as a whole; beside weight and cap, and under
every scheduler."""
import re

from lab import FULL, close

WINDOW = 60000 if FULL else 5000  # ms; quotas are exact in the long run and in the short one
POINT = 0.5
SCHEDULERS = ("credit", "rtds", "sedf", "null", "rr")


def quota(lab, name, *words, unit="vcpu"):
    lab.xl("bandwidth", "-d", name, "-u", unit, *map(str, words))


def shown(lab, name):
    """{unit: (period, quota)}"""
    rows = re.findall(rf"^{name} +\d+ +(\S+) +(\d+) +(-?\d+)", lab.out("bandwidth", "-d", name), re.M)
    return {unit: (int(period), int(quota)) for unit, period, quota in rows}


def test_vcpus(lab):
    """Half of each period for each vcpu, in a domain of two on two CPUs and of two on one; weights by libvirt's shares;
    and what stands in a domain's file is the same as what the command sets."""
    lab.pool("two", "1-2")
    lab.burner("pair", "two", vcpus=2, vcpu_period=100000, vcpu_quota=50000)
    lab.pool("one", "3")
    lab.burner("tight", "one", vcpus=2, vcpu_period=20000, vcpu_quota=6000)
    lab.pool("shares", "4")
    for name, shares in (("less", 1024), ("more", 2048)):
        lab.domain("hello.cfg", name, "shares", 'kernel="burn.elf"', extra="seconds=1000000", shares=shares)
    lab.pool("by-hand", "5")
    lab.burner("hand", "by-hand")
    quota(lab, "hand", "-p", 10000, "-q", 2500)
    lab.pool("bounds", "6-8")
    lab.burner("least", "bounds", cpus="6", vcpu_period=1000000, vcpu_quota=1000)
    lab.burner("all", "bounds", cpus="7", vcpu_period=1000, vcpu_quota=1000)
    lab.burner("unlimited", "bounds", cpus="8", vcpu_period=10000, vcpu_quota=-1)
    got = lab.measure(WINDOW)
    print({n: round(s, 2) for n, s in got.items()}, {k: round(s, 2) for k, s in got.vcpus.items()})
    close([got.vcpus["pair", v] for v in (0, 1)], [50, 50], POINT)
    close([got.vcpus["tight", v] for v in (0, 1)], [30, 30], POINT)
    close(got.of("less", "more"), [33.3, 66.7])
    close(got.of("hand"), [25], POINT)
    close(got.of("least", "all", "unlimited"), [0.1, 100, 100], POINT)


def test_beside_weight_and_cap(lab):
    """The least of them counts, and what a quota leaves is others' by weight."""
    lab.pool("p", "1")
    lab.burner("held", "p", cpu_weight=1024, vcpu_period=10000, vcpu_quota=2000)
    lab.burner("a", "p", cpu_weight=256)
    lab.burner("b", "p", cpu_weight=768)
    lab.pool("q", "2-3")
    lab.burner("by-cap", "q", cpus="2", cap=20, vcpu_period=10000, vcpu_quota=5000)
    lab.burner("by-quota", "q", cpus="3", cap=50, vcpu_period=10000, vcpu_quota=2000)
    lab.burner("whole", lab.pool("r", "4-5"), vcpus=2, global_period=50000, global_quota=30000, vcpu_quota=80000)
    got = lab.measure(WINDOW)
    print({n: round(s, 2) for n, s in got.items()})
    close(got.of("held", "a", "b"), [20, 20, 60])
    close(got.of("by-cap", "by-quota"), [20, 20], 1)
    close(got.of("whole"), [60], 1)


def test_schedulers(lab):
    """30 per cent under each, beside one without a quota where two can share a CPU; and when the quota goes, what the
    scheduler gives. Round robin's turns take 30 ms, so it needs periods that are longer: a quota is no promise."""
    for cpu, sched in enumerate(SCHEDULERS, 1):
        lab.pool(f"p-{sched}", str(cpu), sched)
        period = 100000 if sched == "rr" else 10000
        lab.burner(f"held-{sched}", f"p-{sched}", vcpu_period=period, vcpu_quota=period * 3 // 10)
        if sched not in ("null", "rtds", "sedf"):
            lab.burner(f"free-{sched}", f"p-{sched}")
    got = lab.measure(WINDOW)
    print({n: round(s, 2) for n, s in got.items()})
    close(got.of(*(f"held-{s}" for s in SCHEDULERS)), [30] * len(SCHEDULERS), 1)
    close(got.of("free-credit", "free-rr"), [70, 70])
    for sched in SCHEDULERS:
        quota(lab, f"held-{sched}", "-q", -1)
    got = lab.measure(5000)
    print({n: round(s, 2) for n, s in got.items()})
    close(got.of(*(f"held-{s}" for s in SCHEDULERS)), [50, 100, 100, 100, 50], 3)


def test_fair_inside(lab):
    """The vcpus of a domain that has one quota for all of them, on one CPU: each gets its part, whoever woke first."""
    for cpu, sched in ((1, "credit"), (2, "rr")):
        lab.pool(f"p-{sched}", str(cpu), sched)
        lab.burner(f"d-{sched}", f"p-{sched}", vcpus=3, global_period=20000, global_quota=12000)
    got = lab.measure(3000)
    print({k: round(s, 2) for k, s in got.vcpus.items()})
    for sched in ("credit", "rr"):
        close([got[f"d-{sched}"]], [60], POINT)
        close([got.vcpus[f"d-{sched}", v] for v in range(3)], [20] * 3, 2)


def longest_away(lab, name):
    """In us, over the last reports; the first is of the time when the domain was made."""
    text = lab.console(name)
    times = [int(us) for us in re.findall(r"burn: away \d+ times, longest (\d+) us", text)]
    assert len(times) > 2, text
    return max(times[2:])


def test_short_periods(lab):
    """A tenth of a CPU by 1 ms of each 10 ms: it is away for less than 10 ms; by a cap of 10 it is for longer."""
    lab.burner("fine", lab.pool("p", "1"), args="away", vcpu_period=10000, vcpu_quota=1000)
    lab.burner("coarse", lab.pool("q", "2"), args="away", cap=10)
    got = lab.measure(5000)
    close(got.of("fine", "coarse"), [10, 10], 1)
    away = [longest_away(lab, n) for n in ("fine", "coarse")]
    print("away for at most, us:", away)
    assert away[0] <= 10000 + 200
    assert away[1] > 10000


def test_moves(lab):
    """A quota goes along to other pools and schedulers, and through CPUs."""
    lab.pool("p", "1-2")
    lab.pool("q", "3", "rtds")
    lab.burner("x", "p", vcpu_period=20000, vcpu_quota=5000)
    lab.burner("y", "p", vcpus=2)
    got = lab.measure(3000)
    close(got.of("x"), [25], 1)
    lab.xl("cpupool-migrate", "x", "q")
    close(lab.measure(3000).of("x"), [25], 1)
    lab.xl("cpupool-migrate", "x", "p")
    got = lab.measure(3000, "vcpu-pin", "x", "all", "2")
    close(got.of("x"), [25], 1)


def test_refused(lab):
    """What is out of range, with the range; and nothing changes."""
    lab.burner("a", lab.pool("p", "1"), vcpu_period=10000, vcpu_quota=5000)
    before = shown(lab, "a")
    assert before["vcpu0"] == (10000, 5000)
    for words, said in ((("-p", "999"), "1000 to 1000000"), (("-p", "1000001"), "1000 to 1000000"),
                        (("-q", "999"), "1000 to 17592186044415"), (("-q", "17592186044416"), "1000 to 17592186044415"),
                        (("-u", "vcpu1", "-q", "5000"), "vcpu1"), (("-u", "emulator", "-q", "5000"), "no emulator"),
                        (("-u", "fan", "-q", "5000"), "fan"), (("-q", "x"), "1000"), (("-p", "-1"), "1000")):
        done = lab.xl("bandwidth", "-d", "a", *words, status=1)
        assert said in done.stderr, words
        assert shown(lab, "a") == before
    for key, value in (("vcpu_period", 999), ("global_period", 1000001), ("vcpu_quota", 999),
                       ("global_quota", 17592186044416), ("shares", 1), ("shares", 262145)):
        done = lab.xl("create", "burn.cfg", 'name="b"', f"{key}={value}", status=1)
        assert key in done.stderr and ("least" in done.stderr or "most" in done.stderr)

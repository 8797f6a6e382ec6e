# SPDX-License-Identifier: MIT
"""How soon who wakes up runs, and what slices, rate limits and a CPU of one's own do to that."""
import re

import pytest

from lab import Lab

LAB = {"shift": 2, "cpus": 6, "metronome": 500}


@pytest.mark.parametrize("busy", [False, True], ids=["alone", "beside-burners"])
def test_moves(lab, busy):
    """A counter of 1 kHz goes to and fro between credit and rtds a hundred times. Beside burners it may have to wait
    for a slice when it comes; this is a third of the usual one then."""
    lab.pool("credit", "1")
    lab.pool("rt", "2", sched="rtds")
    if busy:
        lab.xl("sched-credit", "-s", "-p", "credit", "-t", "10")
        lab.burner("b1", "credit")
        lab.burner("b2", "rt")
    lab.run("put", lab.file("moves.sh", "cpupool-migrate counter rt\nmeasure 20\n"
                                        "cpupool-migrate counter credit\nmeasure 20\n" * 50))
    lab.domain("ticks.cfg", "counter", "credit", extra="counter hz=1000 seconds=5 after=300", on_poweroff="preserve",
               cpu_weight=512)
    lab.xl("measure", "500")
    lab.xl("run", "moves.sh")
    assert re.search(r"^counter +\d+ +512", lab.out("sched-credit"), re.M)
    lab.xl("measure", "4000")
    counted, due, events, sent, gap = map(int, re.search(
        r"counted (\d+) of (\d+), (\d+) events of (\d+), largest gap (\d+) us", lab.console("counter")).groups())
    print("counter:", "beside burners" if busy else "alone", "largest gap", gap, "us")
    assert counted == due == events == sent == 5000
    assert gap < 20000


def test_wake_to_run(lab):
    """Who works 10 % of the time is there at once when its timer says so, though a burner has the CPU."""
    for name, cpu, args in (("ten", "1", "period=10000 work=1000"), ("often", "2", "period=2000 work=200")):
        lab.pool(name, cpu)
        lab.burner("beside" + name, name)
        lab.napper("nap" + name, name, args)

    def judge():
        told = lab.told("napten", "napoften")
        lab.measure(4000)
        found = lab.latencies(told)
        for name, per_second in (("ten", 100), ("often", 500)):
            count, p50, p99, longest = found["nap" + name]
            print(f"wake to run: {name}: {count} wakes, p50 {p50} us, p99 {p99} us, max {longest} us")
            assert count > 2 * per_second
            assert p99 < 100

    lab.in_time(judge)


def test_displaced(lab):
    """Who must give way to a sleeper that is bound to its CPU goes on at once on one that idles, and comes back."""
    lab.pool("a", "1-2")
    lab.napper("bound", "a", "period=10000 work=1000", cpus="1")
    lab.burner("prefers", "a", cpus_soft="1")
    lab.pool("b", "3-4")
    lab.napper("free", "b", "period=10000 work=1000")
    lab.burner("any", "b")

    def judge():
        told = lab.told("bound", "free")
        got = lab.measure(2500)
        found = lab.latencies(told)
        print("displaced:", {n: round(got[n], 2) for n in ("prefers", "any")}, found)
        assert min(got.of("prefers", "any")) > 99
        assert all(p99 < 100 for _, _, p99, _ in found.values())

    lab.in_time(judge)


def test_ratelimit(lab):
    """Who runs is left alone for so long, so who wakes waits for that."""
    for cpu, limit in (("1", 0), ("2", 1000), ("3", 5000)):
        pool = lab.pool(f"limit{limit}", cpu)
        lab.xl("sched-credit", "-s", "-p", pool, "-r", str(limit))
        lab.burner(f"b{limit}", pool)
        lab.napper(f"n{limit}", pool, "period=1700 work=100")

    def judge():
        told = lab.told("n0", "n1000", "n5000")
        lab.measure(2500)
        found = lab.latencies(told)
        p99 = {}
        for limit in (0, 1000, 5000):
            _, _, p99[limit], longest = found[f"n{limit}"]
            print(f"ratelimit {limit}: p99 {p99[limit]} us, max {longest} us")
            assert longest < limit + 500
        assert p99[0] < 100
        assert p99[5000] > 2000

    lab.in_time(judge)


def test_slice(lab):
    """Two burners with slices of 5 ms: 200 switches per second; of 30 ms, a sixth of that."""
    for cpu, ms in (("1", 5), ("2", 30)):
        pool = lab.pool(f"slice{ms}", cpu)
        lab.xl("sched-credit", "-s", "-p", pool, "-t", str(ms))
        lab.burner(f"a{ms}", pool, args="away")
        lab.burner(f"b{ms}", pool)

    def judge():
        told = lab.told("a5", "a30")
        lab.measure(3000)
        for (ms, want), name, text in zip(((5, 100), (30, 16.7)), told, lab.consoles(*told)):
            said = lab.reports(r"burn: away (\d+) times, longest (\d+) us", text, told[name])
            times, longest = sum(int(t) for t, _ in said) / len(said), max(int(w) for _, w in said)
            print(f"slice {ms} ms: {2 * times} switches per second, away for {longest} us at most")
            assert abs(times - want) <= want / 10
            assert longest < (2 * ms + 1) * 1000

    lab.in_time(judge)


def test_null(lab):
    """Five vcpus on four CPUs: the fifth runs within a millisecond of another one's end."""
    lab.pool("null", "1-4", "null")
    for i in range(5):
        lab.burner(f"n{i}", "null")

    def judge():
        before = lab.measure(500, settle=200)
        waiting = [n for n, share in before.items() if n.startswith("n") and share == 0]
        assert len(waiting) == 1
        victim = next(n for n in lab.domains if n not in waiting)
        got = lab.measure(1000, "destroy", victim, settle=0)
        lab.domains.remove(victim)
        lab.burner(victim, "null")  # for the next time
        idled = {c: got.idled_ns[c] for c in range(1, 5)}
        print("null: idle for", idled, "ns, the fifth ran", got.ran_ns[waiting[0], 0])
        assert got.ran_ns[waiting[0], 0] > 1_000_000
        assert max(idled.values()) < 1_000_000

    lab.in_time(judge)


def test_control_domain_alone():
    """The control domain answers a guest's questions much sooner from a CPU of its own than from one that
    burners share."""
    p99 = {}
    with Lab(shift=2, cpus=3, metronome=500) as m:
        m.napper("ping", m.pool("guest", "1"), "period=3700 ping")
        m.pool("burners", "2")
        for i in range(2):
            m.burner(f"b{i}", "burners")
        told = m.told("ping")
        m.measure(2500)
        p99["alone"] = m.latencies(told, what="answers")["ping"][2]
        for i in range(2):
            m.xl("cpupool-migrate", f"b{i}", "Pool-0")
        told = m.told("ping")
        m.measure(2500)
        p99["shared"] = m.latencies(told, what="answers")["ping"][2]
    print("control domain's answers, p99 in us:", p99)
    assert p99["alone"] < p99["shared"] / 5

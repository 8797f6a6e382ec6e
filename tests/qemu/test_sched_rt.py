# SPDX-License-Identifier: MIT
"""The promises of rtds and sedf, measured. What null promises is among the latencies."""
from lab import close


def rtds(lab, name, period_us, budget_us, extra=0):
    lab.xl("sched-rtds", "-d", name, "-v", "all", "-p", str(period_us), "-b", str(budget_us), "-e", str(extra))


def sedf(lab, name, *words):
    lab.xl("sched-sedf", "-d", name, *words)


def test_rtds(lab):
    """4 ms of each 10 ms beside a burner that takes all it can, and alone; two on one CPU; a whole CPU."""
    lab.pool("beside", "1", "rtds")
    lab.burner("fixed", "beside")
    lab.burner("rest", "beside")
    lab.pool("alone", "2", "rtds")
    lab.burner("single", "alone")
    lab.pool("full", "3", "rtds")
    for name, budget in (("half", 5000), ("third", 3000), ("fifth", 2000)):
        lab.burner(name, "full")
        rtds(lab, name, 10000, budget)
    rtds(lab, "fixed", 10000, 4000)
    rtds(lab, "single", 10000, 4000)
    got = lab.measure()
    print("rtds", {n: round(s, 2) for n, s in got.items()})
    close(got.of("fixed", "single"), [40, 40], 0.5)
    close(got.of("rest"), [60])
    close(got.of("half", "third", "fifth"), [50, 30, 20])


def test_rtds_refuses(lab):
    """No more than there are CPUs, unless somebody insists."""
    lab.pool("rt", "1", "rtds")
    for name in ("a", "b"):
        lab.burner(name, "rt")
    rtds(lab, "a", 10000, 6000)
    assert "ENOSPC" in lab.xl("sched-rtds", "-d", "b", "-v", "all", "-p", "10000", "-b", "4100", "-e", "0", status=1).stderr
    rtds(lab, "b", 10000, 4000)
    got = lab.measure(5000)
    close(got.of("a", "b"), [60, 40])


def test_sedf(lab):
    """5 ms of each 20 ms beside a burner: a quarter, and never more. What nobody reserved is shared by who may."""
    lab.pool("beside", "1", "sedf")
    lab.burner("fixed", "beside")
    lab.burner("rest", "beside")
    sedf(lab, "fixed", "-p", "20", "-s", "5", "-e", "0")
    lab.pool("alone", "2", "sedf")
    lab.burner("single", "alone")
    sedf(lab, "single", "-p", "20", "-s", "5", "-e", "0")
    lab.pool("both", "3", "sedf")
    for name in ("x", "y"):
        lab.burner(name, "both")
        sedf(lab, name, "-p", "20", "-s", "5", "-e", "1")
    lab.pool("weights", "4", "sedf")
    weights = [2, 3, 4, 2]
    for i, weight in enumerate(weights):
        lab.burner(f"w{i}", "weights")
        sedf(lab, f"w{i}", "-w", str(weight), "-e", "0")
    got = lab.measure()
    print("sedf", {n: round(s, 2) for n, s in got.items()})
    close(got.of("fixed", "single"), [25, 25], 1)
    assert max(got.of("fixed", "single")) <= 25.1
    close(got.of("rest"), [75])
    close(got.of("x", "y"), [50, 50])
    close(got.of(*(f"w{i}" for i in range(4))), [17.3, 25.9, 34.5, 17.3], 2)

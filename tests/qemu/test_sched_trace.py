# SPDX-License-Identifier: MIT
"""Where vcpus were, to the record of the trace: never outside their pool, nor outside the mask in force."""
import os
import re

import pytest

import xentrace
from lab import FULL, close

GRACE = 500e-6  # s: so soon a vcpu leaves a CPU that it may not use any more, at the emulator's pace
LAB = {"shift": 2}


@pytest.fixture
def lab(lab):
    yield lab
    lab.run("trace", "stop", status=None)
    lab.run("trace", "clear", status=None)


def record(lab, run, events="runstate"):
    """The trace of what happens in run(), and what that returned."""
    path = os.path.join(lab.folder, "trace")
    lab.run("trace", "start", "-e", events, "-M", "32")
    got = run()
    lab.run("trace", "stop")
    lab.run("--timeout", "90", "trace", "save", path, timeout=120)
    trace = xentrace.read(path, float(lab.info("cpu_mhz")) * 1e6)
    assert trace.records and not trace.lost and not trace.overlaps()
    return trace, got


def domid(lab, name):
    return int(lab.out("domid", name))


def test_isolation(lab):
    """Eight burners on the two CPUs of their pool, while six CPUs idle in another: no record of them there."""
    lab.pool("busy", "1-2")
    lab.pool("idle", "3-8")
    names = [lab.burner(f"b{i}", "busy") for i in range(8)]
    domids = {domid(lab, n) for n in names}
    trace, got = record(lab, lambda: lab.measure(20000 if FULL else 3000))
    assert not [r for d in domids for r in trace.outside(d, {1, 2})]
    assert all(c.cpu in (1, 2) for c in trace.changes() if c.dom in domids and xentrace.RUNNING in (c.old, c.new))
    assert {r.dom for r in trace.runs() if r.cpu >= 3} == set()
    close(got.of(*names), [25] * 8, 3)
    for cpu in range(3, 9):
        assert got.idle[cpu] > 99.9


def masks(text, cpus):
    """[(hard, soft, from, to)] of what repin told."""

    def cpu_set(words):
        found = set()
        for word in words.split(","):
            first, _, last = word.partition("-")
            found |= set(range(int(first), int(last or first) + 1))
        return found & cpus

    return [(cpu_set(h), cpu_set(s), int(a), int(b)) for h, s, a, b in
            re.findall(r"^hard (\S+) soft (\S+) from (\d+) to (\d+)$", text, re.M)]


def judge(trace, dom, changes):
    """What ran outside of the mask in force: begun there after the change was made, or kept on for long."""
    bad = []
    for (hard, _, begun, done), after in zip(changes, changes[1:] + [(None, None, trace.end, trace.end)]):
        for run in trace.outside(dom, hard, start=done, end=after[2]):
            if run.start > done or min(run.end, after[2]) - done > GRACE * trace.hz:
                bad.append((sorted(hard), run.cpu, trace.seconds(run.start - begun), trace.seconds(run.end - done)))
    return bad


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_mask_in_force(lab, busy):
    """Masks change about a thousand times per second: the vcpu is never on a CPU outside of the hard one."""
    lab.pool("a", "1-4")
    lab.burner("x", "a")
    for cpu in (1, 2, 3, 4) if busy else ():
        lab.burner(f"other{cpu}", "a")
    trace, text = record(lab, lambda: lab.out("repin", "x", "3000" if FULL else "1000", "1000"))
    changes = masks(text, {1, 2, 3, 4})
    assert len(changes) > 800
    bad = judge(trace, domid(lab, "x"), changes)
    print(f"masks: {len(changes)} changes, {len(trace.placements(domid(lab, 'x'), 0))} runs, {len(bad)} outside")
    assert not bad, bad[:5]


def test_soft_affinity(lab):
    """On an idle machine who has a preference is there, for nearly all the time."""
    lab.pool("a", "1-4")
    lab.burner("x", "a")
    trace, text = record(lab, lambda: lab.out("repin", "x", "100", "20000"))
    changes = masks(text, {1, 2, 3, 4})
    assert len(changes) > 80
    total = preferred = 0
    for (hard, soft, _, done), after in zip(changes, changes[1:]):
        wanted = hard & soft
        for a, b, cpu in trace.placements(domid(lab, "x"), 0, done, after[2]) if wanted else ():
            total += b - a
            preferred += b - a if cpu in wanted else 0
    print(f"soft affinity: {100 * preferred / total:.2f} % of the time where preferred")
    assert preferred > 0.95 * total

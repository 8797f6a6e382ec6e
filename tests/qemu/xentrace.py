#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads what `tarn trace save` (or xentrace) wrote, for tests.

    trace = xentrace.read("FILE")
    trace.records                    # Record(tsc, cpu, event, words), in the order of their times
    trace.placements(1, 0)           # [(from, to, cpu), ...] of domain 1's vcpu 0, in ticks of the TSC
    trace.outside(1, {0, 1})         # what of these was on any other CPU: must be empty
    trace.share(1)                   # CPU time of domain 1 over the trace's time
    trace.waits(1, 0)                # [(runnable since, running from, cpu), ...]

Strict: whatever is not as the format has it raises TraceError. Times are ticks of the TSC; hz, if
given, makes seconds of them (trace.seconds). Called as a program it prints who ran where how long.
"""
import sys
from bisect import bisect_left
from collections import defaultdict, namedtuple

LOST_RECORDS, WRAP_BUFFER, CPU_CHANGE = 0x1f001, 0x1f002, 0x1f003
RUNSTATE_CHANGE, CONTINUE_RUNNING = 0x21001, 0x21002
DOM_ADD, DOM_REM, SLEEP, WAKE, YIELD, BLOCK, SHUTDOWN = range(0x28001, 0x28008)
ADJDOM, SWITCH, INFPREV, INFNEXT, INFCONT = 0x28009, 0x2800a, 0x2800e, 0x2800f, 0x28011
DOM0_DOM_ADD, DOM0_DOM_REM = 0x41001, 0x41002
PV_TRAP, PV_PAGE_FAULT, PV_FORCED_INVALID_OP, PV_PRIVOP, PV_PTWR = (0x201103, 0x201104, 0x201105, 0x201106, 0x20110b)
PV_HYPERCALL, PV_SUBCALL = 0x20100d, 0x20200e
RUNNING, RUNNABLE, BLOCKED, OFFLINE = range(4)
IDLE = 0x7fff  # the domain of the idle vcpus

Record = namedtuple("Record", "tsc cpu event words")
Run = namedtuple("Run", "dom vcpu cpu start end")
Change = namedtuple("Change", "tsc cpu dom vcpu old new")


class TraceError(Exception):
    """Not what xentrace writes."""


def _window(words, at, end, cpu, records, last):
    """The records in words[at:end], of one CPU; returns the TSC of the last."""
    while at < end:
        head = words[at]
        event, extra, timed = head & 0xfffffff, head >> 28 & 7, head >> 31
        size = 1 + (2 if timed else 0) + extra
        if at + size > end:
            raise TraceError(f"cpu {cpu}: record {event:#x} goes beyond its window")
        if event == CPU_CHANGE:
            raise TraceError(f"cpu {cpu}: a change of CPU within a window")
        if event != WRAP_BUFFER:
            if not timed:
                raise TraceError(f"cpu {cpu}: record {event:#x} without a time")
            tsc = words[at + 1] | words[at + 2] << 32
            if tsc < last:
                raise TraceError(f"cpu {cpu}: record {event:#x} at {tsc}, which is before {last}")
            last = tsc
            records.append(Record(tsc, cpu, event, tuple(words[at + 3:at + size])))
        at += size
    return last


def parse(data):
    """All records, by time; those of one CPU keep their order."""
    if len(data) % 4:
        raise TraceError(f"{len(data)} bytes are no whole number of words")
    words = memoryview(data).cast("I")
    records, last, at = [], defaultdict(int), 0
    while at < len(words):
        if words[at] != CPU_CHANGE | 2 << 28 or at + 3 > len(words):
            raise TraceError(f"no change of CPU at byte {at * 4}: {words[at]:#x}")
        cpu, size = words[at + 1], words[at + 2]
        at += 3
        if size % 4 or at + size // 4 > len(words):
            raise TraceError(f"cpu {cpu}: a window of {size} bytes at byte {at * 4}")
        last[cpu] = _window(words, at, at + size // 4, cpu, records, last[cpu])
        at += size // 4
    records.sort(key=lambda r: r.tsc)
    return records


class Trace:
    """What happened, and what follows from it."""

    def __init__(self, records, hz=None):
        self.records, self.hz = records, hz
        self.start = records[0].tsc if records else 0
        self.end = records[-1].tsc if records else 0
        self.cpus = sorted({r.cpu for r in records})
        self.lost = sum(r.words[0] for r in records if r.event == LOST_RECORDS)
        self._runs = None

    def seconds(self, ticks):
        return ticks / self.hz

    def events(self, event):
        """The records of one event (of RUNSTATE_CHANGE: all of them)."""
        if event == RUNSTATE_CHANGE:
            return [r for r in self.records if r.event & ~0xff0 == RUNSTATE_CHANGE]
        return [r for r in self.records if r.event == event]

    def changes(self, dom=None, vcpu=None):
        """Changes of runstate."""
        found = []
        for r in self.events(RUNSTATE_CHANGE):
            who = r.words[0] >> 16, r.words[0] & 0xffff
            if dom in (None, who[0]) and vcpu in (None, who[1]):
                found.append(Change(r.tsc, r.cpu, *who, r.event >> 8 & 3, r.event >> 4 & 3))
        return found

    def runs(self):
        """Who had which CPU from when to when, all vcpus but the idle ones, by begin. What began before the trace
        counts from its CPU's first record on, what had not ended at its end until then."""
        if self._runs is None:
            self._runs = self._find_runs()
        return self._runs

    def _find_runs(self):
        done, on = [], {}  # on: cpu -> (dom, vcpu, since)

        def stop(cpu, tsc):
            who = on.pop(cpu, None)
            if who and who[0] != IDLE:
                done.append(Run(who[0], who[1], cpu, who[2], tsc))

        for r in self.records:
            if r.event == LOST_RECORDS:
                stop(r.cpu, r.words[2] | r.words[3] << 32)
            elif r.event == CONTINUE_RUNNING:
                if r.cpu not in on:
                    on[r.cpu] = (r.words[0] >> 16, r.words[0] & 0xffff, r.tsc)
            elif r.event & ~0xff0 == RUNSTATE_CHANGE:
                who, old, new = (r.words[0] >> 16, r.words[0] & 0xffff), r.event >> 8 & 3, r.event >> 4 & 3
                if old == RUNNING and new != RUNNING:
                    if r.cpu in on and on[r.cpu][:2] != who:
                        raise TraceError(f"cpu {r.cpu}: d{who[0]}v{who[1]} stops at {r.tsc}, but "
                                         f"d{on[r.cpu][0]}v{on[r.cpu][1]} runs there")
                    if r.cpu not in on and who[0] != IDLE and not self._lost_before(r):
                        done.append(Run(*who, r.cpu, self.start, r.tsc))
                    stop(r.cpu, r.tsc)
                elif new == RUNNING:
                    if r.cpu in on:
                        raise TraceError(f"cpu {r.cpu}: d{who[0]}v{who[1]} begins at {r.tsc} beside "
                                         f"d{on[r.cpu][0]}v{on[r.cpu][1]}")
                    on[r.cpu] = (*who, r.tsc)
        for cpu in list(on):
            stop(cpu, self.end)
        return sorted(done, key=lambda run: run.start)

    def _lost_before(self, record):
        """Something of that CPU was lost before, so we may not know who was there."""
        return any(r.event == LOST_RECORDS and r.cpu == record.cpu and r.tsc <= record.tsc for r in self.records)

    def vcpus(self):
        """All that ran: {(dom, vcpu)}."""
        return {(r.dom, r.vcpu) for r in self.runs()}

    def placements(self, dom, vcpu, start=None, end=None):
        """[(from, to, cpu)] of one vcpu, by time; cut to start..end if given."""
        found = []
        for r in self.runs():
            a = r.start if start is None else max(r.start, start)
            b = r.end if end is None else min(r.end, end)
            if (r.dom, r.vcpu) == (dom, vcpu) and (a < b or (start is None and end is None)):
                found.append((a, b, r.cpu))
        return found

    def outside(self, dom, cpus, vcpu=None, start=None, end=None):
        """Runs of a domain (or one vcpu) on any CPU that is not among `cpus`."""
        cpus = set(cpus)
        return [r for r in self.runs() if r.dom == dom and vcpu in (None, r.vcpu) and r.cpu not in cpus
                and (start is None or r.end > start) and (end is None or r.start < end)]

    def busy(self, dom, vcpu=None, start=None, end=None):
        """Ticks of CPU time of a domain (or one vcpu)."""
        start, end = self.start if start is None else start, self.end if end is None else end
        return sum(max(0, min(r.end, end) - max(r.start, start)) for r in self.runs()
                   if r.dom == dom and vcpu in (None, r.vcpu))

    def share(self, dom, vcpu=None, start=None, end=None):
        """The same over the time that passed: 1.0 is a whole CPU."""
        start, end = self.start if start is None else start, self.end if end is None else end
        return self.busy(dom, vcpu, start, end) / (end - start)

    def waits(self, dom, vcpu):
        """[(runnable since, running from, cpu)]: each time it waited for a CPU and got one."""
        found, since = [], None
        for c in self.changes(dom, vcpu):
            if c.new == RUNNABLE:
                since = c.tsc
            elif c.new == RUNNING and since is not None:
                found.append((since, c.tsc, c.cpu))
            if c.new != RUNNABLE:
                since = None
        return found

    def wakes(self, dom, vcpu):
        """Ticks from each wake (blocked to runnable) until it ran."""
        woken = [c.tsc for c in self.changes(dom, vcpu) if (c.old, c.new) == (BLOCKED, RUNNABLE)]
        starts = [c.tsc for c in self.changes(dom, vcpu) if c.new == RUNNING]
        return [starts[i] - t for t, i in ((t, bisect_left(starts, t)) for t in woken) if i < len(starts)]

    def overlaps(self):
        """Pairs of runs that can't be: two on one CPU, or one vcpu on two CPUs, at a time."""
        found = []
        for key in (lambda r: ("cpu", r.cpu), lambda r: (r.dom, r.vcpu)):
            before = {}
            for r in self.runs():
                if key(r) in before and before[key(r)].end > r.start:
                    found.append((before[key(r)], r))
                before[key(r)] = r
        return found


def read(path, hz=None):
    with open(path, "rb") as f:
        return Trace(parse(f.read()), hz)


def percentile(values, p):
    """The smallest value that p percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * p // 100) - 1)]


def main(path, hz=1e9):
    trace = read(path, hz)
    print(f"{len(trace.records)} records, {trace.lost} lost, {trace.seconds(trace.end - trace.start):.6f} s")
    for dom, vcpu in sorted(trace.vcpus()):
        on = defaultdict(int)
        for a, b, cpu in trace.placements(dom, vcpu):
            on[cpu] += b - a
        print(f"d{dom}v{vcpu}: {100 * trace.share(dom, vcpu):.2f} %; "
              + ", ".join(f"cpu {cpu} {trace.seconds(t):.6f} s" for cpu, t in sorted(on.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 1e9))

# SPDX-License-Identifier: MIT
"""The trace, end to end: hypervisor, control domain, host, and Debian's xenalyze as the judge of the format."""
import collections
import fcntl
import functools
import os
import re
import shutil
import subprocess

import pytest

import xentrace
from host import Machine
from tarn import BUILD, EXIT_OFF

CONTROL = 0  # the control domain's number


# ---- the judge ----


@functools.lru_cache(maxsize=1)
def find_xenalyze():
    """Path of xenalyze. As Xen is for the oracle it is fetched: what it comes with is not for every machine."""
    found = os.environ.get("XENALYZE") or shutil.which("xenalyze")
    folder = os.path.join(BUILD, "xenalyze")
    path = os.path.join(folder, "usr/bin/xenalyze")
    if found or os.path.exists(path):
        return found or path
    if not shutil.which("apt-get") or os.environ.get("TARN_NO_INSTALL"):
        return None
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # others of us may want it, too
        if not os.path.exists(path):
            subprocess.run(["apt-get", "download", "xen-utils-common"], cwd=folder, capture_output=True, check=False)
        for deb in os.listdir(folder):
            if deb.endswith(".deb"):
                subprocess.run(["dpkg-deb", "-x", os.path.join(folder, deb), folder], check=True)
    return path if os.path.exists(path) else None


# What xenalyze always tells about its own work, be the trace as it may.
CHATTER = re.compile(r"Using VMX hardware-assisted virtualization\.|"
                     r"(scan_for_new_pcpu|process_cpu_change): Activating pcpu \d+ at offset \d+|"
                     r"Creating (domain|vcpu \d+ for dom) \d+|init_pcpus: through first trace write, done for now\.|"
                     r"Using first_tsc for d\d+v\d+ \(\d+ cycles\)|"
                     r"read_record: read returned zero, deactivating pcpu \d+|"
                     r"deactivate_pcpu: (setting d\d+v\d+ to state LOST|Setting max_active_pcpu to -?\d+)|"
                     r"First schedule for d\d+v\d+ doesn't take us into a running state; leaving INIT")


def xenalyze(path, *options):
    """What it prints; it must have nothing to complain of."""
    program = find_xenalyze()
    if not program:
        pytest.skip("xenalyze can't be had")
    done = subprocess.run([program, *options, path], capture_output=True, text=True, timeout=120, errors="replace",
                          check=False)
    assert done.returncode == 0
    complaints = [line for line in done.stderr.splitlines() if not CHATTER.fullmatch(line)]
    complaints += re.findall(r"(?im)^.*(?:warning|strange|error|fixme|unknown|unexpected).*$", done.stdout)
    assert not complaints, complaints[:10]
    return done.stdout


def judge(path):
    """Both ways of reading, and what they must agree on with ours."""
    trace = xentrace.read(path)
    dump = xenalyze(path, "--dump-all")
    assert len(re.findall(r"runstate_change", dump)) == len(trace.changes())
    summary = xenalyze(path, "--summary", "--cpu-hz=1G")
    total = float(re.search(r"^Total time: ([\d.]+) seconds", summary, re.M).group(1))
    lost = [r.words[2] | r.words[3] << 32 for r in trace.events(xentrace.LOST_RECORDS)]  # to xenalyze it begins with these
    assert total == pytest.approx((trace.end - min([trace.start, *lost])) / 1e9, abs=0.02)
    assert {d for d, _ in trace.vcpus()} <= {int(d) for d in re.findall(r"^\|-- Domain (\d+) --\|", summary, re.M)}
    return trace


# ---- machines ----


class Traced(Machine):
    """A machine whose trace can be taken."""

    def start_trace(self, *options):
        self.run("trace", "start", *options)

    def stop_trace(self, check=judge):
        self.run("trace", "stop")
        return self.save(check)

    def save(self, check=judge):
        path = os.path.join(self.folder, "trace")
        self.run("--timeout", "90", "trace", "save", path, timeout=120)
        return check(path)

    def status(self):
        """{"records": [n, lost, did not fit], "bytes": [kept, limit], ...}"""
        text = self.run("trace", "status").stdout
        return {k.strip(): [int(n, 0) for n in re.findall(r"0x[0-9a-f]+|\d+", v)] if k.strip() != "trace" else v.strip()
                for k, v in (line.split(":") for line in text.splitlines())}

    def burner(self, name, *options, vcpus=1):
        """Its number."""
        self.xl("create", "burn.cfg", f'name="{name}"', f"vcpus={vcpus}", f'extra="vcpus={vcpus} seconds=3600"',
                *options)
        return int(self.out("domid", name))

    def sleep(self, ms):
        """Of the machine's own time."""
        self.run("--timeout", "300", "xl", "measure", str(ms), timeout=300)


def hz(machine):
    return float(machine.info("cpu_mhz")) * 1e6


def check_sane(trace):
    assert trace.records and not trace.lost
    assert trace.overlaps() == []
    for change in trace.changes():
        assert change.old != change.new


# ---- tests ----


@pytest.mark.alone
@pytest.mark.parametrize("smp, cpus", [("1", 1), ("2", 2), ("8,sockets=2,cores=2,threads=2", 8),
                                       ("12,sockets=2,cores=3,threads=2", 12), ("64", 64)])
def test_end_to_end(smp, cpus):
    """All events of a machine at work: domains come, compute, go."""
    with Traced(smp=smp, memory=1024 if cpus == 64 else 512) as m:
        m.start_trace()
        a = m.burner("a", vcpus=2)
        b = m.burner("b")
        m.sleep(1000)
        m.xl("destroy", "b")
        status = m.status()
        trace = m.stop_trace()
        assert status["trace"] == "on" and status["records"][1:] == [0, 0]
        check_sane(trace)
        assert trace.cpus == list(range(cpus))
        assert {(CONTROL, 0), (a, 0), (a, 1), (b, 0)} == trace.vcpus()
        for event in (xentrace.DOM_ADD, xentrace.DOM_REM, xentrace.DOM0_DOM_ADD, xentrace.DOM0_DOM_REM):
            assert b in [r.words[0] for r in trace.events(event)], hex(event)
        for event in (xentrace.SWITCH, xentrace.INFPREV, xentrace.INFNEXT, xentrace.WAKE, xentrace.BLOCK,
                      xentrace.PV_HYPERCALL, xentrace.PV_PRIVOP):
            assert trace.events(event), hex(event)


@pytest.mark.parametrize("smp", ["2", "8"])
def test_times_are_right(smp):
    """Under -icount: what the trace says of a second is what the hypervisor's books say."""
    with Traced(smp=smp, up=["--icount=4"]) as m:
        one = m.burner("one", 'cpus="1"')
        two = m.burner("two", 'cpus="1"', "cpu_weight=512")
        # in one go: a loaded host would draw it out
        m.run("put", m.file("take", "trace start -e sched\nmeasure 3000\ntrace stop\n"))
        m.run("--timeout", "300", "xl", "run", "take", timeout=300)
        trace = m.save()
        trace.hz = hz(m)
        check_sane(trace)
        assert 3.0 < trace.seconds(trace.end - trace.start) < 4.0
        assert trace.share(one) + trace.share(two) == pytest.approx(1, abs=0.002)
        assert trace.share(two) == pytest.approx(2 / 3, abs=0.02)
        # INFPREV says how long the one that leaves has run, in ns: the same as between the changes.
        told = [r.words[2] for r in trace.events(xentrace.INFPREV) if r.words[0] == two][1:]
        seen = [trace.seconds(b - a) * 1e9 for a, b, _ in trace.placements(two, 0)][1:]
        assert told and all(abs(t - s) < 20000 for t, s in zip(told, seen))
        waits = [trace.seconds(b - a) for a, b, _ in trace.waits(one, 0)]
        assert len(waits) > 10 and max(waits) < 0.2


def test_placements():
    """Where vcpus were: within their masks, and the reader sees when they were not."""
    with Traced(smp="4", up=["--icount=4"]) as m:
        d = m.burner("d", 'cpus="1-2"', vcpus=3)
        m.start_trace("-e", "runstate")
        m.sleep(1000)
        m.xl("vcpu-pin", "d", "0", "3")
        m.sleep(1000)
        trace = m.stop_trace()
        check_sane(trace)
        moved = next(c.tsc for c in trace.changes(d, 0) if c.cpu == 3 and c.new == xentrace.RUNNING)
        assert not trace.outside(d, {1, 2}, end=moved)
        assert not trace.outside(d, {3}, vcpu=0, start=moved)
        assert trace.outside(d, {1, 2}) and trace.outside(d, {1}, end=moved)
        assert {cpu for _, _, cpu in trace.placements(d, 0, start=moved)} == {3}
        assert {cpu for v in (1, 2) for _, _, cpu in trace.placements(d, v)} == {1, 2}
        # CPUs 1 and 2 are never idle, so all of it is theirs, first by three and then by two.
        assert trace.share(d, end=moved) == pytest.approx(2, abs=0.01)
        assert trace.share(d, start=moved) == pytest.approx(3, abs=0.01)


@pytest.mark.alone
def test_masks():
    """Only what was asked for, by class, subclass and CPU."""
    with Traced(smp="4") as m:
        m.burner("d", 'cpus="2"')
        expected = {"runstate": {0x21}, "0x28000": {0x28}, "pv": {0x201, 0x202}, "0x201000": {0x201},
                    "sched,dom0op": {0x21, 0x22, 0x28, 0x41}}
        for events, subclasses in expected.items():
            m.start_trace("-e", events)
            m.sleep(200)
            trace = m.stop_trace()
            assert trace.records and {r.event >> 12 for r in trace.records} <= subclasses, events
        m.start_trace("-c", "1-3,^1")
        m.sleep(300)
        trace = m.stop_trace(xentrace.read)
        assert trace.cpus and set(trace.cpus) <= {2, 3}
        for events in ("0x1000", "0x20000", "0"):  # a subclass of no class, a class without one, nothing
            m.start_trace("-e", events)
            m.sleep(100)
            assert not m.stop_trace(lambda path: os.path.getsize(path))


VALUES = [("-e", "shed"), ("-e", ""), ("-e", "sched,"), ("-e", "0x1ffffffff"), ("-c", "9"), ("-c", "x"), ("-S", "0"),
          ("-S", "513"), ("-S", "many"), ("-M", "0"), ("-M", "9999")]
USAGE = [["start", "-x"], ["start", "5"], ["start", "-e"], ["stop", "now"], ["go"], ["status", "-v"]]


def test_wrong_arguments():
    with Traced(smp="2") as m:
        for option, value in VALUES:
            done = m.run("trace", "start", option, value, status=1)
            assert f"error: trace: {option} {value}: " in done.stderr, done.stderr
        assert "error: trace: it is not on" in m.run("trace", "stop", status=1).stderr
        for words in USAGE:
            done = m.run("trace", *words, status=2)
            assert "sage: trace start" in done.stderr, (words, done.stderr)
        for words in ([], ["save"], ["save", "a", "b"], ["dump"]):
            assert "usage: tarn trace start" in m.run("trace", *words, status=125).stderr
        assert m.status()["trace"] == "off" and m.status()["rings"] == [0, 0]
        m.run("trace", "save", "/nowhere/at/all", status=125)
        m.start_trace("-S", "3")
        assert "it is on already" in m.run("trace", "start", status=1).stderr
        assert "it is on" in m.run("trace", "clear", status=1).stderr
        m.stop_trace()
        assert "-S 4: each CPU's ring was made with 3 pages" in m.run("trace", "start", "-S", "4", status=1).stderr
        m.start_trace("-S", "3")
        assert m.status()["rings"] == [2, 3]


def test_lost_records():
    """One CPU, the smallest ring, a storm of events before the control domain gets to run: what is lost is told."""
    with Traced(smp="1") as m:
        m.start_trace("-S", "1")
        m.xl("create", "ping.cfg", 'extra="role=self rounds=10000"')
        m.sleep(1000)
        status = m.status()
        trace = m.stop_trace()
        assert trace.lost > 0 and status["records"][1] > 0
        assert trace.events(xentrace.LOST_RECORDS)
        for lost in trace.events(xentrace.LOST_RECORDS):
            assert lost.words[0] > 0 and lost.words[2] | lost.words[3] << 32 <= lost.tsc


@pytest.mark.alone
def test_what_does_not_fit():
    """The control domain keeps so much and no more; the file is whole, and ends at one time on all CPUs."""
    with Traced(smp="2") as m:
        m.start_trace("-M", "1")
        m.xl("create", "ping.cfg", 'extra="role=self rounds=1000000"')
        for _ in range(100):
            m.sleep(100)
            if m.status()["records"][2]:
                break
        done = m.run("trace", "stop")
        assert re.search(r"^trace: [1-9]\d* records did not fit into 1 MiB$", done.stderr, re.M)
        records, lost, misfits = m.status()["records"]
        trace = m.save()
        assert misfits > 0 and lost == trace.lost
        assert 0.5 * (1 << 20) < os.path.getsize(os.path.join(m.folder, "trace")) <= 1 << 20
        assert len([r for r in trace.records if r.event != xentrace.LOST_RECORDS]) == records


def test_again_and_again():
    """Rings are made once; what is kept of a trace is given back."""
    with Traced(smp="4") as m:
        m.start_trace()
        m.run("trace", "stop")
        m.run("trace", "clear")
        free = m.free_pages()
        heap = int(re.search(r"heap in use: (\d+)", m.out("pages")).group(1))
        for i in range(50):
            m.start_trace("-e", "all" if i % 2 else "sched")
            m.run("trace", "stop")
        m.run("trace", "clear")
        assert m.free_pages() == free
        assert int(re.search(r"heap in use: (\d+)", m.out("pages")).group(1)) == heap
        assert m.status()["records"] == [0, 0, 0]


@pytest.mark.alone
def test_domains_come_and_go():
    with Traced(smp="4") as m:
        m.xl("life", "hello.cfg", "1")
        m.start_trace("-e", "sched,dom0op")
        out = m.out("life", "burn.cfg", "20", "vcpus=3", timeout=120)
        before, after = re.search(r"free pages (\d+) before, (\d+) after", out).groups()
        trace = m.stop_trace()
        check_sane(trace)
        counts = collections.Counter(r.event for r in trace.records)
        assert counts[xentrace.DOM_ADD] == counts[xentrace.DOM0_DOM_ADD] == 21
        assert counts[xentrace.DOM_REM] == counts[xentrace.DOM0_DOM_REM] == 21
        assert int(before) - int(after) < 4096  # what the trace keeps


@pytest.mark.alone
def test_pool_move_and_weight():
    """Both leave a record of the domain."""
    with Traced(smp="4") as m:
        d = m.burner("d")
        m.xl("cpupool-cpu-remove", "Pool-0", "3")
        m.xl("cpupool-create", 'name="side"', 'sched="credit"', 'cpus="3"')
        m.start_trace("-e", "sched")
        m.sleep(200)
        m.xl("cpupool-migrate", "d", "side")
        m.xl("sched-credit", "-d", "d", "-w", "512")
        m.sleep(300)
        trace = m.stop_trace()
        check_sane(trace)
        moved, weighed = [r.tsc for r in trace.events(xentrace.ADJDOM) if r.words[0] == d]
        assert not trace.outside(d, {0, 1, 2}, end=moved)
        assert not trace.outside(d, {3}, start=moved)
        assert moved < weighed and trace.share(d, start=moved) > 0.5


def test_from_the_boot():
    """tbuf_size=: rings of that size, on before the first domain is made."""
    with Traced(smp="2", up=["--append", "tbuf_size=16"]) as m:
        assert m.run("trace", "start", "-S", "32", status=1).stderr.count("16 pages") == 1
        assert m.status()["events"] == [0x0ffff000]
        m.start_trace("-S", "16")
        m.sleep(100)
        trace = m.stop_trace()  # what came before the control domain may be more than the rings hold
        assert trace.records and trace.overlaps() == []


def test_too_large_at_boot(boot):
    machine = boot(smp="2", memory=128, cmdline="dom0_mem=32M tbuf_size=60000", modules=["hello"])
    machine.expect_lines([r"\(tarn\) option 'tbuf_size': not enough memory for the trace\n", r"hello: ok\n"], 30)
    assert machine.wait() == EXIT_OFF


def test_a_guest_gets_no_ring(boot):
    """Every frame of the machine, asked for as Xen's and as one's own, while the trace runs."""
    machine = boot(smp="2", cmdline="dom0=none tbuf_size=2", modules=['attack name=a memory=16 cmdline="attack=trace"'])
    machine.expect_lines([r"\(d1\) attack: ok\n"], 60)
    assert machine.lines(r"attack: \d{5,} frames")
    assert not machine.lines(r"NOT refused|PANIC")
    assert machine.quit() == EXIT_OFF


@pytest.mark.alone
def test_a_reader_gone_wild(boot):
    """The control domain fills the rings with nonsense while they are written: only its trace suffers."""
    machine = boot(smp="2", cmdline="dom0_mem=32M tbuf_size=2 dom0_max_vcpus=2",
                   modules=['attack attack=trace', 'burn name=b memory=8 cmdline="seconds=3600"'])
    machine.expect_lines([r"attack: ok\n"], 60)
    assert machine.lines(r"attack: 2 rings spoilt")
    assert not machine.lines(r"NOT refused|PANIC|crashed")


# ---- the reader of traces itself ----


def window(cpu, *records):
    words = [w for r in records for w in r]
    return [xentrace.CPU_CHANGE | 2 << 28, cpu, 4 * len(words), *words]


def record(event, tsc, *words):
    return [event | len(words) << 28 | 1 << 31, tsc & 0xffffffff, tsc >> 32, *words]


def change(tsc, who, old, new):
    return record(xentrace.RUNSTATE_CHANGE | old << 8 | new << 4, tsc, who)


def parsed(*windows):
    words = [w for one in windows for w in one]
    return xentrace.Trace(xentrace.parse(b"".join(w.to_bytes(4, "little") for w in words)))


D1V0, D1V1, D2V0 = 1 << 16, 1 << 16 | 1, 2 << 16


def test_reader():
    trace = parsed(window(0, record(xentrace.CONTINUE_RUNNING, 10, D1V0), change(30, D1V0, 0, 1),
                          change(30, D2V0, 1, 0)),
                   window(1, change(40, D1V0, 1, 0), [xentrace.WRAP_BUFFER]), window(0, change(50, D2V0, 0, 2)),
                   window(1, change(60, D1V0, 0, 2), change(70, D1V0, 2, 1), change(80, D1V0, 1, 0)))
    assert trace.placements(1, 0) == [(10, 30, 0), (40, 60, 1), (80, 80, 1)]
    assert trace.placements(2, 0) == [(30, 50, 0)]
    assert trace.outside(1, {0}) == [(1, 0, 1, 40, 60), (1, 0, 1, 80, 80)]
    assert trace.outside(1, {0}, end=40) == [] and not trace.outside(1, {0, 1})
    assert trace.waits(1, 0) == [(30, 40, 1), (70, 80, 1)] and trace.wakes(1, 0) == [10]
    assert trace.share(1) == 40 / 70 and trace.busy(1, 0, 20, 45) == 15
    assert trace.overlaps() == []


def test_reader_knows_what_was_lost():
    trace = parsed(window(0, change(10, D1V0, 1, 0), record(xentrace.LOST_RECORDS, 90, 7, 1, 20, 0),
                          change(95, D2V0, 0, 1)))
    assert trace.lost == 7
    assert trace.placements(1, 0) == [(10, 20, 0)] and trace.placements(2, 0) == []


@pytest.mark.parametrize("bad", [
    [1], [0], window(0, change(1, D1V0, 0, 1))[:-1], window(0, change(5, D1V0, 0, 1), change(4, D1V0, 1, 0)),
    window(0, [xentrace.WAKE | 2 << 28, 1, 2]), window(0, record(xentrace.WAKE, 1, 2)[:-1]),
    [xentrace.CPU_CHANGE | 2 << 28, 0, 3, 0], window(0, window(1)),
])
def test_reader_is_strict(bad):
    with pytest.raises(xentrace.TraceError):
        parsed(bad)


def test_reader_sees_what_cannot_be():
    with pytest.raises(xentrace.TraceError):
        parsed(window(0, change(1, D1V0, 1, 0), change(2, D2V0, 1, 0))).runs()
    with pytest.raises(xentrace.TraceError):
        parsed(window(0, change(1, D1V0, 1, 0), change(2, D2V0, 0, 1))).runs()
    twice = parsed(window(0, change(1, D1V0, 1, 0), change(9, D1V0, 0, 1)),
                   window(1, change(5, D1V0, 1, 0), change(9, D1V0, 0, 1)))
    assert len(twice.overlaps()) == 1

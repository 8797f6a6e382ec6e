# SPDX-License-Identifier: MIT
"""The shell's words about pools, schedulers and affinities: what they print, and that what is refused says why and
leaves everything as it was."""
import difflib
import json
import re

import pytest

from host import Machine
from test_numa import backends, node, numa  # noqa: F401  pylint: disable=unused-import


SEEN = "\n".join(["cpupool-list", "cpupool-list -c", "list -c", "vcpu-list -e", "sched-credit", "sched-rtds -v all",
                  "sched-sedf -v all", "info"])


def seen(m):
    """All that these commands could change, as text without times and what runs where at this moment."""
    if not hasattr(m, "can_see"):
        m.run("put", m.file("seen", SEEN), "seen")
        m.can_see = True
    text = re.sub(r"(?m)^(?!nr_cpus|free_cpus)\w+ +: .*\n", "", m.out("run", "seen") + "\n")
    text = re.sub(r"(?m) +\d+\.\d(?= |$)", " T", text)
    return re.sub(r"(?m)^(\S+ +\d+ +\d+ +)\S+ +[-rbp]{3} ", r"\1 . ", re.sub(r"[-rb]{2}(----|-p--)", r"..", text))


@pytest.fixture(scope="module", name="furnished")
def furnished_machine():
    """Three pools beside Pool-0 and one without CPUs, CPU 7 free, a domain in each pool that has CPUs."""
    with Machine(smp="8,sockets=2,cores=2,threads=2") as m:
        m.xl("cpupool-cpu-remove", "Pool-0", "3-7")
        m.xl("cpupool-create", 'name="cr"', 'cpus="3"')
        m.xl("cpupool-create", 'name="rt"', 'sched="rtds"', 'cpus="4-5"')
        m.xl("cpupool-create", 'name="se"', 'sched="sedf"', 'cpus="6"')
        m.xl("cpupool-create", 'name="no"')
        for name, pool, vcpus in (("dc", "cr", 1), ("dr", "rt", 2), ("ds", "se", 2), ("d0", "Pool-0", 2)):
            m.xl("create", "-p", "burn.cfg", f'name="{name}"', f'pool="{pool}"', f"vcpus={vcpus}")
        yield m


# A command and a part of what it says when it is refused.
BAD = [
    ("cpupool-list nobody", "Pool 'nobody' does not exist"),
    ("cpupool-list -x", "usage"),
    ("cpupool-create", "usage"),
    ("cpupool-create missing.cfg", "missing.cfg: not there (ENOENT)"),
    ("cpupool-create hello.cfg", "unknown key 'kernel'"),
    ("cpupool-create 'cpus=\"7\"'", "command line: name: is missing"),
    ("cpupool-create 'name=\"cr\"'", 'Pool name "cr" already exists (EEXIST)'),
    ("cpupool-create 'name=\"3\"'", "name: '3' is a number"),
    ("cpupool-create 'name=\"a b\"'", "'a b' has characters other than"),
    ("cpupool-create 'name=\"x\"' 'sched=\"magic\"'", "unknown scheduler 'magic' (ENOENT)"),
    ("cpupool-create 'name=\"x\"' 'sched=\"arinc653\"' 'cpus=\"7\"'", "x: a cpupool under arinc653: not there (ENOENT)"),
    ("cpupool-create 'name=\"x\"' 'cpus=\"7,4\"'", "x: CPU 4 is not free, it is in rt (ENODEV)"),
    ("cpupool-create 'name=\"x\"' 'cpus=\"8\"'", "cpus: there is no CPU 8, the last is 7"),
    ("cpupool-create 'name=\"x\"' 'cpus=\"7\"' 'nodes=\"0\"'", "nodes: cpus is given, too"),
    ("cpupool-create 'name=\"x\"' 'nodes=\"1\"'", "nodes: there is no node 1, the last is 0"),
    ("cpupool-create 'name=\"x\"' 'cpus=\"7\"' 'sched=\"rtds\"' tslice_ms=5", "x: time slices, rate limits and weights are "
     "credit's, and it is to have rtds (EINVAL)"),
    ("cpupool-create 'name=\"x\"' 'cpus=\"7\"' tslice_ms=1 ratelimit_us=2000", "x: ratelimit 2000 us is over the tslice 1 ms"),
    ("cpupool-create 'name=\"x\"' 'cpus=\"7\"' ratelimit_us=50", "x: ratelimit 50 us: it is 0, or 100 to 500000 us"),
    ("cpupool-create 'name=\"x\"' 'cpus=\"7\"' tslice_ms=1001", "tslice_ms: must be at most 1000 (ms)"),
    ("cpupool-create 'name=\"x\"' 'move=\"up\"'", "move: 'up' is none of keep, reset"),
    ("cpupool-create 'name=\"x\"' 'hotplug=\"off\"'", "hotplug: 'off' is none of pool0, return"),
    ("cpupool-create 'nmae=\"x\"'", "unknown key 'nmae', is 'name' meant?"),
    ("cpupool-destroy", "usage"),
    ("cpupool-destroy nobody", "unknown cpupool 'nobody' (ENOENT)"),
    ("cpupool-destroy rt", "Can't destroy cpupool 'rt': it has 1 domains (EBUSY)"),
    ("cpupool-destroy Pool-0", "Can't destroy cpupool 'Pool-0': it has 2 domains (EBUSY)"),
    ("cpupool-destroy --evacuate nobody rt", "unknown cpupool 'nobody' (ENOENT)"),
    ("cpupool-destroy --evacuate rt rt", "rt: its domains can't flee to itself (EINVAL)"),
    ("cpupool-destroy --evacuate no rt", "dr to no: it has no CPU (ENOENT)"),
    ("cpupool-destroy --evacuate cr Pool-0", "Domain-0 to cr: not permitted (EPERM)"),
    ("cpupool-cpu-add", "usage"),
    ("cpupool-cpu-add nobody 7", "unknown cpupool 'nobody' (ENOENT)"),
    ("cpupool-cpu-add cr x", "x: 'x' is no CPU, range or node (EINVAL)"),
    ("cpupool-cpu-add cr 9", "there is no CPU 9, the last is 7 (EINVAL)"),
    ("cpupool-cpu-add cr 7,0", "cr: CPU 0 is not free, it is in Pool-0 (ENODEV)"),
    ("cpupool-cpu-add cr 3", "cr: CPU 3 is not free, it is in cr (ENODEV)"),
    ("cpupool-cpu-add cr node:5", "there is no node 5, the last is 0 (EINVAL)"),
    ("cpupool-cpu-add cr all,^7", "no such CPU is there for it (ENODEV)"),
    ("cpupool-cpu-remove nobody 7", "unknown cpupool 'nobody' (ENOENT)"),
    ("cpupool-cpu-remove rt 4,7", "rt: CPU 7 is not in it (EADDRNOTAVAIL)"),
    ("cpupool-cpu-remove rt 4-5", "rt: CPU 5: busy (EBUSY)"),
    ("cpupool-cpu-remove rt all", "rt: CPU 5: busy (EBUSY)"),
    ("cpupool-cpu-remove Pool-0 0", "Pool-0: CPU 0: invalid argument (EINVAL)"),
    ("cpupool-cpu-remove no all", "no such CPU is there for it (ENODEV)"),
    ("cpupool-migrate dr", "usage"),
    ("cpupool-migrate nobody cr", "nobody: no such domain"),
    ("cpupool-migrate dr nobody", "unknown cpupool 'nobody' (ENOENT)"),
    ("cpupool-migrate dr no", "dr to no: it has no CPU (ENOENT)"),
    ("cpupool-migrate --reset dr no", "dr to no: it has no CPU (ENOENT)"),
    ("cpupool-migrate Domain-0 cr", "Domain-0 to cr: not permitted (EPERM)"),
    ("cpupool-rename cr", "usage"),
    ("cpupool-rename nobody x", "unknown cpupool 'nobody' (ENOENT)"),
    ("cpupool-rename cr rt", "cr: the name rt: exists already (EEXIST)"),
    ("cpupool-rename cr 12", "the name '12' is a number (EINVAL)"),
    ("cpupool-rename cr ''", "the name '' is empty (EINVAL)"),
    ("cpupool-rename cr abcdefghijklmnopqrstuvwxyzabcdef", "is longer than 31 characters (EINVAL)"),
    ("cpupool-numa-split", "splitting not possible, already cpupools in use: cr (EBUSY)"),
    ("cpupool-numa-split --by thread", "usage"),
    ("cpupool-numa-split word", "usage"),
    ("sched-credit -d nobody", "nobody: no such domain"),
    ("sched-credit -d dr", "cpupool rt runs rtds, not credit (EINVAL)"),
    ("sched-credit -d dr -w 512", "cpupool rt runs rtds, not credit (EINVAL)"),
    ("sched-credit -d dc -w 0", "weight 0: it is 1 to 65535 (EINVAL)"),
    ("sched-credit -d dc -w 65536", "65536: not a number, or too large (EINVAL)"),
    ("sched-credit -d dc -c 101", "cap 101: it is 0 to 100 for 1 vcpus (EINVAL)"),
    ("sched-credit -d d0 -c 201", "cap 201: it is 0 to 200 for 2 vcpus (EINVAL)"),
    ("sched-credit -w 3", "Must specify a domain. (EINVAL)"),
    ("sched-credit -t 3", "Must specify schedparam to set schedule parameter values. (EINVAL)"),
    ("sched-credit -s -p nobody", "unknown cpupool 'nobody' (ENOENT)"),
    ("sched-credit -s -p rt -t 3", "cpupool rt runs rtds, not credit (EINVAL)"),
    ("sched-credit -s -p cr -t 0", "cr: tslice 0 ms: it is 1 to 1000 ms (EINVAL)"),
    ("sched-credit -s -p cr -t 1001", "cr: tslice 1001 ms: it is 1 to 1000 ms (EINVAL)"),
    ("sched-credit -s -p cr -r 99", "cr: ratelimit 99 us: it is 0, or 100 to 500000 us (EINVAL)"),
    ("sched-credit -s -p cr -r 500001", "cr: ratelimit 500001 us: it is 0, or 100 to 500000 us (EINVAL)"),
    ("sched-credit -s -p cr -t 1 -r 1001", "cr: ratelimit 1001 us is over the tslice 1 ms (EINVAL)"),
    ("sched-credit -s -p cr -m 100001", "cr: migration delay 100001 us: it is at most 100000 us (EINVAL)"),
    ("sched-credit -d dc -s", "Specifying a cpupool or schedparam is not allowed with domain options. (EINVAL)"),
    ("sched-rtds -d nobody", "nobody: no such domain"),
    ("sched-rtds -d dc", "cpupool cr runs credit, not rtds (EINVAL)"),
    ("sched-rtds -d dr -p 10000 -b 5000", "Must specify VCPU. (EINVAL)"),
    ("sched-rtds -p 10000", "Must specify a domain. (EINVAL)"),
    ("sched-rtds -v 0", "Must specify a domain. (EINVAL)"),
    ("sched-rtds -d dr -v x", "Invalid VCPU x: it is a number or all (EINVAL)"),
    ("sched-rtds -d dr -v 2 -p 10000 -b 1000", "dr: vcpu 2: the last is 1 (EINVAL)"),
    ("sched-rtds -d dr -v 0 -e 2", "Invalid extratime: 2 (EINVAL)"),
    ("sched-rtds -d dr -v 0 -p 10000 -b 11000", "dr: vcpu 0: budget 11 ms is over the period 10 ms (EINVAL)"),
    ("sched-rtds -d dr -v 1 -p 9 -b 9", "dr: vcpu 1: period 9 us is under 10 us (EINVAL)"),
    ("sched-rtds -d dr -v 1 -p 10000001", "dr: vcpu 1: period 10000001 us is over 10 s (EINVAL)"),
    ("sched-rtds -d dr -v 0 -v 1 -p 10000", "Incorrect number of period, budget and extratime"),
    ("sched-rtds -d dr -v all -p 10000 -b 10001", "budget 10001 us is over the period 10 ms (EINVAL)"),
    ("sched-rtds -d dr --cpupool=rt", "Specifying a cpupool is not allowed with other options. (EINVAL)"),
    ("sched-rtds --cpupool=nobody", "unknown cpupool 'nobody' (ENOENT)"),
    ("sched-sedf -d dr -p 20 -s 5", "cpupool rt runs rtds, not sedf (EINVAL)"),
    ("sched-sedf -d ds -v 0 -p 20 -s 21", "ds: vcpu 0: slice 21 ms is over the period 20 ms (EINVAL)"),
    ("sched-sedf -d ds -p 20 -s 0.004", "ds: vcpu 0: slice 4 us is under 5 us (EINVAL)"),
    ("sched-sedf -d ds -p 20 -s x", "Invalid budget: x (EINVAL)"),
    ("sched-sedf -d ds -w 0", "Invalid weight: 0 (EINVAL)"),
    ("sched-sedf -d ds -v all -p 20 -s 12", "CPU 6 of se can't promise 120 % of itself (ENOSPC); --force overrules"),
    ("vcpu-pin dr 0 3", "Could not set affinity for vcpu `0': invalid argument (EINVAL)"),
    ("vcpu-pin dr all 3", "Could not set affinity for vcpu `0': invalid argument (EINVAL)"),
    ("vcpu-pin dr 2 4", "Could not set affinity for vcpu `2': invalid argument (EINVAL)"),
    ("vcpu-pin dr x 4", "Invalid argument x as VCPU. (EINVAL)"),
    ("vcpu-pin dr 0 -", "neither hard nor soft affinity is given (EINVAL)"),
    ("vcpu-pin dr 0 node:1", "there is no node 1, the last is 0 (EINVAL)"),
    ("vcpu-pin -f dr all 4", "--force and 'all' as VCPU not allowed. (EINVAL)"),
    ("vcpu-list -x", "usage"),
    ("cpu-offline 4", "CPU 4: no such device (ENODEV)"),
    ("cpu-offline 0", "CPU 0: invalid argument (EINVAL)"),
    ("cpu-offline x", "x: no number of a CPU (EINVAL)"),
    ("cpu-online 8", "CPU 8: invalid argument (EINVAL)"),
    ("create -p burn.cfg 'name=\"x\"' 'pool=\"nobody\"'", "x: pool nobody: no such cpupool (ENOENT)"),
    ("create -p burn.cfg 'name=\"x\"' 'pool=\"no\"'", "x: pool no: it has no CPU (ENODEV)"),
    ("create -p burn.cfg 'name=\"x\"' 'pool=\"rt\"' 'cpus=\"1\"'", "x: cpus: vcpu 0 could run on no CPU of rt (EINVAL)"),
    ("create -p burn.cfg 'name=\"x\"' period=10000", "x: period, budget and extratime: pool Pool-0 runs credit"),
    ("create -p burn.cfg 'name=\"x\"' 'pool=\"rt\"' period=1000", "x: budget 4 ms is over the period 1 ms (EINVAL)"),
    ("create -p burn.cfg 'name=\"x\"' 'pool=\"rt\"' vcpus=2 period=10000 budget=9000",
     "CPUs of rt can't promise 260 % of 2 CPUs (ENOSPC)"),
]


def split(line):
    """Words of a shell line."""
    return [word.replace("'", "") for word in re.findall(r"(?:'[^']*'|[^ ])+", line)]


def test_refused(furnished):
    m, failed = furnished, []
    before, free = seen(m), m.free_pages()
    for line, reason in BAD:
        done = m.run("xl", *split(line), status=None)
        if done.returncode not in (1, 2) or reason not in done.stderr:
            failed.append(f"{line}: {done.returncode}\n{done.stdout}{done.stderr}")
        after = seen(m)
        if after != before:
            failed += [f"{line}: changed", *difflib.unified_diff(before.split("\n"), after.split("\n"), n=0)]
            before = after
    assert not failed, "\n".join(failed)
    assert m.free_pages() == free


def test_golden(furnished):
    m = furnished
    assert m.out("cpupool-list") == """\
Name               CPUs   Sched     Active   Domain count
Pool-0               3    credit       y          2
cr                   1    credit       y          1
rt                   2      rtds       y          1
se                   1      sedf       y          1
no                   0    credit       n          0"""
    assert m.out("cpupool-list", "-c") == """\
Name               CPU list
Pool-0             0,1,2
cr                 3
rt                 4,5
se                 6
no                 """
    assert m.out("cpupool-list", "no") == """\
Name               CPUs   Sched     Active   Domain count
no                   0    credit       n          0"""
    m.xl("sched-rtds", "-d", "dr", "-v", "1", "-p", "20000", "-b", "500", "-e", "0")
    assert m.out("sched-rtds", "-v", "all") == """\
Cpupool rt: sched=RTDS
Name                                ID VCPU    Period    Budget  Extratime
dr                                   2    0     10000      4000        yes
dr                                   2    1     20000       500         no"""
    assert m.out("sched-rtds") == """\
Cpupool rt: sched=RTDS
Name                                ID    Period    Budget  Extratime
dr                                   2     10000      4000        yes"""
    m.xl("sched-rtds", "-d", "dr", "-v", "1", "-p", "10000", "-b", "4000", "-e", "1")
    m.xl("sched-sedf", "-d", "ds", "-v", "0", "-p", "20", "-s", "2.5", "-l", "1", "-e", "0")
    m.xl("sched-sedf", "-d", "ds", "-v", "1", "-w", "3", "-e", "1")
    assert m.out("sched-sedf", "-d", "ds", "-v", "all") == """\
Name                                ID VCPU    Period     Slice   Latency     Extra Weight
ds                                   3    0        20       2.5         1        no      0
ds                                   3    1         0         0         0       yes      3"""
    assert m.out("sched-credit", "-p", "cr") == """\
Cpupool cr: tslice=30ms ratelimit=1000us migration-delay=0us
Name                                ID Weight  Cap
dc                                   1    256    0"""


def test_affinity_shown(furnished):
    """A removed CPU breaks what was pinned to it; that is marked, and over when the CPU is back."""
    m = furnished
    m.xl("vcpu-pin", "dr", "0", "5", "4")
    m.xl("vcpu-pin", "dr", "1", "all", "4")
    assert affinities(m, "dr") == ["5 / 4 5 / none", "all / 4 4-5 / 4"]
    m.xl("cpupool-cpu-remove", "rt", "5")
    assert affinities(m, "dr") == ["5 / 4 4 / none (broken)", "all / 4 4 / none"]
    assert re.search(r"^dr +\d+ +0 .* 5 / 4 \(broken\)$", m.out("vcpu-list"), re.M)
    m.xl("cpupool-cpu-add", "rt", "5")
    assert affinities(m, "dr") == ["5 / 4 5 / none", "all / 4 4-5 / 4"]
    m.xl("vcpu-pin", "dr", "all", "all", "all")
    m.xl("vcpu-pin", "dr", "0", "-", "nodes:0,^4")
    assert affinities(m, "dr") == ["all / 0-3,5-7 4-5 / 5", "all / all 4-5 / none"]
    m.xl("vcpu-pin", "dr", "all", "all", "all")


def affinities(m, name):
    lines = re.findall(rf"^{name} .*? \d+\.\d  (.*)$", m.out("vcpu-list", "-e", name), re.M)
    return [re.sub(r" +", " ", line) for line in lines]


def test_admission(furnished):
    m = furnished
    words = ["sched-rtds", "-d", "dr", "-v", "all", "-p", "10000"]
    assert "ENOSPC" in m.xl("create", "-p", "burn.cfg", 'pool="rt"', 'name="y"', "period=10000", "budget=10000", "vcpus=2",
                            status=1).stderr
    m.xl("create", "-p", "burn.cfg", 'pool="rt"', 'name="y"', "period=10000", "budget=6000", "vcpus=2")
    before = seen(m)
    done = m.xl(*words, "-b", "5000", status=1)
    assert "CPUs of rt can't promise 220 % of 2 CPUs (ENOSPC); --force overrules" in done.stderr
    assert seen(m) == before
    m.xl(*words, "-b", "5000", "--force")
    assert len(re.findall(r"^dr +\d+ +[01] +10000 +5000 ", m.out("sched-rtds", "-v", "all"), re.M)) == 2
    # one gives what the other gets
    m.xl("sched-rtds", "-d", "dr", "-v", "1", "-v", "0", "-p", "10000", "-p", "10000", "-b", "7000", "-b", "1000")
    m.xl(*words, "-b", "4000")
    m.xl("destroy", "y")


def test_new_pools(furnished):
    """Attributes from a file and from the command line, and what a pool's domains make of them."""
    m = furnished
    m.run("put", m.file("x.pool", '# a pool\nname = "file"\nsched = "credit"\ncpus = ["7"]\ntslice_ms = 5\n'
                        'weight_mode = "vcpu"\nmove = "reset"\n'), "x.pool")
    dry = m.out("cpupool-create", "-n", "x.pool", 'name="x"')
    assert dry == 'Using config file "x.pool"\ncpupool name:   x\nscheduler:      credit\nnumber of cpus: 1'
    assert "x" not in m.out("cpupool-list").split()
    m.xl("cpupool-create", "x.pool", 'name="x"', "ratelimit_us=0", "migr_delay_us=50")
    assert m.out("sched-credit", "-s", "-p", "x") == "Cpupool x: tslice=5ms ratelimit=0us migration-delay=50us"
    m.xl("sched-credit", "-d", "dc", "-w", "512", "-c", "40")
    m.xl("cpupool-migrate", "dc", "Pool-0")
    assert re.search(r"^dc +\d+ +512 +40$", m.out("sched-credit"), re.M)
    m.xl("cpupool-migrate", "dc", "x")  # move="reset"
    assert re.search(r"^dc +\d+ +256 +0$", m.out("sched-credit"), re.M)
    m.xl("sched-credit", "-d", "dc", "-w", "512")
    m.xl("cpupool-migrate", "--reset", "dc", "cr")
    assert re.search(r"^dc +\d+ +256 +0$", m.out("sched-credit"), re.M)
    m.xl("sched-credit", "-d", "dc", "-w", "512")
    m.xl("cpupool-destroy", "--evacuate", "x", "cr")  # into a pool that resets
    assert re.search(r"^dc +\d+ +256 +0$", m.out("sched-credit"), re.M)
    assert re.search(r"^x +1 +credit +y +1$", m.out("cpupool-list"), re.M)
    assert m.info("free_cpus") == "1"
    m.xl("cpupool-create", 'name="cr"', 'nodes="0"')  # the free ones of it
    m.xl("cpupool-destroy", "--evacuate", "cr", "x")
    assert re.search(r"^cr +3$", m.out("cpupool-list", "-c"), re.M)


def test_hotplug():
    with Machine(smp="4") as m:
        m.xl("cpupool-cpu-remove", "Pool-0", "3")
        m.xl("cpu-offline", "2")
        m.xl("cpu-offline", "3")
        assert m.out("cpupool-list", "-c").split()[-1] == "0,1"
        assert "CPU 3 is not free, it is offline (ENODEV)" in m.xl("cpupool-cpu-add", "Pool-0", "3", status=1).stderr
        m.xl("cpu-online", "3")
        m.xl("cpu-online", "2")
        assert m.out("cpupool-list", "-c").split()[-1] == "0,1,2,3"


@pytest.mark.parametrize("by, names, lists", [
    ("socket", ["socket0", "socket1"], ["0,1,2,3", "4,5,6,7"]),
    ("core", ["core0", "core1", "core2", "core3"], ["0,1", "2,3", "4,5", "6,7"]),
    ("node", ["node0"], ["0,1,2,3,4,5,6,7"])])
def test_split(by, names, lists):
    """One pool becomes many, or a failure on the way leaves the one."""
    with Machine(smp="8,sockets=2,cores=2,threads=2") as m:
        m.xl("create", "-p", "burn.cfg", "vcpus=2")
        before = seen(m)
        tries(m, before, "cpupool-numa-split", "--by", by)
        assert m.out("cpupool-list", "-c").split()[3:] == [w for n, c in zip(names, lists) for w in ("Pool-" + n, c)]
        assert m.out("list", "-c").count("Pool-" + names[0]) == 2


def tries(m, before, *words, whose=()):
    """Has the hypervisor's (-c: the control domain's) first allocation fail, then the second, ... until the command
    gets by; each failure leaves all as it was. How many failed."""
    free = m.free_pages()
    for n in range(1, 100):
        m.xl("fail-allocation", *whose, str(n))
        done = m.xl(*words, status=None)
        while m.xl("fail-allocation", *whose, "0", status=None).returncode:
            pass  # the order was still out, and struck this request
        if done.returncode == 0:
            return n - 1
        assert "ENOMEM" in done.stderr or whose and "out of memory" in done.stderr, done.stderr
        assert seen(m) == before, done.stderr
        assert m.free_pages() == free, n
    raise AssertionError("it never gets by")


def test_out_of_memory():
    with Machine(smp="4") as m:
        m.xl("cpupool-cpu-remove", "Pool-0", "2-3")
        before = seen(m)
        assert tries(m, before, "cpupool-create", 'name="a"', 'cpus="2-3"', "tslice_ms=3") > 0
        assert re.search(r"^a +2,3$", m.out("cpupool-list", "-c"), re.M)
        for i in range(3):
            m.xl("create", "-p", "burn.cfg", f'name="b{i}"', 'pool="a"')
        tries(m, seen(m), "cpupool-destroy", "--evacuate", "Pool-0", "a")
        assert m.out("list", "-c").count("Pool-0") == 4
        before = seen(m)
        assert tries(m, before, "vcpu-pin", "b0", "all", "0", whose=["-c"]) > 0
        m.xl("cpupool-cpu-add", "Pool-0", "all")
        assert tries(m, seen(m), "cpupool-numa-split", "--by", "core", whose=["-c"]) > 0
        assert m.out("cpupool-list").count("Pool-core") == 4


def test_placing(numa):  # noqa: F811  pylint: disable=redefined-outer-name
    """Two guests for each of two nodes; who says where it wants to be is left alone. test_xl.py has the same of xl."""
    m = numa(backends([256, 256]) + node(0, "0-1") + node(1, "2-3"), smp="4,sockets=2", memory=512)
    for i in range(4):
        m.xl("create", "-p", "hello.cfg", f'name="g{i}"', "vcpus=2")
    soft = [affinities(m, f"g{i}")[0].split(" ")[2] for i in range(4)]
    assert sorted(soft) == ["0-1", "0-1", "2-3", "2-3"] and soft[0] != soft[1]
    m.xl("create", "-p", "hello.cfg", 'name="big"', "vcpus=3")
    m.xl("create", "-p", "hello.cfg", 'name="pinned"', 'cpus="2"')
    m.xl("create", "-p", "hello.cfg", 'name="soft"', 'cpus_soft="nodes:1,^3"')
    m.xl("create", "-p", "hello.cfg", 'name="pool"', 'pool="Pool-0"')
    assert [affinities(m, n)[0].split(" ")[:3] for n in ("big", "pinned", "soft", "pool")] == [
        ["all", "/", "all"], ["2", "/", "all"], ["all", "/", "2"], ["all", "/", "all"]]


@pytest.mark.parametrize("by, up", [("node", "0-1"), ("core", "0")])
def test_split_of_domain_0(numa, by, up):  # noqa: F811  pylint: disable=redefined-outer-name
    """Domain 0 keeps as many vcpus as its new pool has CPUs."""
    m = numa(backends([256, 256]) + node(0, "0-1") + node(1, "2-3"), append="dom0_max_vcpus=4", smp="4,sockets=2",
             memory=512)
    m.xl("cpupool-numa-split", "--by", by)
    after = json.loads(m.out("list", "-l", "Domain-0"))[0]["config"]["b_info"]["avail_vcpus"]
    assert after == {"0-1": [0, 1], "0": [0]}[up]

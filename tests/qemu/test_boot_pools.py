# SPDX-License-Identifier: MIT
"""cpupool= on the hypervisor's command line, and pool= of boot modules: pools that are there before anyone is."""
import re

import pytest

import wrapped
from tarn import EXIT_OFF

SMP = "8,sockets=2,cores=2,threads=2"


def said(machine):
    """What the boot log says of pools, without the command line."""
    return [line for line in machine.lines(r"^\(tarn\) .*(cpupool|scheduler)") if "command line:" not in line]


def hello(boot, cmdline, modules=(), smp="4"):
    machine = boot(smp=smp, cmdline=cmdline, modules=["hello", *modules])
    machine.expect(r"^hello: ok\n")
    return machine


GOOD = [
    ("cpupool=a:cpus=1", ["Pool-0: 3 cpus, scheduler credit", "a: 1 cpus, scheduler credit"]),
    ("cpupool=a:cpus=1-3", ["Pool-0: 1 cpus, scheduler credit", "a: 3 cpus, scheduler credit"]),
    ("cpupool=a:cpus=1,3", ["Pool-0: 2 cpus, scheduler credit", "a: 2 cpus, scheduler credit"]),
    ("cpupool=a:sched=rtds,cpus=2-3,^2", ["Pool-0: 3 cpus, scheduler credit", "a: 1 cpus, scheduler rtds"]),
    ("cpupool=b:cpus=3,sched=null cpupool=a:cpus=1,sched=sedf",
     ["Pool-0: 2 cpus, scheduler credit", "b: 1 cpus, scheduler null", "a: 1 cpus, scheduler sedf"]),
    ("cpupool=a:cpus=2,tslice_ms=5,ratelimit_us=0", ["Pool-0: 3 cpus, scheduler credit", "a: 1 cpus, scheduler credit"]),
    ("sched=null cpupool=a:cpus=2", ["Pool-0: 3 cpus, scheduler null", "a: 1 cpus, scheduler null"]),
    ("maxcpus=2 cpupool=a:cpus=1", ["Pool-0: 1 cpus, scheduler credit", "a: 1 cpus, scheduler credit"]),
]


@pytest.mark.parametrize("options,log", GOOD)
def test_good(boot, options, log):
    machine = hello(boot, options)
    assert said(machine) == ["(tarn) " + line for line in log]
    # dom0 has a vcpu for each CPU of its pool
    assert machine.lines(rf"^hello: vcpus {log[0].split()[1]} ")
    assert machine.wait() == EXIT_OFF


BAD = [
    ("cpupool", "option 'cpupool' needs a value"),
    ("cpupool=", "'': not NAME:cpus=LIST"),
    ("cpupool=a", "'a': not NAME:cpus=LIST"),
    ("cpupool=:cpus=1", "':cpus=1': the name has 1 to 31 characters"),
    ("cpupool=Pool-0:cpus=1", "names with Pool- are given by number"),
    ("cpupool=a:sched=null", "cpus= is missing"),
    ("cpupool=a:cpus=1,weight=2", "unknown option 'weight'"),
    ("cpupool=a:cpus=4", "there is no CPU 4, the last is 3"),
    ("cpupool=a:cpus=3-1", "range '3-1' runs backwards"),
    ("cpupool=a:cpus=x", "'x' is no CPU, range or node"),
    ("cpupool=a:cpus=node:1", "there is no node 1, the last is 0"),
    ("cpupool=a:cpus=all", "cpu 0 stays in Pool-0"),
    ("cpupool=a:cpus=0", "cpu 0 stays in Pool-0"),
    ("cpupool=a:cpus=1,sched=magic", "there is no scheduler 'magic'"),
    ("cpupool=a:cpus=1,tslice_ms=0", "'tslice_ms': '0' is not a number from 1 to 1000"),
    ("cpupool=a:cpus=1,ratelimit_us=5", "'ratelimit_us': '5': neither 0 nor"),
    ("cpupool=a:cpus=1,tslice_ms=1,ratelimit_us=2000", "the rate limit is longer than the time slice"),
    ("maxcpus=2 cpupool=a:cpus=2", "there is no CPU 2, the last is 1"),
]


@pytest.mark.parametrize("options,reason", BAD)
def test_bad(boot, options, reason):
    """One line, and the machine boots without that pool, but with the next."""
    machine = hello(boot, options + " cpupool=good:cpus=1")
    lines = said(machine)
    assert len(lines) == 3 and reason in lines[0], lines
    assert lines[2] == "(tarn) good: 1 cpus, scheduler credit"
    assert machine.wait() == EXIT_OFF


@pytest.mark.parametrize("second,reason", [("a:cpus=3", "there is a pool 'a'"), ("b:cpus=2-3", "cpu 2 is in another pool")])
def test_twice(boot, second, reason):
    machine = hello(boot, f"cpupool=a:cpus=1-2 cpupool={second}")
    assert len(said(machine)) == 3 and reason in said(machine)[0]
    assert machine.wait() == EXIT_OFF


def test_a_pool_for_each_cpu(boot):
    """There may be twice as many as CPUs, so with one CPU each there is always room."""
    machine = hello(boot, " ".join(f"cpupool=p{n}:cpus={n}" for n in range(1, 8)), smp="8")
    assert len(said(machine)) == 8
    assert machine.wait() == EXIT_OFF


def test_modules_of_pools(boot):
    """A module whose pool isn't there, or has none of its CPUs, is refused; the others boot."""
    machine = boot(smp="4", cmdline="cpupool=a:cpus=2-3,sched=null",
                   modules=["hello linger=2", "hello name=in memory=8 pool=a", "hello name=no memory=8 pool=b",
                            "hello name=off memory=8 pool=a cpus=1", "hello name=on memory=8 pool=a cpus=1-2"])
    machine.expect(r"domain 2 \(no\) refused: there is no pool 'b'\n")
    machine.expect(r"domain 3 \(off\) refused: cpus= names no cpu of a\n")
    machine.expect_lines([r"^hello: ok\n", r"\(d1\) hello: ok\n", r"\(d4\) hello: ok\n"])
    assert machine.wait() == EXIT_OFF


@pytest.mark.alone
def test_they_run_only_there(tmp_path, monkeypatch):
    burn = 'cmdline="vcpus=3 seconds=3600"'
    modules = [f"burn name=one memory=8 vcpus=3 pool=fast {burn}", f"burn name=two memory=8 vcpus=3 pool=slow {burn}",
               f"burn name=three memory=8 vcpus=3 {burn}"]
    m = wrapped.machine(tmp_path, monkeypatch, modules=modules, smp=SMP,
                        append="cpupool=fast:cpus=4-5,sched=credit,tslice_ms=5 cpupool=slow:cpus=7,sched=sedf")
    try:
        assert re.findall(r"^(\S+) +([\d,]+)$", m.out("cpupool-list", "-c"), re.M) == [
            ("Pool-0", "0,1,2,3,6"), ("fast", "4,5"), ("slow", "7")]
        assert re.findall(r"^(\S+) +\d+ +(\S+) ", m.out("cpupool-list"), re.M) == [
            ("Pool-0", "credit"), ("fast", "credit"), ("slow", "sedf")]
        assert "Cpupool fast: tslice=5ms" in m.out("sched-credit", "-s", "-p", "fast")
        seen, times = {}, {}
        for _ in range(20):
            for name, cpu, time in re.findall(r"^(\S+) +\d+ +\d+ +(\d+|-) +\S+ +([\d.]+)", m.out("vcpu-list"), re.M):
                seen.setdefault(name, set()).add(cpu)
                times[name] = max(times.get(name, 0), float(time))
        assert seen["one"] <= {"4", "5", "-"} and seen["two"] <= {"7", "-"}
        assert seen["three"] <= {"0", "1", "2", "3", "6", "-"}
        assert min(times[name] for name in ("one", "two", "three")) > 0
    finally:
        m.close()

# SPDX-License-Identifier: MIT
"""Who is in whose way: `advise`, and the commands that it recommends; CPUs that domain 0 has for itself."""
import json
import re

import pexpect
import pytest

from host import TARN, Machine
from lab import Lab
from tarn import SCALE


def advices(m):
    return [(a["kind"], a.get("command", "")) for a in json.loads(m.out("advise", "-j", "-t", "300"))]


def affinity(m, name):
    """What vcpu-list shows of each vcpu: hard / soft."""
    return [re.sub(" +", " ", line) for line in re.findall(rf"^{name} .*? \d+\.\d  (.*)$", m.out("vcpu-list", name), re.M)]


@pytest.fixture(scope="module", name="machine")
def one_machine():
    with Machine(smp="8,sockets=2,cores=2,threads=2", up=["--icount=4"]) as m:
        yield m


@pytest.fixture(name="m")
def clean_machine(machine):
    yield machine
    names = re.findall(r"^(\S+) +[1-9]\d* ", machine.out("list"), re.M)
    for name in names:
        machine.xl("destroy", name)
    for name in re.findall(r"^(\S+) .* [yn] +0$", machine.out("cpupool-list"), re.M):
        machine.xl("cpupool-destroy", name)
    machine.xl("cpupool-cpu-add", "Pool-0", "all", status=None)
    machine.xl("dom0-isolate", "0")
    machine.xl("vcpu-pin", "-f", "Domain-0", "0", "all")


def burner(m, name, *words, vcpus=1):
    m.xl("create", "burn.cfg", f'name="{name}"', f"vcpus={vcpus}", f'extra="seconds=100000 vcpus={vcpus}"', *words)


def follow(m, found):
    """Does what is recommended."""
    for _, command in found:
        for part in command.split("; "):
            m.xl(*part.split())


def test_nothing(m):
    assert m.out("advise", "-t", "100") == "nothing to advise"
    assert json.loads(m.out("advise", "-j", "-t", "100")) == []
    burner(m, "a")
    assert advices(m) == []
    assert "usage" in m.xl("advise", "-x", status=2).stderr
    assert "usage" in m.xl("advise", "word", status=2).stderr
    assert "usage" in m.xl("advise", "-t", "x", status=2).stderr


def test_in_the_way(m):
    """Each finding goes away by the command that it comes with."""
    m.xl("vcpu-pin", "Domain-0", "0", "0")
    burner(m, "a", 'cpus="2"', vcpus=2)
    burner(m, "b", 'cpus="3"')
    burner(m, "c", 'cpus="0"')
    found = advices(m)
    assert [kind for kind, _ in found] == ["same-cpu", "shared-core", "dom0-shares"]
    assert found[2][1] == "dom0-isolate 2"
    assert re.search(r"^a: vcpus 0-1 can run on CPU 2 only: .* \(vcpu-pin a 1 \d\)$", m.out("advise"), re.M)
    follow(m, found)
    assert [kind for kind, _ in advices(m)] in ([], ["shared-core"])  # those two may have got a core in common


def test_pools(m):
    m.xl("cpupool-cpu-remove", "Pool-0", "5-7")
    m.xl("cpupool-create", 'name="rt"', 'sched="rtds"', 'cpus="5-6"')
    m.xl("cpupool-create", 'name="empty"')
    m.xl("create", "-p", "burn.cfg", 'name="r"', 'pool="rt"', "vcpus=1", 'cpus="6"')
    m.xl("sched-rtds", "-d", "r", "-v", "all", "-p", "10000", "-b", "10000")
    burner(m, "b", 'pool="rt"', vcpus=2)  # 4 ms of 10 each
    m.xl("cpupool-cpu-remove", "rt", "6")
    found = advices(m)
    assert found == [("too-many-vcpus", "cpupool-cpu-add rt 7"), ("broken", "cpupool-cpu-add rt 6"),
                     ("split-core", "cpupool-cpu-remove Pool-0 4; cpupool-cpu-add rt 4"),
                     ("over-committed", "cpupool-cpu-add rt 6"), ("no-cpu", "cpupool-cpu-add empty 6")]
    follow(m, found[1:3])
    assert [f for f in advices(m) if f[0] != "split-core"] == [("no-cpu", "cpupool-cpu-add empty 7")]


def test_isolate(m):
    """Domain 0's CPUs are its own; whoever comes is kept off, and in the end all is as it was."""
    burner(m, "a", vcpus=2)
    burner(m, "b", 'cpus="0-1"')
    burner(m, "c", 'cpus="3,5"')
    before = {name: affinity(m, name) for name in ("Domain-0", "a", "b", "c")}
    m.xl("dom0-isolate", "1")
    warning = m.xl("dom0-isolate", "1").stderr
    assert "CPUs 0 and 1 are threads of one core" in warning
    assert not m.xl("dom0-isolate", "2").stderr
    assert [affinity(m, n) for n in ("Domain-0", "a", "b", "c")] == [
        ["0-1 / all"], ["2-7 / all"] * 2, ["2-7 / all"], ["3,5 / all"]]
    m.xl("cpupool-cpu-remove", "Pool-0", "7")
    m.xl("cpupool-create", 'name="x"', 'cpus="7"')
    burner(m, "new")
    burner(m, "else", 'pool="x"')
    burner(m, "named", 'cpus="1"')
    assert [affinity(m, n) for n in ("new", "else", "named")] == [["2-7 / all"], ["all / all"], ["1 / all"]]
    m.xl("cpupool-migrate", "else", "Pool-0")
    assert affinity(m, "else") == ["2-7 / all"]
    m.xl("vcpu-pin", "new", "0", "4")  # from now on it is the operator's
    m.xl("dom0-isolate", "0")
    assert {name: affinity(m, name) for name in before} == before
    assert [affinity(m, n) for n in ("new", "else", "named")] == [["4 / all"], ["all / all"], ["1 / all"]]


def test_isolate_refused(m):
    m.xl("create", "-p", "burn.cfg", 'name="a"')
    m.xl("vcpu-pin", "Domain-0", "0", "all")
    lists = m.out("vcpu-list", "-e").count("all / all")
    for words, why in ((["8"], "8: Pool-0 has 8 CPUs, so domain 0 can have 0 to 7 for itself (EINVAL)"),
                       (["x"], "x: no number of CPUs (EINVAL)"), ([], "usage"), (["1", "2"], "usage")):
        assert why in m.xl("dom0-isolate", *words, status=None).stderr
        assert m.out("vcpu-list", "-e").count("all / all") == lists
    assert m.out("-N", "dom0-isolate", "2") == "domain 0: 0-1\nothers of Pool-0: 2-7"
    m.xl("pin-override", "3")  # domain 0's vcpu can't be pinned
    assert "Domain-0: vcpu 0: busy (EBUSY)" in m.xl("dom0-isolate", "1", status=1).stderr
    assert affinity(m, "a") == ["all / all"]
    m.xl("pin-override", "none")
    # the last allocation may fail, and the one before: all of them once
    for n in range(1, 20):
        m.xl("fail-allocation", "-c", str(n))
        done = m.xl("dom0-isolate", "1", status=None)
        m.xl("fail-allocation", "-c", "0", status=None)
        assert affinity(m, "a") == (["1-7 / all"] if done.returncode == 0 else ["all / all"])
        if done.returncode == 0:
            break
    assert n > 1


def test_override(m):
    """An affinity can't be changed under an override, unless by force; it is shown, and what was given is kept."""
    m.xl("vcpu-pin", "Domain-0", "0", "0-2", "1")
    m.xl("pin-override", "3")
    assert affinity(m, "Domain-0") == ["3 / 1 (override)"]
    assert re.search(r" 0-2 / 1 +3 / none \(override\)$", m.out("vcpu-list", "-e", "Domain-0"), re.M)
    assert "busy (EBUSY)" in m.xl("pin-override", "4", status=1).stderr
    assert "busy (EBUSY)" in m.xl("vcpu-pin", "Domain-0", "0", "4", status=1).stderr
    m.xl("pin-override", "none")
    assert affinity(m, "Domain-0") == ["0-2 / 1"]
    assert "invalid argument (EINVAL)" in m.xl("pin-override", "none", status=1).stderr
    m.xl("pin-override", "3")
    m.xl("vcpu-pin", "-f", "Domain-0", "0", "4", "all")
    assert affinity(m, "Domain-0") == ["4 / all"]
    assert "usage" in m.xl("pin-override", "x", status=2).stderr


def test_hotplug(m):
    """CPUs come back into the pool that wants them back, and else into Pool-0."""
    m.xl("cpupool-cpu-remove", "Pool-0", "6-7")
    m.xl("cpupool-create", 'name="back"', 'cpus="7"', 'hotplug="return"')
    m.xl("cpupool-create", 'name="away"', 'cpus="6"', 'hotplug="pool0"')
    for cpu, pool in (("7", "back"), ("6", "away")):
        m.xl("cpupool-cpu-remove", pool, cpu)
        m.xl("cpu-offline", cpu)
        m.xl("cpu-online", cpu)
    assert m.out("cpupool-list", "-c").split("\n")[1:] == [
        "Pool-0             0,1,2,3,4,5,6", "back               7", "away               "]


def test_shares_elsewhere(m):
    """Weight and cap of a domain file are the domain's in every pool, and count when it comes into one of credit's."""
    m.xl("cpupool-cpu-remove", "Pool-0", "4-7")
    for i, sched in enumerate(["rtds", "null", "sedf", "rr"]):
        m.xl("cpupool-create", f'name="{sched}"', f'sched="{sched}"', f'cpus="{4 + i}"')
        m.xl("create", "-p", "burn.cfg", f'name="d{sched}"', f'pool="{sched}"', "cpu_weight=512", "cap=40")
        assert f"cpupool {sched} runs {sched}, not credit" in m.xl("sched-credit", "-d", f"d{sched}", status=1).stderr
        m.xl("cpupool-migrate", f"d{sched}", "Pool-0")
        assert re.search(rf"^d{sched} +\d+ +512 +40$", m.out("sched-credit"), re.M)
    m.xl("create", "-p", "burn.cfg", 'name="s"', 'pool="sedf"', "cpu_weight=300", "period=20000", "budget=5000")
    assert re.search(r"^s +\d+ +20 +5 +0 +yes +0$", m.out("sched-sedf"), re.M)
    m.xl("create", "-p", "burn.cfg", 'name="w"', 'pool="sedf"', "cpu_weight=300")
    assert re.search(r"^w +\d+ +\d+ +\d+ +0 +\w+ +300$", m.out("sched-sedf"), re.M)


def test_completion(m):
    """TAB knows pools where a command takes one."""
    m.xl("cpupool-create", 'name="quick"')
    m.xl("create", "-p", "burn.cfg", 'name="quality"')
    child = pexpect.spawn(TARN, ["--name", m.name, "console", "Domain-0"], env=m.env, timeout=30 * SCALE,
                          encoding="utf-8", codec_errors="replace")
    assert child.waitnoecho(30 * SCALE)  # from then on ^C is a key
    for typed, shown in (("cpupool-destroy qu\t", "cpupool-destroy quick "),
                         ("cpupool-migrate qu\t", "cpupool-migrate quality "),
                         ("quic\t", "quick "),
                         ("xl sched-credit -p qu\t", "xl sched-credit -p quick "),
                         ("xl sched-credit -d qu\t", "xl sched-credit -d quality "),
                         ("vcpu-list qu\t", "vcpu-list quality ")):
        if not typed.startswith("quic"):
            child.send("\x03")
            child.expect("tarn# ")
        child.send(typed)
        child.expect_exact(shown)
    child.send("\x03")
    child.close(force=True)


def test_lock_holder():
    """Two vcpus that pass a lock to and fro by spinning: on one CPU each pass takes a time slice."""
    with Lab(cpus=4, pools=False) as m:
        rounds = {}
        for cpus in ("3", "2-3"):
            m.xl("create", "smp.cfg", f'cpus="{cpus}"', "vcpus=2", 'extra="spin seconds=2"', 'on_poweroff="preserve"')
            for _ in range(30):
                m.xl("sleep", "1")
                if "smp: ok" in m.console("smp"):
                    break
            rounds[cpus] = [int(n) for n in re.findall(r"the lock changed hands (\d+) times", m.console("smp"))][-1]
            m.xl("destroy", "smp")
        print("lock changed hands", rounds)
        assert 20 <= rounds["3"] <= 100
        assert rounds["2-3"] >= 10 * rounds["3"]

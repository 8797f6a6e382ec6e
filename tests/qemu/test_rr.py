# SPDX-License-Identifier: MIT
"""Round robin, the example of docs/scheduling.md, on a machine: the page's own commands."""
import re

from host import Machine


def shares(m, seconds):
    table = m.out("top", "-b", "-n", "2", "-d", str(seconds)).split("NAME")[-1]
    return {name: float(share) for name, share in re.findall(r"^ *(\S+) +\S+ +\d+ +(\d+\.\d) ", table, re.M)}


def burn(m, name, *words):
    m.xl("create", "guests/control/files/burn.cfg", f'name="{name}"', 'pool="rr"', *words)


def test_round_robin():
    """Turns; by hard affinity; with a CPU more or less."""
    with Machine(smp="4", up=["--icount=4"]) as m:
        m.xl("cpupool-cpu-remove", "Pool-0", "2-3")
        m.xl("cpupool-create", 'name="rr"', 'sched="rr"', 'cpus="3"')
        assert re.search(r"^rr +1 +rr +y +0$", m.out("cpupool-list"), re.M)
        burn(m, "a")
        burn(m, "b")
        s = shares(m, 6)
        assert abs(s["a"] - 50) < 2 and abs(s["b"] - 50) < 2, s
        m.xl("cpupool-cpu-add", "rr", "2")
        s = shares(m, 2)
        assert s["a"] > 98 and s["b"] > 98, s
        burn(m, "c", 'cpus="2"')
        burn(m, "d", 'cpus="2"')
        m.xl("vcpu-pin", "a", "0", "3")
        m.xl("vcpu-pin", "b", "0", "3")
        s = shares(m, 6)
        assert all(abs(s[name] - 50) < 2 for name in "abcd"), s
        m.xl("cpupool-cpu-remove", "rr", "3")
        s = shares(m, 6)
        assert all(abs(s[name] - 25) < 2 for name in "abcd"), s
        assert "EINVAL" in m.xl("sched-credit", "-d", "a", "-w", "512", status=1).stderr


def test_boots_with_it():
    """Pool-0 under round robin: domain 0 and its shell live with a burner on the only CPU."""
    with Machine(smp="1", up=["--icount=4", "--append", "sched=rr"]) as m:
        assert re.search(r"^Pool-0 +1 +rr +y +1$", m.out("cpupool-list"), re.M)
        m.xl("create", "guests/control/files/burn.cfg", 'name="a"')
        assert shares(m, 3)["a"] > 80

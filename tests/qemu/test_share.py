# SPDX-License-Identifier: MIT
"""The credit scheduler's promises, measured by the guests in time that does not depend on the host."""
import pytest

from tarn import EXIT_OFF

NO_DOM0 = "dom0=none"


def burner(name, seconds, config="", args=""):
    return f'burn name={name} memory=4 {config} cmdline="seconds={seconds} {args}"'


def shares(machine, count, timeout=120):
    """Per cent of one CPU over the whole run, by domain id; of several vcpus all together."""
    got = {}
    while len(got) < count:
        domain, share = machine.expect(r"\(d(\d+)\) burn: share over [\d.]+ s: ([\d.]+)[^\d.]", timeout).groups()
        got[int(domain)] = float(share)
    return [got[d] for d in sorted(got)]


def run(boot, modules, smp="1", icount=6):
    machine = boot(smp=smp, icount=icount, cmdline=NO_DOM0, modules=modules)
    got = shares(machine, len(modules))
    assert machine.quit() == EXIT_OFF
    return got


def test_weights(boot):
    """256 to 512 on one pcpu over a minute."""
    light, heavy = run(boot, [burner("light", 60, "weight=256"), burner("heavy", 60, "weight=512")])
    assert light == pytest.approx(33.3, abs=1)
    assert heavy == pytest.approx(66.7, abs=1)


def test_equal_weights(boot):
    assert run(boot, [burner(n, 30) for n in "abc"]) == pytest.approx([33.3] * 3, abs=1)


def test_weight_is_a_domain_s(boot):
    """Two vcpus share their domain's weight: they get as much together as the other one alone."""
    one, two = run(boot, [burner("one", 30), burner("two", 30, "vcpus=2", "vcpus=2")])
    assert one == pytest.approx(50, abs=2)
    assert two == pytest.approx(50, abs=2)


@pytest.mark.parametrize("cap", [10, 50])
def test_cap(boot, cap):
    """No more than that, even of an idle CPU."""
    [share] = run(boot, [burner("capped", 30, f"cap={cap}")])
    assert share == pytest.approx(cap, abs=1)


def test_cap_leaves_the_rest_to_others(boot):
    capped, free = run(boot, [burner("capped", 30, "cap=25"), burner("free", 30)])
    assert capped == pytest.approx(25, abs=1)
    assert free == pytest.approx(75, abs=1)


def test_no_cpu_idles_while_there_is_work(boot):
    """Four burners that may use four of eight CPUs: each has one for itself."""
    got = run(boot, [burner(n, 20, "cpus=0-3") for n in "abcd"], smp="8")
    assert min(got) >= 99


def test_more_work_than_cpus(boot):
    """Three burners on two CPUs: all of both is used, and shared."""
    got = run(boot, [burner(n, 30) for n in "abc"], smp="2")
    assert sum(got) >= 199
    assert got == pytest.approx([66.7] * 3, abs=3)


def test_cpus_pin(boot):
    """Hard affinity: two on pcpu 1 share it while pcpu 0 has nothing to do."""
    got = run(boot, [burner("a", 20, "cpus=1"), burner("b", 20, "cpus=1")], smp="2")
    assert got == pytest.approx([50, 50], abs=1)


def test_dom0_vcpus_pin(boot):
    """Vcpu n of dom0 stays on pcpu n, though pcpus 2 and 3 idle beside a busy pcpu 1, where half
    of dom0's weight meets the whole of the rival's."""
    modules = ["burn vcpus=2 seconds=20", burner("rival", 21, "cpus=1")]
    machine = boot(smp="4", icount=6, cmdline="dom0_max_vcpus=2 dom0_vcpus_pin", modules=modules)
    first, second = machine.expect(r"^burn: share over [\d.]+ s: [\d.]+ \(([\d.]+) ([\d.]+)\)%", 120).groups()
    assert float(first) >= 99
    assert float(second) == pytest.approx(33.3, abs=2)
    assert machine.wait() == EXIT_OFF


def test_a_sleeper_is_woken_beside_a_burner(boot):
    """Who sleeps most of the time gets the CPU at once: ping-pong beside a burner is not starved."""
    machine = boot(smp="1", icount=6, cmdline=NO_DOM0,
                   modules=[burner("hog", 20, "weight=512"), 'pingpong name=pp memory=4 cmdline="rounds=1000"'])
    machine.expect(r"\(d2\) pingpong: 1000 round trips, 0 lost", 120)
    assert not machine.lines(r"burn: share over")
    machine.expect(r"\(d1\) burn: ok\n", 120)
    assert machine.quit() == EXIT_OFF

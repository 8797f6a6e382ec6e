# SPDX-License-Identifier: MIT
"""The guests' own self-tests, as dom0 and as domains made at boot: events, IPIs, timers, clocks."""
import pytest

from tarn import EXIT_OFF

ROUNDS = 100000
NO_DOM0 = "dom0=none"


def finish(machine, name, timeout=60):
    """dom0 ends well, and the machine with it."""
    machine.expect(rf"^{name}: (?:ok|FAILED.*)\n", timeout)
    assert machine.lines(rf"^{name}: (ok|FAILED)") == [f"{name}: ok"]
    assert machine.wait() == EXIT_OFF


def ping_pong(ping, pong, rounds=ROUNDS):
    """The modules of a pair: domains 1 and 2."""
    return [f'pingpong name=ping memory=4 {ping} cmdline="role=ping peer=2 rounds={rounds}"',
            f'pingpong name=pong memory=4 {pong} cmdline="role=pong peer=1 rounds={rounds}"']


def pair_finishes(machine, rounds=ROUNDS, timeout=120):
    machine.expect_lines([rf"\(d1\) pingpong: {rounds} round trips, 0 lost, \d+ per second\n",
                          rf"\(d2\) pingpong: {rounds} answered\n", r"\(d1\) pingpong: ok\n",
                          r"\(d2\) pingpong: ok\n", r"\(tarn\) domain 1 \(ping\) powered off\n",
                          r"\(tarn\) domain 2 \(pong\) powered off\n"], timeout)


def test_hello(boot):
    machine = boot(smp="2", modules=["hello"])
    finish(machine, "hello")
    assert machine.lines(r"^hello: magic xen-3.0-x86_64$")
    assert machine.lines(r"^hello: p2m and m2p agree on \d+ pages$")


def test_hello_on_all_layouts(boot, small_topology):
    machine = boot(smp=small_topology.smp, modules=["hello"])
    finish(machine, "hello")
    assert machine.lines(rf"^hello: vcpus {len(small_topology.cpus())} ")


@pytest.mark.parametrize("cpus", ["1", "2", "8,sockets=2,cores=2,threads=2"])
def test_smp(boot, cpus):
    """IPIs from each vcpu to each other one, none lost, and a vcpu goes down and up."""
    machine = boot(smp=cpus, modules=["smp"])
    n = int(cpus.partition(",")[0])
    finish(machine, "smp", 120)
    assert machine.lines(rf"^smp: {n} vcpus, {n * (n - 1) * 100} ipis, 0 lost$")


def test_smp_with_more_vcpus_than_cpus(boot):
    machine = boot(smp="2", cmdline="dom0_max_vcpus=6", modules=["smp rounds=30"])
    finish(machine, "smp", 120)
    assert machine.lines(r"^smp: 6 vcpus, 900 ipis, 0 lost$")


def test_smp_with_vcpu_info_elsewhere(boot):
    """From vcpu 32 on shared_info has no room: VCPUOP_register_vcpu_info."""
    machine = boot(smp="2", cmdline="dom0_max_vcpus=36", modules=["smp rounds=1"])
    finish(machine, "smp", 120)
    assert machine.lines(r"^smp: 36 vcpus, 1260 ipis, 0 lost$")


@pytest.mark.parametrize("cpus", ["1", "4"])
def test_ticks(boot, cpus):
    """In time that does not depend on the host, timers are neither early nor late."""
    machine = boot(smp=cpus, icount=3, modules=["ticks"])
    finish(machine, "ticks")
    # 100 a second for three seconds, counted by the gaps between them
    assert 296 <= int(machine.expect_past(r"^ticks: periodic (\d+), late ")[0]) <= 299
    average, worst = map(int, machine.expect_past(r"^ticks: one-shot 100, late avg (\d+) us max (\d+) us$"))
    assert average <= 200 and worst <= 2000
    assert machine.lines(rf"^ticks: clock read on {cpus} vcpus, 0 steps back, worst 0 ns$")


@pytest.mark.alone
def test_clock_across_host_threads(boot):
    """Each CPU in a thread of its own: system time must not go back from one to another."""
    machine = boot(smp="8,sockets=2,cores=2,threads=2", modules=["ticks seconds=1"])
    finish(machine, "ticks")
    assert machine.lines(r"^ticks: clock read on 8 vcpus, \d+ steps back")


@pytest.mark.parametrize("cpus", ["1", "2"])
def test_pingpong_with_itself(boot, cpus):
    machine = boot(smp=cpus, modules=["pingpong role=self"])
    machine.expect(rf"pingpong: self, vcpu 0 and vcpu {int(cpus) - 1}, ")
    finish(machine, "pingpong", 120)
    assert machine.lines(rf"^pingpong: {ROUNDS} round trips, 0 lost, ")


@pytest.mark.parametrize("ping,pong", [("cpus=0", "cpus=0"), ("cpus=0", "cpus=1"), ("", "")],
                         ids=["one pcpu", "two pcpus", "anywhere"])
def test_pingpong_of_two_domains(boot, ping, pong):
    machine = boot(smp="2", cmdline=NO_DOM0, modules=ping_pong(ping, pong))
    pair_finishes(machine)
    assert machine.quit() == EXIT_OFF


def test_pingpong_across_sockets(boot):
    machine = boot(smp="8,sockets=2,cores=2,threads=2", cmdline=NO_DOM0, modules=ping_pong("cpus=1", "cpus=6"))
    pair_finishes(machine)
    assert machine.quit() == EXIT_OFF


def test_guest_user_mode(boot):
    machine = boot(smp="1", modules=["bad fault=user"])
    finish(machine, "bad")


def test_conform(boot):
    """Every answer of the ABI that the guest knows to ask for is given; whether they are Xen's is
    for `make oracle` to say."""
    machine = boot(smp="2", cmdline="dom0_max_vcpus=2", modules=["conform"])
    finish(machine, "conform")
    assert int(machine.expect_past(r"^conform: (\d+) cases$")[0]) > 600

# SPDX-License-Identifier: MIT
"""A hostile guest gets nothing, and the others notice nothing."""
import os
import re
import time

import pytest

from host import Machine
from tarn import BUILD, EXIT_OFF, SCALE, Tarn
from test_guests import ping_pong

ROUNDS = 10000


def boot_beside(boot, arguments, vcpus=4):
    """Ping-pong on the two pcpus that the hostile guest's vcpus run on."""
    attack = f'attack name=attack vcpus={vcpus} memory=32 cmdline="{arguments}"'
    return boot(smp="2", cmdline="dom0=none", modules=ping_pong("cpus=0", "cpus=1", ROUNDS) + [attack])


def check(machine, seconds):
    machine.expect_lines([r"\(d3\) attack: ok\n", r"\(d1\) pingpong: ok\n", r"\(d2\) pingpong: ok\n"], seconds)
    assert machine.lines(rf"\(d1\) pingpong: {ROUNDS} round trips, 0 lost")
    assert not machine.lines(r"NOT refused|crashed|PANIC")
    assert machine.quit() == EXIT_OFF


@pytest.mark.alone
@pytest.mark.parametrize("vcpus", [1, 4])
def test_attacks(boot, vcpus):
    check(boot_beside(boot, "attack=all rounds=500", vcpus), 120)


@pytest.mark.alone
@pytest.mark.parametrize("seed", [1, 2])
def test_fuzz(boot, seed):
    check(boot_beside(boot, f"attack=fuzz seed={seed} count=50000"), 180)


@pytest.mark.alone
def test_fifo(boot):
    """In and out of FIFO on all vcpus at once, beside two domains that send events."""
    check(boot_beside(boot, "attack=fifo rounds=60"), 60)


@pytest.mark.alone
def test_as_dom0(boot):
    """The control domain is trusted with devices, but with no one's memory."""
    machine = boot(smp="2", cmdline="dom0_mem=64M dom0_max_vcpus=4", modules=["attack attack=all rounds=500"])
    machine.expect_lines([r"attack: ok\n"], 120)
    assert not machine.lines(r"NOT refused|PANIC")


@pytest.mark.alone
@pytest.mark.parametrize("smp, arguments", [("1", "seed=1 count=8000"), ("4", "seed=2 count=4000 cpus=4"),
                                            ("2", "seed=3 count=4000 cpus=2 starve")])
def test_control_domain_gone_wild(boot, smp, arguments):
    """Domains made, built, run, changed and destroyed by chance, by four vcpus at once: no page is lost."""
    machine = boot(smp=smp, cmdline="dom0_mem=32M dom0_max_vcpus=4 loglvl=none", modules=["attack attack=control " + arguments])
    machine.expect_lines([r"attack: ok\n"], 120)
    before, after = machine.expect_past(r"free pages (\d+) before, (\d+) after")
    assert before == after
    assert int(machine.expect_past(r"attack: (\d+) domains built")[0]) > 0
    pools, moves = machine.expect_past(r"attack: (\d+) pools made, .* (\d+) moves")
    assert int(pools) and int(moves)
    assert machine.wait() == EXIT_OFF


@pytest.mark.alone
@pytest.mark.parametrize("sched", ["rr", "rtds", "sedf"])
def test_gone_wild_elsewhere(boot, sched):
    """The same, where domain 0 itself is under another scheduler."""
    machine = boot(smp="4", cmdline=f"dom0_mem=32M dom0_max_vcpus=4 loglvl=none sched={sched}",
                   modules=["attack attack=control seed=4 count=1500 cpus=4"])
    machine.expect_lines([r"attack: ok\n"], 120)
    assert machine.wait() == EXIT_OFF


@pytest.mark.alone
@pytest.mark.parametrize("smp, arguments", [("1", "seed=5 count=10000"), ("4", "seed=6 count=8000 cpus=4"), ("2", "seed=7 count=8000 cpus=2 starve")])
def test_groups_gone_wild(boot, smp, arguments):
    """Members that come, go, die and move while others join them, with limits of all kinds: what is left are trees."""
    machine = boot(smp=smp, cmdline="dom0_mem=32M dom0_max_vcpus=4 loglvl=none", modules=["attack attack=groups " + arguments])
    machine.expect_lines([r"attack: ok\n"], 120)
    joined, refused, left = machine.expect_past(r"attack: (\d+) joined a group, (\d+) refused, (\d+) times members left")
    assert int(joined) > 50 and int(refused) > 50 and int(left) > 10
    assert int(machine.expect_past(r"attack: (\d+) pools made, .* (\d+) moves")[1])
    assert machine.wait() == EXIT_OFF


@pytest.fixture(scope="module")
def fair():
    """What the victim gets done beside a domain that does nothing but compute."""
    return loops("burn")


def loops(how):
    victim = 'attack name=victim memory=8 cmdline="attack=starve how=count"'
    greedy = f'attack name=greedy memory=8 vcpus=4 cmdline="attack=starve how={how}"'
    with Tarn(cmdline="dom0=none loglvl=none", icount="4", modules=[victim, greedy]) as machine:
        found = [machine.expect(r"\(d1\) attack: (\d+) loops, away \d+ us, ran \d+ us\n", 60) for _ in range(3)]
    return int(found[1][1]) + int(found[2][1])


@pytest.mark.parametrize("how", ["yield", "timer", "poll", "ipi", "wake", "updown", "calls"])
def test_starve(fair, how):
    """Whatever a domain does to the scheduler, another one of equal weight gets as much done as beside a burner."""
    assert loops(how) > 0.95 * fair


HOSTILE = {
    "rings": "attack=rings seconds=1",  # garbage in the rings; at the end their pages are given back
    "crash": "attack=rings seconds=1 seed=2 end=3",
    "store": "attack=store count=1000",
    "hoard": "attack=hoard reads=150 linger=1",
}


@pytest.mark.alone
def test_against_control_domain():
    """The control domain answers while a domain that it made spoils its rings and floods it, and loses nothing."""
    with Machine(smp="2") as m:
        m.run("put", os.path.join(BUILD, "guests", "attack.elf"))
        free, heap, most = m.free_pages(), in_use(m), 0
        for name, arguments in HOSTILE.items():
            m.xl("create", "hello.cfg", f'name="{name}"', 'kernel="attack.elf"', "memory=16", f'extra="{arguments}"')
        m.xl("create", "hello.cfg", 'name="honest"', 'extra=""')
        until = time.monotonic() + 60 * SCALE
        while len(m.out("list").split("\n")) > 2:
            assert time.monotonic() < until, m.out("list")
            begun = time.monotonic()
            most = max(most, in_use(m))
            assert time.monotonic() - begun < 5 * SCALE
        assert m.free_pages() == free
        assert most < heap + (2 << 20)
        assert in_use(m) < heap + (64 << 10)


def in_use(m):
    return int(re.search(r"heap in use: (\d+)", m.out("pages")).group(1))

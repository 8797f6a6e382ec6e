# SPDX-License-Identifier: MIT
"""A hostile guest gets nothing, and the others notice nothing."""
import pytest

from tarn import EXIT_OFF
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


@pytest.mark.parametrize("vcpus", [1, 4])
def test_attacks(boot, vcpus):
    check(boot_beside(boot, "attack=all rounds=500", vcpus), 120)


@pytest.mark.parametrize("seed", [1, 2])
def test_fuzz(boot, seed):
    check(boot_beside(boot, f"attack=fuzz seed={seed} count=50000"), 180)


def test_as_dom0(boot):
    """The control domain is trusted with devices, but with no one's memory."""
    machine = boot(smp="2", cmdline="dom0_mem=64M dom0_max_vcpus=4", modules=["attack attack=all rounds=500"])
    machine.expect_lines([r"attack: ok\n"], 120)
    assert not machine.lines(r"NOT refused|PANIC")

# SPDX-License-Identifier: MIT
"""A guest that does what it must not is crashed alone: ping-pong beside it loses nothing."""
import pytest

from tarn import EXIT_OFF
from test_guests import pair_finishes, ping_pong

# how the guest misbehaves, and what must be said
DEADLY = {
    "hlt": "general protection|privileged|#GP",
    "cli_nohandler": "general protection|privileged|#GP",
    "lgdt": "general protection|privileged|#GP",
    "wrmsr": "general protection|privileged|#GP|MSR",
    "in": "general protection|privileged|#GP|port",
    "ud2": "invalid opcode|#UD",
    "jump": "page fault|#PF",
    "jump_wrong": "general protection|#GP",
    "jump_xen": "page fault|#PF",
    "stack": "page fault|stack",
    "triple": "stack|frame",
    "rsp": "stack|frame",
    "callback": "page fault|#PF",
    "int80": "general protection|#GP|int",
    "iret": "iret",
    "no_user_tables": "user|iret",
}
ROUNDS = 20000


def boot_beside(boot, fault, rounds=ROUNDS, extra=()):
    """Ping-pong on two pcpus, the guest at fault on the first of them."""
    bad = f'bad name=bad memory=8 cpus=0 cmdline="fault={fault}"'
    return boot(smp="2", cmdline="dom0=none", modules=ping_pong("cpus=0", "cpus=1", rounds) + [bad, *extra])


@pytest.mark.parametrize("fault", DEADLY)
def test_deadly(boot, fault):
    machine = boot_beside(boot, fault)
    machine.expect_lines([r"\(tarn\) domain 3 \(bad\) vcpu 0 crashed: .*\n", r"\(d1\) pingpong: ok\n",
                          r"\(d2\) pingpong: ok\n"], 60)
    [line] = machine.lines(r"\(tarn\) domain 3 \(bad\) vcpu 0 crashed: ")
    assert machine.lines(rf"crashed: .*({DEADLY[fault]})"), line
    assert machine.lines(r"^\(d3\) bad: ") == [f"(d3) bad: {fault} follows"]
    assert len(machine.lines(r"^\(tarn\) d3v0 rip e033:[0-9a-f]{16} rsp [0-9a-f]+:[0-9a-f]{16} ")) == 1
    assert len(machine.lines(r"^\(tarn\) d3v0 r13 [0-9a-f]{16} ")) == 1
    assert machine.lines(rf"\(d1\) pingpong: {ROUNDS} round trips, 0 lost")
    assert not machine.lines(r"domain [12] .*crashed|PANIC")
    assert machine.quit() == EXIT_OFF


@pytest.mark.parametrize("fault", ["pointers", "ptwrite", "user"])
def test_survived(boot, fault):
    machine = boot_beside(boot, fault)
    machine.expect_lines([r"\(d3\) bad: ok\n", r"\(d1\) pingpong: ok\n", r"\(d2\) pingpong: ok\n"], 120)
    assert machine.lines(rf"\(d1\) pingpong: {ROUNDS} round trips, 0 lost")
    assert machine.quit() == EXIT_OFF


def test_survived_as_dom0(boot):
    """The control domain may do more, but no harm with arguments that mean nothing."""
    machine = boot(smp="2", modules=["bad fault=pointers"])
    machine.expect(r"^bad: ok\n", 60)
    assert machine.wait() == EXIT_OFF


def test_spin(boot):
    """Who computes for ever with upcalls off gets a share of the CPU and no more."""
    machine = boot_beside(boot, "spin", 1000)
    pair_finishes(machine, 1000)
    assert machine.quit() == EXIT_OFF


def test_flood(boot):
    """Who prints for ever does not stop the others."""
    machine = boot_beside(boot, "flood", extra=["hello name=quiet memory=8 cpus=1"])
    machine.expect_lines([r"\(d3\) \[\d+ lines dropped: .*\n", r"\(d4\) hello: ok\n", r"\(d1\) pingpong: ok\n",
                          r"\(d2\) pingpong: ok\n"], 120)
    assert machine.lines(rf"\(d1\) pingpong: {ROUNDS} round trips, 0 lost")
    assert machine.quit() == EXIT_OFF


def test_flood_is_cut(boot):
    """To a burst of 64 KiB and 16 KiB a second, with a word about what is missing."""
    machine = boot(icount=6, modules=["hello linger=5", 'bad name=bad memory=8 cmdline="fault=flood"'])
    machine.expect(r"^hello: ok\n", 60)
    assert machine.wait() == EXIT_OFF
    flood = [line.removeprefix("(d1) ") for line in machine.lines(r"^\(d1\) bad: this line comes")]
    assert 65536 + 4 * 16384 < sum(map(len, flood)) < 65536 + 6 * 16384
    breaks = machine.lines(r"^\(d1\) \[\d+ lines dropped: more than 16384 bytes a second\]")
    assert 5 < len(breaks) < 50
    assert machine.lines(r"^hello: p2m and m2p agree")


def test_several_at_once(boot):
    """Crashes on two CPUs at the same time: each domain's registers are told in whole lines."""
    machine = boot(smp="2", cmdline="dom0=none", modules=[
        f'bad name=bad{n} memory=8 cpus={n % 2} cmdline="fault={fault}"' for n, fault in enumerate(DEADLY)])
    machine.expect_lines([rf"\(tarn\) domain {n + 1} \(bad{n}\) vcpu 0 crashed: .*\n" for n in range(len(DEADLY))])
    machine.expect_silence(r"PANIC", 0.5)
    for n in range(len(DEADLY)):
        assert len(machine.lines(rf"^\(tarn\) d{n + 1}v0 r13 [0-9a-f]{{16}} ")) == 1
    assert machine.quit() == EXIT_OFF

# SPDX-License-Identifier: MIT
"""Event channels under load: storms in which no wake-up is lost, what a storm leaves its neighbours, going to sleep
against being woken, and what the control domain says of ports.

TARN_SENDS and TARN_RACES are how many events and how many races; `make soak` has many.
"""
import json
import os
import re

import pytest

from lab import Lab
from tarn import EXIT_OFF

SENDS = int(os.environ.get("TARN_SENDS", "1000000"))
RACES = int(os.environ.get("TARN_RACES", "100000"))
PROTOCOLS = pytest.mark.parametrize("protocol", ["two-level", "fifo"])
COUNTS = r"storm: (two-level|fifo): (\d+) sends, (\d+) coalesced, (\d+) masked, (\d+) delivered, (\d+) lost\n"


def ends(machine, timeout):
    machine.expect(r"^storm: (?:ok|FAILED.*)\n", timeout)
    assert machine.lines(r"^storm: (ok|FAILED)") == ["storm: ok"]
    assert machine.wait() == EXIT_OFF


def storm(boot, args, smp="3", vcpus=8, timeout=120, **kw):
    """Domain 0 alone; it ended well."""
    machine = boot(smp=smp, cmdline=f"dom0_max_vcpus={vcpus}", modules=[f"storm {args}"], **kw)
    ends(machine, timeout)
    return machine


def counts(protocol, text, sends):
    """What a storm counted adds up, and nothing is lost."""
    said, sent, coalesced, masked, delivered, lost = re.search(COUNTS, text).groups()
    assert said == protocol
    assert int(sent) >= sends and int(lost) == 0
    assert int(coalesced) + int(delivered) == int(sent)
    # it was a storm: all of that happened
    assert min(int(coalesced), int(masked), int(delivered)) > sends // 100


@pytest.mark.alone
@PROTOCOLS
def test_storm(boot, protocol):
    """4,096 ports, or as many as there are; eight vcpus on three CPUs send, mask, unmask, move, close and bind."""
    ports = 4096 if protocol == "two-level" else 10000
    machine = storm(boot, f"events={protocol} ports={ports} sends={SENDS}", timeout=120 + SENDS / 5000)
    assert machine.lines(rf"^storm: {protocol}, {4070 if protocol == 'two-level' else ports} ports ")
    counts(protocol, machine.output, SENDS)


@pytest.mark.alone
@PROTOCOLS
def test_storm_that_loses(boot, protocol):
    """A guest that unmasks without a look at what is pending does lose events, and the storm sees which."""
    machine = boot(smp="2", cmdline="dom0_max_vcpus=4",
                   modules=[f"storm events={protocol} fault=unmask ports=256 sends=10000000"])
    machine.expect(r"^storm: lost: slot \d+ (?:ipi|channel) port \d+ .*: pending 1 masked 0 ", 60)
    machine.expect(r"^storm: FAILED: events lost\n", 60)


@pytest.mark.alone
@pytest.mark.parametrize("protocols", [("two-level", "two-level"), ("fifo", "two-level"), ("fifo", "fifo")],
                         ids="+".join)
def test_storm_of_two_domains(boot, protocols):
    sends = SENDS // 20
    words = [f'storm name={name} memory=32 vcpus=4 cmdline="events={protocol} {args} ports=1000 sends={sends}"'
             for name, protocol, args in zip("ab", protocols, ("peer=2", "peer=1 port=1"))]
    machine = boot(smp="3", cmdline="dom0=none", modules=words)
    machine.expect_lines([r"\(d1\) storm: (?:ok|FAILED.*)\n", r"\(d2\) storm: (?:ok|FAILED.*)\n"], 120 + SENDS / 10000)
    for domid, protocol in zip((1, 2), protocols):
        said = machine.lines(rf"^\(d{domid}\) storm: ")
        assert said[-1].endswith("storm: ok")
        counts(protocol, "\n".join(said) + "\n", sends)
        assert any(re.search(r" [1-9]\d* answers,", line) for line in said)
    assert machine.quit() == EXIT_OFF


@pytest.mark.alone
@PROTOCOLS
@pytest.mark.parametrize("cpus", [2, 1])
def test_races(boot, protocol, cpus):
    """Going to sleep against being woken: nobody is blocked any more long after the event. Host threads may have to
    wait for their turn, so no time is too long."""
    races = RACES // (2 if cpus == 2 else 10)
    machine = storm(boot, f"role=race events={protocol} races={races} stall=100000000 {'yield' if cpus == 1 else ''}",
                    smp=str(cpus), vcpus=2, timeout=120 + races / 500)
    assert machine.lines(rf"^storm: race: {protocol}: {races} races, 0 stalls, ")


@PROTOCOLS
@pytest.mark.parametrize("cpus", [2, 1])
def test_races_in_time(boot, protocol, cpus):
    """The same where time does not depend on the host: nobody is late by 10 ms."""
    machine = storm(boot, f"role=race events={protocol} races={RACES} stall=10000 {'yield' if cpus == 1 else ''}",
                    smp=str(cpus), vcpus=2, icount=1, timeout=120 + RACES / 500)
    assert machine.lines(rf"^storm: race: {protocol}: {RACES} races, 0 stalls, ")


@PROTOCOLS
def test_rules(boot, protocol):
    """No upcall within an upcall, masked ones are withheld and not lost; what ends a poll and what doesn't."""
    machine = storm(boot, f"role=rules events={protocol}", smp="2", vcpus=2)
    assert machine.lines(rf"^storm: {protocol}: \d+ rules, 0 broken$")


@PROTOCOLS
def test_flood(boot, protocol):
    """64 ports that are always pending: each has at least half of a 64th of the turns."""
    machine = storm(boot, f"role=flood events={protocol} sends=100000", smp="1", vcpus=1)
    least, most = map(int, machine.expect_past(r"events of 64 ports: least (\d+), most (\d+), \d+ would be fair$"))
    assert 781 <= least <= most


BUSY = "sends=1000000000 ops=1000000000"  # a storm without a pause


def storm_beside(lab, protocol, pool, vcpus, **keys):
    return lab.domain("storm.cfg", "storm", pool, extra=f"events={protocol} {BUSY}", vcpus=vcpus, memory=24,
                      event_channels=4095, **keys)


def work(lab, name, ms=3000):
    """Turns per second of a worker."""
    before = len(re.findall(r"storm: work ", lab.console(name)))
    lab.measure(ms, settle=0)
    said = [int(n) for n in re.findall(r"storm: work (\d+)", lab.console(name))][before + 1:]
    assert said
    return sum(said) / len(said)


@PROTOCOLS
def test_neighbour_on_one_cpu(protocol):
    """A worker gets as much done beside a storm, interrupts and all, as beside a domain that merely computes."""
    with Lab(shift=2, cpus=1, pools=False) as m:
        m.domain("storm.cfg", "worker", "Pool-0", extra="role=work", vcpus=1, memory=24)
        m.burner("b", "Pool-0", vcpus=1)
        calm = work(m, "worker")
        m.destroy("b")
        storm_beside(m, protocol, "Pool-0", 3)
        m.measure(1000, settle=0)
        beside = work(m, "worker")
        print(f"beside a storm ({protocol}): work {beside / calm:.1%}")
        assert beside >= 0.95 * calm


@PROTOCOLS
def test_neighbours(protocol):
    """Who shares a CPU with a vcpu of a storm has half of it (a weight is that of all three), and who has a CPU where
    none of them runs has all."""
    with Lab(shift=2, cpus=5, metronome=500) as m:
        m.pool("p", "1-4")
        m.burner("shares", "p", cpus="1")
        m.burner("alone", "p", cpus="2")
        storm_beside(m, protocol, "p", 3, cpus=["1", "3", "4"], cpu_weight=768)
        got = m.measure(3000)
        print(f"beside a storm ({protocol}):", {n: round(got[n], 1) for n in ("shares", "alone", "storm")})
        assert got["shares"] > 47.5 and got["alone"] > 95
        assert got["storm"] > 200  # or it was none


def test_watchdog():
    """A domain lives as long as it kicks its watchdog; what then becomes of it is its file's to say."""
    with Lab(cpus=2, pools=False) as m:
        m.xl("create", "storm.cfg", "vcpus=1", 'extra="role=watchdog"', 'on_watchdog="preserve"',
             'on_poweroff="destroy"')
        m.xl("measure", "5000")
        assert re.search(r"^storm .* ---s-- .* 4 +-$", m.out("list", "-v", "storm"), re.M)
        assert m.console("storm") == "storm: watchdog: kicked for two seconds\n"


def rows(lab, name):
    """evtchn-list's, by port."""
    lines = lab.out("evtchn-list", name).split("\n")
    assert lines[0].split() == "Port VCPU State Peer Prio PML Sent Coalesced Masked Delivered".split()
    return {int(line.split()[0]): line.split() for line in lines[1:]}


def test_evtchn_list():
    with Lab(cpus=2, pools=False) as m:
        m.xl("create", "storm.cfg", "vcpus=2", 'extra="ports=16 sends=20000"', 'on_poweroff="preserve"')
        m.xl("create", "-p", "hello.cfg")
        assert rows(m, "hello")[1][2:4] == ["interdomain", m_peer(m, "hello", 1)]
        m.xl("measure", "3000")
        of_domain_0 = rows(m, "Domain-0")
        assert {"timer", "dom_exc"} <= {row[3] for row in of_domain_0.values() if row[2] == "virq"}
        table = rows(m, "storm")
        for row in table.values():
            sent, coalesced, masked, delivered = map(int, row[6:])
            assert sent == coalesced + masked + delivered, row
        kinds = [row[2] for row in table.values()]
        assert kinds.count("ipi") >= 8 and kinds.count("interdomain") >= 8 + 2 and kinds.count("virq") == 2
        said = json.loads(m.out("evtchn-list", "-j", "storm"))
        assert [p["port"] for p in said] == list(table)
        assert all(str(p["sent"]) == table[p["port"]][6] for p in said)
        assert m.xl("evtchn-list", status=None).returncode == 2
        assert "no such domain" in m.xl("evtchn-list", "nobody", status=1).stderr


def m_peer(lab, name, port):
    """d0:pN, whose own end says the same."""
    domid = lab.out("domid", name)
    mine = next(n for n, row in rows(lab, "Domain-0").items() if row[3] == f"d{domid}:p{port}")
    return f"d0:p{mine}"


def test_limits():
    """A domain has as many ports as its file says, and Xen's number without a word of it."""
    with Lab(cpus=2, pools=False) as m:
        for given, ports in ((["event_channels=100"], 100), (["event_channels=4095"], 4095), ([], 1023)):
            m.xl("create", "burn.cfg", 'name="s"', 'kernel="storm.elf"', "memory=24", 'extra="ports=5000 sends=1000"',
                 'on_poweroff="preserve"', *given)
            m.xl("measure", "2000")
            # console and store, three ports of the vcpu; slots come in pairs
            assert int(re.search(r"storm: two-level, (\d+) ports", m.console("s")).group(1)) == (ports - 5) // 2 * 2
            m.xl("destroy", "s")
        wrong = m.xl("create", "storm.cfg", "event_channels=1", "max_grant_frames=65", "max_maptrack_frames=1025",
                     status=1).stderr
        for text in ("event_channels: must be at least 2", "max_grant_frames: must be at most 64",
                     "max_maptrack_frames: must be at most 1024"):
            assert text in wrong
        m.xl("create", "-p", "storm.cfg", "max_grant_frames=4", "max_maptrack_frames=8")
        config = json.loads(m.out("list", "-l", "storm"))[0]["config"]["b_info"]
        assert (config["event_channels"], config["max_grant_frames"], config["max_maptrack_frames"]) == (4095, 4, 8)

# SPDX-License-Identifier: MIT
"""Grant tables: rings between domains, the torture against a model, death of either side, and attacks."""
import re
import time

import pytest

from host import Machine
from tarn import EXIT_OFF, SCALE

NO_DOM0 = "dom0=none"
GRANTS = ['kernel="grants.elf"', "memory=8"]
ROUNDS = 10000


def ring_pair(front, back, data, rounds=ROUNDS):
    """The modules of a pair: domains 1 and 2."""
    return [f'ring name=front memory=8 {front} cmdline="role=front peer=2 data={data} rounds={rounds}"',
            f'ring name=back memory=8 {back} cmdline="role=back peer=1"']


def pair_finishes(machine, rounds=ROUNDS, more=(), timeout=60):
    machine.expect_lines([r"\(d1\) ring: (?:ok|FAILED.*)\n", r"\(d2\) ring: (?:ok|FAILED.*)\n", *more], timeout)
    assert machine.lines(rf"\(d1\) ring: {rounds} round trips, 0 lost, \d+ per second")
    assert machine.lines(rf"\(d2\) ring: {rounds + 1} answered in ")
    assert len(machine.lines(r"ring: ok")) == 2


@pytest.mark.parametrize("data", ["map", "copy", "inline"])
@pytest.mark.parametrize("back", ["cpus=0", "cpus=1"], ids=["one pcpu", "two pcpus"])
def test_ring(boot, back, data):
    """Requests with data in pages that are granted while the back has them, or in the ring itself."""
    machine = boot(smp="2", cmdline=NO_DOM0, modules=ring_pair("cpus=0", back, data))
    pair_finishes(machine)
    assert machine.quit() == EXIT_OFF


def test_ring_with_itself(boot):
    machine = boot(smp="2", modules=["ring role=self data=map keep"])
    machine.expect(r"^ring: (?:ok|FAILED.*)\n", 60)
    assert machine.lines(rf"^ring: {ROUNDS + 1} round trips, 0 lost") and machine.lines("^ring: ok")


@pytest.mark.alone
@pytest.mark.parametrize("smp, vcpus, count", [("1", 1, 100000), ("2", 4, 4000)])
def test_torture_alone(boot, smp, vcpus, count):
    """One domain that grants to itself, on all its vcpus by the same tables."""
    machine = boot(smp=smp, cmdline=f"dom0_max_vcpus={vcpus}", modules=[f"grants count={count}"])
    machine.expect(r"^grants: (?:ok|FAILED.*)\n", 120)
    assert machine.lines("^grants: ok")
    assert sum(int(re.search(r"(\d+) operations", x)[1]) for x in machine.lines("operations,")) == count


class Domains:
    """Domains of one machine that know each other's numbers; in the end all memory is back."""

    def __init__(self, machine):
        self.m, self.free, self.names = machine, machine.free_pages(), []

    def next(self):
        """The number that the next one gets."""
        return self.m.next_domid

    def create(self, file, name, extra, *words):
        self.m.xl("create", "-p", file, f'name="{name}"', f'extra="{extra}"', 'on_poweroff="preserve"', *words)
        assert int(self.m.out("domid", name)) == self.next()
        self.m.next_domid += 1
        self.names.append(name)

    def run(self):
        self.m.xl("unpause", *self.names)

    def said(self, name, pattern):
        """Its console, once the pattern is there."""
        until = time.monotonic() + 60 * SCALE
        while True:
            text = self.m.run("console", name).stdout.replace("\r", "")
            if re.search(pattern, text, re.M):
                return text
            assert time.monotonic() < until, f"{pattern!r} was not said:\n{text}{self.m.log()[-2000:]}"
            time.sleep(0.05)

    def finish(self):
        for name in self.names:
            self.m.xl("destroy", name, status=None)
        self.names = []
        assert self.m.free_pages() == self.free


@pytest.fixture(scope="module")
def machine():
    with Machine(smp="2") as m:
        m.next_domid = 1
        yield m


@pytest.fixture
def domains(machine):
    made = Domains(machine)
    yield made
    for name in made.names:
        machine.xl("destroy", name, status=None)


def make_ring(domains, front="", back=""):
    front_id = domains.next()
    domains.create("ring-front.cfg", "front", f"role=front peer={front_id + 1} {front}".rstrip())
    domains.create("ring-back.cfg", "back", f"role=back peer={front_id} {back}".rstrip())
    domains.run()


@pytest.mark.parametrize("data", ["map", "copy"])
def test_ring_by_the_store(domains, data):
    make_ring(domains, f"data={data} rounds={ROUNDS} depth=16 keep")
    front, back = (domains.said(name, r"^ring: (ok|FAILED)") for name in ("front", "back"))
    assert f"ring: {ROUNDS + 1} round trips, 0 lost" in front and "ring: ok" in front
    assert f"ring: {ROUNDS + 2} answered in " in back and "ring: ok" in back
    domains.finish()


@pytest.mark.parametrize("data", ["map", "copy"])
def test_front_dies(domains, data):
    """The back reads a page of the dead one's as before, lets go of it, and its memory is free then."""
    make_ring(domains, f"data={data} keep front-dies=500")
    back = domains.said("back", r"^ring: (ok|FAILED)")
    assert "the front is gone" in back and "ring: ok" in back
    domains.finish()


@pytest.mark.parametrize("data", ["map", "copy"])
def test_back_dies(domains, data):
    """What the dead one had mapped is the front's alone again."""
    make_ring(domains, f"data={data} keep", "back-dies=500")
    front = domains.said("front", r"^ring: (ok|FAILED)")
    assert re.search(r"the back is gone, \d+ answered, all pages are ours", front) and "ring: ok" in front
    domains.finish()


def test_torture_of_three(domains):
    """Three domains that map, copy and revoke each other's pages; then two of them die, one by one."""
    first = domains.next()
    domains.create("hello.cfg", "driver", f"peers={first + 1},{first + 2} die count=30000", *GRANTS)
    for n in 1, 2:
        domains.create("hello.cfg", f"servant{n}", f"role=servant driver={first}", *GRANTS)
    domains.run()
    driver = domains.said("driver", r"^grants: (ok|FAILED)")
    assert "grants: ok" in driver
    deaths = re.findall(r"died with (\d+) mappings, and (\d+) of its pages mapped elsewhere", driver)
    assert len(deaths) == 2 and all(int(n) for death in deaths for n in death)
    domains.finish()


@pytest.mark.alone
def test_attack(boot):
    """By one whom another domain granted a page, beside two that go about their business."""
    attack = 'attack name=attack vcpus=4 memory=32 cmdline="attack=grants rounds=50 victim=4"'
    victim = 'ring name=victim memory=8 cmdline="role=front peer=3"'
    machine = boot(smp="2", cmdline=NO_DOM0, modules=ring_pair("cpus=0", "cpus=1", "map") + [attack, victim])
    pair_finishes(machine, more=[r"\(d3\) attack: (?:ok|FAILED.*)\n"], timeout=120)
    assert machine.lines(r"\(d3\) attack: ok")
    assert not machine.lines(r"NOT refused|PANIC|no grant tables")
    assert machine.quit() == EXIT_OFF


@pytest.mark.alone
def test_stale_tlb(boot):
    """A page that one domain uses as a table is not written by what another one's TLB remembers of a grant."""
    machine = boot(smp="2", cmdline=NO_DOM0, modules=[
        'attack name=lender memory=8 cpus=0 cmdline="attack=lender peer=2 rounds=100"',
        'attack name=borrower memory=8 cpus=1 cmdline="attack=borrower peer=1"'])
    machine.expect(r"\(d1\) attack: (?:ok|FAILED.*)\n", 60)
    assert machine.lines(r"\(d1\) attack: ok") and not machine.lines("PANIC")
    assert machine.quit() == EXIT_OFF


@pytest.mark.alone
def test_attack_by_dom0(boot):
    machine = boot(smp="2", cmdline="dom0_mem=64M dom0_max_vcpus=4", modules=["attack attack=grants rounds=50"])
    machine.expect(r"^attack: (?:ok|FAILED.*)\n", 120)
    assert machine.lines("^attack: ok") and not machine.lines(r"NOT refused|PANIC|no grant tables")

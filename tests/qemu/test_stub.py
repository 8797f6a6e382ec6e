# SPDX-License-Identifier: MIT
"""The emulator of a domain: disks and echo devices that guests/stub serves and guests/client uses, what a request
costs, and that neither harms the other: by requests, by dying, by going away."""
import re
import time

import pytest

from host import Machine
from tarn import SCALE

LAB = {"cpus": 3}
MS = 2000  # of virtual time that a share is measured over
TWO_DISKS = ['emulator_disk=["4096","2048,iothread=1"]', "iothreads=1"]


class Pair:
    """A client and its emulator, which keep their consoles when they end."""

    def __init__(self, machine, name, extra, *words):
        self.m, self.name = machine, name
        self.m.xl("create", "client.cfg", f'name="{name}"', f'extra="{extra}"', 'on_poweroff="preserve"', *words)
        self.client, self.stub = (self.m.out("domid", n) for n in (name, f"{name}-emu"))

    def said(self, pattern, who=""):
        """The console, once the pattern is there."""
        until = time.monotonic() + 60 * SCALE
        while True:
            text = self.m.run("console", self.name + who).stdout.replace("\r", "")
            if re.search(pattern, text, re.M):
                return text
            assert time.monotonic() < until, f"{pattern!r} was not said:\n{text}{self.m.log()[-2000:]}"

    def ends(self):
        """What the client said until its end, which was good."""
        text = self.said(r"^client: (ok|FAILED.*)\n")
        assert "client: ok\n" in text, text
        return text

    def total(self):
        return int(re.search(r"client: total requests=(\d+) bytes=\d+ errors=0 ", self.ends())[1])

    def back(self, device, kind="vbd"):
        return f"/local/domain/{self.stub}/backend/{kind}/{self.client}/{device}"

    def becomes(self, path, value):
        until = time.monotonic() + 30 * SCALE
        while (got := self.m.out("xenstore-read", path)) != value:
            assert time.monotonic() < until, f"{path} is {got!r}\n{self.m.out('xenstore-ls')}"


@pytest.fixture(scope="module")
def machine():
    with Machine(smp="2") as m:
        yield m


@pytest.fixture
def pair(machine):
    """pair(extra, words...) -> a Pair; in the end both are destroyed, and every page is back."""
    free, names = machine.free_pages(), []

    def make(extra, *words):
        names.append(f"c{len(names)}")
        return Pair(machine, names[-1], extra, *words)

    yield make
    for name in names:
        machine.xl("destroy", name, status=None)
    assert machine.free_pages() == free


def test_disks(pair):
    """Data on two disks, one with an iothread: written, read and compared, also behind a closing and opening. What
    can't be done is answered so, and a ring that claims too much is closed, and may be opened again."""
    p = pair("disk verify flood seconds=1 rounds=2 depth=32 size=6144 bad overrun", *TWO_DISKS)
    text = p.ends()
    assert text.count("22 bad and good requests answered rightly") == 2
    assert text.count("the back closes, 0 requests lost") == 2
    assert text.count("connected to domain") == 6 and text.count("closed, all pages are ours") == 6
    assert p.total() > 1000
    stub = p.said(r"(?s)(closed, \d+ requests.*){4}", "-emu")
    assert stub.count("the client broke its ring") == 2
    assert re.search("vbd/.*/51712: connected, thread 0", stub) and re.search("vbd/.*/51728: connected, thread 1", stub)
    # several requests behind one event
    counts = re.findall(r"(\d+) requests, 0 errors, (\d+) batches", stub)
    assert sum(int(c[0]) for c in counts) > 2 * sum(int(c[1]) for c in counts), stub


@pytest.mark.parametrize("size", [512, 45056])
def test_sizes(pair, size):
    """The least and the most that a request may move."""
    assert pair(f"disk verify flood seconds=1 depth=8 size={size}", *TWO_DISKS).total() > 100


def test_echo(pair):
    p = pair("echo flood seconds=1 size=48 depth=16", "emulator_disk=[]", "iothreads=1",
             'emulator_echo=["iothread=1","iothread=0"]')
    assert p.total() > 1000


def test_hostile(pair):
    """Nonsense by chance in the ring, its indices and the store; then all is well again."""
    p = pair("disk verify flood hostile=400 seconds=1", 'emulator_disk=["2048,iothread=1"]', "iothreads=1")
    text = p.ends()
    assert int(re.search(r"400 times hostile, (\d+) times connected", text)[1]) > 40, text
    assert p.total() > 100


def test_no_room(pair, machine):
    """A disk that the stub has no memory for is refused; the other one works, and stays where it is when the stub is
    to give memory back."""
    machine.run("put", machine.file("small.cfg", 'name = "stub"\nkernel = "stub.elf"\nmemory = 3\n'))
    p = pair("disk", 'emulator="small.cfg"', 'emulator_disk=["7000","7000"]')
    p.becomes(p.back(51728) + "/state", "6")
    assert machine.out("xenstore-read", p.back(51728) + "/error") == "no memory for so many sectors"
    p.becomes(p.back(51712) + "/state", "4")
    machine.xl("mem-set", f"{p.name}-emu", "1m")
    kept = 1024 + (7000 + 7) // 8  # pages: 4 MiB that the loader mapped, and the disk
    until = time.monotonic() + 30 * SCALE
    while not re.search(rf"^{p.name}-emu +\d+ +{kept} of ", machine.out("pages"), re.M):
        assert time.monotonic() < until, machine.out("pages")


def test_unplug(pair):
    """A disk is taken away under load: politely, and at once."""
    p = pair("disk flood verify size=1536", *TWO_DISKS)
    p.said("t=1[.]")
    p.m.xl("xenstore-write", p.back(51712) + "/online", "0", p.back(51712) + "/state", "5")
    p.becomes(p.back(51712) + "/state", "6")
    assert "51712: closed, all pages are ours" in p.said("51712: closed")
    p.m.xl("xenstore-rm", p.back(51728))
    assert "51728: the back is gone" in p.said("51728: closed, all pages are ours")


def test_client_dies(pair):
    """In a flood, also one of dear requests: what it has granted is let go of at once."""
    for extra in ("flood depth=32 size=45056", "flood depth=32"):
        p = pair(f"disk {extra}", *TWO_DISKS)
        p.said("t=1[.]")
        p.m.xl("xenstore-write", f"/local/domain/{p.stub}/data/cost", "20000")
        p.m.xl("destroy", p.name)


def test_stub_dies(pair):
    """The client has all its pages again, and lives."""
    p = pair("disk flood depth=32 seconds=3", *TWO_DISKS)
    p.said("t=1[.]")
    p.m.xl("destroy", f"{p.name}-emu")
    text = p.ends()
    assert text.count("the back is gone, ") == 2 and text.count("closed, all pages are ours") == 2


def test_cost(lab):
    """A request costs the stub what it was told to, of its own time: 100 a second of 1 ms are a tenth of a CPU; alone
    and beside somebody who takes what he can. Requests without are cheap, and a stub without any sleeps. And there are
    as many as the client is to make, not more."""
    pool = lab.pool("p", "1-2")
    lab.domain("client.cfg", "c", pool, 'emulator_cpus="2"', vcpus=1, extra="disk rate=100", cpus="1")
    cost = f"/local/domain/{lab.out('domid', 'c-emu')}/data/cost"
    lab.xl("xenstore-write", cost, "1000")
    assert 10 <= lab.measure(MS)["c-emu"] <= 11
    lab.burner("b", pool, cpus="2", cpu_weight=512)
    assert 10 <= lab.measure(MS)["c-emu"] <= 11
    lab.xl("xenstore-write", cost, "2500")
    assert 25 <= lab.measure(MS)["c-emu"] <= 26
    lab.xl("xenstore-write", cost, "0")
    assert lab.measure(MS)["c-emu"] <= 1
    counts = [int(n) for n in re.findall(r"t=\S+ requests=(\d+)", lab.console("c"))][1:]
    assert 98 <= sum(counts) / len(counts) <= 102, counts
    lab.xl("pause", "c")
    assert lab.measure(MS)["c-emu"] == 0

# SPDX-License-Identifier: MIT
"""Emulators (stub domains that are made with their client), scheduling domains and bandwidth in the control domain:
what commands and domain files do, and all of their mistakes. What shares come of it is measured elsewhere.

TARN_GOLDEN=write records tests/qemu/golden/emulator.txt anew.
"""
import json
import os
import re

import pytest

from host import Machine
from test_control import GOLDEN
from test_numa import backends, node, numa  # noqa: F401  pylint: disable=unused-import

CREATE = ["create", "client.cfg", 'name="web"']


@pytest.fixture(scope="module")
def machine():
    with Machine(smp="4") as m:
        yield m


@pytest.fixture(autouse=True)
def nothing_left(request):
    """Every test leaves the machine as it was: no domain, and each page is back."""
    m = request.getfixturevalue("machine")
    before = m.free_pages()
    yield
    left = names(m)
    for name in left:
        m.xl("destroy", name, status=None)
    assert left == []
    assert m.free_pages() == before


def names(m):
    """All domains but Domain-0, in the order of their numbers."""
    return [line.split()[0] for line in m.out("list").split("\n")[2:]]


def destroy(m, *domains):
    for name in domains:
        m.xl("destroy", name)


def until(m, what, *words):
    """The output of a command, once it matches."""
    for _ in range(150):
        out = m.out(*words)
        if re.search(what, out, re.M):
            return out
        m.xl("measure", "100")
    raise AssertionError(f"{' '.join(words)}: never {what}:\n{out}\n{m.log()[-2000:]}")


def fails(m, reason, *words):
    done = m.xl(*words, status=1)
    assert reason in done.stderr, done.stderr


def rows(m, *domains):
    """{(name, VCPU): affinity} of vcpu-list, in its order."""
    out = m.out("vcpu-list", *domains)
    return {(n, v): a for n, v, a in re.findall(r"^(\S+) +\d+ +(\w+) +(?:\d+|-) +\S+ +\S+ +(\S+) / all$", out, re.M)}


def put(m, name, text):
    m.run("put", m.file(name, text))


# ---- life ----

def test_rows(machine):
    """An emulator stands beside its client: in vcpu-list, top, list, and under its own name."""
    m = machine
    m.xl("create", "-p", "burn.cfg", 'name="first"')
    m.xl(*CREATE, "iothreads=2", 'emulator_cpus="1"', 'iothread_cpus=["2", "3"]', 'vcpus=2')
    m.xl("create", "-p", "burn.cfg", 'name="last"')
    assert names(m) == ["first", "web", "web-emu", "last"]
    domid = m.out("domid", "web")
    want = {("web", "0"): "all", ("web", "1"): "all", ("web-emu", "emu"): "1", ("web-emu", "io1"): "2",
            ("web-emu", "io2"): "3"}
    got = rows(m)
    assert [n for n, _ in got] == ["Domain-0", "first", *["web"] * 2, *["web-emu"] * 3, "last"]
    assert list(rows(m, "web")) == list(want) and rows(m, "web").items() <= got.items()
    assert rows(m, "web") == want
    assert rows(m, "web-emu") == {("web-emu", str(v)): str(v + 1) for v in range(3)}
    units = re.findall(r"^ +(\S+) +(?:run|block|wait|down) .* (\S+)$", m.out("top", "-bvn", "1"), re.M)
    assert units == [("d0v0", "Domain-0"), (f"d{int(domid) - 1}v0", "first"), (f"d{domid}v0", "web"), (f"d{domid}v1", "web"),
                     (f"d{domid}emu", "web-emu"), (f"d{domid}io1", "web-emu"), (f"d{domid}io2", "web-emu"),
                     (f"d{int(domid) + 2}v0", "last")]
    assert [u["unit"] for u in json.loads(m.out("top", "-jn", "1"))] == [u for u, _ in units]
    assert [u["unit"] for u in json.loads(m.out("vcpu-list", "-j"))] == [u for u, _ in units]
    assert set(re.findall(r"^vcpu (\S+) \d+ ", m.out("measure", "1"), re.M)) == {"Domain-0", *names(m)}
    m.xl("vcpu-pin", "web-emu", "0", "0-1")
    assert rows(m, "web")["web-emu", "emu"] == "0-1"
    destroy(m, "first", "last", "web")


def test_serves(machine):
    """The client finds its disk, and after a reboot it does again: the pair comes back, with all that was set."""
    m = machine
    m.xl(*CREATE, 'charge="client"', "emulator_weight=100", "emulator_cap=20", "emulator_quota=50000", "iothreads=1",
         'emulator_disk=["2048,iothread=1"]')
    for first in (True, False):
        until(m, r"requests=[1-9]\d*", "console", "-l", "web")
        tree = m.out("sched-group-list", "web")
        assert re.search(r"^ +web-emu +\d+ +100 +20 ", tree, re.M), tree
        assert re.search(r"^web +\d+ emulator +100000 +50000 ", m.out("bandwidth", "-d", "web"), re.M)
        if first:
            domid = m.out("domid", "web")
            m.xl("reboot", "web")
            until(m, rf"^web +(?!{domid} )\d+ ", "list")
            assert names(m) == ["web", "web-emu"]
    m.xl("shutdown", "-w", "web")
    until(m, r"\A(?!(?s:.*)web)", "list")


def test_last_iothread(machine):
    """A domain file may have 16, and the last of them serves, too."""
    m = machine
    m.xl(*CREATE, "iothreads=16", 'emulator_disk=["2048,iothread=16"]')
    until(m, r"connected, thread 16$", "console", "-l", "web-emu")
    until(m, r"^web-emu +\d+ +\d+ +17 ", "list")
    destroy(m, "web")


def test_ends_with_client(machine):
    """What ends the client ends its emulator; pause does not; a client is renamed with it."""
    m = machine
    m.xl(*CREATE)
    m.xl("pause", "web")
    assert not re.search(r"^web-emu .*p---", m.out("list"), re.M) and re.search(r"^web .*--p---", m.out("list"), re.M)
    m.xl("rename", "web", "shop")
    assert names(m) == ["shop", "shop-emu"]
    fails(m, "busy (EBUSY)", "rename", "shop-emu", "other")
    fails(m, "EINVAL", "rename", "shop", "0123456789012345678901234567")
    m.xl("create", "-p", "hello.cfg", 'name="web-emu"')
    fails(m, "EEXIST", "rename", "shop", "web")
    destroy(m, "web-emu")
    m.xl("unpause", "shop")
    m.xl("shutdown", "-aw")
    assert names(m) == []
    put(m, "bad.cfg", 'name="web"\nkernel="bad.elf"\nextra="fault=ud2"\nmemory=8\nemulator="stub.cfg"\n')
    m.xl("create", "bad.cfg")
    until(m, r"\A(?!(?s:.*)web)", "list")
    m.xl("create", "bad.cfg", 'on_crash="preserve"')
    until(m, r"^web .*---sc-", "list")
    assert names(m) == ["web", "web-emu"]
    destroy(m, "web")
    m.xl("create", "bad.cfg", 'on_crash="rename-restart"')
    until(m, r"^web-1 ", "list")  # the second crashes at once, too, and is kept
    assert sorted(names(m)) in (["web", "web-1", "web-emu"], ["web", "web-1"])
    destroy(m, "web", "web-1")


@pytest.mark.parametrize("kernel, extra, how", [("bad.elf", "fault=ud2", "crashed"), ("hello.elf", "", "powered off"),
                                                ("hello.elf", "reboot", "asked for a reboot")])
def test_ends_alone(machine, kernel, extra, how):
    """An emulator that ends is not made again, and its client goes on."""
    m = machine
    put(m, "dying.cfg", f'name="x"\nkernel="{kernel}"\nextra="{extra}"\nmemory=8\n')
    m.xl(*CREATE, 'emulator="dying.cfg"', 'charge="client"')
    until(m, r"\A(?!(?s:.*)web-emu)", "list")
    assert names(m) == ["web"]
    assert f"(web-emu) {how}: destroyed; web goes on without it" in m.log()
    assert "ENOENT" in m.xl("sched-group-list", "web", status=1).stderr
    destroy(m, "web")


def test_destroyed_alone(machine):
    m = machine
    m.xl(*CREATE)
    assert "warning: web goes on without its emulator" in m.xl("destroy", "web-emu").stderr
    assert list(rows(m, "web")) == [("web", "0"), ("web", "1")]
    destroy(m, "web")


def test_pools(machine):
    """Shared, the pair moves as one; isolated, each for itself, and a file may have them apart from the start."""
    m = machine
    m.xl("cpupool-cpu-remove", "Pool-0", "2-3")
    free = m.free_pages()
    m.xl("cpupool-create", 'name="io"', 'cpus="3"')
    where = lambda: dict(re.findall(r"^(web\S*) .* (\S+)$", m.out("list", "-c"), re.M))  # noqa: E731
    try:
        m.xl(*CREATE, 'charge="client"')
        fails(m, "web-emu is in the group of web", "cpupool-migrate", "web-emu", "io")
        m.xl("cpupool-migrate", "web", "io")
        assert where() == {"web": "io", "web-emu": "io"}
        destroy(m, "web")
        m.xl(*CREATE)
        m.xl("cpupool-migrate", "web-emu", "io")
        assert where() == {"web": "Pool-0", "web-emu": "io"}
        destroy(m, "web")
        put(m, "apart.cfg", 'name="x"\nkernel="stub.elf"\nmemory=8\npool="io"\n')
        m.xl(*CREATE, 'emulator="apart.cfg"')
        assert where() == {"web": "Pool-0", "web-emu": "io"}
        destroy(m, "web")
        fails(m, "EXDEV", *CREATE, 'emulator="apart.cfg"', 'charge="client"')
        fails(m, "web-emu: cpus: vcpu 0 could run on no CPU of io (EINVAL)", *CREATE, 'emulator="apart.cfg"',
              'emulator_cpus="0"')
        m.xl(*CREATE, 'pool="io"')
        assert where() == {"web": "io", "web-emu": "io"}
        destroy(m, "web")
    finally:
        m.xl("cpupool-destroy", "io")
        m.xl("cpupool-cpu-add", "Pool-0", "2-3")
    assert m.free_pages() == free


# ---- all or nothing ----

def test_half_way(machine):
    """Whatever is wrong with either, neither is made, and no page is lost."""
    m = machine
    put(m, "wrong.cfg", 'name="x"\nkernel="stub.elf"\nmemory=lots\nvcpu=3\n')
    put(m, "none.cfg", 'name="x"\nkernel="none.elf"\n')
    put(m, "noise.elf", "this is no kernel\n")
    put(m, "noise.cfg", 'name="x"\nkernel="noise.elf"\n')
    put(m, "nested.cfg", 'name="x"\nkernel="stub.elf"\nemulator="stub.cfg"\n')
    put(m, "member.cfg", 'name="x"\nkernel="stub.elf"\ngroup="Domain-0"\n')
    put(m, "huge.cfg", 'name="x"\nkernel="stub.elf"\nmemory=4000\n')
    put(m, "pool.cfg", 'name="x"\nkernel="stub.elf"\npool="rt"\n')
    put(m, "time.cfg", 'name="x"\nkernel="stub.elf"\nperiod=10000\nbudget=1000\n')
    m.xl("create", "-p", "hello.cfg", 'name="taken-emu"')
    before = m.out("pages"), m.out("list", "-v", "taken-emu")
    for words, reason in [
            (['emulator="missing.cfg"'], "web: emulator missing.cfg: no such file (ENOENT)"),
            (['emulator="wrong.cfg"'], "wrong.cfg:3: memory: 'lots' is not a number"),
            (['emulator="wrong.cfg"'], "wrong.cfg:4: unknown key 'vcpu', is 'vcpus' meant?"),
            (['emulator="none.cfg"'], "web-emu: kernel none.elf: no such file"),
            (['emulator="noise.cfg"'], "web-emu: kernel noise.elf"),
            (['emulator="nested.cfg"'], "web: emulator nested.cfg: it can't have an emulator itself (EINVAL)"),
            (['emulator="member.cfg"'], "web: emulator member.cfg: it can't have a group itself (EINVAL)"),
            (['emulator="huge.cfg"'], "web-emu: not enough free memory"),
            (['emulator_disk=["2000000"]'], "web-emu: not enough free memory"),
            (['emulator="pool.cfg"'], "web-emu: pool rt: no such cpupool (ENOENT)"),
            (['emulator="time.cfg"'], "web-emu: period, budget and extratime: pool Pool-0 runs credit"),
            (['emulator_cpus="9"'], "web: emulatorpin: the host has no CPU 9 (EINVAL)"),
            (["iothreads=1", 'iothreadpin=["1:7"]'], "web: iothreadpin of iothread 1: the host has no CPU 7 (EINVAL)"),
            (['cpuset="1,77"'], "web: cpuset: the host has no CPU 77 (EINVAL)"),
            (['vcpupin=["1:77"]'], "web: vcpupin of vcpu 1: the host has no CPU 77 (EINVAL)"),
            (['group="nobody"'], "web: group: there is no domain nobody (ESRCH)"),
            (['kernel="missing.elf"'], "web: kernel missing.elf: no such file"),
            (["memory=4000"], "web: not enough free memory")]:
        fails(m, reason, *CREATE, *words)
        assert (m.out("pages"), m.out("list", "-v", "taken-emu")) == before, words
        assert names(m) == ["taken-emu"], words
    fails(m, f"taken-emu: domain {m.out('domid', 'taken-emu')} has that name", "create", "client.cfg", 'name="taken"')
    assert (m.out("pages"), m.out("list", "-v", "taken-emu")) == before
    destroy(m, "taken-emu")


@pytest.mark.parametrize("whose", ["hypervisor", "control"])
def test_every_allocation_fails(machine, whose):
    """The n-th allocation of a create fails, for every n that there is."""
    m = machine
    words = ["create", "-p", "client.cfg", 'name="web"', "memory=8", 'charge="client"', "vcpu_quota=50000", "iothreads=1",
             "global_quota=50000", "iothread_quota=5000", 'emulator_disk=["8,iothread=1"]', 'emulator_echo=[""]']
    heap = lambda: re.search(r"heap in use: (\d+)", m.out("pages")).group(1)  # noqa: E731
    order = ["fail-allocation", *(["-c"] if whose == "control" else [])]
    m.xl(*words)
    destroy(m, "web")
    free, used, n = m.free_pages(), heap(), 0
    while True:
        n += 1
        m.xl(*order, str(n))
        done = m.xl(*words, status=None)
        while m.xl(*order, "0", status=None).returncode:
            pass  # the order was still out, and struck this request
        if done.returncode == 0:
            break
        assert done.returncode == 1 or "out of memory" in done.stderr, done
        assert names(m) == [], n
        n += n // 20 if os.environ.get("TARN_FULL", "0") in ("", "0") else 0  # the many of the store's are alike
    destroy(m, "web")
    assert n > 5
    assert m.free_pages() == free and heap() == used


def test_come_and_go(machine):
    out = machine.out("life", "client.cfg", "10", 'charge="client"', timeout=120)
    for before, after in re.findall(r"(\d+) before, (\d+) after", out):
        assert before == after, out


# ---- scheduling domains ----

def tree(m):
    """[(depth, name, weight, cap)] of sched-group-list."""
    found = re.findall(r"^( *)(\S+|\(its own vcpus\)) +(?:\d+ +)?(\d+) +(\d+) +\d+\.\d$", m.out("sched-group-list"), re.M)
    return [(len(blanks) // 2, name, int(weight), int(cap)) for blanks, name, weight, cap in found]


OWN = "(its own vcpus)"


def test_groups(machine):
    """Made, added to, changed, left, dissolved; a domain is born into one; master and members end."""
    m = machine
    for name in "abcd":
        m.xl("create", "-p", "burn.cfg", f'name="{name}"')
    m.xl("sched-credit", "-d", "a", "-w", "512", "-c", "50")
    m.xl("sched-credit", "-d", "b", "-w", "77", "-c", "7")
    assert tree(m) == []
    m.xl("sched-group-create", "a", "b", "c")
    assert tree(m) == [(0, "a", 512, 50), (1, OWN, 256, 0), (1, "b", 256, 0), (1, "c", 256, 0)]
    m.xl("sched-group-add", "-w", "100", "-c", "30", "b", "d")
    m.xl("sched-group-set", "a", "b", "-c", "40")
    m.xl("sched-group-set", "-w", "5", "a", "a")
    m.xl("sched-group-set", "b", "b", "--cap", "9")
    assert tree(m) == [(0, "a", 512, 50), (1, OWN, 5, 0), (1, "b", 256, 40), (2, OWN, 256, 9), (2, "d", 100, 30),
                       (1, "c", 256, 0)]
    m.xl("create", "-p", "burn.cfg", 'name="e"', 'group="b"', "group_weight=3", "group_cap=4", "cpu_weight=9")
    assert (2, "e", 3, 4) in tree(m)
    assert json.loads(m.out("list", "-l", "e"))[0]["group_of"] == "b"
    m.xl("sched-group-remove", "b")  # with those below it
    assert tree(m) == [(0, "a", 512, 50), (1, OWN, 5, 0), (1, "c", 256, 0), (0, "b", 77, 7), (1, OWN, 256, 9),
                       (1, "d", 100, 30), (1, "e", 3, 4)]
    m.xl("sched-group-dissolve", "b")
    assert re.search(r"^e +\d+ +9 +0$", m.out("sched-credit"), re.M)
    assert [t[1] for t in tree(m)] == ["a", OWN, "c"]
    m.xl("sched-group-add", "a", "e")
    destroy(m, "c")
    assert [t[1] for t in tree(m)] == ["a", OWN, "e"]
    destroy(m, "a")
    assert tree(m) == []
    destroy(m, "b", "d", "e")


def test_group_errors(machine):
    """Each mistake is told, and changes nothing."""
    m = machine
    m.xl("cpupool-cpu-remove", "Pool-0", "3")
    free = m.free_pages()
    m.xl("cpupool-create", 'name="p"', 'cpus="3"')
    for name in "abcd":
        m.xl("create", "-p", "burn.cfg", f'name="{name}"')
    m.xl("create", "-p", "burn.cfg", 'name="far"', 'pool="p"')
    m.xl("sched-group-create", "a", "b")
    m.xl("sched-group-add", "b", "c")
    before = tree(m)
    own = "the master is no member of its own group (EINVAL)"
    for reason, *words in [
            ("x: no such domain", "create", "x", "d"), ("x: no such domain", "create", "d", "x"),
            ("d: " + own, "create", "d", "d"), ("a: " + own, "add", "a", "a"),
            ("far: given twice (EINVAL)", "create", "d", "far", "far"),
            ("far and d are in different cpupools (EXDEV)", "create", "d", "far"),
            ("far and a are in different cpupools (EXDEV)", "add", "a", "far"),
            ("b is in the group of a already (EBUSY)", "create", "d", "b"),
            ("b is in the group of a already (EBUSY)", "add", "d", "b"),
            ("a stands above c (EINVAL)", "add", "c", "a"), ("a stands above c (EINVAL)", "create", "c", "a"),
            ("a has a group already: sched-group-add adds to it (EEXIST)", "create", "a", "d"),
            ("x: no such domain", "add", "a", "x"), ("x: no such domain", "add", "x", "d"),
            ("weight 0: it is 1 to 65535 (EINVAL)", "add", "-w", "0", "a", "d"),
            ("weight 65536: it is 1 to 65535 (EINVAL)", "add", "-w", "65536", "a", "d"),
            ("cap x: it is 0 to 65535 (EINVAL)", "add", "-c", "x", "a", "d"),
            ("cap 65536: it is 0 to 65535 (EINVAL)", "set", "-c", "65536", "a", "b"),
            ("d is not in the group of a (ENOENT)", "set", "-w", "5", "a", "d"),
            ("c is not in the group of a (ENOENT)", "set", "-w", "5", "a", "c"),
            ("d has no members (ENOENT)", "set", "-w", "5", "d", "d"),
            ("x: no such domain", "set", "-w", "5", "a", "x"), ("x: no such domain", "set", "-w", "5", "x", "a"),
            ("a is in no group (ENOENT)", "remove", "a"), ("x: no such domain", "remove", "x"),
            ("d has no members (ENOENT)", "dissolve", "d"), ("x: no such domain", "dissolve", "x"),
            ("d has no members (ENOENT)", "list", "d"), ("x: no such domain", "list", "x")]:
        fails(m, reason, "sched-group-" + words[0], *words[1:])
        assert tree(m) == before, words
    for words in (["create"], ["create", "a"], ["add", "a"], ["add", "a", "b", "c"], ["add", "-x", "a", "b"], ["set", "a", "b"],
                  ["set", "-w", "5", "a"], ["remove"], ["remove", "a", "b"], ["dissolve"], ["dissolve", "a", "b"],
                  ["list", "a", "b"], ["list", "-x"], ["add", "-w"]):
        assert "sage" in m.xl("sched-group-" + words[0], *words[1:], status=2).stderr
    fails(m, "b is in the group of a: set it there (EBUSY)", "sched-credit", "-d", "b", "-w", "5")
    fails(m, "b is in the group of a: that one moves, and its members with it (EBUSY)", "cpupool-migrate", "b", "p")
    # all of them or none: the third is far away
    fails(m, "far and d are in different cpupools", "sched-group-create", "d", "Domain-0", "far")
    assert tree(m) == before
    fails(m, "group: d is not in p (EXDEV)", "create", "-p", "burn.cfg", 'name="e"', 'group="d"', 'pool="p"')
    m.xl("cpupool-migrate", "a", "p")
    assert {n: p for n, p in re.findall(r"^(\S+) .* (\S+)$", m.out("list", "-c"), re.M) if n in "abcd"} == \
        {"a": "p", "b": "p", "c": "p", "d": "Pool-0"}
    m.xl("create", "-p", "burn.cfg", 'name="e"', 'group="c"')  # in its master's pool
    assert re.search(r"^e .* p$", m.out("list", "-c"), re.M)
    m.xl("cpupool-destroy", "--evacuate", "Pool-0", "p")  # all of a tree goes
    assert set(re.findall(r"^[a-e] .* (\S+)$|^far .* (\S+)$", m.out("list", "-c"), re.M)) == {("Pool-0", ""), ("", "Pool-0")}
    assert [t[1] for t in tree(m) if t[1] != OWN] == ["a", "b", "c", "e"]
    destroy(m, *"abcde", "far")
    m.xl("cpupool-cpu-add", "Pool-0", "3")
    assert m.free_pages() == free


def test_too_deep(machine):
    """A chain of groups ends at the eighth level, whether by command or by birth."""
    m = machine
    chain = [f"n{i}" for i in range(10)]
    for name in chain:
        m.xl("create", "-p", "burn.cfg", f'name="{name}"', "memory=4")
    last = 0
    while (done := m.xl("sched-group-add", chain[last], chain[last + 1], status=None)).returncode == 0:
        last += 1
    assert f"n{last + 1} in the group of n{last}: groups in groups would be more than 8 levels (E2BIG)" in done.stderr
    assert last == 7  # the topmost is the first level
    assert [t[:2] for t in tree(m) if t[1] != OWN] == [(i, f"n{i}") for i in range(last + 1)]
    below, levels = json.loads(m.out("sched-group-list", "-j")), -1
    while below:
        levels, below = levels + 1, below[0].get("members")
    assert levels == last
    free = m.free_pages()
    fails(m, f"born in the group of n{last}: groups in groups would be", "create", "-p", "burn.cfg", 'name="born"', "memory=4",
          f'group="n{last}"')
    assert m.free_pages() == free
    destroy(m, *chain)


# ---- bandwidth ----

def limits(m, *words):
    return {unit: (int(p), int(q)) for unit, p, q in
            re.findall(r"^\S+ +\d+ (\S+) +(\d+) +(-?\d+) +\d+ +\d+\.\d$", m.out("bandwidth", *words), re.M)}


def test_bandwidth(machine):
    m = machine
    m.xl("create", "-p", "client.cfg", 'name="web"', "iothreads=2", "vcpu_period=10000", "vcpu_quota=5000",
         "global_quota=70000", "emulator_period=20000", "iothread_quota=-1")
    none = (100000, -1)
    assert limits(m, "-d", "web") == {"domain": (100000, 70000), "vcpu0": (10000, 5000), "vcpu1": (10000, 5000),
                                      "emulator": (20000, -1), "iothread1": none, "iothread2": none}
    m.xl("bandwidth", "-d", "web", "-q", "-1", "-p", "1000000")
    m.xl("bandwidth", "-d", "web", "-u", "vcpu1", "-q", "1000")
    m.xl("bandwidth", "-d", "web", "-u", "vcpu", "-p", "1000")
    m.xl("bandwidth", "-d", "web", "--unit=emulator", "--quota=17592186044415")
    m.xl("bandwidth", "-d", "web", "-u", "iothread", "-q", "3000")
    m.xl("bandwidth", "-d", "web", "-u", "iothread2", "-p", "30000")
    want = {"domain": (1000000, -1), "vcpu0": (1000, 5000), "vcpu1": (1000, 1000), "emulator": (20000, 17592186044415),
            "iothread1": (100000, 3000), "iothread2": (30000, 3000)}
    assert limits(m, "-d", "web") == want
    assert limits(m, "-d", "web-emu") == {"domain": none, **{f"vcpu{i}": want[u] for i, u in
                                                             enumerate(["emulator", "iothread1", "iothread2"])}}
    assert limits(m, "-d", "web", "-u", "iothread") == {u: want[u] for u in ("iothread1", "iothread2")}
    assert limits(m, "-d", "web", "-u", "vcpu1") == {"vcpu1": (1000, 1000)}
    assert "web-emu" not in m.out("bandwidth") and "\nDomain-0 " in m.out("bandwidth")
    got = json.loads(m.out("bandwidth", "-j", "-d", "web"))
    assert {u["unit"]: (u["period_us"], u["quota_us"]) for u in got} == want
    assert all(u["name"] == "web" and u["throttled"] == 0 for u in got)
    destroy(m, "web")


def test_bandwidth_errors(machine):
    m = machine
    m.xl("create", "-p", "client.cfg", 'name="web"', "iothreads=1")
    m.xl("create", "-p", "burn.cfg", 'name="plain"')
    before = m.out("bandwidth")
    period, quota = "it is 1000 to 1000000 us (EINVAL)", "it is 1000 to 17592186044415 us, or -1: no limit (EINVAL)"
    for reason, *words in [
            ("Must specify a domain. (EINVAL)", "-q", "5000"), ("Must specify a domain. (EINVAL)", "-u", "vcpu"),
            ("x: no such domain", "-d", "x"), ("x: no such domain", "-d", "x", "-q", "5000"),
            (period, "-d", "web", "-p", "999"), (period, "-d", "web", "-p", "1000001"), (period, "-d", "web", "-p", "0"),
            (period, "-d", "web", "-p", "-1"), (period, "-d", "web", "-p", "x"),
            (quota, "-d", "web", "-q", "999"), (quota, "-d", "web", "-q", "17592186044416"), (quota, "-d", "web", "-q", "0"),
            (quota, "-d", "web", "-q", "99999999999999999999"), (quota, "-d", "web", "-q", "1.5"),
            (period, "-d", "web", "-q", "5000", "-p", "5"),
            ("'cpu' is none of domain, vcpu[N], emulator, iothread[N] (EINVAL)", "-d", "web", "-u", "cpu"),
            ("'emulator1' is none of", "-d", "web", "-u", "emulator1"), ("'vcpu-1' is none of", "-d", "web", "-u", "vcpu-1"),
            ("'domain0' is none of", "-d", "web", "-u", "domain0"), ("'vcpu1x' is none of", "-d", "web", "-u", "vcpu1x"),
            ("vcpu2: web has vcpus 0 to 1 (EINVAL)", "-d", "web", "-u", "vcpu2", "-q", "5000"),
            ("iothread0: web has 1 iothreads (ENOENT)", "-d", "web", "-u", "iothread0"),
            ("iothread2: web has 1 iothreads (ENOENT)", "-d", "web", "-u", "iothread2", "-q", "5000"),
            ("emulator: plain has no emulator (ENOENT)", "-d", "plain", "-u", "emulator"),
            ("iothread1: plain has no emulator (ENOENT)", "-d", "plain", "-u", "iothread1", "-q", "5000")]:
        fails(m, reason, "bandwidth", *words)
        assert m.out("bandwidth") == before, words
    for words in (["-x"], ["web"], ["-d"], ["-d", "web", "5"]):
        assert "sage" in m.xl("bandwidth", *words, status=2).stderr
    destroy(m, "web", "plain")


# ---- domain files ----

@pytest.mark.parametrize("key, reason", [
    ('placement="numa"', "placement: 'numa' is none of static, auto"),
    ('place="2013"', "place: '2013' is none of modern, 2012"),
    ('cpuset="3-1"', "cpuset: range 3-1 runs backwards"), ('vcpupin=["0"]', "vcpupin: '0' is not of the form"),
    ('emulatorpin="x"', "emulatorpin: "), ('iothreadpin=["1:1"]', "iothreadpin: there is no iothread 1"),
    ("shares=1", "shares: must be at least 2"), ("vcpu_period=999", "vcpu_period: must be at least 1000 (us)"),
    ("vcpu_quota=999", "vcpu_quota: must be at least 1000 (us)"), ("global_period=1000001", "global_period: must be at most"),
    ("global_quota=1", "global_quota: must be at least 1000 (us)"), ("emulator_period=1", "emulator_period: must be at least"),
    ("emulator_quota=1", "emulator_quota: must be at least"), ("iothread_period=1", "iothread_period: must be at least"),
    ("iothread_quota=1", "iothread_quota: must be at least"), ("iothreads=17", "iothreads: must be at most 16"),
    ('charge="both"', "charge: 'both' is none of own, client"), ("emulator_cap=101", "emulator_cap: must be at most 100"),
    ("emulator_weight=0", "emulator_weight: must be at least 1"),
    ('emulator_disk=["x"]', "emulator_disk: 'x' is not of the form"),
    ('emulator_echo=["x"]', "emulator_echo: 'x' is not of the form"), ('emulator_cpus="^1"', "emulator_cpus: "),
    ('iothread_cpus=["1"]', "iothreadpin: there is no iothread 1"), ("group_weight=5", "group_weight: there is no group"),
    ("group_cap=5", "group_cap: there is no group"), ('group="web"', "group: a domain can't be a member of itself"),
    ('numatune="x"', "numatune: 'x' is none of static, auto"),
    ('emulator=5', "emulator: must be a string in quotes")])
def test_bad_key(machine, key, reason):
    """It is told, with its line."""
    emulator = "" if key.startswith("emulator=") else 'emulator = "stub.cfg"'
    put(machine, "key.cfg", f'name = "web"\nkernel = "hello.elf"\nvcpus = 2\n{emulator}\n{key}\n')
    done = machine.xl("create", "key.cfg", status=1)
    assert re.search(r"key\.cfg:\d+: " + re.escape(reason), done.stderr), done.stderr


def test_placement(machine):
    """libvirt's rules at create: pins, cpuset, the adviser's answer; what is left out is told."""
    m = machine
    m.xl("create", "-p", "client.cfg", 'name="web"', "vcpus=3", 'cpuset="1-2"', 'vcpupin=["1:3"]', "iothreads=2",
         'iothreadpin=["2:0"]')
    assert rows(m, "web") == {("web", "0"): "1-2", ("web", "1"): "3", ("web", "2"): "1-2", ("web-emu", "emu"): "1-2",
                              ("web-emu", "io1"): "1-2", ("web-emu", "io2"): "0"}
    destroy(m, "web")
    done = m.xl("create", "-p", "client.cfg", 'name="web"', 'placement="auto"', 'cpuset="1"', 'vcpupin=["0:2", "5:1"]')
    assert "warning: web: placement is auto: the cpuset of the vcpus is ignored" in done.stderr
    assert "warning: web: vcpupin of vcpu 5 is ignored: the last vcpu is 1" in done.stderr
    assert rows(m, "web") == {("web", "0"): "2", ("web", "1"): "all", ("web-emu", "emu"): "all"}
    destroy(m, "web")
    m.xl("create", "-p", "client.cfg", 'name="web"', 'cpus="1"', 'emulatorpin="2"', "shares=2048")
    assert rows(m, "web") == {("web", "0"): "1", ("web", "1"): "1", ("web-emu", "emu"): "2"}
    assert re.search(r"^web +\d+ +512 +0$", m.out("sched-credit"), re.M)
    destroy(m, "web")
    m.xl("create", "-p", "client.cfg", 'name="web"', "emulator_cap=30", "emulator_weight=99")
    assert re.search(r"^web-emu +\d+ +99 +30$", m.out("sched-credit"), re.M)
    destroy(m, "web")


def test_adviser(machine, numa):  # noqa: F811
    """placement="auto": one node is all of the pool; else the node that has room and the fewest vcpus; or a file says it."""
    m = numa(backends([256, 256]) + node(0, "0-1") + node(1, "2-3"), smp="4,sockets=2", memory=512)
    m.xl("create", "-p", "burn.cfg", 'name="a"', "vcpus=2", 'cpus="2-3"')
    words = ["-p", "client.cfg", 'name="web"', 'placement="auto"', 'vcpupin=["1:3"]', "iothreads=1"]
    m.xl("create", *words)
    assert rows(m, "web") == {("web", "0"): "0-1", ("web", "1"): "3", ("web-emu", "emu"): "0-1", ("web-emu", "io1"): "0-1"}
    destroy(m, "web")
    plan = m.out("create", "-n", "--explain", *words)  # nothing is made
    assert names(m) == ["a"]
    assert re.search(r"^ vcpu 0 +0-1 +0-1 +no pin; placement is auto: the adviser's answer$", plan, re.M)
    assert re.search(r"^ vcpu 1 +3 +3 +its vcpupin$", plan, re.M)
    assert re.search(r"^ emulator +0-1 +0-1 +.*\n iothread 1 +0-1 +0-1 ", plan, re.M)
    told = plan[plan.index("adviser   "):]
    assert re.fullmatch(
        r"adviser +memory node 0: of the 2 memory nodes that have room for it, it has the fewest vcpus \(CPUs 0-1\)\n"
        r" +it wants 2 CPUs and 16 MiB; there are\n +node 0: 2 CPUs of Pool-0, 1 vcpu there, (\d+) MiB free; chosen\n"
        r" +node 1: 2 CPUs of Pool-0, 3 vcpus there, (\d+) MiB free", told), told
    m.xl("vcpu-pin", "Domain-0", "0", "0")
    plan = m.out("create", "-n", "--explain", *words)
    assert "node 1: 2 CPUs of Pool-0, 2 vcpus there" in plan
    assert "the only memory node that has room for it" in m.out("create", "-n", "--explain", *words, "memory=236")
    assert "no set of memory nodes has room for it" in m.out("create", "-n", "--explain", *words, "memory=900")
    assert re.search(r"^rather +CPUs 0-1, as soft affinity: of the 2 memory nodes that have room for it, .*fewest vcpus$",
                     m.out("create", "-n", "--explain", "hello.cfg"), re.M)
    m.xl("vcpu-pin", "Domain-0", "0", "all")
    m.xl("vcpu-pin", "a", "all", "0-1")
    m.xl("vcpu-pin", "Domain-0", "0", "0")
    m.xl("create", *words)
    assert set(rows(m, "web").values()) == {"2-3", "3"}
    destroy(m, "web")
    put(m, "advice", "1,3\n")
    m.xl("create", *words)
    assert rows(m, "web") == {("web", "0"): "1,3", ("web", "1"): "3", ("web-emu", "emu"): "1,3", ("web-emu", "io1"): "1,3"}


def test_golden(machine):
    """The commands' layouts, and JSON."""
    m = machine
    words = ["-p", "client.cfg", 'name="web"', "iothreads=1", 'charge="client"', "emulator_weight=100", 'cpuset="1-2"',
             'emulatorpin="0"', "vcpu_period=10000", "vcpu_quota=5000", "global_quota=-1", "emulator_quota=90000",
             "iothread_period=50000"]
    shown = [m.out("create", "-n", *words)]
    m.xl("create", *words)
    until(m, r"^web-emu +\d+ +\d+ +2 ", "list")
    m.xl("create", "-p", "burn.cfg", 'name="next"', 'group="web"', "group_cap=50")
    for line in ("list", "list -l web web-emu next", "vcpu-list", "vcpu-list -e web", "vcpu-list web-emu", "vcpu-list -j web",
                 "sched-group-list", "sched-group-list -j", "sched-credit", "bandwidth", "bandwidth -j -d web", "top -bvn 1",
                 "top -bn 1"):
        shown.append(f"$ {line}\n" + m.out(*line.split()))
    destroy(m, "web", "next")
    text = "\n".join(shown)
    numbers = {d: f"ID{i}" for i, d in enumerate(sorted(set(re.findall(r'"domid": (\d+)', text)), key=int))}
    for pattern, to in [(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"), (r'"cpu(_ns)?": \d+', r'"cpu\1": N'),
                        (r'"domid": (\d+)', lambda found: f'"domid": {numbers[found[1]]}'),
                        (r" +\d+\.\d\b", " T"), (r"(?m)^(Domain-0|web\S*|next|  web-emu|  next) +\d+ ", r"\1 ID "),
                        (r" d[1-9]\d*(v|emu|io)", r" dN\1"), (r'"d[1-9]\d*(v|emu|io)', r'"dN\1'),
                        (r"(?m)^(\S+ +ID +\S+) +(?:\d+|-) +(?:-b-|r--|---|--p) T", r"\1 CPU ... T"),
                        (r"[-rb][-b](-|p)---", "......"), (r"(run|block|wait|down) +\d+ T +\d+", "STATE N T CPU"),
                        (r"(?m)^ +(\S+) +STATE", r"\1 STATE"),
                        (r'"state": "\w+"', '"state": "..."'), (r'("throttled(_ns)?"): \d+', r"\1: N"),
                        (r"(?m)^(\S+ ID \S+ +\d+ +-?\d+) +\d+ T$", r"\1 N T"), (r"(?m)^( *\S+ [-a-z]{6}) +\d+ T", r"\1 N T"),
                        (r"(?m)^(Domain-0 ID) +\d+", r"\1 MEM"), (r"(?m)^( +Domain-0 \S+ N T) +\d+ T", r"\1 MEM T")]:
        text = re.sub(pattern, to, text)
    text = "\n".join(line.rstrip() for line in text.split("\n")) + "\n"
    path = os.path.join(GOLDEN, "emulator.txt")
    if os.environ.get("TARN_GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    with open(path, encoding="utf-8") as f:
        assert text == f.read(), f"differs from {path}"

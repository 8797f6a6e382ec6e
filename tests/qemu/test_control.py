# SPDX-License-Identifier: MIT
"""The control domain, driven from the host by `tarn` alone: the whole life of domains.

Outputs in xl's layout are compared with tests/qemu/golden/*.txt; what depends on time or on the
build is masked. TARN_GOLDEN=write records them anew (look at the difference before it is kept).
"""
import json
import os
import re

import pytest

from host import Machine
from tarn import BUILD, ROOT

GOLDEN = os.path.join(ROOT, "tests", "qemu", "golden")
LAYOUTS = ["1", "4", "8,sockets=2,cores=2,threads=2", "6,sockets=2,cores=3,threads=1"]
INFO = ("host|release|version|machine|cpu_mhz|hw_caps|xen_changeset|cc_compiler|cc_compile_date|free_memory|"
        "build_id|xen_commandline|xen_version|xen_extra")
MASKS = [
    (rf"(?m)^({INFO})( *): .*$", r"\1\2: ..."),
    (r"(?m)^(   0: +\d+) +\d+", r"\1 FREE"),  # numa_info: free memory
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    # list: running or blocked at this moment, and the time
    (r"(?m)^(\S+ +\d+ +\d+ +\d+ +)[-rb][-b](----) +\d+\.\d", r"\1..\2 TIME"),
    (r"(?m)^(\S+ +\d+ +\d+ +\d+ +--p---) +\d+\.\d", r"\1 TIME"),
    # vcpu-list: where a vcpu happens to be, too
    (r"(?m)^(\S+ +\d+ +\d+ +)(?:\d+|-) +(?:-b-|r--|---) +\d+\.\d", r"\1CPU ... TIME"),
    (r"(?m)^(\S+ +\d+ +\d+ +- +--p) +\d+\.\d", r"\1 TIME"),
]


def masked(text):
    for pattern, replacement in MASKS:
        text = re.sub(pattern, replacement, text)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def compare(name, text):
    path = os.path.join(GOLDEN, name + ".txt")
    text = masked(text) + "\n"
    if os.environ.get("TARN_GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    with open(path, encoding="utf-8") as f:
        assert text == f.read(), f"differs from {path}"


def console(m, domain):
    """What a domain has printed."""
    return m.run("console", domain).stdout.replace("\r", "")


def counters(m, domain, previous=None):
    """The last line of counters that the guest printed; with `previous`, once there is another."""
    for _ in range(200):
        lines = re.findall(r"^smp: counters (.*)$", console(m, domain), re.M)
        if lines and (previous is None or len(lines) > previous[0]):
            return len(lines), [int(n) for n in lines[-1].split()]
        m.xl("sleep", "1")
    raise AssertionError(f"{domain} prints no counters:\n{console(m, domain)}")


def after(m, domain, lines):
    """Counters after that many more lines."""
    at = counters(m, domain)
    for _ in range(lines):
        at = counters(m, domain, at)
    return at[1]


COUNTERS = ["create", "smp.cfg", 'name="count"', 'extra="counters"', "vcpus=4"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_by_script(layout):
    """Up; three domains; what xl shows of them; pause, vcpu-set, destroy; the memory is back; down."""
    with Machine(smp=layout, up=["--icount=2"] if layout == "1" else []) as m:
        free = m.free_pages()
        m.xl("create", "hello.cfg")
        m.xl("create", "ticks.cfg", 'name="clock"', 'extra="seconds=100000"', 'cpus="0"', 'cpus_soft="0"')
        m.xl("create", "-p", "smp.cfg", "vcpus=3", "maxvcpus=4", "memory=16", "cpu_weight=512", "cap=50")
        compare("layout-" + layout.split(",")[0], "\n".join([
            m.out("list"), m.out("list", "-c"), m.out("list", "-v", "hello"), m.out("vcpu-list"), m.out("vcpu-list", "smp"),
            m.out("info", "-n"), m.out("sched-credit"), m.out("cpupool-list"), m.out("cpupool-list", "-c"),
            m.out("domid", "clock"), m.out("domname", "1")]))
        for name in ("hello", "clock", "smp"):
            m.xl("destroy", name)
        assert re.search(r"^Domain-0 .*\n?\Z", m.out("list"), re.M)
        assert len(m.out("list").split("\n")) == 2
        assert m.free_pages() == free
        m.run("down")
        assert m.run("status", status=None).stdout.find("answers") < 0
        m.run("xl", "list", status=125)


@pytest.fixture(scope="module")
def machine():
    with Machine(smp="4") as m:
        yield m


def test_pause(machine):
    """A paused domain's counters stand still; pauses are counted; it goes on."""
    m = machine
    m.xl(*COUNTERS)
    try:
        before = after(m, "count", 2)
        assert all(n > 0 for n in before)
        m.xl("pause", "count")
        assert re.search(r"^count .*--p---", m.out("list"), re.M)
        paused = console(m, "count")
        m.xl("sleep", "2")
        assert console(m, "count") == paused
        times = re.findall(r"^count.* (\d+\.\d) ", m.out("vcpu-list", "count"), re.M)
        m.xl("sleep", "1")
        assert re.findall(r"^count.* (\d+\.\d) ", m.out("vcpu-list", "count"), re.M) == times
        m.xl("unpause", "count")
        assert all(a > b for a, b in zip(after(m, "count", 1), before))
    finally:
        m.xl("destroy", "count")


def test_vcpu_set(machine):
    """Four vcpus, two, four: the counters of those that are off stand still; vcpu 0 stays."""
    m = machine
    m.xl(*COUNTERS)
    try:
        after(m, "count", 1)
        m.xl("vcpu-set", "count", "2")
        first = after(m, "count", 2)
        second = after(m, "count", 2)
        assert second[0] > first[0] and second[1] > first[1]
        assert second[2:] == first[2:]
        lines = m.out("vcpu-list", "count").split("\n")[1:]
        assert [line.split()[3:5] for line in lines[2:]] == [["-", "--p"]] * 2
        m.xl("vcpu-set", "count", "4")
        third = after(m, "count", 3)
        assert all(a > b for a, b in zip(third, second))
        m.xl("vcpu-set", "count", "0", status=1)
        m.xl("vcpu-set", "count", "5", status=1)
        m.xl("vcpu-set", "count", "1")
        fourth, fifth = after(m, "count", 2), after(m, "count", 2)
        assert fifth[0] > fourth[0] and fifth[1:] == fourth[1:]
    finally:
        m.xl("destroy", "count")


def test_balloon(machine):
    """Memory goes back and comes again, to the page."""
    m = machine
    m.xl("create", "hello.cfg", 'name="soft"', "memory=16")
    try:
        full = m.free_pages()
        m.xl("mem-set", "soft", "10m")
        for target, difference in (("12m", 1024), ("16m", 0), ("12m", 1024)):
            m.xl("mem-set", "soft", target)
            for _ in range(50):
                if m.free_pages() == full + difference:
                    break
                m.xl("sleep", "1")
            assert m.free_pages() == full + difference
            assert re.search(rf"^soft +\d+ +{int(target[:-1])} ", m.out("list"), re.M)
    finally:
        m.xl("destroy", "soft")


def test_end_of_life(machine):
    """on_poweroff, on_reboot and on_crash do what they say, and the console's last words are kept."""
    m = machine
    free = m.free_pages()
    m.xl("create", "hello.cfg", 'name="short"', 'extra=""')
    wait_gone(m, "short")
    m.xl("create", "hello.cfg", 'name="kept"', 'extra=""', 'on_poweroff="preserve"')
    wait_listed(m, r"^kept .*---s--")
    assert "hello: ok" in console(m, "kept")
    m.xl("destroy", "kept")
    m.xl("create", "hello.cfg", 'name="again"', 'extra="reboot linger=1"', 'on_reboot="restart"')
    first = int(m.out("domid", "again"))
    for _ in range(20):
        m.xl("sleep", "1")
        now = m.xl("domid", "again", status=None)
        if now.returncode == 0 and int(now.stdout) > first:
            break
    assert int(m.out("domid", "again")) > first
    m.xl("destroy", "again")
    m.run("put", os.path.join(BUILD, "guests", "bad.elf"))
    m.xl("create", "hello.cfg", 'name="bad"', 'kernel="bad.elf"', 'extra="fault=ud2"', 'on_crash="preserve"')
    wait_listed(m, r"^bad .*---sc-")
    m.xl("destroy", "bad")
    assert m.free_pages() == free


def wait_gone(m, name):
    for _ in range(30):
        if m.xl("domid", name, status=None).returncode:
            return
        m.xl("sleep", "1")
    raise AssertionError(f"{name} is still there:\n{m.out('list')}")


def wait_listed(m, pattern):
    for _ in range(30):
        if re.search(pattern, m.out("list"), re.M):
            return
        m.xl("sleep", "1")
    raise AssertionError(f"{pattern} is not there:\n{m.out('list')}")


def test_shutdown_and_names(machine):
    m = machine
    m.xl("create", "hello.cfg", 'name="polite"')
    m.xl("rename", "polite", "gentle")
    m.xl("domid", "polite", status=1)
    m.xl("create", "hello.cfg", 'name="gentle"', status=1)
    m.xl("shutdown", "-w", "gentle")
    m.xl("domid", "gentle", status=1)


def test_json(machine):
    m = machine
    m.xl("create", "hello.cfg", 'name="json"')
    try:
        domains = json.loads(m.out("list", "-l"))
        assert {"Domain-0", "json"} <= {json.dumps(d) and name_of(d) for d in domains}
    finally:
        m.xl("destroy", "json")


def name_of(domain):
    return domain.get("config", {}).get("c_info", {}).get("name") or domain.get("name")


def test_log_and_keys(machine):
    m = machine
    assert "cpus online" in m.out("dmesg")
    m.xl("debug-keys", "rq0eh")
    dmesg = m.out("dmesg")
    assert "Pool-0" in dmesg
    m.xl("dmesg", "-c")
    assert "cpus online" not in m.out("dmesg")
    assert re.search(r"Domain-0 +0 ", m.out("uptime"))


@pytest.mark.parametrize("line", [["list", "nobody"], ["vcpu-pin", "nobody", "0", "1"], ["create"], ["create", "nofile.cfg"],
                                  ["nonsense"], ["vcpu-pin", "Domain-0", "9", "1"], ["vcpu-pin", "Domain-0", "0", "77"],
                                  ["pause", "Domain-0"], ["destroy", "Domain-0"], ["rename", "Domain-0", "a b"],
                                  ["sched-credit", "-d", "Domain-0", "-w", "0"], ["mem-set", "Domain-0", "x"], ["list", "-q"]])
def test_wrong_words(machine, line):
    """A non-zero status and a reason on standard error; nothing changes."""
    before = machine.out("list").split("\n")[1:]
    done = machine.xl(*line, status=None)
    assert done.returncode not in (0, 125)
    assert done.stderr.strip()
    assert len(machine.out("list").split("\n")[1:]) == len(before)


BAD_FILES = [
    # the file, the line that is to be named, a part of the reason
    ('name = "x"\nkernel = "hello.elf"\nmemroy = 8\n', 3, "memroy"),
    ('name = "x\nkernel = "hello.elf"\n', 1, "string"),
    ('name = x\nkernel = "hello.elf"\n', 1, "name"),
    ('name = ""\nkernel = "hello.elf"\n', 1, "name"),
    ('name = "' + "x" * 200 + '"\nkernel = "hello.elf"\n', 1, "name"),
    ('name = "a b"\nkernel = "hello.elf"\n', 1, "name"),
    ('name = "17"\nkernel = "hello.elf"\n', 1, "name"),
    ('name = "x"\nkernel = 7\n', 2, "kernel"),
    ('name = "x"\nkernel = ""\n', 2, "kernel"),
    ('name = "x"\nkernel = "hello.elf"\nmemory = "much"\n', 3, "memory"),
    ('name = "x"\nkernel = "hello.elf"\nmemory = 0\n', 3, "memory"),
    ('name = "x"\nkernel = "hello.elf"\nmemory = -8\n', 3, "memory"),
    ('name = "x"\nkernel = "hello.elf"\nmemory = 99999999999\n', 3, "memory"),
    ('name = "x"\nkernel = "hello.elf"\nmemory = 8\nmaxmem = 4\n', 4, "maxmem"),
    ('name = "x"\nkernel = "hello.elf"\nvcpus = 0\n', 3, "vcpus"),
    ('name = "x"\nkernel = "hello.elf"\nvcpus = 129\n', 3, "vcpus"),
    ('name = "x"\nkernel = "hello.elf"\nvcpus = 4\nmaxvcpus = 2\n', 3, "maxvcpus"),
    ('name = "x"\nkernel = "hello.elf"\ncpus = "0-"\n', 3, "cpus"),
    ('name = "x"\nkernel = "hello.elf"\ncpus = "99"\n', 3, "cpus"),
    ('name = "x"\nkernel = "hello.elf"\ncpus = "0,^0"\n', 3, "cpus"),
    ('name = "x"\nkernel = "hello.elf"\ncpus = ["0", 7.5]\n', 3, ""),
    ('name = "x"\nkernel = "hello.elf"\ncpus_soft = "abc"\n', 3, "cpus_soft"),
    ('name = "x"\nkernel = "hello.elf"\ncpus = ["0"\n', 3, ""),
    ('name = "x"\nkernel = "hello.elf"\ncpu_weight = 0\n', 3, "cpu_weight"),
    ('name = "x"\nkernel = "hello.elf"\ncpu_weight = 65536\n', 3, "cpu_weight"),
    ('name = "x"\nkernel = "hello.elf"\ncap = -1\n', 3, "cap"),
    ('name = "x"\nkernel = "hello.elf"\ncap = 101\n', 3, "cap"),
    ('name = "x"\nkernel = "hello.elf"\non_crash = "explode"\n', 3, "on_crash"),
    ('name = "x"\nkernel = "hello.elf"\nname = "y"\n', 3, "name"),
    ('name = "x"\nkernel = "hello.elf"\nmemory 8\n', 3, ""),
    ('name = "x"\nkernel = "hello.elf"\nmemory =\n', 3, "memory"),
    ('name = "x"\nkernel = "hello.elf"\nmemory = 8 9\n', 3, ""),
    ('name = "x"\nkernel = "hello.elf"\n= 8\n', 3, ""),
    ('name = "x"\nkernel = "hello.elf"\ntype = "hvm"\n', 3, "type"),
    ('name = "x"\nkernel = "hello.elf"\npool = ["a"]\n', 3, "pool"),
    ('name = "x"\nkernel = "hello.elf"\nextra = "' + "y" * 1100 + '"\n', 3, "longer"),
    ('kernel = "hello.elf"\n', None, "name"),
    ('name = "x"\n', None, "kernel"),
    ('name = "x"\nkernel = "hello.elf"\n\x01\x02\n', 3, ""),
]


def test_bad_domain_files(machine):
    """Each kind of error: the file, the line, a reason; nothing is created and nothing is lost."""
    m = machine
    pages = m.out("pages")
    for i, (text, line, reason) in enumerate(BAD_FILES):
        name = f"bad{i}.cfg"
        m.run("put", m.file(name, text))
        before = m.out("pages")
        done = m.xl("create", name, status=1)
        where = f"{name}:{line}: " if line else f"{name}:"
        told = [t for t in done.stderr.split("\n") if where in t]
        assert told, f"{text!r}: {done.stderr}"
        assert any(reason in t for t in told), f"{text!r}: {done.stderr}"
        assert m.out("pages") == before, text
    assert m.out("list").count("\n") == 1
    assert pages.split("\n")[1] == m.out("pages").split("\n")[1]


def test_half_way(machine):
    """What only shows while a domain is made: no memory, no kernel, no pool; nothing stays behind."""
    m = machine
    m.run("put", m.file("noise.elf", "this is no kernel\n"))
    before = m.out("pages")
    for words, reason in [(["memory=4000"], "memory"), (['kernel="missing.elf"'], "missing.elf"),
                          (['kernel="noise.elf"'], "noise.elf"), (['pool="rt"'], "rt"), (["memory=1"], "memory"),
                          (['ramdisk="missing.cpio"'], "missing.cpio"), (['name="Domain-0"'], "Domain-0")]:
        done = m.xl("create", "hello.cfg", *words, status=1)
        assert reason in done.stderr, done.stderr
        assert m.out("pages") == before, words


@pytest.mark.parametrize("whose", ["hypervisor", "control"])
def test_every_allocation_fails(machine, whose):
    """The n-th allocation of a create fails, for every n that there is: an error, and nothing is lost."""
    m = machine
    words = ["create", "-p", "smp.cfg", 'name="unlucky"', "vcpus=2", "memory=8"]
    m.xl(*words)
    m.xl("destroy", "unlucky")
    free = m.free_pages()
    heap = re.search(r"heap in use: (\d+)", m.out("pages")).group(1)
    failed = 0
    n = 1
    while True:
        m.xl("fail-allocation", *(["-c"] if whose == "control" else []), str(n))
        done = m.xl(*words, status=None)
        while m.xl("fail-allocation", *(["-c"] if whose == "control" else []), "0", status=None).returncode:
            pass  # the order was still out, and struck this request
        if done.returncode == 0:
            m.xl("destroy", "unlucky")
            break
        # the wire's own memory may be what fails: then the request is refused
        assert done.returncode == 1 or "out of memory" in done.stderr, done
        failed += 1
        n += 1
    assert failed >= 5
    assert m.free_pages() == free
    assert re.search(r"heap in use: (\d+)", m.out("pages")).group(1) == heap


def test_come_and_go():
    """1,000 domains come and go beside neighbours that notice nothing; nothing is lost, and it takes no longer."""
    with Machine(smp="2", up=["--icount"]) as m:
        m.xl("create", "pong.cfg", 'extra="role=pong peer=2 port=3 rounds=100000000"', "cap=10")
        m.xl("create", "ping.cfg", 'extra="role=ping peer=1 port=3 rounds=100000000"', "cap=10")
        m.xl("create", "ticks.cfg", 'extra="seconds=100000"')
        m.xl("life", "hello.cfg", "20", timeout=120)
        done = m.xl("life", "hello.cfg", "1000", timeout=400)
        tenths = [int(t) for t in re.findall(r"tenth \d+ took (\d+) us", done.stdout)]
        assert len(tenths) == 10
        assert sum(tenths[7:]) <= sum(tenths[1:4]) * 1.1, tenths  # the first one has credit in hand
        pages = re.search(r"free pages (\d+) before, (\d+) after", done.stdout)
        assert pages.group(1) == pages.group(2)
        heap = re.search(r"heap (\d+) before, (\d+) after", done.stdout)
        assert abs(int(heap.group(1)) - int(heap.group(2))) < 1024
        listed = m.out("list")
        assert len(listed.split("\n")) == 5, listed
        assert "lost" not in console(m, "ping").replace(" 0 lost", "")
        for name in ("ping", "pong", "ticks"):
            m.xl("destroy", name)


def test_protocol_bytes_on_a_console(machine):
    """A guest that prints the wire's own frames is only printed."""
    m = machine
    frame = bytes([0xA5, 0x7E, 20, 0, 1, 0, 0, 0, 4, 0])
    text = (b'name = "liar"\nkernel = "hello.elf"\nmemory = 8\nextra = "linger ' + frame.replace(b"\0", b"\x01") * 8 + b'"\n')
    path = m.file("liar.cfg", "")
    with open(path, "wb") as f:
        f.write(text)
    m.run("put", path)
    done = m.xl("create", "liar.cfg", status=None)
    if done.returncode == 0:
        m.xl("sleep", "1")
        m.run("console", "liar")
        assert "liar" in m.out("list")
        m.xl("destroy", "liar")
    assert re.search(r"^Domain-0 ", m.out("list"), re.M)

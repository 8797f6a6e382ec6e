# SPDX-License-Identifier: MIT
"""virsh's words in the control domain: definitions, --live, --config and --current, pins, shares and bandwidth, vcpus.

What they print and how they refuse is virsh's of libvirt 9, as far as there is the same thing here."""
import re

import pexpect
import pytest

from host import TARN, Machine
from tarn import SCALE

NOT_RUNNING = "Requested operation is not valid: domain is not running"
TRANSIENT = "Requested operation is not valid: transient domains do not have any persistent config"
WEB = """# The web server.
name = "web"
kernel = "smp.elf"
extra = "counters"
memory = 8
vcpus = 2 # of four
maxvcpus = 4
cpuset = "1-3"
vcpupin = ["1:3"]
iothreads = 2
"""


@pytest.fixture(scope="module")
def m():
    with Machine(smp="4") as machine:
        yield machine


@pytest.fixture
def web(m):
    """`web`, defined and not running; everything is gone behind the test."""
    define(m, "web", WEB)
    yield m
    for name in re.findall(r"^ (?:\d+|-) +(\S+)", virsh(m, "list", "--all"), re.M):
        if name not in ("Domain-0", "Name"):
            m.xl("virsh", "destroy", name, status=None)
            m.xl("virsh", "undefine", name, status=None)


def virsh(m, *words, **kw):
    """What a word prints. Behind it there is an empty line, as virsh has it."""
    text = m.xl("virsh", *words, **kw).stdout
    assert text.endswith("\n"), text
    return text[:-1]


def refused(m, *words):
    """The errors of a word, without "error: "."""
    done = m.xl("virsh", *words, status=1)
    lines = done.stderr.splitlines()
    assert lines and all(line.startswith("error: ") for line in lines), done.stderr
    return "\n".join(line[7:] for line in lines)


def define(m, name, text):
    m.run("put", m.file(name + ".cfg", text))
    assert virsh(m, "define", name + ".cfg") == f"Domain '{name}' defined from {name}.cfg\n"


def definition(m, name="web"):
    return virsh(m, "dumpcfg", name)


def pins(m, *words):
    return {int(v): cpus for v, cpus in re.findall(r"^ (\d+) +(\S+)$", virsh(m, "vcpupin", "web", *words), re.M)}


def emulatorpin(m, name, *words):
    return re.fullmatch(r"emulator: CPU Affinity\n-{34}\n       \*: (\S+)\n", virsh(m, "emulatorpin", name, *words)).group(1)


def iothreads(m, name, *words):
    found = re.findall(r"^ (\d+) +(\S+)$", virsh(m, "iothreadinfo", name, *words), re.M)
    return {int(v): cpus for v, cpus in found}


def affinities(m, name):
    """{vcpu: hard affinity} as vcpu-list has it."""
    return dict(re.findall(rf"^{name} +\d+ +(\S+) .* (\S+) / \S+$", m.out("vcpu-list", name), re.M))


def params(m, *words):
    """{parameter: value}, and the scheduler."""
    lines = [re.fullmatch(r"(.{15}): (\S+)", line).groups() for line in virsh(m, "schedinfo", *words).splitlines()]
    found = {name.strip(): value for name, value in lines}
    return {k: v if k == "Scheduler" else int(v) for k, v in found.items()}


def counts(m, *words):
    return re.findall(r"^(\w+) +(\w+) +(\d+)$", virsh(m, "vcpucount", *words), re.M)


def vcpus(m, name="web"):
    """[(state, affinity)] of vcpuinfo."""
    return re.findall(r"^State: +(\S+)\nCPU time.*\nCPU Affinity: +(\S+)$", virsh(m, "vcpuinfo", name), re.M)


def states(m):
    return [state for state, _ in vcpus(m)]


def until(m, what, wanted):
    for _ in range(300):
        if what() == wanted:
            return
        m.xl("virsh", "domstate", "web")  # the machine goes on meanwhile
    assert what() == wanted


# ---- definitions ----

def test_life(web):
    """A definition outlives its domain, which starts from it; what runs without one is transient."""
    m = web
    assert virsh(m, "list", "--all") == (" Id   Name       State\n"
                                         "---------------------------\n"
                                         " 0    Domain-0   running\n"
                                         " -    web        shut off\n")
    assert virsh(m, "list") == " Id   Name       State\n--------------------------\n 0    Domain-0   running\n"
    assert virsh(m, "domstate", "web") == "shut off\n" and virsh(m, "domid", "web") == "-\n"
    assert re.match(r"Id: {13}-\nName: {11}web\nOS Type: {8}xen\nState: {10}shut off\nCPU\(s\): {9}2\n",
                    virsh(m, "dominfo", "web"))
    assert virsh(m, "start", "web", "--paused") == "Domain 'web' started\n"
    assert virsh(m, "domstate", "web") == "paused\n"
    assert virsh(m, "resume", "web") == "Domain 'web' resumed\n"
    assert refused(m, "resume", "web").split("\n")[0] == "Failed to resume domain 'web'"
    assert virsh(m, "suspend", "web") == virsh(m, "suspend", "web") == "Domain 'web' suspended\n"
    m.xl("pause", "web")
    virsh(m, "resume", "web")  # all pauses end
    assert virsh(m, "domstate", "web") == "running\n"
    assert refused(m, "start", "web") == "Domain is already active"
    assert "Persistent:     yes\n" in virsh(m, "dominfo", virsh(m, "domid", "web").strip())
    assert virsh(m, "undefine", "web") == "Domain 'web' has been undefined\n"
    assert "Persistent:     no\n" in virsh(m, "dominfo", "web")
    assert refused(m, "undefine", "web").endswith("cannot undefine transient domain")
    assert virsh(m, "list", "--all", "--name", "--transient") == "Domain-0\nweb\n"
    define(m, "web", WEB)  # while it runs
    assert virsh(m, "list", "--persistent", "--name") == "web\n"
    assert virsh(m, "destroy", "web") == "Domain 'web' destroyed\n"
    assert refused(m, "destroy", "web").split("\n") == ["Failed to destroy domain 'web'", NOT_RUNNING]
    assert refused(m, "suspend", "web").endswith(NOT_RUNNING)
    assert refused(m, "shutdown", "web").endswith(NOT_RUNNING)
    assert virsh(m, "start", "web")
    assert virsh(m, "shutdown", "web") == "Domain 'web' is being shutdown\n"
    until(m, lambda: virsh(m, "domstate", "web"), "shut off\n")


def test_undefined(m):
    for word in ("dominfo", "domstate", "start", "destroy", "undefine", "vcpupin", "schedinfo", "vcpucount", "dumpxml",
                 "vcpuinfo", "cpu-stats", "domstats", "explain", "emulatorpin", "iothreadinfo", "dumpcfg"):
        assert refused(m, word, "nobody") == "failed to get domain 'nobody'"
    assert refused(m, "destroy", "0").startswith("Failed to destroy domain 'Domain-0'")


def test_define_refuses(m):
    assert refused(m, "define", "nowhere.cfg") == "Failed to open file 'nowhere.cfg': No such file or directory"
    m.run("put", m.file("a.xml", " <domain/>\n"))
    assert "`tarn define`" in refused(m, "define", "a.xml")
    m.run("put", m.file("bad.cfg", 'name = "bad"\nvcpus = 2\nvcpupin = ["0:3-1"]\n'))
    wrong = refused(m, "define", "bad.cfg").split("\n")
    assert wrong[0] == "bad.cfg:4: kernel: is missing" and "vcpupin" in wrong[1]
    assert wrong[-1] == "Failed to define domain from bad.cfg"
    m.run("put", m.file("big.cfg", 'name = "big"\nkernel = "smp.elf"\n' + "# long\n" * 3000))
    assert "16384 bytes" in refused(m, "define", "big.cfg")
    assert virsh(m, "list", "--inactive", "--name") == ""


def test_start_refuses(m):
    """A CPU that the machine hasn't got may be defined; only a start tells."""
    define(m, "far", WEB.replace('"web"', '"far"').replace("1:3", "1:77"))
    wrong = refused(m, "start", "far").split("\n")
    assert "77" in wrong[0] and wrong[1] == "Failed to start domain 'far'"
    virsh(m, "undefine", "far")
    define(m, "none", WEB.replace('"web"', '"none"').replace("smp.elf", "gone.elf"))
    assert "gone.elf" in refused(m, "start", "none")
    virsh(m, "undefine", "none")


def dump(m):
    """(generation, {name: text}) of what the host fetches."""
    text = m.xl("definitions", "-d").stdout
    generation, text = re.match(r"generation (\d+)\n(.*)", text, re.S).groups()
    found = {}
    while text != "end\n":
        name, size, text = re.match(r"definition (\S+) (\d+)\n(.*)", text, re.S).groups()
        found[name], text = text[:int(size)], text[int(size):]
        assert text[0] == "\n"
        text = text[1:]
    return int(generation), found


def test_definitions_for_the_host(web):
    """All texts with a number that changes when any of them does; and what the host brings."""
    m = web
    before, found = dump(m)
    assert found == {"web": WEB} and m.out("definitions", "-g") == str(before)
    virsh(m, "vcpupin", "web", "0", "2", "--config")
    virsh(m, "vcpupin", "web")
    refused(m, "vcpupin", "web", "0", "99", "--config")
    assert dump(m)[0] == before + 1
    assert dump(m)[1] == {"web": WEB.replace('["1:3"]', '["0:2", "1:3"]')}
    m.run("put", m.file("a.cfg", WEB.replace('"web"', '"a"')), "definitions/a.cfg")
    m.run("put", m.file("b.cfg", "name = 5\n"), "definitions/b.cfg")
    done = m.xl("definitions", "-l", status=1)
    assert "definitions/b.cfg:1: name" in done.stderr and set(dump(m)[1]) == {"a", "web"}
    assert re.search(r"^a +\d+ +shut off$", m.out("definitions"), re.M)
    assert m.out("definitions", "web") + "\n" == definition(m)
    m.xl("definitions", "nobody", status=1)
    m.xl("definitions", "-x", status=2)


# ---- live, config, current ----

# word: how it is set, what tells it, and what it says then
WORDS = {
    "vcpupin": (("0", "2"), lambda m, *w: pins(m, *w)[0], "2"),
    "emulatorpin": (("2",), lambda m, *w: emulatorpin(m, "web", *w), "2"),
    "iothreadpin": (("2", "3"), lambda m, *w: iothreads(m, "web", *w)[2], "3"),
    "schedinfo": (("--set", "vcpu_quota=50000"), lambda m, *w: params(m, "web", *w)["vcpu_quota"], 50000),
    "setvcpus": (("3",), lambda m, *w: virsh(m, "vcpucount", "web", "--active", *w), "3\n"),
}


@pytest.mark.parametrize("word", WORDS)
def test_live_config_current(web, word):
    """Each of the three, and none of them, on a domain that runs, that is shut off, and that is transient."""
    m = web
    how, ask, said = WORDS[word]
    config = ask(m, "--config")
    assert config != said and ask(m) == ask(m, "--current") == config
    # shut off: --current is the definition, which is all that there is
    assert refused(m, word, "web", *how, "--live") == NOT_RUNNING
    assert refused(m, word, "web", *how, "--live", "--config") == NOT_RUNNING
    assert definition(m) == WEB
    for flag in ([], ["--current"], ["--config"]):
        virsh(m, word, "web", *how, *flag)
        assert ask(m, "--config") == said
        assert definition(m).startswith("# The web server.\n") and "# of four" in definition(m)
        define(m, "web", WEB)
    # running: --current is what runs
    virsh(m, "start", "web")
    live = ask(m, "--live")
    for flag in (["--current"], ["--live"], []):
        virsh(m, word, "web", *how, *flag)
        assert ask(m, "--live") == ask(m) == said != live
        assert ask(m, "--config") == config and definition(m) == WEB
        virsh(m, "destroy", "web")
        virsh(m, "start", "web")  # by the definition: what was live is forgotten
        assert ask(m) == live
    virsh(m, word, "web", *how, "--config")
    assert ask(m, "--live") == live and ask(m, "--config") == said
    define(m, "web", WEB)
    virsh(m, word, "web", *how, "--live", "--config")
    assert ask(m, "--live") == ask(m, "--config") == said
    # what excludes each other
    for flag in ("live", "config"):
        why = f"Options --current and --{flag} are mutually exclusive"
        assert refused(m, word, "web", *how, "--current", "--" + flag) == why
    # transient
    virsh(m, "undefine", "web")
    assert refused(m, word, "web", *how, "--config") == TRANSIENT
    virsh(m, word, "web", *how, "--live")


def test_questions_by_flag(web):
    m = web
    assert refused(m, "vcpupin", "web", "--live") == "cannot get vcpupin for offline domain"
    assert refused(m, "emulatorpin", "web", "--live") == NOT_RUNNING
    assert refused(m, "vcpupin", "web", "--live", "--config") != ""
    assert refused(m, "schedinfo", "web", "--live", "--config") == "Options --live and --config are mutually exclusive"
    virsh(m, "start", "web")
    virsh(m, "undefine", "web")
    assert refused(m, "vcpupin", "web", "--config") == "cannot get vcpupin for transient domain"
    assert refused(m, "schedinfo", "web", "--config").endswith(TRANSIENT)


# ---- where things run ----

def test_vcpupin(web):
    m = web
    assert virsh(m, "vcpupin", "web") == (" VCPU   CPU Affinity\n----------------------\n"
                                          " 0      1-3\n 1      3\n 2      1-3\n 3      1-3\n")
    virsh(m, "start", "web")
    assert virsh(m, "vcpupin", "web", "1") == " VCPU   CPU Affinity\n----------------------\n 1      3\n"
    virsh(m, "vcpupin", "web", "0", "0-3,^1")
    assert pins(m)[0] == affinities(m, "web")["0"] == "0,2-3"
    virsh(m, "vcpupin", "web", "0", "^1,0-3")  # from left to right
    assert pins(m)[0] == "0-3"
    virsh(m, "vcpupin", "web", "--vcpu", "0", "--cpulist=0", "--live")
    assert pins(m) == {0: "0", 1: "3", 2: "1-3", 3: "1-3"}
    for vcpu in "0", "1":
        virsh(m, "vcpupin", "web", vcpu, "r")
    assert set(pins(m).values()) == {"1-3"} and definition(m) == WEB
    virsh(m, "vcpupin", "web", "1", "r", "--config")
    assert "vcpupin" not in definition(m)
    for words, why in [(("9",), "vcpu 9 is out of range of live cpu count 4"),
                       (("9", "1"), "invalid argument: vcpu 9 is out of range of live cpu count 4"),
                       (("4", "1", "--config"), "invalid argument: vcpu 4 is out of range of persistent cpu count 4"),
                       (("0", "99"), "CPU 99 in cpulist '99' exceed the maxcpu 4"),
                       (("--cpulist", "1"), "vcpupin: Missing vCPU number in pin mode."),
                       (("x",), "Numeric value 'x' for <vcpu> option is malformed or out of range"),
                       (("0", "1", "2"), "unexpected data '2'"),
                       (("0", "1", "--liv"), "command 'vcpupin' doesn't support option --liv"),
                       (("--vcpu",), "expected syntax: --vcpu <number>"),
                       (("--live=1",), "invalid '=' after option --live"),
                       (("--vcpu", "0", "--vcpu", "1"), "option --vcpu already seen")]:
        assert refused(m, "vcpupin", "web", *words) == why
    for bad in "", "3-1", "1-", "1,", "^3", "x":
        wrong = refused(m, "vcpupin", "web", "0", bad).split("\n")
        assert wrong[0] == f"Invalid cpulist '{bad}'" and wrong[1].startswith("invalid argument: ")
    assert refused(m, "vcpupin") == "command 'vcpupin' requires <domain> option"
    assert set(pins(m).values()) == {"1-3"}


def test_other_names_in_the_definition(web):
    """Keys that say the same in another way give place; those that can't stand side by side are an error, and undone."""
    m = web
    define(m, "web", WEB + 'emulator_cpus = "1"\niothread_cpus = ["2", "3"]\n')
    assert emulatorpin(m, "web") == "1" and iothreads(m, "web") == {1: "2", 2: "3"}
    virsh(m, "emulatorpin", "web", "0")
    virsh(m, "iothreadpin", "web", "1", "r")
    assert definition(m) == WEB + 'emulatorpin = "0"\niothreadpin = ["2:3"]\n'
    virsh(m, "emulatorpin", "web", "r")
    assert definition(m) == WEB + 'iothreadpin = ["2:3"]\n'
    plain = WEB.replace('cpuset = "1-3"\nvcpupin = ["1:3"]', 'cpus = "1-2"')
    define(m, "web", plain)
    virsh(m, "start", "web")
    assert "says it in xl's way already" in refused(m, "vcpupin", "web", "0", "3", "--live", "--config")
    assert definition(m) == plain and affinities(m, "web")["0"] == pins(m)[0] == "1-2"


def test_rules_of_2012(web):
    """There a pin to all CPUs of the host is none."""
    m = web
    for mode, then in (("2012", "1-3"), ("modern", "0-3")):
        define(m, "web", WEB + f'place = "{mode}"\n')
        virsh(m, "start", "web")
        virsh(m, "vcpupin", "web", "1", "0-3", "--live", "--config")
        assert pins(m)[1] == pins(m, "--config")[1] == then
        virsh(m, "destroy", "web")


def test_pin_outside_of_the_pool(web):
    """Refused, and nothing changed, in the definition neither."""
    m = web
    virsh(m, "start", "web")
    m.xl("cpupool-cpu-remove", "Pool-0", "1")
    try:
        assert "no CPU of '1' is in the domain's pool" in refused(m, "vcpupin", "web", "0", "1", "--live", "--config")
        assert pins(m)[0] == "1-3" and definition(m) == WEB
        virsh(m, "vcpupin", "web", "0", "1", "--config")
        assert pins(m, "--config")[0] == "1"
    finally:
        m.xl("cpupool-cpu-add", "Pool-0", "1")


def test_pins_outlive_a_reboot(web):
    m = web
    virsh(m, "start", "web")
    virsh(m, "vcpupin", "web", "0", "2")
    old = virsh(m, "domid", "web")
    until(m, lambda: "online" in m.out("xenstore-read", f"/local/domain/{old.strip()}/cpu/0/availability"), True)
    virsh(m, "reboot", "web")
    until(m, lambda: virsh(m, "domid", "web") not in (old, "-\n"), True)
    assert pins(m)[0] == affinities(m, "web")["0"] == "2" and pins(m, "--config")[0] == "1-3"


def test_pin_of_who_has_no_rules(m):
    """A domain whose file names CPUs in xl's way, and domain 0."""
    m.xl("create", "smp.cfg", 'name="plain"', 'extra="counters"', "vcpus=2", 'cpus=["1","2"]')
    try:
        assert refused(m, "vcpupin", "plain", "0", "3", "--config") == TRANSIENT
        virsh(m, "vcpupin", "plain", "0", "3")
        assert affinities(m, "plain") == {"0": "3", "1": "2"}
        virsh(m, "vcpupin", "plain", "0", "r")
        assert affinities(m, "plain") == {"0": "1", "1": "2"}
        assert "cpus of its domain file" in virsh(m, "explain", "plain")
    finally:
        m.xl("destroy", "plain")
    virsh(m, "vcpupin", "Domain-0", "0", "1")
    assert affinities(m, "Domain-0") == {"0": "1"}
    virsh(m, "vcpupin", "Domain-0", "0", "0-3")
    assert "0-3" in virsh(m, "vcpupin", "Domain-0")


def test_emulator(m):
    """Emulator and iothreads are the vcpus of the domain that serves this one."""
    m.xl("create", "client.cfg", 'name="c"', "iothreads=2", 'cpuset="1-3"', 'emulatorpin="0"', 'iothreadpin=["1:2"]')
    try:
        assert emulatorpin(m, "c") == "0" and iothreads(m, "c") == {1: "2", 2: "1-3"}
        virsh(m, "emulatorpin", "c", "3")
        virsh(m, "iothreadpin", "c", "2", "1")
        virsh(m, "iothreadpin", "c", "1", "r")
        assert list(affinities(m, "c-emu").values()) == ["3", "1-3", "1"]
        assert emulatorpin(m, "c") == "3" and iothreads(m, "c") == {1: "1-3", 2: "1"}
        virsh(m, "emulatorpin", "c", "r")
        assert emulatorpin(m, "c") == "1-3" == list(affinities(m, "c-emu").values())[0]
        assert refused(m, "iothreadpin", "c", "9", "1") == "invalid argument: iothread 9 not found"
        assert refused(m, "iothreadpin", "c", "0", "1") == "invalid argument: iothread 0 not found"
        assert refused(m, "iothreadpin", "c", "1", "").startswith("Failed to get option 'cpulist'")
        assert refused(m, "iothreadpin", "c", "1") == "command 'iothreadpin' requires <cpulist> option"
        assert refused(m, "iothreadpin", "c") == "command 'iothreadpin' requires --iothread option"
        assert refused(m, "emulatorpin", "c", "99") == "CPU 99 in cpulist '99' exceed the maxcpu 4"
        got = params(m, "c", "emulator_quota=20000", "emulator_period=50000", "iothread_quota=30000", "global_quota=150000")
        assert (got["emulator_quota"], got["emulator_period"], got["iothread_quota"]) == (20000, 50000, 30000)
        text = m.out("bandwidth")
        for unit, period, quota in [("domain", 100000, 150000), ("vcpu0", 100000, -1), ("emulator", 50000, 20000),
                                    ("iothread1", 100000, 30000), ("iothread2", 100000, 30000)]:
            assert re.search(rf"^c +\d+ {unit} +{period} +{quota} ", text, re.M), text
        said = virsh(m, "explain", "c")
        assert re.search(r"^ emulator +1-3 +1-3 +no pin; the cpuset", said, re.M), said
        assert "emulator  20000 us of 50000 us" in said and "global    150000 us of 100000 us" in said
        assert "iothread 2" in virsh(m, "explain", "c.io2") and "emulator" in virsh(m, "explain", "c.emu")
        refused(m, "explain", "c.io3")
        # its time is the vcpus' and the emulator's
        m.xl("pause", "c", "c-emu")
        total, own = map(float, re.findall(r"_time +(\d+\.\d+) seconds", virsh(m, "cpu-stats", "c", "--total")))
        times = re.findall(r"^vcpu \S+ \d+ .*", m.out("measure", "1"), re.M)
        assert times and total > own > 0
        stats = {n: int(t) for n in ("c", "c-emu") for t in re.findall(r"cpu.time=(\d+)", virsh(m, "domstats", n))}
        assert abs(stats["c"] - total * 1e9) < 1e6 and abs(stats["c"] - stats["c-emu"] - own * 1e9) < 1e6
        each = sum(map(int, re.findall(r"vcpu\.\d+\.time=(\d+)", virsh(m, "domstats", "--vcpu", "c"))))
        assert abs(each - own * 1e9) <= own * 1e6  # a thousandth
        # and it is the sum over the CPUs, of which it ran on those of its rules only
        said = virsh(m, "cpu-stats", "c")
        by_cpu = re.findall(r"^CPU(\d+):\n\tcpu_time +(\d+\.\d+) seconds\n\tvcpu_time +(\d+\.\d+) seconds$", said, re.M)
        assert [int(n) for n, _, _ in by_cpu] == list(range(4))
        assert abs(sum(float(t) for _, t, _ in by_cpu) - total) <= total / 1000
        assert abs(sum(float(t) for _, _, t in by_cpu) - own) <= own / 1000
        assert float(by_cpu[0][2]) == 0 < max(float(t) for _, _, t in by_cpu)  # its vcpus: on 1-3
        assert float(by_cpu[0][1]) > 0  # the emulator was there at first
        assert virsh(m, "cpu-stats", "c", "--start", "1", "--count", "2").count("CPU") == 2
        assert "out of range (min: 0, max: 3)" in refused(m, "cpu-stats", "c", "--start", "4")
    finally:
        m.xl("destroy", "c")


# ---- shares and bandwidth ----

def test_schedinfo(web):
    m = web
    assert virsh(m, "schedinfo", "web") == ("Scheduler      : credit\ncpu_shares     : 0\nvcpu_period    : 0\n"
                                            "vcpu_quota     : 0\nemulator_period: 0\nemulator_quota : 0\n"
                                            "global_period  : 0\nglobal_quota   : 0\niothread_period: 0\n"
                                            "iothread_quota : 0\nweight         : 256\ncap            : 0\n")
    virsh(m, "start", "web")
    fresh = {"Scheduler": "credit", "cpu_shares": 1024, "weight": 256, "cap": 0}
    for what in "vcpu", "emulator", "global", "iothread":
        fresh |= {what + "_period": 100000, what + "_quota": -1}
    assert params(m, "web") == fresh
    set_to = {"vcpu_period": 50000, "vcpu_quota": 20000, "global_period": 1000, "global_quota": 1000,
              "emulator_period": 1000000, "emulator_quota": 17592186044415, "iothread_quota": 1000, "cpu_shares": 2048}
    assert params(m, "web", *(f"{k}={v}" for k, v in set_to.items())) == {**fresh, **set_to, "weight": 512}
    assert params(m, "web", "vcpu_quota=-1", "global_quota=-7", "--weight", "100", "--cap", "150") == {
        **fresh, **set_to, "vcpu_quota": -1, "global_quota": -1, "weight": 100, "cap": 150, "cpu_shares": 400}
    assert re.search(r"^web +\d+ +100 +150$", m.out("sched-credit"), re.M)
    assert definition(m) == WEB
    virsh(m, "schedinfo", "web", "--set", "cpu_shares=2048", "vcpu_quota=5000", "vcpu_period=0", "--config")
    assert definition(m) == WEB + "shares = 2048\nvcpu_quota = 5000\n"
    virsh(m, "schedinfo", "web", "weight=77", "vcpu_quota=0", "cap=0", "emulator_quota=-3", "--config")
    assert definition(m) == WEB + "emulator_quota = -1\ncpu_weight = 77\ncap = 0\n"
    assert params(m, "web", "--config")["weight"] == 77


RANGE = "invalid argument: value of '%s' is out of range [%d, %d]"
QUOTA, PERIOD = (1000, 17592186044415), (1000, 1000000)


@pytest.mark.parametrize("where", ["--live", "--config"])
def test_schedinfo_refuses(web, where):
    """Names and ranges; nothing of an order is done if a part of it is wrong."""
    m = web
    virsh(m, "start", "web")
    before = params(m, "web", where)
    bad = [("foo=1", "invalid scheduler option: foo"), ("vcpu=1", "invalid scheduler option: vcpu"),
           ("cap", "Invalid syntax for --set, expecting name=value"),
           ("=5", "invalid scheduler option: "),
           ("cap=x", "invalid argument: Invalid value for field 'cap': expected unsigned int"),
           ("vcpu_quota=", "invalid argument: Invalid value for field 'vcpu_quota': expected long long"),
           ("cpu_shares=1", RANGE % ("cpu_shares", 2, 262144)), ("cpu_shares=262145", RANGE % ("cpu_shares", 2, 262144)),
           ("weight=0", RANGE % ("weight", 1, 65535)), ("weight=65536", RANGE % ("weight", 1, 65535)),
           ("cap=401", RANGE % ("cap", 0, 400)), ("cap=-1", RANGE % ("cap", 0, 400))]
    for what in "vcpu", "emulator", "global", "iothread":
        bad += [(f"{what}_period={n}", RANGE % (what + "_period", *PERIOD)) for n in (-1, 1, 999, 1000001)]
        bad += [(f"{what}_quota={n}", RANGE % (what + "_quota", *QUOTA)) for n in (1, 999, 17592186044416)]
    for word, why in bad:
        good = "cap=1" if word.startswith("global") else "global_quota=5000"
        assert refused(m, "schedinfo", "web", "--set", good, word, where) == why
    why = "invalid argument: parameter 'cap' occurs multiple times"
    assert refused(m, "schedinfo", "web", "cap=5", "cap=6", where) == why
    assert "say the same" in refused(m, "schedinfo", "web", "weight=5", "cpu_shares=20", where)
    assert params(m, "web", where) == before and definition(m) == WEB


def test_schedinfo_by_pool(web):
    """weight and cap are credit's; the rest is everybody's."""
    m = web
    m.xl("cpupool-cpu-remove", "Pool-0", "3")
    m.xl("cpupool-create", 'name="rt"', 'sched="rtds"', 'cpus="3"')
    try:
        define(m, "web", WEB + 'pool = "rt"\n')
        said = virsh(m, "schedinfo", "web")
        assert said.startswith("Scheduler      : posix\n") and "weight" not in said
        virsh(m, "start", "web")
        assert params(m, "web", "vcpu_quota=30000")["vcpu_quota"] == 30000
        assert refused(m, "schedinfo", "web", "--weight", "5") == "invalid scheduler option: weight"
        assert params(m, "web", "cpu_shares=4096")["cpu_shares"] == 4096
    finally:
        m.xl("virsh", "destroy", "web", status=None)
        m.xl("cpupool-destroy", "rt")
        m.xl("cpupool-cpu-add", "Pool-0", "3")


def test_member_of_a_group(web):
    """Its shares are its master's to set."""
    m = web
    m.xl("create", "burn.cfg", 'name="master"', 'extra="seconds=100000"')
    virsh(m, "start", "web")
    m.xl("sched-group-add", "master", "web")
    before = params(m, "web")
    for word in "weight=5", "cap=5", "cpu_shares=50":
        assert "scheduling domain of 'master'" in refused(m, "schedinfo", "web", "vcpu_quota=5000", word)
    assert params(m, "web") == before
    assert params(m, "web", "vcpu_quota=5000")["vcpu_quota"] == 5000
    assert "group     of master" in virsh(m, "explain", "web")
    assert "members   1" in virsh(m, "explain", "master")


# ---- vcpus ----

def test_setvcpus(web):
    """They come and go by the guest's doing; who comes back has the cpuset, not the pin from before."""
    m = web
    assert counts(m, "web") == [("maximum", "config", "4"), ("current", "config", "2")]
    assert vcpus(m) == [("N/A", a) for a in ("-yyy", "---y", "-yyy", "-yyy")]
    virsh(m, "vcpupin", "web", "3", "0", "--config")
    virsh(m, "start", "web")
    until(m, lambda: states(m)[2:], ["offline", "offline"])
    assert counts(m, "web") == [("maximum", "config", "4"), ("maximum", "live", "4"), ("current", "config", "2"),
                                ("current", "live", "2")]
    assert virsh(m, "setvcpus", "web", "4") == ""
    until(m, lambda: "offline" in states(m), False)
    assert [a for _, a in vcpus(m)] == ["-yyy", "---y", "-yyy", "y---"]  # cpuset, or the own pin
    virsh(m, "setvcpus", "web", "1")
    assert states(m)[1:] == ["offline"] * 3 and pins(m) == dict.fromkeys(range(4), "1-3")
    virsh(m, "setvcpus", "web", "4", "--live")
    until(m, lambda: "offline" in states(m), False)
    assert pins(m) == dict.fromkeys(range(4), "1-3")
    virsh(m, "vcpupin", "web", "3", "2")
    m.xl("vcpu-set", "web", "3")  # xl's word does the same
    assert pins(m)[3] == "1-3" and virsh(m, "vcpucount", "web") != ""
    assert virsh(m, "vcpucount", "web", "--active") == "3\n" and virsh(m, "vcpucount", "web", "--maximum") == "4\n"
    until(m, lambda: virsh(m, "vcpucount", "web", "--guest"), "3\n")
    most = "invalid argument: requested vcpus is greater than max allowable vcpus for the %s domain: 5 > 4"
    for words, why in [(("5",), most % "live"), (("5", "--config"), most % "persistent"),
                       (("0",), "Can't set 0 processors for a VM"),
                       (("-1",), "Numeric value '-1' for <count> option is malformed or out of range"),
                       (("8", "--maximum"), "Option --config is required by option --maximum"),
                       (("8", "--maximum", "--live"), "Option --config is required by option --maximum"),
                       (("8", "--maximum", "--live", "--config"),
                        "invalid argument: maximum vcpu count of a live domain can't be modified"),
                       (("200", "--maximum", "--config"), (most % "persistent").replace("5 > 4", "200 > 128")),
                       (("2", "--guest", "--config"), "Options --guest and --config are mutually exclusive"),
                       ((), "command 'setvcpus' requires --count option")]:
        assert refused(m, "setvcpus", "web", *words) == why
    assert virsh(m, "vcpucount", "web", "--active") == "3\n"


def test_setvcpus_config(web):
    """The definition's numbers; pins of vcpus that go are dropped, all else stays as it was written."""
    m = web
    virsh(m, "setvcpus", "web", "3", "--config")
    assert definition(m) == WEB.replace("vcpus = 2", "vcpus = 3")
    virsh(m, "setvcpus", "web", "1", "--config")
    assert definition(m) == WEB.replace("\nvcpus = 2", "\nvcpus = 1").replace('vcpupin = ["1:3"]\n', "")
    virsh(m, "setvcpus", "web", "8", "--maximum", "--config")
    assert counts(m, "web") == [("maximum", "config", "8"), ("current", "config", "1")]
    virsh(m, "setvcpus", "web", "8", "--config")
    virsh(m, "vcpupin", "web", "7", "1")
    virsh(m, "setvcpus", "web", "2", "--maximum", "--config")
    assert counts(m, "web") == [("maximum", "config", "2"), ("current", "config", "2")] and "vcpupin" not in definition(m)
    define(m, "few", 'name = "few"\nkernel = "smp.elf"\nvcpus = 2\n')
    virsh(m, "setvcpus", "few", "1")
    assert definition(m, "few") == 'name = "few"\nkernel = "smp.elf"\nvcpus = 1\nmaxvcpus = 2\n'


def test_setvcpu(web):
    m = web
    virsh(m, "setvcpus", "web", "4", "--config")
    virsh(m, "start", "web")
    until(m, lambda: "offline" in states(m), False)
    virsh(m, "setvcpu", "web", "1,3", "--disable")
    assert [s == "offline" for s in states(m)] == [False, True, False, True]
    virsh(m, "setvcpu", "web", "3", "--enable", "--live")
    until(m, lambda: [s == "offline" for s in states(m)], [False, True, False, False])
    for words, why in [(("0", "--disable"), "invalid argument: vCPU '0' can't be modified"),
                       (("1", "--disable"), "invalid argument: vcpu '1' is already in requested state"),
                       (("2", "--enable"), "invalid argument: vcpu '2' is already in requested state"),
                       (("9", "--enable"), "invalid argument: vcpu 9 is not present in live config"),
                       (("9", "--enable", "--config"), "invalid argument: vcpu 9 is not present in persistent config"),
                       (("2",), "one of --enable, --disable is required"),
                       (("2", "--enable", "--disable"), "Options --enable and --disable are mutually exclusive"),
                       (("2", "--enable", "--current", "--config"),
                        "Options --current and --config are mutually exclusive")]:
        assert refused(m, "setvcpu", "web", *words) == why
    assert refused(m, "setvcpu", "web", "x", "--enable").startswith("invalid argument: Failed to parse bitmap 'x'")
    assert "the last must go first" in refused(m, "setvcpu", "web", "1", "--disable", "--config")
    virsh(m, "setvcpu", "web", "2-3", "--disable", "--config")
    assert virsh(m, "vcpucount", "web", "--config") == "2\n"
    assert "the next must come first" in refused(m, "setvcpu", "web", "3", "--enable", "--config")


def test_unplug_that_nobody_heeds(web):
    """A guest that does not get to it keeps its vcpus, and virsh says so."""
    m = web
    define(m, "web", WEB.replace("smp.elf", "burn.elf").replace("counters", "seconds=100000 vcpus=2 deaf"))
    virsh(m, "start", "web", "--paused")
    assert virsh(m, "setvcpus", "web", "1") == ""  # paused: nobody waits


def test_vcpuinfo(web):
    m = web
    virsh(m, "start", "web")
    until(m, lambda: states(m)[0] in ("running", "blocked"), True)
    blocks = virsh(m, "vcpuinfo", "web").rstrip("\n").split("\n\n")
    assert len(blocks) == 4
    block = "VCPU: {11}%d\nCPU: {12}%s\nState: {10}%s\nCPU time: {7}%s\\.\\ds\nCPU Affinity: {3}-yyy"
    assert re.fullmatch(block % (0, "[123]", r"\w+", r"\d+"), blocks[0])
    assert re.fullmatch(block % (3, "N/A", "offline", "0"), blocks[3])
    assert "CPU Affinity:   1-3 (out of 4)" in virsh(m, "vcpuinfo", "web", "--pretty")
    assert refused(m, "vcpuinfo", "web", "--maximum") == "command 'vcpuinfo' doesn't support option --maximum"


def test_vcpucount_refuses(web):
    m = web
    for words, why in [(("--active", "--maximum"), "Options --active and --maximum are mutually exclusive"),
                       (("--live", "--config"), "Options --live and --config are mutually exclusive"),
                       (("--live",), NOT_RUNNING),
                       (("--guest",), "Failed to retrieve vCPU count from the guest\n" + NOT_RUNNING)]:
        assert refused(m, "vcpucount", "web", *words) == why
    assert virsh(m, "vcpucount", "web", "--maximum") == "4\n"


# ---- XML, explain, the rest ----

def test_dumpxml(web):
    m = web
    virsh(m, "schedinfo", "web", "vcpu_quota=5000", "cpu_shares=2048")
    virsh(m, "emulatorpin", "web", "0")
    virsh(m, "iothreadpin", "web", "2", "1")
    inactive = virsh(m, "dumpxml", "web")
    assert inactive == """<domain type='xen'>
  <name>web</name>
  <memory unit='KiB'>8192</memory>
  <currentMemory unit='KiB'>8192</currentMemory>
  <vcpu placement='static' cpuset='1-3' current='2'>4</vcpu>
  <iothreads>2</iothreads>
  <cputune>
    <shares>2048</shares>
    <quota>5000</quota>
    <vcpupin vcpu='1' cpuset='3'/>
    <emulatorpin cpuset='0'/>
    <iothreadpin iothread='2' cpuset='1'/>
  </cputune>
  <os>
    <type arch='x86_64' machine='xenpv'>linux</type>
    <kernel>smp.elf</kernel>
    <cmdline>counters</cmdline>
  </os>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
</domain>
"""
    virsh(m, "start", "web")
    virsh(m, "vcpupin", "web", "0", "2")
    live = virsh(m, "dumpxml", "web")
    assert re.match(r"<domain type='xen' id='\d+'>\n  <name>web</name>\n  <uuid>[-0-9a-f]{36}</uuid>\n", live)
    assert "<vcpupin vcpu='0' cpuset='2'/>" in live
    assert virsh(m, "dumpxml", "web", "--inactive") == inactive


def test_explain(web):
    """The rule that gave each its CPUs, also before a start, what counts of it, and what was done over the rules."""
    m = web
    define(m, "web", WEB + 'place = "modern"\nemulatorpin = "0"\n')
    rows = re.findall(r"^ (\w+(?: \d)?) +(\S+) +(\S+) +(.*)$", virsh(m, "explain", "web"), re.M)[1:]
    assert rows == [("vcpu 0", "1-3", "1-3", "no pin; the cpuset of the vcpus"), ("vcpu 1", "3", "3", "its vcpupin"),
                    ("vcpu 2", "1-3", "1-3", "no pin; the cpuset of the vcpus"),
                    ("vcpu 3", "1-3", "1-3", "no pin; the cpuset of the vcpus"), ("emulator", "0", "0", "the emulatorpin"),
                    ("iothread 1", "1-3", "1-3", "no pin; the cpuset of the vcpus"),
                    ("iothread 2", "1-3", "1-3", "no pin; the cpuset of the vcpus")]
    virsh(m, "start", "web")
    assert re.search(r"^ vcpu 1 +3 +3 +its vcpupin$", virsh(m, "explain", "web.1"), re.M)
    m.xl("vcpu-pin", "web", "0", "0")
    assert re.search(r"^ vcpu 0 +0 +0 +vcpu-pin or dom0-isolate, over the rules$", m.out("explain", "web"), re.M)
    m.xl("cpupool-cpu-remove", "Pool-0", "3")
    try:
        assert re.search(r"^ vcpu 1 +0-2 +3 \(broken\) +its vcpupin; none of them is in the pool, so all of the pool$",
                         m.out("explain", "web"), re.M)
        assert pins(m)[1] == "3"  # it is not forgotten
    finally:
        m.xl("cpupool-cpu-add", "Pool-0", "3")
    assert re.search(r"^ vcpu 1 +3 +3 +its vcpupin$", m.out("explain", "web"), re.M)
    virsh(m, "vcpupin", "web", "1", "r")
    assert re.search(r"^ vcpu 1 +1-3 +1-3 +no pin; the cpuset of the vcpus$", m.out("explain", "web"), re.M)
    assert re.search(r"^ vcpu 0 +0-3 +all +no pin, no cpuset: all CPUs of the pool$", m.out("explain", "Domain-0"), re.M)
    refused(m, "explain", "web.9")
    m.xl("explain", status=2)


def test_start_explains(web):
    """`start --explain` and `create --explain` tell the rules; with one memory node that there is no choice."""
    m = web
    define(m, "web", WEB.replace('cpuset = "1-3"', 'placement = "auto"') + 'emulatorpin = "0"\n')
    said = virsh(m, "start", "web", "--explain")
    assert re.search(r"^ vcpu 0 +0-3 +all +no pin; placement is auto: the adviser's answer$", said, re.M), said
    assert re.search(r"^ vcpu 1 +3 +3 +its vcpupin$", said, re.M)
    assert re.search(r"^ vcpus 2-3 +0-3 .*\n emulator +0 +0 +the emulatorpin\n iothreads 1-2 +0-3 ", said, re.M), said
    assert "adviser   all CPUs of Pool-0: there is one memory node, so there is no choice (CPUs 0-3)\n" in said
    assert re.search(r"^ +it wants 4 CPUs and 8 MiB; there are\n +node 0: 4 CPUs of Pool-0, 1 vcpu there, \d+ MiB free$",
                     said, re.M), said
    assert said.endswith("Domain 'web' started\n")
    assert "when it was made there were" in virsh(m, "explain", "web")
    said = m.out("create", "--explain", "burn.cfg", 'name="b"', 'cpuset="1-2"', "vcpus=2")
    assert re.search(r"^ vcpus 0-1 +1-2 +1-2 +no pin; the cpuset of the vcpus$", said, re.M) and "adviser" not in said
    m.xl("destroy", "b")
    done = m.xl("create", "-n", "--explain", "burn.cfg", 'cpuset="9"', status=1)
    assert done.stderr.endswith("error: create: burn: cpuset: the host has no CPU 9 (EINVAL)\n")
    define(m, "far", 'name = "far"\nkernel = "hello.elf"\ncpuset = "9"\n')
    assert "the host has no CPU 9" in refused(m, "start", "far", "--explain")
    host = m.file("own.cfg", 'name = "own"\nkernel = "hello.elf"\nmemory = 8\n')
    assert " vcpu 0 " in m.run("create", "-n", "--explain", host).stdout
    assert m.xl("domid", "own", status=1)


UUID = "01234567-89ab-cdef-0123-456789abcdef"


def test_uuid(web):
    """The domain's handle and its place in the store, kept over a reboot and while it doesn't run; nobody else's."""
    m = web
    define(m, "web", WEB + f'uuid = "{UUID.upper()}"\n')
    assert f"  <uuid>{UUID}</uuid>\n" in virsh(m, "dumpxml", "web")
    assert re.search(rf"^UUID: +{UUID}$", virsh(m, "dominfo", "web"), re.M)
    assert virsh(m, "domname", UUID) == "web\n"
    virsh(m, "start", UUID.replace("-", ""))

    def shown():
        number = m.out("domid", "web")
        assert virsh(m, "domid", UUID) == number + "\n"
        assert re.search(rf"^web .* {UUID} ", m.out("list", "-v"), re.M)
        assert f"  <uuid>{UUID}</uuid>\n" in virsh(m, "dumpxml", "web")
        assert m.out("xenstore-read", f"/local/domain/{number}/vm", f"/vm/{UUID}/name") == f"/vm/{UUID}\nweb"
        return number

    number = shown()
    done = m.xl("create", "hello.cfg", f'uuid="{UUID}"', status=1)
    assert done.stderr.endswith(f"error: create: hello: domain {number} has that uuid\n")
    assert "is none" in m.xl("create", "hello.cfg", 'uuid="x"', status=1).stderr
    m.xl("reboot", "-w", "web")
    while m.xl("domid", "web", status=None).stdout.strip() in ("", number):
        m.xl("measure", "50")
    assert shown() != number
    virsh(m, "destroy", UUID)
    assert UUID not in m.out("xenstore-ls", "/vm")
    assert refused(m, "domid", UUID[:-1] + "0") == f"failed to get domain '{UUID[:-1]}0'"


def test_uuid_of_itself(web):
    """Without one in the file it is random, and stays over a reboot; who is preserved gives it to who comes after."""
    m = web
    uuid = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

    def of(name):
        return re.search(rf"^{name} .* ({uuid}) ", m.out("list", "-v"), re.M).group(1)

    m.xl("create", "burn.cfg", 'name="one"', 'on_poweroff="rename-restart"')
    m.xl("create", "burn.cfg", 'name="two"')
    first = of("one")
    assert first != of("two")
    m.xl("shutdown", "one")
    while "one-1" not in m.out("list") or not re.search("^one ", m.out("list"), re.M):
        m.xl("measure", "50")
    assert of("one") == first and of("one-1") != first
    old, new = m.out("domid", "one-1"), m.out("domid", "one")
    assert m.out("xenstore-read", f"/local/domain/{old}/vm", f"/local/domain/{new}/vm") == \
        f"/vm/{of('one-1')}\n/vm/{first}"
    m.xl("destroy", "one-1")
    assert m.out("xenstore-read", f"/vm/{first}/name") == "one"


def test_explain_the_adviser(web):
    """What it would say at this moment, and what it said at the start."""
    m = web
    define(m, "web", WEB.replace('cpuset = "1-3"', 'placement = "auto"'))
    m.run("put", m.file("advice", "2\n"), "advice")
    for line in "defined", "running":
        said = virsh(m, "explain", "web")
        assert re.search(r"^ vcpu 0 +2 +2 +no pin; placement is auto: the adviser's answer$", said, re.M), (line, said)
        assert re.search(r"^ vcpu 1 +3 +3 +its vcpupin$", said, re.M)
        assert re.search(r"^adviser   .* \(CPUs 2\)$", said, re.M)
        virsh(m, "start", "web", status=None)
    assert pins(m) == {0: "2", 1: "3", 2: "2", 3: "2"}
    virsh(m, "vcpupin", "web", "1", "r")
    assert pins(m)[1] == "2"


def test_out_of_memory(web):
    """Whichever allocation of the control domain fails: an error, nothing changed, and it goes on."""
    m = web
    virsh(m, "start", "web")
    generation = m.out("definitions", "-g")
    heap = re.search(r"heap in use: \d+", m.out("pages")).group()
    for words in (("list", "--all"), ("explain", "web"), ("vcpupin", "web", "0", "2", "--config"), ("define", "web.cfg")):
        for n in range(2, 30):  # the first is that of the words
            m.xl("fail-allocation", "-c", str(n))
            done = m.xl("virsh", *words, status=None)
            if done.returncode == 0:
                break
            assert done.returncode == 1 and "memory" in done.stderr, done.stderr
            assert m.out("definitions", "-g") == generation
        assert done.returncode == 0 and n > 2
        while m.xl("fail-allocation", "-c", "0", status=None).returncode:  # its own words may be what fails
            pass
        generation = m.out("definitions", "-g")
    assert definition(m) == WEB
    assert heap in m.out("pages")  # nothing is lost


def test_completion(web):
    """TAB knows the words, and domains that are only defined."""
    m = web
    child = pexpect.spawn(TARN, ["--name", m.name, "console", "Domain-0"], env=m.env, timeout=30 * SCALE,
                          encoding="utf-8", codec_errors="replace")
    assert child.waitnoecho(30 * SCALE)  # from then on ^C is a key
    for typed, shown in (("virsh emu\t", "virsh emulatorpin "), ("virsh start w\t", "virsh start web "),
                         ("explain w\t", "explain web "), ("xl virsh vcpup\t", "xl virsh vcpupin ")):
        child.send("\x03")
        child.expect("tarn# ")
        child.send(typed)
        child.expect_exact(shown)
    child.send("\x03")
    child.close(force=True)


def test_words(m):
    """Help, and what is no word."""
    for word in re.findall(r"^    (\S+)", m.out("virsh", "help"), re.M):
        assert m.out("virsh", "help", word).startswith(f"  NAME\n    {word} - ")
    assert m.xl("virsh", "help", "nonsense", status=1).stderr == "error: command or command group 'nonsense' doesn't exist\n"
    assert refused(m, "nonsense") == "unknown command: 'nonsense'"
    m.xl("virsh", status=2)

# SPDX-License-Identifier: MIT
"""Options of the hypervisor's command line, and how dom0's end is the machine's."""
import os
import re
import struct

import pytest

from host import Machine
from tarn import BUILD, EXIT_OFF, guest

MIB = 1 << 20


def hello(boot, cmdline="", args="", **kw):
    """dom0 says hello and powers off."""
    machine = boot(cmdline=cmdline, modules=[f"hello {args}"], **kw)
    machine.expect(r"^hello: ok\n")
    assert machine.wait() == EXIT_OFF
    return machine


def nr_pages(machine):
    return int(machine.expect_past(r"^hello: nr_pages (\d+) ")[0])


def vcpus(machine):
    return int(machine.expect_past(r"^hello: vcpus (\d+) ")[0])


def test_command_line_of_qemu(boot):
    """The usual way to start a guest: a path and its arguments in -initrd."""
    machine = boot(smp="4", memory=512, cmdline="loglvl=all", modules=[(guest("hello"), "arg1 arg2")])
    machine.expect(r'^hello: cmdline "arg1 arg2"\n')
    machine.expect(r"^hello: ok\n")
    assert machine.wait() == EXIT_OFF


def test_odd_characters_reach_the_guest(boot):
    machine = hello(boot, args='a,b "c  d" \'e\' f=g --h')
    assert machine.lines('^hello: cmdline "a,b "c  d" \'e\' f=g --h"$')


@pytest.mark.parametrize("value,size", [("128M", 128), ("65536", 64), ("1G,max:96M", 96), ("min:16M,100M", 100)])
def test_dom0_mem(boot, value, size):
    """A bare number counts KiB, as on Xen."""
    assert nr_pages(hello(boot, f"dom0_mem={value}")) == size * MIB / 4096


def test_dom0_mem_default(boot):
    """dom0 gets what is left."""
    assert nr_pages(hello(boot, memory=256)) > 230 * MIB / 4096


def test_dom0_mem_too_much(boot):
    machine = boot(memory=128, cmdline="dom0_mem=4G", modules=["hello", "hello name=other memory=8"])
    machine.expect(r"\(tarn\) domain 0 \(Domain-0\) refused: not enough free memory\n")
    machine.expect(r"\(d1\) hello: ok\n")
    assert machine.quit() == EXIT_OFF


@pytest.mark.parametrize("value,count", [("2", 2), ("7", 7), ("1-3", 3), ("2-", 4), ("6-", 6), ("5-8", 5), ("1-9", 4),
                                         ("-2", 2), ("64", 64)])
def test_dom0_max_vcpus(boot, value, count):
    assert vcpus(hello(boot, f"dom0_max_vcpus={value}", smp="4")) == count


def test_dom0_has_a_vcpu_for_each_cpu(boot):
    assert vcpus(hello(boot, "maxcpus=3", smp="4")) == 3


SMP = "8,sockets=2,cores=2,threads=2"
MATRIX = [
    (cpus, vcpus)
    for cpus in ["", "maxcpus=1", "maxcpus=3", "maxcpus=8", "maxcpus=200", "smt=0", "no-smt maxcpus=3", "smt=1"]
    for vcpus in ["", "dom0_max_vcpus=1", "dom0_max_vcpus=6", "dom0_max_vcpus=2-5"]
]
ALL = [(s, c, t) for s in range(2) for c in range(2) for t in range(2)]


def matrix_cpus(options):
    """What these options leave of the machine's CPUs."""
    left = [c for c in ALL if not c[2]] if "smt=0" in options or "no-smt" in options else ALL
    return left[:int(options.split("maxcpus=")[1])] if "maxcpus" in options else left


def matrix_vcpus(option, cpus):
    low, _, high = option.partition("=")[2].partition("-")
    return cpus if not option else min(max(cpus, int(low)), int(high or low))


@pytest.mark.parametrize("cpus,vcpus_option", MATRIX)
def test_matrix(boot, cpus, vcpus_option):
    machine = hello(boot, f"{cpus} {vcpus_option}", smp=SMP, cpu="max,-smap,vendor=GenuineIntel")
    found = [tuple(int(n) for n in re.findall(r"\d+", line)[1:4]) for line in machine.lines(r"^\(tarn\) cpu \d+: socket")]
    assert found == matrix_cpus(cpus)
    assert vcpus(machine) == matrix_vcpus(vcpus_option, len(found))
    assert machine.lines(rf"^\(tarn\) Pool-0: {len(found)} cpus")
    assert not machine.lines("option '")


@pytest.mark.parametrize("options,expected", [
    ("dom0_vcpus_pin", ["0", "1", "2", "3"]),
    ("dom0_vcpus_pin dom0_max_vcpus=2", ["0", "1"]),
    ("dom0_vcpus_pin dom0_max_vcpus=6", ["0", "1", "2", "3", "0", "1"]),
    ("dom0_vcpus_pin maxcpus=2 dom0_max_vcpus=3", ["0", "1", "0"]),
    ("dom0_vcpus_pin smt=0", ["0", "1"]),
    ("dom0_vcpus_pin cpupool=a:cpus=1", ["0", "2", "3"]),
    ("no-dom0_vcpus_pin", ["all"] * 4),
])
def test_pins_of_dom0(options, expected):
    with Machine(smp="4,cores=2,threads=2", up=["--cpu", "max,-smap,vendor=GenuineIntel", "--append",
                                                "dom0_max_vcpus=1-128 " + options]) as m:
        assert re.findall(r"^Domain-0 .*  (\S+) / all$", m.out("vcpu-list", "Domain-0"), re.M) == expected


@pytest.mark.parametrize("value,complaint", [("credit", False), ("nonsense", True)])
def test_sched(boot, value, complaint):
    machine = hello(boot, f"sched={value}")
    assert machine.lines(r"Pool-0: 1 cpus, scheduler credit$")
    assert len(machine.lines(r"\(tarn\) option 'sched': .*nonsense")) == complaint


@pytest.mark.parametrize("options", ["com1=115200 console=com1", "com1=57600,8n1,0x3f8,4 console=com1",
                                     "dom0_vcpus_pin", "sched_credit_tslice_ms=5 sched_ratelimit_us=0",
                                     "noreboot loglvl=info guest_loglvl=all"])
def test_accepted_options(boot, options):
    machine = hello(boot, options)
    assert not machine.lines(r"option")


@pytest.mark.parametrize("options,word", [
    ("maxcpus=0", "maxcpus"), ("dom0_mem=lots", "dom0_mem"), ("dom0_max_vcpus=0", "dom0_max_vcpus"),
    ("dom0=hvm", "dom0"), ("com1=fast", "com1"), ("console=vga", "vga"), ("loglvl=loud", "loglvl"),
    ("sched_ratelimit_us=7", "sched_ratelimit_us"), ("frobnicate", "frobnicate"), ('sched="credit', "quote"),
])
def test_wrong_options_are_one_line(boot, options, word):
    """Each is reported once, and the machine boots without it."""
    machine = hello(boot, options)
    complaints = [line for line in machine.lines(rf"\(tarn\) .*{word}") if "command line:" not in line]
    assert len(complaints) == 1, complaints


@pytest.mark.parametrize("loglvl,says", [("error", ""), ("info", "Pool-0"), ("all", "apic ids")])
def test_loglvl(boot, loglvl, says):
    machine = hello(boot, f"loglvl={loglvl}")
    assert machine.lines(rf"\(tarn\) .*{says}") if says else not machine.lines(r"^\(tarn\)")


def test_reboot_of_dom0(boot):
    """QEMU ends where a machine would start again (-no-reboot)."""
    machine = boot(modules=["hello reboot"])
    machine.expect(r"^hello: ok\n")
    machine.expect(r"\(tarn\) domain 0 \(Domain-0\) asks for a reboot\n")
    assert machine.wait() == EXIT_OFF


def test_crash_of_dom0_restarts_the_machine(boot):
    """As on Xen; QEMU ends where a machine would start again (-no-reboot)."""
    machine = boot(modules=["bad fault=ud2"])
    machine.expect(r"\(tarn\) domain 0 \(Domain-0\) vcpu 0 crashed: .*\n")
    assert machine.wait() == EXIT_OFF


def test_crash_of_dom0_with_noreboot_halts(boot):
    """The console's last lines stay to be read."""
    machine = boot(cmdline="noreboot", modules=["bad fault=ud2"])
    machine.expect(r"\(tarn\) domain 0 \(Domain-0\) vcpu 0 crashed: .*\n")
    machine.expect(r"\(tarn\) machine halted\n")
    machine.expect_silence(r"PANIC", 1)
    assert machine.quit() == EXIT_OFF


def test_dom0_takes_boot_domains_with_it(boot):
    machine = boot(smp="2", modules=["hello", 'burn name=busy memory=8 cmdline="seconds=1000"'])
    machine.expect(r"^hello: ok\n")
    assert machine.wait() == EXIT_OFF


def test_panic_ends_qemu(boot):
    """64 CPUs in 2 MiB can't be: an odd exit status, the reason and a backtrace with names."""
    machine = boot(smp="64", memory=2, cmdline="dom0=none")
    machine.expect(r"\(tarn\) PANIC on cpu 0: no memory.*\n")
    assert machine.wait() == 33
    assert machine.lines(r"\(tarn\) +[0-9a-f]{16} boot_main\+0x")


def sections(image):
    """{name: (address, content)} of a 64-bit ELF file."""
    offset, = struct.unpack_from("<Q", image, 0x28)
    size, count, names = struct.unpack_from("<3H", image, 0x3a)
    heads = [struct.unpack_from("<IIQQQQ", image, offset + n * size) for n in range(count)]
    base = heads[names][4]
    return {image[base + h[0]:image.index(b"\0", base + h[0])].decode(): (h[3], image[h[4]:h[4] + h[5]])
            for h in heads}


def test_names_for_backtraces():
    """The packed table of names, unpacked: every function, by address."""
    with open(os.path.join(BUILD, "tarn.elf"), "rb") as file:
        parts = sections(file.read())
    strings = parts[".strtab"][1]
    symbols = {}
    for name, info, _, _, value, _ in struct.iter_unpack("<IBBHQQ", parts[".symtab"][1]):
        name = strings[name:strings.index(b"\0", name)].decode()
        symbols.setdefault(name, []).append((value, info & 15))
    start, rodata = parts[".rodata"]
    at = {name: symbols["symtab" + name][0][0] - start for name in ("", "_base", "_count", "_pairs")}
    address, = struct.unpack_from("<I", rodata, at["_base"])
    count, = struct.unpack_from("<I", rodata, at["_count"])

    def unpack(byte):
        pair = at["_pairs"] + 2 * ((byte - 128) % 256)
        return chr(byte) if ord(".") <= byte < 128 else unpack(rodata[pair]) + unpack(rodata[pair + 1])

    table, p = {}, at[""]
    for _ in range(count):
        far = rodata[p] >= 128
        address += (rodata[p] - 128) * 256 + rodata[p + 1] if far else rodata[p]
        end = rodata.index(0, p + 1 + far)
        table[address] = "".join(unpack(byte) for byte in rodata[p + 1 + far:end])
        p = end + 1
    functions = {value & 0xffffffff for places in symbols.values() for value, kind in places if kind == 2}
    text = {value & 0xffffffff for places in symbols.values() for value, _ in places}
    assert functions - {a for a in functions if a < 0x108000 and a < min(table)} <= set(table) <= text
    for value, name in table.items():
        assert value in {place & 0xffffffff for place, _ in symbols[name]}


def test_first_instruction(boot):
    """Of the guest, by the TSC, which begins with the machine's own first instruction."""
    machine = hello(boot, args="entry", icount=0)
    assert int(machine.expect_past(r"^hello: entered at (\d+) us$")[0]) < 150000


def test_size_of_the_image():
    """All that is loaded or zeroed in memory, in the file that QEMU boots."""
    with open(os.path.join(BUILD, "tarn.elf32"), "rb") as file:
        image = file.read()
    offset = int.from_bytes(image[0x1c:0x20], "little")
    size, count = (int.from_bytes(image[at:at + 2], "little") for at in (0x2a, 0x2c))
    headers = [image[offset + n * size:offset + (n + 1) * size] for n in range(count)]
    loaded = [int.from_bytes(h[0x14:0x18], "little") for h in headers if h[:4] == b"\1\0\0\0"]
    assert 32768 < sum(loaded) < 256 * 1024

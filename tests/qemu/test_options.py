# SPDX-License-Identifier: MIT
"""Options of the hypervisor's command line, and how dom0's end is the machine's."""
import os

import pytest

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


@pytest.mark.parametrize("value,count", [("2", 2), ("7", 7), ("1-3", 3), ("2-", 4)])
def test_dom0_max_vcpus(boot, value, count):
    assert vcpus(hello(boot, f"dom0_max_vcpus={value}", smp="4")) == count


def test_dom0_has_a_vcpu_for_each_cpu(boot):
    assert vcpus(hello(boot, "maxcpus=3", smp="4")) == 3


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

# SPDX-License-Identifier: MIT
"""From power-on to the CPU summary, on both boot paths and many machine layouts."""
import re

import pytest

from tarn import EXIT_OFF

SUMMARY = (r"\(tarn\) (\d+) cpus? online: (\d+) sockets?, (\d+) cores? per socket, "
           r"(\d+) threads? per core\n")
CPU_LINE = r"^\(tarn\) cpu \d+: "
NO_DOM0 = "dom0=none"


def cpu_lines(topology, count=None):
    cpus = topology.cpus()[:count]
    return [f"(tarn) cpu {n}: socket {c.socket} core {c.core} thread {c.thread} apic {c.apic}"
            for n, c in enumerate(cpus)]


def summary(machine, timeout=60):
    return tuple(int(n) for n in machine.expect(SUMMARY, timeout).groups())


def test_cpus_are_numbered_depth_first(boot, topology):
    machine = boot(smp=topology.smp, cmdline=NO_DOM0)
    cpus = len(topology.cpus())
    assert summary(machine, 180) == (cpus, topology.sockets, topology.cores, topology.threads)
    assert machine.lines(CPU_LINE) == cpu_lines(topology)
    assert machine.quit() == EXIT_OFF


def test_figure_of_two_sockets(boot):
    """The figure itself, written out: cpu 0-7 are s0c0t0, s0c0t1, s0c1t0 ... s1c1t1."""
    machine = boot(smp="8,sockets=2,cores=2,threads=2", cmdline=NO_DOM0)
    assert summary(machine) == (8, 2, 2, 2)
    order = [re.sub(r".*socket (\d) core (\d) thread (\d) .*", r"s\1c\2t\3", line)
             for line in machine.lines(CPU_LINE)]
    assert order == ["s0c0t0", "s0c0t1", "s0c1t0", "s0c1t1", "s1c0t0", "s1c0t1", "s1c1t0", "s1c1t1"]
    assert machine.quit() == EXIT_OFF


def test_intel_cpuid_leaves(boot):
    """Another vendor's leaves, the same numbering."""
    machine = boot(smp="8,sockets=2,cores=2,threads=2", cpu="max,-smap,vendor=GenuineIntel", cmdline=NO_DOM0)
    assert summary(machine) == (8, 2, 2, 2)
    assert machine.quit() == EXIT_OFF


def test_legacy_cpuid_leaves(boot):
    """No leaf 0xb: leaves 1 and 4 must do."""
    machine = boot(smp="8,sockets=2,cores=2,threads=2", cmdline=NO_DOM0,
                   cpu="max,-smap,vendor=GenuineIntel,cpuid-0xb=off")
    assert summary(machine) == (8, 2, 2, 2)
    assert machine.quit() == EXIT_OFF


def test_xapic_mode(boot):
    machine = boot(smp="4", cpu="max,-smap,-x2apic", cmdline=NO_DOM0)
    assert summary(machine) == (4, 1, 4, 1)
    assert machine.quit() == EXIT_OFF


def test_smap_stays_on(boot):
    """The default machine has no SMAP, for guests that return by a bare iret; this one has."""
    machine = boot(smp="2", cpu="max", modules=["hello"])
    machine.expect(r"hello: ok\n")
    assert machine.wait() == EXIT_OFF


def test_maxcpus(boot):
    machine = boot(smp="8,sockets=2,cores=2,threads=2", cmdline=f"maxcpus=3 {NO_DOM0}")
    assert summary(machine)[0] == 3
    assert machine.quit() == EXIT_OFF


def test_maxcpus_nonsense_is_reported(boot):
    machine = boot(smp="2", cmdline=f"maxcpus=lots {NO_DOM0}")
    machine.expect(r"\(tarn\) .*maxcpus.*\n")
    assert summary(machine)[0] == 2
    assert machine.quit() == EXIT_OFF


def test_unknown_option_is_reported(boot):
    machine = boot(smp="1", cmdline=f"colour=green {NO_DOM0}")
    machine.expect(r"\(tarn\) .*colour.*\n")
    assert summary(machine)[0] == 1
    assert machine.quit() == EXIT_OFF


def test_no_dom0_idles(boot):
    """Without a control domain the machine boots to its summary and stays up."""
    machine = boot(smp="2", cmdline=NO_DOM0)
    summary(machine)
    machine.expect_silence(r"panic|BUG", 1)
    assert machine.quit() == EXIT_OFF


def test_boot_paths(boot_both):
    """The command line and the modules arrive through both versions of Multiboot."""
    machine = boot_both(smp="2", cmdline="maxcpus=1", modules=["hello one two"])
    assert summary(machine)[0] == 1
    machine.expect(r'hello: cmdline "one two"')
    machine.expect(r"hello: ok\n")
    assert machine.wait() == EXIT_OFF


def test_boot_paths_of_domains(boot_both):
    """Quotes and all."""
    machine = boot_both(smp="2", modules=["hello linger=1", 'hello name=a memory=8 cmdline="p=1  q=2 r"',
                                          'hello name=b memory=8 cmdline="one" vcpus=2'])
    machine.expect_lines([r'\(d1\) hello: cmdline "p=1  q=2 r"\n', r'\(d2\) hello: cmdline "one"\n',
                          r"\(d2\) hello: vcpus 2 ", r"\(d1\) hello: ok\n", r"\(d2\) hello: ok\n"])
    assert not machine.lines(r"\(tarn\) module")
    assert machine.wait() == EXIT_OFF


def test_power_off_without_debug_exit(boot):
    """The machine goes off by its own means, not by QEMU's test device."""
    machine = boot(smp="2", modules=["hello"], debug_exit=False)
    machine.expect(r"hello: ok\n")
    assert machine.wait() == EXIT_OFF


def test_boot_domain_without_dom0(boot):
    machine = boot(smp="2", cmdline=NO_DOM0, modules=['hello name=solo memory=16 cmdline="a b"'])
    machine.expect(r'\(d1\) hello: cmdline "a b"')
    machine.expect(r"\(d1\) hello: ok\n")
    assert machine.quit() == EXIT_OFF


def test_bad_modules_are_refused(boot, tmp_path):
    """A module that is no ELF is refused by name with the reason, and the rest boots."""
    bad = tmp_path / "garbage.elf"
    bad.write_bytes(b"this is no ELF file" * 100)
    machine = boot(smp="2", modules=["hello", (str(bad), "name=garbage memory=16")])
    machine.expect(r"\(tarn\) .*garbage.*\n")
    machine.expect(r"hello: ok\n")
    assert machine.wait() == EXIT_OFF


def test_huge_machine_memory(boot):
    """Memory above 4 GiB (QEMU puts the rest there) is found; nothing of it is touched at boot."""
    machine = boot(smp="1", memory=5120, cmdline=NO_DOM0, extra=["-object", "memory-backend-ram,id=m,size=5G,prealloc=off",
                                                                 "-machine", "memory-backend=m"])
    summary(machine)
    assert machine.quit() == EXIT_OFF


@pytest.mark.parametrize("cpu", ["max,-smap", "max,-smap,-pdpe1gb", "qemu64,+smep"])
def test_pages_of_1_gib(boot, cpu):
    """The boot tables reach 4 GiB, or 1 GiB on a CPU without such pages; memory above is used all the same."""
    machine = boot(cpu=cpu, memory=2500, modules=["hello"])
    machine.expect(r"^hello: ok\n", 120)  # the guest looks at each of its pages
    assert machine.wait() == EXIT_OFF
    free, total = machine.expect_past(r"\(tarn\) (\d+) KiB of (\d+) KiB free\n")
    assert int(machine.expect_past(r"^hello: nr_pages (\d+) ")[0]) * 4 > 2300 * 1024
    assert int(total) > 2490 * 1024 and int(free) >= 0

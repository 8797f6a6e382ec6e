# SPDX-License-Identifier: MIT
"""What guests print: dom0 as it is, the others in whole lines with their number in front."""
from tarn import EXIT_OFF

DOMAINS = 6


def test_lines_stay_whole(boot):
    """Several domains print at once on several CPUs."""
    machine = boot(smp="4", cmdline="dom0=none", modules=[f"hello name=h{n} memory=8" for n in range(DOMAINS)])
    machine.expect_lines([rf"\(d{n + 1}\) hello: ok\n" for n in range(DOMAINS)])
    assert not [line for line in machine.lines() if line and not line.startswith(("(tarn) ", "(d"))]
    for n in range(DOMAINS):
        lines = machine.lines(rf"^\(d{n + 1}\) ")
        assert lines[0] == f"(d{n + 1}) hello: magic xen-3.0-x86_64"
        assert lines[-1] == f"(d{n + 1}) hello: ok"
        assert all(line.count("hello: ") == 1 for line in lines)
        assert len(lines) == len(machine.lines(r"^\(d1\) "))
    assert machine.quit() == EXIT_OFF


def test_dom0_is_raw(boot):
    """Beside another domain that prints as well."""
    machine = boot(smp="2", modules=["hello linger=1", "hello name=other memory=8"])
    machine.expect(r"^hello: ok\n")
    assert machine.wait() == EXIT_OFF
    assert machine.lines(r"^hello: ")[0] == "hello: magic xen-3.0-x86_64"
    assert machine.lines(r"^\(d1\) hello: ")[0] == "(d1) hello: magic xen-3.0-x86_64"
    assert not machine.lines(r"^\(d0\)")


def test_crash_keeps_what_was_printed(boot):
    """Domains' lines and the hypervisor's own come in the order in which they happened."""
    machine = boot(cmdline="dom0=none", modules=['bad name=bad memory=8 cmdline="fault=ud2"'])
    machine.expect(r"\(d1\) bad: ud2 follows\n")
    machine.expect(r"\(tarn\) domain 1 \(bad\) vcpu 0 crashed: ")
    machine.expect(r"\(tarn\) d1v0 rip ")
    assert machine.quit() == EXIT_OFF

# SPDX-License-Identifier: MIT
"""Modules that can't be domains: refused by name with the reason, and the rest boots."""
import os

import pytest

from tarn import BUILD, EXIT_OFF, guest


def file_of(path):
    with open(path, "rb") as file:
        return file.read()


def patched(image, offset, data):
    return image[:offset] + data + image[offset + len(data):]


def without_notes(image):
    """No sections, and PT_NOTE (4) becomes PT_NULL."""
    offset = int.from_bytes(image[0x20:0x28], "little")
    for header in range(offset, offset + 56 * int.from_bytes(image[0x38:0x3a], "little"), 56):
        if image[header:header + 4] == b"\4\0\0\0":
            image = patched(image, header, bytes(4))
    return patched(image, 0x3c, bytes(4))


HELLO = guest("hello")
# what the file holds, and the reason that must be given
BAD_FILES = {
    "text": (lambda: b"this is no ELF file\n" * 100, "not an ELF file"),
    "empty": (lambda: b"", "not an ELF file"),
    "magic": (lambda: b"\x7fELF", "not an ELF file|truncated"),
    "elf32": (lambda: file_of(os.path.join(BUILD, "tarn.elf32")), "a 32-bit ELF file"),
    "nonotes": (lambda: without_notes(file_of(HELLO)), "no Xen notes"),
    "program": (lambda: file_of("/bin/true"), "no Xen notes"),
    "header": (lambda: file_of(HELLO)[:100], "truncated"),
    "half": (lambda: file_of(HELLO)[:6000], "truncated"),
    "arm": (lambda: patched(file_of(HELLO), 0x12, b"\xb7\0"), "not for x86-64"),
    "entry": (lambda: patched(file_of(HELLO), 0x20, b"\xff" * 8), "truncated|program headers"),
}


def refused(machine, domid, name, reason):
    machine.expect(rf"\(tarn\) domain {domid} \({name}\) refused: .*({reason}).*\n")


def rest_boots(machine):
    machine.expect(r"^hello: ok\n")
    assert machine.wait() == EXIT_OFF


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file(boot, tmp_path, kind):
    content, reason = BAD_FILES[kind]
    path = tmp_path / f"{kind}.elf"
    path.write_bytes(content())
    machine = boot(modules=["hello", (str(path), f"name={kind} memory=8")])
    refused(machine, 1, kind, reason)
    rest_boots(machine)


def test_bad_dom0(boot, tmp_path):
    path = tmp_path / "bad.elf"
    path.write_bytes(b"nothing")
    machine = boot(modules=[(str(path), "args"), "hello name=other memory=8"])
    refused(machine, 0, "Domain-0", "not an ELF file")
    machine.expect(r"\(d1\) hello: ok\n")
    assert machine.quit() == EXIT_OFF


@pytest.mark.parametrize("memory,reason", [(1, "too large: it needs 4096 KiB of memory, and has 1024 KiB"),
                                           (4096, "not enough free memory")])
def test_memory_that_does_not_fit(boot, memory, reason):
    machine = boot(modules=["hello linger=2", f"hello name=misfit memory={memory}", "hello name=good memory=8"])
    refused(machine, 1, "misfit", reason)
    machine.expect_lines([r"^hello: ok\n", r"\(d2\) hello: ok\n"])
    # what nobody got is dom0's
    assert int(machine.expect_past(r"^hello: nr_pages (\d+) ")[0]) > 200 * 256
    assert machine.wait() == EXIT_OFF


def test_name_twice(boot):
    machine = boot(cmdline="dom0=none", modules=["hello name=twin memory=8"] * 2)
    refused(machine, 2, "twin", "there is a domain of that name")
    machine.expect(r"\(d1\) hello: ok\n")
    assert machine.quit() == EXIT_OFF


@pytest.mark.parametrize("word", ["cpus=9-", "cpus=3-1", "cpus=x", "vcpus=1000", "vcpus=0", "memory=much", "weight=0",
                                  "cap=-1", "colour=green", "memory"])
def test_wrong_word(boot, word):
    """Said once, by the module's name, and left out."""
    machine = boot(cmdline="dom0=none", modules=[f"hello name=odd {word}"])
    machine.expect(r"\(d1\) hello: ok\n")
    key = word.partition("=")[0]
    assert len(machine.lines(rf"^\(tarn\) module odd: .*'{key}'")) == 1
    assert machine.quit() == EXIT_OFF


def test_cpus_that_do_not_exist(boot):
    machine = boot(smp="2", modules=["hello", "hello name=far memory=8 cpus=60"])
    refused(machine, 1, "far", "cpus=")
    rest_boots(machine)


def test_many_modules(boot):
    """Thirty domains on two CPUs, all of which do their work."""
    machine = boot(smp="2", memory=512, cmdline="dom0=none", modules=[f"hello name=d{n} memory=8" for n in range(30)])
    machine.expect_lines([rf"\(d{n + 1}\) hello: ok\n" for n in range(30)], 60)
    assert machine.quit() == EXIT_OFF


def test_initrd(boot, tmp_path):
    """A module without a name behind dom0 is its initrd."""
    path = tmp_path / "initrd"
    path.write_bytes(b"x" * 12345)
    machine = boot(modules=["hello", (str(path), "")])
    machine.expect(r"^hello: mod_start ffffffff8[0-9a-f]+ mod_len 12345\n")
    rest_boots(machine)

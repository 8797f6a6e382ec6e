# SPDX-License-Identifier: MIT
"""Runs tarn under QEMU for a test.

A test waits for events (`expect`), never for time alone, and judges a run by QEMU's exit status
together with a complete result line, never by the absence of a failure:

    with Tarn(smp="2", modules=["hello one two"]) as t:
        t.expect(r"hello: ok")
        assert t.wait() == EXIT_OFF

Environment: TARN_BUILD (build), TARN_TIMEOUT_SCALE (1; more on a slow machine), QEMU.
"""
import ctypes
import os
import re
import signal
import subprocess
import tempfile

import pexpect
import pexpect.fdpexpect

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("TARN_BUILD", "build"))
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
SCALE = float(os.environ.get("TARN_TIMEOUT_SCALE", "1"))
DEFAULT_CPU = "max,-smap"

EXIT_OFF = 0  # dom0 powered the machine off, or rebooted it under -no-reboot
# isa-debug-exit (port 0x501) turns a byte v into status 2 * v + 1: an odd status is tarn's own bug.

PR_SET_PDEATHSIG = 1


def guest(name):
    """Path of a guest's image, by its folder's name in guests/."""
    return os.path.join(BUILD, "guests", name + ".elf")


def module_string(module):
    """'hello a b' or ('/path/to/file', 'a b') -> what -initrd takes, its commas doubled."""
    if isinstance(module, str):
        name, _, string = module.partition(" ")
        module = (guest(name) if "/" not in name else name, string)
    path, string = module
    assert os.path.exists(path), f"module {path} is not built"
    return f"{path} {string}".rstrip().replace(",", ",,")


def make_iso(path, cmdline, modules):
    """A GRUB ISO with these modules, each a string 'guest args'."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write("".join(m + "\n" for m in modules))
        listing.flush()
        subprocess.run(["tools/make-iso.sh", path, listing.name], cwd=ROOT, check=True, timeout=120,
                       env=dict(os.environ, O=BUILD, APPEND=cmdline))


def die_with_parent():
    """In the child: no QEMU outlives the test run, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Serial(pexpect.fdpexpect.fdspawn):
    """The serial line, read from QEMU's standard output, with plain newlines."""

    def read_nonblocking(self, size=1, timeout=-1):
        return super().read_nonblocking(size, timeout).replace("\r", "")


class Tarn:
    """One machine, from power-on to its end.

    smp, memory (MiB), cpu: QEMU's -smp, -m, -cpu. cmdline: the hypervisor's command line. modules:
    see module_string. icount: None, or a shift (virtual time that does not depend on the host; one
    host thread). thread: "multi" or "single" host threads for the CPUs. iso: boot this ISO through
    GRUB instead of the kernel and modules. debug_exit: offer the isa-debug-exit device. extra: more
    QEMU arguments.
    """

    def __init__(self, smp="1", memory=256, cmdline="", modules=(), cpu=DEFAULT_CPU, icount=None,
                 thread="multi", iso=None, kernel=None, debug_exit=True, extra=(), log=None):
        if icount is not None:
            thread = "single"
        self.args = [QEMU, "-accel", f"tcg,thread={thread}", "-cpu", cpu, "-smp", str(smp),
                     "-m", str(memory), "-display", "none", "-no-reboot", "-serial", "stdio",
                     "-monitor", "none"]
        if debug_exit:
            self.args += ["-device", "isa-debug-exit"]
        if icount is not None:
            self.args += ["-icount", f"shift={icount},sleep=off"]
        if iso:
            self.args += ["-boot", "d", "-cdrom", iso]
        else:
            self.args += ["-kernel", kernel or os.path.join(BUILD, "tarn.elf32")]
            self.args += ["-append", cmdline] if cmdline else []
            if modules:
                self.args += ["-initrd", ",".join(module_string(m) for m in modules)]
        self.args += list(extra)
        self.log = log
        self.process = self.serial = self.recorder = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.kill()

    def start(self):
        self.process = subprocess.Popen(self.args, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, bufsize=0, preexec_fn=die_with_parent)
        self.serial = Serial(self.process.stdout.fileno(), encoding="utf-8", codec_errors="replace",
                             maxread=65536)
        self.serial.logfile_read = self.recorder = Recorder(self.log)
        return self

    @property
    def output(self):
        """All that the serial line said so far, with plain newlines."""
        return self.recorder.text()

    def lines(self, pattern=""):
        """The complete lines in which the pattern is found."""
        complete = self.output.rpartition("\n")[0].split("\n")
        return [line for line in complete if re.search(pattern, line)]

    def expect_past(self, pattern):
        """The groups of the pattern's first match in what was said already."""
        match = re.search(pattern, self.output, re.M)
        if not match:
            self.fail(f"{pattern!r} was not said")
        return match.groups()

    def fail(self, why):
        tail = "\n".join(self.output.split("\n")[-40:])
        raise AssertionError(f"{why}\n--- {' '.join(self.args)}\n--- serial line, its end:\n{tail}")

    def expect(self, pattern, timeout=30):
        """Wait for a regular expression in what comes next; the match. `.` and ^ are a line's. Output
        comes in pieces: a pattern that ends in a repetition may match half of what it should."""
        got = self.serial.expect([re.compile(pattern, re.M), pexpect.EOF, pexpect.TIMEOUT], timeout=timeout * SCALE)
        if got != 0:
            why = "the machine ended" if got == 1 else f"nothing within {timeout * SCALE:g} s"
            if got == 1:
                why += f" with status {self.process.wait(10)}"
            self.fail(f"waiting for {pattern!r}: {why}")
        return self.serial.match

    def expect_lines(self, patterns, timeout=30):
        """Wait for all of them, in any order."""
        left = list(patterns)
        while left:
            matched = self.expect("|".join(f"(?:{p})" for p in left), timeout).group(0)
            left = [p for p in left if not re.search(p, matched)]

    def expect_silence(self, pattern, seconds):
        """The pattern must not come, nor the machine end, within this time."""
        got = self.serial.expect([re.compile(pattern, re.M), pexpect.EOF, pexpect.TIMEOUT], timeout=seconds)
        if got != 2:
            self.fail(f"{pattern!r} came" if got == 0 else "the machine ended")

    def send(self, text):
        self.process.stdin.write(text.encode())

    def wait(self, timeout=30):
        """Wait for the machine's end; QEMU's exit status, or minus the signal."""
        if self.serial.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=timeout * SCALE) != 0:
            self.fail(f"the machine did not end within {timeout * SCALE:g} s")
        return self.process.wait(10)

    def quit(self):
        """End an idle machine that is still well: QEMU's status, 0 when it was."""
        if self.process.poll() is not None:
            self.fail(f"the machine ended by itself with status {self.process.returncode}")
        self.process.send_signal(signal.SIGTERM)
        return self.wait(10)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process is not None:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None


class Recorder:
    """Keeps all output, and writes it to a file as it comes."""

    def __init__(self, path):
        self.parts = []
        self.file = open(path, "w", encoding="utf-8") if path else None

    def write(self, text):
        self.parts.append(text)
        if self.file:
            self.file.write(text)

    def flush(self):
        if self.file:
            self.file.flush()

    def text(self):
        return "".join(self.parts).replace("\r", "")

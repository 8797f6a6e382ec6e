# SPDX-License-Identifier: MIT
"""Debian's Linux as domains of the control domain, driven by the host's program `tarn` alone.

The userland is a shell on the PV console, and beside it what udev is on a whole system: a CPU that
appears is taken online. A run is a list of steps; each says in a line what it found, and raises
AssertionError when that was not right. In the end the machine has as many free pages as before.
"""
import os
import re
import stat
import time

from host import Machine

INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /dev /tmp
mount -t proc proc /proc; mount -t sysfs sys /sys
mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
( while sleep 0.2; do
    for cpu in /sys/devices/system/cpu/cpu*/online; do
        [ "$(cat $cpu)" = 0 ] && echo 1 >$cpu
    done
done ) 2>/dev/null &
export PS1='# '
dmesg -n 1 # or else the kernel's lines come between those of the shell
while :; do setsid sh -c 'exec sh </dev/hvc0 >/dev/hvc0 2>&1'; done
"""
# What the kernel runs when the control domain asks for an end.
ENDS = {"sbin/poweroff": "poweroff", "sbin/reboot": "reboot"}

CONFIG = """name = "linux"
kernel = "vmlinux"
ramdisk = "initramfs"
extra = "console=hvc0"
memory = 128
vcpus = 1
maxvcpus = 4
"""
BAD = r"BUG|Oops|WARNING:|soft lockup|rcu.*stall"


def initramfs(entry, busybox):
    """entry: makes one file of a cpio archive."""
    folder, program = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
    return b"".join([
        entry("bin", folder), entry("sbin", folder), entry("dev", folder),
        entry("dev/console", stat.S_IFCHR | 0o600, rdev=(5, 1)),
        entry("dev/null", stat.S_IFCHR | 0o666, rdev=(1, 3)),
        entry("bin/busybox", program, busybox), entry("init", program, INIT.encode()),
        *[entry(name, program, f"#!/bin/busybox sh\nexec /bin/busybox {what} -f\n".encode())
          for name, what in ENDS.items()],
        entry("TRAILER!!!", 0)])


class Linux:
    """One domain; create() says how long it took to the shell."""

    def __init__(self, machine, name="linux", **settings):
        self.m, self.name, self.marks = machine, name, 0
        self.settings = [f'{key}="{value}"' if isinstance(value, str) else f"{key}={value}"
                         for key, value in dict(settings, name=name).items()]

    def text(self):
        return self.m.run("console", self.name).stdout.replace("\r", "")

    def wait(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = self.text()
            if re.search(pattern, text, re.M):
                return text
            time.sleep(0.05)
        raise AssertionError(f"{self.name}: no {pattern!r}:\n{text[-3000:]}")

    def type(self, line):
        self.m.run("console", self.name, input=line + "\n")

    def create(self, *options):
        self.m.xl("create", *options, "linux.cfg", *self.settings)
        return self

    def shell_comes(self, seconds=60):
        start = time.monotonic()
        text = self.wait(r"^# ", seconds)
        assert not re.search(BAD, text), text
        return time.monotonic() - start

    def sh(self, command, seconds=30):
        """What a command in its shell prints."""
        self.marks += 1
        mark = f"{os.getpid()}x{self.marks}"
        self.type(f"echo begin-{mark[:-1]}'{mark[-1]}'; {command}; echo end-{mark[:-1]}'{mark[-1]}'")
        text = self.wait(rf"^end-{mark}$", seconds)
        return re.search(rf"^begin-{mark}\n(.*?)^end-{mark}$", text, re.M | re.S)[1].strip()

    def prints(self, command, wanted, seconds=30):
        got = self.sh(command, seconds)
        assert got == wanted, f"{command}: {got!r}, not {wanted!r}:\n{self.text()[-3000:]}"

    def sound(self):
        """The kernel complained of nothing."""
        self.prints(f"dmesg | grep -E '{BAD}'", "")

    def until(self, command, wanted, seconds=30):
        end = time.monotonic() + seconds
        while (got := self.sh(command)) != wanted:
            assert time.monotonic() < end, f"{command}: {got!r}, not {wanted!r}"

    def mem_total(self):
        return int(self.sh("awk '/^MemTotal/ { print $2 }' /proc/meminfo"))

    def listed(self):
        """(domid, MiB, vcpus, state)"""
        line = re.search(rf"^{self.name} +(\d+) +(\d+) +(\d+) +(\S+)", self.m.out("list"), re.M)
        return int(line[1]), int(line[2]), int(line[3]), line[4]

    def gone(self, seconds=30):
        end = time.monotonic() + seconds
        while not self.m.xl("domid", self.name, status=None).returncode:
            assert time.monotonic() < end, f"{self.name} is still there:\n{self.text()[-2000:]}"
            time.sleep(0.1)


def boots(m, say):
    """One, two and four vcpus to a shell, what it computes, and an orderly end."""
    for vcpus in (1, 2, 4):
        linux = Linux(m, vcpus=vcpus).create()
        took = linux.shell_comes()
        linux.prints("nproc", str(vcpus))
        linux.prints("seq 1 5000 | sort -r | sort -n | awk '{ s += $1 } END { print s }'", "12502500")
        linux.prints("dd if=/dev/zero bs=64k count=64 2>/dev/null | md5sum",
                     "b5cfa9d6c8febd618f91ac2843d50a1c  -")
        linux.sound()
        linux.m.xl("shutdown", "-w", "linux")
        linux.gone()
        say(f"{vcpus} vcpus: shell {took:.1f} s after create, shut down")


def vcpus(m, say):
    """Linux gives vcpus up and takes them again."""
    linux = Linux(m, vcpus=4).create()
    linux.shell_comes()
    for want in (2, 4, 1, 3, 4):
        m.xl("vcpu-set", "linux", str(want))
        linux.until("nproc", str(want))
        off = re.findall(r"^linux .* --p ", m.out("vcpu-list", "linux"), re.M)
        assert len(off) == 4 - want, m.out("vcpu-list", "linux")
    linux.sound()
    m.xl("destroy", "linux")
    say("vcpu-set 2, 4, 1, 3, 4")


def pause(m, say):
    """A paused domain takes no input; unpaused it answers what was typed meanwhile."""
    linux = Linux(m, vcpus=2).create()
    linux.shell_comes()
    m.xl("pause", "linux")
    assert "p" in linux.listed()[3]
    linux.type("echo woken-$((6 * 7))")
    time.sleep(1)
    assert "woken-42" not in linux.text()
    m.xl("unpause", "linux")
    linux.wait(r"^woken-42$")
    m.xl("destroy", "linux")
    say("paused, unpaused")


def balloon(m, say):
    """Memory goes to the hypervisor and comes back, page by page."""
    linux = Linux(m).create()
    linux.shell_comes()
    free, total = m.free_pages(), linux.mem_total()
    for target in (100, 90, 128):
        m.xl("mem-set", "linux", f"{target}m")
        for _ in range(100):
            if linux.listed()[1] == target and m.free_pages() == free + (128 - target) * 256:
                break
            time.sleep(0.1)
        assert m.free_pages() == free + (128 - target) * 256, f"{target}m: {m.free_pages()} free, first {free}"
        now = linux.mem_total()
        assert now == total - (128 - target) * 1024, f"{target}m: MemTotal {now}, first {total}"
    m.xl("destroy", "linux")
    say(f"mem-set 100m, 90m, 128m: MemTotal {total} kB and back")


def reboot(m, say):
    """Asked from outside and done from inside: it comes again as another domain."""
    linux = Linux(m, on_reboot="restart").create()
    linux.shell_comes()
    for how in ("outside", "inside"):
        before = linux.listed()[0]
        if how == "outside":
            m.xl("reboot", "linux")
        else:
            linux.type("reboot -f")
        end = time.monotonic() + 30
        while True:
            now = m.xl("domid", "linux", status=None)
            if now.returncode == 0 and int(now.stdout) > before:
                break
            assert time.monotonic() < end, linux.text()[-2000:]
            time.sleep(0.1)
        linux.shell_comes()
    linux.type("poweroff -f")
    linux.gone()
    say("rebooted from outside and from inside, powered off")


def middle(m, say):
    """Destroyed at any moment of its boot."""
    for ms in (0, 50, 100, 200, 400, 600, 800, 1200, 1600, 2400):
        linux = Linux(m, vcpus=1 + ms % 4).create()
        time.sleep(ms / 1000)
        m.xl("destroy", "linux")
        linux.gone(1)
    say("destroyed 10 times while it booted")


def often(m, say, times=20):
    free, took = m.free_pages(), []
    for i in range(times):
        linux = Linux(m, vcpus=(1, 2, 4)[i % 3]).create()
        took.append(linux.shell_comes())
        m.xl("destroy", "linux")
        assert m.free_pages() == free, f"boot {i}: {m.free_pages()} pages free, not {free}"
    say(f"{times} boots in a row, shell after {min(took):.1f} to {max(took):.1f} s")


def two(m, say):
    """Two at a time, each with a console of its own."""
    both = [Linux(m, name, vcpus=2).create() for name in ("one", "other")]
    for linux in both:
        linux.shell_comes()
        linux.prints(f"echo I am {linux.name}", f"I am {linux.name}")
    for linux in both:
        m.xl("shutdown", "-w", linux.name)
        linux.gone()
    say("two at a time")


def once(m, say):
    """By virtual time, which stands still while the host is busy, and takes its time."""
    linux = Linux(m, vcpus=2).create()
    took = linux.shell_comes(300)
    linux.prints("nproc", "2", 60)
    m.xl("destroy", "linux")
    say(f"2 vcpus: shell {took:.1f} s after create")


STEPS = [boots, vcpus, pause, balloon, reboot, middle, two, often]


def run(kernel, archive, config, icount=False, steps=None):
    """All steps on one machine; True when all were good."""
    with open(config, "w", encoding="utf-8") as f:
        f.write(CONFIG)
    up = ["--file", str(kernel), "--file", str(archive), "--file", str(config)]
    good = True
    with Machine(smp="4", memory=1024, up=up + (["--icount"] if icount else [])) as m:
        free = m.free_pages()
        for step in steps or ([once] if icount else STEPS):
            start = time.monotonic()
            say = lambda text: print(f"linux: control: {step.__name__}: {text} "
                                     f"({time.monotonic() - start:.1f} s)", flush=True)
            try:
                step(m, say)
                assert m.free_pages() == free, f"{m.free_pages()} pages are free, not {free}"
            except AssertionError as reason:
                say(f"FAILED: {reason}")
                good = False
                for key in "de":  # who waits for what
                    m.xl("debug-keys", key)
                print(m.log()[-6000:])
                for name in ("linux", "one", "other"):
                    m.xl("destroy", name, status=None)
                free = m.free_pages()
    return good

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's unmodified Linux as a guest, runs a small userland in it, and powers it off.

The kernel package and a static busybox are downloaded with apt-get (not installed) and kept in
$O/linux. The userland checks what it does and says each result in a line of its own; a run is good
when the last of these is there, says ok, and the domain powered off by itself.
"""

import argparse
import glob
import gzip
import lzma
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib

from lines import serial_lines

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / os.environ.get("O", "build")
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
XEN = "/boot/xen-4.17-amd64.gz"

# name of the run: (hypervisor, as domain 0, vcpus, CPUs of the machine)
RUNS = {
    "domu-1": ("tarn", False, 1, 1),
    "domu-2": ("tarn", False, 2, 2),
    "domu-4": ("tarn", False, 4, 4),
    "domu-4-on-2": ("tarn", False, 4, 2),
    "domu-4-on-1": ("tarn", False, 4, 1),
    "dom0": ("tarn", True, 1, 1),
    "dom0-2": ("tarn", True, 2, 2),
    "dom0-4": ("tarn", True, 4, 4),
    "xen-dom0": ("xen", True, 1, 1),
    "xen-dom0-2": ("xen", True, 2, 2),
}
# Domains that the control domain makes: see linuxcontrol.py.
CONTROL = ["control", "control-icount"]
# Devices between domain 0, which is Debian's with its xl, and a domain: see linuxio.py.
DEVICES = {"disk": ("disk", "tarn"), "net": ("net", "tarn"), "grub": ("grub", "tarn"),
           "xen-disk": ("disk", "xen"), "xen-net": ("net", "xen")}
# A domain whose disks its emulator serves: see linuxstub.py.
EMULATED = ["stub-disk"]
DEFAULT = ["domu-1", "domu-2", "domu-4", "domu-4-on-2", "dom0", "dom0-2", "xen-dom0", "control", "stub-disk",
           "disk", "net", "grub"]
ALL = [*RUNS, *CONTROL, *EMULATED, *DEVICES]

# The early console, which is the hypercall console_io, is all that a domU has; printk.devkmsg lets
# init write as much as it likes.
CMDLINE = "earlyprintk=xen console=hvc0 panic=1 printk.devkmsg=on"

INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /dev /tmp
mount -t proc proc /proc; mount -t sysfs sys /sys
mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
exec </dev/null >/dev/kmsg 2>&1
failed=
say() { echo "linux: $*"; }
check() { # NAME GOT WANTED
    [ "$2" = "$3" ] && say "$1 $2" || { failed="$failed $1"; say "$1: got '$2', not '$3'"; }
}
more() { # NAME GOT AT-LEAST
    [ "${2:-0}" -ge "$3" ] && say "$1 $2" || { failed="$failed $1"; say "$1: got '$2', less than $3"; }
}
ms() { awk '{ printf "%d", $1 * 1000 }' /proc/uptime; }

for word in $(cat /proc/cmdline); do
    case $word in
    expect=*) want=${word#expect=} ;;
    ask) ask=yes ;;
    shell) # somebody sits there: `exit` powers off
        setsid sh -c 'exec sh -l </dev/hvc0 >/dev/hvc0 2>&1'
        poweroff -f ;;
    esac
done
say "shell, $(uname -sr), $(grep -c '' /proc/interrupts) interrupt lines"
check cpus "$(grep -c ^processor /proc/cpuinfo)" "$want"

# processes: each is a fork, an exec and a wait; the shell's own arithmetic adds up
sum=0; i=1
while [ $i -le 40 ]; do sum=$((sum + $(/bin/busybox expr $i + 0))); i=$((i + 1)); done
check processes $sum 820

check pipe "$(seq 1 5000 | sort -r | sort -n | awk '{ s += $1 } END { print s }')" 12502500

dd if=/dev/urandom of=/tmp/a bs=64k count=64 2>/dev/null
cp /tmp/a /tmp/b && gzip -c /tmp/b | gunzip >/tmp/c
check copy "$(md5sum </tmp/c)" "$(md5sum </tmp/a)"
check size "$(wc -c </tmp/c)" 4194304
rm /tmp/a /tmp/b /tmp/c

# each CPU counts at the same time as the others, and bound to it
n=0
while [ $n -lt "$want" ]; do
    taskset -c $n awk 'BEGIN { for (i = 0; i < 200000; i++) s += i; print s }' >/tmp/cpu$n &
    n=$((n + 1))
done
wait
check parallel "$(sort -u /tmp/cpu* | tr '\n' ' ')" "19999900000 "
idle=$(awk '/^cpu[0-9]/ && $2 + $4 == 0 { printf "%s ", $1 }' /proc/stat)
check idle_cpus "$idle" ""

# timers: twenty sleeps of 10 ms; at least that long, and not for ever
t=$(ms); i=0
while [ $i -lt 20 ]; do usleep 10000; i=$((i + 1)); done
t=$(($(ms) - t))
more slept_ms $t 199
more slept_in_time $((20000 - t)) 0
t=$(date +%s)
more wall_clock "$t" 1600000000

# what was delivered: a timer to every CPU, and interrupts between them
dead=$(awk -v n="$want" '$0 ~ /timer[0-9]*$/ { for (c = 0; c < n; c++) s[c] += $(c + 2) }
    END { for (c = 0; c < n; c++) if (!s[c]) printf "%d ", c }' /proc/interrupts)
check no_timer_on "$dead" ""
[ "$want" = 1 ] || more reschedule "$(awk -v n="$want" '$0 ~ /resched[0-9]*$/ {
    for (c = 0; c < n; c++) s += $(c + 2) } END { print s + 0 }' /proc/interrupts)" 1
if [ "$ask" ]; then # what is typed comes in by console_io and the console's VIRQ
    say "type now"
    read -r -t 20 line </dev/hvc0
    check typed "$line" "a line"
fi
more free_kib "$(awk '/^MemFree/ { print $2 }' /proc/meminfo)" 1024
check oopses "$(dmesg | grep -cE 'BUG|Oops|WARNING:|soft lockup|rcu.*stall')" 0
say "up for $(ms) ms"
[ -z "$failed" ] && say "result: ok, $want cpus" || say "result: FAILED:$failed"
poweroff -f
"""


class Skip(Exception):
    """Something that is not tarn's can't be had; the text says what and why."""


# Packages

def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def download(package, directory):
    """Path of the package's file, from apt's archive."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Skip(f"{package}: there is no apt-get here")
    got = run(["apt-get", "download", package], cwd=directory)
    found = sorted(directory.glob(f"{package}_*.deb"))
    if not found:
        reason = (got.stderr.strip().splitlines() or ["apt-get got nothing"])[-1]
        raise Skip(f"{package} can't be had: {reason}")
    return found[-1]


def member(deb, pattern):
    """The first regular file of a package whose path matches; the rest is not unpacked."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as dpkg:
        with tarfile.open(fileobj=dpkg.stdout, mode="r|") as tar:
            for entry in tar:
                if entry.isreg() and re.fullmatch(pattern, entry.name):
                    data = tar.extractfile(entry).read()
                    dpkg.kill()
                    return entry.name, data
    raise Skip(f"{deb.name} holds no {pattern}")


def kernel_package():
    """linux-image-amd64 is empty and depends on the package that holds the kernel."""
    shown = run(["apt-cache", "depends", "linux-image-amd64"]) if shutil.which("apt-cache") else None
    found = re.search(r"Depends: (linux-image-\S+)", shown.stdout) if shown else None
    if not found:
        raise Skip("apt knows no linux-image-amd64 (apt-get update is needed?)")
    return found[1]


def get_bzimage(directory):
    """Name and bytes of a kernel: an installed one, or the archive's newest."""
    installed = sorted(glob.glob("/boot/vmlinuz-*-amd64"))
    if installed:
        return installed[-1], pathlib.Path(installed[-1]).read_bytes()
    return member(download(kernel_package(), directory), r"\./boot/vmlinuz-.*")


def get_busybox(directory):
    return member(download("busybox-static", directory), r"\./(usr/)?bin/busybox")[1]


# Kernel image

def unzstd(data):
    if not shutil.which("zstd"):
        raise Skip("the kernel is packed with zstd, and there is no zstd here")
    return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False).stdout


UNPACK = {
    b"\x1f\x8b": lambda data: zlib.decompressobj(31).decompress(data),
    b"\xfd7zXZ": lambda data: lzma.LZMADecompressor().decompress(data),
    b"\x28\xb5\x2f\xfd": unzstd,
}


def vmlinux(bzimage):
    """The ELF file inside a bzImage; the boot protocol (2.08 and up) says where it stands."""
    word = lambda at: int.from_bytes(bzimage[at:at + 4], "little")
    if bzimage[0x202:0x206] != b"HdrS" or word(0x206) & 0xffff < 0x208:
        raise Skip("the kernel is no bzImage of boot protocol 2.08")
    start = ((bzimage[0x1f1] or 4) + 1) * 512 + word(0x248)
    payload = bzimage[start:start + word(0x24c)]
    for magic, unpack in UNPACK.items():
        if payload.startswith(magic):
            elf = unpack(payload)
            if elf[:4] != b"\x7fELF":
                raise Skip("what is packed in the kernel is no ELF file")
            return elf
    raise Skip(f"the kernel is packed in an unknown way ({payload[:6].hex()})")


# Initramfs

def cpio_entry(name, mode, data=b"", rdev=(0, 0)):
    """One file of a `newc` archive."""
    cpio_entry.inode += 1
    fields = [cpio_entry.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    pad = lambda text: text + bytes(-len(text) % 4)
    return pad(head) + pad(data)


cpio_entry.inode = 0


def initramfs(busybox):
    return b"".join([
        cpio_entry("bin", stat.S_IFDIR | 0o755),
        cpio_entry("dev", stat.S_IFDIR | 0o755),
        cpio_entry("dev/console", stat.S_IFCHR | 0o600, rdev=(5, 1)),
        cpio_entry("dev/null", stat.S_IFCHR | 0o666, rdev=(1, 3)),
        cpio_entry("bin/busybox", stat.S_IFREG | 0o755, busybox),
        cpio_entry("init", stat.S_IFREG | 0o755, INIT.encode()),
        cpio_entry("TRAILER!!!", 0),
    ])


def prepare():
    """Makes what is not yet in $O/linux: the kernel's ELF file and the initramfs."""
    cache = OUT / "linux"
    cache.mkdir(parents=True, exist_ok=True)
    kernel, busybox = cache / "vmlinux", cache / "busybox"
    with tempfile.TemporaryDirectory(prefix="linux-") as directory:
        directory = pathlib.Path(directory)
        if not busybox.exists():
            busybox.write_bytes(get_busybox(directory))
        if not kernel.exists():
            name, image = get_bzimage(directory)
            elf = vmlinux(image)
            print(f"linux: {os.path.basename(name)}: {len(elf) >> 20} MiB of ELF")
            kernel.write_bytes(elf)
    (cache / "initramfs").write_bytes(initramfs(busybox.read_bytes()))
    return kernel, cache / "initramfs"


def hypervisor(name):
    if name == "tarn":
        return OUT / "tarn.elf32"
    if not os.path.exists(XEN):
        raise Skip(f"{XEN} is not there (package xen-hypervisor-4.17-amd64)")
    image = OUT / "linux/xen"
    image.write_bytes(gzip.open(XEN).read())
    return image


# Booting

# How a domain or a machine ends that doesn't make QEMU end.
ENDS = re.compile(r"domain 1 \(linux\) (powered off|crashed)|PANIC.*|machine halted|'noreboot' set")


def quote(path):
    return str(path).replace(",", ",,")


def command(name, kernel, archive, words=""):
    """QEMU's command line for a run; words are for init."""
    which, control, vcpus, cpus = RUNS[name]
    words = f"{CMDLINE} expect={vcpus} {words or ('ask' if control else '')}".strip()
    if control:
        append = f"dom0_mem=512M dom0_max_vcpus={vcpus} loglvl=warning console=com1 noreboot"
        modules = f"{quote(kernel)} {words.replace(',', ',,')},{quote(archive)}"
    else:
        append = "dom0=none"
        domain = f'name=linux memory=256 vcpus={vcpus} ramdisk={archive.name} cmdline="{words}"'
        modules = f"{quote(kernel)} {domain.replace(',', ',,')},{quote(archive)}"
    return [QEMU, "-accel", "tcg,thread=multi", "-cpu", "max,-smap", "-smp", str(cpus), "-m", "1024",
            "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
            "-device", "isa-debug-exit", "-kernel", str(hypervisor(which)), "-append", append,
            "-initrd", modules]


def watch(qemu, start, deadline, log, verbose):
    """Reads the serial line to the domain's end: (how it ended, time of the shell, lines)."""
    shell, lines = None, []
    try:
        for line in serial_lines(qemu, deadline, log):
            line = line.strip("\r")
            lines.append(line)
            if verbose:
                print(f"    {line}", flush=True)
            if shell is None and "linux: shell" in line:
                shell = time.monotonic() - start
            if re.search(r"\] linux: type now$", line):
                qemu.stdin.write(b"a line\r")
                qemu.stdin.flush()
            end = ENDS.search(line)
            if end:
                return end[0], shell, lines
    except TimeoutError:
        return "timeout", shell, lines
    return f"QEMU's status {qemu.wait(10)}", shell, lines


def boot(name, kernel, archive, options):
    """One boot; True when it was good."""
    path = OUT / f"linux/{name}.log"
    start = time.monotonic()
    with open(path, "wb") as log, subprocess.Popen(
            command(name, kernel, archive), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT) as qemu:
        try:
            end, shell, lines = watch(qemu, start, start + options.timeout, log, options.verbose)
        finally:
            qemu.kill()
    wanted = rf"linux: result: ok, {RUNS[name][2]} cpus$"
    off = end == ("QEMU's status 0" if RUNS[name][1] else "domain 1 (linux) powered off")
    good = off and any(re.search(wanted, line) for line in lines)
    what = f"shell after {shell:.1f} s" if shell else "no shell"
    print(f"linux: {name}: {'ok' if good else 'FAILED'}: {what}, {end} after "
          f"{time.monotonic() - start:.1f} s, {len(lines)} lines", flush=True)
    if not good:
        said = [line for line in lines if "linux: " in line] + ["..."] + lines[-options.tail:]
        print("\n".join(f"    {line}" for line in said))
        print(f"linux: all of it is in {path}")
    return good


def by_control(name, kernel):
    """The steps of linuxcontrol.py; True when all were good."""
    os.environ["TARN_BUILD"] = str(OUT)
    import linuxcontrol  # pylint: disable=import-outside-toplevel
    folder = OUT / "linux/control"
    folder.mkdir(exist_ok=True)
    archive = folder / "initramfs"
    archive.write_bytes(linuxcontrol.initramfs(cpio_entry, (OUT / "linux/busybox").read_bytes()))
    start = time.monotonic()
    good = linuxcontrol.run(kernel, archive, folder / "linux.cfg", name == "control-icount")
    print(f"linux: {name}: {'ok' if good else 'FAILED'} after {time.monotonic() - start:.0f} s", flush=True)
    return good


def emulated(name, kernel):
    """The steps of linuxstub.py; True when all were good."""
    os.environ["TARN_BUILD"] = str(OUT)
    import linuxstub  # pylint: disable=import-outside-toplevel
    folder = OUT / "linux/stub"
    folder.mkdir(exist_ok=True)
    archive = folder / "initramfs"
    archive.write_bytes(linuxstub.archive(cpio_entry, (OUT / "linux/busybox").read_bytes()))
    start = time.monotonic()
    good = linuxstub.run(kernel, archive, folder / "linux.cfg")
    print(f"linux: {name}: {'ok' if good else 'FAILED'} after {time.monotonic() - start:.0f} s", flush=True)
    return good


def with_devices(name, kernel, options):
    """The steps of linuxio.py; True when all were good."""
    import linuxio  # pylint: disable=import-outside-toplevel
    what, which = DEVICES[name]
    busybox = (OUT / "linux/busybox").read_bytes()
    return linuxio.run(what, kernel, busybox, cpio_entry, which, options.verbose)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", help=f"which of: {' '.join(ALL)} (default: {' '.join(DEFAULT)})")
    parser.add_argument("--shell", action="store_true", help="a shell in domain 0 of tarn; exit ends")
    parser.add_argument("--repeat", type=int, default=1, help="boot each that often")
    parser.add_argument("--timeout", type=float, default=180, help="seconds for a boot")
    parser.add_argument("--tail", type=int, default=15, help="lines to show of a boot that failed")
    parser.add_argument("-v", "--verbose", action="store_true", help="print the serial line")
    options = parser.parse_args()
    unknown = [name for name in options.runs if name not in ALL]
    if unknown:
        parser.error(f"no such run: {' '.join(unknown)}")
    return options


def main():
    options = parse()
    try:
        kernel, archive = prepare()
    except Skip as reason:
        print(f"linux: skipped: {reason}")
        return 0
    if options.shell:
        return subprocess.call(command("dom0-2", kernel, archive, "quiet shell"))
    bad = good = 0
    for name in (options.runs or DEFAULT) * options.repeat:
        try:
            if name in DEVICES:
                ok = with_devices(name, kernel, options)
            elif name in CONTROL:
                ok = by_control(name, kernel)
            elif name in EMULATED:
                ok = emulated(name, kernel)
            else:
                ok = boot(name, kernel, archive, options)
        except Skip as reason:
            print(f"linux: {name}: skipped: {reason}")
            continue
        good, bad = good + ok, bad + (not ok)
    print(f"linux: {good} boots good, {bad} not")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

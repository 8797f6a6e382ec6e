#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's Linux as domain 0 on Debian's Xen, runs the real xl in it, and keeps what it says.

The packages are downloaded with apt-get (not installed) and kept in $O/xl. An initramfs of busybox,
xl, xenstored, xenconsoled and our guests runs each line of tests/oracle/xl-4.17/NAME.sh; the
commands, their outputs ("o|" before a line), errors ("e|") and statuses go to NAME.txt beside it.
`--hypervisor tarn` boots the same on tarn and prints only.
"""

import argparse
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/qemu"))
import linux  # noqa: E402  pylint: disable=wrong-import-position
from lines import serial_lines  # noqa: E402  pylint: disable=wrong-import-position

OUT = ROOT / os.environ.get("O", "build")
CACHE = OUT / "xl"
SCRIPTS = ROOT / "tests/oracle/xl-4.17"
PACKAGES = ["xen-utils-4.17", "xen-utils-common", "libxenmisc4.17", "libxenstore4", "libxencall1",
            "libxenevtchn1", "libxenforeignmemory1", "libxengnttab1", "libxendevicemodel1",
            "libxenhypfs1", "libxentoolcore1", "libxentoollog1", "xenstore-utils", "libyajl2",
            "libncurses6", "libtinfo6", "libuuid1", "libext2fs2", "busybox-static"]
BINARIES = {"xl": "usr/lib/xen-4.17/bin/xl", "xenstored": "usr/lib/xen-4.17/bin/xenstored",
            "xenconsoled": "usr/lib/xen-4.17/bin/xenconsoled", "xenstore": "usr/bin/xenstore",
            "xen-init-dom0": "usr/lib/xen-4.17/bin/xen-init-dom0"}
MODULES = ["xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs"]

TWO_NODES = ("4,sockets=2,cores=2,threads=1 -object memory-backend-ram,id=ram0,size=512M "
             "-object memory-backend-ram,id=ram1,size=512M -numa node,cpus=0-1,memdev=ram0 -numa node,cpus=2-3,memdev=ram1")

# name of the run: (lines that are run, -smp and what may stand behind it)
RUNS = {
    "layout-1": ("layout.sh", "1"),
    "layout-4": ("layout.sh", "4"),
    "layout-8": ("layout.sh", "8,sockets=2,cores=2,threads=2"),
    "layout-6": ("layout.sh", "6,sockets=3,cores=2,threads=1"),
    "life": ("life.sh", "4"),
    "numa": ("numa.sh", TWO_NODES),
    "pools": ("pools.sh", "4"),
    "wrong": ("wrong.sh", "4"),
}

INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin LD_LIBRARY_PATH=/lib
mkdir -p /proc /sys /dev /tmp /run/xen /run/xenstored /var/lib/xenstored /var/lib/xen /var/log/xen/console /var/lock
ln -s /run /var/run
mount -t proc proc /proc; mount -t sysfs sys /sys
mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
mkdir -p /dev/pts; mount -t devpts pts /dev/pts
exec </dev/null >/dev/hvc0 2>&1
dmesg -n 1
hostname oracle
for m in /modules/*; do insmod $m || echo "xl: $m can't be loaded"; done
[ -e /proc/xen/capabilities ] || mount -t xenfs xenfs /proc/xen
xenstored --pid-file /run/xenstored.pid || echo "xl: no xenstored: $?"
xen-init-dom0 >/dev/null || echo "xl: xen-init-dom0: $?"
xenconsoled --log=guest --pid-file=/run/xenconsoled.pid || echo "xl: no xenconsoled: $?"
cd /guests
limit=$(cat /limit 2>/dev/null || echo 60)
echo "xl: start"
while read -r line; do
    case $line in '' | '#'*) continue ;; esac
    echo "$ $line"
    timeout $limit sh -c "$line" >/tmp/o 2>/tmp/e
    status=$?
    sed 's/^/o|/' /tmp/o; sed 's/^/e|/' /tmp/e
    echo "s|$status"
done </commands
echo "xl: end"
poweroff -f
"""


def unpack():
    """The packages' files, in $O/xl/root."""
    root = CACHE / "root"
    if (root / "done").exists():
        return root
    with tempfile.TemporaryDirectory(prefix="xl-") as directory:
        directory = pathlib.Path(directory)
        for package in PACKAGES + [linux.kernel_package()]:
            deb = linux.download(package, directory)
            subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
    (root / "done").touch()
    return root


def module(root, name):
    """The bytes of a kernel module; empty if it is built in."""
    found = sorted(root.glob(f"**/{name}.ko"))
    return found[0].read_bytes() if found else b""


def libraries(root, binaries):
    """Path of each library that the binaries need; downloaded ones come first."""
    dirs = {str(p.parent) for p in root.glob("**/lib*.so*") if "xenfsimage" not in str(p)}
    env = dict(os.environ, LD_LIBRARY_PATH=":".join(sorted(dirs)))
    found = {}
    for path in binaries:
        text = subprocess.run(["ldd", path], env=env, capture_output=True, text=True, check=True).stdout
        for name, where in re.findall(r"(\S+) => (/\S+)", text):
            found[name] = where
        if re.search(r"not found", text):
            raise linux.Skip(f"a library of {path} is missing:\n{text}")
    gcc = next(pathlib.Path("/").glob("lib/*/libgcc_s.so.1"), None)  # what ends a thread needs it, unasked
    if gcc:
        found[gcc.name] = str(gcc)
    return found


def initramfs(root, commands, modules=(), files=()):
    """A `newc` archive of all that; modules: names of further ones, files: path and bytes of each."""
    entry, reg, folder = linux.cpio_entry, stat.S_IFREG, stat.S_IFDIR | 0o755
    binaries = {name: root / path for name, path in BINARIES.items()}
    parts = [entry(name, folder) for name in ("bin", "dev", "lib", "lib64", "modules", "guests", "var", "var/lib",
                                              "var/log", "etc", "etc/xen", "etc/xen/scripts")]
    parts += [entry("dev/console", stat.S_IFCHR | 0o600, rdev=(5, 1)),
              entry("dev/null", stat.S_IFCHR | 0o666, rdev=(1, 3)),
              entry("init", reg | 0o755, INIT.encode()),
              entry("commands", reg | 0o644, commands.encode()),
              entry("etc/xen/xl.conf", reg | 0o644, b"autoballoon=0\n"),
              entry("bin/busybox", reg | 0o755, next(root.glob("**/bin/busybox")).read_bytes()),
              entry("lib64/ld-linux-x86-64.so.2", reg | 0o755,
                    pathlib.Path("/lib64/ld-linux-x86-64.so.2").read_bytes())]
    for name, path in binaries.items():
        parts.append(entry(f"bin/{name}", reg | 0o755, path.read_bytes()))
    for name, path in libraries(root, binaries.values()).items():
        parts.append(entry(f"lib/{name}", reg | 0o755, pathlib.Path(path).read_bytes()))
    for number, name in enumerate([*MODULES, *modules]):
        if found := module(root, name):
            parts.append(entry(f"modules/{number:02}-{name}.ko", reg | 0o644, found))
    parts += [entry(path, reg | 0o755, data) for path, data in files]
    for path in sorted((OUT / "guests").glob("*.elf")) + sorted((ROOT / "guests/control/files").glob("*.cfg")):
        parts.append(entry(f"guests/{path.name}", reg | 0o644, path.read_bytes()))
    return b"".join(parts + [entry("TRAILER!!!", 0)])


def command(smp, kernel, archive, options):
    """QEMU's command line."""
    words = "earlyprintk=xen console=hvc0 panic=1 quiet"
    append = (f"dom0_mem={options.dom0_mem} dom0_max_vcpus=1 loglvl=warning guest_loglvl=error console=com1 "
              f"noreboot sched=credit {options.append}").strip()
    return [linux.QEMU, "-accel", "tcg,thread=multi", "-cpu", options.cpu, "-smp", *smp.split(" "), "-m", options.memory,
            "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot", "-device", "isa-debug-exit",
            "-kernel", str(linux.hypervisor(options.hypervisor)), "-append", append,
            "-initrd", f"{linux.quote(kernel)} {words},{linux.quote(archive)}"]


def watch(qemu, deadline, verbose):
    """The lines of the machine until its end, and whether all commands were run."""
    lines = []
    try:
        for line in serial_lines(qemu, deadline):
            lines.append(line.rstrip("\r"))
            if verbose:
                print(f"    {lines[-1]}", flush=True)
            if lines[-1] == "xl: end":
                return lines, True
            if re.search(r"PANIC|machine halted|'noreboot' set", lines[-1]):
                break
    except TimeoutError:
        pass
    return lines, False


def kept(lines):
    """What is kept of a machine's lines: commands, what they print but for Xen's log, and statuses."""
    return [line for line in lines if re.match(r"(\$ |[oe]\|(?!\(XEN\) )|s\|)", line)]


def boot(commands, smp, kernel, options, modules=(), files=()):
    """Runs the lines of a script; what the machine said, and whether all of them were run."""
    with tempfile.TemporaryDirectory(prefix="xl-") as directory:
        archive = pathlib.Path(directory) / "initramfs"
        archive.write_bytes(initramfs(CACHE / "root", commands, modules, files))
        with subprocess.Popen(command(smp, kernel, archive, options), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as qemu:
            try:
                return watch(qemu, time.monotonic() + options.timeout, options.verbose)
            finally:
                qemu.kill()


def record(name, kernel, options):
    script, smp = RUNS[name]
    hypervisor = options.hypervisor
    lines, good = boot((SCRIPTS / script).read_text(), smp, kernel, options)
    if hypervisor == "xen" and good:
        (SCRIPTS / f"{name}.txt").write_text("\n".join(kept(lines)) + "\n")
    (CACHE / f"{hypervisor}-{name}.log").write_text("\n".join(lines) + "\n")
    print(f"xl: {name} on {hypervisor}: {'ok' if good else 'FAILED'}, {len(kept(lines))} lines")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", help=f"which of: {' '.join(RUNS)} (default: all)")
    parser.add_argument("--hypervisor", choices=["xen", "tarn"], default="xen")
    parser.add_argument("--script", help="run this file's lines and keep nothing")
    parser.add_argument("--smp", default="4", help="QEMU's -smp for --script")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for a boot")
    parser.add_argument("--memory", default="1024", help="of the machine, MiB")
    parser.add_argument("--dom0-mem", default="512M")
    parser.add_argument("--cpu", default="max,-smap,vendor=GenuineIntel")
    parser.add_argument("--append", default="", help="further words for the hypervisor")
    parser.add_argument("-v", "--verbose", action="store_true", help="print the serial line")
    options = parser.parse_args()
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        kernel, _ = linux.prepare()
        unpack()
        if options.script:
            options.verbose = True
            _, good = boot(pathlib.Path(options.script).read_text(), options.smp, kernel, options)
            return 0 if good else 1
        results = [record(name, kernel, options) for name in options.runs or RUNS]
    except linux.Skip as reason:
        print(f"xl: skipped: {reason}")
        return 0
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

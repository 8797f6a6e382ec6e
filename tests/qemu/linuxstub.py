# SPDX-License-Identifier: MIT
"""Debian's Linux as a domain of the control domain whose disks are served by its emulator, guests/stub.

Its own xen-blkfront finds them in the store, as under any control domain. In the end the machine has as many free
pages as before: neither side has a page of the other's any more.
"""
import importlib.util
import pathlib
import re
import stat
import time

from host import Machine
from linuxcontrol import CONFIG, Linux, initramfs

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECTORS = (32768, 8192)
DISKS = CONFIG + f"""emulator = "stub.cfg"
emulator_disk = ["{SECTORS[0]}", "{SECTORS[1]},iothread=1"]
iothreads = 1
"""


def blkfront():
    """The kernel module, of the packages that tests/oracle/record-xl.py keeps."""
    spec = importlib.util.spec_from_file_location("recordxl", ROOT / "tests/oracle/record-xl.py")
    xl = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(xl)
    xl.CACHE.mkdir(parents=True, exist_ok=True)
    return xl.module(xl.unpack(), "xen-blkfront")


def archive(entry, busybox):
    return b"".join([entry("modules", stat.S_IFDIR | 0o755),
                     entry("modules/xen-blkfront.ko", stat.S_IFREG | 0o644, blkfront()), initramfs(entry, busybox)])


def boot(m, **settings):
    linux = Linux(m, vcpus=2, **settings).create()
    linux.shell_comes()
    linux.prints("mkdir -p /tmp; insmod /modules/xen-blkfront.ko; echo $?", "0")
    for name, sectors in zip(("xvda", "xvdb"), SECTORS):
        linux.until(f"grep -c {name} /proc/partitions", "1")
        linux.prints(f"cat /sys/block/{name}/size", str(sectors))
    return linux


def write_and_read(linux):
    """By several sizes, through the cache and past it; what is read is what was written."""
    for size, count in ((512, 1001), (4096, 501), (65536, 60), (1048576, 3)):
        linux.sh(f"dd if=/dev/urandom of=/tmp/x bs={size} count={count} 2>/dev/null")
        for name, flags in (("xvda", "conv=fsync"), ("xvdb", "oflag=direct")):
            linux.sh(f"dd if=/tmp/x of=/dev/{name} bs={size} seek=1 {flags} 2>/dev/null")
            linux.prints(f"echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/{name} bs={size} skip=1 count={count} "
                         "2>/dev/null | cmp - /tmp/x && echo same", "same", 60)
        linux.sh("rm /tmp/x")


def both_at_once(linux):
    for name, mib in (("a", 8), ("b", 4)):
        linux.sh(f"dd if=/dev/urandom of=/tmp/{name} bs=1M count={mib} 2>/dev/null")
    linux.sh("for i in 1 2 3; do dd if=/tmp/a of=/dev/xvda bs=64k oflag=direct 2>/dev/null & "
             "dd if=/tmp/b of=/dev/xvdb bs=4k oflag=direct 2>/dev/null & wait; done", 120)
    linux.prints("echo 3 >/proc/sys/vm/drop_caches; head -c 8388608 /dev/xvda | cmp - /tmp/a && "
                 "cmp /dev/xvdb /tmp/b && echo same", "same", 60)
    linux.sh("rm /tmp/a /tmp/b")


def md5(linux):
    return linux.sh("echo 3 >/proc/sys/vm/drop_caches; md5sum </dev/xvda", 60)


def unplug(m, linux):
    """The second disk, as the control domain asks for it; the first one stays what it is."""
    before = md5(linux)
    ids = [m.out("domid", name) for name in ("linux-emu", "linux")]
    back = f"/local/domain/{ids[0]}/backend/vbd/{ids[1]}/51728"
    m.xl("xenstore-write", f"{back}/online", "0", f"{back}/state", "5")
    linux.until("grep -c xvdb /proc/partitions", "0")
    end = time.monotonic() + 20
    while m.out("xenstore-read", f"{back}/state") != "6":
        assert time.monotonic() < end, m.out("xenstore-ls")
        time.sleep(0.1)
    m.xl("xenstore-rm", back, f"/local/domain/{ids[1]}/device/vbd/51728")
    assert md5(linux) == before


def disks(m, say):
    linux = boot(m)
    linux.prints("cat /sys/block/xvda/queue/write_cache", "write back")
    write_and_read(linux)
    both_at_once(linux)
    unplug(m, linux)
    linux.prints("dd if=/dev/xvda of=/dev/null bs=512 skip=32768 2>&1 | head -n 1", "0+0 records in")
    linux.sound()
    linux.m.xl("shutdown", "-w", "linux")
    linux.gone()
    say("read and written by blkfront, one unplugged, shut down")


def busy(m, say):
    """Either side is destroyed in the middle of it."""
    flood = ("(while :; do dd if=/dev/zero of=/dev/xvda bs=256k oflag=direct; done) 2>/dev/null & "
             "(while :; do dd if=/dev/xvdb of=/dev/null bs=64k iflag=direct; done) 2>/dev/null & true")
    for victim in ("linux", "linux-emu"):
        linux = boot(m)
        linux.sh(flood)
        linux.until("awk '$1 + $5 > 99' /sys/block/xvd?/stat | wc -l", "2")
        m.xl("destroy", victim)
        if victim == "linux-emu":
            linux.prints("echo here", "here")
            m.xl("destroy", "linux")
        linux.gone(5)
        end = time.monotonic() + 10
        while re.search("linux", m.out("list")):
            assert time.monotonic() < end, m.out("list")
            time.sleep(0.1)
    say("client destroyed, emulator destroyed, both under load")


STEPS = [disks, busy]


def run(kernel, initrd, config):
    """All steps on one machine; True when all were good."""
    config.write_text(DISKS)
    good = True
    up = [word for path in (kernel, initrd, config) for word in ("--file", str(path))]
    with Machine(smp="2", memory=1024, up=up) as m:
        free = m.free_pages()
        for step in STEPS:
            start = time.monotonic()
            say = lambda text: print(f"linux: stub-disk: {step.__name__}: {text} "
                                     f"({time.monotonic() - start:.1f} s)", flush=True)
            try:
                step(m, say)
                assert m.free_pages() == free, f"{m.free_pages()} pages are free, not {free}"
            except AssertionError as reason:
                say(f"FAILED: {reason}")
                print(m.run("console", "linux-emu", status=None).stdout, m.out("xenstore-ls"), m.log()[-3000:])
                good = False
                for name in ("linux-emu", "linux"):
                    m.xl("destroy", name, status=None)
                free = m.free_pages()
    return good

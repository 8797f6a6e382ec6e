# SPDX-License-Identifier: MIT
"""Grant tables under Linux's own drivers: a disk and a network between domain 0 and a domain of xl.

Debian's Linux is domain 0 with xen-blkback and xen-netback, and runs the real xl (the machine is that
of tests/oracle/record-xl.py); the same Linux with xen-blkfront and xen-netfront is the domain. Domain
0's disks are ramdisks (brd). STEPS are shell lines of domain 0; each says what it found, and its status
is not 0 when that was not right. In the end the machine has as much free memory as before.
"""
import argparse
import importlib.util
import pathlib
import re
import stat
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The domain's: runs each line that comes by its console. Domain 0 keeps a log of what that prints.
DOMU_INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /dev /tmp
mount -t proc proc /proc; mount -t sysfs sys /sys
mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
for m in /modules/*; do insmod $m; done
dmesg -n 1
exec </dev/hvc0 >/dev/hvc0 2>&1
stty -echo -onlcr
echo ready
while read -r line; do sh -c "$line"; done
"""
DOMU_MODULES = ["xen-blkfront", "xen-netfront"]
DOM0_MODULES = ["brd", "xen-blkback", "xen-netback"]

# What xl runs once a backend is there: Debian's are written for bash and many programs.
BLOCK = """#!/bin/busybox sh
export PATH=/bin LD_LIBRARY_PATH=/lib
[ "$1" = add ] || exit 0
disk=$(xenstore read $XENBUS_PATH/params)
xenstore write $XENBUS_PATH/physical-device $(stat -c %t:%T $disk)
xenstore write $XENBUS_PATH/physical-device-path $disk
xenstore write $XENBUS_PATH/hotplug-status connected
"""
VIF = """#!/bin/busybox sh
export PATH=/bin LD_LIBRARY_PATH=/lib
[ "$1" = online ] || exit 0
ifconfig $vif 10.0.0.1 netmask 255.255.255.0 up
xenstore write $XENBUS_PATH/hotplug-status connected
"""

CONFIG = """name = "io"
kernel = "/guests/vmlinux"
ramdisk = "/guests/domu"
extra = "console=hvc0 earlyprintk=xen panic=1"
memory = 128
"""

LIB = r"""
log=/var/log/xen/console/guest-io.log
fail() { echo "FAILED: $*"; tail -n 15 $log 2>/dev/null; dmesg | tail -n 15; exit 1; }
same() { [ "$2" = "$3" ] || fail "$1: '$2', not '$3'"; }
until_() { # SECONDS CONDITION
    n=$(($1 * 10)); shift
    until eval "$*"; do n=$((n - 1)); [ $n -gt 0 ] || fail "waited for: $*"; usleep 100000; done
}
type_() { echo "$1" | tr '\n' ' ' >/tmp/line; echo >>/tmp/line; cat /tmp/line >$(cat /tmp/tty); }
io() { # what a command prints in the domain
    mark=$(cat /proc/sys/kernel/random/uuid)
    type_ "echo begin$mark; $1; echo end$mark"
    until_ 50 grep -q ^end$mark $log
    awk -v m=$mark '$0 == "end" m { exit } on; $0 == "begin" m { on = 1 }' $log
}
appears() { io "for i in \$(seq 100); do [ -e $1 ] && break; usleep 100000; done; [ -e $1 ] && echo there" | grep -q there || fail "no $1"; }
goes() { io "for i in \$(seq 100); do [ -e $1 ] || break; usleep 100000; done; [ -e $1 ] || echo gone" | grep -q gone || fail "still $1"; }
free() { xl info | awk '/^free_memory/ { print $3 }'; }
create() { # FURTHER LINES OF THE CONFIGURATION
    rm -f $log
    xl create /guests/io.cfg "$@" >/tmp/create 2>&1 || { ps | grep xen; ls -l $log; xl list; xenstore ls /local/domain; fail "$(cat /tmp/create)"; }
    tty=$(xenstore read /local/domain/$(xl domid io)/console/tty); echo $tty >/tmp/tty
    setsid cat $tty >/dev/null 2>&1 & # as xl console would: it stays open
    until_ 50 grep -q ^ready $log
}
destroy() { xl destroy io || fail destroy; until_ 20 "[ $(xl list | grep -c .) = 2 ]"; }
sum0() { echo 3 >/proc/sys/vm/drop_caches; md5sum <${1:-/dev/ram0}; }
sum1() { io "echo 3 >/proc/sys/vm/drop_caches; md5sum </dev/${1:-xvda}"; }
rate() { # MIB COMMAND: MiB/s of a command that moves so much
    io "cut -d' ' -f1 /proc/uptime; $2 2>/dev/null; cut -d' ' -f1 /proc/uptime" |
        awk -v mib=$1 'NR == 1 { t = $1 } END { printf "%.1f MiB/s", mib / ($1 - t + 0.001) }'
}
"""

# name of the run: (name of the step, its lines)
STEPS = {"disk": [
    ("first", r"""
        dd if=/dev/urandom of=/dev/ram0 bs=64k conv=fsync 2>/dev/null
        dd if=/dev/urandom of=/dev/ram1 bs=64k conv=fsync 2>/dev/null
        sleep 1; free >/tmp/free; echo "$(cat /tmp/free) MiB free" """),
    ("boot", r"""
        create 'disk=["phy:/dev/ram0,xvda,w"]'
        appears /dev/xvda
        io 'dmesg | grep -E "blkfront|rant"; grep xvda /proc/partitions' """),
    ("read", r"""
        same "the domain reads" "$(sum1)" "$(sum0)"; echo "16 MiB: $(sum0)" """),
    ("write", r"""
        : >/tmp/sums
        for how in 512:1001 1k:777 4k:999 12k:111 64k:100 128k:99 1M:13 5M:2; do
            bs=${how%:*}; count=${how#*:}
            io "dd if=/dev/urandom of=/tmp/x bs=$bs count=$count 2>/dev/null;
                dd if=/tmp/x of=/dev/xvda bs=$bs seek=1 conv=notrunc,fsync 2>/dev/null; rm /tmp/x" >/dev/null
            s=$(sum0); same "$bs written" "$(sum1)" "$s"
            same "something written" "$(grep -c "$s" /tmp/sums)" 0
            echo "$s" >>/tmp/sums
        done
        echo "$(grep -c . /tmp/sums) block sizes of 512 bytes to 5 MiB" """),
    ("direct", r"""
        for bs in 512 4096 65536 1048576; do
            io "dd if=/dev/urandom of=/tmp/x bs=1M count=2 2>/dev/null;
                dd if=/tmp/x of=/dev/xvda bs=$bs oflag=direct 2>/dev/null;
                dd if=/dev/xvda of=/tmp/y bs=$bs iflag=direct count=$((2097152 / bs)) 2>/dev/null;
                cmp /tmp/x /tmp/y; md5sum </tmp/x; rm /tmp/x /tmp/y" >/tmp/s
            same "direct $bs" "$(echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/ram0 bs=1M count=2 2>/dev/null | md5sum)" "$(cat /tmp/s)"
        done
        echo "past the cache, 512 bytes to 1 MiB" """),
    ("behind", r"""
        dd if=/dev/urandom of=/dev/ram0 bs=1M count=3 seek=5 conv=fsync 2>/dev/null
        same "what domain 0 wrote" "$(sum1)" "$(sum0)"; echo ok """),
    ("speed", r"""
        four() { echo "for i in 1 2 3 4; do dd $* 2>/dev/null; done"; }
        w=$(rate 64 "$(four if=/dev/zero of=/dev/xvda bs=1M count=16 oflag=direct)")
        r=$(rate 64 "$(four if=/dev/xvda of=/dev/null bs=1M count=16 iflag=direct)")
        k=$(rate 16 "$(four if=/dev/xvda of=/dev/null bs=4k count=1024 iflag=direct)")
        echo "written $w, read $r, read by 4 KiB $k" """),
    ("parallel", r"""
        io 'for i in 0 1 2 3; do dd if=/dev/urandom of=/dev/xvda bs=64k count=64 seek=$((i * 64)) conv=fsync 2>/dev/null & done; wait' >/dev/null
        same "four writers" "$(sum1)" "$(sum0)"; echo ok """),
    ("attach", r"""
        for i in 1 2 3; do
            xl block-attach io phy:/dev/ram1,xvdb,w || fail attach $i
            appears /dev/xvdb
            io "dd if=/dev/urandom of=/dev/xvdb bs=64k count=$((i * 11)) conv=fsync 2>/dev/null" >/dev/null
            same "second disk" "$(sum1 xvdb)" "$(sum0 /dev/ram1)"
            xl block-detach io xvdb || fail detach $i
            goes /dev/xvdb
        done
        same "first disk" "$(sum1)" "$(sum0)"; echo "3 times" """),
    ("off", r"""
        type_ 'poweroff -f'; until_ 20 '[ $(xl list | grep -c .) = 2 ]'
        until_ 20 "[ $(free) = $(cat /tmp/free) ]"; echo "$(free) MiB free" """),
    *[(f"middle-{ms}", r"""
        create 'disk=["phy:/dev/ram0,xvda,w"]'
        appears /dev/xvda
        type_ 'while :; do dd if=/dev/zero of=/dev/xvda bs=256k oflag=direct 2>/dev/null; done & while :; do dd if=/dev/xvda of=/dev/null bs=64k iflag=direct 2>/dev/null; done'
        did() { cat /sys/bus/xen-backend/devices/vbd-*-51712/statistics/$1; }
        until_ 20 '[ $(did wr_req) -gt 0 -a $(did rd_req) -gt 99 ]'
        usleep %d000; moved="$(did rd_req) reads and $(did wr_req) writes"; destroy
        until_ 20 '[ $(free) = $(cat /tmp/free) ]'; echo "destroyed after $moved, $(free) MiB free" """ % ms)
      for ms in (200, 700, 1500)],
    ("sound", r"""
        dmesg | grep -E 'BUG|Oops|WARNING:|soft lockup|rcu.*stall|xen.*[eE]rror|I/O error' && fail dmesg
        same "lines of xl list" "$(xl list | grep -c .)" 2; xl debug-keys g; echo "$(free) MiB free" """),
], "net": [
    ("first", r"""sleep 1; free >/tmp/free; echo "$(cat /tmp/free) MiB free" """),
    ("boot", r"""
        create 'vif=["mac=00:16:3e:00:00:01,script=vif"]'
        appears /sys/class/net/eth0
        mkfifo /tmp/never; io 'mkfifo /tmp/never; ifconfig eth0 10.0.0.2 netmask 255.255.255.0 up' """),
    ("ping", r"""
        ping -c 3 -W 5 10.0.0.2 || fail ping
        ping -c 100 -i 0.02 -s 1400 10.0.0.2 | grep 'packet loss' >/tmp/p; grep ' 0% packet loss' /tmp/p || fail ping """),
    ("to", r"""
        dd if=/dev/urandom of=/tmp/a bs=1M count=8 2>/dev/null
        type_ 'nc -l -p 7000 <>/tmp/never >/tmp/a'; usleep 500000
        t=$(awk '{ print $1 }' /proc/uptime); nc 10.0.0.2 7000 </tmp/a || fail nc
        same "sent" "$(io 'md5sum </tmp/a')" "$(md5sum </tmp/a)"
        awk -v t=$t '{ printf "8 MiB to the domain, %.1f MiB/s at least\n", 8 / ($1 - t) }' /proc/uptime """),
    ("from", r"""
        io 'dd if=/dev/urandom of=/tmp/b bs=1M count=8 2>/dev/null'
        t=$(awk '{ print $1 }' /proc/uptime)
        nc -l -p 7001 <>/tmp/never >/tmp/b & usleep 300000; type_ 'nc 10.0.0.1 7001 </tmp/b'; wait
        same "received" "$(md5sum </tmp/b)" "$(io 'md5sum </tmp/b')"
        awk -v t=$t '{ printf "8 MiB from the domain, %.1f MiB/s at least\n", 8 / ($1 - t) }' /proc/uptime """),
    ("middle", r"""
        type_ 'nc 10.0.0.1 7002 </dev/zero'; timeout 5 nc -l -p 7002 <>/tmp/never >/dev/null & usleep 700000; destroy
        until_ 20 '[ $(free) = $(cat /tmp/free) ]'; echo "destroyed, $(free) MiB free" """),
    ("sound", r"""
        dmesg | grep -E 'BUG|Oops|WARNING:|soft lockup|rcu.*stall|xen.*[eE]rror' && fail dmesg
        same "lines of xl list" "$(xl list | grep -c .)" 2; xl debug-keys g; echo "$(free) MiB free" """),
], "grub": [
    ("first", r"""
        printf 'this is what domain 0 wrote' >/tmp/t; dd if=/tmp/t of=/dev/ram0 conv=notrunc,fsync 2>/dev/null
        sleep 1; free >/tmp/free; echo "$(cat /tmp/free) MiB free" """),
    ("prompt", r"""
        xl create /guests/io.cfg 'kernel="/guests/grub"' 'ramdisk=""' 'extra=""' 'disk=["phy:/dev/ram0,xvda,w"]' \
            >/tmp/create 2>&1 || fail "$(cat /tmp/create)"
        xenstore read /local/domain/$(xl domid io)/console/tty >/tmp/tty; setsid cat $(cat /tmp/tty) >/dev/null 2>&1 &
        until_ 50 "grep -q 'grub>' $log"; echo "grub>" """),
    ("disk", r"""
        printf 'ls\r' >$(cat /tmp/tty); until_ 20 grep -q xen/xvda $log
        printf 'hexdump (xen/xvda)0+1\r' >$(cat /tmp/tty); until_ 20 "grep -q '|this is what dom|' $log"; echo ok """),
    ("halt", r"""
        printf 'halt\r' >$(cat /tmp/tty); until_ 20 '[ $(xl list | grep -c .) = 2 ]'
        until_ 20 "[ $(free) = $(cat /tmp/free) ]"; xl debug-keys g; echo "$(free) MiB free" """),
]}


def recorder():
    """tests/oracle/record-xl.py as a module: it knows how to make a domain 0 with xl."""
    spec = importlib.util.spec_from_file_location("recordxl", ROOT / "tests/oracle/record-xl.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def domu_archive(xl, entry, busybox):
    """The domain's initramfs."""
    folder, program = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
    return b"".join([
        entry("bin", folder), entry("dev", folder), entry("modules", folder),
        entry("dev/console", stat.S_IFCHR | 0o600, rdev=(5, 1)),
        entry("dev/null", stat.S_IFCHR | 0o666, rdev=(1, 3)),
        entry("bin/busybox", program, busybox), entry("init", program, DOMU_INIT.encode()),
        *[entry(f"modules/{name}.ko", program, xl.module(xl.CACHE / "root", name)) for name in DOMU_MODULES],
        entry("TRAILER!!!", 0)])


def grub(xl):
    """GRUB's image for PV domains."""
    kept = xl.CACHE / "grub"
    if not kept.exists():
        with tempfile.TemporaryDirectory(prefix="grub-") as directory:
            deb = xl.linux.download("grub-xen-host", pathlib.Path(directory))
            kept.write_bytes(xl.linux.member(deb, r".*/grub-x86_64-xen\.bin")[1])
    return kept.read_bytes()


def files(xl, steps, kernel, entry, busybox):
    """What domain 0 has beside xl: the domain, the scripts, and each step."""
    yield "guests/vmlinux", kernel.read_bytes()
    yield "guests/domu", domu_archive(xl, entry, busybox)
    yield "guests/io.cfg", CONFIG.encode()
    yield "etc/xen/scripts/block", BLOCK.encode()
    yield "etc/xen/scripts/vif", VIF.encode()
    yield "guests/lib.sh", LIB.encode()
    yield "limit", b"150\n"
    if steps is STEPS["grub"]:
        yield "guests/grub", grub(xl)
    for name, lines in steps:
        yield f"guests/{name}.step", f". /guests/lib.sh\n{lines}\n".encode()


def outcome(lines):
    """(step, what it said, whether its status was 0) for each step."""
    step, said = None, []
    for line in lines:
        if started := re.match(r"\$ sh (\S+)\.step", line):
            step, said = started[1], []
        elif ended := re.match(r"s\|(\d+)", line):
            yield step, said, ended[1] == "0"
        elif re.match(r"[oe]\|", line):
            said.append(line[2:])


def run(name, kernel, busybox, entry, hypervisor="tarn", verbose=False):
    """All steps of a run on one machine; True when all were good."""
    xl, steps = recorder(), STEPS[name]
    xl.CACHE.mkdir(parents=True, exist_ok=True)
    xl.unpack()
    options = argparse.Namespace(hypervisor=hypervisor, timeout=600, memory="1024", dom0_mem="512M", append="",
                                 cpu="max,-smap,vendor=GenuineIntel", verbose=verbose)
    commands = "".join(f"sh {step}.step\n" for step, _ in steps)
    start = time.monotonic()
    lines, ended = xl.boot(commands, "2", kernel, options, DOM0_MODULES,
                           list(files(xl, steps, kernel, entry, busybox)))
    (xl.OUT / f"linux/{hypervisor}-{name}.log").write_text("\n".join(lines) + "\n")
    good = 0
    for step, said, ok in outcome(lines):
        good += ok
        shown = said if not ok else said[-1:]
        print(f"linux: {name}: {step}: {'' if ok else 'FAILED: '}" + "\n    ".join(shown), flush=True)
    used = [line for line in lines[-200:] if re.match(r"\(tarn\)   ref \d+: frame", line)]
    if used:
        print("\n".join(["linux: grants are in use at the end:", *used]))
    all_good = ended and good == len(steps) and not used
    print(f"linux: {name} on {hypervisor}: {'ok' if all_good else 'FAILED'}, {good} of {len(steps)} steps, "
          f"{time.monotonic() - start:.0f} s", flush=True)
    if not ended:
        print("\n".join(f"    {line}" for line in lines[-15:]))
    return all_good

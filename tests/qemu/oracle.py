#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots our guests on Debian's Xen and on tarn under the same QEMU and compares what they print.

The guests are the same files. What may differ by right (addresses, frames, times, versions) is
normalised away; what differs on purpose stands with its reason in tests/oracle/deviations.txt;
all else is a difference, printed as a diff, and the exit status is 1.

Where Xen can't be had, one line says so, and the conform guest is compared with the answers that
Xen gave when they were recorded (--record) in tests/oracle/xen-4.17-RUN.txt. A recording is made
three times: only answers that are the same each time are kept.
"""

import argparse
import difflib
import glob
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from lines import serial_lines

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / os.environ.get("O", "build")
# Xen 4.17 may panic or hang when a CPU leaves a pool, and looks at all lower ports for each new one,
# which for the last of 131,071 takes minutes: it is only asked for the record, and once.
FROM_RECORD = {"conform-pools", "conform-fifo-full"}
DEVIATIONS = ROOT / "tests/oracle/deviations.txt"
PACKAGE = "xen-hypervisor-4.17-amd64"
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")

# name of the run: (guest, arguments on both, on Xen only, vcpus, options for both hypervisors).
# Xen's clocks of two CPUs differ by milliseconds under TCG, so its ticks is given some slack.
RUNS = {
    "hello": ("hello", "one two=2", "", 1, ""),
    "smp": ("smp", "rounds=20", "", 4, ""),
    "smp-overcommit": ("smp", "rounds=20", "", 1, "dom0_max_vcpus=3"),
    "ticks": ("ticks", "seconds=1", "slack=50000", 2, ""),
    "burn": ("burn", "seconds=2", "", 1, ""),
    "pingpong": ("pingpong", "role=self rounds=2000", "", 2, ""),
    "pingpong-one": ("pingpong", "role=self rounds=2000", "", 1, "dom0_max_vcpus=2 sched=credit"),
    "ring": ("ring", "role=self rounds=2000 keep", "", 2, ""),
    "grants": ("grants", "count=20000", "", 1, ""),
    "conform": ("conform", "", "", 2, "dom0_max_vcpus=2 sched=credit"),
    "conform-events": ("conform", "only=events", "", 2, "dom0_max_vcpus=2 sched=credit"),
    "conform-fifo": ("conform", "only=fifo", "", 2, "dom0_max_vcpus=2 sched=credit"),
    "conform-fifo-full": ("conform", "only=fifo-full", "", 2, "dom0_max_vcpus=2 sched=credit"),
    # Grants as both hypervisors have them: version 1, and no pages given away by them.
    "conform-grants": ("conform", "only=grants", "", 2,
                       "dom0_max_vcpus=2 sched=credit gnttab=max-ver:1,no-transfer "
                       "gnttab_max_maptrack_frames=2"),
    "conform-pools": ("conform", "only=pools", "", 4, "dom0_max_vcpus=2 sched=credit"),
    "user": ("bad", "fault=user", "", 1, ""),
    "ptwrite": ("bad", "fault=ptwrite", "", 1, ""),
    "pointers": ("bad", "fault=pointers skip=31", "", 1, ""),
}
# Faults that must end the domain: the guest's last line is the one before the deed.
DEADLY = ("hlt cli_nohandler lgdt wrmsr in ud2 jump jump_wrong jump_xen stack triple rsp callback "
          "int80 iret no_user_tables").split()
RUNS.update({f"bad-{f}": ("bad", f"fault={f}", "", 1, "") for f in DEADLY})

# What Xen answered to each of these runs when it was recorded.
RECORDED = {run: ROOT / f"tests/oracle/xen-4.17-{run}.txt"
            for run in RUNS if run.startswith("conform")}
RECORD_TIMES = 3

# Which hypercall the cases of a name are about, by its beginning; the first that fits.
HYPERCALLS = [
    ("event_channel_op, two-level", "evtchn. port. remote. args."),
    ("event_channel_op, FIFO", "fifo."),
    ("grant_table_op", "grant."),
    ("sched_op", "sched. poll. pair. sched_compat. remote_shutdown. shutdown_code."),
    ("vcpu_op and timers", "vcpu. timer. area. deadline."),
    ("domctl, affinity and scheduler",
     "domctl.setaffinity domctl.getaffinity domctl.setnode domctl.getnode domctl.sched "
     "pools.affinity pools.credit pools.move"),
    ("sysctl, cpupools and schedulers", "pools. sysctl.pool sysctl.sched sysctl.hotplug"),
    ("domctl, the rest", "domctl."),
    ("sysctl, the rest", "sysctl."),
    ("memory_op", "memory."),
    ("page tables", "mmu mmuext uvm."),
    ("segments and traps", "gdt. ldt. trap. trap_table. base. stack_switch. callback. set_callbacks priv."),
]

# What may differ between two hypervisors, or two runs, that are both right.
NORMAL = [
    (r"(shared_info) [0-9a-f]+", r"\1 FRAME"),
    (r"(version) \d+\.\d+\S*$", r"\1 NUMBER"),
    (r"time version \d+ mul [0-9a-f]+ shift -?\d+", "time version N mul N shift N"),
    (r"system time \d+ ns", "system time N ns"),
    (r"wall clock [\d.]+", "wall clock N"),
    (r"wall [\d.]+", "wall N"),
    (r"(\d+ lost), \d+ per second", r"\1, N per second"),
    (r"\d+ notifications", "N notifications"),
    (r"in \d+ batches", "in N batches"),
    (r"t=(\d+)\.\d+", r"t=\1"),
    (r"ticks \d+ wall", "ticks N wall"),
    (r"(periodic|one-shot) \d+, late avg \d+ us max \d+ us", r"\1, late N"),
    (r"\d+ steps back, worst \d+ ns", "steps back within the slack"),
    (r"(cmdline \".*?) ?slack=\d+", r"\1"),
    (r"share[ =].*", "share N"),
]


def find_xen(directory):
    """Path of an unpacked Xen image, or None and the reason."""
    found = sorted(glob.glob("/boot/xen-4.17-amd64.gz"))
    if not found and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        got = subprocess.run(["apt-get", "download", PACKAGE], cwd=directory,
                             capture_output=True, text=True, check=False)
        for deb in directory.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", deb, directory], check=True)
        found = sorted(glob.glob(f"{directory}/boot/xen-4.17-amd64.gz"))
        if not found:
            reason = (got.stderr.strip().splitlines() or ["apt-get got nothing"])[-1]
            return None, f"{PACKAGE} can't be had: {reason}"
    if not found:
        return None, f"{PACKAGE} is not installed, and there is no apt-get to download it with"
    image = directory / "xen"
    image.write_bytes(gzip.open(found[0]).read())
    return image, ""


def boot(kernel, run, arguments, timeout, accel="tcg"):
    """Boots a guest as domain 0; its lines, and how that ended (ok, FAILED, crashed, ...)."""
    guest, _, _, cpus, options = RUNS[run]
    command = [
        QEMU, "-accel", accel, "-cpu", "max,-smap", "-smp", str(cpus), "-m", "512",
        "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
        "-kernel", str(kernel),
        "-append", f"console=com1 com1=115200 dom0_mem=64M loglvl=warning {options}".strip(),
        "-initrd", f"{OUT}/guests/{guest}.elf {arguments}".strip(),
    ]
    qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    try:
        return read_guest(qemu, guest, time.monotonic() + timeout)
    finally:
        qemu.kill()
        qemu.wait()


def read_guest(qemu, guest, deadline):
    """Reads the console until the guest's last line or the end of the machine."""
    mine = re.compile(rf"(T\||E\||{guest}: )")
    lines = []
    try:
        for line in serial_lines(qemu, deadline):
            line = line.strip("\r")
            if mine.match(line):
                lines.append(line)
            end = re.match(rf"{guest}: (ok|FAILED)", line)
            if end:
                return lines, end[1]
            if re.search(r"(Domain 0|d0v\d+|d0).*crash", line, re.IGNORECASE):
                return lines, "crashed"
    except TimeoutError:
        return lines, "timeout"
    return lines, "ended"


def normal(line):
    for pattern, text in NORMAL:
        line = re.sub(pattern, text, line)
    return line


def read_deviations():
    """run -> {tarn's line: reason}; a line that is absent on tarn is written with a leading '-'."""
    deviations = {}
    for number, line in enumerate(DEVIATIONS.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t") if field.strip()]
        if len(fields) != 3:
            sys.exit(f"{DEVIATIONS}:{number}: not run, line and reason with tabs between")
        deviations.setdefault(fields[0], {})[fields[1]] = fields[2]
    return deviations


def key(line):
    """What a line is about: its case, or its text without numbers."""
    fields = line.split("|")
    return "|".join(fields[:2]) if len(fields) > 2 else re.sub(r"-?\d+", "N", line)


def compare(run, xen, tarn, deviations):
    """Prints the difference between two transcripts; returns how many lines differ unlisted."""
    xen, tarn = [normal(line) for line in xen], [normal(line) for line in tarn]
    listed = deviations.get(run, {})
    used = [line for line in tarn if line in listed and line not in xen]
    swapped = {key(line): line for line in used}
    gone = [line for line in xen if f"-{line}" in listed and line not in tarn]
    expected = [swapped.get(key(line), line) for line in xen if line not in gone]
    wrong = 0
    for line in difflib.unified_diff(expected, tarn, "Xen", "tarn", lineterm="", n=1):
        print(f"    {line}")
        wrong += line[0] in "+-" and not line.startswith(("---", "+++"))
    for line in listed:
        if line not in used and line.lstrip("-") not in gone:
            print(f"    listed as a deviation but not seen: {line}")
    same = len(set(expected) & set(tarn))
    print(f"oracle: {run}: {same} lines agree, {len(used) + len(gone)} deviate as listed, "
          f"{wrong} differ")
    return wrong


def expected_end(run):
    return "crashed" if run.startswith("bad-") else "ok"


def boots(run, kernels, options):
    """(name, kernel) for each boot of a run: several of Xen when it is recorded."""
    for name, kernel in kernels.items():
        recording = options.record and run in RECORDED
        if name == "xen" and (recording or run not in FROM_RECORD):
            yield from [(name, kernel)] * (RECORD_TIMES if recording and run not in FROM_RECORD else 1)
        elif name != "xen":
            yield name, kernel


def unsteady(run, before, lines):
    """Two transcripts of the same hypervisor: how many lines differ."""
    before, lines = [normal(line) for line in before], [normal(line) for line in lines]
    differ = [line for line in difflib.unified_diff(before, lines, "before", "again", lineterm="", n=0)
              if line[0] in "+-" and not line.startswith(("---", "+++"))]
    for line in differ:
        print(f"    not the same each time: {line}")
    return len(differ)


def count_cases(recorded):
    """Prints how many lines there are about each hypercall."""
    counts = dict.fromkeys([name for name, _ in HYPERCALLS] + ["others"], 0)
    for line in (line for lines in recorded.values() for line in lines):
        if line[:2] in ("T|", "E|"):
            case = line.split("|")[1]
            found = [name for name, words in HYPERCALLS if case.startswith(tuple(words.split()))]
            counts[(found or ["others"])[0]] += 1
    for name, n in counts.items():
        print(f"oracle: {n:5} cases: {name}")
    print(f"oracle: {sum(counts.values()):5} cases in all")


def run_one(run, kernels, recorded, deviations, options):
    """Runs one guest wherever it can and compares; returns the number of complaints."""
    _, arguments, only_xen, _, _ = RUNS[run]
    transcripts, bad = {}, 0
    for name, kernel in boots(run, kernels, options):
        extra = f"{arguments} {only_xen}" if name == "xen" else arguments
        lines, end = boot(kernel, run, extra.strip(), options.timeout, options.accel)
        if transcripts.get(name, lines) != lines:
            bad += unsteady(run, transcripts[name], lines)
        transcripts[name] = lines
        good = end == expected_end(run) or (end == "ended" and expected_end(run) == "crashed"
                                            and not any("still alive" in x for x in lines))
        if options.verbose or not good:
            print("\n".join(f"    {name}: {line}" for line in lines[-12:]))
        if not good:
            print(f"oracle: {run} on {name}: {end}, not {expected_end(run)}")
            return bad + 1
    if options.record and run in RECORDED and "xen" in transcripts and not bad:
        record(run, transcripts["xen"])
    if recorded.get(run) and "xen" not in transcripts:
        transcripts["xen"] = recorded[run]
    if {"xen", "tarn"} <= transcripts.keys():
        bad += compare(run, transcripts["xen"], transcripts["tarn"], deviations)
    elif not bad:
        print(f"oracle: {run} on {', '.join(kernels)}: {expected_end(run)}")
    return bad


def record(run, lines):
    RECORDED[run].parent.mkdir(exist_ok=True)
    head = f"# What guests/conform prints as domain 0 of {PACKAGE}, by oracle.py --record\n"
    RECORDED[run].write_text(head + "\n".join(lines) + "\n")
    print(f"oracle: recorded {len(lines)} lines in {RECORDED[run].relative_to(ROOT)}")


def read_recorded():
    """run -> lines"""
    return {run: [line for line in path.read_text().splitlines() if not line.startswith("#")]
            for run, path in RECORDED.items() if path.exists()}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", help=f"which of: {' '.join(RUNS)} (default: all)")
    parser.add_argument("--record", action="store_true", help="keep Xen's answers to conform's runs")
    parser.add_argument("--count", action="store_true", help="how many recorded cases there are")
    parser.add_argument("--no-xen", action="store_true", help="compare with the record only")
    parser.add_argument("--no-tarn", action="store_true", help="see how the guests do on Xen")
    parser.add_argument("--timeout", type=float, default=90, help="seconds for a boot")
    parser.add_argument("--accel", default="tcg")
    parser.add_argument("-v", "--verbose", action="store_true", help="print the guests' lines")
    options = parser.parse_args()
    unknown = [run for run in options.runs if run not in RUNS]
    if unknown:
        parser.error(f"no such run: {' '.join(unknown)}")
    return options


def main():
    options = parse()
    runs = options.runs or list(RUNS)
    kernels, deviations, recorded = {}, read_deviations(), read_recorded()
    if options.count:
        count_cases(recorded)
        return 0
    with tempfile.TemporaryDirectory(prefix="oracle-") as directory:
        if not options.no_xen:
            xen, reason = find_xen(pathlib.Path(directory))
            if xen:
                kernels["xen"] = xen
            else:
                print(f"oracle: Xen skipped: {reason}")
        if not options.no_tarn:
            kernels["tarn"] = OUT / "tarn.elf32"
            if not kernels["tarn"].exists():
                sys.exit(f"oracle: {kernels['tarn']} is missing: run make")
        if "xen" not in kernels:
            runs = [run for run in runs if run in RECORDED]
        if not kernels:
            return 0
        bad = sum(run_one(run, kernels, recorded, deviations, options) for run in runs)
    if not options.runs:
        count_cases(recorded)
    print(f"oracle: {len(runs)} runs, {bad} complaints")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a decision of the credit scheduler costs, in instructions, by the number of pcpus and of vcpus per pcpu.

First in the simulator, where valgrind counts what the policy's functions take (tools/sched_cost.c), then in QEMU
with `-icount shift=0`, where vcpus that do nothing but yield are counted with all that belongs to it: hypercall,
decision, switch and return. Tables as markdown. The exit status is 1 when something did not finish.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / os.environ.get("O", "build")
sys.path.insert(0, str(ROOT / "tests/qemu"))
import oracle  # noqa: E402  (which QEMU)

MACHINES = {1: (2, 4, 16, 64), 2: (2, 4, 16, 32), 4: (2, 4, 16), 8: (2, 4, 8)}  # pcpus: vcpus per pcpu


def table(title, rows):
    """rows: {(name, pcpus): {vcpus per pcpu: instructions}}; growth is from the cheapest to the dearest of a name."""
    columns = sorted({v for row in rows.values() for v in row})
    print(f"| {title} | pcpus | " + " | ".join(f"{v} vcpus each" for v in columns) + " | growth |")
    print("|---" * (len(columns) + 3) + "|")
    names = list(dict.fromkeys(name for name, _ in rows))
    for name in names:
        of_name = {p: row for (n, p), row in rows.items() if n == name}
        costs = [c for row in of_name.values() for c in row.values()]
        for i, (pcpus, row) in enumerate(of_name.items()):
            cells = " | ".join(f"{row[v]:.0f}" if v in row else "" for v in columns)
            growth = f"{100 * (max(costs) / min(costs) - 1):.0f} %" if i == 0 and costs else ""
            print(f"| {'' if i else name} | {pcpus} | {cells} | {growth} |")
    print()


def simulator():
    """{(name, pcpus): {vcpus: instructions of one}}, by callgrind: a dump for each case that the program names."""
    rows = {}
    with tempfile.TemporaryDirectory() as directory:
        dumps = pathlib.Path(directory) / "out"
        run = subprocess.run(["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={dumps}",
                              str(OUT / "cost/sched-cost")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             check=False)
        if run.returncode:
            sys.exit(f"sched-cost: {run.stderr}")
        for number, line in enumerate(run.stdout.splitlines(), 1):
            name, pcpus, vcpus, count = re.match(r"(.*): (\d+) (\d+) (\d+)$", line).groups()
            total = re.search(r"^(?:totals|summary): (\d+)", pathlib.Path(f"{dumps}.{number}").read_text(), re.M)
            row = rows.setdefault((name, int(pcpus)), {})
            if int(count) >= 10:
                row[int(vcpus)] = int(total[1]) / int(count)
    return rows


def qemu(pcpus, vcpus):
    """Instructions of the machine by yields, with all pcpus at it."""
    command = [
        oracle.QEMU, "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-rtc", "clock=vm",
        "-cpu", "max,-smap", "-smp", str(pcpus), "-m", "512", "-display", "none", "-monitor", "none",
        "-serial", "stdio", "-no-reboot", "-device", "isa-debug-exit", "-kernel", str(OUT / "tarn.elf32"),
        "-append", f"dom0_max_vcpus={pcpus * vcpus}", "-initrd", f"{OUT}/guests/bench.elf yields={pcpus * vcpus}",
    ]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace",
                         timeout=300, check=False)
    hit = re.search(r"bench: yield to another = (\d+)", run.stdout)
    if not hit:
        sys.exit(f"sched-cost: the guest did not finish:\n{run.stdout}")
    return int(hit[1])


def main():
    """Prints both tables."""
    table("simulator: a vcpu ...", simulator())
    table("QEMU: a vcpu ...", {("yields, another runs", p): {v: qemu(p, v) for v in vcpus}
                                 for p, vcpus in MACHINES.items()})


if __name__ == "__main__":
    main()

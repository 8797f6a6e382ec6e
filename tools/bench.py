#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the hot paths cost, in instructions: the bench guest on tarn and, where it can be had, on Debian's Xen.

Both under the same QEMU with `-icount shift=0`, where one tick of the TSC is one instruction, so the figures do
not depend on the machine. The exit status is 1 when a guest did not finish.
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
import oracle  # noqa: E402  (where Xen comes from)


def measure(kernel, options):
    """{metric: instructions} of one boot with two vcpus on one pcpu; empty when the guest did not finish."""
    command = [
        oracle.QEMU, "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-rtc", "clock=vm",
        "-cpu", "max,-smap", "-smp", "1", "-m", "512", "-display", "none", "-monitor", "none",
        "-serial", "stdio", "-no-reboot", "-kernel", str(kernel), "-append", f"dom0_max_vcpus=2 {options}",
        "-initrd", f"{OUT}/guests/bench.elf",
    ]
    found = {}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          errors="replace") as qemu:
        for line in qemu.stdout:
            hit = re.match(r"bench: (.*) = (\d+)\s*$", line)
            if hit:
                found[hit[1]] = int(hit[2])
            elif line.startswith("bench: "):
                break
        qemu.kill()
    return found if line.strip() == "bench: ok" else {}


def main():
    """Prints the table."""
    tarn = measure(OUT / "tarn.elf32", "")
    with tempfile.TemporaryDirectory() as directory:
        image, why = oracle.find_xen(pathlib.Path(directory))
        xen = measure(image, "console=com1 com1=115200 sched=credit") if image else {}
    if not tarn:
        sys.exit("bench: the guest did not finish on tarn")
    if why:
        print(f"bench: {why}; tarn's figures alone:")
    print(f"{'instructions':46} {'tarn':>7} {'Xen 4.17':>9} {'ratio':>6}")
    for name, cost in tarn.items():
        other = f"{xen[name]:9d} {xen[name] / cost:6.1f}" if name in xen else ""
        print(f"{name:46} {cost:7d} {other}")


if __name__ == "__main__":
    main()

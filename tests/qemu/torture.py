#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Tortures pools: random operations beside 16 burners and 16 sleepers, on the real hypervisor under QEMU.

    torture.py [-n OPERATIONS] [--smp CPUS,...] [--seed SEED,...] [--shift SHIFT] [--burners N] [--sleepers N]

Each run must end with every answer as the model has it, no panic, and nobody stalled: no burner away from the
clock, and no sleeper late, for 50 ms of the machine's time (guests/control/cmd_torture.c says what counts).
A run is named by its CPUs and its seed.
"""
import argparse
import re
import sys
import time

from lab import Lab

STALL = 50000  # us


def worst(m, names):
    """[(us, name)] of the longest time each was away or late, as the guests tell; longest first."""
    found = []
    m.xl("pause", *names)  # what the control domain has to say next would keep the emulator from them
    for name in names:
        said = re.findall(r"longest (\d+) us|max (\d+) us", m.console(name))
        assert said, f"{name} says nothing: {m.console(name)[-500:]}"
        found.append((max(int(a or b) for a, b in said), name))
    return sorted(found, reverse=True)


def torture(cpus, seed, n, shift=0, burners=16, sleepers=16, say=print):
    """One run; raises AssertionError with what went wrong."""
    begun = time.time()
    with Lab(shift=shift, cpus=cpus, pools=False, name=f"torture-{cpus}-{seed}") as m:
        done = m.run("--timeout", "600", "xl", "torture", str(seed), str(n), f"burners={burners}",
                     f"sleepers={sleepers}", status=None, timeout=7200)
        log = m.log()
        assert "PANIC" not in log, f"{cpus} CPUs, seed {seed}: {log[-3000:]}"
        assert done.returncode == 0, f"{cpus} CPUs, seed {seed}: status {done.returncode}\n{done.stdout[-2000:]}" \
                                     f"{done.stderr[-2000:]}{log[-3000:]}"
        found = worst(m, [f"b{i}" for i in range(burners)] + [f"s{i}" for i in range(sleepers)])
    say(f"{cpus} CPUs, seed {seed}: {done.stdout.splitlines()[-1]}; the longest wait {found[0][0]} us ({found[0][1]}); "
        f"{time.time() - begun:.0f} s")
    assert found[0][0] <= STALL, f"{cpus} CPUs, seed {seed}: stalled: {[f for f in found if f[0] > STALL]}"
    return found


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-n", type=int, default=10000)
    parser.add_argument("--smp", type=numbers, default=[8, 64])
    parser.add_argument("--seed", type=numbers, default=[1])
    parser.add_argument("--shift", type=int, default=0)
    parser.add_argument("--burners", type=int, default=16)
    parser.add_argument("--sleepers", type=int, default=16)
    args = parser.parse_args()
    failed = 0
    for cpus in args.smp:
        for seed in args.seed:
            try:
                torture(cpus, seed, args.n, args.shift, args.burners, args.sleepers)
            except AssertionError as e:
                failed += 1
                print(e)
            sys.stdout.flush()
    print(f"torture: {len(args.smp) * len(args.seed)} runs, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

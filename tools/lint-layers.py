#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Who uses whom, from the object files' symbols.

A file uses only what stands on its own floor or a lower one; what must go up is declared in
include/tarn/arch.h. Pure files use nothing but pure files. Call: lint-layers.py OBJ-ROOT OBJECT...
"""
import re
import subprocess
import sys

FLOORS = {
    "arch/x86/boot": 5,
    "arch/x86/pv": 4,
    "kernel/ops": 3,
    "kernel": 2,
    "sched": 1,
    "evtchn": 1,
    "arch/x86/mm": 1,
    "arch/x86/cpu": 0,
    "lib": 0,
}
PURE = re.compile(r"lib/.*|sched/(credit(_queue|_account)?|null|rtds|sedf|gang|group)\.c|evtchn/(twolevel|port|fifo)\.c"
                  r"|arch/x86/boot/multiboot\.c|arch/x86/cpu/(acpi|apicid)\.c"
                  r"|arch/x86/pv/decode\.c")
# What the compiler calls, our own panic and the pause in a spinlock are everyone's.
COMMON = {"panic", "arch_spin_service", "__stack_chk_fail", "__stack_chk_guard", "memcpy", "memset", "memmove", "memcmp"}
UPWARD_HEADER = "include/tarn/arch.h"


def read_symbols(root, objects):
    """defined: symbol -> source; used: source -> set of symbols"""
    defined, used = {}, {}
    for path in objects:
        source = re.sub(r"\.o$", "", path[len(root) + 1:])
        if not source.endswith(".asm"):
            source += ".c"
        out = subprocess.run(["nm", "-g", path], capture_output=True, text=True, check=True).stdout
        used[source] = set()
        for line in out.splitlines():
            kind, name = line.split()[-2:]
            if kind in "Uw":
                used[source].add(name)
            else:
                defined[name] = source
    return defined, used


def upward_names():
    try:
        with open(UPWARD_HEADER, encoding="utf-8") as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    except FileNotFoundError:
        return set()
    return set(re.findall(r"\b(\w+)\s*\(", text)) | set(re.findall(r"extern[^;]*?\b(\w+)(?:\[[^;]*)?;", text))


def floor(source):
    return FLOORS.get(source.rsplit("/", 1)[0], 0)


def check(root, objects):
    defined, used = read_symbols(root, objects)
    upward = upward_names()
    problems = []
    for source in sorted(used):
        for name in sorted(used[source]):
            target = defined.get(name)
            if target is None or target == source or name in COMMON:
                continue
            if floor(target) > floor(source) and name not in upward:
                problems.append(f"{source} (floor {floor(source)}) uses {name} of {target} "
                                f"(floor {floor(target)}), not declared in {UPWARD_HEADER}")
            if PURE.fullmatch(source) and not PURE.fullmatch(target):
                problems.append(f"{source} is pure but uses {name} of {target}")
    return problems


if __name__ == "__main__":
    found = check(sys.argv[1].rstrip("/"), sys.argv[2:])
    print("\n".join(found))
    sys.exit(1 if found else 0)

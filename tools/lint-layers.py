#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Who uses whom, from the object files' symbols.

A file uses only what stands on its own floor or a lower one. A call that must go up is declared in
include/tarn/arch.h under a comment "Called by FILE, FILE: when", from those files only; and a file
that is named there does make the call. Pure files use nothing but pure files.
Call: lint-layers.py OBJ-ROOT OBJECT...
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
# Files that stand elsewhere than their folder: memory and trace are everyone's; hypercalls are the guest's.
FILE_FLOORS = {
    "arch/x86/mm/frames.c": 0,
    "arch/x86/mm/paging.c": 0,
    "kernel/trace.c": 0,
    "arch/x86/mm/mmu_update.c": 4,
}
PURE = re.compile(r"lib/.*|sched/(credit(_\w+)?|null|rr|rtds(_queue)?|sedf(_params)?|gang)\.c|evtchn/(twolevel|port|fifo)\.c"
                  r"|arch/x86/boot/multiboot\.c|arch/x86/cpu/(acpi|apicid|rtc)\.c"
                  r"|arch/x86/pv/(decode|decode_store|cpuid)\.c")
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


def contract():
    """(names, files that may call them) of each block of arch.h: comment, then declarations"""
    with open(UPWARD_HEADER, encoding="utf-8") as f:
        text = f.read()
    for block in re.split(r"\n\s*\n", text):
        comment = " ".join(re.findall(r"/\*(.*?)\*/", block, flags=re.S))
        callers = re.search(r"Called by ([^:]*):", comment.replace("\n *", ""))
        code = re.sub(r"/\*.*?\*/|__attribute__\(\(\w+\)\)", "", block, flags=re.S)
        names = set(re.findall(r"\b(\w+)\s*\(", code))
        names |= set(re.findall(r"extern[^;]*?\b(\w+)(?:\[[^;]*)?;", code))
        if names:
            yield names, set(re.findall(r"[\w/.]+\.(?:c|asm)", callers.group(1))) if callers else set()


def floor(source):
    if source in FILE_FLOORS:
        return FILE_FLOORS[source]
    return FLOORS.get(source.rsplit("/", 1)[0], 0)


def check(root, objects):
    defined, used = read_symbols(root, objects)
    upward, problems = {}, []
    for names, callers in contract():
        upward.update((name, callers) for name in names)
        for name in sorted(names - defined.keys()):
            problems.append(f"{UPWARD_HEADER}: {name} is defined nowhere")
        for name in sorted(n for n in names if not any(n in used.get(c, ()) for c in callers)):
            problems.append(f"{UPWARD_HEADER}: {name}: none of the files named calls it")
        for caller in sorted(c for c in callers if not names & used.get(c, set())):
            problems.append(f"{UPWARD_HEADER}: {caller} calls none of {', '.join(sorted(names))}")
    for source in sorted(used):
        for name in sorted(used[source]):
            target = defined.get(name)
            if target is None or target == source or name in COMMON:
                continue
            if floor(target) > floor(source) and source not in upward.get(name, ()):
                problems.append(f"{source} (floor {floor(source)}) uses {name} of {target} "
                                f"(floor {floor(target)}), which {UPWARD_HEADER} does not say")
            if PURE.fullmatch(source) and not PURE.fullmatch(target):
                problems.append(f"{source} is pure but uses {name} of {target}")
    return problems


if __name__ == "__main__":
    found = check(sys.argv[1].rstrip("/"), sys.argv[2:])
    print("\n".join(found))
    sys.exit(1 if found else 0)

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""House rules that a compiler does not check; `make lint` runs it and gives the commands to use.

Environment: O, HV_CC and GUEST_CC (compile commands), OBJECTS (of the hypervisor, built or not).
Each check is one result; the last line and OUT/results/lint hold how many passed and failed.
"""
import importlib.util
import os
import re
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

OUT = os.environ.get("O", "build")
HV_CC = os.environ["HV_CC"].split()
GUEST_CC = os.environ["GUEST_CC"].split()
OBJECTS = [o for o in os.environ.get("OBJECTS", "").split() if os.path.exists(o)]
VERBOSE = "-v" in sys.argv
MAX_FUNCTION, MAX_FILE, MAX_COLUMN = 120, 800, 100

TOP = ["arch", "kernel", "sched", "evtchn", "lib", "include", "guests", "tests", "tools"]
FILES = sorted(str(p) for top in TOP for p in Path(top).rglob("*") if p.suffix in (".c", ".h", ".asm"))
HEADERS = [f for f in FILES if f.endswith(".h")]
C = [f for f in FILES if f.endswith(".c")]
HV = [f for f in C if f.split("/")[0] in ("arch", "kernel", "sched", "evtchn", "lib")]


def text_of(path):
    return Path(path).read_text(encoding="utf-8")


def check_format():
    """clang-format has nothing to change"""
    bad = []
    for path in C + HEADERS:
        done = subprocess.run(["clang-format", path], capture_output=True, text=True, check=True)
        if done.stdout != text_of(path):
            bad.append(f"{path}: not formatted (make format)")
    return bad


def compile_alone(header):
    if header.startswith("guests/") or header.startswith("include/public/"):
        command = GUEST_CC + (["-Iinclude"] if header.startswith("guests/control/") else [])
    elif header.startswith(("tests/", "tools/")):
        command = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Iinclude", "-Iarch/x86/include",
                   "-Iinclude/public", "-D_GNU_SOURCE", "-D__XEN_INTERFACE_VERSION__=0x00041100", "-D__XEN_TOOLS__"]
    else:
        command = HV_CC
    done = subprocess.run(command + ["-fsyntax-only", "-x", "c", "-"], text=True, capture_output=True,
                          input=f'#include "{os.path.abspath(header)}"\n', check=False)
    first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
    return None if done.returncode == 0 else f"{header}: does not compile alone: {first}"


def check_headers():
    """every header compiles alone and holds #pragma once"""
    with ThreadPoolExecutor(2) as pool:
        bad = [r for r in pool.map(compile_alone, HEADERS) if r]
    return bad + [f"{h}: no #pragma once" for h in HEADERS if "#pragma once" not in text_of(h)]


def check_heads():
    """SPDX line first, a head comment, no tabs, no line over 100 columns"""
    bad = []
    for path in FILES:
        lines = text_of(path).splitlines()
        # a unit test may start with the list of its sources
        if not any("SPDX-License-Identifier: MIT" in line for line in lines[:2]):
            bad.append(f"{path}:1: no SPDX line")
        elif len(lines) < 3 or not re.match(r"\s*(/\*|;|\*)", lines[1]):
            bad.append(f"{path}:2: no head comment")
        for n, line in enumerate(lines, 1):
            if "\t" in line:
                bad.append(f"{path}:{n}: a tab")
            if len(line) > MAX_COLUMN and not path.endswith(".asm"):
                bad.append(f"{path}:{n}: {len(line)} columns")
    return bad


def check_conditionals():
    """no #if in a hypervisor's .c"""
    return [f"{path}:{n}: #if" for path in HV for n, line in enumerate(text_of(path).splitlines(), 1)
            if re.match(r"\s*#\s*if", line) and "DEBUG" not in line]


def check_layers():
    """a file uses only its own floor and lower ones; pure files only pure ones"""
    spec = importlib.util.spec_from_file_location("layers", "tools/lint-layers.py")
    layers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(layers)
    return layers.check(f"{OUT}/obj", OBJECTS)


def functions(path):
    """(name, lines) of each: a brace alone in column 0 opens it, one in column 0 closes it"""
    lines = text_of(path).splitlines()
    start = None
    for n, line in enumerate(lines):
        if line == "{":
            start = n
        elif line == "}" and start is not None:
            head = next((lines[k] for k in range(start - 1, -1, -1) if re.match(r"\w", lines[k])), "?")
            name = re.search(r"(\w+)\(", head)
            yield (name.group(1) if name else head, n - start - 1)
            start = None


def check_sizes():
    """functions and files stay small"""
    sizes = [(lines, name, path) for path in HV for name, lines in functions(path)]
    bad = [f"{p}: {name} has {n} lines (limit {MAX_FUNCTION})" for n, name, p in sizes if n > MAX_FUNCTION]
    files = [(text_of(p).count("\n"), p) for p in HV]
    bad += [f"{p}: {n} lines (limit {MAX_FILE})" for n, p in files if n > MAX_FILE]
    if sizes:
        all_lines = sorted(s[0] for s in sizes)
        print(f"        {len(HV)} C files, {sum(n for n, _ in files)} lines; {len(sizes)} functions: median "
              f"{statistics.median(all_lines):.0f}, p90 {all_lines[int(len(all_lines) * 0.9)]} lines")
        print("        longest: " + ", ".join(f"{name} {n}" for n, name, _ in sorted(sizes, reverse=True)[:5]))
    return bad


def mutable_globals():
    """(source, name, size) of each variable that can change; constants with relocations are none"""
    for obj in OBJECTS:
        source = re.sub(r"(\.asm)?\.o$", lambda m: m.group(1) or ".c", obj[len(OUT) + 5:])
        if source.endswith(".asm"):
            continue
        out = subprocess.run(["objdump", "-t", obj], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            m = re.match(r"\w+ .{5}.O (\S+)\s+(\w+)(?: \.hidden)? (\w+)$", line)
            if m and re.match(r"\.(data|bss)(?!\.rel\.ro)", m.group(1)):
                yield source, m.group(3), int(m.group(2), 16)


def commented(lines, at):
    """A comment on the line itself, or above it with no empty line between."""
    while at >= 0 and lines[at].strip():
        if "*/" in lines[at]:
            return True
        at -= 1
    return False


def check_globals():
    """mutable globals carry a comment where they are defined or declared"""
    found, bad = sorted(set(mutable_globals())), []
    definition = r"\w.*\b{}\b\s*(\[.*\]\s*)*(__\w+(\(.*?\))?\s*)*[;=,]"
    # or where a header declares them
    declared = set(re.findall(r"^extern [^;]*?(\w+)(?:\[\w*\])*; */\*", "\n".join(map(text_of, HEADERS)), re.M))
    for source, name, _ in found:
        lines = text_of(source).splitlines()
        at = next((n for n, l in enumerate(lines) if re.match(definition.format(name), l)), None)
        if at is not None and not commented(lines, at) and name not in declared:
            bad.append(f"{source}:{at + 1}: {name}: a mutable global without a comment")
    if VERBOSE:
        for source, name, size in found:
            print(f"        {source}: {name} ({size} bytes)")
    print(f"        {len(found)} mutable globals, {sum(s for _, _, s in found)} bytes (make lint T=-v lists them)")
    return bad


def check_quotes():
    """what a page quotes of a source (<!-- FILE --> above the code) is what stands there"""
    bad = []
    for page in sorted(Path("docs").glob("*.md")):
        for source, quote in re.findall(r"^<!-- (\S+\.[ch]) -->\n```c\n(.*?)^```$", text_of(page), re.M | re.S):
            if quote not in text_of(source):
                bad.append(f"{page}: {source} has no such lines: {quote.splitlines()[0]}")
    return bad


CHECKS = [check_format, check_headers, check_heads, check_conditionals, check_layers, check_sizes, check_globals,
          check_quotes]


def main():
    failed = 0
    for check in CHECKS:
        problems = check()
        failed += bool(problems)
        print(f"{'FAILED' if problems else 'ok    '}  {check.__name__[6:]}: {check.__doc__}")
        for line in problems[:30]:
            print(f"        {line}")
        if len(problems) > 30:
            print(f"        ... and {len(problems) - 30} more")
    os.makedirs(f"{OUT}/results", exist_ok=True)
    Path(f"{OUT}/results/lint").write_text(f"{len(CHECKS) - failed} {failed}\n", encoding="utf-8")
    print(f"lint: {len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Breaks a source one line at a time, and looks whether its unit test notices; `make mutants T=NAME`.

tests/unit/NAME.mutants lists the breaks: `@ FILE` once, then for each a line `= what is wrong`, `-` lines (text
that is there exactly once) and `+` lines (what stands there instead). test_NAME.c must fail for each.
Environment: HOSTCC and UNIT_CFLAGS, as `make unit` compiles.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CC = os.environ["HOSTCC"].split() + os.environ["UNIT_CFLAGS"].split()


def read_list(path):
    source, mutants = None, []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if line[:1] == "@":
            source = line[1:].strip()
        elif line[:1] == "=":
            mutants.append((line[1:].strip(), [], []))
        elif line[:1] in "-+" and line:
            mutants[-1][1 if line[0] == "-" else 2].append(line[1:])
        elif line and line[:1] != "#":
            sys.exit(f"{path}: what is this: {line}")
    return source, [(title, "\n".join(old), "\n".join(new)) for title, old, new in mutants]


def killer(objects, folder):
    """The first test that fails, with this build; None: all pass."""
    program = os.path.join(folder, "mutant")
    done = subprocess.run(CC + ["-w", "-o", program, *objects, "-lcmocka"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit("it does not compile, so no test is asked: " + done.stderr.splitlines()[0])
    try:
        done = subprocess.run([program], capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return "it hangs"
    failed = re.findall(r"^\[  FAILED  \] ([a-z]\w*)$", done.stdout + done.stderr, re.M)
    return (failed or [f"status {done.returncode}"])[0] if done.returncode else None


def main():
    name = sys.argv[1]
    test = f"tests/unit/test_{name}.c"
    source, mutants = read_list(f"tests/unit/{name}.mutants")
    sources = re.search(r"sources: (.*?)\*/", Path(test).read_text(encoding="utf-8"), re.S).group(1).replace("\n *", "").split()
    text = Path(source).read_text(encoding="utf-8")
    CC.extend(["-I", os.path.dirname(source)])
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        others = []
        for path in [test, "tests/unit/host.c", "tests/unit/untraced.c"] + [s for s in sources if s != source]:
            others.append(os.path.join(folder, path.replace("/", "-") + ".o"))
            subprocess.run(CC + ["-c", "-o", others[-1], path], check=True)
        mutant = os.path.join(folder, "mutant.c")
        for title, old, new in mutants:
            if text.count(old) != 1:
                sys.exit(f"{title}: is there {text.count(old)} times")
            Path(mutant).write_text(text.replace(old, new), encoding="utf-8")
            by = killer([mutant, *others], folder)
            survived += by is None
            print(f"{'SURVIVED' if by is None else 'found   '}  {title}" + (f": {by}" if by else ""), flush=True)
    print(f"mutants: {len(mutants) - survived} found, {survived} survived")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())

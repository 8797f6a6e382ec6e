#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the commands that a page shows and puts what they print below them; `make docs T=docs/pools.md`.

A block of such commands, on a machine of its own:

    <!-- run: arguments of `tarn up` -->
    ```console
    $ tarn xl list
    ```

What a line printed before is replaced. A line `[...]` below a command keeps the output short: only what matches the
regular expression behind it (`[...] ^a `) is shown. A command that must fail is written with `$ ! tarn ...`.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = os.environ.get("O", "build")
BLOCK = re.compile(r"(^<!-- run: *(.*?) *-->\n```console\n)(.*?)(^```$)", re.M | re.S)


def tarn(env, line, timeout=600):
    command = re.sub(r"\btarn\b", "tarn --timeout 500", line)
    done = subprocess.run(["sh", "-c", command], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout, check=False)
    return done.returncode, [l for l in done.stdout.splitlines() if not l.startswith("Parsing config")]


def run_block(up, lines):
    folder = tempfile.mkdtemp(prefix="tarn-docs-")
    env = dict(os.environ, TARN_STATE=folder, PATH=f"{os.path.abspath(BUILD)}/tools:{os.environ['PATH']}")
    out = []
    try:
        status, said = tarn(env, f"tarn up {up}")
        if status:
            sys.exit("\n".join(said))
        commands = [(l, lines[n + 1] if n + 1 < len(lines) and lines[n + 1].startswith("[...]") else None)
                    for n, l in enumerate(lines) if l.startswith("$ ")]
        for line, only in commands:
            fails = line.startswith("$ ! ")
            status, said = tarn(env, line[4 if fails else 2:])
            if (status != 0) != fails:
                sys.exit(f"{line}: status {status}\n" + "\n".join(said))
            out.append(line)
            if only is not None:
                out.append(only)
                said = [l for l in said if re.search(only[6:] or "^$", l)]
            out += said
    finally:
        tarn(env, "tarn down", 60)
        shutil.rmtree(folder, ignore_errors=True)
    return out


def main():
    for page in sys.argv[1:]:
        text = Path(page).read_text(encoding="utf-8")
        text = BLOCK.sub(lambda m: m.group(1) + "\n".join(run_block(m.group(2), m.group(3).splitlines())) + "\n" + m.group(4), text)
        Path(page).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

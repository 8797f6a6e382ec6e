# SPDX-License-Identifier: MIT
"""Machines driven by the host's program `tarn`, as a script would.

    with Machine(smp="2") as m:
        m.xl("create", "hello.cfg")
        assert "hello" in m.xl("list").stdout

Every call has a time limit and fails the test when the status isn't the expected one.
"""
import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile

from tarn import BUILD, ROOT, SCALE

TARN = os.path.join(BUILD, "tools", "tarn")
TRANSPORT = 125  # the machine itself is at fault, not the command


class Machine:
    """One machine; its state lies in a folder of its own. up: more arguments of `tarn up`."""

    def __init__(self, smp=None, memory=None, up=(), start=True, name="test"):
        self.name, self.folder = name, tempfile.mkdtemp(prefix="tarn-test-")
        self.env = dict(os.environ, TARN_STATE=self.folder)
        self.up_args = (["--smp", smp] if smp else []) + (["--memory", str(memory)] if memory else []) + list(up)
        if start:
            self.up()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def run(self, *args, status=0, timeout=60, stdin=subprocess.DEVNULL, **more):
        """One run of `tarn`. status None: any will do."""
        if "input" not in more:
            more["stdin"] = stdin
        done = subprocess.run([TARN, "--name", self.name, *args], env=self.env, cwd=ROOT, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout * SCALE,
                              check=False, **more)
        if status is not None and done.returncode != status:
            raise AssertionError(f"tarn {' '.join(args)}: status {done.returncode}\n--- out\n{done.stdout}"
                                 f"--- err\n{done.stderr}--- log\n{self.log()[-3000:]}")
        return done

    def up(self, **kw):
        return self.run("up", *self.up_args, timeout=120, **kw)

    def xl(self, *args, **kw):
        return self.run("xl", *args, **kw)

    def out(self, *args, **kw):
        """What a command of the control domain prints, without the last newline."""
        return self.xl(*args, **kw).stdout.rstrip("\n")

    def log(self):
        done = subprocess.run([TARN, "--name", self.name, "log"], env=self.env, capture_output=True, timeout=20,
                              check=False)
        return done.stdout.decode(errors="replace").replace("\r", "")

    def info(self, key):
        """A field of `xl info`."""
        match = re.search(rf"^{key} *: (.*)$", self.out("info"), re.M)
        assert match, f"xl info has no {key}"
        return match.group(1)

    def free_pages(self):
        return int(re.search(r"free pages: (\d+)", self.out("pages")).group(1))

    def file(self, name, text):
        """A file in the machine's folder on the host; its path."""
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def close(self):
        subprocess.run([TARN, "--name", self.name, "down"], env=self.env, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

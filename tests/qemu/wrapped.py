# SPDX-License-Identifier: MIT
"""Machines of host.py that `tarn up` alone can't make: QEMU gets more arguments, or more boot modules."""
import stat

from host import Machine
from tarn import QEMU, module_string

SCRIPT = """#!/usr/bin/python3
import os, sys
args = sys.argv[1:]
modules = {modules!r}
if "-initrd" in args and modules:
    at = args.index("-initrd") + 1
    args[at] = ",".join([args[at]] + modules)
os.execvp({qemu!r}, [{qemu!r}] + args + {args!r})
"""


def machine(tmp_path, monkeypatch, args=(), modules=(), append="", **kw):
    """A machine whose QEMU has these arguments as well, and these modules (as tarn.py takes them) behind its own."""
    wrapper = tmp_path / "qemu"
    wrapper.write_text(SCRIPT.format(qemu=QEMU, args=list(args), modules=[module_string(m) for m in modules]))
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("QEMU", str(wrapper))
    return Machine(up=["--append", append] if append else [], **kw)

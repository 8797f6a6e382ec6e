# SPDX-License-Identifier: MIT
"""What a newcomer runs first: `make run` and `make run-iso`, and one guest alone."""
import os
import subprocess

import pytest

from tarn import BUILD, ROOT, SCALE, die_with_parent


def run(mode, **env):
    done = subprocess.run(["tools/run-qemu.sh", mode], cwd=ROOT, env=dict(os.environ, O=BUILD, **env),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60 * SCALE, preexec_fn=die_with_parent, check=False)
    return done.returncode, done.stdout.decode(errors="replace").replace("\r", "").split("\n")


@pytest.mark.parametrize("mode", ["kernel", "iso"])
def test_demo(mode):
    """Ends by itself; nothing fails, however slow the host is."""
    status, lines = run(mode)
    assert status == 0
    assert "(tarn) 8 cpus online: 2 sockets, 2 cores per socket, 2 threads per core" in lines
    for line in ["hello: ok", "(d3) smp: ok", "(d4) ticks: ok", "(tarn) domain 0 (Domain-0) powered off"]:
        assert line in lines
    assert not [line for line in lines if "FAILED" in line or "crashed" in line or "refused" in line]


def test_one_guest():
    status, lines = run("kernel", GUEST="hello", ARGS="a b,c", SMP="2", MEM="128")
    assert status == 0
    assert 'hello: cmdline "a b,c"' in lines
    assert "hello: ok" in lines

# SPDX-License-Identifier: MIT
"""What a newcomer runs first: `make run` and `make run-iso`, and one guest alone."""
import os
import subprocess

import pexpect

from tarn import BUILD, ROOT, SCALE, die_with_parent


def run(mode, **env):
    """With nobody at the keyboard."""
    done = subprocess.run(["tools/run-qemu.sh", mode], cwd=ROOT, env=dict(os.environ, O=BUILD, **env),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=120 * SCALE, preexec_fn=die_with_parent, check=False)
    return done.returncode, done.stdout.decode(errors="replace").replace("\r", "").split("\n")


def person(mode, **env):
    """With somebody at a terminal."""
    child = pexpect.spawn("tools/run-qemu.sh", [mode], cwd=ROOT, env=dict(os.environ, O=BUILD, **env), timeout=90 * SCALE,
                          encoding="utf-8", codec_errors="replace", preexec_fn=die_with_parent)
    return child


def leave(child):
    child.sendline("exit")
    child.expect(r"domain 0 \(Domain-0\) powered off")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_demo():
    """Its script runs, and it ends by itself; nothing fails, however slow the host is."""
    status, lines = run("kernel")
    assert status == 0
    assert "(tarn) 8 cpus online: 2 sockets, 2 cores per socket, 2 threads per core" in lines
    for line in ["pingpong: ok", "control: ok", "(tarn) domain 0 (Domain-0) powered off"]:
        assert line in lines
    assert not [line for line in lines if "FAILED" in line or "crashed" in line or "refused" in line]


def test_demo_and_prompt():
    """After the script there is the prompt."""
    child = person("kernel", SMP="2")
    child.expect("exit.* powers the machine off")
    child.expect("tarn# info -n")
    child.expect("the status was 1")
    child.expect("tarn# ")
    child.sendline("xl lis")
    child.expect(r"Domain-0 +0 ")
    leave(child)


def test_iso():
    """The ISO comes up with the prompt alone."""
    child = person("iso")
    child.expect("tarn# ")
    child.sendline("create hello.cfg; list")
    child.expect(r"hello +1 ")
    leave(child)


def test_one_guest():
    status, lines = run("kernel", GUEST="hello", ARGS="a b,c", SMP="2", MEM="128")
    assert status == 0
    assert 'hello: cmdline "a b,c"' in lines
    assert "hello: ok" in lines

# SPDX-License-Identifier: MIT
"""The host's program `tarn` with a real machine: QEMU, the hypervisor, the control domain."""
import os
import re
import signal
import socket
import struct
import time

import pytest

from fake_qemu import EXEC, HELLO, PUT, PUT_NAME, frame
from tarn import BUILD, ROOT, SCALE
from test_tarn_host import FAILED, TARN, Host, gone

pytestmark = pytest.mark.skipif(not os.path.exists(TARN), reason="tools/tarn is not built")


class Real(Host):
    def __init__(self, folder):
        super().__init__(folder)
        self.env["TARN_IMAGES"] = BUILD
        self.env.pop("QEMU", None)

    def kill_all(self):
        for name in self.machines():
            self.run("--timeout", "3", "--name", name, "down", limit=30)

    def ok(self, *args, **kw):
        code, out, err = self.run(*args, limit=kw.pop("limit", 40), **kw)
        assert code == 0, (args, out, err)
        return out

    def raw(self):
        """A connection of our own to the control domain's serial port."""
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.path.join(self.state, "default", "wire"))
        return s


@pytest.fixture
def real(tmp_path):
    host = Real(tmp_path)
    host.ok("up", "--smp", "2", limit=130)
    yield host
    host.kill_all()


def test_a_day(real, tmp_path):
    assert re.search(r"^default .*answers$", real.ok("status"), re.M)
    data = os.urandom(100000)
    (tmp_path / "some.bin").write_bytes(data)
    real.ok("put", str(tmp_path / "some.bin"))
    assert re.search(r"^ *100000 +some\.bin", real.ok("xl", "files"), re.M)
    real.ok("create", os.path.join(ROOT, "guests/control/files/hello.cfg"), 'name="mine"', 'extra="linger=60"')
    assert re.search(r"^mine +1 ", real.ok("xl", "list"), re.M)
    assert "hello" in real.ok("console", "mine") or "hello" in real.ok("log")
    code, out, err = real.run("xl", "domid", "nobody")
    assert code == 1 and not out and "nobody" in err
    real.ok("xl", "destroy", "mine")
    assert "mine" not in real.ok("xl", "list")
    assert real.ok("console", "Domain-0", input=b"list\n").count("Domain-0") == 1
    pid = real.pid()
    assert real.run("down", limit=40)[::2] == (0, "")
    assert gone(pid) and not real.machines()


def test_killed_in_a_command(real):
    process = real.start("xl", "sleep", "60")
    time.sleep(1)
    os.kill(real.pid(), signal.SIGKILL)
    out, err = process.communicate(timeout=10 * SCALE)
    assert process.returncode == FAILED and not out and b"it has ended" in err
    real.fails("xl", "list", why="it has ended")


def test_interrupted(real):
    process = real.start("xl", "sleep", "60")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert "Domain-0" in real.ok("xl", "list")


def test_long_commands_are_alive(real):
    assert real.ok("--timeout", "2", "xl", "sleep", "5") == ""


def test_garbage_to_the_machine(real):
    """Random bytes, pieces of frames, a file that never ends: the next command is answered right."""
    pieces = [os.urandom(20000), b"\xa5\x7e" * 5000, bytes(5000),
              frame(EXEC, 1, b"poweroff\0")[:-1], frame(EXEC, 2, b"no end"), frame(EXEC, 3), frame(77, 4, b"x"),
              frame(HELLO, 5, struct.pack("<I", 99)), frame(PUT, 6, b"xxxxx"),
              frame(PUT_NAME, 7, struct.pack("<I", 0xffffffff) + b"big"),
              frame(PUT_NAME, 8, struct.pack("<I", 1000) + b"f") + frame(PUT, 8, struct.pack("<I", 999) + b"xx"),
              frame(PUT_NAME, 9, struct.pack("<I", 5000) + b"g") + frame(PUT, 9, struct.pack("<I", 0) + bytes(900))[:500]]
    for piece in pieces:
        s = real.raw()
        s.sendall(piece)
        time.sleep(0.3)
        s.close()
        with open(os.path.join(real.state, ".default.wire"), "w", encoding="utf-8") as f:
            f.write("1")
        assert "Domain-0" in real.ok("--timeout", "20", "xl", "list")


def test_what_a_killed_client_left(real):
    for _ in range(5):
        process = real.start("xl", "dmesg")
        time.sleep(0.02)
        process.kill()
        process.communicate()
        assert real.ok("xl", "echo", "mine") == "mine\n"

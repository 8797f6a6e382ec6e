# SPDX-License-Identifier: MIT
"""The host's program `tarn` against a fake QEMU that plays the wire badly (fake_qemu.py): whatever
comes, it ends in time, with a line that tells why, and never with a wrong answer."""
import os
import pty
import re
import signal
import subprocess
import tarfile
import termios
import time
import zlib

import pytest

from tarn import BUILD, ROOT, SCALE, die_with_parent

TARN = os.path.join(BUILD, "tools", "tarn")
FAKE = os.path.join(ROOT, "tests", "qemu", "fake_qemu.py")
FAILED = 125
pytestmark = pytest.mark.skipif(not os.path.exists(TARN), reason="tools/tarn is not built")


class Host:
    """`tarn` with a state folder of its own."""

    def __init__(self, folder):
        self.state = str(folder / "state")
        images = folder / "images"
        (images / "guests").mkdir(parents=True)
        for name in ("tarn.elf32", "guests/control.elf", "control.tar", "tarn.iso"):
            (images / name).write_bytes(b"")
        self.env = dict(os.environ, TARN_STATE=self.state, TARN_IMAGES=str(images), QEMU=FAKE)

    def start(self, *args, **kw):
        return subprocess.Popen([TARN, *args], env=dict(self.env, **kw.pop("env", {})), cwd=self.env["TARN_IMAGES"],
                                stdin=kw.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, preexec_fn=die_with_parent, **kw)

    def run(self, *args, env=None, input=None, limit=10):
        """(status, stdout, stderr)"""
        process = self.start(*args, env=env or {}, stdin=subprocess.PIPE)
        try:
            out, err = process.communicate(input, timeout=limit * SCALE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    def fails(self, *args, why, name="default", **kw):
        code, out, err = self.run(*args, **kw)
        assert code == FAILED, (code, out, err)
        assert re.search(why, err.split("\n")[0]), err
        assert err.startswith(f"tarn: machine {name}: " if name else "tarn: "), err
        return out

    def pid(self, name="default"):
        with open(os.path.join(self.state, name, "pid"), encoding="utf-8") as f:
            pid = int(f.read().split()[0])
        assert pid > 1
        return pid

    def words(self, name="default"):
        path = os.path.join(self.env["TARN_IMAGES"], name + ".words")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return f.read().split("\n")[:-1]

    def arguments(self, name="default"):
        with open(os.path.join(self.env["TARN_IMAGES"], name + ".arguments"), encoding="utf-8") as f:
            return f.read().split("\n")

    def machines(self):
        return sorted(n for n in os.listdir(self.state) if not n.startswith(".")) if os.path.exists(self.state) else []

    def kill_all(self):
        """By the command line, which names this test's own folder: process ids in files can't be trusted here."""
        ours = os.fsencode(self.env["TARN_IMAGES"])
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    cmdline = f.read()
                if ours in cmdline and os.fsencode(FAKE) in cmdline:
                    os.kill(int(entry), signal.SIGKILL)
            except OSError:
                pass


@pytest.fixture
def host(tmp_path):
    h = Host(tmp_path)
    yield h
    h.kill_all()


@pytest.fixture
def up(host):
    code, out, err = host.run("up")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"machine default is up: pid \d+, .*\n", out)
    return host


def gone(pid):
    end = time.time() + 5
    while time.time() < end:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                if f.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def until(happened):
    end = time.time() + 10 * SCALE
    while not happened():
        assert time.time() < end
        time.sleep(0.01)


def heard(process):
    """The signal that it was sent has been let in."""
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as f:
        return int(re.search(r"^ShdPnd:\s*(\w+)$", f.read(), re.M).group(1), 16) == 0


# ---- arguments

@pytest.mark.parametrize("args", [
    [], ["nonsense"], ["--nonsense", "up"], ["--name"], ["--name", "", "up"], ["--name", "a/b", "up"],
    ["--name", "..", "up"], ["--name", "-x", "up"], ["--name", "x" * 33, "up"], ["--timeout", "0", "up"],
    ["--timeout", "x", "up"], ["--timeout", "9999999999", "up"], ["up", "extra"], ["up", "--memory", "x"],
    ["up", "--memory", "1"], ["up", "--memory"], ["up", "--wait", "0"], ["up", "--icount=11"], ["up", "--gdb=0"],
    ["up", "--dom", "/nonexistent"], ["up", "--iso", "--append", "x"], ["put"], ["put", "a", "b", "c"],
    ["put", "/nonexistent"], ["create"], ["create", "/nonexistent"], ["console"], ["console", "a", "b"],
    ["console", ""], ["log", "x"], ["status", "x"], ["down", "x"],
])
def test_bad_arguments(host, args):
    code, out, err = host.run(*args)
    assert code == FAILED and not out
    assert re.match(r"tarn: .", err)
    assert not host.machines()


def test_help_and_version(host):
    code, out, _ = host.run("help")
    assert code == 0 and "tarn [--name NAME]" in out
    code, out, _ = host.run("--version")
    assert code == 0 and re.match(r"tarn \S+\n$", out)


@pytest.mark.parametrize("command", [["xl", "list"], ["put", FAKE], ["create", FAKE], ["console", "x"], ["log"], ["down"]])
def test_no_machine(host, command):
    host.fails(*command, why="not up")


# ---- start and end

def test_life(up):
    pid = up.pid()
    code, out, _ = up.run("status")
    assert code == 0 and re.search(rf"^default +{pid} .* answers$", out, re.M)
    up.fails("up", why="up already")
    assert up.run("log") == (0, "booted\n", "")
    assert up.run("down")[0] == 0
    assert gone(pid) and not up.machines()
    code, out, _ = up.run("--name", "default", "status")
    assert code == 1 and "not up" in out


def test_arguments_of_qemu(host):
    code, out, err = host.run("up", "--smp", "3", "--memory", "99", "--icount=4", "--gdb=4321", "--cpu", "abc",
                              "--append", "loglvl=all")
    assert code == 0, err
    args = host.arguments()
    pairs = dict(zip(args, args[1:]))
    assert (pairs["-smp"], pairs["-m"], pairs["-cpu"]) == ("3", "99", "abc")
    assert pairs["-icount"] == "shift=4,sleep=off" and pairs["-gdb"] == "tcp:127.0.0.1:4321"
    assert "kvm" not in pairs["-accel"] and pairs["-append"].endswith(" loglvl=all")
    assert host.run("--name", "iso", "up", "--iso")[0] == 0
    assert "-cdrom" in host.arguments("iso") and "-kernel" not in host.arguments("iso")


def test_several_machines(host):
    for name in ("a", "b"):
        assert host.run("--name", name, "up")[0] == 0
    assert host.run("--name", "b", "xl", "say", "b")[1] == "b\n"
    code, out, _ = host.run("status")
    assert code == 0 and len(re.findall(r"^[ab] .*answers$", out, re.M)) == 2
    os.kill(host.pid("a"), signal.SIGKILL)
    assert gone(host.pid("a"))
    code, out, _ = host.run("status")
    assert code == 1 and re.search(r"^a .*ended$", out, re.M) and re.search(r"^b .*answers$", out, re.M)
    assert host.run("--name", "a", "log")[1] == "booted\n"
    assert host.run("--name", "a", "up")[0] == 0
    assert host.run("--name", "a", "down")[0] == 0
    assert host.machines() == ["b"]


@pytest.mark.parametrize("mode, why, more", [
    ("exit", "QEMU ended with status 1", "that option does not exist"),
    ("silent", "did not answer within 2 seconds|no answer|not answer", ""),
    ("deaf", "did not answer within 2 seconds", "PANIC of the fake"),
    ("garbage", "did not answer within 2 seconds", "PANIC of the fake"),
])
def test_up_fails(host, mode, why, more):
    code, out, err = host.run("up", "--wait", "2", env={"FAKE_UP": mode})
    assert code == FAILED and not out
    assert re.search(why, err.split("\n")[0]) and more in err
    assert not host.machines()
    assert subprocess.run(["pgrep", "-f", f"{FAKE} -name tarn-default .*{host.env['TARN_IMAGES']}"],
                          check=False, stdout=subprocess.PIPE).stdout == b""


def test_no_qemu(host):
    host.fails("up", why="QEMU ended with status 127", env={"QEMU": "/nonexistent/qemu"})
    assert not host.machines()


def test_interrupted_up(host):
    process = host.start("up", env={"FAKE_UP": "deaf"})
    until(lambda: os.path.exists(os.path.join(host.env["TARN_IMAGES"], "default.arguments")))
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == FAILED
    assert not host.machines()


def test_foreign_folders(host):
    os.mkdir(host.state)
    os.chmod(host.state, 0o755)
    host.fails("status", why="open to other users", name=None)
    os.chmod(host.state, 0o700)
    if os.geteuid() == 0:
        os.chown(host.state, 12345, 12345)
        host.fails("up", why="another user", name=None)
        os.chown(host.state, 0, 0)
    os.rmdir(host.state)
    with open(host.state, "w", encoding="utf-8"):
        pass
    host.fails("up", why="not a folder", name=None)


def test_long_path(host, tmp_path):
    """Longer than the address of a socket can be."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    host.state = host.env["TARN_STATE"] = str(deep / "state")
    assert host.run("up")[0] == 0
    assert host.run("xl", "say", "far")[1] == "far\n"


def test_stale_pid(up):
    """A stranger has the process id of a machine that ended."""
    os.kill(up.pid(), signal.SIGKILL)
    path = os.path.join(up.state, "default", "pid")
    with open(path, encoding="utf-8") as f:
        rest = f.read().split()[1:]
    with open(path, "w", encoding="utf-8") as f:
        f.write(" ".join([str(os.getpid())] + rest) + "\n")
    up.fails("xl", "say", "x", why="has ended")
    assert up.run("down")[0] == 0 and not up.machines()


@pytest.mark.parametrize("text", ["", "x", "-1 0 0 tcg", "99999999999999999999 1 1 tcg"])
def test_bad_pid_file(up, text):
    pid = up.pid()
    path = os.path.join(up.state, "default", "pid")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    up.fails("xl", "say", "x", why="has ended")
    os.kill(pid, signal.SIGKILL)


def test_down_of_a_hung_machine(up):
    pid = up.pid()
    up.fails("--timeout", "1", "xl", "hang", why="no answer")
    code, _, err = up.run("--timeout", "1", "down", limit=20)
    assert code == 0 and "killed" in err
    assert gone(pid) and not up.machines()


def test_down_of_a_stopped_qemu(up):
    pid = up.pid()
    os.kill(pid, signal.SIGSTOP)
    up.fails("--timeout", "1", "xl", "say", "x", why="no answer within 1 seconds")
    assert up.run("--timeout", "1", "down", limit=20)[0] == 0
    assert gone(pid)


# ---- answers

def test_answers(up):
    assert up.run("xl", "say", "a b", "c") == (0, "a b c\n", "")
    assert up.run("xl", "status", "42") == (42, "", "")
    assert up.run("xl", "status", "256")[0] == 255
    assert up.run("xl", "nonsense") == (2, "", "error: unknown command\n")
    words = ["x" * 100] * 100
    assert up.run("xl", "count", *words) == (0, str(5 + 10000), "")
    assert up.run("xl", "say", "x" * 20000)[0] == FAILED
    assert up.run("xl", "say", "still there")[1] == "still there\n"


WRONG = {
    "die": "has ended",
    "hang": "no answer within 1 seconds",
    "lose": "connection is lost",
    "garbage": "garbage",
    "garbage-forever": "garbage",
    "stale-forever": "no answer",
    "damaged-out": "damaged",
    "damaged-first": "damaged",
    "damaged-header": "damaged",
    "damaged-exit": "damaged",
    "short-exit": "malformed",
    "strange": "unknown kind",
    "half": "no answer",
    "drip": "no answer",
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_answers(up, what):
    start = time.time()
    up.fails("--timeout", "1", "xl", what, why=WRONG[what])
    assert time.time() - start < 5 * SCALE


@pytest.mark.parametrize("what", ["garbage", "damaged-out", "damaged-header", "damaged-exit", "short-exit", "strange", "lose"])
def test_after_a_wrong_answer(up, what):
    """The next command starts anew and is answered right."""
    up.fails("--timeout", "1", "xl", what, why=".")
    assert up.run("xl", "say", "again") == (0, "again\n", "")


def test_stale_answers_are_not_ours(up):
    assert up.run("xl", "stale") == (5, "right\n", "")


def test_a_guest_prints_frames(up):
    code, out, err = up.run("xl", "evil")
    assert code == 7 and err == "" and out.count("lie") == 20


def test_signs_of_life_extend_the_limit(up):
    assert up.run("--timeout", "1", "xl", "alive", "12") == (0, "done\n", "")


def test_interruption(up):
    process = up.start("xl", "cancel")
    assert process.stdout.readline() == b"waiting\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130
    assert up.run("xl", "say", "x")[1] == "x\n"


def test_interruption_of_a_hung_machine(up):
    process = up.start("xl", "hang")
    until(lambda: up.words() == ["hang"])
    process.send_signal(signal.SIGINT)
    until(lambda: heard(process))
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == FAILED


def test_a_killed_client(up):
    """The one after it gets its own answer."""
    process = up.start("xl", "flood", "100000")
    process.stdout.readline()
    process.kill()
    process.communicate()
    assert up.run("xl", "say", "mine") == (0, "mine\n", "")


def test_a_reader_that_leaves(up):
    process = up.start("xl", "flood", "100000")
    assert process.stdout.readline() == b"0\n"
    process.stdout.close()
    assert process.wait(20) in (141, FAILED)
    assert up.run("xl", "say", "mine") == (0, "mine\n", "")


def test_full_disk(up):
    with open("/dev/full", "w", encoding="utf-8") as full:
        process = subprocess.run([TARN, "xl", "say", "x"], env=up.env, stdout=full, stderr=subprocess.PIPE,
                                 timeout=20, check=False)
    assert process.returncode == FAILED and b"written" in process.stderr


def test_commands_take_turns(up):
    first = up.start("xl", "alive", "5")
    until(lambda: up.words() == ["alive 5"])
    assert up.run("xl", "say", "second") == (0, "second\n", "")
    assert first.wait(5) == 0
    first = up.start("xl", "alive", "20")
    until(lambda: up.words()[-1] == "alive 20")
    up.fails("--timeout", "1", "xl", "say", "x", why="another tarn command")
    first.kill()
    first.communicate()


# ---- files

@pytest.mark.parametrize("size", [0, 1, 1019, 1020, 1021, 100000])
def test_put(up, tmp_path, size):
    path = tmp_path / "file"
    data = os.urandom(size)
    path.write_bytes(data)
    assert up.run("put", str(path), "as this") == (0, "", "")
    if size:
        assert up.words()[-1] == f"put as this {zlib.crc32(data)}"


def test_put_refused(up, tmp_path):
    path = tmp_path / "refused"
    path.write_bytes(bytes(1000000))
    up.fails("put", str(path), why=r"refused: not \? that one")
    up.fails("put", str(tmp_path), why="not a file", name=None)
    up.fails("put", str(path), "x" * 128, why="1 to 127", name=None)
    assert up.run("xl", "say", "fine")[1] == "fine\n"


def test_create(up, tmp_path):
    (tmp_path / "a.elf").write_bytes(b"kernel")
    (tmp_path / "rd").write_bytes(b"ramdisk")
    (tmp_path / "d.cfg").write_text("# kernel = 'no'\nname = 'x'; kernel = \"a.elf\" # x\nextra='kernel=\"b\"'\n"
                                    "ramdisk='on the machine'\n")
    assert up.run("create", str(tmp_path / "d.cfg"), 'name="y"') == (0, "", "")
    words = up.words()
    assert words[0] == f"put a.elf {zlib.crc32(b'kernel')}"
    assert words[1].startswith("put ") and words[2] == f'create {words[1].split()[1]} name="y"'
    assert up.run("create", str(tmp_path / "d.cfg"), f'ramdisk="{tmp_path}/rd"')[0] == 0
    assert [w for w in up.words() if w.startswith(f"put {tmp_path}/rd ")]


def test_up_with_domains(host, tmp_path):
    (tmp_path / "d.cfg").write_text("name='x'\n")
    assert host.run("up", "--dom", str(tmp_path / "d.cfg"), "--dom", str(tmp_path / "d.cfg"))[0] == 0
    assert len([w for w in host.words() if w.startswith("create ")]) == 2


def test_up_with_files(host, tmp_path):
    """What is brought along is in the archive, behind what was there, and does not go over the line."""
    with tarfile.open(tmp_path / "old.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(FAKE, "there")
    os.replace(tmp_path / "old.tar", os.path.join(host.env["TARN_IMAGES"], "control.tar"))
    kernel, long = bytes(range(256)) * 9000, tmp_path / ("d" * (110 - len(str(tmp_path)))) / "name"
    long.parent.mkdir()
    long.write_bytes(b"long")
    (tmp_path / "k").write_bytes(kernel)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "d.cfg").write_text(f"kernel='k'\nramdisk='{long}'\n")
    assert host.run("up", "--file", str(tmp_path / "empty"), "--dom", str(tmp_path / "d.cfg"))[0] == 0
    brought = [w.split()[1:] for w in host.words() if w.startswith("brought ")]
    assert [name for name, _ in brought] == ["there", "empty", "k", str(long), str(tmp_path / "d.cfg")]
    assert [int(crc) for _, crc in brought[1:4]] == [0, zlib.crc32(kernel), zlib.crc32(b"long")]
    assert not [w for w in host.words() if w.startswith("put ")]
    assert any(argument.startswith("dom0_mem=98M ") for argument in host.arguments())
    assert not os.path.exists(os.path.join(host.state, "default", "files.tar"))


def test_up_with_files_that_cannot_be_brought(host, tmp_path):
    long = tmp_path / ("x" * 120)
    long.write_bytes(b"")
    for path, why in ((long, "too long a name"), (tmp_path / "none", "No such file"), (tmp_path, "not a file")):
        host.fails("up", "--file", str(path), why=why, name=None)
        assert not host.machines()


# ---- consoles

def test_console_without_a_terminal(up):
    assert up.run("console", "guest") == (0, "a line\nanother\n", "")
    assert up.run("console", "guest", input=b"more\n") == (0, "a line\nanother\nmore\n", "")
    up.fails("console", "nobody", why="no such domain")


def test_console_of_domain_0(up):
    assert up.run("console", "Domain-0", input=b"help\n") == (0, "you said help\n", "")


def test_console_on_a_terminal(up):
    """Keys go through; ^] leaves and the terminal is as before."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    process = up.start("console", "guest", stdin=slave)
    assert process.stdout.readline() == b"a line\n" and process.stdout.readline() == b"another\n"
    until(lambda: termios.tcgetattr(slave) != before)
    os.write(master, b"k\x03\r")
    assert process.stdout.read(3) == b"k\x03\r"
    os.write(master, b"\x1d")
    assert process.wait(5) == 0
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_log_follows(up):
    process = up.start("log", "-f")
    assert process.stdout.readline() == b"booted\n"
    assert up.run("down")[0] == 0
    assert process.wait(5) == 0

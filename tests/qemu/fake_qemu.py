#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Stands in for QEMU and the control domain, and plays the wire badly, for tests of tools/tarn.

It makes the sockets that QEMU would make and answers requests; the first word of a command tells
what to do wrong. FAKE_UP, from the environment: exit, silent, deaf or garbage instead of a start.
"""
import os
import re
import socket
import struct
import sys
import tarfile
import threading
import time
import zlib

HELLO, EXEC, EXEC_MORE, PUT, PUT_NAME, CONSOLE, CANCEL = range(1, 8)
OUT, ERR, DATA, ALIVE, EXIT, REFUSED = range(16, 22)


def frame(kind, seq, payload=b""):
    header = struct.pack("<BBBBIH", 0xa5, 0x7e, kind, 0, seq, len(payload))
    return (header + struct.pack("<H", zlib.crc32(header) & 0xffff) + payload
            + struct.pack("<I", zlib.crc32(payload)))


def damaged(data, at=-1):
    data = bytearray(data)
    data[at] ^= 1
    return bytes(data)


def status(seq, value):
    return frame(EXIT, seq, struct.pack("<I", value))


def note(what):
    """A file of the test's, outside of the machine's folder."""
    return os.path.join(os.environ["TARN_IMAGES"], os.path.basename(os.getcwd()) + "." + what)


def words_log(words):
    with open(note("words"), "ab") as f:
        f.write(b" ".join(words) + b"\n")


class Machine:
    def __init__(self):
        self.files, self.stored = {}, {}
        self.definitions, self.generation, self.dump = {}, 0, "whole"
        self.log = open("log", "ab", buffering=0)
        self.wire = self.listen("wire")
        self.serial = self.listen("com1")
        self.printed = b"a line\nanother\n"

    @staticmethod
    def listen(path):
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        s.listen(1)
        return s

    def run(self):
        threading.Thread(target=self.shell, daemon=True).start()
        self.log.write(b"booted\n")
        while True:
            self.client = self.wire.accept()[0]
            try:
                self.buffer = b""
                while True:
                    self.serve(*self.next())
            except (EOFError, OSError):
                pass
            self.client.close()

    def shell(self):
        while True:
            client = self.serial.accept()[0]
            while data := client.recv(100):
                client.sendall(b"you said " + data)

    def next(self):
        while True:
            while len(self.buffer) >= 12:
                length = struct.unpack("<H", self.buffer[8:10])[0]
                check = struct.unpack("<H", self.buffer[10:12])[0]
                if zlib.crc32(self.buffer[:10]) & 0xffff != check or self.buffer[0] != 0xa5:
                    self.buffer = self.buffer[1:]
                    continue
                if len(self.buffer) < 16 + length:
                    break
                kind, seq = self.buffer[2], struct.unpack("<I", self.buffer[4:8])[0]
                payload, self.buffer = self.buffer[12:12 + length], self.buffer[16 + length:]
                return kind, seq, payload
            data = self.client.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data

    def send(self, *frames):
        self.client.sendall(b"".join(frames))

    def serve(self, kind, seq, payload):
        if kind == HELLO:
            self.send(frame(DATA, seq, struct.pack("<I", 1) + b"fake"), status(seq, 0))
        elif kind == EXEC_MORE:
            self.files[seq] = self.files.get(seq, b"") + payload
        elif kind == EXEC:
            words = (self.files.pop(seq, b"") + payload).split(b"\0")[:-1]
            words_log(words)
            getattr(self, "do_" + words[0].decode().replace("-", "_"), self.do_unknown)(seq, words)
        elif kind == PUT_NAME:
            self.put_name(seq, payload)
        elif kind == PUT:
            self.put(seq, payload)
        elif kind == CONSOLE:
            self.console(seq, payload)

    # ---- files and consoles

    def put_name(self, seq, payload):
        self.size, = struct.unpack("<I", payload[:4])
        self.name, self.content = payload[4:].decode(), b""
        if self.name == "refused":
            self.send(frame(REFUSED, seq, b"not \x1b that one"))
            self.name = None
        elif not self.size:
            self.send(status(seq, 0))

    def put(self, seq, payload):
        if self.name is None:
            return
        assert struct.unpack("<I", payload[:4])[0] == len(self.content)
        self.content += payload[4:]
        if len(self.content) == self.size:
            words_log([b"put", self.name.encode(), str(zlib.crc32(self.content)).encode()])
            self.stored[self.name] = self.content
            self.send(status(seq, 0))

    def console(self, seq, payload):
        position, length = struct.unpack("<QH", payload[:10])
        name, keys = payload[10:10 + length], payload[10 + length:]
        if name != b"guest":
            self.send(frame(REFUSED, seq, b"no such domain"))
            return
        taken = keys[:3]
        self.printed += taken
        position = 0 if position == 2 ** 64 - 1 else position
        self.send(frame(DATA, seq, struct.pack("<Q", position) + self.printed[position:]),
                  frame(EXIT, seq, struct.pack("<IQH", 0, len(self.printed), len(taken))))

    # ---- definitions

    def define(self, text):
        """Its name, or None."""
        name = re.search(rb'^name *= *"([^"]*)"', text, re.M)
        if not name or b"bad" in text:
            return None
        self.definitions[name.group(1)] = text
        self.generation += 1
        return name.group(1)

    def do_definitions(self, seq, words):
        option = words[1]
        if option == b"-l":
            bad = [n.encode() for n, text in self.stored.items() if n.startswith("definitions/") and not self.define(text)]
            self.send(*[frame(ERR, seq, b"error: definitions: %s: bad\n" % n) for n in bad], status(seq, bool(bad)))
            return
        out = b"%d\n" % self.generation
        if option == b"-d":
            out = b"generation " + out + b"".join(b"definition %s %d\n%s\n" % (n, len(t), t)
                                                  for n, t in sorted(self.definitions.items())) + b"end\n"
            out = {"whole": out, "cut": out[:-4], "short": out[:len(out) // 2], "empty": b"", "name": out.replace(b"definition ", b"definition ../"),
                   "long": out.replace(b"definition ", b"definition x 99999999 "), "more": out + b"x"}.get(self.dump, out)
        if self.dump == "fails":
            self.send(status(seq, 2))
            return
        self.send(*[frame(OUT, seq, out[at:at + 1000]) for at in range(0, len(out), 1000)], status(seq, 0))

    def do_virsh(self, seq, words):
        word, rest = words[1], words[2:]
        ok = True
        if word == b"define":
            text = self.stored.get(rest[0].decode())
            name = self.define(text) if text is not None else None
            ok = name is not None
            said = b"Domain '%s' defined from %s\n\n" % (name or b"", rest[0])
        elif word == b"undefine":
            ok = self.definitions.pop(rest[0], None) is not None
            self.generation += ok
            said = b"Domain '%s' has been undefined\n\n" % rest[0]
        elif word == b"append":  # stands for schedinfo --config and its like
            self.definitions[rest[0]] += rest[1] + b"\n"
            self.generation += 1
            said = b""
        else:
            said = b" ".join(words) + b"\n"
        self.send(frame(OUT, seq, said) if ok else frame(ERR, seq, b"error: no\n"), status(seq, not ok))

    def do_dump(self, seq, words):
        self.dump = words[1].decode()
        self.send(status(seq, 0))

    # ---- commands

    def do_unknown(self, seq, words):
        self.send(frame(ERR, seq, b"error: unknown command\n"), status(seq, 2))

    def do_say(self, seq, words):
        self.send(frame(OUT, seq, b" ".join(words[1:]) + b"\n"), status(seq, 0))

    def do_count(self, seq, words):
        self.send(frame(OUT, seq, str(sum(map(len, words))).encode()), status(seq, 0))

    def do_create(self, seq, words):
        self.send(status(seq, 0))

    def do_status(self, seq, words):
        self.send(status(seq, int(words[1])))

    def do_poweroff(self, seq, words):
        os._exit(0)

    def do_die(self, seq, words):
        self.send(frame(OUT, seq, b"half of"))
        os._exit(3)

    def do_hang(self, seq, words):
        time.sleep(1000)

    def do_lose(self, seq, words):
        raise EOFError

    def do_garbage(self, seq, words):
        self.send(os.urandom(300) + status(seq, 0))

    def do_garbage_forever(self, seq, words):
        while True:
            self.send(bytes(1000))

    def do_stale_forever(self, seq, words):
        while True:
            self.send(status(seq ^ 1, 0))
            time.sleep(0.05)

    def do_stale(self, seq, words):
        self.send(frame(OUT, seq ^ 1, b"wrong"), status(seq ^ 1, 0), frame(REFUSED, seq + 1 & 0xffffffff, b"no"),
                  frame(OUT, seq, b"right\n"), status(seq, 5))

    def do_damaged_out(self, seq, words):
        self.send(frame(OUT, seq, b"first\n"), damaged(frame(OUT, seq, b"second\n")), status(seq, 0))

    def do_damaged_first(self, seq, words):
        self.send(damaged(frame(OUT, seq, b"first\n"), 14), status(seq, 0))

    def do_damaged_header(self, seq, words):
        self.send(damaged(frame(OUT, seq, b"first\n"), 5), status(seq, 0))

    def do_damaged_exit(self, seq, words):
        self.send(frame(OUT, seq, b"first\n"), damaged(status(seq, 0)))

    def do_short_exit(self, seq, words):
        self.send(frame(EXIT, seq, b"\0\0"))

    def do_strange(self, seq, words):
        self.send(frame(99, seq, b"what"))

    def do_half(self, seq, words):
        self.send(frame(OUT, seq, b"x" * 500)[:300])
        time.sleep(1000)

    def do_drip(self, seq, words):
        for byte in frame(OUT, seq, b"x" * 1000):
            self.send(bytes([byte]))
            time.sleep(0.1)

    def do_alive(self, seq, words):
        for _ in range(int(words[1])):
            time.sleep(0.2)
            self.send(frame(ALIVE, seq))
        self.send(frame(OUT, seq, b"done\n"), status(seq, 0))

    def do_evil(self, seq, words):
        """A guest prints what looks like an answer, with every likely number."""
        lie = b"".join(status(n, 0) + frame(OUT, n, b"lie") for n in range(20))
        self.send(frame(OUT, seq, lie), status(seq, 7))

    def do_cancel(self, seq, words):
        self.send(frame(OUT, seq, b"waiting\n"))
        while True:
            kind, of, _ = self.next()
            if (kind, of) == (CANCEL, seq):
                self.send(status(seq, 130))
                return

    def do_flood(self, seq, words):
        for n in range(int(words[1])):
            self.send(frame(OUT, seq, b"%d\n" % n))
        self.send(status(seq, 0))


def main():
    mode = os.environ.get("FAKE_UP", "")
    with open(note("arguments"), "w", encoding="utf-8") as f:
        f.write("\n".join(sys.argv[1:]) + "\n")
    brought = {}
    if os.path.exists("files.tar"):
        with tarfile.open("files.tar") as archive:
            for member in archive:
                brought[member.name] = archive.extractfile(member).read()
                words_log([b"brought", member.name.encode(), str(zlib.crc32(brought[member.name])).encode()])
    if mode == "exit":
        sys.exit("fake: that option does not exist")
    machine = Machine()
    machine.stored.update(brought)
    if mode == "silent":
        time.sleep(1000)
    if mode in ("deaf", "garbage"):
        machine.log.write(b"PANIC of the fake\n")
        while True:
            client = machine.wire.accept()[0]
            try:
                while mode == "deaf" or client.send(os.urandom(100)):
                    time.sleep(0.01)
            except OSError:
                pass
    machine.run()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""The lines of a machine's serial line, for the scripts that boot one and judge what it says."""
import os
import selectors
import time


def serial_lines(qemu, deadline, log=None):
    """Yields each whole line of qemu's standard output, without its newline, until that ends.

    TimeoutError once time.monotonic() has reached the deadline. log: a file that gets all bytes.
    """
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(qemu.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if not selector.select(0.2):
                continue
            data = os.read(qemu.stdout.fileno(), 65536)
            if not data:
                return
            if log:
                log.write(data)
            *whole, rest = (rest + data).split(b"\n")
            for raw in whole:
                yield raw.decode(errors="replace")
    raise TimeoutError

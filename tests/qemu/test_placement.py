# SPDX-License-Identifier: MIT
"""libvirt's placement rules on a machine: where vcpus and the emulator of a domain are, by cpuset, vcpupin, emulatorpin
and an adviser who always says CPUs 6 and 7; and, by the trace, that they are nowhere else."""
import os
import re

import pytest

import xentrace
from lab import Lab

CPUS = 8
ALL, N, C, PV, E = "all", "6-7", "2-5", "3", "0"
# what is given: cpuset 2-5, vcpupin of vcpu 1 to 3, emulatorpin 0; where vcpu 1 and the emulator are, by three modes
ROWS = [
    ((0, 0, 0), (ALL, ALL), (N, N), (N, N)),
    ((0, 0, 1), (ALL, E), (N, E), None),
    ((0, 1, 0), (PV, ALL), (PV, N), (PV, N)),
    ((0, 1, 1), (PV, E), (PV, E), None),
    ((1, 0, 0), (C, C), (N, N), (N, N)),
    ((1, 0, 1), (C, E), (N, E), None),
    ((1, 1, 0), (PV, C), (PV, N), (PV, N)),
    ((1, 1, 1), (PV, E), (PV, E), None),
]
MODES = {"static": ['placement="static"'], "auto": ['placement="auto"'], "2012": ['placement="auto"', 'place="2012"']}


@pytest.fixture(scope="module")
def advised():
    with Lab(shift=2, cpus=CPUS, pools=False) as m:
        m.run("put", m.file("advice", "6-7\n"))
        yield m


@pytest.fixture
def machine(advised):
    yield advised
    advised.xl("destroy", "d", status=None)


def hard(lab, name):
    """{vcpu: the CPUs that vcpu-list shows as its hard affinity}"""
    rows = re.findall(rf"^{name} +\d+ +(\d+) .*?\s(\S+) / \S+$", lab.out("vcpu-list", name), re.M)
    return {int(vcpu): cpus for vcpu, cpus in rows}


def given(row):
    return [word for word, there in zip(('cpuset="2-5"', 'vcpupin=["1:3"]', 'emulatorpin="0"'), row) if there]


@pytest.mark.parametrize("mode", MODES)
def test_table(machine, mode):
    for row, *wants in ROWS:
        want = wants[list(MODES).index(mode)]
        words = ["burn.cfg", 'name="d"', "vcpus=2", 'extra="vcpus=2"', 'emulator="stub.cfg"', *MODES[mode], *given(row)]
        done = machine.xl("create", "-p", *words, status=None)
        if want is None:
            assert done.returncode and "emulatorpin" in done.stderr, row
            continue
        assert done.returncode == 0, done.stderr
        assert ("cpuset" in done.stderr) == bool(row[0] and mode != "static"), done.stderr
        vcpus, emulator = hard(machine, "d"), hard(machine, "d-emu")
        machine.xl("destroy", "d")
        without_pin = ROWS[4 * row[0]][1 + list(MODES).index(mode)][0]
        assert (vcpus, emulator) == ({0: without_pin, 1: want[0]}, {0: want[1]}), row


def ran_on(trace, dom, vcpu):
    return {cpu for _, _, cpu in trace.placements(dom, vcpu)}


def record(lab, ms=300):
    path = os.path.join(lab.folder, "trace")
    lab.xl("measure", "100")  # a vcpu that has just been told where to be is there by now
    lab.xl("trace", "start", "-e", "runstate", "-M", "16")
    lab.xl("measure", str(ms))
    lab.xl("trace", "stop")
    lab.run("--timeout", "90", "trace", "save", path, timeout=120)
    trace = xentrace.read(path, float(lab.info("cpu_mhz")) * 1e6)
    lab.xl("trace", "clear")
    assert trace.records and not trace.lost
    return trace


def test_story(machine):
    """Four vcpus on 2-5, one of them on 3, the emulator on 0; then one more vcpu, and pin after pin is taken away."""
    machine.xl("create", "client.cfg", 'name="d"', "vcpus=4", "maxvcpus=5", 'extra="rate=200 burn"', 'emulator="stub.cfg"',
               'emulator_disk=["2048"]', 'cpuset="2-5"', 'vcpupin=["1:3"]', 'emulatorpin="0"')
    client, stub = (int(machine.out("domid", n)) for n in ("d", "d-emu"))
    trace = record(machine)
    for v in (0, 2, 3):
        assert ran_on(trace, client, v) and ran_on(trace, client, v) <= {2, 3, 4, 5}
    assert ran_on(trace, client, 1) == {3}
    assert ran_on(trace, stub, 0) == {0}

    machine.xl("vcpu-set", "-i", "d", "5")
    trace = record(machine)
    assert ran_on(trace, client, 4) and ran_on(trace, client, 4) <= {2, 3, 4, 5}

    machine.xl("virsh", "vcpupin", "d", "1", "r", "--live")
    assert hard(machine, "d")[1] == "2-5"
    assert ran_on(record(machine), client, 1) <= {2, 3, 4, 5}
    machine.xl("virsh", "emulatorpin", "d", "r", "--live")
    assert hard(machine, "d-emu") == {0: "2-5"}
    trace = record(machine)
    assert ran_on(trace, stub, 0) and ran_on(trace, stub, 0) <= {2, 3, 4, 5}


def test_unplugged(machine):
    """Who comes back is where the cpuset says, not where it was pinned."""
    machine.xl("create", "burn.cfg", 'name="d"', "vcpus=2", 'extra="vcpus=2 seconds=1000000"', 'cpuset="2-3"',
               'vcpupin=["1:5"]')
    assert hard(machine, "d") == {0: "2-3", 1: "5"}
    machine.xl("virsh", "setvcpus", "d", "1", "--live")
    machine.xl("virsh", "setvcpus", "d", "2", "--live")
    assert hard(machine, "d") == {0: "2-3", 1: "2-3"}


def test_no_such_cpu(machine):
    """A definition may name CPUs that the machine has not; a start can't."""
    for words, said in ((['cpuset="2-9"'], "CPU 8"), (['vcpupin=["0:8"]'], "CPU 8"), (['emulatorpin="200"'], "CPU 200")):
        done = machine.xl("create", "burn.cfg", 'name="d"', 'emulator="stub.cfg"', *words, status=1)
        assert said in done.stderr
    assert "d-emu" not in machine.out("list")

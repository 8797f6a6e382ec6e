# SPDX-License-Identifier: MIT
"""Fixtures: `boot` starts machines and makes sure they end; `topology` goes over machine layouts.

And who runs beside whom, when tests run several at a time (tools/run-pytest.sh): tests that share a machine run in one
process, one after the other, and a test marked `alone` has the host for itself. That mark is for machines several of
whose CPUs compute at once, each in a thread of the host's, and for whoever looks at the host's clock."""
import fcntl
import os
import re
from collections import namedtuple

import pytest

import tarn
from lab import Lab

Cpu = namedtuple("Cpu", "socket core thread apic")

WORKER = "PYTEST_XDIST_WORKER" in os.environ  # one of several processes, between which tests are shared out


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: no other test may run beside it")
    os.makedirs(os.path.join(tarn.BUILD, "results"), exist_ok=True)


def shares_a_machine(item):
    """It uses a fixture of its module; pytest doesn't say so of one behind a lab that a module makes its own."""
    found = [d for defs in item._fixtureinfo.name2fixturedefs.values() for d in defs]
    return "lab" in item.fixturenames or any(d.scope == "module" for d in found)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What takes long first, so that nobody waits for it in the end; whoever must be alone last."""
    if not WORKER:
        return
    for item in items:
        if shares_a_machine(item):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))

    def turn(item):
        if item.get_closest_marker("xdist_group"):
            return 0
        return 3 if item.get_closest_marker("alone") else 2 if "boot" in item.fixturenames else 1

    items.sort(key=turn)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Who is to be alone waits until no other process is at a test, and these wait for it."""
    if not WORKER:
        yield
        return
    with open(os.path.join(tarn.BUILD, "results", "alone.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        yield


class Topology:
    """A -smp string and what QEMU makes of it."""

    def __init__(self, smp, sockets, cores, threads):
        self.smp, self.sockets, self.cores, self.threads = smp, sockets, cores, threads

    def cpus(self):
        """In the order in which tarn must number them. APIC ids have bit fields: cores=3 leaves holes."""
        thread_bits = (self.threads - 1).bit_length()
        core_bits = (self.cores - 1).bit_length()
        return [Cpu(s, c, t, (((s << core_bits) | c) << thread_bits) | t)
                for s in range(self.sockets) for c in range(self.cores) for t in range(self.threads)]


TOPOLOGIES = [
    Topology("1", 1, 1, 1),
    Topology("2", 1, 2, 1),
    Topology("8,sockets=2,cores=2,threads=2", 2, 2, 2),
    Topology("12,sockets=2,cores=3,threads=2", 2, 3, 2),
    Topology("5", 1, 5, 1),
    Topology("64", 1, 64, 1),
]
# A test that takes `topology` runs on all of them, one that takes `small_topology` not on 64 CPUs.
SMALL = TOPOLOGIES[:-1]


@pytest.fixture(params=TOPOLOGIES, ids=[t.smp for t in TOPOLOGIES])
def topology(request):
    return request.param


@pytest.fixture(params=SMALL, ids=[t.smp for t in SMALL])
def small_topology(request):
    return request.param


@pytest.fixture
def boot(request):
    """boot(smp=..., modules=[...]) -> a started Tarn; its serial line is kept in results/."""
    machines = []
    logs = os.path.join(tarn.BUILD, "results", "serial")
    os.makedirs(logs, exist_ok=True)
    name = re.sub(r"[^\w=,-]+", "_", request.node.name)

    def start(**kw):
        suffix = f".{len(machines)}" if machines else ""
        machine = tarn.Tarn(log=os.path.join(logs, f"{name}{suffix}.log"), **kw)
        machines.append(machine)
        return machine.start()

    yield start
    for machine in machines:
        machine.kill()


@pytest.fixture
def boot_iso(boot, tmp_path):
    """The same through GRUB and Multiboot 2: boot_iso(cmdline=..., modules=[...], smp=...)."""

    def start(cmdline="", modules=(), **kw):
        iso = str(tmp_path / "tarn.iso")
        tarn.make_iso(iso, cmdline, modules)
        return boot(iso=iso, **kw)

    return start


@pytest.fixture(params=["multiboot1", "multiboot2"])
def boot_both(request, boot, boot_iso):
    """boot(), once through QEMU's -kernel and once through GRUB."""
    return boot if request.param == "multiboot1" else boot_iso


@pytest.fixture(scope="module")
def machine_of_module(request):
    """One Lab for all tests of a module, made by its LAB, if it has one."""
    with Lab(**getattr(request.module, "LAB", {})) as m:
        yield m


@pytest.fixture
def lab(machine_of_module):
    yield machine_of_module
    machine_of_module.clear()

# SPDX-License-Identifier: MIT
"""Whose time is the work that an emulator does for its client? Isolated: its own, and the client's vcpus have what they
have whatever it does. Shared: the client's, and both together keep within the client's cap."""
import re

import pytest

from lab import FULL, close

WINDOW = 20000 if FULL else 4000
RATE = 250  # requests in a second; with 4 ms of CPU time for each the emulator is busy all the time


@pytest.fixture(scope="module")
def emulators(machine_of_module):
    """Domain files of emulators by what a request costs."""
    for us in (0, 4000):
        text = f'name = "stub"\nkernel = "stub.elf"\nmemory = 16\nextra = "cost={us}"\n'
        machine_of_module.run("put", machine_of_module.file(f"stub{us}.cfg", text))
    return {us: f"stub{us}.cfg" for us in (0, 4000)}


def client(lab, name, pool, stub, *words, vcpus=2, rate=RATE, **keys):
    return lab.domain("client.cfg", name, pool, f'emulator="{stub}"', 'emulator_disk=["2048"]', *words, vcpus=vcpus,
                      extra=f"rate={rate} burn", **keys)


def told(lab, name):
    """The last report: requests in a second, latencies in us."""
    text = lab.console(name)
    found = re.findall(r"^client: t=\S+ requests=(\d+) bytes=\d+ errors=(\d+) p50=(\d+)us p99=(\d+)us", text, re.M)
    assert found and not any(int(errors) for _, errors, _, _ in found), text
    return int(found[-1][0]), int(found[-1][2]), int(found[-1][3])


def test_isolated(lab, emulators):
    """The client's vcpu that computes has a CPU, or its quota of one, whether its emulator sleeps or is flooded with work
    on a CPU of its own; and so has one that shares a CPU with it by weight when the emulator has a quota of its own."""
    apart = ['vcpupin=["0:1","1:2"]', 'emulatorpin="3"', 'charge="own"']
    shares = {}
    for us, stub in emulators.items():
        lab.pool("iso", "1-3")
        lab.pool("quota", "4-6")
        client(lab, "whole", "iso", stub, *apart)
        pins = ['vcpupin=["0:4","1:5"]', 'emulatorpin="6"', 'charge="own"']
        client(lab, "half", "quota", stub, *pins, vcpu_period=10000, vcpu_quota=5000, emulator_period=10000,
               emulator_quota=1000)
        got = lab.measure(WINDOW)
        shares[us] = got
        print(f"{us} us:", {k: round(s, 2) for k, s in got.vcpus.items() if k[0] != "Domain-0"}, told(lab, "whole"))
        lab.clear()
    idle, busy = shares.values()
    for name in ("whole", "half"):
        close([busy.vcpus[name, 1]], [idle.vcpus[name, 1]], 1)
    close([busy.vcpus["whole", 1], busy.vcpus["half", 1]], [100, 50], 1)
    assert busy["whole-emu"] > 95 and idle["whole-emu"] < 10
    close([busy["half-emu"]], [10], 1)


def test_shared(lab, emulators):
    """Client and emulator together keep the client's cap, busy or not, and divide it by weight."""
    for us, stub in emulators.items():
        lab.pool("one", "1-2")
        client(lab, "c", "one", stub, 'charge="client"', cap=50)
        lab.pool("low", "3-4")
        client(lab, "l", "low", stub, 'charge="client"', cap=10)
        lab.pool("parts", "5-6")
        client(lab, "w", "parts", stub, 'charge="client"', cap=40, emulator_weight=768)
        got = lab.measure(WINDOW)
        print(f"{us} us:", {n: round(got[n], 2) for n in ("c", "c-emu", "l", "l-emu", "w", "w-emu")}, told(lab, "c"))
        close([got[n] + got[f"{n}-emu"] for n in "clw"], [50, 10, 40], 1)
        if us:
            close(got.of("c", "c-emu", "w", "w-emu"), [25, 25, 10, 30], 3)
        lab.clear()


def test_not_charged(lab, emulators):
    """What both policies are good for: with neither, a client that may have a tenth of a CPU costs a whole one."""
    lab.pool("p", "1-2")
    client(lab, "c", "p", emulators[4000], 'charge="own"', cap=10)
    got = lab.measure(WINDOW)
    print({n: round(got[n], 2) for n in ("c", "c-emu")})
    close(got.of("c"), [10], 1)
    assert got["c-emu"] > 50


def test_on_its_clients_cpu(lab, emulators):
    """An emulator without a pin of its own, brought to the CPU of its client's vcpu, takes from it what it uses."""
    lab.pool("p", "1-3")
    client(lab, "c", "p", emulators[4000], 'vcpupin=["0:1","1:2"]', 'emulatorpin="3"', 'charge="own"', rate=100)
    apart = lab.measure(WINDOW)
    lab.xl("virsh", "emulatorpin", "c", "2", "--live")
    same = lab.measure(WINDOW)
    for where, got in (("apart", apart), ("same CPU", same)):
        print(where, {k: round(s, 2) for k, s in got.vcpus.items()})
    close([apart.vcpus["c", 1]], [100], 1)
    close([apart["c-emu"], same["c-emu"]], [40, 40], 2)
    close([same.vcpus["c", 1]], [100 - same["c-emu"]], 1)


def test_limits(lab, emulators):
    """Quotas of the emulator, of an iothread that serves the disk in its place, and of the domain with all of them."""
    stub = emulators[4000]
    lab.pool("emu", "1-2")
    client(lab, "e", "emu", stub, 'vcpupin=["0:1","1:1"]', 'emulatorpin="2"', 'charge="own"', emulator_period=20000,
           emulator_quota=2000)
    lab.pool("io", "3-5")
    lab.domain("client.cfg", "i", "io", f'emulator="{stub}"', 'emulator_disk=["2048,iothread=1"]', "iothreads=1",
               'vcpupin=["0:3","1:3"]', 'emulatorpin="4"', 'iothreadpin=["1:5"]', 'charge="own"', vcpus=2,
               extra=f"rate={RATE} burn", iothread_period=10000, iothread_quota=3000)
    lab.pool("all", "6-8")
    client(lab, "g", "all", stub, 'vcpupin=["0:6","1:7","2:6"]', 'emulatorpin="8"', 'charge="own"', vcpus=3,
           vcpu_period=10000, vcpu_quota=5000, global_period=20000, global_quota=12000)
    got = lab.measure(WINDOW)
    print({k: round(s, 2) for k, s in got.vcpus.items() if s > 0.01})
    close(got.of("e-emu"), [10], 1)
    close([got.vcpus["e", 0] + got.vcpus["e", 1]], [100], 1)
    close([got.vcpus["i-emu", 1]], [30], 1)
    assert got.vcpus["i-emu", 0] < 5
    close([got["g"] + got["g-emu"]], [60], 1)
    for name in ("e", "i", "g"):
        assert told(lab, name)[0] > 0

# SPDX-License-Identifier: MIT
"""NUMA: what QEMU's -numa tells in the firmware's tables is what `info -n` shows, and what dom0_nodes= goes by."""
import re

import pytest

import wrapped


def backends(sizes):
    """QEMU's arguments for nodes with that many MiB each, 0: none; CPUs are given by the caller."""
    args = []
    for node, size in enumerate(sizes):
        if size:
            args += ["-object", f"memory-backend-ram,id=ram{node},size={size}M"]
    return args


def node(number, cpus=None, memory=True):
    return ["-numa", f"node,nodeid={number}" + (f",cpus={cpus}" if cpus else "") +
            (f",memdev=ram{number}" if memory else "")]


def distance(src, dst, value):
    return ["-numa", f"dist,src={src},dst={dst},val={value}"]


@pytest.fixture
def numa(tmp_path, monkeypatch):
    """numa(args, ...) -> a machine whose QEMU has these arguments as well; the keywords are wrapped.machine's."""
    machines = []

    def start(args, **kw):
        machines.append(wrapped.machine(tmp_path, monkeypatch, args, **kw))
        return machines[-1]

    yield start
    for machine in machines:
        machine.close()


def cpus(m):
    """The node of each CPU."""
    text = m.out("info", "-n").split("cpu_topology")[1].split("device topology")[0]
    return [int(n) for n in re.findall(r"^ *\d+: +\d+ +\d+ +(\d+)$", text, re.M)]


def nodes(m):
    """[(memsize, memfree, [distances])]"""
    text = m.out("info", "-n").split("numa_info")[1]
    rows = re.findall(r"^ *\d+: +(\d+) +(\d+) +([\d,]+)$", text, re.M)
    return [(int(size), int(free), [int(d) for d in distances.split(",")]) for size, free, distances in rows]


def consistent(m):
    """The nodes' free memory is the machine's, but for rounding and what the two questions took between them."""
    free = sum(n[1] for n in nodes(m))
    assert abs(free - int(m.info("free_memory"))) <= len(nodes(m)) + 1
    assert int(m.info("nr_nodes")) == len(nodes(m))


def test_two_nodes(numa):
    m = numa(backends([256, 256]) + node(0, "0-1") + node(1, "2-3"), smp="4,sockets=2", memory=512)
    assert cpus(m) == [0, 0, 1, 1]
    assert [n[2] for n in nodes(m)] == [[10, 20], [20, 10]]
    assert nodes(m)[0][0] == 256 and 250 <= nodes(m)[1][0] <= 256
    consistent(m)
    before = [n[1] for n in nodes(m)]
    m.xl("create", "burn.cfg", "memory=64")
    taken = [old - n[1] for old, n in zip(before, nodes(m))]
    assert 62 <= sum(taken) <= 68
    m.xl("destroy", "burn")


def test_three_nodes_uneven(numa):
    """With distances of the machine's own, and CPUs that aren't in the order of the nodes."""
    m = numa(backends([128, 320, 64]) + node(0, "4-5") + node(1, "0-1") + node(2, "2-3") + distance(0, 1, 31) +
             distance(0, 2, 42) + distance(1, 2, 17), smp="6,sockets=3", memory=512)
    assert cpus(m) == [1, 1, 2, 2, 0, 0]
    assert [n[2] for n in nodes(m)] == [[10, 31, 42], [31, 10, 17], [42, 17, 10]]
    assert [n[0] for n in nodes(m)][:2] == [128, 320]
    consistent(m)


def test_node_without_memory(numa):
    m = numa(backends([512, 0]) + node(0, "0-1") + node(1, "2-3", memory=False), smp="4,sockets=2", memory=512)
    assert cpus(m) == [0, 0, 1, 1]
    assert nodes(m)[1][:2] == (0, 0)
    consistent(m)


def test_node_without_cpus(numa):
    m = numa(backends([256, 256]) + node(0, "0-3") + node(1), smp="4", memory=512)
    assert cpus(m) == [0, 0, 0, 0]
    assert len(nodes(m)) == 2
    consistent(m)


def test_no_firmware_tables(numa):
    m = numa([], smp="4,sockets=2", memory=512)
    assert cpus(m) == [0] * 4
    assert len(nodes(m)) == 1 and nodes(m)[0][2] == [10]
    consistent(m)


def affinities(m):
    """Hard / soft of each vcpu of domain 0."""
    return re.findall(r"^Domain-0 .*  (\S+) / (\S+)$", m.out("vcpu-list", "Domain-0"), re.M)


@pytest.mark.parametrize("append,expected", [
    ("dom0_nodes=1", [("2-3", "all")] * 2),
    ("dom0_nodes=1,relaxed", [("all", "2-3")] * 2),
    ("dom0_nodes=0-1", [("all", "all")] * 4),
    ("dom0_nodes=1 dom0_vcpus_pin", [("2", "all"), ("3", "all")]),
    ("dom0_nodes=1 dom0_max_vcpus=3 dom0_vcpus_pin", [("2", "all"), ("3", "all"), ("2", "all")]),
    ("dom0_nodes=7", [("all", "all")] * 4),
])
def test_dom0_nodes(numa, append, expected):
    """Its vcpus are as many as these nodes' CPUs, and go there. A node that isn't there is reported."""
    m = numa(backends([256, 256]) + node(0, "0-1") + node(1, "2-3"), append="dom0_max_vcpus=1-128 " + append,
             smp="4,sockets=2", memory=512)
    assert affinities(m) == expected
    assert ("dom0_nodes" in re.sub("command line: .*", "", m.log())) == (append in ("dom0_nodes=7", "dom0_nodes=0-1"))


def test_pool_of_a_node(numa):
    """cpupool= knows nodes, too."""
    m = numa(backends([256, 256]) + node(0, "0-1") + node(1, "2-3"), append="cpupool=far:cpus=node:1,sched=null",
             smp="4,sockets=2", memory=512)
    assert re.search(r"^far +2,3$", m.out("cpupool-list", "-c"), re.M)

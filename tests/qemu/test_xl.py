# SPDX-License-Identifier: MIT
"""The control domain's commands beside the real xl, whose answers are in tests/oracle/xl-4.17.

The same lines are run on a machine of tarn's. Where xl succeeds, so must we, with the same output
but for times, versions, sizes and places; where xl fails, we fail and say why. What is otherwise on
purpose is listed here with its reason.
"""
import json
import os
import re
import shlex
import time

import pytest

from host import Machine
from tarn import ROOT
from test_numa import backends, node, numa  # noqa: F401  pylint: disable=unused-import

SETTLE = 30  # seconds
RECORDED = os.path.join(ROOT, "tests", "oracle", "xl-4.17")

# Lines that xl takes and we refuse.
STRICTER = {
    "xl help nonsense": "an unknown command is a mistake",
    "xl info word": "xl ignores words that it doesn't know",
    "xl dmesg word": "xl ignores words that it doesn't know",
    "xl debug-keys a b": "xl ignores words that it doesn't know",
    "xl cpupool-list Pool-0 Pool-0": "xl ignores words that it doesn't know",
    "xl shutdown -a Domain-0": "xl ignores the domain",
    "xl pause Domain-0": "xl says that it failed, and returns 0",
    "xl pause 99": "xl says that it failed, and returns 0",
    "xl unpause Domain-0": "xl says that it failed, and returns 0",
    "xl sched-credit -d Domain-0 -c -1": "xl takes it for a value that was not given",
    "xl vcpu-pin Domain-0 all 0-9": "xl drops CPUs that there are not, as long as one is left",
    "xl li": "another command of ours begins so",
    "xl cpupool-create -n 'name=\"a\"' 'cpus=\"3\"' 'nodes=[\"0\"]'": "xl takes the nodes",
    "xl cpupool-cpu-remove c 2": "xl says that it failed, and returns 0",
}
# Lines that xl refuses and we take.
SOFTER = {"xl": "it is help"}
# Lines whose output is another one by nature.
OWN_TEXT = re.compile(r"xl (help\b.*|\S+ -h|dmesg.*|debug-keys.*)$")

# Keys of JSON that only one of the two has.
ONLY_XL = {"domid", "uuid", "run_hotplug_scripts", "numa_placement", "video_memkb", "claim_mode", "arch_arm", "arch_x86",
           "on_soft_reset"}
ONLY_WE = {"uuid", "pool_name", "max_vcpus", "avail_vcpus"}  # the latter for domain 0

INFO = ("host|release|version|cpu_mhz|hw_caps|virt_caps|free_memory|xen_extra|xen_version|xen_caps|xen_changeset|"
        "xen_commandline|cc_compiler|cc_compile_by|cc_compile_domain|cc_compile_date|build_id")
MASKS = [
    (rf"(?m)^({INFO})( *):.*$", r"\1\2: ..."),
    (r"(?m)^(   0: +\d+) +\d+", r"\1 FREE"),  # numa_info
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"(?m)^(Domain-0 +0) +\d+( +\d+ +\S{6} )", r"\1 MEM\2"),
    # seconds keep their width; what is in the columns before them is of this moment
    (r"(?m) +\d+\.\d(?= |$)", lambda m: "T".rjust(len(m[0]))),
    (r"(?m)^(\S+ +\d+ +\S+ +\d+ +)[-rb][-b](----)", r"\1..\2"),
    (r"(?m)^(\S+ +\d+ +\d+ +)\d+ +(?:-b-|r--|---) ", r"\1CPU ... "),
    (r"(?m)^(\S+ +\d+ +)\d:\d\d:\d\d$", r"\1UPTIME"),
    (r"(?m)^(\S+ +0 +\w+ +)[yn]( +\d+)$", r"\1?\2"),  # Active: xl's is constant, ours is n without CPUs
    (r"(?m)^ \d\d:\d\d:\d\d up +\d+:\d\d,", " CLOCK up UPTIME,"),
]


def recorded(name):
    """[command, output, status] of each line."""
    lines = []
    with open(os.path.join(RECORDED, name + ".txt"), encoding="utf-8") as f:
        for line in f.read().split("\n"):
            if line.startswith("$ "):
                lines.append([line[2:], "", None])
            elif line.startswith("o|"):
                lines[-1][1] += line[2:] + "\n"
            elif line.startswith("s|"):
                lines[-1][2] = int(line[2:])
    return lines


def masked(text):
    for pattern, replacement in MASKS:
        text = re.sub(pattern, replacement, text)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def same_json(xl, we, where):
    """All that both have is the same, and nothing else is missing."""
    if isinstance(xl, dict):
        assert set(xl) - set(we) <= ONLY_XL and set(we) - set(xl) <= ONLY_WE, where
        for key in set(xl) & set(we) - {"uuid"}:
            same_json(xl[key], we[key], f"{where}.{key}")
    elif isinstance(xl, list):
        assert len(xl) == len(we), where
        for i, (a, b) in enumerate(zip(xl, we)):
            same_json(a, b, f"{where}[{i}]")
    elif not (where.endswith("memkb") and "[0].config" in where):  # domain 0's memory
        assert xl == we, where


def compare(command, done, output, status):
    good = status == 0
    told = f"$ {command}\n{done.stdout}{done.stderr}"
    if command in STRICTER or command in SOFTER:
        assert good == (command in STRICTER) and (done.returncode == 0) != good, told
        return
    assert (done.returncode == 0) == good, told
    if not good:
        assert done.returncode in (1, 2) and done.stderr, told
    elif output.startswith(("[", "{")):
        same_json(json.loads(output), json.loads(done.stdout), command)
    elif not OWN_TEXT.match(command):
        assert masked(done.stdout) == masked(output), told


def ask(m, command, output, status):
    """One line. What only looks may have to wait until the guests are where they were on Xen."""
    words = shlex.split(command)
    words = words[words[0] == "xl":]
    end = time.monotonic() + (SETTLE if words[:1] in (["list"], ["vcpu-list"]) else 0)
    while True:
        done = m.xl(*words, status=None)
        try:
            return compare(command, done, output, status)
        except AssertionError:
            if time.monotonic() >= end:
                raise
        time.sleep(0.1)


def replay(m, name):
    """name: of the file in RECORDED."""
    for command, output, status in recorded(name):
        ask(m, command, output, status)


def run(name, smp):
    with Machine(smp=smp, memory=1024) as m:
        replay(m, name)


@pytest.mark.parametrize("smp", ["1", "4", "6,sockets=3,cores=2,threads=1", "8,sockets=2,cores=2,threads=2"])
def test_layout(smp):
    """What there is, under several topologies."""
    run("layout-" + smp.split(",", maxsplit=1)[0], smp)


@pytest.mark.parametrize("name", ["life", "pools", "wrong"])
def test_commands(name):
    """A domain's life by command, pools and what is in them, and wrong words."""
    run(name, "4")


def test_nodes(numa):  # noqa: F811  pylint: disable=redefined-outer-name
    """Where domains are placed on two memory nodes, and what a split makes of them."""
    replay(numa(backends([512, 512]) + node(0, "0-1") + node(1, "2-3"), smp="4,sockets=2,cores=2,threads=1",
                memory=1024), "numa")

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks the models of the event channel protocols with Spin, and breaks them: `make model`.

Four kinds of runs: models that must pass, searched to the end; expected counterexamples, of what the protocols do not
promise; defects of the same models, each of which must be caught; defects of the real code (code.mutants), which the
tests of tests/unit/interleave.h must catch. Without Spin it says so, and does the last kind only.
Prints one line a run, and `N passed, N failed`; leaves "PASSED FAILED" in O/results/model.
Usage: run.py [-v] [WORD...]: only those runs whose name has one of the words; -v shows how a run fails, step by step.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CC = os.environ.get("HOSTCC", "gcc").split()
LEAST_STATES = 1_000_000
MEMORY_MIB = 1500
YIELD_CFLAGS = os.environ.get("YIELD_CFLAGS", "-std=gnu11 -g -O1 -Iinclude -Iarch/x86/include -D__XEN_TOOLS__ "
                              "-D__XEN_INTERFACE_VERSION__=0x00041100").split()
PASS, EXPECTED, MUTANT = "passes", "counterexample", "caught"

MOVED = "VCPUS=2 PORTS=1 SENDERS=1 MOVE LOOK MASKER MASKS=1"

# name, file, sizes
MODELS = [
    ("twolevel scan", "twolevel.pml", "PREEMPT"),
    ("twolevel two words", "twolevel.pml", "WORDS=2"),
    ("twolevel one port", "twolevel.pml", "PORTS=1 PREEMPT"),
    ("twolevel masker", "twolevel.pml", "PORTS=1 SENDERS=1 MASKER PREEMPT"),
    ("twolevel bind_vcpu", "twolevel.pml", "VCPUS=2 PORTS=1 SENDERS=1 SENDS=1 MOVE"),
    ("twolevel bind_vcpu and masker", "twolevel.pml", MOVED + " SENDS=1"),
    ("twolevel poll", "twolevel.pml", "POLL=0 PORTS=1"),
    ("twolevel poll and upcall", "twolevel.pml", "POLL=0 SENDS=1"),
    ("twolevel poll beside a vcpu", "twolevel.pml", "POLL=1 VCPUS=2 PORTS=1 SENDERS=1 SENDS=2"),
    ("fifo two queues", "fifo.pml", ""),
    ("fifo one queue of three", "fifo.pml", "SAME PORTS=3 SENDERS=3 SENDS=1"),
    ("fifo two senders to a port", "fifo.pml", "PORTS=1 MOVE SENDS=2 OTHERS=1 MOVES=2"),
    ("fifo priority", "fifo.pml", "SAME MOVE SENDS=2 OTHERS=1 MOVES=2"),
    ("fifo bind_vcpu", "fifo.pml", "VCPUS=2 PRIORITIES=1 MOVE SENDS=2 OTHERS=1 MOVES=2"),
    ("fifo masker", "fifo.pml", "SAME MASKER SENDS=1"),
    ("fifo page comes late", "fifo.pml", "EXPAND SENDS=1"),
]

# The guest unmasks by memory and does not look at PENDING.
COUNTEREXAMPLES = [
    ("twolevel masked edge", "twolevel.pml", "PORTS=1 SENDERS=1 BUG_MASKED_EDGE"),
    ("fifo masked edge", "fifo.pml", "PORTS=1 SENDERS=1 BUG_MASKED_EDGE"),
]

SMALL = "PORTS=1 SENDERS=1"
QUEUES = "SAME MOVE SENDS=2 MOVES=2"
MUTANTS = [
    # the hypervisor: a send
    ("selector before PENDING", "twolevel.pml", SMALL + " BUG_SELECTOR_BEFORE_PENDING"),
    ("upcall flag before selector", "twolevel.pml", SMALL + " BUG_UPCALL_BEFORE_SELECTOR"),
    ("MASK looked at before PENDING is set", "twolevel.pml", SMALL + " BUG_MASK_BEFORE_PENDING"),
    ("PENDING set without lock", "twolevel.pml", "BUG_PENDING_NOT_LOCKED"),
    # EVTCHNOP_unmask
    ("unmask looks at PENDING first", "twolevel.pml", SMALL + " BUG_UNMASK_LOOKS_FIRST"),
    ("unmask raises nothing", "twolevel.pml", SMALL + " BUG_UNMASK_NO_RAISE"),
    ("unmask without barrier", "twolevel.pml", SMALL + " BUG_UNMASK_PLAIN"),
    ("unmask reads the vcpu first", "twolevel.pml", MOVED + " SENDS=1 BUG_UNMASK_READS_VCPU_FIRST"),
    # block, kick, the scheduler
    ("block looks first", "twolevel.pml", SMALL + " BUG_BLOCK_LOOKS_FIRST"),
    ("block does not look", "twolevel.pml", SMALL + " BUG_BLOCK_NO_LOOK"),
    ("block without barrier", "twolevel.pml", SMALL + " BUG_BLOCKED_PLAIN"),
    ("kick only wakes", "twolevel.pml", SMALL + " BUG_KICK_ONLY_WAKES"),
    ("running without barrier", "twolevel.pml", SMALL + " PREEMPT BUG_RUNNING_PLAIN"),
    ("softirq cleared after the look", "twolevel.pml", SMALL + " BUG_SOFTIRQ_CLEARED_LATE"),
    # poll
    ("poller blocks late", "twolevel.pml", "POLL=0 " + SMALL + " BUG_POLL_BLOCKS_LATE"),
    ("poller looks first", "twolevel.pml", "POLL=0 " + SMALL + " BUG_POLL_LOOKS_FIRST"),
    ("poller is counted after the look", "twolevel.pml", "POLL=0 " + SMALL + " BUG_POLLERS_COUNTED_LATE"),
    ("poller counted without barrier", "twolevel.pml", "POLL=0 " + SMALL + " BUG_POLLERS_PLAIN"),
    ("poll ended twice", "twolevel.pml", "POLL=0 PORTS=1 BUG_POLL_END_PLAIN"),
    ("polling without barrier", "twolevel.pml", "POLL=0 " + SMALL + " BUG_POLLING_PLAIN"),
    ("pollers looked at before PENDING", "twolevel.pml", "POLL=0 " + SMALL + " BUG_POLLERS_BEFORE_PENDING"),
    ("masked event wakes no poller", "twolevel.pml", "POLL=0 " + SMALL + " BUG_MASKED_WAKES_NO_POLLER"),
    # the guest
    ("guest: selector before upcall flag", "twolevel.pml", SMALL + " BUG_SELECTOR_BEFORE_UPCALL"),
    ("guest: selector without lock", "twolevel.pml", "WORDS=2 BUG_SELECTOR_NOT_LOCKED"),
    ("guest: no barrier before selector", "twolevel.pml", "WORDS=2 BUG_NO_BARRIER_BEFORE_SELECTOR"),
    ("guest: work before PENDING is cleared", "twolevel.pml", SMALL + " BUG_HANDLE_THEN_CLEAR"),
    ("guest: unmask looks first", "twolevel.pml", SMALL + " BUG_MEMORY_LOOKS_FIRST"),
    ("guest: unmask without barrier", "twolevel.pml", SMALL + " BUG_MEMORY_PLAIN"),
    ("guest: moves a port unmasked", "twolevel.pml", "VCPUS=2 MOVE " + SMALL + " BUG_MOVE_UNMASKED"),
    ("guest: moves a port twice at once", "twolevel.pml", "VCPUS=2 MOVE " + SMALL + " BUG_MOVE_NO_LOCK"),
    # the hypervisor: FIFO
    ("MASKED and LINKED before PENDING", "fifo.pml", SMALL + " BUG_LOOKS_BEFORE_PENDING"),
    ("queues not locked", "fifo.pml", QUEUES + " BUG_NO_LOCK"),
    ("old queue not locked", "fifo.pml", QUEUES + " BUG_OLD_QUEUE_NOT_LOCKED"),
    ("queues locked in any order", "fifo.pml", "MOVE MOVES=2 MOVED=2 SENDS=1 BUG_LOCK_ORDER"),
    ("old tail not forgotten", "fifo.pml", QUEUES + " BUG_TAIL_NOT_FORGOTTEN"),
    ("queue not looked at again", "fifo.pml", "MOVE MOVES=1 SENDERS=3 SENDS=1 BUG_QUEUE_NOT_CHECKED"),
    ("LINKED set without lock", "fifo.pml", "PORTS=1 MOVE BUG_CLAIM_NOT_LOCKED"),
    ("LINK written without lock", "fifo.pml", QUEUES + " BUG_LINK_PLAIN"),
    ("LINK stays in a tail that is gone", "fifo.pml", QUEUES + " BUG_LINK_STAYS"),
    ("ready before head", "fifo.pml", "SAME SENDS=2 BUG_READY_BEFORE_HEAD"),
    ("ready without lock", "fifo.pml", "BUG_READY_NOT_LOCKED"),
    ("unmask looks at PENDING first", "fifo.pml", "MASKER " + SMALL + " BUG_UNMASK_LOOKS_FIRST"),
    ("unmask links nothing", "fifo.pml", SMALL + " BUG_UNMASK_NO_LINK"),
    ("waiting set after the look for a page", "fifo.pml", "EXPAND " + SMALL + " BUG_WAITING_AFTER_LOOK"),
    ("page without barrier", "fifo.pml", "EXPAND " + SMALL + " BUG_PAGE_WITHOUT_BARRIER"),
    # the guest
    ("guest: ready before upcall flag", "fifo.pml", SMALL + " BUG_READY_BEFORE_UPCALL"),
    ("guest: ready without lock", "fifo.pml", "BUG_TAKE_READY_PLAIN"),
    ("guest: no barrier before ready", "fifo.pml", SMALL + " BUG_TAKE_READY_NO_BARRIER"),
    ("guest: LINK read before LINKED is cleared", "fifo.pml", QUEUES + " BUG_UNLINK_PLAIN"),
    ("guest: PENDING before LINKED is cleared", "fifo.pml", SMALL + " BUG_LOOKS_BEFORE_UNLINK"),
    ("guest: work before PENDING is cleared", "fifo.pml", SMALL + " BUG_HANDLE_THEN_CLEAR"),
    ("guest: unmask looks first", "fifo.pml", SMALL + " BUG_GUEST_UNMASK_LOOKS_FIRST"),
    ("guest: lowest priority first", "fifo.pml", "BUG_LOWEST_FIRST"),
]


class Broken(Exception):
    """A tool failed, or said what can't be read."""


def tool(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise Broken(f"{' '.join(command[:2])}: {(done.stdout + done.stderr)[:500]}")
    return done.stdout


def figure(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise Broken("no figures: " + text[-500:])
    return int(found.group(1))


def replay(defines, folder):
    """The steps of a counterexample."""
    out = tool(["spin", "-t", "-k", "model.pml.trail", "-p", *defines, "model.pml"], folder)
    return "".join(line.replace("model.pml:", "line ") + "\n" for line in out.splitlines()
                   if "proc" in line and "init" not in line and "sub-sequence" not in line)


def check(run):
    """Returns (name, states, depth, seconds, verdict, ok, text)."""
    name, file, sizes, want = run
    defines = ["-D" + d for d in sizes.split()]
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.pml").write_text((HERE / file).read_text(encoding="utf-8"), encoding="utf-8")
        tool(["spin", "-a", *defines, "model.pml"], folder)
        # A mutant falls soon, and most of its time is the compiler's.
        optimise = ["-O1"] if want is PASS else ["-O0"]
        if want is not PASS and "-v" in sys.argv:
            optimise.append("-DBFS")  # the shortest way to fail, as it is to be read
        tool([*CC, *optimise, "-w", "-DSAFETY", f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c"], folder)
        out = tool(["./pan", "-n", "-m1000000", "-w22" if want is PASS else "-w18"], folder)
        states = figure(r"(\d+) states, stored", out)
        depth = figure(r"depth reached (\d+)", out)
        errors = figure(r"errors: (\d+)", out)
        whole = not re.search(r"search depth too small|Search not completed|max mem|out of memory|truncated", out)
        found = re.search(r"pan:1: (assertion violated|invalid end state)", out)
        if want is PASS:
            ok = errors == 0 and whole
            verdict = PASS if ok else "not searched to the end" if not whole and not errors else "FAILS"
        else:
            ok = errors > 0 and found is not None
            verdict = want if ok else "SURVIVES"
        text = replay(defines, folder) if errors and (want is PASS or "-v" in sys.argv) else ""
    return name, states, depth, time.monotonic() - start, verdict, ok, text


# ---- Defects of the real code ----

class Code:
    """What is compiled once for all defects."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.objects = {}

    def compile(self, source, out, flags=()):
        instrumented = [] if source.name == "interleave.c" else ["-fsanitize=thread"]
        tool([*CC, *flags, *YIELD_CFLAGS, *instrumented, "-w", "-c", "-o", str(out), str(source)], ROOT)
        return str(out)

    def original(self, path):
        if path not in self.objects:
            self.objects[path] = self.compile(ROOT / path, self.folder / (path.replace("/", "-") + ".o"))
        return self.objects[path]

    def check(self, mutant):
        """As `check` below."""
        name, test, path, changes = mutant
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            changed = Path(folder) / path
            changed.parent.mkdir(parents=True)
            changed.write_text(change((ROOT / path).read_text(encoding="utf-8"), changes), encoding="utf-8")
            objects = []
            for source in sources(test):
                out = Path(folder) / (Path(source).stem + ".o")
                if source == path:
                    objects.append(self.compile(changed, out))
                elif path.endswith(".h") and not source.endswith("interleave.c"):
                    objects.append(self.compile(ROOT / source, out, ["-I" + str(Path(folder) / "include")]))
                else:
                    objects.append(self.original(source))
            program = str(Path(folder) / "test")
            tool([*CC, "-o", program, *objects, "-lcmocka"], ROOT)
            done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False,
                                  env={**os.environ, "INTERLEAVE_ONCE": "1"})
        found = re.search(r"^(.*), after (\d+) states, at depth (\d+)", done.stderr, re.M)
        ok = done.returncode != 0 and found is not None
        states, depth = (int(found.group(2)), int(found.group(3))) if found else (0, 0)
        text = done.stderr if "-v" in sys.argv else ""
        return name, states, depth, time.monotonic() - start, MUTANT if ok else "SURVIVES", ok, text


def sources(test):
    """The test and what its head says that it is linked with."""
    path = f"tests/unit/{test}.c"
    listed = re.search(r"sources: (.*?)\*/", (ROOT / path).read_text(encoding="utf-8"), re.S).group(1)
    return [path, *listed.replace("\n *", "").split()]


def change(text, changes):
    for old, new in changes:
        if text.count("\n".join(old)) != 1:
            raise Broken(f"is there {text.count(chr(10).join(old))} times: {old[0]}")
        text = text.replace("\n".join(old), "\n".join(new))
    return text


def code_mutants():
    """(name, test, source, [(old lines, new lines)]) as code.mutants has them."""
    found = []
    test = source = last = None
    for line in (HERE / "code.mutants").read_text(encoding="utf-8").splitlines():
        kind, rest = line[:1], line[1:]
        if kind == "*":
            test = rest.strip()
        elif kind == "@":
            source = rest.strip()
        elif kind == "=":
            found.append((f"{source.split('/', 1)[1]}: {rest.strip()}", test, source, []))
        elif kind == "-":
            if last != "-":
                found[-1][3].append(([], []))
            found[-1][3][-1][0].append(rest)
        elif kind == "+":
            found[-1][3][-1][1].append(rest)
        elif kind and kind != "#":
            raise Broken(f"code.mutants: what is this: {line}")
        last = kind
    return found


# ---- All ----

def model_runs():
    for group, want in ((MODELS, PASS), (COUNTEREXAMPLES, EXPECTED), (MUTANTS, MUTANT)):
        for name, file, sizes in group:
            yield (file.split(".")[0] + ": " + name if want is MUTANT else name), file, sizes, want


def show(result):
    name, states, depth, seconds, verdict, _, text = result
    print(f"{name:<58} {states:>10,} {depth:>9,} {seconds:>6.1f}  {verdict}", flush=True)
    if text:
        print(text)


def guarded(how, run):
    try:
        return how(run)
    except (Broken, OSError, subprocess.TimeoutExpired) as error:
        return run[0], 0, 0, 0.0, f"BROKEN: {error}", False, ""


def leave(passed, failed):
    if "O" in os.environ:
        folder = Path(os.environ["O"]) / "results"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model").write_text(f"{passed} {failed}\n", encoding="utf-8")


def main():
    words = [a for a in sys.argv[1:] if a != "-v"]
    started = time.monotonic()
    results, total = [], 0
    print(f"{'model':<58} {'states':>10} {'depth':>9} {'sec':>6}  verdict")
    workers = concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1))
    with tempfile.TemporaryDirectory() as folder, workers as pool:
        code = Code(folder)
        todo = [(code.check, mutant) for mutant in code_mutants()]
        for _, mutant in todo:
            for source in sources(mutant[1]):
                code.original(source)
        if shutil.which("spin"):
            todo = [(check, run) for run in model_runs()] + todo
        else:
            print("skipped the models: spin is not installed")
        todo = [t for t in todo if not words or any(w in t[1][0] for w in words)]
        for (_, run), result in zip(todo, pool.map(guarded, *zip(*todo)) if todo else ()):
            show(result)
            results.append(result)
            total += result[1] if run[3] is PASS else 0
    if not words and shutil.which("spin"):
        results.append(("states", total, 0, 0.0, "", total >= LEAST_STATES, ""))
        seconds = time.monotonic() - started
        print(f"model: {total:,} states of the models that pass, of {LEAST_STATES:,} wanted; {seconds:.0f} s")
    passed = sum(r[5] for r in results)
    if not words:
        leave(passed, len(results) - passed)
    print(f"model: {passed} passed, {len(results) - passed} failed")
    return 1 if passed != len(results) or not results else 0


if __name__ == "__main__":
    sys.exit(main())

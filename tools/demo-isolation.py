#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Whose CPU time is the work that is done for a guest? `make demo-isolation`.

A client with a cap of half a CPU computes on one vcpu and asks its emulator, which serves its disk, for 250 requests a
second from another. A request costs the emulator nothing, or up to 4 ms, which is all of a CPU. Two policies: the
emulator is apart, with CPU time of its own; or what it uses is the client's. What each got is measured by the
hypervisor's books in virtual time (-icount), so that the host's speed and load matter little.

Writes OUT/results/isolation.csv and isolation.svg, OUT being the folder of the build (O=); the exit status is 1 when a
policy did not hold. TARN_FULL=1 measures each for a minute.
"""
import csv
import os
import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / os.environ.get("O", "build")
os.environ["TARN_BUILD"] = str(OUT)
sys.path.insert(0, str(ROOT / "tests/qemu"))
import lab  # noqa: E402

SECONDS = 60 if lab.FULL else 10
CAP, RATE, LOADS = 50, 250, (0, 25, 50, 75, 100)
POLICIES = {
    "isolated": ['charge="own"', 'emulator_cpus="2"'],
    "shared": ['charge="client"'],
}
CLIENT = ["client.cfg", 'name="client"', 'pool="demo"', "vcpus=2", 'cpuset="1"', f"cap={CAP}", f'extra="rate={RATE} burn"',
          'emulator="stub.cfg"', 'emulator_disk=["2048"]']
FIELDS = ["policy", "load", "client", "vcpu0", "vcpu1", "emulator", "sum", "requests", "p50_ms", "p99_ms"]
CLIENT_COLOUR, EMULATOR_COLOUR = "#0072b2", "#e69f00"


def reports(machine, lines):
    """Requests in a second, and latencies in ms, of the client's last lines."""
    found = re.findall(r"^client: t=\S+ requests=(\d+) .* p50=(\d+)us p99=(\d+)us", machine.console("client"), re.M)[-lines:]
    columns = [[int(n) for n in column] for column in zip(*found)] or [[0]] * 3
    return statistics.mean(columns[0]), statistics.median(columns[1]) / 1000, max(columns[2]) / 1000


def stub_file(machine, load):
    cost = load * 10000 // RATE  # us
    text = f'name = "stub"\nkernel = "stub.elf"\nmemory = 16\nextra = "cost={cost}"\n'
    machine.run("put", machine.file("stub.cfg", text))


def experiment(machine, policy, load):
    stub_file(machine, load)
    machine.xl("create", *CLIENT, *POLICIES[policy])
    got = machine.measure(SECONDS * 1000)
    requests, p50, p99 = reports(machine, SECONDS - 1)
    machine.xl("destroy", "client")
    client, emulator = got["client"], got["client-emu"]
    vcpus = [got.vcpus["client", v] for v in (0, 1)]
    return dict(zip(FIELDS, (policy, load, client, *vcpus, emulator, client + emulator, requests, p50, p99)))


def show(row):
    print(f"{row['policy']:9} {row['load']:4} % {row['client']:8.1f} % {row['emulator']:8.1f} % {row['sum']:8.1f} % "
          f"{row['requests']:9.0f} {row['p50_ms']:8.2f} ms {row['p99_ms']:8.2f} ms", flush=True)


def run():
    print(f"A client with a cap of {CAP} %, {RATE} requests a second to its emulator; load: what part of a CPU they cost.\n")
    print("policy      load     client   emulator        sum  requests/s  half within  99 % within", flush=True)
    rows = []
    with lab.Lab(cpus=3) as machine:
        machine.pool("demo", "1-2")
        for policy in POLICIES:
            for load in LOADS:
                rows.append(experiment(machine, policy, load))
                show(rows[-1])
            print()
    return rows


def judge(rows):
    """What the policies promise, within a point."""
    isolated = [r["client"] for r in rows if r["policy"] == "isolated"]
    shared = [r["sum"] for r in rows if r["policy"] == "shared"]
    moved, off = max(isolated) - min(isolated), max(abs(s - CAP) for s in shared)
    print(f"isolated: the client's share moved by {moved:.2f} points: {'ok' if moved < 1 else 'NOT below 1'}")
    print(f"shared: client and emulator were off the cap by {off:.2f} points: {'ok' if off <= 1 else 'NOT within 1'}")
    return moved < 1 and off <= 1


# ---- files ----

def write_csv(rows, path):
    with open(path, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, FIELDS)
        writer.writeheader()
        writer.writerows({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()} for row in rows)


class Picture:
    """A panel for each policy, a bar for each load: the client's share, and the emulator's on top of it."""

    WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP, BAR = 760, 345, 52, 88, 44, 40, 34

    def __init__(self, rows):
        self.rows, self.parts = rows, []
        self.panel = (self.WIDTH - self.LEFT - 16 - self.GAP) / len(POLICIES)
        self.most = 50 * (int(max(r["sum"] for r in rows) - 1) // 50 + 1)

    def y(self, share):
        return self.HEIGHT - self.BOTTOM - share / self.most * (self.HEIGHT - self.TOP - self.BOTTOM)

    def text(self, x, y, text, size=12, anchor="start", colour="#222"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">'
                          f'{text}</text>')

    def rect(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def line(self, x1, x2, y, more):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y:.1f}" {more}/>')

    def draw_panel(self, number, policy):
        left = self.LEFT + number * (self.panel + self.GAP)
        for share in range(0, self.most + 1, 50):
            self.line(left, left + self.panel, self.y(share), 'stroke="#ddd"')
            self.text(left - 6, self.y(share) + 4, share, 11, "end", "#555")
        rows = [r for r in self.rows if r["policy"] == policy]
        for i, r in enumerate(rows):
            x = left + (i + 0.5) * self.panel / len(rows) - self.BAR / 2
            self.rect(x, self.y(r["client"]), self.BAR, self.y(0) - self.y(r["client"]), CLIENT_COLOUR)
            self.rect(x, self.y(r["sum"]), self.BAR, self.y(r["client"]) - self.y(r["sum"]), EMULATOR_COLOUR)
            self.text(x + self.BAR / 2, self.y(r["client"] / 2) + 4, f"{r['client']:.0f}", 11, "middle", "#fff")
            if r["emulator"] >= 12:
                middle = r["client"] + r["emulator"] / 2
                self.text(x + self.BAR / 2, self.y(middle) + 4, f"{r['emulator']:.0f}", 11, "middle")
            self.text(x + self.BAR / 2, self.y(0) + 16, f"{r['load']} %", 11, "middle", "#555")
        self.line(left, left + self.panel, self.y(CAP), 'stroke="#222" stroke-width="1.3" stroke-dasharray="5 4"')
        self.text(left + self.panel / 2, self.TOP - 12, policy, 13, "middle")
        self.text(left + self.panel / 2, self.HEIGHT - 8, "load of the emulator, of one CPU", 11, "middle", "#555")

    def draw(self):
        self.parts.append(f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.WIDTH}" height="{self.HEIGHT}" '
                          f'viewBox="0 0 {self.WIDTH} {self.HEIGHT}" font-family="DejaVu Sans, Verdana, sans-serif">')
        self.rect(0, 0, self.WIDTH, self.HEIGHT, "#fff")
        self.text(self.LEFT, 22, f"CPU time of a client with a cap of {CAP} % and of its emulator, in per cent of a CPU", 14)
        x = self.LEFT
        for name, colour in (("client", CLIENT_COLOUR), ("emulator", EMULATOR_COLOUR)):
            self.rect(x, 34, 12, 12, colour)
            self.text(x + 17, 44, name)
            x += 80
        self.line(x + 12, x + 40, 40, 'stroke="#222" stroke-width="1.3" stroke-dasharray="5 4"')
        self.text(x + 46, 44, "the client's cap")
        for number, policy in enumerate(POLICIES):
            self.draw_panel(number, policy)
        return "\n".join(self.parts + ["</svg>"]) + "\n"


def main():
    rows = run()
    good = judge(rows)
    results = OUT / "results"
    results.mkdir(parents=True, exist_ok=True)
    write_csv(rows, results / "isolation.csv")
    (results / "isolation.svg").write_text(Picture(rows).draw(), encoding="utf-8")
    print(f"data: {os.path.relpath(results)}/isolation.csv, picture: isolation.svg")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

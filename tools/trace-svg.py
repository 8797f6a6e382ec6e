#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Draws who ran where, from a file of `tarn trace save` (or of xentrace): a line for each CPU, a colour
for each domain, time to the right.

    tools/trace-svg.py FILE -o OUT.svg [--from MS] [--to MS] [--cpus 1-2] [--title TEXT] [--name 1=light]...

Times are in ms since the file's first record; the speed of the TSC is --hz (1e9, that of QEMU's
virtual clock), or what `tarn xl info` calls cpu_mhz. Where the vcpus of a domain are several, their
bars carry their numbers. What waits for a CPU is a thin line above the CPU that it got in the end.
"""
import argparse
import html
import importlib.util
import pathlib
import sys

READER = pathlib.Path(__file__).resolve().parents[1] / "tests/qemu/xentrace.py"
# Told apart by those who see colours differently, too; domain 0 is grey.
COLOURS = ["#999999", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7b52ab",
           "#444444"]
LEFT, RIGHT, ROW, BAR, WIDTH = 64, 16, 34, 22, 960
FONT = 'font-family="DejaVu Sans, Verdana, sans-serif"'
STEPS = [m * 10 ** e for e in range(-4, 7) for m in (1, 2, 5)]
NARROWEST = 0.15  # of a bar that is drawn, in pixels
NEEDS_TEXT = 16   # narrower bars carry no number


def load_reader():
    spec = importlib.util.spec_from_file_location("xentrace", READER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cpu_list(text):
    cpus = set()
    for part in text.split(","):
        low, _, high = part.partition("-")
        cpus.update(range(int(low), int(high or low) + 1))
    return cpus


def domain_name(text):
    number, _, name = text.partition("=")
    if not name:
        raise ValueError(text)
    return int(number), name


def arguments(argv):
    p = argparse.ArgumentParser(description="Draws the timelines of a trace as SVG.")
    p.add_argument("file")
    p.add_argument("-o", "--output", help="default: the standard output")
    p.add_argument("--from", dest="start", type=float, default=0, metavar="MS", help="begin of the picture")
    p.add_argument("--to", dest="end", type=float, metavar="MS", help="its end")
    p.add_argument("--cpus", type=cpu_list, metavar="LIST", help="as in 0-3,6")
    p.add_argument("--title", default="")
    p.add_argument("--name", type=domain_name, action="append", default=[], metavar="DOMAIN=NAME",
                   help="for the legend")
    p.add_argument("--hz", type=float, default=1e9, help="of the TSC")
    p.add_argument("--no-legend", dest="legend", action="store_false")
    p.add_argument("--no-waits", dest="waits", action="store_false", help="don't draw what waits for a CPU")
    return p.parse_args(argv)


class Picture:
    """Of a trace from `start` to `end`, in ms since its begin."""

    def __init__(self, trace, args):
        self.trace, self.args, self.parts = trace, args, []
        self.start = args.start
        self.end = self.ms(trace.end) if args.end is None else args.end
        if self.end <= self.start:
            raise ValueError("there is nothing between --from and --to")
        self.cpus = [c for c in trace.cpus if args.cpus is None or c in args.cpus]
        self.runs = [r for r in trace.runs() if r.cpu in self.cpus
                     and self.ms(r.end) > self.start and self.ms(r.start) < self.end]
        self.doms = sorted({r.dom for r in self.runs})
        self.many = {d for d in self.doms if len({r.vcpu for r in self.runs if r.dom == d}) > 1}
        self.names = {0: "Domain-0", **dict(args.name)}
        self.top = (34 if args.title else 10) + (26 if args.legend else 0)

    def ms(self, tsc):
        return (tsc - self.trace.start) * 1000 / self.args.hz

    def x(self, ms):
        return LEFT + (ms - self.start) / (self.end - self.start) * (WIDTH - LEFT - RIGHT)

    def y(self, cpu):
        return self.top + self.cpus.index(cpu) * ROW

    def colour(self, dom):
        return COLOURS[0] if dom == 0 else COLOURS[1 + ([d for d in self.doms if d].index(dom)) % (len(COLOURS) - 1)]

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, text, more=""):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" {more}>{html.escape(str(text))}</text>')

    def span(self, a, b):
        """Left edge and width in pixels of a stretch of the TSC, cut to the picture."""
        left, right = self.x(max(self.ms(a), self.start)), self.x(min(self.ms(b), self.end))
        return left, right - left

    def run(self, r):
        left, width = self.span(r.start, r.end)
        if width < NARROWEST:
            width = NARROWEST
        top = self.y(r.cpu) + ROW - BAR - 3
        edge = ' stroke="#fff" stroke-width="0.8"' if width > 4 else ""
        self.add(f'<rect x="{left:.2f}" y="{top}" width="{width:.2f}" height="{BAR}" fill="{self.colour(r.dom)}"{edge}>'
                 f'<title>d{r.dom}v{r.vcpu}: {self.ms(r.start):.3f} to {self.ms(r.end):.3f} ms</title></rect>')
        if r.dom in self.many and width >= NEEDS_TEXT:
            self.text(left + width / 2, top + BAR / 2 + 4, r.vcpu, 'font-size="11" fill="#fff" text-anchor="middle"')

    def wait(self, dom, since, until, cpu, lane):
        left, width = self.span(since, until)
        if width >= 1:
            y = self.y(cpu) + 3 + 2.5 * (lane % 3)
            self.add(f'<line x1="{left:.2f}" y1="{y}" x2="{left + width:.2f}" y2="{y}" stroke="{self.colour(dom)}" '
                     f'stroke-width="1.6"/>')

    def waits(self):
        for lane, (dom, vcpu) in enumerate(sorted({(r.dom, r.vcpu) for r in self.runs})):
            for since, until, cpu in self.trace.waits(dom, vcpu):
                if cpu in self.cpus and self.ms(until) > self.start and self.ms(since) < self.end:
                    self.wait(dom, since, until, cpu, lane)

    def axis(self):
        bottom = self.top + len(self.cpus) * ROW
        step = next(s for s in STEPS if (self.end - self.start) / s <= 10)
        tick = -(-self.start // step) * step
        while tick <= self.end + step / 1000:
            x = self.x(tick)
            self.add(f'<line x1="{x:.1f}" y1="{self.top}" x2="{x:.1f}" y2="{bottom + 4}" stroke="#ddd"/>')
            self.text(x, bottom + 18, f"{tick:g} ms" if tick - step < self.start else f"{tick:g}", 'font-size="11" fill="#555" text-anchor="middle"')
            tick += step
        for cpu in self.cpus:
            y = self.y(cpu) + ROW - 3
            self.add(f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#bbb"/>')
            self.text(LEFT - 10, y - BAR / 2 + 4, f"CPU {cpu}", 'font-size="12" fill="#222" text-anchor="end"')

    def legend(self):
        x, y = LEFT, self.top - 22
        for dom in self.doms:
            name = self.names.get(dom, f"domain {dom}")
            self.add(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{self.colour(dom)}"/>')
            self.text(x + 17, y + 10, name, 'font-size="12" fill="#222"')
            x += 36 + 7.2 * len(name)

    def draw(self):
        height = self.top + len(self.cpus) * ROW + 28
        self.add(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
                 f'viewBox="0 0 {WIDTH} {height}" {FONT}>')
        self.add(f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>')
        if self.args.title:
            self.text(LEFT, 22, self.args.title, 'font-size="15" fill="#222"')
        self.axis()
        if self.args.legend:
            self.legend()
        for r in self.runs:
            self.run(r)
        if self.args.waits:
            self.waits()
        self.add("</svg>")
        return "\n".join(self.parts) + "\n"


def main(argv):
    args = arguments(argv)
    reader = load_reader()
    try:
        picture = Picture(reader.read(args.file, args.hz), args).draw()
    except (OSError, ValueError, reader.TraceError) as e:
        print(f"trace-svg: {args.file}: {e}", file=sys.stderr)
        return 1
    if args.output:
        pathlib.Path(args.output).write_text(picture, encoding="utf-8")
    else:
        print(picture, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Writes a profile as one self-contained page: layers as a treemap and a flame graph, a roofline, memory over time,
tables."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence

from anejax.marks import FORWARD, PARTS
from anejax.profiler.drawing import COLORS, WIDTH, element, label
from anejax.profiler.flame import flame
from anejax.profiler.measured import KEYS, Measured, Row, shares, total

HEIGHT = 460.0
STYLE = """body { font: 14px/1.45 system-ui, sans-serif; max-width: 1000px; margin: 2em auto;
  padding: 0 1em; color: #222 }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em } svg { max-width: 100%; height: auto }
table { border-collapse: collapse; width: 100% } th, td { padding: .2em .6em; text-align: right }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere } tr:nth-child(even) { background: #f4f4f6 }
th { border-bottom: 1px solid #888 } .key { display: inline-block; width: .9em; height: .9em; margin: 0 .3em 0 1em }
p { color: #555 }"""
MOST = 60  # rows of a table


def html(found: Measured) -> str:
    """The page."""
    page = element(None, "html", lang="en")
    head = element(page, "head")
    element(head, "meta", charset="utf-8")
    element(head, "title", "anejax profile")
    element(head, "style", STYLE)
    body = element(page, "body")
    element(body, "h1", f"{found.seconds * 1e3:.1f} ms, {found.inside * 1e3:.1f} ms of them in steps")
    sums = total(found.rows("layer"))
    element(body, "p", f"{sums.flops * 1e-9:.2f} GFLOP at {sums.gflops:.1f} GFLOP/s, {sums.nbytes / 1e9:.2f} GB at"
            f" {sums.gbs:.1f} GB/s; the machine's peak is {found.peak.gflops:.0f} GFLOP/s and"
            f" {found.peak.gbs:.0f} GB/s."
            f" {found.threads} threads, of which {sums.busy / max(sums.seconds, 1e-12):.1f} worked on the mean. Arena"
            f" {found.arena_bytes / 1e6:.1f} MB, process at most {found.peak_bytes / 1e6:.0f} MB.")  # fmt: skip
    _legend(body, [p for p in PARTS if sums.parts.get(p)])
    _section(body, "Time by layer", treemap(found.rows("layer")))
    words = "A layer's box is as wide as its time; what is inside lies below it, primitives by part at the end."
    _section(body, "Flame graph", flame(found), words)
    words = "A point is a layer's primitives of one part; larger ones took longer. The line is the machine's peak."
    _section(body, "Roofline", roofline(found), words)
    words = "Bytes of the arena in use while each step runs: values between steps, without arguments and results."
    _section(body, "Memory over time", memory(found), words)
    for by in KEYS:
        _section(body, f"By {by}", _table(found, by))
    return "<!DOCTYPE html>\n" + ET.tostring(page, encoding="unicode", method="html")


def _section(body: ET.Element, heading: str, content: ET.Element, words: str = "") -> None:
    element(body, "h2", heading)
    if words:
        element(body, "p", words)
    body.append(content)


def _legend(body: ET.Element, parts: Sequence[str]) -> None:
    line = element(body, "div")
    for part in parts:
        element(line, "span", class_="key", style=f"background: {COLORS[part]}")
        element(line, "span", part)


def _table(found: Measured, by: str) -> ET.Element:
    rows = found.rows(by)
    made = element(None, "table")
    head = element(made, "tr")
    for heading in (by, "ms", "%", "calls", "GFLOP/s", "GB/s", "% of peak", "threads"):
        element(head, "th", heading)
    for row in rows[:MOST]:
        line = element(made, "tr")
        for cell in (row.name, f"{row.seconds * 1e3:.3f}", f"{100 * row.seconds / max(found.inside, 1e-12):.1f}",
                     f"{row.calls:.0f}", f"{row.gflops:.1f}", f"{row.gbs:.1f}", f"{100 * row.of_peak(found.peak):.0f}",
                     f"{row.busy / row.seconds:.1f}" if row.seconds else ""):  # fmt: skip
            element(line, "td", cell)
    if len(rows) > MOST:
        element(element(made, "tr"), "td", f"({len(rows) - MOST} more)")
    return made


# ---- the treemap

Box = tuple[float, float, float, float]  # x, y, width, height


def treemap(rows: Sequence[Row]) -> ET.Element:
    """Boxes whose areas are times, colored by part; those of one layer lie in one box (Bruls et al., 2000)."""
    svg = element(None, "svg", viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", width=WIDTH, role="img")
    kept = [r for r in rows if r.seconds > 0]
    for row, box in zip(kept, squarified([r.seconds for r in kept], (0.0, 0.0, WIDTH, HEIGHT))):
        parts = [(p, s) for p, s in row.parts.items() if s > 0]
        for (part, seconds), inner in zip(parts, squarified([s for _, s in parts], box)):
            x, y, w, h = inner
            rect = element(
                svg, "rect", x=x, y=y, width=w, height=h, fill=COLORS[part], stroke="#fff", stroke_width="0.6"
            )
            element(rect, "title", f"{row.name}, {part}: {seconds * 1e3:.3f} ms")
        x, y, w, h = box
        element(svg, "rect", x=x, y=y, width=w, height=h, fill="none", stroke="#fff", stroke_width="2")
        if h >= 16 and label(svg, row.name, x + 4, y + 14, w) and h >= 32:
            element(svg, "text", f"{row.seconds * 1e3:.2f} ms", x=x + 4, y=y + 29, font_size="11", fill="#fff")
    return svg


def squarified(sizes: Sequence[float], box: Box) -> list[Box]:
    """A box for each size, largest first, with areas in proportion, together ``box``, as square as rows allow."""
    out: list[Box] = []
    x, y, w, h = box
    rest, whole, i = sum(sizes), sum(sizes), 0
    while i < len(sizes) and whole > 0:
        side = min(w, h)
        scale = w * h / rest if rest > 0 else 0.0
        count, best = 1, math.inf
        while i + count <= len(sizes):
            row = [s * scale for s in sizes[i : i + count]]
            thick = sum(row) / side if side else 0.0
            worst = max((max(thick * thick / a, a / (thick * thick)) for a in row if a and thick), default=math.inf)
            if worst > best:
                break
            count, best = count + 1, worst
        row = list(sizes[i : i + count - 1])
        thick = sum(row) * scale / side if side else 0.0
        at = 0.0
        for size in row:
            length = size * scale / thick if thick else 0.0
            out.append((x, y + at, thick, length) if w >= h else (x + at, y, length, thick))
            at += length
        x, y, w, h = (x + thick, y, w - thick, h) if w >= h else (x, y + thick, w, h - thick)
        rest, i = rest - sum(row), i + len(row)
    return out + [(x, y, 0.0, 0.0)] * (len(sizes) - len(out))


# ---- plots


def roofline(found: Measured) -> ET.Element:
    """GFLOP/s over FLOP per byte, in logarithms, under what the machine can do."""
    groups: dict[tuple[str, str, str], list[float]] = {}
    for ran in found.ran:
        for operation, share in shares(ran.step):
            if operation is not None and operation.flops:
                key = (operation.mark.path, operation.name, operation.mark.part)
                sums = groups.setdefault(key, [0.0, 0.0, 0.0])
                for i, v in enumerate(
                    (share * ran.own * 1e-9, operation.flops, share * (ran.step.read + ran.step.written))
                ):
                    sums[i] += v
    points = [(f / b, f / s * 1e-9, s, *key) for key, (s, f, b) in groups.items() if s > 0 and b > 0 and f > 0]
    xs = [p[0] for p in points] + [found.peak.gflops / found.peak.gbs]
    low_x, high_x = min(xs) / 2, max(xs) * 2
    low_y, high_y = min([p[1] for p in points] + [found.peak.gflops / 10]) / 2, found.peak.gflops * 3
    plot = _Plot(math.log10(low_x), math.log10(high_x), math.log10(low_y), math.log10(high_y))
    plot.axes("FLOP per byte", "GFLOP/s", lambda v: f"{10**v:.3g}")
    ridge = found.peak.gflops / found.peak.gbs
    corners = [(low_x, low_x * found.peak.gbs), (ridge, found.peak.gflops), (high_x, found.peak.gflops)]
    plot.line([(math.log10(a), math.log10(max(b, low_y))) for a, b in corners], "#444")
    for intensity, rate, seconds, path, name, part in sorted(points, key=lambda p: -p[2])[:400]:
        radius = 2 + 14 * math.sqrt(seconds / max(found.inside, 1e-12))
        x, y = plot.at(math.log10(intensity), math.log10(rate))
        dot = element(plot.svg, "circle", cx=x, cy=y, r=radius, fill=COLORS[part], fill_opacity="0.6")
        element(dot, "title", f"{path} {name}, {part}: {seconds * 1e3:.3f} ms, {rate:.1f} GFLOP/s")
    return plot.svg


def memory(found: Measured) -> ET.Element:
    """The arena's bytes in use over time."""
    ran = sorted(found.ran, key=lambda r: r.begin)
    most = max((r.step.live for r in ran), default=1) or 1
    plot = _Plot(0.0, max(found.seconds * 1e3, 1e-9), 0.0, most * 1.1 / 1e6)
    plot.axes("ms", "MB", lambda v: f"{v:.4g}")
    points: list[tuple[float, float]] = []
    for r in ran[:: max(1, len(ran) // 4000)]:
        begin, end = ((t - found.begin) / 1e6 for t in (r.begin, r.end))
        points += [(begin, r.step.live / 1e6), (end, r.step.live / 1e6)]
    plot.line(points, COLORS[FORWARD])
    return plot.svg


def _ticks(low: float, high: float) -> list[float]:
    """About six numbers with few digits from ``low`` to ``high``."""
    rough = (high - low) / 6
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough)
    return [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


class _Plot:
    """Axes with ticks, and places on them."""

    LEFT, BOTTOM, TOP = 60.0, 40.0, 10.0

    def __init__(self, x0: float, x1: float, y0: float, y1: float) -> None:
        self.x0, self.x1, self.y0, self.y1 = x0, x1, y0, y1
        self.svg = element(None, "svg", viewBox=f"0 0 {WIDTH:.0f} 320", width=WIDTH, role="img")

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x0) / (self.x1 - self.x0)
        up = (y - self.y0) / (self.y1 - self.y0)
        return self.LEFT + across * (WIDTH - self.LEFT - 20), 320 - self.BOTTOM - up * (320 - self.BOTTOM - self.TOP)

    def axes(self, across: str, up: str, label: Callable[[float], str]) -> None:
        for v in _ticks(self.x0, self.x1):
            x, _ = self.at(v, self.y0)
            element(self.svg, "line", x1=x, x2=x, y1=self.TOP, y2=320 - self.BOTTOM, stroke="#ddd")
            element(self.svg, "text", label(v), x=x, y=320 - self.BOTTOM + 15, font_size="11", text_anchor="middle")
        for v in _ticks(self.y0, self.y1):
            _, y = self.at(self.x0, v)
            element(self.svg, "line", x1=self.LEFT, x2=WIDTH - 20, y1=y, y2=y, stroke="#ddd")
            element(self.svg, "text", label(v), x=self.LEFT - 5, y=y + 4, font_size="11", text_anchor="end")
        element(self.svg, "text", across, x=WIDTH / 2, y=316.0, font_size="12", text_anchor="middle")
        element(self.svg, "text", up, x=self.LEFT + 6, y=self.TOP + 14, font_size="12")

    def line(self, points: Sequence[tuple[float, float]], color: str) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*p) for p in points))
        element(self.svg, "polyline", points=path, fill="none", stroke=color, stroke_width="1.5")

"""Draws segments along time: a row for each device, boxes as wide as predicted times, and bytes on the arrows
between."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from anejax.engine.placement import Flow, SegmentFacts, schedule, whole_us
from anejax.engine.units import bytes_text, time_text

WIDTH, LEFT, RIGHT = 820.0, 90.0, 60.0  # of all boxes together, and of the margins
LEAST = 20.0  # the narrowest box: it takes a number of two digits
BOX, ROW = 40.0, 15.0  # heights of a box, and of a line of labels
ASIDE = 4.0  # from a vertical arrow to its label
LETTER, BOLD = 6.0, 7.0  # about the width of one, and of one in the title
COLORS = {"ane": "#7c5cd6", "cpu": "#2f8f6b"}
LANES = {"ane": "engine", "cpu": "CPU"}
UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # characters that XML cannot represent


def element(parent: ET.Element | None, tag: str, text: str = "", **attributes: object) -> ET.Element:
    """A new element; the underscores of attribute names become hyphens."""
    named = {k.replace("_", "-"): f"{v:.1f}" if isinstance(v, float) else str(v) for k, v in attributes.items()}
    made = ET.Element(tag, named) if parent is None else ET.SubElement(parent, tag, named)
    made.text = UNFIT.sub("\ufffd", text) or None
    return made


def shortened(text: str, length: int) -> str:
    """``text``, with its middle left out where it is longer than ``length``."""
    kept = max(length - 1, 2)
    return text if len(text) <= length else f"{text[: kept // 3]}\u2026{text[kept // 3 - kept :]}"


def draw(title: str, segments: Sequence[SegmentFacts], flows: Sequence[Flow]) -> ET.Element:
    """The picture as an SVG element."""
    return _Picture(segments, flows).draw(title)


COLUMNS = 72  # width of a picture made of letters


def in_letters(segments: Sequence[SegmentFacts], flows: Sequence[Flow]) -> list[str]:
    """A line for each device: along time, from left to right, the last digit of the segment that runs there."""
    total, times = whole_us(segments, flows) or 1.0, [s.us for s in segments]
    begins = schedule(times, segments, flows)
    lines = []
    for device, name in LANES.items():
        row = ["."] * COLUMNS
        for i, (segment, begin) in enumerate(zip(segments, begins)):
            if segment.device == device:
                first = min(int(begin / total * COLUMNS), COLUMNS - 1)
                for column in range(first, max(first + 1, round((begin + segment.us) / total * COLUMNS))):
                    row[column] = str(i % 10)
        lines.append(f"{name:<7}{''.join(row)}")
    return lines


class _Picture:
    """Places boxes along time, and labels in as many lines as keep them apart."""

    def __init__(self, segments: Sequence[SegmentFacts], flows: Sequence[Flow]) -> None:
        self.segments, self.flows = segments, flows
        total = whole_us(segments, flows) or 1.0
        self.widths = [max(LEAST, WIDTH * s.us / total) for s in segments]
        self.starts = [LEFT + x for x in schedule(self.widths, segments, flows)]
        ends = (x + w for x, w in zip(self.starts, self.widths))
        self.width = max([LEFT + WIDTH, *ends]) + RIGHT
        inner = [f for f in flows if self.is_inner(f)]
        outer = [f for f in flows if not self.is_inner(f)]
        self.inner_rows, self.outer_rows = self.rows(inner), self.rows(outer)
        self.lanes: dict[str, float] = {}
        y = 30.0
        for device in LANES:
            if device == "cpu" or any(s.device == device for s in segments):
                self.lanes[device] = y
                y += BOX + (ROW * (2 + max(self.inner_rows.values(), default=0)) if device == "ane" else 0.0)
        self.caller = self.lanes["cpu"] + BOX + ROW * (3 + max(self.outer_rows.values(), default=0))

    def rows(self, flows: Sequence[Flow]) -> dict[Flow, int]:
        """The line of each flow's label: the first in which it does not touch another."""
        taken: list[list[tuple[float, float]]] = []
        found: dict[Flow, int] = {}
        for flow in sorted(flows, key=lambda f: (abs(self.ends(f)[1] - self.ends(f)[0]), self.middle(f))):
            left, right = self.extent(flow)
            free = (i for i, row in enumerate(taken) if all(right <= a or b <= left for a, b in row))
            found[flow] = row = next(free, len(taken))
            taken += [[]] if row == len(taken) else []
            taken[row].append((left, right))
        return found

    def extent(self, flow: Flow) -> tuple[float, float]:
        """The start and end, along time, of the label of ``flow``."""
        width, x = LETTER * (len(bytes_text(flow.nbytes)) + 1), self.middle(flow)
        if self.is_inner(flow):
            return x - width / 2, x + width / 2
        return (x - ASIDE - width, x) if flow.source is None else (x, x + ASIDE + width)

    @staticmethod
    def is_inner(flow: Flow) -> bool:
        """Whether both ends are segments: otherwise the caller is one, and the arrow is vertical."""
        return flow.source is not None and flow.target is not None

    def ends(self, flow: Flow) -> tuple[float, float]:
        """The start and end, along time, of the arrow of ``flow``."""
        at = lambda i, share: self.starts[i] + share * self.widths[i]  # noqa: E731
        if flow.source is None:
            assert flow.target is not None, "outputs that are inputs never reach a device"
            return (at(flow.target, 0.3),) * 2
        if flow.target is None:
            return (at(flow.source, 0.7),) * 2
        return at(flow.source, 0.9), at(flow.target, 0.1)

    def middle(self, flow: Flow) -> float:
        return sum(self.ends(flow)) / 2

    def draw(self, title: str) -> ET.Element:
        height = self.caller + 24
        svg = element(
            None, "svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {self.width:.0f} {height:.0f}",
            width="100%", font_family="system-ui, sans-serif", font_size=11, role="img",
        )  # fmt: skip
        element(svg, "title", title)
        marker = element(
            element(svg, "defs"), "marker", id="anejax-arrow", viewBox="0 0 6 6", refX=6, refY=3, markerWidth=6,
            markerHeight=6, orient="auto",
        )  # fmt: skip
        element(marker, "path", d="M0 0L6 3L0 6z", fill="#555")
        element(svg, "rect", width="100%", height="100%", fill="#fff")
        element(
            svg, "text", shortened(title, int((self.width - 20) / BOLD)), x=10, y=18, font_weight="bold", fill="#222"
        )
        for device, y in self.lanes.items():
            element(svg, "text", LANES[device], x=10, y=y + BOX / 2 + 4, fill=COLORS[device], font_weight="bold")
        element(svg, "line", x1=LEFT, x2=self.width - RIGHT, y1=self.caller, y2=self.caller, stroke="#999")
        element(svg, "text", "caller", x=10, y=self.caller + 4, fill="#555")
        for number in range(len(self.segments)):
            self.box(svg, number)
        for flow in self.flows:
            self.arrow(svg, flow)
        for flow in self.flows:  # over all arrows
            self.label(svg, flow)
        return svg

    def box(self, svg: ET.Element, number: int) -> None:
        segment, x, width = self.segments[number], self.starts[number], self.widths[number]
        y, time = self.lanes[segment.device], time_text(segment.us) + (" and more" if segment.unpredicted else "")
        group = element(svg, "g")
        what = ", ".join(f"{name} {n}" for name, n in segment.primitives.items()) or "casts"
        element(group, "title", f"segment {number}: {segment.device}, {time}; {what}")
        dashes = {"stroke_dasharray": "4 2"} if segment.unpredicted else {}
        element(
            group, "rect", x=x, y=y, width=width, height=BOX, rx=2, fill=COLORS[segment.device], fill_opacity="0.25",
            stroke=COLORS[segment.device], **dashes,
        )  # fmt: skip
        for line, text in enumerate((str(number), time)):
            if width > LETTER * (len(text) + 1):
                element(group, "text", text, x=x + width / 2, y=y + 17 + ROW * line, text_anchor="middle", fill="#222")

    def arrow(self, svg: ET.Element, flow: Flow) -> None:
        """A curve through the label's place."""
        (x1, x2), y = self.ends(flow), self.label_height(flow)
        y1, y2 = self.edge(flow.source, flow.target), self.edge(flow.target, flow.source)
        bend = 2 * y - (y1 + y2) / 2 if self.is_inner(flow) else (y1 + y2) / 2
        group = element(svg, "g")
        values = "1 value" if flow.values == 1 else f"{flow.values} values"
        element(group, "title", f"{self.name(flow.source, 'arguments')} to {self.name(flow.target, 'results')}: "
                f"{values}, {bytes_text(flow.nbytes)}")  # fmt: skip
        element(
            group, "path", d=f"M{x1:.1f} {y1:.1f}Q{self.middle(flow):.1f} {bend:.1f} {x2:.1f} {y2:.1f}", fill="none",
            stroke="#555", marker_end="url(#anejax-arrow)",
        )  # fmt: skip

    def label(self, svg: ET.Element, flow: Flow) -> None:
        """The bytes, on the arrow, or beside it where it is vertical: arguments left of it, results right."""
        inner, x = self.is_inner(flow), self.middle(flow)
        side = "middle" if inner else "end" if flow.source is None else "start"
        x += {"middle": 0.0, "end": -ASIDE, "start": ASIDE}[side]
        element(
            svg, "text", bytes_text(flow.nbytes), x=x, y=self.label_height(flow) + 3.5, text_anchor=side,
            font_size=10, fill="#222", stroke="#fff", stroke_width=4, stroke_linejoin="round", paint_order="stroke",
        )  # fmt: skip

    def label_height(self, flow: Flow) -> float:
        inner = self.is_inner(flow)
        top = next(iter(self.lanes.values())) if inner else self.lanes["cpu"]
        return top + BOX + ROW * ((self.inner_rows if inner else self.outer_rows)[flow] + 1.25)

    def edge(self, number: int | None, other: int | None) -> float:
        """The height at which arrows between ``number`` and ``other`` meet the former."""
        if number is None:
            return self.caller
        device = self.segments[number].device
        below = device == "ane" or other is None
        return self.lanes[device] + (BOX if below else 0.0)

    @staticmethod
    def name(number: int | None, caller: str) -> str:
        return caller if number is None else f"segment {number}"

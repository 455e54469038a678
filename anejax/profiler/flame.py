"""A profile as a flame graph: layers within layers, from left to right what took longest, below each its primitives.

Gregg, "The Flame Graph", ACM Queue 14 (2016), drawn from the top down; the stack is the path of layers, not of calls.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from anejax.profiler.drawing import COLORS, WIDTH, element, label
from anejax.profiler.measured import OUTSIDE, Measured, shares

HEIGHT = 20.0  # of one level
LEAST = 0.4  # pixels of a box that is drawn
LAYER = "#6b7280"


@dataclass
class Node:
    """A layer with all that is inside.

    Attributes:
        seconds: of everything inside.
        layers: those inside, by name.
        primitives: seconds of those that belong to no layer inside, by (primitive, part of the derivative).
    """

    seconds: float = 0.0
    layers: dict[str, Node] = field(default_factory=lambda: defaultdict(Node))
    primitives: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))

    def depth(self) -> int:
        """Levels below this one."""
        inside = max((n.depth() for n in self.layers.values()), default=-1)
        return 1 + max(inside, 0 if self.primitives else -1)


def tree(found: Measured) -> Node:
    """All layers of a profile; steps without a layer form a separate one."""
    root = Node()
    for ran in found.ran:
        for operation, share in shares(ran.step):
            path = operation.mark.path if operation is not None else ""
            what = (operation.name, operation.mark.part) if operation is not None else (ran.step.what, "")
            seconds, node = share * ran.own * 1e-9, root
            node.seconds += seconds
            for name in path.split("/") if path else [OUTSIDE]:
                node = node.layers[name]
                node.seconds += seconds
            node.primitives[what] += seconds
    return root


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture: times in seconds from the left edge, levels from the top."""

    path: str
    part: str  # "" for layers
    begin: float
    seconds: float
    level: int


def boxes(root: Node) -> Iterator[Box]:
    """Every layer and primitive; those inside a layer lie below it, side by side, the longest first."""
    yield Box("all", "", 0.0, root.seconds, 0)
    yield from _inside(root, "", 0.0, 1)


def _inside(node: Node, path: str, begin: float, level: int) -> Iterator[Box]:
    layers = [(n.seconds, (name, ""), n) for name, n in node.layers.items()]
    primitives = [(seconds, what, None) for what, seconds in node.primitives.items()]
    for seconds, (name, part), inner in sorted([*layers, *primitives], key=lambda e: (-e[0], e[1])):
        inside = f"{path}/{name}" if path else name
        yield Box(inside, part, begin, seconds, level)
        if inner is not None:
            yield from _inside(inner, inside, begin, level + 1)
        begin += seconds


def flame(found: Measured) -> ET.Element:
    """The picture."""
    root = tree(found)
    height = HEIGHT * (root.depth() + 1)
    svg = element(None, "svg", viewBox=f"0 0 {WIDTH:.0f} {height:.0f}", width=WIDTH, role="img")
    scale = WIDTH / root.seconds if root.seconds else 0.0
    for box in boxes(root):
        x, y, width = box.begin * scale, box.level * HEIGHT, box.seconds * scale
        if width < LEAST:
            continue
        fill = COLORS.get(box.part, LAYER)
        rect = element(svg, "rect", x=x, y=y, width=width, height=HEIGHT, fill=fill, stroke="#fff", stroke_width="0.6")
        part, share = f", {box.part}" if box.part else "", 100 * box.seconds / root.seconds
        element(rect, "title", f"{box.path}{part}: {box.seconds * 1e3:.3f} ms, {share:.1f} %")
        label(svg, box.path.rpartition("/")[2], x + 4, y + 14, width)
    return svg

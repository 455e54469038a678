"""The elements, colors and sizes that the pictures of a profile's page share."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from anejax.marks import BACKWARD, FORWARD, TANGENT, UPDATE

WIDTH = 960.0
LABEL = 7.0  # about the width of a letter
COLORS = {FORWARD: "#2f6fb0", UPDATE: "#b07c2f", TANGENT: "#5a9a7a", BACKWARD: "#a4485f"}


def element(parent: ET.Element | None, tag: str, text: str = "", **attributes: object) -> ET.Element:
    """A new element; the underscores of attribute names become hyphens."""
    named = {
        k.rstrip("_").replace("_", "-"): f"{v:.2f}" if isinstance(v, float) else str(v) for k, v in attributes.items()
    }
    made = ET.Element(tag, named) if parent is None else ET.SubElement(parent, tag, named)
    made.text = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text) or None
    return made


def label(svg: ET.Element, name: str, x: float, y: float, width: float) -> bool:
    """Writes ``name``, its beginning left out where it is too long. False where not even four letters have room."""
    letters = int(width / LABEL) - 1
    if letters < 4:
        return False
    shown = name if len(name) <= letters else "\u2026" + name[1 - letters :]
    element(svg, "text", shown, x=x, y=y, font_size="12", fill="#fff")
    return True

"""The flame graph and what notebooks show: every second has its place, inside the layer that it belongs to."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from xml.etree import ElementTree

import pytest

from anejax.marks import Mark
from anejax.profiler import machine
from anejax.profiler.flame import Box, boxes, flame, tree
from anejax.profiler.measured import Measured
from anejax.profiler.recording import Profile, profile


def measured(*ran: tuple[str, str, str, float]) -> Measured:
    """Steps of one operation each: (path, primitive, part, ms)."""
    made = []
    for path, name, part, ms in ran:
        operation = SimpleNamespace(name=name, mark=Mark(path=path, part=part), flops=1)
        made.append(SimpleNamespace(step=SimpleNamespace(operations=[operation], what=name), own=ms * 1e6))
    return cast(Measured, SimpleNamespace(ran=made))


STEPS = (
    ("net/a", "matmul", "forward", 3.0),
    ("net/a", "matmul", "backward", 5.0),
    ("net/b/inner", "tanh", "forward", 1.0),
    ("net", "add", "forward", 0.5),
    ("", "mul", "update", 2.0),
    ("net/a", "matmul", "forward", 1.0),
)


def inside(box: Box, outer: Box) -> bool:
    end, outer_end = box.begin + box.seconds, outer.begin + outer.seconds
    return outer.begin <= box.begin + 1e-12 and end <= outer_end + 1e-12


def test_every_box_lies_within_the_layer_above_it() -> None:
    found = list(boxes(tree(measured(*STEPS))))
    assert found[0].path == "all" and found[0].seconds == pytest.approx(12.5e-3)
    rows: dict[int, list[Box]] = defaultdict(list)
    for box in found:
        rows[box.level].append(box)
    for level, row in rows.items():
        row.sort(key=lambda b: b.begin)
        for left, right in itertools.pairwise(row):
            assert left.begin + left.seconds <= right.begin + 1e-12
        for box in row if level else []:
            above = box.path.rpartition("/")[0] or "all"
            assert any(b.path == above and not b.part and inside(box, b) for b in rows[level - 1])
    leaves = {(b.path, b.part): b.seconds for b in found if b.part}
    assert leaves == pytest.approx({
        ("net/a/matmul", "forward"): 4e-3, ("net/a/matmul", "backward"): 5e-3, ("net/b/inner/tanh", "forward"): 1e-3,
        ("net/add", "forward"): 0.5e-3, ("(no layer)/mul", "update"): 2e-3,
    })  # fmt: skip
    first = [b.path for b in found if b.level == 2]
    assert first[0] == "net/a"  # what took longest is on the left


def test_the_picture_has_a_rectangle_for_each_box_that_is_wide_enough() -> None:
    picture = flame(measured(*STEPS, ("net/a", "neg", "forward", 1e-6)))
    titles = [t.text or "" for t in picture.iter("title")]
    assert "net/a: 9.000 ms, 72.0 %" in titles and "net/a/matmul, backward: 5.000 ms, 40.0 %" in titles
    assert not any("neg" in t for t in titles)
    height = float(picture.attrib["viewBox"].split()[3])
    assert max(float(r.attrib["y"]) + float(r.attrib["height"]) for r in picture.iter("rect")) == pytest.approx(height)


def test_nothing_ran() -> None:
    picture = flame(measured())
    assert list(picture.iter("rect")) == []


def test_names_of_layers_are_text() -> None:
    picture = flame(measured(("<b>&", "a\x00b", "forward", 1.0)))
    text = ElementTree.tostring(picture, encoding="unicode", method="html")
    assert "<b>" not in text and "\x00" not in text and "&lt;b&gt;&amp;" in text


def test_notebooks_show_the_page_in_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANEJAX_CACHE", str(tmp_path))
    machine._path().parent.mkdir(parents=True)
    machine._path().write_text(json.dumps({"gflops": 100.0, "gbs": 10.0}))  # so that nothing is measured
    with profile() as found:
        assert "recorded still" in found._repr_html_()
    shown = found._repr_html_()
    (content,) = re.findall(r'srcdoc="([^"]*)"', shown)
    page = html.unescape(content)
    found.save(tmp_path / "p.html")
    assert page == (tmp_path / "p.html").read_text() and "Flame graph" in page
    assert isinstance(found, Profile)

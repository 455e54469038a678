"""Explanations: every equation once and with its reason, totals that are sums, well-formed pictures."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import nn
from anejax.config import config
from anejax.engine.check import check
from anejax.engine.explain import ALL, BY_COST, ON_CPU
from anejax.engine.units import bytes_text, time_text
from anejax.errors import DeviceError, MilError
from anejax.runtime.execute import compile_count
from anejax.runtime.prepare import prepare

SVG = "{http://www.w3.org/2000/svg}"


def array(*shape: int, dtype: str = "float32") -> aj.ShapeDtypeStruct:
    return aj.ShapeDtypeStruct(shape, dtype)


def mixed(x: Any, w: Any, i: Any) -> Any:
    rows = jnp.tanh(x @ w)[i]
    return jnp.sort(rows, axis=0) @ w, i + 1


ARGS = (array(8, 8), array(8, 8), array(5, dtype="int32"))


@pytest.fixture
def all_to_engine() -> Any:
    with config.override("engine_partition", "all"):
        yield


def test_every_equation_is_counted_once(all_to_engine: None) -> None:
    found = aj.explain(mixed, *ARGS)
    eqns = prepare(aj.jit(mixed).trace(*ARGS).graph).program.eqns
    assert sum(p.count for p in found.placements) == sum(s.equations for s in found.segments) == len(eqns)
    for device in ("ane", "cpu"):
        segments = sum(s.equations for s in found.segments if s.device == device)
        assert segments == sum(p.count for p in found.placements if p.device == device) > 0


def test_reasons_and_lines(all_to_engine: None) -> None:
    found = {p.primitive: p for p in aj.explain(mixed, *ARGS).placements}
    line = mixed.__code__.co_firstlineno
    assert (found["tanh"].device, found["tanh"].reason) == ("ane", ALL)
    assert found["tanh"].sources == (f"{__file__}:{line + 1} (mixed)",)
    assert (found["sort"].device, found["sort"].sources) == ("cpu", (f"{__file__}:{line + 2} (mixed)",))
    assert "MIL's sorting operations" in found["sort"].reason and "indices at run time" in found["gather"].reason
    assert found["add"].reason == "the engine does not compute in int32"


def test_costs_decide_as_in_jit() -> None:
    small = aj.explain(lambda x, w: jnp.tanh(x @ w), array(8, 8), array(8, 8))
    assert [s.device for s in small.segments] == ["cpu"]
    assert all(p.reason.startswith("predicted to take") for p in small.placements)
    large = aj.explain(lambda x, w: jnp.tanh(x @ w) @ w, array(2048, 2048), array(2048, 2048))
    assert {p.reason for p in large.placements} == {BY_COST}


def test_totals_are_sums(all_to_engine: None) -> None:
    found = aj.explain(mixed, *ARGS)
    assert [s.device for s in found.segments] == ["cpu", "ane", "cpu", "ane", "cpu"]
    assert found.us == pytest.approx(sum(s.us for s in found.segments)) and found.us > 2 * 100  # each waits
    assert found.unpredicted == {"gather": 1, "sort": 1}
    for i, segment in enumerate(found.segments):
        assert sum(f.values for f in found.flows if f.target == i) == len(segment.inputs)
    x, rows = 2 * 8 * 8, 2 * 5 * 8  # of float16
    assert found.crossing_bytes == 3 * x + x + rows + rows  # x, w for each program; tanh; the sorted rows; the product
    assert sum(f.nbytes for f in found.flows if f.target is None) == 4 * (5 * 8 + 5)
    again = json.loads(json.dumps(found.to_json()))
    assert again["dispatches"] == 5 and again["us"] == found.us and len(again["segments"]) == 5


@pytest.mark.parametrize("chip", ["M1", "M5 Pro"])
def test_programs_are_those_of_jit(all_to_engine: None, chip: str) -> None:
    """With precision="fp16" the CPU plays the engine, over the same plan; equal segments have one text, and so are one
    program on the engine (with counts of its own, each is a program on cpu-fp16)."""

    def f(x: Any) -> Any:
        for _ in range(3):
            x = jnp.sort(jnp.tanh(x), axis=0)
        return x

    x = np.random.default_rng(0).standard_normal((7, 5), np.float32)
    found = aj.explain(f, x, chip=chip)
    with config.override("chip", chip):
        lowered = aj.jit(f, precision="fp16").lower(x)
        texts = re.split("(?m)^// segment .*\n", lowered.as_text())[1:]
        segments = lowered.compile().cost_analysis()["segments"]
    assert len({text.strip() for text in texts}) == found.programs < len(texts)
    assert len(segments) == len(found.segments) == 7


def loop(h: Any, x: Any, w: Any) -> Any:
    """A scan of products, and a sum that the CPU device adds up."""
    turn = lambda c, x: ((jnp.tanh(c[0] @ w + x), c[1] + jnp.exp(x)), None)  # noqa: E731
    return aj.lax.scan(turn, (h, jnp.zeros(4)), x)[0]


def test_loops_are_chunks(all_to_engine: None) -> None:
    found = aj.explain(loop, array(3, 4), array(700, 4), array(4, 4))
    assert [s.device for s in found.segments] == ["cpu", "ane", "cpu"]
    segment = found.segments[1]
    turns, runs = zip(*segment.chunks)
    assert sum(t * n for t, n in segment.chunks) == 700 and segment.primitives == {"scan": 1}
    assert segment.dispatches == 2 * sum(runs) and found.dispatches == 2 + 2 * sum(runs)  # each with its additions
    assert found.programs == 2 + 2 * len(turns) - (len(turns) - 1), "the additions are one program"
    assert segment.us > sum(runs) * 100 and segment.operations <= 1001 and not found.unpredicted
    text = " ".join(str(found).split())
    assert (
        f"1 equation as {runs[0]} chunks of {turns[0]} turns" in text and f"in {segment.dispatches} dispatches" in text
    )
    assert json.loads(json.dumps(found.to_json()))["dispatches"] == found.dispatches
    ET.fromstring(found.to_svg())
    args = [np.zeros(s, np.float32) for s in ((3, 4), (700, 4), (4, 4))]
    with config.override("chip", "M4"):
        aj.clear_caches()
        before = compile_count()
        aj.jit(loop, precision="fp16").lower(*args).compile()
        assert compile_count() - before == found.programs


def test_one_program_on_the_cpu() -> None:
    found = aj.explain(aj.jit(mixed), *ARGS, device="cpu", chip="M1")
    assert (found.programs, len(found.segments), found.crossing_bytes, found.chip) == (1, 1, 0, None)
    assert {p.reason for p in found.placements} == {ON_CPU} and found.segments[0].casts == 0
    product = aj.explain(lambda x: x @ x, array(64, 64), device="cpu")
    assert product.us == pytest.approx(2 * 64**3 / 1.4e6 + 4 * 64 * 64 / 60e3)  # 1.4 TFLOP/s, 60 GB/s


def test_nothing_to_run() -> None:
    for device in ("ane", "cpu"):
        found = aj.explain(lambda x: (x, 1.0), array(3), device=device)
        assert (found.programs, found.segments, found.placements, found.us) == (0, (), (), 0)
        assert "0 segments" in str(found)
        ET.fromstring(found.to_svg())


def test_static_arguments_and_effects() -> None:
    def f(x: Any, n: int) -> Any:
        aj.debug.print("{}", x)
        return x * n

    found = aj.explain(aj.jit(f, static_argnums=1), array(4), 3)
    assert sum(p.count for p in found.placements) == 1


def test_the_text(all_to_engine: None) -> None:
    lines = str(aj.explain(mixed, *ARGS)).splitlines()
    assert lines[0].startswith("mixed on ane (M4): 5 segments, ") and lines[0].endswith(" predicted, and more")
    assert "  not predicted, on the CPU device: gather 1, sort 1" in lines
    assert [line.split(",")[0] for line in lines if line.startswith("segment ")] == [
        f"segment {i}: {d}" for i, d in enumerate(("cpu", "ane", "cpu", "ane", "cpu"))]  # fmt: skip
    assert repr(aj.explain(mixed, *ARGS)).splitlines() == lines


def test_the_picture(all_to_engine: None) -> None:
    found = aj.explain(mixed, *ARGS)
    svg = ET.fromstring(found.to_svg())
    boxes = svg.findall(f"{SVG}g/{SVG}rect")
    assert len(boxes) == len(found.segments)
    ends = [(float(b.attrib["x"]), float(b.attrib["width"])) for b in boxes]
    assert all(x + w == pytest.approx(after, abs=0.11) for (x, w), (after, _) in pairwise(ends))
    assert ends[1][1] / ends[3][1] == pytest.approx(found.segments[1].us / found.segments[3].us, rel=1e-2)
    arrows = [g for g in svg.findall(f"{SVG}g") if g.find(f"{SVG}path") is not None]
    labels = [t for t in svg.findall(f"{SVG}text") if t.get("font-size") == "10"]
    assert len(arrows) == len(found.flows) and [t.text for t in labels] == [bytes_text(f.nbytes) for f in found.flows]


def test_labels_are_on_their_arrows_within_the_picture_and_apart() -> None:
    """As rendered: a curve's middle is its label's, vertical arrows have theirs beside them, long names are cut."""

    def a_name(x: Any, i: Any) -> Any:
        for _ in range(5):
            x = jnp.sort(jnp.tanh(x @ x)[i], axis=0)
        return x

    a_name.__name__ = "long_" * 60
    shapes = aj.ShapeDtypeStruct((2048, 2048), "float32"), aj.ShapeDtypeStruct((2048,), "int32")
    found = aj.explain(a_name, *shapes)
    svg = ET.fromstring(found.to_svg())
    width = float(svg.attrib["viewBox"].split()[2])
    title = next(t for t in svg.findall(f"{SVG}text") if t.get("font-weight") == "bold")
    assert title.text is not None and "\u2026" in title.text and title.text.endswith("predicted, and more")
    assert len(title.text) * 7 <= width and svg.findtext(f"{SVG}title") == found._title()
    places = []
    for g, t in zip((g for g in svg.findall(f"{SVG}g") if g.find(f"{SVG}path") is not None),
                    (t for t in svg.findall(f"{SVG}text") if t.get("font-size") == "10"), strict=True):  # fmt: skip
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", g.find(f"{SVG}path").get("d"))]  # type: ignore[union-attr]
        middle = [(a + 2 * b + c) / 4 for a, b, c in zip(numbers[:2], numbers[2:4], numbers[4:])]
        x, y, half = float(t.get("x", 0)), float(t.get("y", 0)), 3.0 * len(t.text or "")
        x += {"end": -half, "start": half}.get(t.get("text-anchor", ""), 0)
        assert half <= x <= width - half
        if t.get("text-anchor") == "middle":
            assert abs(middle[0] - x) < 0.2 and abs(middle[1] - y + 3.5) < 0.2
        assert all(abs(x - a) >= half + h or abs(y - b) >= 10 for a, b, h in places)
        places.append((x, y, half))


class Reader(HTMLParser):
    """Remembers which elements are open, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)
        assert not any(key in ("src", "href", "onload") for key, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_pages_are_well_formed_and_escaped(tmp_path: Path) -> None:
    def f(x: Any) -> Any:
        return jnp.sort(x)

    f.__name__ = "<script>alert('&')</script>\x00\ud800"
    found = aj.explain(f, array(3))
    for page in (found.to_html(), found._repr_html_()):
        reader = Reader()
        reader.feed(page)
        assert not reader.open and "script" not in reader.seen and {"svg", "pre"} <= reader.seen
        assert "<script>alert('&')</script>\ufffd\ufffd on ane (M4)" in reader.text
    for suffix, text in ((".html", found.to_html()), (".svg", found.to_svg())):
        found.save(tmp_path / f"a{suffix}")
        assert (tmp_path / f"a{suffix}").read_text("utf-8") == text
    with pytest.raises(ValueError, match=r"\[explain\] expected a path that ends in .html or .svg, got '.*a.png'"):
        found.save(tmp_path / "a.png")


def test_mistakes() -> None:
    with pytest.raises(DeviceError, match=r"\[explain\] expected device 'ane', 'coreai' or 'cpu', got 'gpu'"):
        aj.explain(jnp.sin, array(3), device="gpu")
    with pytest.raises(MilError, match="expected one of M1"):
        aj.explain(jnp.sin, array(3), chip="M9")


def test_units() -> None:
    assert [time_text(us) for us in (0, 12.34, 999, 1000)] == ["0.0 us", "12.3 us", "999.0 us", "1.00 ms"]
    assert [bytes_text(n) for n in (0, 999, 1000, 3_400_000, 5 * 10**12)] == [
        "0 B", "999 B", "1.0 kB", "3.4 MB", "5000.0 GB"]  # fmt: skip


def test_layers_are_named_by_explain_and_check() -> None:
    def f(x: Any) -> Any:
        with aj.named_scope("head"):
            return jnp.sort(jnp.tanh(x))

    x = aj.ShapeDtypeStruct((64, 64), "float32")
    found = {p.primitive: p for p in aj.explain(f, x).placements}
    assert found["sort"].layers == found["tanh"].layers == ("head",)
    assert "  sort 1  of head  at " in str(aj.explain(f, x))
    places = {c.op: c.place for c in check(f, x)}
    assert places["sort"].startswith(f" of head at {__file__}:") and places["tanh"].startswith(" of head at ")


def test_says_why_nothing_goes_to_the_engine() -> None:
    small = aj.ShapeDtypeStruct((8, 8), "float32")
    found = aj.explain(lambda x: jnp.tanh(x @ x), small, chip="M4")
    assert found.idle is not None and found.idle.startswith("dot_general: predicted to take 0.0 us on the CPU device")
    assert "nothing goes to the engine. dot_general: predicted" in str(found)
    large = aj.ShapeDtypeStruct((2048, 2048), "float32")
    assert aj.explain(lambda x: x @ x, large, chip="M4").idle is None
    assert aj.explain(lambda x: x @ x, small, device="cpu").idle is None


def test_composites_are_told_by_their_names() -> None:
    x = np.ones((64, 64), np.float32)
    found = aj.explain(lambda x: nn.softmax(x @ x) @ x, x, chip="M4")
    assert found.segments[0].primitives["softmax"] == 1 and not found.segments[0].unpredicted
    assert "softmax" in str(found) and "composite" not in str(found)

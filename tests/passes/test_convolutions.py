"""Convolutions and pools as the engine has them: values and gradients against float64, on the CPU device with the
engine's numerics and on the stand-in for Espresso; and that nothing is transposed where features come second."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.core.graph import Graph
from anejax.lower.to_mil import lower
from anejax.mil.program import Program
from anejax.mil.rules import NOTE
from anejax.mil.text import to_text
from anejax.mil.verify import diagnose
from anejax.passes.freeze import freeze
from anejax.passes.legalize import legalize, patches, windows
from anejax.passes.pipeline import optimize
from anejax.runtime.library import NativeProgram
from tests.answers import of_jax
from tests.espresso import run

UNITS = 1.5  # of 2^-11 of the norm of float64's result: one rounding is about 0.4
NHWC, NLC = ("NHWC", "HWIO", "NHWC"), ("NHC", "HIO", "NHC")
Shape = tuple[int, ...]

# name -> (shapes of x and w, parameters of conv_general_dilated, transposes of the engine's program)
CONVOLUTIONS: dict[str, tuple[Shape, Shape, dict[str, Any], int]] = {
    "3 x 3": ((2, 3, 8, 9), (4, 3, 3, 3), {"padding": "SAME"}, 0),
    "strides": ((2, 3, 9, 8), (4, 3, 3, 3), {"window_strides": (2, 2), "padding": "SAME"}, 0),
    "1 x 1, strides": ((2, 3, 9, 8), (4, 3, 1, 1), {"window_strides": (2, 2)}, 0),
    "7 x 7, strides": ((1, 3, 23, 19), (4, 3, 7, 7), {"window_strides": (2, 2), "padding": "SAME"}, 0),
    "dilation": ((2, 3, 12, 11), (5, 3, 3, 2), {"padding": [(2, 2), (0, 1)], "rhs_dilation": (2, 3)}, 0),
    "padding cuts": ((2, 3, 9, 10), (5, 3, 3, 3), {"padding": [(-1, 2), (1, -2)]}, 0),
    "one pixel": ((1, 1, 1, 1), (1, 1, 1, 1), {}, 3),
    "more features than the weight first takes": ((2, 5, 6, 6), (2, 5, 3, 3), {"padding": [(2, 0), (0, 2)]}, 0),
    "odd strides": ((2, 3, 17, 19), (3, 3, 3, 3), {"window_strides": (5, 5)}, 0),
    "groups": ((2, 6, 7, 7), (9, 2, 3, 3), {"window_strides": (1, 2), "padding": [(1, 0), (2, 1)],
               "feature_group_count": 3}, 2),
    "depthwise": ((2, 4, 9, 7), (8, 1, 3, 3), {"padding": "SAME", "feature_group_count": 4}, 2),
    "holes": ((2, 3, 5, 6), (5, 3, 3, 3), {"padding": [(2, 1), (1, 3)], "lhs_dilation": (2, 2)}, 1),
    "holes and strides": ((2, 3, 5, 6), (5, 3, 3, 3), {"window_strides": (2, 1), "padding": [(2, 1), (1, 3)],
                          "lhs_dilation": (3, 2)}, 1),
    "wide kernel": ((1, 2, 5, 40), (3, 2, 1, 17), {"padding": "SAME"}, 0),
    "kernel as large as the image": ((1, 2, 9, 11), (3, 2, 9, 11), {}, 4),
    "sequences": ((2, 3, 17), (4, 3, 3), {"window_strides": (2,), "padding": "SAME"}, 0),
    "batch groups": ((4, 3, 9, 7), (8, 3, 3, 3), {"padding": "SAME", "batch_group_count": 2}, 12),
    "volumes": ((2, 3, 4, 5, 6), (4, 3, 2, 3, 3), {"padding": "SAME"}, 9),
    "features last": ((2, 8, 9, 3), (3, 3, 3, 4), {"padding": "SAME", "dimension_numbers": NHWC}, 9),
    "sequences, features last": ((2, 17, 3), (3, 3, 4), {"padding": "SAME", "dimension_numbers": NLC}, 9),
}  # fmt: skip
WINDOWS: dict[str, tuple[Shape, Shape, Shape, str]] = {
    "side by side": ((2, 3, 8, 6), (1, 1, 2, 2), (1, 1, 2, 2), "VALID"),
    "a rest": ((2, 3, 9, 7), (1, 1, 2, 2), (1, 1, 2, 2), "VALID"),
    "overlap": ((2, 3, 9, 8), (1, 1, 3, 3), (1, 1, 2, 2), "SAME"),
    "features last": ((2, 9, 8, 3), (1, 3, 2, 1), (1, 2, 1, 1), "SAME"),
    "sequences": ((2, 3, 17), (1, 1, 3), (1, 1, 2), "SAME"),
    "sequences, features last": ((2, 17, 3), (1, 3, 1), (1, 2, 1), "SAME"),
}


def convolution(lib: Any, p: dict[str, Any], x: Any, w: Any) -> Any:
    given = {"window_strides": (1,) * (len(x.shape) - 2), "padding": "VALID", **p}
    return lib.conv_general_dilated(x, w, **given)


def both_ways(f: Callable[..., Any], args: list[np.ndarray]) -> tuple[Graph, list[np.ndarray], list[np.ndarray]]:
    """The Graph of ``f(lib, *args)`` and its gradients, its arguments, and float64's results."""

    def asked() -> Any:
        want, back = jax.vjp(lambda *a: f(jax.lax, *a), *(a.astype(np.float64) for a in args))
        ct = np.random.default_rng(1).standard_normal(want.shape).astype(np.float16)
        return ct, want, *back(ct.astype(np.float64))

    with jax.enable_x64(True):
        ct, *exact = map(np.asarray, of_jax(asked))

    def all_of_it(ct: Any, *args: Any) -> Any:
        y, back = aj.vjp(lambda *a: f(lax, *a), *args)
        return y, *back(ct)

    given = [ct, *args]
    return optimize(aj.jit(all_of_it).trace(*(a.astype(np.float32) for a in given)).graph), given, exact


def legal(graph: Graph, chip: str) -> Program:
    program = lower(legalize(graph, "ane", chip), "ane")
    assert [f.message for f in diagnose(program, chip) if f.rule.severity != NOTE] == []
    return program


def check(program: Program, device: str, args: list[np.ndarray], exact: list[np.ndarray], units: float = UNITS) -> None:
    given = [a.reshape(v.type.shape) for a, v in zip(args, program.main.inputs, strict=True)]
    for got, want in zip(run(NativeProgram(device, to_text(program)), given), exact, strict=True):
        error = np.linalg.norm(got.astype(np.float64).reshape(want.shape) - want) / max(np.linalg.norm(want), 1e-9)
        assert error <= units * 2.0**-11


def normal(*shapes: Shape) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s).astype(np.float16) for s in shapes]


@pytest.mark.parametrize("chip", ["M1", "M4"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_with_computed_weights(name: str, chip: str) -> None:
    x, w, p, transposes = CONVOLUTIONS[name]
    graph, args, exact = both_ways(lambda lib, x, w: convolution(lib, p, x, w), normal(x, w))
    program = legal(graph, chip)
    if chip == "M4":  # before, slices of the last axis are made of others
        assert Counter(op.name for op in program.main.ops)["transpose"] <= transposes
    check(program, "cpu-fp16", args, exact)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_with_constant_weights(name: str) -> None:
    """The engine's own conv, or conv_transpose, for the result and for the gradient of x."""
    x, w, p, transposes = CONVOLUTIONS[name]
    graph, (ct, *args), exact = both_ways(lambda lib, x, w: convolution(lib, p, x, w), normal(x, w))
    frozen, left = freeze(graph, {2: args[1].astype(np.float32)})
    program = legal(frozen.replace(outputs=frozen.outputs[:2]), "M4")
    count = Counter(op.name for op in program.main.ops)
    assert left == [0, 1] and count["transpose"] <= transposes
    if len(x) < 5 and "batch_group_count" not in p and name not in ("wide kernel", "kernel as large as the image"):
        assert count["conv"] + count["conv_transpose"] == 2 and count["matmul"] == 0
    check(program, "cpu-fp16", [ct, args[0]], exact[:2])


@pytest.mark.parametrize("rows", [1, 3, 4, 6])
@pytest.mark.parametrize("chip", ["M1", "M4"])
@pytest.mark.parametrize("name", [n for n, (x, *_) in CONVOLUTIONS.items() if len(x) < 5])
def test_rows_in_bands(name: str, chip: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows at a time as the SRAM has room for patches of, for the result and both gradients."""
    monkeypatch.setattr(patches, "fitting", lambda row_bytes: rows)
    x, w, p, _ = CONVOLUTIONS[name]
    graph, args, exact = both_ways(lambda lib, x, w: convolution(lib, p, x, w), normal(x, w))
    check(legal(graph, chip), "cpu-fp16", args, exact, units=3)  # up to 8 sums, each rounded


def test_bands_cut_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No slice is along the last axis, which would need two transposes up to A15, and each row is read once, but for
    those that the windows of two bands see."""
    monkeypatch.setattr(patches, "fitting", lambda row_bytes: 4)
    graph, _, _ = both_ways(
        lambda lib, x, w: convolution(lib, {"padding": "SAME"}, x, w), normal((2, 3, 12, 9), (4, 3, 3, 3))
    )
    program = legal(graph.replace(outputs=graph.outputs[:1]), "M1")
    count = Counter(op.name for op in program.main.ops)
    assert (count["matmul"], count["slice_by_size"], count["transpose"]) == (3, 3, 0)
    heights = [op.results[0].type.shape[2] for op in program.main.ops if op.name == "slice_by_size"]
    assert heights == [5, 6, 5]


@pytest.mark.parametrize(
    ("height", "kernel", "stride", "padding", "hole", "dilation"),
    [(1, 1, 1, (0, 0), 1, 1), (7, 3, 2, (1, 1), 1, 1), (11, 3, 1, (2, 0), 1, 2), (6, 2, 1, (1, 1), 2, 1),
     (5, 3, 3, (0, 2), 2, 3), (9, 4, 1, (-1, 3), 1, 1)],
)  # fmt: skip
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_bands_see_what_their_windows_do(
    height: int, kernel: int, stride: int, padding: tuple[int, int], hole: int, dilation: int, rows: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Each band's window on its rows has as many places as it stands for, and they read the same elements."""
    monkeypatch.setattr(patches, "fitting", lambda row_bytes: rows)
    x = np.arange(1, height + 1, dtype=np.float16).reshape(1, 1, height, 1)
    window = patches.Window((kernel, 1), (stride, 1), (padding, (0, 0)), (hole, 1), (dilation, 1))

    def seen(rows: np.ndarray, w: patches.Window) -> list[list[float]]:
        line = np.zeros((rows.shape[2] - 1) * hole + 1)
        line[::hole] = rows[0, 0, :, 0]
        low, high = w.padding[0]
        line = np.pad(line, (max(low, 0), max(high, 0)))[max(-low, 0) : len(line) + max(low, 0) + high]
        reach = (kernel - 1) * dilation
        return [line[i : i + reach + 1 : dilation].tolist() for i in range(0, len(line) - reach, stride)]

    found = patches.bands(jnp.asarray(x), window, 1)
    whole = seen(x, window)
    assert [b.first for b in found[1:]] == [b.last for b in found[:-1]]
    assert [*itertools.chain(*(seen(np.asarray(b.seen), b.window) for b in found))] == whole


@pytest.mark.parametrize(("images", "joined"), [(1, False), (3, True)])
def test_gradients_over_all_images_at_once(images: int, joined: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the products of the images would not fit into the SRAM, and have more elements than what they are made
    of: one product instead of one for each image and their sum."""
    monkeypatch.setattr(patches, "fitting", lambda nbytes: 0)
    arrays = normal((images, 72, 4, 4), (640, 72, 3, 3))
    graph, args, exact = both_ways(lambda lib, x, w: convolution(lib, {"padding": "SAME"}, x, w), arrays)
    program = legal(graph.replace(outputs=graph.outputs[2:]), "M1")
    (product,) = (op for op in program.main.ops if op.name == "matmul")
    assert (product.results[0].type.shape[0] == 1) == (joined or images == 1)
    check(program, "cpu-fp16", args, exact[2:])


def test_places_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the engine's axes are too short for all places of an image."""
    monkeypatch.setattr(patches, "_extent", lambda: 20)
    graph, args, exact = both_ways(
        lambda lib, x, w: convolution(lib, {"padding": "SAME"}, x, w), normal((2, 3, 8, 9), (4, 3, 3, 3))
    )
    program = legal(graph, "M4")
    assert sum(op.name == "matmul" for op in program.main.ops) == 12
    check(program, "cpu-fp16", args, exact)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("kind", ["max", "min", "add"])
@pytest.mark.parametrize("name", WINDOWS)
def test_pools(name: str, kind: str, ties: bool) -> None:
    shape, *window = WINDOWS[name]
    first = {"max": -np.inf, "min": np.inf, "add": 0.0}[kind]
    x = normal(shape)[0] if not ties else np.random.default_rng(0).integers(-2, 3, shape).astype(np.float16)
    graph, args, exact = both_ways(lambda lib, x: lib.reduce_window(x, first, getattr(lib, kind), *window), [x])
    check(legal(graph, "M4"), "cpu-fp16", args, exact)


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("name", WINDOWS)
def test_pools_a_few_features_at_a_time(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the patches of an image do not fit into the SRAM."""
    monkeypatch.setattr(windows, "fitting", lambda nbytes: 2)
    shape, *window = WINDOWS[name]
    x = np.random.default_rng(0).integers(-2, 3, shape).astype(np.float16)
    first = {"max": -np.inf, "min": np.inf}[kind]
    graph, args, exact = both_ways(lambda lib, x: lib.reduce_window(x, first, getattr(lib, kind), *window), [x])
    program = legal(graph, "M4")
    joined = [len(op.operands["values"]) for op in program.main.ops if op.name == "concat"]
    assert 3 in joined or name not in ("a rest", "overlap")  # of six features
    check(program, "cpu-fp16", args, exact)


def test_pools_of_large_numbers() -> None:
    """Numbers beyond 32768, where products end, and in windows that begin in the padding."""
    x = normal((1, 2, 7, 7))[0] * np.float16(10000) - np.float16(20000)
    window = (1, 1, 3, 3), (1, 1, 2, 2), "SAME"
    graph, args, exact = both_ways(lambda lib, x: lib.reduce_window(x, -np.inf, lib.max, *window), [x])
    check(legal(graph, "M1"), "cpu-fp16", args, exact)


@pytest.mark.parametrize("name", ["strides", "groups", "holes", "sequences", "features last"])
@pytest.mark.usefixtures("espresso")
def test_on_the_stand_in(name: str) -> None:
    x, w, p, _ = CONVOLUTIONS[name]
    graph, args, exact = both_ways(lambda lib, x, w: convolution(lib, p, x, w), normal(x, w))
    check(legal(graph, "M1"), "ane", args, exact)
    frozen, left = freeze(graph, {2: args[2].astype(np.float32)})
    check(legal(frozen, "M1"), "ane", [args[i] for i in left], exact)


@pytest.mark.parametrize("name", ["3 x 3", "7 x 7, strides", "holes"])
@pytest.mark.usefixtures("espresso")
def test_bands_on_the_stand_in(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "fitting", lambda row_bytes: 4)
    x, w, p, _ = CONVOLUTIONS[name]
    graph, args, exact = both_ways(lambda lib, x, w: convolution(lib, p, x, w), normal(x, w))
    check(legal(graph, "M1"), "ane", args, exact, units=3)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.usefixtures("espresso")
def test_pools_on_the_stand_in(name: str) -> None:
    shape, *window = WINDOWS[name]
    graph, args, exact = both_ways(lambda lib, x: lib.reduce_window(x, -np.inf, lib.max, *window), normal(shape))
    check(legal(graph, "M1"), "ane", args, exact)

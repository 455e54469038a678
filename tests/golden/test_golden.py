"""Golden Graphs and MIL texts (`make golden` rewrites them), and what legalized programs must satisfy: coremltools
accepts them, and they run unchanged on the CPU device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
from anejax import tree
from anejax.core.check import check_graph
from anejax.lower.to_mil import lower
from anejax.mil.text import to_text
from anejax.passes.pipeline import optimize
from anejax.runtime import library
from tests.golden.programs import PROGRAMS
from tests.mil.witness import witness

HERE = Path(__file__).parent
FLOAT16 = np.dtype(np.float16)


def compare(name: str, text: str) -> None:
    path = HERE / name
    if os.environ.get("ANEJAX_GOLDEN") == "write":
        path.write_text(text + "\n")
    assert path.read_text() == text + "\n", f"{name} changed; if it should, run `make golden` and look at the diff"


def graph_of(name: str) -> Any:
    function, args = PROGRAMS[name]
    return aj.make_jaxpr(function)(*args).graph


def legalized(name: str, target: str) -> Any:
    return lower(optimize(graph_of(name), target), target)


def run_on_cpu(text: str, args: list[np.ndarray], outs: list[tuple[tuple[int, ...], np.dtype]]) -> list[np.ndarray]:
    program = library.NativeProgram("cpu", text)
    buffers, _ = library.create_buffers(program.output_nbytes)
    program.run([a.__array_interface__["data"][0] for a in args], [b.pointer for b in buffers])
    return [b.view(shape, dtype).copy() for b, (shape, dtype) in zip(buffers, outs, strict=True)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_graph(name: str) -> None:
    graph = optimize(check_graph(graph_of(name)))
    compare(f"{name}.graph", str(check_graph(graph)))


@pytest.mark.parametrize("target", ["cpu", "coreml", "ane"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_mil(name: str, target: str) -> None:
    text = to_text(legalized(name, target))
    library.verify(text, target)
    if target != "ane" or name.startswith("mlp"):  # the engine's convolutions are long; verified, not kept
        compare(f"{name}.{target}.mil", text)


@pytest.mark.parametrize("name", PROGRAMS)
def test_coremltools_accepts_it(name: str) -> None:
    witness(legalized(name, "coreml"))


@pytest.mark.parametrize("target", ["coreml", "ane"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_legalized_programs_run_on_the_cpu_device(name: str, target: str) -> None:
    """Core ML's float32 within 32 eps, the engine's float16 within 16 of its eps, of each result's largest value."""
    function, args = PROGRAMS[name]
    expected = [np.asarray(x) for x in tree.leaves(aj.jit(function)(*args))]
    dtype = FLOAT16 if target == "ane" else np.dtype(np.float32)
    flat = [np.ascontiguousarray(a, dtype) for a in tree.leaves(args)]
    program = legalized(name, target)
    got = run_on_cpu(to_text(program), flat, [(e.shape, dtype) for e in expected])
    eps = 16 * float(np.finfo(np.float16).eps) if target == "ane" else 32 * float(np.finfo(np.float32).eps)
    for g, e in zip(got, expected):
        np.testing.assert_allclose(g.astype(np.float64), e, rtol=0, atol=eps * max(1e-3, float(np.abs(e).max())))

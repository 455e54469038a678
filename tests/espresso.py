"""The stand-in for Espresso, which the engine device runs on in tests: where it is, and programs for both devices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.graph import Graph
from anejax.lower.to_mil import lower
from anejax.mil.program import Program
from anejax.mil.verify import verify
from anejax.passes.pipeline import optimize
from anejax.runtime.library import DTYPES, NativeProgram

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "build" / "dev" / "native" / "tests" / "libanesdk_espresso.so"
Array = np.ndarray[Any, Any]


def stand_in() -> Path:
    """Its library: ANEJAX_ESPRESSO where that is set, or what `make test-native` (a part of `make test`) builds."""
    return Path(os.environ.get("ANEJAX_ESPRESSO") or BUILT)


def engine_program(graph: Graph) -> Program:
    """`graph` legalized and lowered for the engine. Raises RefusedError or VerifyError where that cannot be."""
    program = lower(optimize(graph, "ane"), "ane")
    verify(program, "ane")
    return program


def port_arrays(program: NativeProgram, seed: int = 0) -> list[Array]:
    """Normal numbers of each input's type."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=tuple(p.shape[: p.rank])).astype(DTYPES[p.dtype]) for p in program.inputs]


def run(program: NativeProgram, inputs: Sequence[Array]) -> list[Array]:
    """The outputs of one run."""
    outputs = [np.full(tuple(p.shape[: p.rank]), 77, DTYPES[p.dtype]) for p in program.outputs]
    given = [np.ascontiguousarray(x, DTYPES[p.dtype]) for x, p in zip(inputs, program.inputs, strict=True)]
    program.run([x.ctypes.data for x in given], [y.ctypes.data for y in outputs])
    return outputs


def halves(arrays: Sequence[Any]) -> list[Array]:
    """`arrays` as float16, and of rank 1 where they have none: what the engine's ports take."""
    return [np.atleast_1d(np.asarray(a)).astype(dtypes.float16) for a in arrays]

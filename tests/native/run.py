"""Runs a mil.Program through the library alone, on the CPU device or with the engine's numerics: NumPy arrays in,
NumPy arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax.mil.program import NUMPY_DTYPES, Program
from anejax.mil.text import to_text
from anejax.mil.verify import verify
from anejax.runtime.library import NativeProgram

Array = np.ndarray[Any, Any]


class Runner:
    """A compiled program, to be called with an array for each input; donated ones are overwritten copies."""

    def __init__(self, program: Program, donated: Sequence[int] = (), device: str = "cpu") -> None:
        verify(program, "ane" if device == "cpu-fp16" else device)
        self.native = NativeProgram(device, to_text(program), donated)
        self.types = [v.type for v in program.main.inputs]
        self.results = [v.type for v in program.main.outputs]

    def __call__(self, *arrays: Any) -> list[Array]:
        given = [np.array(a, NUMPY_DTYPES[t.dtype], order="C") for a, t in zip(arrays, self.types, strict=True)]
        assert [a.shape for a in given] == [t.shape for t in self.types]
        results = [np.full(t.shape, 77, NUMPY_DTYPES[t.dtype]) for t in self.results]
        for o, alias in enumerate(self.native.aliases):
            if alias >= 0:
                results[o] = given[alias]
        self.native.run([a.ctypes.data for a in given], [r.ctypes.data for r in results])
        return results

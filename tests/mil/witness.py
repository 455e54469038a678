"""coremltools as an outside witness: it loads what we serialise and runs its own type inference.

Import `witness` and give it a program that verifies for target coreml.
"""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax.export.coreml import SPECIFICATION_VERSION, to_spec
from anejax.mil.program import Program, Type


@functools.cache
def _coremltools() -> tuple[Any, Any]:
    """The loader of protobuf programs, and the module of MIL's types."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("coremltools").setLevel(logging.ERROR)
        from coremltools.converters.mil.frontend.milproto import load
        from coremltools.converters.mil.mil import types
    return load, types


def load(program: Program) -> Any:
    """`program` as coremltools understands it; it refuses declared types that differ from its own."""
    loader, _ = _coremltools()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return loader.load(to_spec(program), specification_version=SPECIFICATION_VERSION)


def witness(program: Program) -> None:
    """Assert that coremltools accepts `program`, and infers the same types for every operation in it."""
    ours = [op for op in program.main.ops]
    main = load(program).functions["main"]
    theirs = [op for op in main.operations if op.op_type != "const"]
    assert [op.op_type for op in theirs] == [op.name for op in ours]
    for mine, other in zip(ours, theirs, strict=True):
        assert [r.type for r in mine.results] == [_type_of(v) for v in other.outputs], mine.name
    assert [v.type for v in program.main.outputs] == [_type_of(v) for v in main.outputs]


def inferred_values(program: Program) -> Sequence[np.ndarray[Any, Any] | None]:
    """What coremltools computes for the outputs of a program of constants; None where it cannot."""
    outputs = load(program).functions["main"].outputs
    return [None if v.val is None else np.asarray(v.val) for v in outputs]


def has_value_inference(op: str) -> bool:
    """Whether coremltools can compute `op` from constants."""
    _coremltools()
    from coremltools.converters.mil.mil import Operation
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    versions = SSAOpRegistry.core_ops.get(op, {})
    return any(cls.value_inference is not Operation.value_inference for cls in versions.values())


def _type_of(value: Any) -> Type:
    _, types = _coremltools()
    return Type(types.builtin_to_string(value.dtype), tuple(int(n) for n in value.shape))

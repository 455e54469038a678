"""coremltools as an outside witness: it loads what we serialise and runs its own type inference.

Import `witness` and give it a program that verifies for target coreml.
"""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anejax.export.mlpackage import SPECIFICATION_VERSION, Entry, Metadata, serialize, to_spec
from anejax.mil.program import Program, Type


@functools.cache
def _coremltools() -> tuple[Any, Any]:
    """The loader of protobuf programs, and the module of MIL's types."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("coremltools").setLevel(logging.ERROR)
        from coremltools.converters.mil.frontend.milproto import load
        from coremltools.converters.mil.mil import types
    read = load._load_value

    def read_scalars(context: Any, spec: Any) -> Any:
        """NumPy 2 takes no arrays for flags and axes, and coremltools 9 reads rank 0 as arrays."""
        value = read(context, spec)
        single = getattr(value, "shape", None) == () and value.dtype in (bool, np.int32)
        return value.item() if single else value

    load._load_value = read_scalars
    return load, types


def loader() -> Any:
    """coremltools' loader of protobuf programs."""
    return _coremltools()[0]


def load(program: Program, verified: bool = True) -> Any:
    """`program` as coremltools understands it; it refuses declared types that differ from its own.

    With `verified` off, our own verifier is not asked first.
    """
    loader, _ = _coremltools()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec = to_spec(program) if verified else serialize({"main": Entry(program)}, Metadata())
        return loader.load(spec, specification_version=SPECIFICATION_VERSION)


def witness(program: Program) -> None:
    """Assert that coremltools accepts `program`, and infers the same types for every operation in it."""
    ours = program.main.ops
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
    from coremltools.converters.mil.mil import Operation

    return _definition(op).value_inference is not Operation.value_inference


@dataclass(frozen=True)
class Operand:
    """An operand as coremltools defines it; no dtypes means that it names none."""

    optional: bool
    const: bool
    dtypes: frozenset[str]


def definition(op: str) -> dict[str, Operand]:
    """The operands of `op` at iOS 18."""
    _, types = _coremltools()
    cls = _definition(op)
    domains = getattr(cls, "type_domains", {})
    found: dict[str, Operand] = {}
    for name, spec in cls.input_spec.input_types.items():
        domain = domains.get(getattr(spec, "type_domain_id", None)) or getattr(spec, "type_domain", ())
        found[name] = Operand(spec.optional, spec.const, frozenset(map(types.builtin_to_string, domain)))
    return found


def _definition(op: str) -> Any:
    """The newest definition that iOS 18 has."""
    _coremltools()
    from coremltools.converters.mil._deployment_compatibility import AvailableTarget
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    versions = SSAOpRegistry.core_ops[op]
    return versions[max(v for v in versions if v <= AvailableTarget.iOS18)]


def _type_of(value: Any) -> Type:
    _, types = _coremltools()
    return Type(types.builtin_to_string(value.dtype), tuple(int(n) for n in value.shape))

"""Translates functions to the graphs of a Core AI module."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from anejax.core.aval import Aval
from anejax.coreai.asset import check_package, save
from anejax.coreai.program import graph, module
from anejax.coreai.text import TYPES, Tensor, Text, supported
from anejax.coreai.words import Writer
from anejax.errors import ExportError, fail
from anejax.export.aimodel import INITIAL, LABELS
from anejax.export.compress import COREAI, Report, check_scheme, compressed
from anejax.export.function import Exported, Function, refuse_dtype, trace
from anejax.export.halves import in_precision, in_range
from anejax.export.mlpackage import Metadata
from anejax.lower.to_mil import lower
from anejax.mil.program import Program, renamed
from anejax.passes.pipeline import optimize
from anejax.paths import atomic_folder


def write(
    functions: Mapping[str, Function], weights: str | None, path: Path, report: Report | None, metadata: Metadata,
    precision: str = "float32",
) -> None:  # fmt: skip
    """Saves the functions as the asset ``path``. Raises what ``coreai`` does."""
    check_package()
    check_scheme(weights, COREAI)  # its compiler makes float32 of float16 constants again
    text = Text()
    graphs: list[str] = []
    initial: dict[str, np.ndarray[Any, Any]] = {}
    labels: dict[str, Any] = {}
    for name, function in functions.items():
        exported = trace(function, _port, _port)
        _join(initial, exported)
        if exported.labels is not None:
            labels[name] = {exported.labels.output: list(exported.labels.names)}
        graphs.append(_graph(text, name, exported, weights, report, precision))
    if initial:
        if INITIAL in functions:
            fail("export", f"expected no function called {INITIAL}, which returns what the states begin with",
                 ExportError)  # fmt: skip
        graphs.append(_initial(text, initial))
    with atomic_folder(path) as folder:
        inner = folder / path.name
        save(text.large, module(graphs), inner).update_metadata(partial(_say, metadata, labels))
        for found in inner.iterdir():
            found.rename(folder / found.name)
        inner.rmdir()


def _say(metadata: Metadata, labels: Mapping[str, Any], known: Any) -> None:
    """The asset's metadata, as an object of the package coreai-core."""
    known.author, known.license, known.model_description = metadata.author, metadata.license, metadata.description
    version = {"version": metadata.version} if metadata.version else {}
    for name, said in {**version, **metadata.more}.items():
        known.set_custom(name, said)
    if labels:
        known.set_custom(LABELS, labels)


def _graph(
    text: Text, name: str, exported: Exported, weights: str | None, report: Report | None, precision: str
) -> str:
    program = in_precision(lower(in_range(optimize(exported.graph), precision), "cpu", exported.constants), precision)
    main = program.main
    updates = [f"{p.name}_new" for p in exported.states]
    outputs = [*updates, *(p.name for p in exported.outputs)]
    main = renamed(main, dict(zip(main.inputs, [p.name for p in (*exported.states, *exported.inputs)])))
    main = compressed(main, weights, report)
    program = Program((main, *(f for f in program.functions if f.name != "main")), program.version)
    return graph(text, name, program, outputs, dict(zip([p.name for p in exported.states], updates)))


def _join(initial: dict[str, np.ndarray[Any, Any]], exported: Exported) -> None:
    """Adds the states of a function; those of one name are one, whose values must be equal."""
    for port, value in zip(exported.states, exported.initial):
        known = initial.setdefault(port.name, value)
        same = known.dtype == value.dtype and known.tobytes() == value.tobytes() and known.shape == value.shape
        if not same:
            fail("export", f"expected functions to begin with one value of the state {port.name}, got two", ExportError)


def _initial(text: Text, states: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """A graph without inputs that returns the first values of the states."""
    w = Writer(text)
    made: dict[str, Tensor] = {name: w.constant(value) for name, value in states.items()}
    types = ", ".join(f'{t.type} {{coreai.name = "{name}"}}' for name, t in made.items())
    names, kinds = ", ".join(t.name for t in made.values()), ", ".join(t.type for t in made.values())
    lines = "\n  ".join(w.lines)
    return f"coreai.graph @{INITIAL}() -> ({types}) {{\n  {lines}\n  coreai.output {names} : {kinds}\n}}\n"


def _port(path: str, aval: Aval) -> Aval:
    """Every dtype that Core AI has, of any rank; sizes of 0 have no meaning there."""
    if not supported(aval.dtype):
        refuse_dtype(path, aval, list(TYPES))
    if 0 in aval.shape:
        fail("export", f"{path}: expected no axis of size 0, got {aval}; leave it out", ExportError)
    return aval

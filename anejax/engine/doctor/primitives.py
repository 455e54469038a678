"""Tests every primitive that the engine has a form of, on the CPU device and on the engine.

There are two comparisons. The legalized program on the CPU device, against the original primitive in float32, shows
whether legalization preserves values. The same program on the engine, against the CPU device, shows whether the engine
computes correctly. Tolerances are units of float16's last place of the result's largest element; on the engine, the
known errors of its tables are added.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anejax import lax, nn, tree
from anejax.api.staging import eval_shape, jit, make_jaxpr
from anejax.core.primitive import REGISTRY, Primitive
from anejax.engine.doctor.bench import Engine, EngineGone, difference, execute, left_to_the_cpu, tolerance
from anejax.engine.doctor.checks import SKIPPED, Check, of
from anejax.engine.samples import SAMPLES, Case
from anejax.errors import AnejaxError
from anejax.lower.to_mil import lower
from anejax.mil import limits
from anejax.mil.program import Program
from anejax.mil.text import to_text
from anejax.mil.verify import verify
from anejax.passes.legalize.table import has_form
from anejax.passes.pipeline import optimize
from anejax.runtime.library import NativeProgram

LEGAL_UNITS = 16  # of float16's last place: legalized against not, rounded at each step
ENGINE_UNITS = 8  # the same program, whose products and sums are in another order
FLOAT = np.dtype(np.float32)


@dataclass(frozen=True)
class Sample:
    """A function of float32 arrays, and arrays to call it on, all of which float16 holds."""

    function: Callable[..., Any]
    args: tuple[np.ndarray, ...]

    def __str__(self) -> str:
        return ", ".join(str(list(a.shape)) for a in self.args) or "no operands"


@dataclass
class _Tried:
    """The results of a primitive's samples."""

    runs: int = 0
    worst: float = 0.0  # the largest error, as a part of the allowed error
    us: list[float] = field(default_factory=list)  # microseconds of each sample on the engine
    parts: list[int | None] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def note(self, where: str, ratio: float, said: str) -> None:
        self.worst = max(self.worst, ratio)
        if said:
            self.wrong.append(f"{where}: {said}")


def names() -> list[str]:
    """The primitives that the engine has, at some operands at least."""
    return [n for n, prim in sorted(REGISTRY.items()) if has_form(prim, "ane")]


def check_primitive(
    name: str, engine: Engine | None, family: str, quick: bool = False, group: str = "primitive"
) -> Check:
    """Whether a primitive is right, at all its samples that an engine of ``family`` can have; ``quick``: at the first.

    Without an engine it is the legalized form on the CPU device alone. ``group`` is the check's.
    """
    tried = _Tried()
    for sample in samples(name):
        try:
            legal = legalized(sample, family)
        except AnejaxError as err:
            tried.refusals.append(f"{sample}: {err}")
            continue
        try:
            _compare(sample, legal, engine, tried)
        except EngineGone as err:
            return Check(group, name, SKIPPED, str(err))
        except AnejaxError as err:
            if left_to_the_cpu(err):
                tried.refusals.append(f"{sample}: {err}, and runs on the CPU device")
                continue
            tried.wrong.append(f"{sample}: {err}")
        tried.runs += 1
        if quick:
            break
    return _verdict(group, name, tried, engine)


def _verdict(group: str, name: str, tried: _Tried, engine: Engine | None) -> Check:
    figures: dict[str, Any] = {"samples": tried.runs, "worst": tried.worst, "us": tried.us, "parts": tried.parts,
                               "refused": tried.refusals, "wrong": tried.wrong}  # fmt: skip
    if not tried.runs:
        return Check(group, name, SKIPPED, f"not available: {tried.refusals[0]}", figures)
    if tried.wrong:
        more = f" ({len(tried.wrong)} of {tried.runs} samples)" if len(tried.wrong) > 1 else ""
        return of(group, name, False, tried.wrong[0] + more, **figures)
    beside = {None: "", "coreai": "Core AI and "}.get(engine and engine.device, "engine and ")
    where = f"{beside}CPU device"
    samples = f"{tried.runs} sample{'s' * (tried.runs > 1)}"
    time = f", {min(tried.us):.0f} to {max(tried.us):.0f} us" if tried.us else ""
    said = f"{samples} on {where}, error {tried.worst:.0%} of what is allowed{time}{_left(tried)}"
    return of(group, name, True, said, **figures)


def _left(tried: _Tried) -> str:
    """The number of samples that the compiler left to the CPU."""
    left = sum(left_to_the_cpu(r) for r in tried.refusals)
    return f"; {left} left to the CPU" if left else ""


def _compare(sample: Sample, legal: Program, engine: Engine | None, tried: _Tried) -> None:
    text = to_text(legal)
    halves = [a.astype(np.float16) for a in sample.args]
    on_cpu = execute(NativeProgram("cpu", text), halves)
    want = [np.asarray(y) for y in tree.leaves(jit(sample.function, device="cpu")(*sample.args))]
    for got, wanted in zip(on_cpu, want, strict=True):
        wanted = wanted.reshape(wanted.shape or (1,))
        allowed = tolerance(wanted, LEGAL_UNITS, least=1.0)  # forms such as 1 - erf(x) lose the digits of small results
        tried.note(f"{sample}, legalized, on the CPU device", *difference(got, wanted, allowed))
    if engine is not None:
        error = sum(limits.TABLE_ERRORS.get(op.name, 0.0) for op in legal.main.ops)
        outputs, us, parts = engine.timed(text, *halves)
        tried.us.append(us)
        tried.parts.append(parts)
        for got, wanted in zip(outputs, on_cpu, strict=True):
            allowed = tolerance(wanted, ENGINE_UNITS, error)
            tried.note(
                f"{sample}, on {'Core AI' if engine.device == 'coreai' else 'the engine'}",
                *difference(got, wanted, allowed),
            )


def legalized(sample: Sample, family: str) -> Program:
    """The sample's program for an engine of ``family``. Raises AnejaxError with the reason why there is none."""
    graph = make_jaxpr(sample.function)(*sample.args).graph
    program = lower(optimize(graph, "ane"), "ane")
    verify(program, "ane", family)
    return program


# ---- samples as functions of float32


def samples(name: str) -> Iterator[Sample]:
    """The samples of a primitive that have elements; the engine has no empty arrays."""
    if name in _FUNCTIONS:
        yield Sample(*_FUNCTIONS[name])
    prim = REGISTRY[name]
    for case in SAMPLES.get(name, ()):
        if all(0 not in a.shape for a in case.args):
            yield _of_case(prim, case)


def _of_case(prim: Primitive, case: Case) -> Sample:
    """Lets the function compute operands that are not floats from floats, since the engine's ports are float16."""
    rng = np.random.default_rng(zlib.crc32(f"{prim.name} {case}".encode()))
    operands = case.make(rng, np.float32 if _takes_floats(prim, case) else np.bool_)

    def function(*args: Any) -> list[Any]:
        given = [x if o.dtype == FLOAT else lax.convert_element_type(x, o.dtype) for x, o in zip(args, operands)]
        outs = prim.bind(*given, **case.params)
        return list(map(_as_float, outs if prim.multiple_results else [outs]))

    return Sample(function, tuple(o.astype(np.float16).astype(FLOAT) for o in operands))


def _takes_floats(prim: Primitive, case: Case) -> bool:
    try:
        eval_shape(lambda *a: prim.bind(*a, **case.params), *case.make(np.random.default_rng(0), FLOAT))
    except AnejaxError:
        return False
    return True


def _as_float(x: Any) -> Any:
    return x if x.dtype == FLOAT else lax.convert_element_type(x, FLOAT)


def _ramp(*shape: int) -> np.ndarray:
    return np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float16).astype(FLOAT).reshape(shape)


# Those whose parameters hold Graphs, and those that programs have only among others: results of an engine program are
# made by operations, and exponents are constants.
_FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "composite": (lambda x: nn.softmax(x, -1), (_ramp(3, 8),)),
    "cond": (lambda y, x: lax.cond(y[0] > 0, lambda x: x + 1, lambda x: x * 2, x), (_ramp(2), _ramp(3, 4))),
    "copy": (lambda x: lax.copy_p.bind(x * 2) + 1, (_ramp(3, 4),)),
    "iota": (lambda x: x + lax.iota(FLOAT, 5), (_ramp(5),)),
    "optimization_barrier": (lambda x: lax.optimization_barrier(x * 2) + 1, (_ramp(3, 4),)),
    "pow": (lambda x: lax.pow(x + 2, 2.5), (_ramp(3, 4),)),
    "scan": (lambda c, xs: lax.scan(lambda c, x: (c * 0.5 + x, c - x), c, xs), (_ramp(4), _ramp(3, 4))),
}

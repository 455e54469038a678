"""Every function that is here takes jax's parameters: by the same names, at the same places."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import jax
import pytest

from tests.parity import table

# parameters of jax that no function here has, and why
ABSENT_PARAMETERS = {
    **dict.fromkeys(
        ("sharding", "out_sharding", "manual_axis_type",
         "reduce_axes", "axis_env", "sum_match", "to"),
        "there is one device",
    ),
    **dict.fromkeys(("backend", "compiler_options", "implementation", "concrete"), "there is one compiler"),
    **dict.fromkeys(("accuracy", "out_dtype", "_dot_general"), "float functions and products have one accuracy"),
    **dict.fromkeys(("src", "donate", "may_alias", "is_ref"), "arrays do not change and do not move"),
    "allow_negative_indices": "negative indices count from the end, which costs nothing",
    **dict.fromkeys(("static_argnames", "return_residual", "algorithm"), "not there yet"),
}  # fmt: skip

# parameters that jax has from version 0.12 on, and no function here: each for the named functions alone
NEW_PARAMETERS = {
    "jax.ShapeDtypeStruct": {"_memory_space"},
    "jax.linearize": {"in_nzs"},
    "jax.vjp": {"in_nzs", "saveable_args"},
    "jax.numpy.lexsort": {"batch_size"},
    "jax.lax.top_k": {"is_stable"},
    **{n: {"unreduced_kind"} for n in ("jax.P", "jax.sharding.PartitionSpec")},
    **{f"jax.random.{n}": {"method"} for n in ("beta", "chisquare", "gamma", "loggamma", "poisson")},
    **{f"{m}.custom_gradient": {"with_logs", "remat", "with_accums"} for m in ("jax", "jax.custom_derivatives")},
}

# functions whose parameters differ on purpose
EXCEPTIONS = {
    "jax.numpy.isneginf": "results go nowhere but out: no argument out",
    "jax.numpy.isposinf": "results go nowhere but out: no argument out",
    "jax.numpy.trunc": "its argument is positional, as that of the other rounding functions",
    **({"jax.numpy.array": "jax's own is wrapped"} if jax.__version_info__ < (0, 12) else {}),
    **({"jax.make_mesh": "axis_shapes was its name before"} if jax.__version_info__ >= (0, 12) else {}),
    "jax.numpy.set_printoptions": "NumPy's parameters by name",
    "jax.lax.random_gamma_grad": "takes a and x; jax's own is wrapped",
    "jax.lax.nextafter": "operands are x and y, as in every other binary function",
    **dict.fromkeys(
        ("jax.stages.ArgInfo", "jax.stages.Compiled", "jax.stages.Lowered", "jax.stages.Traced"),
        "made by jitted functions only",
    ),
    "jax.random.key": "dtype is that of the seed; it has one",
    "jax.random.wrap_key_data": "dtype is that of the key; it has one",
}
P = inspect.Parameter
POSITIONAL = (P.POSITIONAL_ONLY, P.POSITIONAL_OR_KEYWORD)


def parameters(function: Any) -> list[P] | None:
    """The parameters, or None where Python knows none: a class made in C has ``*args, **kwargs`` since Python 3.13."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return None
    unknown = inspect.isclass(function) and [p.kind for p in found] == [P.VAR_POSITIONAL, P.VAR_KEYWORD]
    return None if unknown else found


def differences(theirs: list[P], ours: list[P], full: str) -> Iterator[str]:
    """What a call written for ``theirs`` finds missing in ``ours``."""
    kinds = {p.kind for p in ours}
    by_name = {p.name: p for p in ours}
    places = [p for p in ours if p.kind in POSITIONAL]
    absent = {*ABSENT_PARAMETERS, *NEW_PARAMETERS.get(full, ())}
    wanted = [p for p in theirs if p.name in by_name or p.name not in absent]
    for place, p in enumerate([p for p in wanted if p.kind in POSITIONAL]):
        if P.VAR_POSITIONAL in kinds:
            break
        if place >= len(places):
            yield f"takes no argument at place {place}: {p.name}"
        elif p.kind is P.POSITIONAL_OR_KEYWORD and places[place].name != p.name:
            yield f"calls argument {place} {places[place].name}, not {p.name}"
    for p in wanted:
        if p.kind in (P.KEYWORD_ONLY, P.POSITIONAL_OR_KEYWORD) and P.VAR_KEYWORD not in kinds:
            found = by_name.get(p.name)
            if found is None or found.kind is P.POSITIONAL_ONLY:
                yield f"takes no argument by the name {p.name}"
        if p.kind is P.VAR_POSITIONAL and P.VAR_POSITIONAL not in kinds:
            yield f"takes no *{p.name}"


@pytest.mark.parametrize("space", table.NAMESPACES)
def test_parameters_are_those_of_jax(space: str) -> None:
    module = importlib.import_module(space)
    wrong = []
    for name in table.names()[space]:
        verdict = table.verdict(space, name)
        if verdict is None or verdict.kind != "yes" or f"{space}.{name}" in EXCEPTIONS:
            continue
        theirs = getattr(module, name, None)  # None where another version of jax has it
        if not callable(theirs):
            continue
        expected, found = parameters(theirs), parameters(table.resolve(space, name))
        if expected is not None and found is not None:
            wrong += [f"{space}.{name} {what}" for what in differences(expected, found, f"{space}.{name}")]
    assert not wrong


def test_exceptions_are_still_exceptions() -> None:
    for full in EXCEPTIONS:
        space, _, name = full.rpartition(".")
        theirs = parameters(getattr(importlib.import_module(space), name))
        ours = parameters(table.resolve(space, name))
        assert theirs is not None
        assert ours is None or list(differences(theirs, ours, full)), (
            f"{full} is as in jax: remove it from the exceptions"
        )

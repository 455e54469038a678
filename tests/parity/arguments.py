"""Arguments of jax's functions that no function here takes, and why: what docs/parity.md says of them."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from tests.parity import table

PINNED = "0.10.2"  # the version of jax whose arguments the page tells
STORED = Path(__file__).parent / f"arguments-{PINNED}.json"

# parameters of jax that no function here has, and why
ABSENT_PARAMETERS = {
    **dict.fromkeys(
        ("out_sharding", "manual_axis_type", "reduce_axes", "axis_env", "sum_match", "to"),
        "arrays of a process lie on one device",
    ),
    "concrete": "a checkpointed function is always traced",
    "accuracy": "float functions have one accuracy",
    "_dot_general": "products are computed in one way",
    "is_ref": "arrays do not change",
    "allow_negative_indices": "negative indices count from the end, which costs nothing",
    "static_argnames": "checkpoint takes static arguments by position, with static_argnums",
    "algorithm": "variances are computed in one way, from deviations from the mean",
}

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
ALWAYS = {
    "jax.numpy.set_printoptions": "NumPy's parameters by name",
    "jax.lax.random_gamma_grad": "takes a and x; jax's own is wrapped",
    **dict.fromkeys(
        ("jax.stages.ArgInfo", "jax.stages.Compiled", "jax.stages.Lowered", "jax.stages.Traced"),
        "made by jitted functions only",
    ),
    "jax.random.key": "dtype is that of the seed; it has one",
    "jax.random.wrap_key_data": "dtype is that of the key; it has one",
}
EXCEPTIONS = {
    **ALWAYS,
    **({"jax.numpy.array": "jax's own is wrapped"} if jax.__version_info__ < (0, 12) else {}),
    **({"jax.make_mesh": "axis_shapes was its name before"} if jax.__version_info__ >= (0, 12) else {}),
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


def missing() -> Iterator[tuple[str, str]]:
    """(full name of a function, argument of the installed jax that the function here does not take)."""
    for space in table.NAMESPACES:
        module = importlib.import_module(space)
        for name in table.names()[space]:
            verdict, theirs = table.verdict(space, name), getattr(module, name, None)
            if verdict is None or verdict.kind != "yes" or not callable(theirs):
                continue
            expected, found = parameters(theirs), parameters(table.resolve(space, name))
            if expected is None or found is None or any(p.kind is P.VAR_KEYWORD for p in found):
                continue
            have = {p.name for p in found}
            absent = (p.name for p in expected if p.name in ABSENT_PARAMETERS and p.name not in have)
            yield from ((f"{space}.{name}", argument) for argument in absent)


def store() -> None:
    """Writes the arguments that are missing, where the pinned jax is installed."""
    if jax.__version__ == PINNED:
        STORED.write_text(json.dumps(sorted(missing()), indent=0) + "\n")


def markdown() -> str:
    """The section of docs/parity.md."""
    pairs = json.loads(STORED.read_text())
    head = f"Every function takes the arguments that jax's takes in jax {PINNED}, except these."
    lines = ["", "## Arguments", "", head, ""]
    lines += ["| argument | why | functions |", "|---|---|---|"]
    for argument, why in ABSENT_PARAMETERS.items():
        functions = " ".join(f"`{full}`" for full, a in pairs if a == argument)
        lines.append(f"| `{argument}` | {why} | {functions} |")
    lines += ["", "These differ on purpose.", "", "| function | how |", "|---|---|"]
    lines += [f"| `{full}` | {how} |" for full, how in ALWAYS.items()]
    return "\n".join(lines) + "\n"

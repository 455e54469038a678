"""Every public name of the versions of jax that pyproject.toml pins, and the verdict of the package on each.

The names are in names-VERSION.json; a name that the package does not have is in ``anejax.absent``.
"""

from __future__ import annotations

import functools
import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax.scipy.stats

import anejax
from anejax.absent import GROUPS, Group, group_of

KINDS = ("yes", "planned", "refused")
HERE = Path(__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "parity.md"

_LAWS = tuple(m.name for m in pkgutil.iter_modules(jax.scipy.stats.__path__, "jax.scipy.stats."))
NAMESPACES = (
    "jax", "jax.numpy", "jax.numpy.linalg", "jax.numpy.fft", "jax.lax", "jax.lax.linalg", "jax.nn",
    "jax.nn.initializers", "jax.random", "jax.scipy", "jax.scipy.special", "jax.scipy.stats", "jax.scipy.linalg",
    "jax.scipy.cluster", "jax.scipy.cluster.vq", "jax.scipy.fft", "jax.scipy.integrate", "jax.scipy.interpolate",
    "jax.scipy.ndimage", "jax.scipy.optimize", "jax.scipy.signal", "jax.scipy.sparse", "jax.scipy.sparse.linalg",
    "jax.scipy.spatial", "jax.scipy.spatial.transform",
    "jax.tree", "jax.tree_util",
    "jax.debug", "jax.dtypes", "jax.typing", "jax.custom_batching", "jax.custom_derivatives", "jax.flatten_util",
    "jax.ops", "jax.image", "jax.ad_checkpoint", "jax.sharding", "jax.profiler", "jax.stages", *_LAWS,
)  # fmt: skip


def names_of_jax() -> dict[str, list[str]]:
    """The public names of each namespace of the installed jax, its modules whether imported or not."""
    found = {}
    for space in NAMESPACES:
        module = importlib.import_module(space)
        modules = (m.name for m in pkgutil.iter_modules(getattr(module, "__path__", ())))
        found[space] = sorted(n for n in {*dir(module), *modules} if not n.startswith("_"))
    return found


def stored(version: str) -> Path:
    return HERE / f"names-{version}.json"


def versions() -> list[str]:
    """The versions of jax whose names the repository holds: those that pyproject.toml pins, oldest first."""
    found = (p.stem.removeprefix("names-") for p in HERE.glob("names-*.json"))
    return sorted(found, key=lambda v: [int(n) for n in v.split(".")])


@functools.cache
def names() -> dict[str, list[str]]:
    """The names that any of the versions has."""
    known = [json.loads(stored(v).read_text()) for v in versions()]
    return {space: sorted(set().union(*(k[space] for k in known))) for space in NAMESPACES}


def resolve(namespace: str, *path: str) -> Any:
    """The package's object for a name of jax; raises AttributeError where there is none."""
    return functools.reduce(getattr, (*namespace.split(".")[1:], *path), anejax)


class Verdict(NamedTuple):
    """``kind`` is yes, planned or refused; the last two come with the group that says why."""

    kind: str
    group: Group | None = None


def verdict(namespace: str, name: str) -> Verdict | None:
    """What is to be said of a name; None where nobody has said anything."""
    try:
        resolve(namespace, name)
        return Verdict("yes")
    except AttributeError:
        group = group_of(namespace.partition(".")[2], name)
    return group and Verdict("planned" if group.planned else "refused", group)


def verdicts() -> Iterator[tuple[str, str, Verdict | None]]:
    """(namespace, name, verdict) of every stored name."""
    return ((space, name, verdict(space, name)) for space, found in names().items() for name in found)


_HEAD = """# Parity with JAX

Every public name of jax {versions}, and whether anejax has it. `python -m tests.parity` generates
this page; tests compare the names with the installed jax and the verdicts with the package. A name that is refused or
planned raises an error with the reason below. `jax.export` writes StableHLO; `anejax.export` writes Core ML packages.

"""


def markdown() -> str:
    """The page docs/parity.md."""
    by_space: dict[str, dict[str, list[str]]] = {}
    for space, name, found in verdicts():
        by_space.setdefault(space, {}).setdefault(found.kind if found else "?", []).append(name)
    counts = {f"`{space}`": [len(kinds.get(k, ())) for k in KINDS] for space, kinds in by_space.items()}
    counts["all"] = [sum(column) for column in zip(*counts.values())]
    lines = [f"| namespace | {' | '.join(KINDS)} |", "|---|---|---|---|"]
    lines += [f"| {space} | {' | '.join(map(str, row))} |" for space, row in counts.items()]
    for kind in ("planned", "refused"):
        reasons = list(_reasons(kind))
        lines += ["", f"## {kind.capitalize()}", *reasons] if reasons else []
    lines += ["", "## Yes"]
    for space, kinds in by_space.items():
        if "yes" in kinds:
            lines += ["", f"### `{space}`", "", " ".join(f"`{n}`" for n in kinds["yes"])]
    return _HEAD.format(versions=" and ".join(versions())) + "\n".join(lines) + "\n"


def _reasons(kind: str) -> Iterator[str]:
    for group in GROUPS:
        found = [(space, n) for space, n, v in verdicts() if v is not None and v.kind == kind and v.group is group]
        if found:
            yield ""
            yield f"**{group.why[0].upper()}{group.why[1:]}.** Instead, {group.instead}."
            yield ""
            for space in dict.fromkeys(s for s, _ in found):
                yield f"- `{space}`: {' '.join(f'`{n}`' for s, n in found if s == space)}"

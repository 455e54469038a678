"""A table of the layers of a network: shapes, parameters and the work of products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from anejax import random, tree
from anejax.api.staging import eval_shape, make_jaxpr
from anejax.core.aval import type_text
from anejax.core.graph import expanded
from anejax.marks import joined
from anejax.nn.layer import Layer, Scope, count_parameters, watching
from anejax.partition.cost import product_flops
from anejax.passes.inline import INLINED


@dataclass(frozen=True)
class Row:
    """A row of the table: a layer, its path in the network, its output, its parameters and the work of its products."""

    path: str
    depth: int
    layer: Layer
    output: str
    parameters: int
    flops: int


@dataclass(frozen=True)
class Summary:
    """The layers of a network in the order in which they run, each under the one that applies it; prints as a table."""

    rows: tuple[Row, ...]
    parameters: int
    flops: int

    def __str__(self) -> str:
        head = ("layer", "output", "parameters", "FLOP")
        rows = [(_label(r), r.output, f"{r.parameters:,}", f"{r.flops:,}") for r in self.rows]
        rows.append(("all", "", f"{self.parameters:,}", f"{self.flops:,}"))
        wide = [max(len(row[i]) for row in (head, *rows)) for i in range(4)]
        lines = [_line(row, wide) for row in (head, *rows)]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    __repr__ = __str__


def _line(cells: Sequence[str], wide: Sequence[int]) -> str:
    texts = [cell.ljust(n) if i < 2 else cell.rjust(n) for i, (cell, n) in enumerate(zip(cells, wide, strict=True))]
    return "  ".join(texts)


def _label(row: Row) -> str:
    name = row.path.rpartition("/")[2]
    kind = type(row.layer).__name__
    return "  " * row.depth + (f"{name} ({kind})" if name and name != kind else kind)


def summary(net: Layer, x: Any, **given: Any) -> Summary:
    """A table of the layers of ``net``: output for an input like ``x``, number of parameters, and FLOP of the matrix
    products and convolutions in the forward pass (2 for a multiply-add).

    Args:
        net: a layer.
        x: an array, a tree of arrays, or their ShapeDtypeStructs; nothing is computed.
        given: what ``apply`` takes besides, such as ``mask``.

    Example:
        >>> from anejax import ShapeDtypeStruct, nn
        >>> net = nn.Sequential(nn.Linear(16), nn.ReLU(), nn.Linear(2))
        >>> print(nn.summary(net, ShapeDtypeStruct((4, 8), "float32")))
        layer         output         parameters   FLOP
        ----------------------------------------------
        Sequential    float32[4,2]          178  1,280
          0 (Linear)  float32[4,16]         144  1,024
          1 (ReLU)    float32[4,16]           0      0
          2 (Linear)  float32[4,2]           34    256
        ----------------------------------------------
        all                                 178  1,280
    """
    key = random.key(0)
    params, state = eval_shape(net.init, key, x)
    found: list[Row | None] = []
    paths: list[tuple[str, bool]] = []

    def watch(name: str, layer: Layer, apply: Callable[[], Any], args: Any) -> Any:
        at, depth = len(found), sum(shown for _, shown in paths)
        path = joined(paths[-1][0] if paths else "", name)
        found.append(None)
        paths.append((path, not isinstance(layer, Scope)))  # a Scope only names the layers inside
        y, after = apply()
        paths.pop()
        if not isinstance(layer, Scope):
            types = ", ".join(type_text(leaf) for leaf in tree.leaves(y))
            found[at] = Row(path, depth, layer, types, count_parameters(args[0]), 0)
        return y, after

    with watching(watch):
        closed = make_jaxpr(lambda p, s, x: net.apply(p, s, x, **given)[0])(params, state, x)
    work: dict[str, int] = {}
    for eqn in expanded(closed.graph, INLINED).eqns:
        if flops := product_flops(eqn):
            work[eqn.mark.path] = work.get(eqn.mark.path, 0) + flops
    inside = lambda path: sum(n for at, n in work.items() if not path or at == path or at.startswith(f"{path}/"))  # noqa: E731
    rows = tuple(Row(r.path, r.depth, r.layer, r.output, r.parameters, inside(r.path)) for r in found if r is not None)
    return Summary(rows, count_parameters(params), sum(work.values()))

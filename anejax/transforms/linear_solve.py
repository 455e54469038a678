"""custom_linear_solve: solves a linear system by the user's solver, and differentiates the system instead of the
solver.

    A x = b     ->     A dx = db - dA x     and, backwards,     A^T w = ct

All Graphs of an equation take the same inputs, (consts, vector), so that an equation is inlined, differentiated and
mapped as a whole. ``matvec`` computes A v, and ``graph`` the solution (and auxiliary results, which have no
derivative).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anejax.core.graph import Graph, Var
from anejax.core.primitive import Linear, Primitive, Zero
from anejax.core.trace import aval_of
from anejax.errors import RefusedError
from anejax.ops.arithmetic import neg
from anejax.ops.families import add_any, batch_to, instantiate
from anejax.transforms.calls import INLINED, batch_graph, jvp_graph
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.parts import nonzero, parts, where

linear_solve_p = Primitive("custom_linear_solve", multiple_results=True, higher_order=True)

Staged = tuple[Graph, Sequence[Any]]  # a Graph and the values of its first inputs


def linear_solve(staged: dict[str, Staged | None], consts: Sequence[Any], vector: Sequence[Any]) -> list[Any]:
    """Solves for ``vector``. Each Graph takes its own values first, then ``consts``, which all share."""
    own = [c for s in staged.values() if s is not None for c in s[1]]
    params: dict[str, Any] = {}
    start = 0
    for role, item in staged.items():
        if item is None:
            params[role] = None
            continue
        graph, values = item
        blanks = [Var(aval_of(c)) for c in own]
        blanks[start : start + len(values)] = graph.inputs[: len(values)]
        params[role] = graph.replace(inputs=(*blanks, *graph.inputs[len(values) :]))
        start += len(values)
    return linear_solve_p.bind(*own, *consts, *vector, num_consts=len(own) + len(consts), **params)


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, num_consts: int, matvec: Graph, **params: Any
) -> tuple[list[Any], list[Any]]:
    consts, _ = parts(primals, num_consts)
    t_consts, rhs = parts(tangents, num_consts)
    outs = linear_solve_p.bind(*primals, num_consts=num_consts, matvec=matvec, **params)
    x, aux = parts(outs, len(rhs))
    flags = nonzero(t_consts)
    if any(flags):
        new = jvp_graph(matvec, (*flags, *(False for _ in x)))
        found = eval_graph(new.graph, [*new.consts, *consts, *x, *where(flags, t_consts)])[len(x) :]
        given = iter(found)
        rhs = [add_any(t, neg(next(given))) if there else t for t, there in zip(rhs, new.outs)]
    no_aux = [Zero(aval_of(a).tangent()) for a in aux]
    if not any(nonzero(rhs)):
        return outs, [*rhs, *no_aux]
    solved = linear_solve_p.bind(*consts, *map(instantiate, rhs), num_consts=num_consts, matvec=matvec, **params)
    return outs, [*solved[: len(x)], *no_aux]


def _transpose(
    cts: Sequence[Any], *args: Any, num_consts: int, graph: Graph, matvec: Graph, transpose_solve: Graph | None,
    vecmat: Graph | None,
) -> list[Any]:  # fmt: skip
    if transpose_solve is None:
        raise RefusedError(
            "[custom_linear_solve] reverse mode solves with the transposed matrix: pass transpose_solve, or"
            " symmetric=True."
        )
    consts, vector = parts(args, num_consts)
    assert not any(isinstance(c, Linear) for c in consts), "a system is linear in its right-hand side alone"
    found = linear_solve_p.bind(
        *consts, *map(instantiate, cts[: len(vector)]), num_consts=num_consts, graph=transpose_solve, matvec=vecmat,
        transpose_solve=graph, vecmat=matvec,
    )  # fmt: skip
    return [*(None for _ in consts), *found[: len(vector)]]


def _batch(
    size: int, args: Sequence[Any], dims: Sequence[int | None], *, num_consts: int, **graphs: Graph | None
) -> tuple[list[Any], list[int]]:
    """The vector and all results are mapped over axis 0, consts wherever they are."""
    consts, vector = parts(args, num_consts)
    d_consts, d_vector = parts(dims, num_consts)
    given = (*d_consts, *(0 for _ in vector))
    staged: dict[str, Staged | None] = {}
    for role, graph in graphs.items():
        new = graph and batch_graph(graph, size, given, (True,) * len(graph.outputs))
        staged[role] = new and (new.graph, new.consts)
    outs = linear_solve(staged, consts, [batch_to(v, d, size) for v, d in zip(vector, d_vector)])
    return outs, [0] * len(outs)


linear_solve_p.fill(
    abstract=lambda *avals, graph, **params: graph.out_avals,
    impl=lambda *args, graph, **params: eval_graph(graph, args),
    jvp=_jvp,
    transpose=_transpose,
    batch=_batch,
    mil=INLINED,
)

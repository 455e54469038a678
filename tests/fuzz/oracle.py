"""The value of a Graph by NumPy alone: each primitive's ``impl`` in turn, loops and branches as they are defined.

It shares nothing with the passes, the lowering and the native library, and evaluates loops itself rather than by the
``impl`` of their primitives, which hands them to the native library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax.core.graph import Eqn, Graph, Literal

Arrays = list[np.ndarray]


def evaluate(graph: Graph, args: Sequence[np.ndarray]) -> Arrays:
    """The outputs of ``graph``; the arguments are never written to, but may be returned."""
    env: dict[Any, np.ndarray] = dict(zip(graph.inputs, args, strict=True))
    read = lambda a: a.value if isinstance(a, Literal) else env[a]  # noqa: E731
    for eqn in graph.eqns:
        values = apply(eqn, [read(a) for a in eqn.inputs])
        for var, value in zip(eqn.outputs, values, strict=True):
            array = np.asarray(value)
            assert (array.shape, array.dtype) == (var.aval.shape, var.aval.dtype), f"{eqn.primitive}: {var.aval}"
            env[var] = array
    return [read(a) for a in graph.outputs]


def apply(eqn: Eqn, args: Arrays) -> Sequence[Any]:
    rule = CONTROL.get(eqn.primitive.name)
    if rule is not None:
        return rule(args, **eqn.params)
    out = eqn.primitive.rule("impl")(*args, **eqn.params)
    return out if eqn.primitive.multiple_results else [out]


def _scan(args: Arrays, body: Graph, num_consts: int, num_carry: int, length: int, reverse: bool) -> Arrays:
    consts, carry, xs = args[:num_consts], args[num_consts:][:num_carry], args[num_consts + num_carry :]
    ys = [np.zeros((length, *a.shape), a.dtype) for a in body.out_avals[num_carry:]]
    for i in reversed(range(length)) if reverse else range(length):
        outs = evaluate(body, [*consts, *carry, *(x[i, ...] for x in xs)])
        carry = outs[:num_carry]
        for y, row in zip(ys, outs[num_carry:]):
            y[i] = row
    return [*carry, *ys]


def _while(args: Arrays, cond: Graph, body: Graph, num_cond_consts: int, num_body_consts: int) -> Arrays:
    asked, consts = args[:num_cond_consts], args[num_cond_consts:][:num_body_consts]
    carry = args[num_cond_consts + num_body_consts :]
    while evaluate(cond, [*asked, *carry])[0]:
        carry = evaluate(body, [*consts, *carry])
    return carry


def _cond(args: Arrays, branches: tuple[Graph, ...]) -> Arrays:
    return evaluate(branches[min(max(int(args[0]), 0), len(branches) - 1)], args[1:])


def _call(args: Arrays, graph: Graph, **params: Any) -> Arrays:
    return evaluate(graph, args)


CONTROL = {"scan": _scan, "while": _while, "cond": _cond, "jit": _call, "checkpoint": _call}

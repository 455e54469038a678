"""Rules for jax's primitives that hold functions: calls, control flow, and functions with custom derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import debug, dtypes, lax
from anejax.api.checkpointing import checkpoint
from anejax.api.custom import custom_jvp, custom_vjp
from anejax.errors import RefusedError
from anejax.interop.interpret import evaluate, evaluate_open, import_jax, rule, trace

# ---- calls


@rule("jit", "composite", "custom_vmap_call", keys=True)
def _call(eqn: Any, *operands: Any) -> list[Any]:
    """Calls are evaluated in place: the program around them is compiled as a whole."""
    body = next(eqn.params[name] for name in ("jaxpr", "call_jaxpr", "call") if name in eqn.params)
    return evaluate(body, operands)


@rule("call_hi_primitive", keys=True)
def _call_hi_primitive(eqn: Any, *operands: Any) -> list[Any]:
    """A primitive that says itself what it consists of, as searchsorted does in jax 0.12."""
    jax, primitive = import_jax(), eqn.params["_prim"]

    def expanded(*leaves: Any) -> list[Any]:
        return jax.tree_util.tree_leaves(primitive.expand(*jax.tree_util.tree_unflatten(primitive.in_tree, leaves)))

    return evaluate(trace(expanded, [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars]), operands)


@rule("remat2", keys=True)
def _remat(eqn: Any, *operands: Any) -> list[Any]:
    body = functools.partial(evaluate_open, eqn.params["jaxpr"], ())
    if eqn.params["differentiated"]:  # its backward pass is in the jaxpr already
        return body(operands)
    return list(checkpoint(lambda *xs: tuple(body(xs)))(*operands))


# ---- control flow


@rule("scan", keys=True)
def _scan(eqn: Any, *operands: Any) -> list[Any]:
    p = eqn.params
    if "ft_in" in p:  # jax 0.12: how to part the operands
        consts, carry, xs = map(tuple, p["ft_in"].update(operands).unpack())
    else:
        consts, carry, xs = _cut(operands, p["num_consts"], p["num_carry"])
    count = len(carry)

    def turn(carry: Any, x: Any) -> Any:
        outs = evaluate(p["jaxpr"], [*consts, *carry, *x])
        return tuple(outs[:count]), tuple(outs[count:])

    carry, ys = lax.scan(turn, carry, xs, p["length"], p["reverse"], p["unroll"])
    return [*carry, *ys]


def _cut(values: Sequence[Any], first: int, second: int) -> tuple[tuple[Any, ...], ...]:
    values = tuple(values)
    return values[:first], values[first : first + second], values[first + second :]


@rule("while", keys=True)
def _while(eqn: Any, *operands: Any) -> list[Any]:
    p = eqn.params
    for_condition, for_body, state = _cut(operands, p["cond_nconsts"], p["body_nconsts"])

    def condition(state: Any) -> Any:
        (goes_on,) = evaluate(p["cond_jaxpr"], [*for_condition, *state])
        return goes_on

    return list(lax.while_loop(condition, lambda s: tuple(evaluate(p["body_jaxpr"], [*for_body, *s])), state))


@rule("cond", keys=True)
def _cond(eqn: Any, index: Any, *operands: Any) -> list[Any]:
    branches = [lambda *xs, closed=closed: tuple(evaluate(closed, xs)) for closed in eqn.params["branches"]]
    return list(lax.switch(index, branches, *operands))


# ---- effects


@rule("debug_callback")
def _debug_callback(eqn: Any, *operands: Any) -> list[Any]:
    debug.callback(eqn.params["callback"], *operands)
    return []


@rule("debug_print")
def _debug_print(eqn: Any, *operands: Any) -> list[Any]:
    p = eqn.params
    if p.get("static_args"):
        raise RefusedError("expected arrays for arguments of debug.print")
    args, kwargs = p["in_tree"].unflatten(operands)
    debug.print(p["fmt"], *args, ordered=p["ordered"], **kwargs)
    return []


# ---- custom derivatives
#
# jax applies such a rule when it differentiates, so the rule is traced by differentiating the call with jax, with
# respect to the operands that have tangents.


class _Call:
    """A call with a rule for its derivatives, for jax to differentiate."""

    def __init__(self, eqn: Any) -> None:
        jax = import_jax()
        self._primitive, self._params = eqn.primitive, eqn.primitive.get_bind_params(eqn.params)
        self.primal = eqn.params["call_jaxpr"]
        self.operands = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars]
        self.results = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.outvars]
        self.moving = [i for i, a in enumerate(self.operands) if _has_tangents(a)]
        self.moved = [i for i, a in enumerate(self.results) if _has_tangents(a)]

    def of_moving(self, primals: Sequence[Any]) -> tuple[Callable[..., Any], list[Any]]:
        """The call as a function of the operands that have tangents, and these operands."""

        def function(*moving: Any) -> Any:
            operands = list(primals)
            for i, x in zip(self.moving, moving, strict=True):
                operands[i] = x
            return self._primitive.bind(*operands, **self._params)

        return function, [primals[i] for i in self.moving]


def _has_tangents(aval: Any) -> bool:
    return isinstance(aval.dtype, np.dtype) and dtypes.is_inexact(aval.dtype)


def _filled(avals: Sequence[Any], places: Sequence[int], values: Sequence[Any]) -> list[Any]:
    """Tangents or cotangents of all ``avals``, of which those at ``places`` have ``values``."""
    found: list[Any] = [np.zeros(a.shape, dtypes.float0) for a in avals]
    for i, x in zip(places, values, strict=True):
        found[i] = x
    return found


@rule("custom_jvp_call", keys=True)
def _custom_jvp_call(eqn: Any, *operands: Any) -> list[Any]:
    jax, call = import_jax(), _Call(eqn)
    count, results = len(call.operands), len(call.results)

    def differentiated(*values: Any) -> list[Any]:
        function, moving = call.of_moving(values[:count])
        outs, tangents = jax.jvp(function, moving, list(values[count:]))
        return [*outs, *(tangents[i] for i in call.moved)]

    function = custom_jvp(lambda *xs: tuple(evaluate(call.primal, xs)))

    @function.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        closed = trace(differentiated, [*call.operands, *(call.operands[i] for i in call.moving)])
        found = evaluate(closed, [*primals, *(tangents[i] for i in call.moving)])
        return tuple(found[:results]), tuple(_filled(call.results, call.moved, found[results:]))

    return list(function(*operands))


@rule("custom_vjp_call", keys=True)
def _custom_vjp_call(eqn: Any, *operands: Any) -> list[Any]:
    jax, call = import_jax(), _Call(eqn)
    count = len(call.results)

    @functools.cache
    def traced() -> tuple[Any, Any]:
        """The jaxprs of the forward and of the backward rule."""
        pulled: list[Any] = []  # the structure of the function that jax.vjp returns

        def forward(*primals: Any) -> list[Any]:
            function, moving = call.of_moving(primals)
            outs, back = jax.vjp(function, *moving)
            residuals, structure = jax.tree_util.tree_flatten(back)
            pulled.append(structure)
            return [*outs, *residuals]

        def backward(*values: Any) -> list[Any]:
            back = jax.tree_util.tree_unflatten(pulled[0], values[len(call.moved) :])
            return list(back(_filled(call.results, call.moved, values[: len(call.moved)])))

        first = trace(forward, call.operands)
        residuals = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in first.out_avals[count:]]
        return first, trace(backward, [*(call.results[i] for i in call.moved), *residuals])

    def forward_rule(*primals: Any) -> Any:
        found = evaluate(traced()[0], primals)
        return tuple(found[:count]), tuple(found[count:])

    def backward_rule(residuals: Any, cotangents: Any) -> Any:
        found = evaluate(traced()[1], [*(cotangents[i] for i in call.moved), *residuals])
        return tuple(_filled(call.operands, call.moving, found))

    function = custom_vjp(lambda *xs: tuple(evaluate(call.primal, xs)))
    function.defvjp(forward_rule, backward_rule)
    return list(function(*operands))

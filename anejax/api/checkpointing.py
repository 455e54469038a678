"""checkpoint: computes values again in the backward pass, except those that a policy saves."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from anejax import tree
from anejax.api.flat import argument_paths
from anejax.api.staging import Jitted, as_tuple, static_resolver
from anejax.core.aval import Aval
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.core.primitive import Primitive
from anejax.errors import RefusedError
from anejax.ops.conv import conv_general_dilated_p
from anejax.ops.linear import dot_general_p
from anejax.transforms.calls import call_p, checkpoint_name_p, remat_p
from anejax.transforms.evaluate import as_function
from anejax.transforms.linearize import linearize_flat
from anejax.transforms.stage import stage


def checkpoint(
    fun: Callable[..., Any] | None = None,
    *,
    prevent_cse: bool = True,
    policy: Callable[..., Any] | None = None,
    static_argnums: int | Sequence[int] = (),
) -> Any:
    """``fun`` whose inner values are computed again in the backward pass instead of being kept (rematerialisation).

    Args:
        prevent_cse: keep the second computation apart from the first; leave it True under ``jit``.
        policy: which values are kept nevertheless: one of ``checkpoint_policies``, or a function of yours of a
            primitive, the types of its operands and its parameters, which returns a bool. None keeps only inputs. It is
            not called for values inside of loops and branches.
        static_argnums: arguments that are Python values.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> policy = aj.checkpoint_policies.dots_saveable
        >>> layer = aj.checkpoint(lambda w, x: jnp.tanh(x @ w), policy=policy)
        >>> aj.grad(lambda w: layer(w, jnp.ones(2)).sum())(jnp.zeros((2, 1)))
        Array([[1.],
               [1.]], dtype=float32)
    """
    if fun is None:
        return functools.partial(checkpoint, prevent_cse=prevent_cse, policy=policy, static_argnums=static_argnums)
    if policy is not None and not callable(policy):
        raise ValueError(f"[checkpoint] expected the policy to be a function or None, got {policy!r}.")
    static = static_resolver(fun, as_tuple(static_argnums), ())
    params: dict[str, Any] = {"prevent_cse": prevent_cse}
    if policy is not None and policy is not nothing_saveable:
        params["policy"] = policy
    prim, params = (call_p, {"donated": ()}) if policy is everything_saveable else (remat_p, params)

    @functools.wraps(fun)
    def remat(*args: Any, **kwargs: Any) -> Any:
        # staged anew at each call: the function may close over tracers
        staged, leaves = Jitted(fun, static)._staged(args, kwargs)
        outs = prim.bind(*staged.consts, *leaves, graph=staged.graph, name=staged.name, **params)
        return tree.unflatten(staged.out_tree, outs)

    return remat


def checkpoint_name(x: Any, name: str) -> Any:
    """``x``, a tree of arrays, by a name that ``checkpoint_policies.save_only_these_names`` and its like know it by."""
    return tree.map(lambda leaf: checkpoint_name_p.bind(leaf, name=name), x)


# --- policies ---------------------------------------------------------------------------------------------------------


def everything_saveable(*_: Any, **__: Any) -> bool:
    """Keep all: no recomputation."""
    return True


def nothing_saveable(*_: Any, **__: Any) -> bool:
    """Keep only inputs."""
    return False


def dots_saveable(prim: Primitive, *_: Any, **__: Any) -> bool:
    """Keep the results of products and convolutions."""
    return prim in (dot_general_p, conv_general_dilated_p)


def dots_with_no_batch_dims_saveable(prim: Primitive, *_: Any, **params: Any) -> bool:
    """Keep the results of products without mapped axes, such as those with weights."""
    return prim is dot_general_p and not any(params["dimension_numbers"][1])


@dataclasses.dataclass(frozen=True)
class _Named:
    """Whether a value has a name, and it is one of ``names`` (or, with ``but``, none of them)."""

    names: frozenset[str]
    but: bool = False

    def __call__(self, prim: Primitive, *_: Any, **params: Any) -> bool:
        return prim is checkpoint_name_p and (params["name"] in self.names) != self.but


def save_only_these_names(*names_which_can_be_saved: str) -> Callable[..., bool]:
    """Keep what ``checkpoint_name`` gave one of these names, and nothing else."""
    return _Named(frozenset(names_which_can_be_saved))


def save_any_names_but_these(*names_not_to_save: str) -> Callable[..., bool]:
    """Saves values that ``checkpoint_name`` named, except those with these names."""
    return _Named(frozenset(names_not_to_save), but=True)


def save_anything_except_these_names(*names_not_to_save: str) -> Callable[..., bool]:
    """Keep all but what ``checkpoint_name`` gave one of these names."""
    return lambda prim, *_, **params: not (prim is checkpoint_name_p and params["name"] in names_not_to_save)


def save_from_both_policies(policy_1: Callable[..., Any], policy_2: Callable[..., Any]) -> Callable[..., bool]:
    """Keep what either policy keeps; both must answer with bools."""

    def policy(prim: Primitive, *args: Any, **params: Any) -> bool:
        answers = [p(prim, *args, **params) for p in (policy_1, policy_2)]
        if not all(isinstance(a, bool) for a in answers):
            raise ValueError(f"[save_from_both_policies] expected both policies to answer with bools, got {answers}.")
        return any(answers)

    return policy


def _offloading(name: str) -> Callable[..., Any]:
    def refused(*_: Any, **__: Any) -> Any:
        """Refused: there is one memory."""
        raise RefusedError(
            f"[{name}] there is one memory, so nothing can be moved to another. Use save_only_these_names or"
            " dots_with_no_batch_dims_saveable."
        )

    refused.__name__ = name
    return refused


checkpoint_policies = SimpleNamespace(
    everything_saveable=everything_saveable,
    nothing_saveable=nothing_saveable,
    dots_saveable=dots_saveable,
    checkpoint_dots=dots_saveable,
    dots_with_no_batch_dims_saveable=dots_with_no_batch_dims_saveable,
    checkpoint_dots_with_no_batch_dims=dots_with_no_batch_dims_saveable,
    offload_dot_with_no_batch_dims=_offloading("offload_dot_with_no_batch_dims"),
    save_anything_except_these_names=save_anything_except_these_names,
    save_any_names_but_these=save_any_names_but_these,
    save_only_these_names=save_only_these_names,
    save_from_both_policies=save_from_both_policies,
    save_and_offload_only_these_names=_offloading("save_and_offload_only_these_names"),
)


# --- kept values ------------------------------------------------------------------------------------------------------


def print_saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Prints the types and origins of values that ``f(*args, **kwargs)`` keeps for the backward pass.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax.ad_checkpoint import print_saved_residuals
        >>> print_saved_residuals(lambda x: jnp.sin(x) * 2, 1.0)  # doctest: +ELLIPSIS
        f32[] output of cos from ...
    """
    for aval, source in saved_residuals(f, *args, **kwargs):
        print(aval.update(weak_type=False).short(), source)


def saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> list[tuple[Aval, str]]:
    """Lists the values that the backward pass of ``f(*args, **kwargs)`` keeps, as pairs (type, origin)."""
    staged, _ = Jitted(f, static_resolver(f, (), ()))._staged(args, kwargs)
    graph = staged.graph
    kept, _ = stage(lambda *xs: linearize_flat(as_function(graph), xs).residuals, graph.in_avals)
    names = ["a captured array"] * len(staged.consts)
    names += [f"the argument {path}" for path in argument_paths(f, staged.in_tree)]
    inputs = dict(zip(kept.inputs, names))
    unique = dict.fromkeys(a for a in kept.outputs if isinstance(a, Var))
    return [(a.aval, _source(kept, a, inputs)) for a in unique]


def _source(graph: Graph, atom: Atom, inputs: dict[Var, str]) -> str:
    if isinstance(atom, Literal):
        return "a constant"
    if atom in inputs:
        return f"from {inputs[atom]}"
    eqn = next(e for e in graph.eqns if atom in e.outputs)
    inner: Graph | None = eqn.params.get("graph") if eqn.primitive is call_p else None
    if inner is None:
        return _described(eqn)
    known = {v: _source(graph, a, inputs).removeprefix("from ") for v, a in zip(inner.inputs, eqn.inputs)}
    return _source(inner, inner.outputs[eqn.outputs.index(atom)], known)


def _described(eqn: Eqn) -> str:
    what = f"named {eqn.params['name']!r}" if eqn.primitive is checkpoint_name_p else f"output of {eqn.primitive.name}"
    return f"{what} from {eqn.source}" if eqn.source else what

"""Derivatives of a branch that runs for every example under ``vmap``, although only some examples chose it.

The results for the other examples are dropped. But the branch may be undefined for them, so its derivatives may be
infinite, and a zero cotangent times an infinite slope is NaN. So the branch is differentiated at operands whose
tangents are zero for those examples, which also drops their cotangents. jax selects operands in the same way
(https://github.com/jax-ml/jax/issues/1052). Here values stay unchanged; only derivatives repeat operands that have no
mapped axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anejax.core.context import current_trace
from anejax.core.graph import Graph
from anejax.core.primitive import Primitive, Zero
from anejax.core.trace import aval_of
from anejax.dtypes import is_inexact
from anejax.ops.arithmetic import select_n
from anejax.ops.families import batch_to, zeros
from anejax.ops.shape import broadcast_in_dim
from anejax.transforms.calls import INLINED, named_batch_graph
from anejax.transforms.custom import CustomJVPCall
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.jvp import jvp_flat
from anejax.transforms.vmap import mapped_name


def run_where_chosen(
    branch: Graph, chosen: Any, operands: Sequence[Any], dims: Sequence[int | None], size: int
) -> list[Any]:
    """The results of ``branch`` for all examples, mapped axes first; those of the ``chosen`` ones have derivatives."""
    all_mapped = (True,) * len(branch.outputs)
    axis_name = mapped_name()
    value = named_batch_graph(branch, size, tuple(dims), all_mapped, axis_name)

    def guarded(chosen: Any, operands: Sequence[Any]) -> list[Any]:
        """The value, of operands that take part in derivatives for the chosen examples alone."""
        guard = [is_inexact(aval_of(x).dtype) for x in operands]
        operands = [guard_p.bind(batch_to(x, d, size), chosen) if g else x for x, d, g in zip(operands, dims, guard)]
        guarded_dims = tuple(0 if g else d for d, g in zip(dims, guard))
        new = named_batch_graph(branch, size, guarded_dims, all_mapped, axis_name)
        return eval_graph(new.graph, [*new.consts, *operands])

    def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        chosen, *given = primals
        return jvp_flat(lambda *operands: guarded(chosen, operands), given, tangents[1:])

    def plain(chosen: Any, *operands: Any) -> list[Any]:
        return eval_graph(value.graph, [*value.consts, *operands])

    call = CustomJVPCall(plain, jvp, "branch")
    return current_trace().process_custom_jvp(call, [chosen, *operands])


def of_chosen(chosen: Any, x: Any, other: Any) -> Any:
    """``x`` for the examples for which ``chosen`` holds, ``other`` for the rest; ``chosen`` has the leading axes."""
    axes = tuple(range(aval_of(chosen).ndim))
    return select_n(broadcast_in_dim(chosen, aval_of(x).shape, axes), other, x)


def _of_chosen_or_zero(t: Any, chosen: Any) -> Any:
    return t if isinstance(t, Zero) else of_chosen(chosen, t, zeros(aval_of(t)))


def _batch(size: int, args: Sequence[Any], dims: Sequence[int | None]) -> tuple[Any, int]:
    x, chosen = (batch_to(a, d, size) for a, d in zip(args, dims))
    return guard_p.bind(x, chosen), 0


# ``x``, with tangents and cotangents for the chosen examples alone
guard_p = Primitive("chosen_examples", higher_order=True)
guard_p.fill(
    abstract=lambda x, chosen: x,
    impl=lambda x, chosen: [x],
    jvp=lambda primals, tangents: (guard_p.bind(*primals), _of_chosen_or_zero(tangents[0], primals[1])),
    transpose=lambda ct, x, chosen: [_of_chosen_or_zero(ct, chosen), None],
    batch=_batch,
    mil=INLINED,
)

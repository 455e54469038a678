"""Rules for jax's primitives that move, select and reduce elements."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import anejax.numpy as jnp
from anejax import lax
from anejax.api.autodiff import jvp, vjp
from anejax.api.batching import vmap
from anejax.errors import RefusedError
from anejax.interop.interpret import evaluate, evaluate_open, rule

# ---- shapes


def _check_constant(sizes: Sequence[Any]) -> None:
    """Sizes that are operands are known only when the program runs."""
    if sizes:
        raise RefusedError("expected a shape of constants")


@rule("broadcast_in_dim")
def _broadcast_in_dim(eqn: Any, x: Any, *sizes: Any) -> list[Any]:
    _check_constant(sizes)
    return [lax.broadcast_in_dim(x, eqn.params["shape"], eqn.params["broadcast_dimensions"])]


@rule("iota")
def _iota(eqn: Any, *sizes: Any) -> list[Any]:
    _check_constant(sizes)
    return [lax.broadcasted_iota(eqn.params["dtype"], eqn.params["shape"], eqn.params["dimension"])]


@rule("empty")
def _empty(eqn: Any) -> list[Any]:
    aval = eqn.outvars[0].aval
    return [jnp.zeros(aval.shape, aval.dtype)]


@rule("reshape")
def _reshape(eqn: Any, x: Any, *sizes: Any) -> list[Any]:
    _check_constant(sizes)
    return [lax.reshape(x, eqn.params["new_sizes"], eqn.params.get("dimensions"))]


@rule("transpose")
def _transpose(eqn: Any, x: Any) -> list[Any]:
    return [lax.transpose(x, eqn.params["permutation"])]


@rule("squeeze")
def _squeeze(eqn: Any, x: Any) -> list[Any]:
    return [lax.squeeze(x, eqn.params["dimensions"])]


@rule("rev")
def _rev(eqn: Any, x: Any) -> list[Any]:
    return [lax.rev(x, eqn.params["dimensions"])]


@rule("tile")
def _tile(eqn: Any, x: Any) -> list[Any]:
    return [lax.tile(x, eqn.params["reps"])]


@rule("concatenate")
def _concatenate(eqn: Any, *xs: Any) -> list[Any]:
    return [lax.concatenate(xs, eqn.params["dimension"])]


@rule("stack")
def _stack(eqn: Any, *xs: Any) -> list[Any]:
    return [lax.stack(xs, eqn.params["axis"])]


@rule("unstack")
def _unstack(eqn: Any, x: Any) -> list[Any]:
    return list(lax.unstack(x, eqn.params["axis"]))


@rule("split")
def _split(eqn: Any, x: Any) -> list[Any]:
    return list(lax.split(x, eqn.params["sizes"], eqn.params["axis"]))


@rule("pad")
def _pad(eqn: Any, x: Any, value: Any) -> list[Any]:
    return [lax.pad(x, value, eqn.params["padding_config"])]


# ---- choosing


@rule("slice")
def _slice(eqn: Any, x: Any) -> list[Any]:
    p = eqn.params
    return [lax.slice(x, p["start_indices"], p["limit_indices"], p["strides"])]


@rule("dynamic_slice")
def _dynamic_slice(eqn: Any, x: Any, *starts: Any) -> list[Any]:
    return [lax.dynamic_slice(x, starts, eqn.params["slice_sizes"])]


@rule("dynamic_update_slice")
def _dynamic_update_slice(eqn: Any, x: Any, update: Any, *starts: Any) -> list[Any]:
    return [lax.dynamic_update_slice(x, update, starts)]


def _indexing(eqn: Any) -> dict[str, Any]:
    mode = eqn.params["mode"]
    return {
        "indices_are_sorted": eqn.params["indices_are_sorted"],
        "unique_indices": eqn.params["unique_indices"],
        "mode": None if mode is None else lax.GatherScatterMode[mode.name],
    }


@rule("gather")
def _gather(eqn: Any, x: Any, indices: Any) -> list[Any]:
    numbers = lax.GatherDimensionNumbers(**_fields(eqn.params["dimension_numbers"]))
    filled = eqn.params["fill_value"]
    return [lax.gather(x, indices, numbers, eqn.params["slice_sizes"], **_indexing(eqn), fill_value=filled)]


@rule("scatter", "scatter-add", "scatter-max", "scatter-min", "scatter-mul", "scatter-sub")
def _scatter(eqn: Any, x: Any, indices: Any, updates: Any) -> list[Any]:
    numbers = lax.ScatterDimensionNumbers(**_fields(eqn.params["dimension_numbers"]))
    function = getattr(lax, eqn.primitive.name.replace("-", "_"))
    return [function(x, indices, updates, numbers, **_indexing(eqn))]


def _fields(numbers: Any) -> dict[str, Any]:
    return {name: getattr(numbers, name) for name in type(numbers)._fields}


@rule("sort")
def _sort(eqn: Any, *operands: Any) -> list[Any]:
    p = eqn.params
    return list(lax.sort(operands, p["dimension"], p["is_stable"], p["num_keys"]))


@rule("top_k")
def _top_k(eqn: Any, x: Any) -> list[Any]:
    return list(lax.top_k(x, eqn.params["k"], axis=eqn.params["axis"]))


@rule("approx_top_k")
def _approx_top_k(eqn: Any, x: Any) -> list[Any]:
    p = eqn.params
    function = lax.approx_max_k if p["is_max_k"] else lax.approx_min_k
    return list(
        function(x, p["k"], p["reduction_dimension"], p["recall_target"], p["reduction_input_size_override"],
                 p["aggregate_to_topk"])
    )  # fmt: skip


@rule("argmax", "argmin")
def _argument(eqn: Any, x: Any) -> list[Any]:
    (axis,) = eqn.params["axes"]
    return [getattr(lax, eqn.primitive.name)(x, axis, eqn.params["index_dtype"])]


# ---- reductions


@rule("reduce_and", "reduce_max", "reduce_min", "reduce_or", "reduce_prod", "reduce_sum", "reduce_xor")
def _reduce_axes(eqn: Any, x: Any) -> list[Any]:
    return [getattr(lax, eqn.primitive.name)(x, eqn.params["axes"])]


@rule("cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum")
def _cumulative(eqn: Any, x: Any) -> list[Any]:
    return [getattr(lax, eqn.primitive.name)(x, eqn.params["axis"], eqn.params["reverse"])]


@rule("reduce")
def _reduce(eqn: Any, *operands: Any) -> list[Any]:
    half = len(operands) // 2
    computation = _of_arrays(functools.partial(evaluate, eqn.params["jaxpr"]))
    return list(
        lax.reduce(operands[:half], operands[half:], lambda a, b: computation(*a, *b), eqn.params["dimensions"])
    )


def _of_arrays(computation: Callable[[Sequence[Any]], list[Any]]) -> Callable[..., Any]:
    """A function of scalars for each element of arrays of one shape, as ``lax.reduce`` calls it."""

    def function(*operands: Any) -> Any:
        mapped = lambda *scalars: tuple(computation(scalars))  # noqa: E731
        for _ in jnp.shape(operands[0]):
            mapped = vmap(mapped)
        return mapped(*operands)

    return function


_WINDOW = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")


def _window(eqn: Any) -> dict[str, Any]:
    return {name: eqn.params[name] for name in _WINDOW if name in eqn.params}


@rule("reduce_window_max", "reduce_window_min", "reduce_window_sum")
def _reduce_window_of(eqn: Any, x: Any) -> list[Any]:
    dtype = jnp.asarray(x).dtype
    if eqn.primitive.name == "reduce_window_sum":
        return [lax.reduce_window(x, jnp.zeros((), dtype), lax.add, **_window(eqn))]
    largest = eqn.primitive.name == "reduce_window_max"
    return [_window_extremum(x, largest, _window(eqn))]


def _window_extremum(x: Any, largest: bool, window: dict[str, Any]) -> Any:
    dtype = jnp.asarray(x).dtype
    if dtype == jnp.bool_:
        worst = not largest
    elif jnp.issubdtype(dtype, jnp.integer):
        worst = jnp.iinfo(dtype).min if largest else jnp.iinfo(dtype).max
    else:
        worst = -jnp.inf if largest else jnp.inf
    return lax.reduce_window(x, jnp.asarray(worst, dtype), lax.max if largest else lax.min, **window)


@rule("reduce_window")
def _reduce_window(eqn: Any, *operands: Any) -> list[Any]:
    if len(operands) != 2:
        raise RefusedError("expected one array and its initial value")

    computation = _of_arrays(functools.partial(evaluate_open, eqn.params["jaxpr"], eqn.params["consts"]))
    return [lax.reduce_window(*operands, lambda a, b: computation(a, b)[0], **_window(eqn))]


def _largest(eqn: Any) -> bool:
    return eqn.params["select_prim"].name == "ge"


@rule("select_and_scatter_add")
def _select_and_scatter_add(eqn: Any, source: Any, operand: Any) -> list[Any]:
    """The gradient of max-pooling for its operand: the transposed derivative of the pooling."""
    _, back = vjp(lambda x: _window_extremum(x, _largest(eqn), _window(eqn)), operand)
    return list(back(source))


@rule("select_and_gather_add")
def _select_and_gather_add(eqn: Any, tangents: Any, operand: Any) -> list[Any]:
    """The derivative of max-pooling along ``tangents``."""
    pool = lambda x: _window_extremum(x, _largest(eqn), _window(eqn))  # noqa: E731
    return [jvp(pool, (operand,), (tangents,))[1]]

"""Turns composite calls into single operations of Core ML or of the engine, if they have them. Other composites are
inlined.

For Core ML float16 composites are inlined too, because their parts compute statistics and sums in float32, and it is
not documented in which precision Core ML's operations add.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.graph import Graph
from anejax.core.trace import Tracer, aval_of
from anejax.mil.limits import COREML_MAX_RANK
from anejax.ops import arithmetic as A
from anejax.ops import elementwise as E
from anejax.ops import reduce as R
from anejax.ops import shape as S
from anejax.ops.families import expand
from anejax.ops.linear import dot_general
from anejax.passes.inline import ON_ENGINE, inline
from anejax.passes.legalize.rules import as_they_are, rule, target
from anejax.transforms.composite import composite_p
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.stage import stage

OPERATIONS: dict[str, Callable[..., Any]] = {}


def operation(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers what writes the composite ``name``: a function of its body, its operands and its attributes."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        OPERATIONS[name] = function
        return function

    return register


@rule("composite", targets=("coreml",))
def _composite(*args: Any, graph: Graph, name: str, attributes: Any, batched: int) -> list[Any]:
    written = OPERATIONS.get(name)
    fits = all(aval_of(a).dtype in (dtypes.float32, dtypes.bool_) and 0 not in aval_of(a).shape for a in args)
    found = written(graph, *args, **dict(attributes)) if written is not None and fits else NotImplemented
    return eval_graph(inline(graph, target()), args) if found is NotImplemented else found


@rule("composite", targets=("ane",))
def _on_engine(*args: Any, graph: Graph, name: str, attributes: Any, batched: int) -> list[Any]:
    if name not in ON_ENGINE:
        return eval_graph(inline(graph), args)
    return OPERATIONS[name](graph, *args, **dict(attributes))


def _kept(name: str, meaning: Graph, operands: Sequence[Any], **attributes: Any) -> list[Any]:
    """MIL's operation ``name`` of operands that its Graph ``meaning`` takes."""
    return as_they_are(
        composite_p, *operands, graph=meaning, name=name, attributes=tuple(attributes.items()), batched=0
    )


def _meaning(function: Callable[..., Any], operands: Sequence[Any]) -> Graph:
    graph, captured = stage(lambda *xs: [function(*xs)], [aval_of(x) for x in operands])
    assert not captured, "operations are functions of their operands"
    return graph


@operation("anejax.nn.softmax")
def _softmax(graph: Graph, x: Any, *, axis: int) -> Any:
    return _kept("softmax", _meaning(lambda v: _rows_of(v, axis), [x]), [x], axis=axis)


def _rows_of(x: Any, axis: int) -> Any:
    shape, axes = aval_of(x).shape, (axis % aval_of(x).ndim,)
    terms = E.exp(A.sub(x, R.restore(R.reduce_max(x, axes), shape, axes)))
    return A.div(terms, R.restore(R.reduce_sum(terms, axes), shape, axes))


@operation("anejax.nn.log_softmax")
def _log_softmax(graph: Graph, x: Any, *, axis: int) -> Any:
    """x minus its largest element, minus the logarithm of the sum of exponentials, which is one operation in MIL."""
    aval = aval_of(x)
    axes = (axis % aval.ndim,)
    shifted = A.sub(x, R.restore(R.reduce_max(x, axes), aval.shape, axes))
    meaning = _meaning(lambda v: S.expand_dims(E.log(R.reduce_sum(E.exp(v), axes)), axes), [shifted])
    (total,) = _kept("reduce_log_sum_exp", meaning, [shifted], axes=axes, keep_dims=True)
    return [A.sub(shifted, _stretched(total, aval.shape))]


@operation("anejax.nn.gelu")
def _gelu(graph: Graph, x: Any, *, approximate: bool) -> Any:
    return _kept("gelu", graph, [x], mode="TANH_APPROXIMATION" if approximate else "EXACT")


@operation("anejax.nn.silu")
def _silu(graph: Graph, x: Any) -> Any:
    return _kept("silu", graph, [x])


@operation("anejax.nn.layer_norm")
def _layer_norm(graph: Graph, x: Any, *affine: Any, eps: float, scale: bool, bias: bool) -> Any:
    if any(aval_of(a).dtype != aval_of(x).dtype for a in affine):
        return NotImplemented
    return _kept("layer_norm", graph, [x, *affine], axes=(-1,), epsilon=np.float32(eps), scale=scale, bias=bias)


@operation("anejax.nn.rms_norm")
def _rms_norm(graph: Graph, x: Any, *scale: Any, eps: float) -> Any:
    """MIL divides by the root of a sum of squares, and over three axes: rows become [rows, 1, 1, n]."""
    shape = aval_of(x).shape
    n, rows = shape[-1], math.prod(shape[:-1])
    if any(aval_of(s).dtype != aval_of(x).dtype for s in scale):
        return NotImplemented
    epsilon = np.float32(eps * n)

    def meaning(v: Any) -> Any:
        total = R.reduce_sum(A.square(v), (1, 2, 3))
        return A.mul(v, _stretched(E.rsqrt(A.add(total, epsilon)), (rows, 1, 1, n), (0,)))

    given = [S.reshape(x, (rows, 1, 1, n))]
    (unit,) = _kept("l2_norm", _meaning(meaning, given), given, epsilon=epsilon)
    y = A.mul(S.reshape(unit, shape), np.float32(math.sqrt(n)))
    return [A.mul(y, _stretched(scale[0], shape, (len(shape) - 1,))) if scale else y]


def _stretched(x: Any, shape: Sequence[int], axes: Sequence[int] | None = None) -> Any:
    return S.broadcast_in_dim(x, tuple(shape), tuple(range(len(shape))) if axes is None else tuple(axes))


# --- attention ------------------------------------------------------------------------------------------------------


@operation("anejax.nn.dot_product_attention")
def _attention(graph: Graph, *args: Any, scale: float, biased: bool, masked: bool) -> Any:
    """Heads before positions, the queries that share a head of keys one after the other; bias and mask as one summand.

    [..., T, N, H] of query and [..., S, K, H] of key and value: [..., K, (N / K) * T, H] and [..., K, S, H].
    """
    (query, key, value), more = args[:3], list(args[3:])
    *lead, time, heads, size = aval_of(query).shape
    shared, length = heads // aval_of(key).shape[-2], aval_of(key).shape[-3]
    if len(lead) + 3 > COREML_MAX_RANK or any(aval_of(m).ndim > len(lead) + 3 for m in more):
        return NotImplemented
    folded = (*lead, heads // shared, shared * time, size)
    query = S.reshape(_heads_first(A.mul(query, np.float32(scale * math.sqrt(size)))), folded)
    operands = [query, _heads_first(key), _heads_first(value)]
    summand = _summand(more[0] if biased else None, more[-1] if masked else None)
    if summand is not None:
        operands.append(_folded_mask(summand, (*lead, heads, time, length), shared))
    (out,) = _kept("scaled_dot_product_attention", _meaning(_attended, operands), operands)
    return [_heads_first(S.reshape(out, (*lead, heads, time, aval_of(value).shape[-1])))]


def _heads_first(x: Any) -> Any:
    """The last but one and the last but two axes in the place of each other."""
    rank = aval_of(x).ndim
    return S.transpose(x, (*range(rank - 3), rank - 2, rank - 3, rank - 1))


def _summand(bias: Any, seen: Any) -> Any:
    """The bias where a position is seen, the lowest number elsewhere: a score that is added to it is lost."""
    if seen is None:
        return bias
    lowest = np.float32(-0.7 * float(dtypes.finfo(dtypes.float32).max))
    shown = np.float32(0) if bias is None else bias
    shape = np.broadcast_shapes(aval_of(shown).shape, aval_of(seen).shape)
    return A.select_n(_aligned(seen, shape), np.full(shape, lowest), _aligned(shown, shape))


def _aligned(x: Any, shape: Sequence[int]) -> Any:
    given = aval_of(x).shape
    return _stretched(x, shape, range(len(shape) - len(given), len(shape)))


def _folded_mask(summand: Any, scores: tuple[int, ...], shared: int) -> Any:
    """The summand of scores [..., heads, T, S], for queries that are folded to [..., heads / shared, shared * T, S].

    Axes along which it is the same have length 1, as MIL lets them, but for those that folding needs.
    """
    given = aval_of(summand).shape
    full = (*[1] * (len(scores) - len(given)), *given)
    *lead, heads, time, _ = full
    summand = S.reshape(summand, full)
    if shared == 1 or (heads == 1 and time == 1):
        return _stretched(summand, (*lead, heads, time, scores[-1]))
    if heads == 1:
        wide = _stretched(summand, (*lead, shared, scores[-2], scores[-1]))
        return S.reshape(wide, (*lead, 1, shared * scores[-2], scores[-1]))
    wide = _stretched(summand, (*lead, heads, scores[-2], scores[-1]))
    return S.reshape(wide, (*lead, heads // shared, shared * scores[-2], scores[-1]))


def _attended(query: Any, key: Any, value: Any, *mask: Any) -> Any:
    """softmax(query key^T / sqrt(E) + mask) value"""
    rank = aval_of(query).ndim
    lead, last = tuple(range(rank - 2)), rank - 1
    scores = dot_general(query, key, (((last,), (last,)), (lead, lead)))
    scores = A.mul(scores, np.float32(1 / math.sqrt(aval_of(query).shape[-1])))
    shape = aval_of(scores).shape
    scores = A.add(scores, expand(_stretched(mask[0], shape), shape)) if mask else scores
    weights = _rows_of(scores, last)
    return dot_general(weights, value, (((last,), (rank - 2,)), (lead, lead)))


# --- recurrent layers -----------------------------------------------------------------------------------------------


@operation("anejax.nn.lstm_cell")
def _lstm_cell(graph: Graph, *args: Any, bias: bool) -> Any:
    """One step of [N, F], as a sequence of one. Its results are h, c, and h again."""
    *weights, h, c, x = args
    if any(isinstance(w, Tracer) for w in weights):
        return NotImplemented
    step = S.expand_dims(x, (0,))

    def meaning(step: Any, h: Any, c: Any, *theirs: Any) -> list[Any]:
        h, c, _ = eval_graph(inline(graph), [*_our_weights(theirs, bias), h, c, S.squeeze(step, (0,))])
        return [S.expand_dims(h, (0,)), h, c]

    operands = [step, h, c, *_their_weights(*weights)]
    body = stage(meaning, [aval_of(v) for v in operands])[0]
    _, h, c = _kept("lstm", body, operands, direction="forward", output_sequence=True)
    return [h, c, h]


@operation("anejax.nn.lstm")
def _lstm(graph: Graph, *args: Any, bias: bool, reverse: bool) -> Any:
    """MIL's layer of a whole sequence, from its first step to its last: [N, T, F] here, [T, N, F] there. Its weights
    are constants; a layer that does not hold its own is a loop."""
    *weights, h, c, x = args
    if any(isinstance(w, Tracer) for w in weights):
        return NotImplemented
    steps = S.transpose(S.rev(x, (1,)) if reverse else x, (1, 0, 2))

    def meaning(steps: Any, h: Any, c: Any, *theirs: Any) -> list[Any]:
        ys, *last = eval_graph(inline(graph), [*_our_weights(theirs, bias), h, c, S.transpose(steps, (1, 0, 2))])
        return [S.transpose(ys, (1, 0, 2)), *last]

    operands = [steps, h, c, *_their_weights(*weights)]
    body = stage(meaning, [aval_of(v) for v in operands])[0]
    ys, *last = _kept("lstm", body, operands, direction="forward", output_sequence=True)
    ys = S.transpose(ys, (1, 0, 2))
    return [S.rev(ys, (1,)) if reverse else ys, *last]


def _their_weights(*weights: Any) -> list[np.ndarray]:
    """(bias), [H, 4H] and [F, 4H] with gates i, f, g, o as [4H, F], [4H, H] and bias with gates i, f, o, g."""
    *bias, recurrent, weight = (_regated(np.asarray(w)) for w in weights)
    vector = bias[0] if bias else np.zeros(weight.shape[1], np.float32)
    return [np.ascontiguousarray(weight.T), np.ascontiguousarray(recurrent.T), vector]


def _regated(w: np.ndarray) -> np.ndarray:
    i, f, g, o = np.split(w, 4, axis=-1)
    return np.concatenate([i, f, o, g], -1)


def _our_weights(theirs: Sequence[Any], bias: bool) -> list[Any]:
    """The way back, of traced values."""
    weight, recurrent, vector = theirs
    ours = [vector] if bias else []
    return [_gates_back(w) for w in (*ours, S.transpose(recurrent, (1, 0)), S.transpose(weight, (1, 0)))]


def _gates_back(w: Any) -> Any:
    axis = aval_of(w).ndim - 1
    n = aval_of(w).shape[axis] // 4
    i, f, o, g = (S.slice_in_dim(w, k * n, (k + 1) * n, axis=axis) for k in range(4))
    return S.concatenate([i, f, g, o], axis)

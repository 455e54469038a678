"""einsum: any contraction, pair by pair along NumPy's contraction path, each pair one dot_general."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import ShapeError
from anejax.numpy.operands import as_array, astype, operand, refuse, result_dtype
from anejax.ops import arithmetic, reduce, shape
from anejax.ops.linear import dot_general
from anejax.ops.precision import check_precision

Term = tuple[Any, str]  # an operand and the labels of its axes


def einsum(
    subscripts: Any, /, *operands: Any, out: None = None, optimize: Any = "auto", precision: Any = None,
    preferred_element_type: Any = None, out_sharding: Any = None,
) -> Array:  # fmt: skip
    """The sum of products that ``subscripts`` describe, as numpy.einsum has them.

    Args:
        subscripts: such as "bij,bjk->bik": labels of each operand's axes, then those of the result; "..." stands for
            axes that broadcast. Labels that the result does not have are summed over. Instead, operands and lists of
            integers may alternate: ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.
        operands: arrays; they promote to one dtype.
        optimize: how the order of contractions is found, "auto" or what numpy.einsum_path takes.
        precision: accepted for compatibility; float32 products are computed in float32.
        preferred_element_type: the dtype of the result, the promoted one when None.

    Raises:
        ShapeError: subscripts do not fit the operands, or a label has two lengths.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.einsum("ij,j->i", jnp.ones((2, 3)), jnp.arange(3.0))
        Array([3., 3.], dtype=float32)
    """
    check_precision("einsum", precision)
    refuse("einsum", out=out)
    labels, result, xs = _parsed(subscripts, operands)
    dtype, weak = result_dtype(*xs)
    preferred = dtypes.canonical(preferred_element_type) if preferred_element_type is not None else None
    terms = [_single(as_array("einsum", astype(x, dtype, weak)), t) for x, t in zip(xs, labels)]
    sizes = _sizes(terms)
    terms = [_without_ones(term, sizes) for term in terms]
    for pair in _path(terms, result, optimize):
        pair = [i % len(terms) for i in pair]
        chosen = [terms[i] for i in pair]
        terms = [t for i, t in enumerate(terms) if i not in pair]
        wanted = set(result).union(*(t[1] for t in terms))
        terms.append(_contract(chosen, wanted, preferred))
    x, have = _summed(terms[0], set(result))
    missing = "".join(label for label in result if label not in have)
    if missing:  # a label of length 1 everywhere
        x, have = shape.expand_dims(x, range(len(missing))), missing + have
    x = shape.transpose(x, [have.index(label) for label in result])
    return astype(x, preferred) if preferred is not None else x


def einsum_path(subscripts: Any, /, *operands: Any, optimize: Any = "auto") -> Any:
    """The pairs of operands to contract, in order, as ``einsum``'s optimize takes them, and NumPy's report on them.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.einsum_path("ij,jk,kl->il", jnp.ones((2, 3)), jnp.ones((3, 2)), jnp.ones((2, 4)))[0]
        [(0, 1), (0, 1)]
    """
    labels, result, xs = _parsed(subscripts, operands)
    stand_ins = [np.broadcast_to(np.float32(0), aval_of(x).shape) for x in xs]
    (_, *path), report = np.einsum_path(  # the first entry is NumPy's own mark
        f"{','.join(labels)}->{result}", *stand_ins, optimize=optimize if optimize != "auto" else "optimal"
    )
    in_order = optimize is False and len(xs) > 2  # NumPy would take all operands at once; einsum goes from the left
    return [(0, 1)] * (len(xs) - 1) if in_order else path, report


# --- subscripts ---------------------------------------------------------------------------------------------------


def _parsed(subscripts: Any, operands: Sequence[Any]) -> tuple[list[str], str, list[Any]]:
    """(labels of each operand, labels of the result, operands), ellipses replaced by labels."""
    if not isinstance(subscripts, str):
        subscripts, operands = _from_lists([subscripts, *operands])
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    labels = inputs.split(",")
    xs = [operand("einsum", x) for x in operands]
    if len(labels) != len(xs):
        raise ShapeError(f"[einsum] {subscripts!r} describes {len(labels)} operands, got {len(xs)}.")
    unused = [c for c in string.ascii_letters + "".join(map(chr, range(0x3B1, 0x3C9))) if c not in text]
    ranks = [aval_of(x).ndim - len(t.replace("...", "")) if "..." in t else 0 for x, t in zip(xs, labels)]
    dots = "".join(unused[: max(ranks, default=0)])
    labels = [t.replace("...", dots[len(dots) - rank :]) for t, rank in zip(labels, ranks)]
    if arrow:
        output = output.replace("...", dots)
    else:
        letters = "".join(labels)
        output = dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))
    _check(subscripts, labels, output, xs)
    return labels, output, xs


def _from_lists(items: Sequence[Any]) -> tuple[str, list[Any]]:
    """Subscripts from the form with alternating operands and lists of integers."""
    pairs = len(items) // 2
    spell = lambda entries: "".join("..." if e is Ellipsis else string.ascii_letters[int(e)] for e in entries)  # noqa: E731
    text = ",".join(spell(items[2 * i + 1]) for i in range(pairs))
    if len(items) % 2:
        text += "->" + spell(items[-1])
    return text, [items[2 * i] for i in range(pairs)]


def _check(subscripts: str, labels: Sequence[str], output: str, xs: Sequence[Any]) -> None:
    for t, x in zip(labels, xs):
        if len(t) != aval_of(x).ndim:
            raise ShapeError(f"[einsum] {subscripts!r} gives labels to {len(t)} axes of {aval_of(x)}.")
    everything = set("".join(labels))
    if not set(output) <= everything or len(set(output)) != len(output) or "." in "".join(labels) + output:
        raise ShapeError(f"[einsum] expected each label of the result once and in an operand, got {subscripts!r}.")


def _sizes(terms: Sequence[Term]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for x, labels in terms:
        for label, n in zip(labels, aval_of(x).shape):
            known = sizes.get(label, 1)
            if known != n and 1 not in (known, n):
                raise ShapeError(f"[einsum] label {label!r} has lengths {known} and {n}.")
            sizes[label] = max(known, n) if 0 not in (known, n) else 0
    return sizes


def _path(terms: Sequence[Term], result: str, optimize: Any) -> list[tuple[int, ...]]:
    if len(terms) < 3:
        return [tuple(range(len(terms)))] if len(terms) == 2 else []
    if isinstance(optimize, (list, tuple)):
        return [tuple(p) for p in optimize if not isinstance(p, str)]
    if optimize is False:
        return [(0, 1)] * (len(terms) - 1)
    how = (
        "greedy"
        if optimize in ("auto", True) and len(terms) > 4
        else "optimal"
        if optimize in ("auto", True)
        else optimize
    )
    have = "".join(t for _, t in terms)
    text = ",".join(t for _, t in terms) + "->" + "".join(c for c in result if c in have)
    stand_ins = [np.broadcast_to(np.float32(0), aval_of(x).shape) for x, _ in terms]
    path = np.einsum_path(text, *stand_ins, optimize=how)[0][1:]
    return [pair for step in path for pair in _by_two(tuple(step))]


def _by_two(step: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A step of more than two operands as several: each result stands last."""
    if len(step) <= 2:
        return [step]
    first, *rest = sorted(step)
    # after the first pair is taken away, later positions move down by two and the result comes last
    return [(first, rest[0]), *_many(rest[1:])]


def _many(rest: Sequence[int]) -> list[tuple[int, ...]]:
    out, removed = [], 2
    for position in rest:
        out.append((position - removed, -1))
        removed += 1
    return out


# --- contractions -------------------------------------------------------------------------------------------------


def _single(x: Any, labels: str) -> Term:
    """An operand with each label once: of repeated ones the diagonal is taken."""
    while len(set(labels)) < len(labels):
        label = next(c for c in labels if labels.count(c) > 1)
        i = labels.index(label)
        j = labels.index(label, i + 1)
        lengths = aval_of(x).shape
        if lengths[i] != lengths[j]:
            raise ShapeError(f"[einsum] label {label!r} has lengths {lengths[i]} and {lengths[j]} in {aval_of(x)}.")
        on = arithmetic.eq(shape.broadcasted_iota(np.int32, lengths, i), shape.broadcasted_iota(np.int32, lengths, j))
        zero = shape.full(lengths, np.zeros((), aval_of(x).dtype))
        total = reduce.reduce_or if aval_of(x).dtype == dtypes.bool_ else reduce.reduce_sum
        x = total(arithmetic.select_n(on, zero, x), (j,))
        labels = labels[:j] + labels[j + 1 :]
    return x, labels


def _without_ones(term: Term, sizes: dict[str, int]) -> Term:
    """Axes of length 1 that stand for longer ones are dropped: the product repeats them."""
    x, labels = term
    gone = [i for i, (label, n) in enumerate(zip(labels, aval_of(x).shape)) if n == 1 and sizes[label] != 1]
    return shape.squeeze(x, gone), "".join(label for i, label in enumerate(labels) if i not in gone)


def _summed(term: Term, wanted: set[str]) -> Term:
    x, labels = term
    axes = [i for i, label in enumerate(labels) if label not in wanted]
    if not axes:
        return term
    if aval_of(x).dtype == dtypes.bool_:
        return reduce.reduce_or(x, axes), "".join(label for label in labels if label in wanted)
    return reduce.reduce_sum(x, axes), "".join(label for label in labels if label in wanted)


def _contract(terms: Sequence[Term], wanted: set[str], preferred: np.dtype | None) -> Term:
    if len(terms) == 1:
        return _summed(terms[0], wanted)
    (x, xl), (y, yl) = (_summed(t, wanted | set(o[1])) for t, o in zip(terms, reversed(terms)))
    shared = [label for label in xl if label in yl]
    batch = [label for label in shared if label in wanted]
    summed = [label for label in shared if label not in wanted]
    axes = lambda labels, chosen: tuple(labels.index(c) for c in chosen)  # noqa: E731
    numbers = ((axes(xl, summed), axes(yl, summed)), (axes(xl, batch), axes(yl, batch)))
    if preferred is not None and aval_of(x).dtype != aval_of(y).dtype:
        x, y = astype(x, preferred), astype(y, preferred)
    out = dot_general(x, y, numbers, preferred_element_type=preferred)
    free = [c for c in xl if c not in shared] + [c for c in yl if c not in shared]
    return out, "".join(batch + free)

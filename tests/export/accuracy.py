"""Elementwise functions of one operand, element by element: what a format's program may be off from float64.

Samples of primitives are held against the largest element of a result; here each element is held against itself, so a
formula that cancels near 0, loses a tail or overflows on the way is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from anejax.core.primitive import REGISTRY
from tests.op_samples import ROWS, Row

BOUNDS = {"float32": 4.0, "float16": 8.0}  # eps
PERIODIC = ("sin", "cos", "tan")  # of which no format promises digits far from 0

Results = Callable[[Mapping[str, tuple[Callable[..., Any], Sequence[Any]]]], Mapping[str, Sequence[np.ndarray]]]


def _is_function(row: Row) -> bool:
    """Whether a row is of an elementwise function of one operand, with an oracle."""
    case = row.cases[0]
    if not row.elementwise or row.numpy is None or case.params or np.float32 not in row.dtypes:
        return False
    return len(case.make(np.random.default_rng(0), np.dtype(np.float32))) == 1


NAMES = sorted(name for name, row in ROWS.items() if _is_function(row))


def inputs(name: str, dtype: str) -> np.ndarray:
    """Numbers of all sizes at which the function is finite, and its result a normal number or 0."""
    kind = np.finfo(dtype)
    most = 30.0 if name in PERIODIC else float(kind.max)
    sizes = np.concatenate([np.geomspace(float(kind.smallest_normal), most * 0.99, 250), np.linspace(0.25, 9, 200)])
    x = np.concatenate([-sizes, [0.0], sizes]).astype(dtype)
    want = oracle(name, x)
    with np.errstate(invalid="ignore"):
        size = np.abs(want)
        return x[(size <= float(kind.max)) & ((size >= float(kind.smallest_normal)) | (want == 0))]


def oracle(name: str, x: np.ndarray) -> np.ndarray:
    row = ROWS[name]
    assert row.numpy is not None
    with np.errstate(all="ignore"):
        return np.asarray(row.numpy(x.astype(np.float64)), np.float64)


def check(names: Sequence[str], dtype: str, results: Results) -> None:
    """Holds the results of a format's program, a function of it for each name, to BOUNDS."""
    given = {name: inputs(name, dtype) for name in names}
    bound = lambda name: lambda x: REGISTRY[name].bind(x)  # noqa: E731
    got = results({name: (bound(name), (x,)) for name, x in given.items()})
    off = {name: worst(name, x, got[name][0]) for name, x in given.items()}
    assert len(off) > 25 and not {n: o for n, o in off.items() if o[0] > BOUNDS[dtype]}


def worst(name: str, x: np.ndarray, got: np.ndarray) -> tuple[float, float]:
    """(eps that an element is off by, the element at which it is most)."""
    assert got.shape == x.shape
    want = oracle(name, x)
    size = np.maximum(np.abs(want), float(np.finfo(x.dtype).smallest_normal))
    off = np.nan_to_num(np.abs(got.astype(np.float64) - want) / size / float(np.finfo(x.dtype).eps), nan=np.inf)
    at = int(off.argmax())
    return float(off[at]), float(x[at])

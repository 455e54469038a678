"""Legalization: the generated table is current, and rules keep values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.errors import RefusedError
from anejax.lower.to_mil import lower
from anejax.mil.text import to_text
from anejax.mil.verify import verify
from anejax.passes.legalize.table import markdown
from anejax.passes.pipeline import optimize
from anejax.runtime import library
from tests.golden.test_golden import run_on_cpu
from tests.mil.witness import witness

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def test_table_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "legalization.md"
    assert page.read_text() == markdown(), "run `python -m anejax.passes.legalize > docs/legalization.md`"


CONV: dict[str, Any] = {
    "strided": dict(window_strides=(2, 1), padding=[(1, 1), (0, 2)]),
    "dilated kernel": dict(window_strides=(1, 1), padding="SAME", rhs_dilation=(2, 3)),
    "dilated input": dict(window_strides=(1, 2), padding=[(2, 1), (-1, 3)], lhs_dilation=(2, 1)),
    "groups": dict(window_strides=(1, 1), padding="VALID", feature_group_count=2),
}


def conv(name: str) -> Any:
    features = 2 if name == "groups" else 4
    kernel = normal(6, features, 3, 2)
    return lambda x, w: lax.conv_general_dilated(x, w, **CONV[name]), (normal(2, 4, 7, 8), kernel)


def conv_gradients(name: str) -> Any:
    function, args = conv(name)
    return aj.grad(lambda x, w: jnp.sum(function(x, w) ** 2), argnums=(0, 1)), args


def window(computation: Any, init: float, **kwargs: Any) -> Any:
    return lambda x: lax.reduce_window(x, init, computation, **kwargs)


OVERLAPPING = dict(
    window_dimensions=(1, 1, 3, 3), window_strides=(1, 1, 2, 2), padding=((0, 0), (0, 0), (1, 1), (0, 1))
)

CASES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    **{f"conv {n}": conv(n) for n in CONV},
    **{f"conv {n} gradients": conv_gradients(n) for n in CONV},
    "nhwc": (lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")),
             (normal(2, 5, 6, 3), normal(3, 3, 3, 4))),
    "max pooling": (window(lax.max, -np.inf, **OVERLAPPING), (normal(2, 3, 7, 8),)),
    "average": (window(lax.add, 0.0, **OVERLAPPING), (normal(2, 3, 7, 8),)),
    "minimum": (window(lax.min, np.inf, **OVERLAPPING), (normal(2, 3, 7, 8),)),
    "max pooling gradient": (aj.grad(lambda x: jnp.sum(jnp.sin(window(lax.max, -np.inf, **OVERLAPPING)(x)))),
                             (normal(2, 3, 7, 8),)),
    "dot": (lambda x, y: jnp.einsum("bij,kbj->kib", x, y), (normal(2, 3, 5), normal(4, 2, 5))),
    "pad": (lambda x: lax.pad(x, 1.5, ((2, -1, 1), (-1, 0, 2))), (normal(5, 4),)),
    "broadcasts": (lambda x, y: jnp.concatenate([x[:, None] * y, jnp.broadcast_to(y, (3, 4))]), (normal(3), normal(4))),
    "elementwise": (lambda x: jnp.log1p(jnp.exp(-x)) + jnp.expm1(x) + x**5 + lax.integer_pow(x, -2) + jnp.cbrt(x)
                    + jnp.arcsinh(x) + jnp.tan(x) + lax.erfc(x) + jnp.arctan2(x, x + 0.3) + lax.clamp(-0.5, x, 0.5),
                    (normal(4, 5),)),
    "logic": (lambda x: (jnp.where((x > 0) & ~(x > 1) | (x < -1), x, -x), jnp.isfinite(x) ^ (x > 0.5)),
              (normal(4, 5),)),
    "reductions": (lambda x: (jnp.any(x > 1, 0), jnp.all(x > -2, 1), jnp.max(x, 0), jnp.var(x)), (normal(4, 5),)),
}  # fmt: skip


def legal(name: str, target: str) -> Any:
    function, args = CASES[name]
    wrapped = lambda *a: aj.tree.map(lambda y: y.astype(np.float32) if y.dtype == bool else y, function(*a))  # noqa: E731
    return wrapped, args, lower(optimize(aj.make_jaxpr(wrapped)(*args).graph, target), target)


@pytest.mark.parametrize("name", CASES)
def test_coreml_keeps_values(name: str) -> None:
    """Verified, witnessed by coremltools, and run on the CPU device: within 256 eps of the largest element (cbrt, tan
    and their like go through less accurate compositions)."""
    function, args, program = legal(name, "coreml")
    text = to_text(program)
    library.verify(text, "coreml")
    witness(program)
    expected = [np.asarray(v) for v in aj.tree.leaves(function(*args))]
    flat = [np.ascontiguousarray(a) for a in aj.tree.leaves(args)]
    got = run_on_cpu(text, flat, [(e.shape, e.dtype) for e in expected])
    for g, e in zip(got, expected):
        atol = 256 * float(np.finfo(np.float32).eps) * max(1, float(np.abs(e).max(initial=0)))
        np.testing.assert_allclose(g, e, rtol=0, atol=atol)


ENGINE_CASES = [n for n in CASES if n not in ("elementwise", "reductions", "logic")]


@pytest.mark.parametrize("name", ENGINE_CASES)
def test_engine_keeps_values_to_half_precision(name: str) -> None:
    """float16 throughout, products accumulated in float32: within 24 eps of float16 of the largest element."""
    function, args, program = legal(name, "ane")
    verify(program, "ane")
    text = to_text(program)
    library.verify(text, "ane")
    expected = [np.asarray(v) for v in aj.tree.leaves(function(*args))]
    flat = [np.ascontiguousarray(a, np.float16) for a in aj.tree.leaves(args)]
    got = run_on_cpu(text, flat, [(e.shape, np.dtype(np.float16)) for e in expected])
    for g, e in zip(got, expected):
        atol = 24 * float(np.finfo(np.float16).eps) * max(1, float(np.abs(e).max(initial=0)))
        np.testing.assert_allclose(g.astype(np.float32), e, rtol=0, atol=atol)


def test_refusals_say_why() -> None:
    graph = aj.make_jaxpr(lambda x: lax.sort(x))(normal(3)).graph
    with pytest.raises(RefusedError, match=r"sort cannot be had on ane: MIL's sorting operations"):
        optimize(graph, "ane")

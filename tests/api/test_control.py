"""What users get wrong with loops and branches, and what the faces take: types, weak types, keywords, disabled jit."""

# pyright: reportArgumentType=false
from __future__ import annotations

from typing import Any

import jax
import jax.numpy
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import errors, lax

XS = jnp.arange(3.0)
POINTS = np.arange(3, dtype=np.float32) + 0.1


def weak_types(tree: Any, library: Any) -> list[Any]:
    return [(x.dtype.name, x.shape, x.weak_type) for x in library.tree.leaves(tree)]


SAME = {
    "python numbers in the carry": lambda J, L: L.scan(lambda c, x: (c + x, c), 0, J.arange(3.0)),
    "an int carry that becomes float": lambda J, L: L.while_loop(lambda c: c < 9, lambda c: c + J.float32(2.5), 1),
    "for with ints": lambda J, L: L.fori_loop(0, 5, lambda i, x: x + i, 0),
    "for with a traced bound": lambda J, L: L.fori_loop(0, J.int32(5), lambda i, x: x + i, 0),
    "for with no turn": lambda J, L: L.fori_loop(5, 2, lambda i, x: x + 1.0, 3.0),
    "for with negative bounds": lambda J, L: L.fori_loop(-3, 1, lambda i, x: x + i, J.int32(0)),
    "a while of no turn": lambda J, L: L.while_loop(lambda c: c < 0, lambda c: c + 1, 4),
    "scan of no turn": lambda J, L: L.scan(lambda c, x: (c + x.sum(), x * 2), 1.0, J.zeros((0, 3))),
    "scan without a carry": lambda J, L: L.scan(lambda c, x: (c, x + 1), None, J.arange(3)),
    "scan without ys": lambda J, L: L.scan(lambda c, _: (c * 2, None), J.float16(1), length=5),
    "scan over a tree": lambda J, L: L.scan(
        lambda c, x: (c + x["a"].sum() * x["b"], {"n": c}), 0.0, {"a": J.ones((3, 2)), "b": J.arange(3.0)}, reverse=True
    ),
    "branches of weak and strong types": lambda J, L: L.cond(True, lambda: 1.0, lambda: J.float32(2)),
    "weak ints and floats": lambda J, L: L.switch(1, [lambda x: x, lambda x: J.int32(3)], 1),
    "an index past the end": lambda J, L: L.switch(9, [lambda: 1.0, lambda: 2.0, lambda: 3.0]),
    "an index before the start": lambda J, L: L.switch(J.int32(-4), [lambda: 1.0, lambda: 2.0]),
    "a number as pred": lambda J, L: L.cond(2.5, lambda x: x, lambda x: -x, J.arange(2)),
    "branches that forward": lambda J, L: L.cond(
        False, lambda a, b: (a, b), lambda a, b: (b, a), J.ones(2), J.zeros(2)
    ),
    "operand by keyword": lambda J, L: L.cond(True, lambda x: x + 1, lambda x: x, operand=J.ones(2)),
    "booleans and bfloat16": lambda J, L: L.scan(
        lambda c, x: ((~c[0], c[1] * x), c[0] & (x > 0)), (True, J.bfloat16(1)), J.arange(-2, 3).astype(J.bfloat16)
    ),
    "map": lambda J, L: L.map(lambda x: (x["a"] + 1, x["a"] > 1), {"a": J.arange(4)}),
    "map in batches with a rest": lambda J, L: L.map(lambda x: x.sum(), J.arange(14.0).reshape(7, 2), batch_size=3),
    "prefixes": lambda J, L: L.associative_scan(J.maximum, J.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]), axis=1),
    "prefixes of nothing": lambda J, L: L.associative_scan(J.add, J.zeros((0, 2))),
    "suffixes": lambda J, L: L.associative_scan(J.multiply, J.arange(1.0, 8.0), reverse=True),
}


@pytest.mark.parametrize("case", SAME)
@pytest.mark.parametrize("way", ["eager", "jit", "oracle"])
def test_values_and_types_are_jaxs(case: str, way: str) -> None:
    ours = lambda: SAME[case](jnp, lax)  # noqa: E731
    with aj.config.override("eager", "numpy" if way == "oracle" else ""):
        got = (aj.jit(ours) if way == "jit" else ours)()
    expected = SAME[case](jax.numpy, jax.lax)
    assert weak_types(got, aj) == weak_types(expected, jax)
    for g, e in zip(aj.tree.leaves(got), jax.tree.leaves(expected)):
        np.testing.assert_array_equal(np.asarray(g), np.asarray(e))


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "a carry that changes dtype": (
        lambda: lax.scan(lambda c, x: ({"h": c["h"].astype(jnp.float16)}, x), {"h": jnp.zeros(2)}, XS),
        TypeError, r"\[scan\] .* carry\['h'\] comes in as float32\[2\] and goes out as float16\[2\].*astype",
    ),
    "a carry that changes shape": (
        lambda: lax.scan(lambda c, x: (jnp.append(c, x), x), jnp.zeros(2), XS),
        TypeError, r"carry comes in as float32\[2\] and goes out as float32\[3\]",
    ),
    "a carry that changes structure": (
        lambda: lax.scan(lambda c, x: ((c, c), x), 0.0, XS), TypeError, r"\[scan\] .*structure.*carry: expected .*got",
    ),
    "a missing entry": (
        lambda: lax.while_loop(lambda c: c["i"] < 3, lambda c: {"i": c["i"] + 1}, {"i": 0, "x": 1.0}),
        TypeError, r"\[while_loop\].*carry.*missing \['x'\]",
    ),
    "no pair": (lambda: lax.scan(lambda c, x: c, 0.0, XS), TypeError, r"must return a pair \(carry, y\)"),
    "arrays of different lengths": (
        lambda: lax.scan(lambda c, x: (c, x), 0.0, {"a": XS, "b": jnp.ones(4)}),
        ValueError, r"\[scan\].*one length.*xs\['a'\]: 3, xs\['b'\]: 4",
    ),
    "a length that differs": (
        lambda: lax.scan(lambda c, x: (c, x), 0.0, XS, length=4), ValueError, r"xs: 3, length: 4",
    ),
    "nothing that says the length": (lambda: lax.scan(lambda c, x: (c, x), 0.0), ValueError, r"or length"),
    "a scalar to scan over": (
        lambda: lax.scan(lambda c, x: (c, x), 0.0, jnp.float32(1)), ValueError, r"an axis to scan over.*float32\[\]",
    ),
    "no function": (lambda: lax.scan(3, 0.0, XS), TypeError, r"expected a function, got int"),
    "an array as condition": (
        lambda: lax.while_loop(lambda c: c < 3, lambda c: c + 1, jnp.zeros(2)),
        TypeError, r"\[while_loop\].*boolean scalar, got bool\[2\]",
    ),
    "an int as condition": (
        lambda: lax.while_loop(lambda c: 1, lambda c: c, 0), TypeError, r"boolean scalar, got int32\[\]",
    ),
    "bounds of two kinds": (
        lambda: lax.fori_loop(0, 2.5, lambda i, x: x, 0), TypeError, r"one dtype, got int32\[\] and float32\[\]",
    ),
    "a body that changes type": (
        lambda: lax.fori_loop(0, 3, lambda i, x: x.astype(jnp.int8), jnp.int32(0)),
        TypeError, r"\[fori_loop\].*int32\[\].*int8\[\]",
    ),
    "branches of different types": (
        lambda: lax.cond(True, lambda x: x, lambda x: {"y": x.sum()}["y"], XS),
        TypeError, r"\[cond\].*float32\[\] in one and float32\[3\] in the other",
    ),
    "branches of Python numbers of different types": (
        lambda: lax.switch(0, [lambda: 1.5, lambda: 1]), TypeError, r"\[switch\].*float32\[\].*decimal point",
    ),
    "branches of different structures": (
        lambda: lax.cond(True, lambda x: {"a": x}, lambda x: {"b": x}, XS), TypeError, r"\[cond\].*structure.*\['a'\]",
    ),
    "an array as pred": (lambda: lax.cond(XS > 1, lambda: 1, lambda: 2), TypeError, r"rank 0, got bool\[3\].*where"),
    "pred last": (lambda: lax.cond(lambda: 1, lambda: 2, True), TypeError, r"\[cond\]"),
    "a float index": (lambda: lax.switch(1.0, [lambda: 1, lambda: 2]), TypeError, r"\[switch\].*integer scalar"),
    "no branches": (lambda: lax.switch(0, []), ValueError, r"one branch or more"),
    "reverse mode through while": (
        lambda: aj.grad(lambda x: lax.while_loop(lambda c: c < 3, lambda c: c * 2, x))(1.0),
        errors.RefusedError, r"\[while\].*lax.scan, or lax.fori_loop with Python integers",
    ),
    "prefixes of different lengths": (
        lambda: lax.associative_scan(lambda a, b: a, (XS, jnp.ones(4))), ValueError, r"one length along axis 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_named(case: str) -> None:
    run, kind, message = WRONG[case]
    with pytest.raises(kind, match=message):
        run()


def test_python_branches_name_cond() -> None:
    with pytest.raises(errors.TracerBoolConversionError, match=r"lax\.cond"):
        aj.jit(lambda x: 1 if x > 0 else 2)(1.0)


def test_disabled_jit_runs_python() -> None:
    seen: list[float] = []

    def step(c: Any, x: Any) -> Any:
        seen.append(float(x))
        return c + x, c

    with aj.disable_jit():
        total, before = lax.scan(step, 0.0, XS)
        assert lax.cond(total > 2, lambda: "python", lambda: "values") == "python"
        assert lax.while_loop(lambda c: c < 3, lambda c: c + 1, 0) == 3
    assert seen == [0.0, 1.0, 2.0]
    np.testing.assert_array_equal(before, [0, 0, 1])


def test_disabled_jit_runs_what_is_mapped() -> None:
    def halvings(n: Any) -> Any:
        return lax.while_loop(lambda c: c[0] > 1, lambda c: (c[0] // 2, c[1] + 1), (n, 0))[1]

    with aj.disable_jit():
        assert aj.vmap(halvings)(jnp.array([1, 9, 64])).tolist() == [0, 3, 6]


def test_disabled_jit_makes_arrays_of_numbers() -> None:
    with aj.disable_jit():
        assert isinstance(lax.while_loop(lambda x: x < 0, lambda x: x, 1), aj.Array)
        assert isinstance(lax.fori_loop(0, 3, lambda i, x: x, 1.5), aj.Array)


def test_prefixes_are_strongly_typed() -> None:
    assert not lax.associative_scan(jnp.add, jnp.full(3, 0.5)).weak_type


def test_one_trace_and_one_compile_per_function() -> None:
    traced = []

    def step(c: Any, x: Any) -> Any:
        traced.append(1)
        return jnp.sin(c) * x, c

    from anejax.runtime.execute import compile_count

    lax.scan(step, jnp.float32(0.5), XS)
    before, seen = compile_count(), len(traced)
    for i in range(3):
        lax.scan(step, jnp.float32(i), XS * i)
        aj.grad(lambda x: lax.scan(step, x, XS)[0])(jnp.float32(i))
    assert len(traced) == seen
    assert compile_count() <= before + 2  # the forward and backward loops of grad, once


def test_forward_mode_goes_through_while() -> None:
    f = lambda x: lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, jnp.sin(c[1]) * x), (0, x))[1]  # noqa: E731
    theirs = lambda x: jax.lax.while_loop(  # noqa: E731
        lambda c: c[0] < 4, lambda c: (c[0] + 1, jax.numpy.sin(c[1]) * x), (0, x)
    )[1]
    for run, reference in ((aj.jvp, jax.jvp), (aj.jit(lambda *a: aj.jvp(*a), static_argnums=0), jax.jvp)):
        got, expected = run(f, (0.7,), (1.0,)), reference(theirs, (0.7,), (1.0,))
        np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=4e-7)
    np.testing.assert_allclose(aj.vmap(aj.jacfwd(f))(POINTS), jax.vmap(jax.jacfwd(theirs))(POINTS), rtol=1e-6)


def test_examples_of_a_while_end_at_different_times() -> None:
    ours = lambda n: lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 3), (0, 1))  # noqa: E731
    theirs = lambda n: jax.lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 3), (0, 1))  # noqa: E731
    ns = np.array([4, 0, 7, -1])
    for run in (aj.vmap(ours), aj.jit(aj.vmap(ours))):
        for g, e in zip(run(ns), jax.vmap(theirs)(ns)):
            np.testing.assert_array_equal(np.asarray(g), np.asarray(e))


def test_printing_inside_loops(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines come turn by turn, in order, from scans in scans and the branch that ran, in gradients too."""

    def f(xs: Any, y: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            aj.debug.print("turn {}", x)
            lax.scan(lambda d, z: (aj.debug.print("  inner {} {}", z, c), (d, d))[1], 0.0, y)
            lax.cond(x > 1, lambda: aj.debug.print("  big {}", y), lambda: aj.debug.print("  small"))
            return c + x, None

        return lax.scan(step, 0.0, xs, reverse=True)[0]

    expected = (
        "turn 2.0\n  inner 5.0 0.0\n  inner 6.0 0.0\n  big [5. 6.]\n"
        "turn 1.0\n  inner 5.0 2.0\n  inner 6.0 2.0\n  small\n"
        "turn 0.0\n  inner 5.0 3.0\n  inner 6.0 3.0\n  small\n"
    )
    for run in (f, aj.jit(f), aj.grad(f), aj.jit(aj.grad(f))):
        run(XS, jnp.array([5.0, 6.0]))
        assert capsys.readouterr().out == expected
    with pytest.raises(errors.RefusedError, match=r"debug\.print.*while.*lax\.scan"):
        aj.jit(
            lambda: lax.while_loop(lambda c: c < 3, lambda c: (aj.debug.print("{}", c), c + 1)[1], 0)
        ).lower().compile()

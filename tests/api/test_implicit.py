"""custom_linear_solve and custom_root against jax: values and derivatives of both orders, mapped and jitted."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax.errors import RefusedError, ShapeError, TreeError
from tests.answers import of_jax
from tests.generated.libraries import JAX, OURS

RNG = np.random.default_rng(0)
MATRIX = (RNG.standard_normal((3, 3)) + 3 * np.eye(3)).astype(np.float32)
VECTOR = RNG.standard_normal(3).astype(np.float32)


def system(m: Any, has_aux: bool) -> Any:
    """The squared length of the solution, as a function of matrix and right-hand side."""

    def solver(a: Any) -> Any:
        def solve(_: Any, b: Any) -> Any:
            x = m.np.linalg.solve(a, b)
            return (x, m.np.sum(b)) if has_aux else x

        return solve

    def of(a: Any, b: Any) -> Any:
        out = m.lax.custom_linear_solve(
            lambda x: a @ x, b, solver(a), lambda _, ct: solver(a.T)(_, ct), has_aux=has_aux
        )
        return m.np.sum((out[0] if has_aux else out) ** 2)

    return of


def cube_root(m: Any, has_aux: bool) -> Any:
    def solve(f: Any, x: Any) -> Any:
        x = m.lax.fori_loop(0, 20, lambda _, x: x - f(x) / (3 * x * x), x)
        return (x, 7.0) if has_aux else x

    def of(a: Any) -> Any:
        tangent_solve = lambda g, y: y / g(m.np.ones_like(y))  # noqa: E731
        out = m.lax.custom_root(lambda x: x**3 - a, m.np.ones_like(a), solve, tangent_solve, has_aux=has_aux)
        return m.np.sum(out[0] if has_aux else out)

    return of


def compared(ours: Any, theirs: Any) -> None:
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("has_aux", [False, True])
@pytest.mark.parametrize("make, args, mapped", [
    (system, (MATRIX, VECTOR), (0, None)), (cube_root, (np.float32(9),), 0)])  # fmt: skip
def test_derivatives_are_those_of_the_equation(make: Any, args: Any, mapped: Any, has_aux: bool) -> None:
    ours, theirs = make(OURS, has_aux), lambda *args: make(JAX, has_aux)(*args)
    answer = lambda what, *args: of_jax(lambda *args: what(theirs)(*args), *args)  # noqa: E731
    argnums = tuple(range(len(args)))
    many = (np.stack([args[0], 2 * args[0]]), *args[1:])
    compared(aj.value_and_grad(ours, argnums)(*args), answer(lambda f: jax.value_and_grad(f, argnums), *args))
    compared(aj.jit(aj.grad(ours, argnums))(*args), answer(lambda f: jax.grad(f, argnums), *args))
    compared(aj.jvp(ours, args, args), answer(lambda f: lambda *args: jax.jvp(f, args, args), *args))
    compared(aj.hessian(ours)(*args), answer(jax.hessian, *args))
    gradients = aj.vmap(aj.grad(ours), mapped)
    compared((gradients(*many), aj.jit(gradients)(*many)), answer(lambda f: jax.vmap(jax.grad(f), mapped), *many) * 2)


def test_a_mapped_right_hand_side_and_trees() -> None:
    def of(m: Any, b: Any) -> Any:
        matvec = lambda t: {"x": 2 * t["x"], "y": 3 * t["y"]}  # noqa: E731
        solve = lambda _, t: {"x": t["x"] / 2, "y": t["y"] / 3}  # noqa: E731
        return m.lax.custom_linear_solve(matvec, b, solve, symmetric=True)

    b = {"x": np.array([1, 2], np.float32), "y": np.array([[3], [4]], np.float32)}
    compared(aj.vmap(lambda b: of(OURS, b))(b), jax.vmap(lambda b: of(JAX, b))(b))
    loss = lambda m: lambda b: sum((v**2).sum() for v in of(m, b).values())  # noqa: E731
    compared(aj.grad(loss(OURS))(jax.tree.map(jnp.asarray, b)), jax.grad(loss(JAX))(b))


def test_reverse_mode_asks_for_the_transposed_solver() -> None:
    f = lambda b: aj.lax.custom_linear_solve(lambda x: 2 * x, b, lambda _, b: b / 2).sum()  # noqa: E731
    np.testing.assert_array_equal(aj.jvp(f, (VECTOR,), (VECTOR,))[1], f(VECTOR))
    with pytest.raises(RefusedError, match="pass transpose_solve, or symmetric=True"):
        aj.grad(f)(VECTOR)


def test_what_is_returned_must_fit() -> None:
    with pytest.raises(ShapeError, match=r"x comes in as float32\[3\] and goes out as float32\[2\]"):
        aj.lax.custom_linear_solve(lambda x: x[:2], VECTOR, lambda _, b: b)
    with pytest.raises(TreeError, match="must return the structure that it takes"):
        aj.lax.custom_root(lambda x: (x, x), 1.0, lambda f, x: x, lambda g, y: y)
    with pytest.raises(TypeError, match=r"with has_aux=True .* must return \(solution, aux\)"):
        aj.lax.custom_root(lambda x: x, 1.0, lambda f, x: x, lambda g, y: y, has_aux=True)

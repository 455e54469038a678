"""Complex numbers on anejax.numpy and jax.numpy side by side: values, types, derivatives, and jit against eager."""
# ruff: noqa: E501  (tables: one call per line)

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from anejax import dtypes, lax
from anejax.errors import DtypeError, RefusedError
from anejax.passes.complex.rules import RULES
from tests.answers import of_jax
from tests.numpy.compare import assert_close, assert_same_type, check, sample, to

V = sample((5,), "complex64")
M = sample((3, 4), "complex64")
N = sample((4, 3), "complex64", seed=1)
R = sample((3, 4))
I = sample((3, 4), "int32")
SPECIAL = np.array([0, 1 + 2j, np.nan, 1j * np.inf, complex(np.nan, np.inf), -np.inf], np.complex64)

CALLS = {
    "parts": (lambda m, x: [m.real(x), m.imag(x), x.real, x.imag, m.conj(x), x.conj(), m.conjugate(x)], M),
    "parts_of_reals": (lambda m, x, i: [m.real(x), m.imag(x), m.conj(i), m.imag(i), m.real(2), i.imag], R, I),
    "angle": (lambda m, x, r: [m.angle(x), m.angle(x, deg=True), m.angle(r), m.angle(-1)], M, R),
    "tests": (lambda m, x: [m.isnan(x), m.isinf(x), m.isfinite(x), m.isreal(x), m.iscomplex(x)], SPECIAL),
    "obj": (lambda m, x, r: [m.iscomplexobj(x), m.isrealobj(x), m.iscomplexobj(r), m.iscomplexobj(1j), m.isrealobj(1)], M, R),
    "isposinf": (lambda m, x: m.isposinf(x), V),
    "abs": (lambda m, x: [m.abs(x), m.sign(x), abs(x), -x, +x], M),
    "arithmetic": (lambda m, x, y: [x + y, x - y, x * y, x / y, x**2, x**-3, x**y, m.square(x), m.reciprocal(x)], V, sample((5,), "complex64", 3)),
    "scalars": (lambda m, x, r, i: [x * 2, x + 1j, r * 1j, i + 2j, r / 1j, 1j**r, 2.0 * x, x == 1j, i != 1j], M, R, I),
    "weak": (lambda m: [m.asarray(1j), m.asarray(2.0) + 1j, m.asarray(1) * 1j, m.array([1, 2j]), m.float32(1) + 1j],),
    "creation": (lambda m: [m.zeros(2, complex), m.ones((2, 1), "complex64"), m.full(2, 1j), m.array([[1, 2j]]), m.zeros_like(1j), m.eye(2, dtype=complex)],),
    "astype": (lambda m, x, i: [x.astype(bool), i.astype(complex), m.asarray(x, complex)], M, I),
    "asarray_real": (lambda m: m.asarray(1j, "float32"),),
    "promotion": (lambda m: [m.promote_types(a, b) for a in ("bfloat16", "float32", "complex64") for b in ("int8", "float16", "complex64", complex, float)],),
    "result_type": (lambda m: [m.result_type(1j, m.float32), m.result_type(1j, 2), m.result_type("float16", 1j)],),
    "sum": (lambda m, x: [m.sum(x), m.mean(x, 0), m.var(x), m.std(x, 1), m.prod(x, 1), m.cumsum(x, 1), m.nansum(x)], M),
    "cumprod": (lambda m, x: [m.cumprod(x), m.cumprod(m.reshape(x, (1, -1)), 0), m.prod(x[:0])], V),
    "matmul": (lambda m, x, y: [x @ y, m.vdot(x, x), m.einsum("ij,jk->ik", x, y), m.tensordot(x, y, 1), m.outer(x, y)], M, N),
    "mixed_matmul": (lambda m, x, r: [x @ r.T, m.dot(r, x.T)], M, R),
    "shape": (lambda m, x: [x.T, x.reshape(2, 6), m.concatenate([x, x]), x[1:, ::2], m.flip(x), m.roll(x, 1), m.pad(x, 1), m.tile(x, 2)], M),
    "index": (lambda m, x, i: [x[m.abs(i) % 3], x.at[0].set(1j), x.at[1].add(x[0]), m.take(x, i, mode="clip"), m.where(i > 0, x, 1j)], M, I),
    "take_fill": (lambda m, x: x.at[m.asarray([0, 9])].get(mode="fill"), V),
    "compare": (lambda m, x: [x < x[::-1], x >= x[0], x == x, m.equal(x, x[::-1]), m.isclose(x, x + 1e-9)], V),
    "sort": (lambda m, x: [m.sort(x), m.argsort(x), m.sort_complex(x), m.sort_complex(m.real(x))], np.round(V)),
    "nan_to_num": (lambda m, x: m.nan_to_num(x), SPECIAL),
    "round": (lambda m, x: [m.round(x, 1), m.rint(x)], V),
    "refused": (lambda m, x: m.floor(x), V), "refused_mod": (lambda m, x: x % 2, V), "refused_div": (lambda m, x: x // 2, V),
    "refused_atan": (lambda m, x: m.cbrt(x), V), "refused_bits": (lambda m, x: x | x, V), "refused_hypot": (lambda m, x: m.hypot(x, x), V),
    "log": (lambda m, x: [m.log2(x), m.log10(x), m.sinc(x), m.exp2(x)], V),
    "unique": (lambda m, x: m.unique(x), np.round(V / 4)),
    "unwrap": (lambda m, x: m.unwrap(m.angle(x)), V),
    "cov": (lambda m, x: m.cov(x), M),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    f, *args = CALLS[name]
    check(f, *args, ulps=16, scale=8.0)


FUNCTIONS = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "arcsin",
    "arccos",
    "arctan",
    "arcsinh",
    "arccosh",
    "arctanh",
]
GRID = np.array([0, 1, -1, 0.5, -2, 1e-3, -1e-3, 30, -30, 1e4, 2.5], np.float32)


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("name", [*FUNCTIONS, "abs", "sign", "square", "reciprocal"])
def test_elementary_functions_are_near_double_precision(name: str, jitted: bool) -> None:
    """Over fourteen orders of magnitude, on the axes and beside them: branch cuts, poles and overflow included."""
    z = (GRID[:, None] + 1j * GRID[None, :]).astype(np.complex64).ravel()
    function = getattr(anp, name)
    got = np.asarray((aj.jit(function) if jitted else function)(z))
    with np.errstate(all="ignore"):
        want = getattr(np, name)(z.astype(np.complex128)).astype(got.dtype)
    finite = np.isfinite(want)
    np.testing.assert_array_equal(np.isfinite(got), finite)
    assert_close(got[finite], want[finite], ulps=8)


def test_signed_zeros_choose_the_side_of_a_branch_cut() -> None:
    z = np.array([complex(-4, 0.0), complex(-4, -0.0)], np.complex64)
    for function in (anp.sqrt, aj.jit(anp.sqrt)):
        np.testing.assert_array_equal(function(z), np.array([2j, -2j], np.complex64))
    for function in (anp.log, aj.jit(anp.log)):
        assert_close(function(z), np.log(z), ulps=2)


# --- derivatives --------------------------------------------------------------------------------------------------

LOSSES = {
    "abs2": lambda m, z: (m.abs(z) ** 2).sum(),
    "imag_of_product": lambda m, z: (z * z * z.conj()).imag.sum(),
    "division": lambda m, z: m.abs((z + 1) / (z - 3j)).sum(),
    "powers": lambda m, z: m.real(z**3 + z**-2 + z**z + z ** (1 + 2j)).sum(),
    "mixed": lambda m, z: m.abs(m.real(z) * m.exp(1j * m.imag(z))).sum() + m.angle(z).sum(),
    "matmul": lambda m, z: m.abs(m.outer(z, z) @ m.conj(z)).sum(),
    "reductions": lambda m, z: m.abs(m.prod(z)) + m.cumprod(z).real.sum() + m.std(z) + m.cumsum(z)[2].imag,
    "index": lambda m, z: m.abs(z[m.asarray([0, 2, 2])] * z.at[1].multiply(2j)[:3]).sum(),
    "where": lambda m, z: m.where(z.real > 0, z * z, z.conj()).imag.sum(),
    "sorted": lambda m, z: (m.sort(z) * m.arange(5)).real.sum(),
    "convert": lambda m, z: (z.real.astype(complex) * z).real.sum(),
    "functions": lambda m, z: sum(m.real(getattr(m, f)(z * 0.3)).sum() for f in FUNCTIONS),
    "fft": lambda m, z: m.abs(m.fft.fft(z) * m.fft.ifft(z, norm="ortho")).sum(),
    "irfft": lambda m, z: (m.fft.irfft(z) ** 3).sum() + (m.fft.irfft(z, 7) ** 2).sum() + m.fft.hfft(z)[1],
    "rfft": lambda m, z: m.abs(m.fft.rfft(z.real)).sum() + m.abs(m.fft.rfft2(m.outer(z.real, z.imag))).sum(),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_real_losses(name: str) -> None:
    loss, z = LOSSES[name], V / 2
    (want,) = of_jax(lambda z: jax.grad(lambda x: loss(jnp, x))(z), z)
    got = aj.grad(lambda x: loss(anp, x))(z)
    assert_same_type(got, want)
    scale = float(np.abs(np.asarray(want)).max())
    assert_close(got, want, ulps=64, scale=scale)
    assert_close(aj.jit(aj.grad(lambda x: loss(anp, x)))(z), got, ulps=64, scale=scale)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_holomorphic_derivatives(name: str) -> None:
    z = V * 0.4
    ours = lambda z: getattr(anp, name)(z)  # noqa: E731
    want = np.asarray(of_jax(lambda z: jax.jacfwd(lambda z: getattr(jnp, name)(z), holomorphic=True)(z), z)[0])
    scale = float(np.abs(want).max())
    for jacobian in (aj.jacfwd(ours, holomorphic=True), aj.jacrev(ours, holomorphic=True)):
        assert_close(jacobian(z), want, ulps=16, scale=scale)
    one = aj.grad(ours, holomorphic=True)(anp.asarray(z[0]))
    assert_close(one, np.asarray(want)[0, 0], ulps=16, scale=scale)


def test_hessian_of_a_holomorphic_function() -> None:
    f = lambda m: lambda z: m.sum(z**3) * z[0]  # noqa: E731
    assert_close(
        aj.hessian(f(anp), holomorphic=True)(V),
        of_jax(lambda: jax.hessian(f(jnp), holomorphic=True)(V))[0],
        ulps=16,
        scale=100,
    )


ERRORS = {
    "complex_value": (lambda g: g.grad(lambda z: z * z)(1j), "abs"),
    "real_input": (lambda g: g.grad(lambda z: z * z, holomorphic=True)(1.0), "complex inputs"),
    "real_output": (lambda g: g.grad(lambda z: z.real, holomorphic=True)(V[0]), "return complex"),
    "jacfwd_input": (lambda g: g.jacfwd(lambda z: z.real)(V), "holomorphic"),
    "jacfwd_output": (lambda g: g.jacfwd(lambda z: z.real, holomorphic=True)(V), "return complex"),
    "jacrev_output": (lambda g: g.jacrev(lambda z: z * 1j)(V), "holomorphic"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_of_the_kind_of_jax(name: str) -> None:
    call, words = ERRORS[name]
    with pytest.raises(TypeError):
        call(jax)
    with pytest.raises(DtypeError, match=words):
        call(aj)


def test_cotangents_keep_their_type() -> None:
    out, back = aj.vjp(lambda x: anp.exp(1j * x), anp.float32(0.5))
    theirs, back_theirs = jax.vjp(lambda x: jnp.exp(1j * x), jnp.float32(0.5))
    assert_close(out, theirs)
    (got,), (want,) = back(anp.asarray(1 + 2j, "complex64")), back_theirs(jnp.asarray(1 + 2j, "complex64"))
    assert_same_type(got, want)
    assert_close(got, want, ulps=8)


# --- transformations and devices ----------------------------------------------------------------------------------


def test_vmap() -> None:
    f = lambda z, w: anp.abs(anp.fft.fft(z) @ w)  # noqa: E731
    got = aj.vmap(f, in_axes=(0, 1))(M, N)
    assert_close(got, np.stack([np.asarray(f(a, b)) for a, b in zip(M, N.T)]), ulps=8)


def test_control_flow_carries_complex_numbers() -> None:
    def loss(m, control, z):
        carry, ys = control.scan(lambda c, x: (c * x, c + x), 1j * z[0], z)
        grown = control.cond(carry.real > 0, lambda c: c * 2, lambda c: c.conj(), carry)
        return m.abs(grown) ** 2 + ys.real.sum()

    ours = lambda z: loss(anp, lax, z)  # noqa: E731
    (want,) = of_jax(lambda: jax.grad(lambda z: loss(jnp, jax.lax, z))(V))
    scale = float(np.abs(want).max())
    for grad in (aj.grad(ours), aj.jit(aj.grad(ours))):
        assert_close(grad(V), want, ulps=16, scale=scale)
    spin = aj.jit(lambda z: lax.while_loop(lambda c: anp.abs(c) < 10, lambda c: c * (1 + 1j), z))
    assert complex(spin(anp.asarray(1 + 1j, "complex64"))) == 8 - 8j


def test_programs_share_memory_with_complex_arrays() -> None:
    z = anp.asarray(M)
    same, product = aj.jit(lambda z: (z, z * 1j))(z)
    assert same is not z and same.pointer == z.pointer
    np.testing.assert_array_equal(product, M * np.complex64(1j))
    z.delete()  # an argument that is a result comes back as another Array, as in jax
    np.testing.assert_array_equal(same, M)
    z = same
    donated = aj.jit(lambda z: z + 1, donate_argnums=0)
    first = donated(z * 1)
    address = first.pointer
    second = donated(first)
    assert first.is_deleted() and second.pointer == address
    np.testing.assert_array_equal(second, M + 2)
    text = aj.jit(lambda z: z * 2).lower(z).as_text()
    assert "tensor<fp32, [3, 4, 2]> a0" in text and "complex" not in text


def test_graphs_without_complex_values_are_left_as_they_are() -> None:
    from anejax.passes.complex import split_complex

    graph = aj.make_jaxpr(anp.sin)(1.0).graph
    assert split_complex(graph) is graph
    assert "c64[2]" in str(aj.make_jaxpr(lambda z: z * 1j)(anp.zeros(2, complex)))


def test_what_has_no_compiled_form_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RULES, "cumprod")
    with pytest.raises(RefusedError, match=r"\[cumprod\] .*complex64\[2\].*imaginary"):
        aj.jit(lambda z: lax.cumprod(z, 0))(anp.zeros((2,), complex))


def test_double_precision() -> None:
    with aj.enable_x64():
        z = anp.asarray(sample((6,), "complex128"))
        assert z.dtype == dtypes.complex128 and (anp.float64(1) + 1j).dtype == dtypes.complex128
        got = aj.jit(lambda z: anp.exp(z) / anp.sqrt(z))(z)
        host = np.asarray(z)
        assert_close(got, np.exp(host) / np.sqrt(host), ulps=8)
    assert anp.asarray(host).dtype == dtypes.complex64


def test_conversions_to_real_numbers_take_the_real_part() -> None:
    for dtype in (np.float32, np.int32, np.bool_):
        want = M != 0 if dtype is np.bool_ else M.real.astype(dtype)
        for convert in (lax.convert_element_type, aj.jit(lax.convert_element_type, static_argnums=1)):
            np.testing.assert_array_equal(convert(anp.asarray(M), dtype), want)
    back = aj.grad(lambda z: lax.convert_element_type(z * 1j, np.float32).sum())(V)
    assert_close(back, jax.grad(lambda z: (z * 1j).real.sum())(V))


def test_real_if_close() -> None:
    near = anp.asarray(np.array([1 + 1e-7j, 2], np.complex64))
    assert anp.real_if_close(near).dtype == np.float32 and anp.real_if_close(near, 1e-8).dtype == np.complex64
    assert anp.real_if_close(anp.asarray(V)).dtype == np.complex64 and anp.real_if_close(R).dtype == np.float32


def test_faces_of_lax() -> None:
    z = lax.complex(R, 2.0)
    np.testing.assert_array_equal(z, R + np.complex64(2j))
    np.testing.assert_array_equal(lax.imag(lax.conj(z)), np.full_like(R, -2))
    assert_close(lax.conj(R), jax.lax.conj(R))
    with pytest.raises(DtypeError, match=r"\[complex\] expected equal dtypes"):
        lax.complex(R, I)
    with pytest.raises(DtypeError, match=r"\[real\] expected a complex array, got float32"):
        lax.real(R)
    assert [to(anp, x).dtype for x in (V, R)] == [np.complex64, np.float32]

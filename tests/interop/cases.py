"""Functions of jax that between them use every primitive which anejax.interop has a rule for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.extend.random
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name


class Case(NamedTuple):
    name: str
    fun: Callable[..., Any]
    args: tuple[Any, ...]


def array(*shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return np.random.default_rng(len(shape) + sum(shape)).uniform(low, high, shape).astype(np.float32)


X, Y, P = array(3, 5), array(3, 5, low=-1), array(3, 5, low=0.2, high=0.9)
I, U = np.arange(-7, 8, dtype=np.int32).reshape(3, 5), np.arange(1, 16, dtype=np.uint32).reshape(3, 5)
Z = X + 1j * Y
IMAGE, KERNEL = array(2, 3, 7, 5), array(4, 3, 3, 2)
SQUARE = array(4, 4) + 4 * np.eye(4, dtype=np.float32)
POSITIVE = (SQUARE @ SQUARE.T).astype(np.float32)
KEY = jax.random.key(3)

_UNARY = {
    "abs": X, "acos": P, "acosh": P + 1, "asin": P, "asinh": X, "atan": X, "atanh": P, "bessel_i0e": X, "bessel_i1e": X,
    "cbrt": P, "ceil": X, "clz": U, "cos": X, "cosh": X, "digamma": P, "erf": X, "erf_inv": P, "erfc": X, "exp": X,
    "exp2": X, "expm1": X, "floor": X, "is_finite": X, "lgamma": P, "log": P, "log1p": P, "logistic": X, "neg": X,
    "population_count": U, "rsqrt": P, "sign": X, "sin": X, "sinh": X, "sqrt": P, "square": X, "tan": X, "tanh": X,
    "bitwise_not": I, "conj": Z, "imag": Z, "real": Z, "stop_gradient": X,
}  # fmt: skip
_BINARY = {
    "add": (X, Y), "atan2": (X, Y), "bitwise_and": (I, I + 3), "bitwise_or": (I, I + 3), "bitwise_xor": (I, I + 3),
    "complex": (X, Y), "div": (X, P), "eq": (I, I[::-1]), "ge": (X, Y), "gt": (X, Y), "igamma": (P, P + 1),
    "igammac": (P, P + 1), "le": (X, Y), "lt": (X, Y), "max": (X, Y), "min": (X, Y), "mul": (X, Y), "ne": (I, I[::-1]),
    "nextafter": (X, Y), "polygamma": (np.ones_like(P), P), "pow": (P, Y), "rem": (X, P), "shift_left": (U, U % 5),
    "shift_right_arithmetic": (I, abs(I) % 5), "shift_right_logical": (U, U % 5), "sub": (X, Y), "zeta": (P + 2, P),
    "mulhi": (U * 2**27, U * 2**27),
}  # fmt: skip


def _elementwise() -> Iterator[Case]:
    for name, x in _UNARY.items():
        yield Case(name, getattr(lax, name), (x,))
    for name, pair in _BINARY.items():
        yield Case(name, getattr(lax, name), pair)
    yield Case("stretched", lambda x, y: (x * y[:, :1], lax.max(x, y[:1]), x[0] ** y[0, :1]), (P, Y))
    yield Case("betainc", lax.betainc, (P, P + 1, P))
    yield Case("clamp", lambda x: lax.clamp(-0.5, x, 0.5), (X,))
    yield Case("select_n", lambda p, x, y: lax.select_n(p, x, y), (X > 0, X, Y))
    yield Case("integer_pow", lambda x: x**3 + x**-2, (P,))
    yield Case("pow of integers", lambda x, y: lax.pow(x, y), (P, I))
    yield Case("convert", lambda x: x.astype(jnp.int32) + x.astype(jnp.bfloat16).astype(jnp.int32), (10 * X,))
    yield Case("bitcast", lambda x: lax.bitcast_convert_type(x, jnp.int32), (X,))
    yield Case("round", lambda x: (lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), jnp.round(10 * x, 1)), (2 * X,))
    yield Case("reduce_precision", lambda x: (lax.reduce_precision(x, 5, 10), lax.reduce_precision(x, 8, 7)), (X,))
    yield Case("igamma's derivative", jax.grad(lambda a: lax.igamma(a, P).sum()), (P + 1,))
    yield Case("total order", lambda x: jnp.searchsorted(jnp.sort(x.ravel()), x[0]), (X,))
    yield Case(
        "total order of zeros", lambda x: _to("lt_to")(x, -x), (np.array([0.0, -0.0, 1.0, np.nan, np.inf], np.float32),)
    )
    yield Case("other total orders", lambda x, y: (_to("le_to")(x, y), _to("eq_to")(x, y)), (X, Y))
    yield Case("copies", lambda x: (jnp.copy(x), jax.device_put(x), lax.optimization_barrier(x)), (X,))
    yield Case("checkpoint_name", lambda x: checkpoint_name(x, "x"), (X,))
    yield Case("platforms", lambda x: lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos), (X,))
    polynomial = getattr(lax, "polynomial", None)  # from jax 0.12 on, as the next two
    if polynomial is not None:
        yield Case("polynomial", lambda x: polynomial(x, [1.0, -2.0, 0.5]), (X,))
    for name in ("log2", "one_minus_square"):
        if hasattr(lax, name):
            yield Case(name, getattr(lax, name), (P,))


def _to(name: str) -> Callable[..., Any]:
    from jax._src.lax import lax as internal

    return getattr(internal, f"{name}_p").bind


def _moving() -> Iterator[Case]:
    yield Case(
        "broadcast", lambda x: (jnp.broadcast_to(x, (2, 3, 5)), lax.broadcast_in_dim(x, (3, 2, 5), (0, 2))), (X,)
    )
    yield Case(
        "shapes",
        lambda x: x.reshape(5, 3).T[None].squeeze(0)[::-1] + lax.broadcasted_iota(jnp.float32, (3, 5), 1),
        (X,),
    )
    yield Case("tile", lambda x: (jnp.tile(x, (2, 3)), jnp.concatenate([x, x], 1), jnp.stack([x, x], 1)), (X,))
    yield Case("unstack", lambda x: (jnp.unstack(x), jnp.split(x, [2], 1)), (X,))
    yield Case("pad", lambda x: lax.pad(x, 0.5, ((1, 2, 1), (-1, 0, 2))), (X,))
    yield Case("empty", lambda x: x + 0 * jnp.empty_like(x), (X,))
    yield Case("slice", lambda x: x[1:, ::2], (X,))
    yield Case(
        "dynamic",
        lambda x, i: (lax.dynamic_slice(x, (i, 0), (2, 2)), lax.dynamic_update_slice(x, x[:1, :2], (i, i))),
        (X, np.int32(1)),
    )
    yield Case(
        "gather",
        lambda x, i: (x[i], x[:, i], x.at[i].get(mode="fill", fill_value=7)),
        (X, np.array([0, 2, 2], np.int32)),
    )
    yield Case(
        "scatter",
        lambda x, i: [getattr(x.at[i], how)(0.5) for how in ("set", "add", "max", "min", "multiply")],
        (X, np.array([0, 2], np.int32)),
    )
    yield Case("scatter_sub", lambda x, i: x.at[i].subtract(0.5), (X, np.array([0, 2], np.int32)))
    yield Case("sort", lambda x, y: (jnp.sort(x, 0), lax.sort((x, y), num_keys=1), jnp.argsort(-x, 1)), (X, Y))
    yield Case("top_k", lambda x: (lax.top_k(x, 2), lax.approx_max_k(x, 2), lax.approx_min_k(x, 2)), (X,))
    yield Case("arguments", lambda x: (x.argmax(1), x.argmin(0)), (X,))
    yield Case("reductions", lambda x: (x.sum(0), x.max(1), x.min(), x.prod(1), (x > 0).any(0), (x > 0).all(1)), (X,))
    yield Case("reduce_xor", lambda x: (lax.reduce_xor(x, (0,)), lax.reduce_or(x, (1,)), lax.reduce_and(x, (1,))), (I,))
    yield Case(
        "cumulative",
        lambda x: [
            getattr(lax, f"cum{n}")(x, 1, reverse=r)
            for n in ("sum", "prod", "max", "min", "logsumexp")
            for r in (False, True)
        ],
        (X,),
    )
    yield Case("reduce", lambda x: lax.reduce(x, np.float32(0), lambda a, b: a + b + a * b, (1,)), (P,))
    pool = lambda how, x: lax.reduce_window(x, how[0], how[1], (1, 1, 3, 2), (1, 1, 2, 1), "SAME")  # noqa: E731
    largest, total = (-jnp.inf, lax.max), (0.0, lax.add)
    yield Case("windows", lambda x: [pool(how, x) for how in (largest, total, (jnp.inf, lax.min))], (IMAGE,))
    yield Case("windows of products", lambda x: pool((np.float32(1), lambda a, b: a * b), x), (IMAGE,))
    yield Case("pooling's gradient", jax.grad(lambda x: (pool(largest, x) ** 2).sum()), (IMAGE,))
    yield Case("pooling's tangent", lambda x: jax.jvp(lambda x: pool(largest, x), (x,), (x * x,)), (IMAGE,))


def _linear() -> Iterator[Case]:
    yield Case(
        "products",
        lambda x, y: (x @ y.T, jnp.einsum("ij,ik->jk", x, y), jnp.dot(x, y.T, preferred_element_type=jnp.float32)),
        (X, Y),
    )
    yield Case("batched", lambda x: jnp.matmul(x, jnp.swapaxes(x, -1, -2)), (IMAGE,))
    yield Case("ragged_dot", lambda x, y: lax.ragged_dot(x, y, jnp.array([1, 2])), (X, array(2, 5, 4)))
    yield Case(
        "conv", lambda x, w: lax.conv_general_dilated(x, w, (2, 1), "SAME", rhs_dilation=(1, 2)), (IMAGE, KERNEL)
    )
    numbers = ("NHWC", "HWIO", "NHWC")
    yield Case(
        "conv NHWC",
        lambda x, w: lax.conv_general_dilated(
            x, w, (1, 1), [(1, 0), (2, 1)], (2, 1), dimension_numbers=numbers, feature_group_count=3
        ),
        (IMAGE.transpose(0, 2, 3, 1), array(2, 2, 1, 6)),
    )
    yield Case(
        "conv's gradients", jax.grad(lambda x, w: (lax.conv(x, w, (2, 1), "SAME") ** 2).sum(), (0, 1)), (IMAGE, KERNEL)
    )
    yield Case("fft", lambda x: (jnp.fft.fft(x), jnp.fft.rfft2(x), jnp.fft.irfft(x), jnp.fft.ifftn(x)), (X,))
    yield Case("cholesky", jnp.linalg.cholesky, (POSITIVE,))
    yield Case("solve", jnp.linalg.solve, (SQUARE, array(4, 2)))
    yield Case("lu", jax.scipy.linalg.lu, (SQUARE,))
    yield Case("pivots", lambda p: lax.linalg.lu_pivots_to_permutation(p, 5), (np.array([4, 2, 3], np.int32),))
    yield Case("qr", lambda x: jnp.abs(jnp.linalg.qr(x)[1]), (array(5, 4),))
    yield Case("eigh", lambda x: jnp.linalg.eigh(x)[0], (POSITIVE,))
    yield Case("svd", lambda x: (jnp.linalg.svd(x)[1], jnp.linalg.svd(x, compute_uv=False)), (array(5, 4),))
    yield Case("eig", lambda x: jnp.sort(jnp.abs(jnp.linalg.eigvals(x))), (SQUARE,))
    yield Case("schur", lambda x: jnp.abs(jnp.diagonal(jax.scipy.linalg.schur(x)[0])), (POSITIVE,))
    yield Case(
        "triangular", lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True, trans=1), (SQUARE, array(4, 2))
    )
    yield Case(
        "linear solve", lambda a, b: jax.scipy.sparse.linalg.cg(lambda x: a @ x, b, tol=1e-6)[0], (POSITIVE, array(4))
    )


def _control() -> Iterator[Case]:
    yield Case("jit", jax.jit(lambda x: jnp.where(x > 0, x, 0)), (X,))
    yield Case("remat", jax.checkpoint(lambda x: jnp.sin(x) * x), (X,))
    yield Case("remat's gradient", jax.grad(lambda x: jax.checkpoint(lambda x: (jnp.sin(x) * x).sum())(x)), (X,))
    yield Case(
        "scan", lambda x: lax.scan(lambda c, x: (c * 0.5 + x, (c, x.sum())), X[0], x, reverse=True, unroll=2), (X,)
    )
    yield Case("scan without rows", lambda x: lax.scan(lambda c, _: (c * 0.5, None), x, None, length=3), (X,))
    yield Case(
        "while", lambda x: lax.while_loop(lambda c: c[0] < 5, lambda c: (c[0] + 1, c[1] * x[0]), (0, x[1])), (X,)
    )
    yield Case("cond", lambda x: lax.cond(x[0, 0] > 0, lambda x: x.sum(), lambda x: x.max(), x), (X,))
    yield Case("switch", lambda x, i: lax.switch(i, [jnp.sin, jnp.cos, jnp.tanh], x), (X, np.int32(7)))
    yield Case("printed", _printed, (X,))
    yield Case("custom_vmap", _custom_vmap, (X,))
    yield Case("composite", lambda x: lax.composite(lambda x: jnp.sin(x) + 1, name="mine.sin")(x), (X,))
    yield Case("relu", jax.nn.relu, (X,))
    yield Case("custom_vjp", _doubled, (X,))


def _printed(x: Any) -> Any:
    jax.debug.print("x is {x} and {}", x[0, 0], x=x[1, 0])
    jax.debug.callback(lambda y, name: print(name, y), x[2, 0], name="y")
    return x


@jax.custom_vjp
def _doubled(x: Any) -> Any:
    return jnp.sin(x)


_doubled.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (2 * ct * jnp.cos(x),))


@jax.custom_batching.custom_vmap
def _custom_vmap(x: Any) -> Any:
    return x * 2


_custom_vmap.def_vmap(lambda size, mapped, x: (x * 2, True))


def _random() -> Iterator[Case]:
    words = np.array([3, 4], np.uint32)
    yield Case("seeds", lambda s: (jax.random.key_data(jax.random.key(s)), jax.random.PRNGKey(s)), (np.int32(7),))
    yield Case("raw keys", lambda k: jax.random.uniform(jax.random.split(k)[1], (3,)), (words,))
    yield Case("bits", lambda k: [jax.random.bits(k, (3,), f"uint{n}") for n in (8, 16, 32)], (KEY,))
    yield Case("split", lambda k: jax.random.split(jax.random.fold_in(jax.random.clone(k), 5), (2, 3)), (KEY,))
    yield Case(
        "vmapped keys",
        lambda k: jax.vmap(lambda k: jax.random.normal(jax.random.fold_in(k, 2), (2,)))(jax.random.split(k, 3)),
        (KEY,),
    )
    yield Case(
        "keys that move",
        lambda k: jnp.concatenate(
            [jax.random.split(k, 4)[jnp.array([2, 0])].reshape(1, 2), jax.random.split(k, 2)[None]]
        ),
        (KEY,),
    )
    yield Case(
        "keys in scan",
        lambda k: lax.scan(lambda k, _: (jax.random.split(k)[0], jax.random.normal(k)), k, None, length=3),
        (KEY,),
    )
    yield Case("gamma", lambda k: (jax.random.gamma(k, 2.5), jax.random.loggamma(k, P)), (KEY,))
    yield Case("threefry", lambda k: jax.extend.random.threefry_2x32(k, jnp.arange(4, dtype=jnp.uint32)), (words,))


CASES = [*_elementwise(), *_moving(), *_linear(), *_control(), *_random()]

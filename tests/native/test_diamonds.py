"""Compiled programs in which elementwise values and results of other operations cross, against NumPy in float64. The
planner joins elementwise operations into one pass, and may not join those that wait for each other. Run these tests
after a change of native/src/cpu/plan."""

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax

N = 5
WEIGHTS = np.cos(np.arange(N * N, dtype=np.float64)).reshape(N, N) / 2
KERNEL = np.array([0.25, -0.5, 0.75])
PLACES = np.array([3, 0, 4, 4, 1])


def running(x, step):
    out, carry = [], 0.0
    for value in x:
        carry = step(carry, value)
        out.append(carry)
    return np.array(out)


def updated(x, places, values, add):
    out = x.copy()
    for place, value in zip(places, values, strict=True):
        out[place] = out[place] + value if add else value
    return out


# An operation of a vector that is not elementwise, with its meaning in NumPy.
OTHERS = {
    "matmul": (lambda x: jnp.asarray(WEIGHTS, x.dtype) @ x, lambda x: WEIGHTS @ x),
    "roll": (lambda x: jnp.roll(x, 1), lambda x: np.roll(x, 1)),
    "concatenate": (lambda x: jnp.concatenate([x[-2:], x[:-2]]), lambda x: np.concatenate([x[-2:], x[:-2]])),
    "pad": (lambda x: jnp.pad(x[1:], (0, 1), constant_values=2), lambda x: np.append(x[1:], 2)),
    "rev": (lambda x: x[::-1], lambda x: x[::-1]),
    "cumsum": (jnp.cumsum, np.cumsum),
    "cummax": (lambda x: lax.cummax(x), np.maximum.accumulate),
    "sort": (jnp.sort, np.sort),
    "fft": (lambda x: jnp.fft.fft(x).imag, lambda x: np.fft.fft(x).imag),
    "gather": (lambda x: x[PLACES], lambda x: x[PLACES]),
    "scatter": (lambda x: x.at[PLACES].add(x), lambda x: updated(x, PLACES, x, add=True)),
    "convolve": (
        lambda x: jnp.convolve(x, jnp.asarray(KERNEL, x.dtype), mode="same"),
        lambda x: np.convolve(x, KERNEL, mode="same"),
    ),
    "sum": (lambda x: jnp.broadcast_to(x.sum(), x.shape), lambda x: np.full(N, x.sum())),
    "max": (lambda x: x - x.max(), lambda x: x - x.max()),
    "argmax": (lambda x: x[x.argmax()] + x, lambda x: x[x.argmax()] + x),
    "window": (
        lambda x: lax.reduce_window(x, np.float32(0), lax.add, (3,), (1,), "SAME"),
        lambda x: np.convolve(x, np.ones(3), mode="same"),
    ),
    "scan": (
        lambda x: lax.scan(lambda c, v: (0.5 * c + v,) * 2, jnp.zeros((), x.dtype), x)[1],
        lambda x: running(x, lambda c, v: 0.5 * c + v),
    ),
    "while": (
        lambda x: lax.fori_loop(0, 3, lambda i, v: 0.5 * v + i, x),
        lambda x: 0.125 * x + 2.5,
    ),
    "cond": (lambda x: lax.cond(x[0] < 9, lambda v: v + 1, lambda v: v, x), lambda x: x + 1),
    "dynamic_slice": (
        lambda x: jnp.append(lax.dynamic_slice(x, (jnp.argmin(x) * 0 + 1,), (N - 1,)), 0),
        lambda x: np.append(x[1:], 0),
    ),
    "dynamic_update": (
        lambda x: lax.dynamic_update_slice(x, x[:2], (jnp.argmin(x) * 0 + 3,)),
        lambda x: updated(x, [3, 4], x[:2], add=False),
    ),
}
ELEMENTWISE = {
    "tanh": (jnp.tanh, np.tanh),
    "logistic": (aj.nn.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "exp": (jnp.exp, np.exp),
    "square": (jnp.square, np.square),
    "where": (lambda x: jnp.where(x > 0, x, -2 * x), lambda x: np.where(x > 0, x, -2 * x)),
}


# Up to eight operations of two vectors x and y: p and q are not elementwise, e and f are. The order in which operations
# are written is the order in which the planner sees them.
def crossed(e, f, p, q, x, y):
    a = e(x)
    c = p(a)
    b = f(y)
    d = q(b)
    return d * a + b * c


def both(e, f, p, q, x, y):  # two results, each of which waits for the other's elementwise value
    a, b = e(x), f(y)
    d, c = q(b), p(a)
    return d * a, b - c


def chain(e, f, p, q, x, y):
    a = e(x)
    c = p(a)
    return q(a * c) * f(a) + c - y


def ladder(e, f, p, q, x, y):
    a = e(x)
    c = p(a)
    b = f(y)
    d = q(c * b)
    return d * a + b * c


def nested(e, f, p, q, x, y):
    a = e(x)
    d = q(a)
    b = f(y)
    return p(d * b) * a + q(b)


def three(e, f, p, q, x, y):
    a = e(x)
    c = p(a * y)
    b = f(x)
    return (q(b * y) + c) * a + b * c


FORMS = [crossed, both, chain, ladder, nested, three]


@pytest.mark.parametrize("first", OTHERS)
def test_an_elementwise_value_is_used_beside_what_is_made_of_it(first):
    pairs = list(ELEMENTWISE)

    def programs(which, x, y):  # all in one program: which = 0 computes with this package, 1 with NumPy
        results = {}
        for i, second in enumerate(OTHERS):
            for j, form in enumerate(FORMS):
                e, f = ELEMENTWISE[pairs[(i + j) % 5]][which], ELEMENTWISE[pairs[(2 * i + j + 1) % 5]][which]
                results[second, form.__name__] = form(e, f, OTHERS[first][which], OTHERS[second][which], x, y)
        return list(results.items())

    rng = np.random.default_rng(len(first))
    x, y = rng.normal(size=N).astype(np.float32), rng.normal(size=N).astype(np.float32)
    names = [name for name, _ in programs(1, x.astype(np.float64), y.astype(np.float64))]
    got = aj.jit(lambda x, y: [value for _, value in programs(0, x, y)])(x, y)
    for name, value, (_, want) in zip(names, got, programs(1, x.astype(np.float64), y.astype(np.float64)), strict=True):
        np.testing.assert_allclose(np.asarray(value), want, rtol=2e-4, atol=2e-4, err_msg=f"{first} with {name}")


@pytest.mark.parametrize("n", [1, 7, 64])
def test_a_scan_body_with_two_crossing_products(n):
    rng = np.random.default_rng(n)
    w, x, y = rng.normal(size=(n, n)) / n, rng.normal(size=n), rng.normal(size=n)

    def step(xp, w, logistic, a, b):
        a = xp.tanh(a)
        wa = w @ a
        b = logistic(b)
        wb = w @ b
        return wb * a + b * 0.1, b * wa + a * 0.1

    def run(w, x, y):
        return lax.scan(lambda c, _: (step(jnp, w, aj.nn.sigmoid, *c), None), (x, y), None, length=3)[0]

    got = aj.jit(run)(*(v.astype(np.float32) for v in (w, x, y)))
    for _ in range(3):
        x, y = step(np, w, lambda v: 1 / (1 + np.exp(-v)), x, y)
    np.testing.assert_allclose(np.asarray(got[0]), x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.asarray(got[1]), y, rtol=1e-4, atol=1e-5)


def test_third_derivative_of_a_product():
    # d^3/dx_i dx_j dx_k of x_0 x_1 x_2 is 1 for each order of three different indices, so each sum over j and k is 2.
    def derivative(f):
        return lambda x: aj.grad(lambda x: f(x).sum())(x)

    third = derivative(derivative(derivative(jnp.prod)))
    np.testing.assert_allclose(aj.jit(third)(np.array([0.4, 0.4, 0.2], np.float32)), [2, 2, 2], rtol=1e-6)


def test_branches_with_crossing_products_and_donated_operands_that_they_do_not_read():
    w = np.array([[1.0, 2.0], [3.0, -4.0]])

    def branch(xp, w, x, y):
        a = xp.tanh(x)
        wa = w @ a
        b = xp.exp(y)
        wb = w @ b
        return wb * a + b * wa

    def step(index, x, y, unread):
        v = w.astype(np.float32)
        branches = [lambda x, y, _: branch(jnp, v, x, y), lambda x, y, _: branch(jnp, v, y, x)]
        return lax.switch(index, branches, x, y, unread)

    x, y, unread = np.array([0.5, -1.0]), np.array([0.25, 2.0]), np.zeros(2, np.float32)
    for index, want in enumerate([branch(np, w, x, y), branch(np, w, y, x)]):
        got = aj.jit(step, donate_argnums=(1, 2, 3))(index, *(jnp.asarray(v, "float32") for v in (x, y, unread)))
        np.testing.assert_allclose(np.asarray(got), want, rtol=1e-5)

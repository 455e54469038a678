"""minimize against known minima and SciPy in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import jax.scipy.optimize
import numpy as np
import pytest
import scipy.optimize

import anejax as aj
import anejax.numpy as anp
from anejax.errors import DtypeError, ShapeError
from anejax.scipy.optimize import OptimizeResults, minimize
from anejax.scipy.optimize.line_search import CURVATURE, DECREASE, search
from tests.answers import of_jax
from tests.numpy.compare import assert_close, sample

BFGS, LIMITED = METHODS = ("BFGS", "l-bfgs-experimental-do-not-rely-on-this")


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def matyas(x):
    return 0.26 * (x[0] ** 2 + x[1] ** 2) - 0.48 * x[0] * x[1]


def steep(x):
    return 1e6 * (x**2).sum() + 1e6


def flat(x):
    return ((x - 1) ** 4).sum()


def logarithms(x):
    """Not a number where a first step of length 1 leads."""
    return anp.square(anp.log(x)).sum()


CASES = [(rosenbrock, [-1.2, 1.0], 1), (rosenbrock, [0.0] * 6, 1), (himmelblau, [1.0, 1.0], [3, 2]),
         (matyas, [1.0, -2.0], 0), (steep, [1.0, 2.0, 3.0], 0), (logarithms, [0.1, 0.1], 1),
         (lambda x: (x[0] - 3) ** 2, [100.0], 3)]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("fun", "x0", "minimum"), CASES)
def test_minima(fun, x0, minimum, method):
    with aj.enable_x64(True):
        options = {"ftol": 0.0} if method == LIMITED else {}
        out = aj.jit(lambda x: minimize(fun, x, method=method, options=options))(np.array(x0))
        assert isinstance(out, OptimizeResults)
        assert bool(out.success)
        assert int(out.status) == 0
        np.testing.assert_allclose(out.x, np.broadcast_to(minimum, len(x0)), atol=2e-5)
        np.testing.assert_allclose(out.fun, fun(out.x), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(out.jac, aj.grad(fun)(out.x), rtol=1e-6, atol=1e-9)
        assert np.abs(out.jac).max() < 1e-5
        assert int(out.nit) < int(out.nfev) == int(out.njev) < 3 * int(out.nit) + 12
        theirs = scipy.optimize.minimize(lambda x: float(fun(anp.asarray(x))), x0, jac=aj.grad(fun), method="BFGS")
        assert int(out.nfev) <= 2 * theirs.nfev + 10


@pytest.mark.parametrize("method", METHODS)
def test_single_precision(method):
    for fun, x0, minimum in CASES[:2]:
        out = minimize(fun, np.float32(x0), method=method, tol=1e-3)
        assert bool(out.success)
        np.testing.assert_allclose(out.x, np.broadcast_to(minimum, len(x0)), atol=1e-2)
    weak = minimize(matyas, np.float32([1, 2]), method=method)
    theirs = of_jax(lambda: jax.scipy.optimize.minimize(matyas, jnp.float32([1, 2]), method=method))
    for a, b in zip(aj.tree.leaves(weak), theirs, strict=True):
        assert (a.shape, str(a.dtype)) == (b.shape, str(b.dtype))


def test_inverse_hessian():
    """Of a quadratic function it is exact after n exact searches; the line search here is nearly so."""
    a = np.array([[4.0, 1, 0], [1, 3, 1], [0, 1, 2]])
    with aj.enable_x64(True):
        out = minimize(lambda x: 0.5 * x @ a @ x - x.sum(), np.zeros(3), method=BFGS, options={"gtol": 1e-11})
    np.testing.assert_allclose(out.x, np.linalg.solve(a, np.ones(3)), atol=1e-10)
    np.testing.assert_allclose(out.hess_inv, np.linalg.inv(a), atol=2e-2)
    assert minimize(matyas, np.float32([1, 2]), method=LIMITED).hess_inv is None


@pytest.mark.parametrize("method", METHODS)
def test_vmap_and_arguments(method):
    starts = sample((3, 2))
    of = lambda x, c: ((x - c) ** 2).sum() + ((x - c) ** 4).sum()  # noqa: E731
    centre = np.float32([0.5, -0.25])
    many = aj.jit(aj.vmap(lambda x: minimize(of, x, (centre,), method=method, tol=1e-4).x))(starts)
    assert_close(many, np.stack([centre] * 3), ulps=2**12, scale=1)


def test_why_it_stopped():
    x0 = np.float32([-1.2, 1])
    statuses = {
        (BFGS, "maxiter"): 1, (LIMITED, "maxiter"): 1, (LIMITED, "maxfun"): 2, (LIMITED, "maxgrad"): 3,
    }  # fmt: skip
    for (method, option), status in statuses.items():
        out = minimize(rosenbrock, x0, method=method, options={option: 4})
        assert (bool(out.success), int(out.status)) == (False, status)
        assert float(out.fun) < rosenbrock(x0)
    out = minimize(flat, np.zeros(2, np.float32), method=LIMITED, options={"ftol": 1.0, "gtol": 1e-9})
    assert int(out.status) == 4
    out = minimize(lambda x: x.sum() * np.nan, x0, method=BFGS)
    assert (bool(out.success), int(out.status)) == (False, 5)
    rising = lambda x: (x - 2 * aj.lax.stop_gradient(x)).sum()  # the gradient points the wrong way  # noqa: E731
    assert int(minimize(rising, x0, method=BFGS).status) == 3
    out = minimize(lambda x: (x**2).sum(), np.zeros(2, np.float32), method=BFGS)  # is there already
    assert (bool(out.success), int(out.nit), int(out.nfev)) == (True, 0, 1)
    out = minimize(matyas, x0, method="bfgs", tol=1e3)
    assert int(out.nit) == 0
    out = minimize(matyas, x0, method="bfgs", tol=1e-7, options={"gtol": 1e3, "norm": 2})
    assert int(out.nit) == 0


@pytest.mark.parametrize("first", [1e-3, 1.0, 30.0])
def test_steps_satisfy_the_wolfe_conditions(first):
    for fun, x0, _ in CASES[:4]:
        with aj.enable_x64(True):
            x = anp.array(x0)
            value, gradient = aj.value_and_grad(fun)(x)
            direction = -gradient / anp.linalg.norm(gradient)
            found = search(aj.value_and_grad(fun), x, direction, value, gradient, first, 40)
            slope = float(gradient @ direction)
            step = float(found.point.step)
            assert float(found.point.value) <= float(value) + DECREASE * step * slope
            assert abs(float(found.gradient @ direction)) <= -CURVATURE * slope
            assert step > 0


def test_wrong_calls():
    x0 = np.zeros(2, np.float32)
    with pytest.raises(TypeError, match=r"\[minimize\] expected args to be a tuple, got list"):
        minimize(matyas, x0, [1], method=BFGS)
    with pytest.raises(ValueError, match=r"the method 'BFGS' or .* got 'CG'"):
        minimize(matyas, x0, method="CG")
    with pytest.raises(TypeError, match=r"expected options of .*'gtol'.* got \['what'\]"):
        minimize(matyas, x0, method=BFGS, options={"what": 1})
    with pytest.raises(ShapeError, match="x0 to be a vector"):
        minimize(matyas, np.zeros((2, 2), np.float32), method=BFGS)
    for bad in ("int32", "complex64"):
        with pytest.raises(DtypeError, match="x0 to have floats"):
            minimize(matyas, x0.astype(bad), method=BFGS)

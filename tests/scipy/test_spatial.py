"""Rotations against jax and SciPy in float64."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false, reportAttributeAccessIssue=false

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import jax.scipy.spatial.transform
import numpy as np
import pytest
import scipy.spatial.transform

import anejax as aj
import anejax.numpy as anp
from anejax.errors import RefusedError, ShapeError
from tests.answers import of_jax
from tests.numpy.compare import assert_close, assert_same_type, sample

OURS, JAX, EXACT = (m.spatial.transform.Rotation for m in (aj.scipy, jax.scipy, scipy))
MANY = np.concatenate([sample((9, 4)), np.eye(4, dtype=np.float32), -np.eye(4, dtype=np.float32)[3:]])
VECTORS = np.concatenate([sample((5, 3), low=-1, high=1), np.zeros((1, 3), np.float32), [[1e-4, 0, -2e-4]]]).astype(
    "f4"
)


def pair(quats=MANY):
    return OURS.from_quat(quats), EXACT.from_quat(quats.astype(np.float64))


def assert_same_rotation(ours, exact, ulps=8):
    """q and -q are one rotation."""
    q, want = np.asarray(ours.quat), exact.as_quat()
    sign = np.sign(np.sum(q * want, -1, keepdims=True))
    assert_close((q * sign).astype(q.dtype), want.astype(np.float32), ulps=ulps, scale=1)


@pytest.mark.parametrize("form", ["matrix", "mrp", "rotvec", "quat"])
def test_forms(form):
    ours, exact = pair()
    got, want = (getattr(r, f"as_{form}")() for r in (ours, exact))
    assert_same_type(got, of_jax(lambda q: getattr(JAX.from_quat(jnp.asarray(q)), f"as_{form}")(), MANY)[0])
    assert_close(got, want.astype(np.float32), ulps=16, scale=1)
    back = getattr(OURS, f"from_{form}")
    assert_same_rotation(back(got), exact, ulps=16)
    one = back(np.asarray(got)[3])
    assert one.single
    assert one.quat.shape == (4,)
    assert_same_rotation(aj.jit(lambda x: back(x))(got), exact, ulps=16)
    assert_close(aj.vmap(lambda x: back(x).quat)(got), back(got).quat, ulps=2, scale=1)


def test_rotation_vectors():
    for degrees in (False, True):
        v = VECTORS * (60 if degrees else 1)
        ours, exact = OURS.from_rotvec(v, degrees), EXACT.from_rotvec(v.astype(np.float64), degrees)
        assert_same_rotation(ours, exact)
        assert_close(ours.as_rotvec(degrees), exact.as_rotvec(degrees).astype(np.float32), ulps=16, scale=1)
    tiny = np.float32([1e-6, 2e-6, -3e-6])
    assert_close(OURS.from_rotvec(tiny).as_rotvec(), tiny, ulps=4)


SEQUENCES = ["".join(s) for s in itertools.product("xyz", repeat=3) if s[0] != s[1] != s[2]]


@pytest.mark.parametrize("seq", SEQUENCES + [s.upper() for s in SEQUENCES])
def test_euler_angles(seq):
    angles = sample((6, 3), low=-3, high=3)
    exact = EXACT.from_euler(seq, angles.astype(np.float64))
    assert_same_rotation(OURS.from_euler(seq, angles), exact)
    with aj.enable_x64(True):
        ours = OURS.from_quat(exact.as_quat())
        np.testing.assert_allclose(ours.as_euler(seq), exact.as_euler(seq), atol=1e-12)
        np.testing.assert_allclose(ours.as_euler(seq, degrees=True), exact.as_euler(seq, True), atol=1e-10)


@pytest.mark.filterwarnings("ignore:Gimbal")
def test_degenerate_euler_angles():
    """Of many solutions it is the one whose last angle is 0, as in SciPy."""
    for seq in ("xyz", "XYZ", "zxz", "ZXZ", "yxz", "ZYX"):
        for middle in (0, np.pi) if seq[0] == seq[2] else (np.pi / 2, -np.pi / 2):
            exact = EXACT.from_euler(seq, [0.3, middle, 0.5])
            with aj.enable_x64(True):
                got = OURS.from_quat(exact.as_quat()).as_euler(seq)
            np.testing.assert_allclose(got, exact.as_euler(seq), atol=1e-7)
            assert float(got[2]) == 0


def test_fewer_euler_angles():
    for seq, angles in (("z", 90), ("Y", np.float32([20])), ("xz", np.float32([[10, 20], [30, 40]]))):
        ours = OURS.from_euler(seq, angles, degrees=True)
        (theirs,) = of_jax(lambda seq, a: JAX.from_euler(seq, jnp.asarray(a), degrees=True).quat, seq, angles)
        assert_same_type(ours.quat, theirs)
        assert_close(ours.quat, theirs, ulps=4, scale=1)
    for bad in ("", "xyzx", "xX", "xx", "abc"):
        with pytest.raises(ValueError, match=r"\[from_euler\] expected 1 or 2 or 3 letters"):
            OURS.from_euler(bad, [0.0] * len(bad))
    with pytest.raises(ValueError, match=r"\[as_euler\] expected 3 letters"):
        OURS.identity().as_euler("xy")
    with pytest.raises(ShapeError, match=r"\[from_euler\] expected an array \[..., 2\]"):
        OURS.from_euler("xy", 1.0)


def test_rotations_act():
    a, b = pair()
    c, d = pair(np.roll(MANY, 1, 0))
    assert_same_rotation(a * c, b * d)
    assert_same_rotation(a.inv(), b.inv())
    assert_close(a.magnitude(), b.magnitude().astype(np.float32), ulps=16, scale=1)
    v = sample((3,))
    for inverse in (False, True):
        assert_close(a.apply(v, inverse), b.apply(v.astype(float), inverse).astype(np.float32), ulps=16, scale=8)
        many = sample((len(MANY), 3))
        assert_close(a.apply(many, inverse), b.apply(many.astype(float), inverse).astype("f4"), ulps=16, scale=8)
    assert_close(aj.jit(lambda r, i: r.apply(v, i))(a, True), a.apply(v, True), ulps=4, scale=8)
    for canonical, scalar_first in itertools.product((False, True), repeat=2):
        kwargs = {"canonical": canonical, "scalar_first": scalar_first}
        assert_close(a.as_quat(**kwargs), b.as_quat(**kwargs).astype(np.float32), ulps=4, scale=1)
    assert len(a) == len(MANY)
    assert_same_rotation(a[2:5], b[2:5])
    assert_same_rotation(OURS.concatenate([a, c]), EXACT.concatenate([b, d]))
    assert_close(OURS.identity().quat, np.float32([0, 0, 0, 1]))
    assert OURS.identity(3).quat.shape == (3, 4)
    for weights in (None, sample((9,), low=1, high=3)):
        near = EXACT.from_rotvec(sample((9, 3)) / 8)
        assert_same_rotation(OURS.from_quat(near.as_quat()).mean(weights), near.mean(weights), ulps=32)


def test_wrong_rotations():
    one, many = OURS.identity(), OURS.identity(3)
    for call in (lambda: one[0], lambda: len(one)):
        with pytest.raises(TypeError, match="a single rotation"):
            call()
    with pytest.raises(ShapeError, match="expected 3 weights"):
        many.mean([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"\[from_quat\] expected an array \[..., 4\]"):
        OURS.from_quat(np.zeros(3))
    with pytest.raises(ShapeError, match=r"matrices \[..., 3, 3\]"):
        OURS.from_matrix(np.zeros((2, 3)))
    with pytest.raises(RefusedError, match="from_quat"):
        OURS.random(aj.random.key(0))


def test_derivatives():
    """Those of rotation vectors are right at 0 too, where jax has NaN."""
    weight, v = sample((3, 3)), np.float32([0.3, -0.2, 0.5])
    of = lambda r: lambda v: (r.from_rotvec(v).as_matrix() * weight).sum()  # noqa: E731
    theirs = lambda of: of_jax(lambda v: jax.jit(jax.grad(of(JAX)))(v), v)[0]  # noqa: E731
    assert_close(aj.jit(aj.grad(of(OURS)))(v), theirs(of), ulps=32, scale=4)
    at_zero = aj.grad(of(OURS))(np.zeros(3, np.float32))
    assert_close(at_zero, np.float32([weight[i, j] - weight[j, i] for i, j in ((2, 1), (0, 2), (1, 0))]), ulps=8)
    for x in (v, 0 * v):
        assert_close(aj.jacobian(lambda v: OURS.from_rotvec(v).as_rotvec())(x), np.eye(3, dtype="f4"), ulps=32, scale=1)
    of = lambda r: lambda a: (r.from_euler("xyz", a).as_euler("ZYX") * v).sum()  # noqa: E731
    assert_close(aj.grad(of(OURS))(v), theirs(of), ulps=64, scale=2)


def test_slerp():
    ours, exact = (m.spatial.transform.Slerp for m in (aj.scipy, scipy))
    a, b = pair(MANY[:4])
    times = np.float32([0, 1, 1.5, 4])
    at = np.float32([0, 0.25, 1, 1.2, 3.9, 4])
    slerp, want = ours.init(times, a), exact(times, b)
    assert_same_rotation(slerp(at), want(at), ulps=16)
    assert_same_rotation(aj.jit(lambda s, t: s(t))(slerp, at), want(at), ulps=16)
    theirs = lambda t, q: jax.scipy.spatial.transform.Slerp.init(jnp.asarray(t), JAX.from_quat(jnp.asarray(q)))  # noqa: E731
    assert_same_type(slerp(0.5).quat, of_jax(lambda t, q: theirs(t, q)(0.5).quat, times, MANY[:4])[0])
    assert slerp(0.5).single
    beyond = b[2] * EXACT.from_rotvec((b[2].inv() * b[3]).as_rotvec() * 3.5 / 2.5)  # jax jumps there
    assert_same_rotation(slerp(anp.float32(5)), beyond, ulps=16)
    with pytest.raises(ShapeError, match="expected 4 times"):
        ours.init(times[:3], a)
    with pytest.raises(ShapeError, match="two rotations or more"):
        ours.init(times[:1], a[0])
    with pytest.raises(TypeError, match="expected a Rotation"):
        ours.init(times, MANY)
    with pytest.raises(ShapeError, match="a number or a vector of times"):
        slerp(np.zeros((2, 2)))

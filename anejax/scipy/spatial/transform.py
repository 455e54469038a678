"""Rotations as quaternions (x, y, z, w), and interpolation between two.

Leading axes of a quaternion array index rotations. Methods work on all of them at once.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.core.array import Array
from anejax.errors import RefusedError, ShapeError
from anejax.numpy.operands import as_array, promote_inexact, strong

__all__ = [
    "Rotation", "Slerp"
]  # fmt: skip

__all__ = ["Rotation", "Slerp"]

_SMALL = 1e-6  # squares of angles below which series are exact
_DEGENERATE = 1e-7  # angles within which the outer two of three Euler angles are about one axis, as in SciPy


def _floats(op: str, x: Any, length: int | None) -> Any:
    """``x`` as floats [..., length]."""
    x = strong(as_array(op, promote_inexact(op, jnp.asarray(x))[0]))
    if length is not None and x.shape[-1:] != (length,):
        raise ShapeError(f"[{op}] expected an array [..., {length}], got {x.aval}.")
    return x


# --- quaternions ------------------------------------------------------------------------------------------------------


def _normalized(q: Any) -> Any:
    return q / jnp.linalg.norm(q, axis=-1, keepdims=True)


def _product(p: Any, q: Any) -> Any:
    """Hamilton's product: first the rotation ``q``, then ``p``."""
    px, py, pz, pw = (p[..., i] for i in range(4))
    qx, qy, qz, qw = (q[..., i] for i in range(4))
    parts = [
        pw * qx + px * qw + py * qz - pz * qy,
        pw * qy - px * qz + py * qw + pz * qx,
        pw * qz + px * qy - py * qx + pz * qw,
        pw * qw - px * qx - py * qy - pz * qz,
    ]
    return jnp.stack(parts, -1)


def _about(axis: int, angle: Any) -> Any:
    """The quaternion [..., 4] of a rotation about a coordinate axis."""
    parts = [jnp.zeros_like(angle)] * 4
    parts[axis], parts[3] = jnp.sin(angle / 2), jnp.cos(angle / 2)
    return jnp.stack(parts, -1)


def _of_vector(v: Any) -> Any:
    """The quaternion of a rotation vector; by series near 0, where derivatives would be 0 / 0."""
    square = jnp.sum(v * v, -1, keepdims=True)
    small = square <= _SMALL
    angle = jnp.sqrt(jnp.where(small, 1, square))
    share = jnp.where(small, 0.5 - square / 48 + square**2 / 3840, jnp.sin(angle / 2) / angle)
    real = jnp.where(small, 1 - square / 8 + square**2 / 384, jnp.cos(angle / 2))
    return jnp.concatenate([share * v, real], -1)


def _vector_of(q: Any) -> Any:
    """The rotation vector, of a length of at most pi, of a quaternion; by series near 0."""
    q = jnp.where(q[..., 3:] < 0, -q, q)
    v, w = q[..., :3], q[..., 3:]
    square = jnp.sum(v * v, -1, keepdims=True)
    small = square <= _SMALL * w**2
    size, ratio = jnp.sqrt(jnp.where(small, 1, square)), square / jnp.where(small, w, 1) ** 2
    series = 2 / jnp.where(small, w, 1) * (1 - ratio / 3 + ratio**2 / 5)
    return v * jnp.where(small, series, 2 * jnp.arctan2(size, w) / size)


def _of_matrix(m: Any) -> Any:
    """The quaternion q of a matrix. Row i is 4 q[i] q; the one with the greatest q[i]^2 has the most digits.

    Shepperd 1978, "Quaternion from rotation matrix".
    """
    d = [m[..., i, i] for i in range(3)]
    plus = lambda i, j: m[..., i, j] + m[..., j, i]  # noqa: E731
    minus = lambda i, j: m[..., i, j] - m[..., j, i]  # noqa: E731
    rows = [
        [1 + d[0] - d[1] - d[2], plus(0, 1), plus(0, 2), minus(2, 1)],
        [plus(0, 1), 1 - d[0] + d[1] - d[2], plus(1, 2), minus(0, 2)],
        [plus(0, 2), plus(1, 2), 1 - d[0] - d[1] + d[2], minus(1, 0)],
        [minus(2, 1), minus(0, 2), minus(1, 0), 1 + d[0] + d[1] + d[2]],
    ]
    table = jnp.stack([jnp.stack(row, -1) for row in rows], -2)
    best = jnp.argmax(jnp.stack([rows[i][i] for i in range(4)], -1), -1)
    return _normalized(jnp.take_along_axis(table, best[..., None, None], -2)[..., 0, :])


def _matrix_of(q: Any) -> Any:
    x, y, z, w = (q[..., i] for i in range(4))
    rows = [
        [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w],
    ]
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


# --- Euler angles -----------------------------------------------------------------------------------------------------


def _axes(op: str, seq: str, lengths: Sequence[int]) -> tuple[list[int], bool]:
    """(axes from 0 to 2, whether they turn with the body: capital letters)."""
    known = set(seq) <= set("xyz") or set(seq) <= set("XYZ")
    if not known or len(seq) not in lengths or any(a == b for a, b in itertools.pairwise(seq)):
        count = " or ".join(map(str, lengths))
        raise ValueError(
            f"[{op}] expected {count} letters of 'xyz' (fixed axes) or 'XYZ' (axes that turn), neighbours different,"
            f" got {seq!r}."
        )
    return ["xyz".index(c) for c in seq.lower()], seq.isupper()


def _euler_angles(q: Any, axes: Sequence[int], intrinsic: bool) -> Any:
    """Bernardes and Viollet 2022, "Quaternion to Euler angles conversion: a direct, general and efficient method"."""
    i, j, k = axes[::-1] if intrinsic else axes
    proper = i == k
    k = 3 - i - j if proper else k
    sign = (i - j) * (j - k) * (k - i) // 2
    x, y, z, w = q[..., i], q[..., j], q[..., k] * sign, q[..., 3]
    a, b, c, d = (w, x, y, z) if proper else (w - y, x + z, y + w, z - x)
    middle = 2 * jnp.arctan2(jnp.hypot(c, d), jnp.hypot(a, b))
    total, difference = jnp.arctan2(b, a), jnp.arctan2(d, c)  # halves of the sum and difference of the outer angles
    none, all_ = jnp.abs(middle) <= _DEGENERATE, jnp.abs(middle - np.pi) <= _DEGENERATE
    alone = jnp.where(none, 2 * total, 2 * difference * (1 if intrinsic else -1))  # the first angle; the last is 0
    outer = [total - difference, total + difference]
    first, last = outer[::-1] if intrinsic else outer
    first, last = jnp.where(none | all_, alone, first), jnp.where(none | all_, 0, last)
    if not proper:
        first, last = (first * sign, last) if intrinsic else (first, last * sign)
        middle = middle - np.pi / 2
    angles = jnp.stack([first, middle, last], -1)
    return angles - 2 * np.pi * jnp.round(angles / (2 * np.pi))


# --- classes ----------------------------------------------------------------------------------------------------------


class Rotation(NamedTuple):
    """One rotation or many, a tree of one array: ``quat`` [..., 4].

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> turn = aj.scipy.spatial.transform.Rotation.from_euler("z", 90, degrees=True)
        >>> (turn * turn).apply(jnp.array([1.0, 0.0, 0.0])).round(6)
        Array([-1.,  0.,  0.], dtype=float32)
    """

    quat: Array

    @classmethod
    def concatenate(cls, rotations: Sequence[Rotation]) -> Rotation:
        """Several arrays of rotations joined to one."""
        return cls(jnp.concatenate([r.quat for r in rotations]))

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> Rotation:
        """From ``angles`` [..., n] about n axes of 1 to 3: fixed ones ("xyz"), or ones that turn along ("XYZ")."""
        axes, intrinsic = _axes("from_euler", seq, (1, 2, 3))
        a = _floats("from_euler", jnp.atleast_1d(jnp.asarray(angles)), len(axes))
        a = jnp.deg2rad(a) if degrees else a
        turns = [_about(axis, a[..., i]) for i, axis in enumerate(axes)]
        return cls(functools.reduce(_product, turns if intrinsic else turns[::-1]))

    @classmethod
    def from_matrix(cls, matrix: Any) -> Rotation:
        """From orthogonal matrices [..., 3, 3] of determinant 1."""
        m = _floats("from_matrix", matrix, 3)
        if m.shape[-2:] != (3, 3):
            raise ShapeError(f"[from_matrix] expected matrices [..., 3, 3], got {m.aval}.")
        return cls(_of_matrix(m))

    @classmethod
    def from_mrp(cls, mrp: Any) -> Rotation:
        """From modified Rodrigues parameters [..., 3]: axes times tan(angle / 4)."""
        p = _floats("from_mrp", mrp, 3)
        square = jnp.sum(p * p, -1, keepdims=True)
        return cls(jnp.concatenate([2 * p, 1 - square], -1) / (1 + square))

    @classmethod
    def from_quat(cls, quat: Any) -> Rotation:
        """From quaternions [..., 4], of any length but 0."""
        return cls(_normalized(_floats("from_quat", quat, 4)))

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> Rotation:
        """From rotation vectors [..., 3]: axes times angles."""
        v = _floats("from_rotvec", rotvec, 3)
        return cls(_of_vector(jnp.deg2rad(v) if degrees else v))

    @classmethod
    def identity(cls, num: int | None = None, dtype: Any = float) -> Rotation:
        """The rotation that does nothing, or ``num`` of them."""
        one = jnp.asarray([0.0, 0.0, 0.0, 1.0], dtypes.canonical(dtype))
        return cls(one if num is None else jnp.broadcast_to(one, (num, 4)))

    @classmethod
    def random(cls, random_key: Any, num: int | None = None) -> Rotation:
        """Refused, as in jax."""
        raise RefusedError(
            "[Rotation.random] is not there, as in jax. Write Rotation.from_quat(anejax.random.normal(key, (num, 4))),"
            " whose directions are uniform."
        )

    def __getitem__(self, indexer: Any) -> Rotation:  # type: ignore[override]
        """Some of many rotations."""
        if self.single:
            raise TypeError("[Rotation] a single rotation has no index.")
        return Rotation(self.quat[indexer])

    def __len__(self) -> int:
        """The number of rotations along the first axis."""
        if self.single:
            raise TypeError("[Rotation] a single rotation has no length.")
        return self.quat.shape[0]

    def __mul__(self, other: Rotation) -> Rotation:  # type: ignore[override]
        """First ``other``, then this one; their axes broadcast."""
        return Rotation(_normalized(_product(self.quat, other.quat)))

    def apply(self, vectors: Any, inverse: Any = False) -> Array:
        """``vectors`` [..., 3] rotated, or rotated back if ``inverse`` is true; leading axes broadcast."""
        m = self.as_matrix()
        v = _floats("apply", vectors, 3)
        back = jnp.asarray(inverse)[..., None, None]
        return jnp.squeeze(jnp.where(back, m.mT, m) @ v[..., None], -1)

    def as_euler(self, seq: str, degrees: bool = False) -> Array:
        """Angles [..., 3] from -pi to pi about the axes of ``seq``; see ``from_euler``.

        If the outer two are about one axis, the last is 0.
        """
        axes, intrinsic = _axes("as_euler", seq, (3,))
        angles = _euler_angles(self.quat, axes, intrinsic)
        return jnp.rad2deg(angles) if degrees else angles

    def as_matrix(self) -> Array:
        """Matrices [..., 3, 3]. They multiply vectors from the left."""
        return _matrix_of(self.quat)

    def as_mrp(self) -> Array:
        """Modified Rodrigues parameters [..., 3], of a length of at most 1."""
        q = jnp.where(self.quat[..., 3:] < 0, -self.quat, self.quat)
        return q[..., :3] / (1 + q[..., 3:])

    def as_rotvec(self, degrees: bool = False) -> Array:
        """Rotation vectors [..., 3]: axes times angles of at most pi."""
        v = _vector_of(self.quat)
        return jnp.rad2deg(v) if degrees else v

    def as_quat(self, canonical: bool = False, scalar_first: bool = False) -> Array:
        """Quaternions (x, y, z, w), or (w, x, y, z) when ``scalar_first``.

        q and -q are one rotation; when ``canonical`` it is the one whose first of w, x, y, z that is not 0 is positive.
        """
        q = self.quat
        if canonical:
            x, y, z, w = (q[..., i : i + 1] for i in range(4))
            leading = jnp.where(w != 0, w, jnp.where(x != 0, x, jnp.where(y != 0, y, z)))
            q = jnp.where(leading < 0, -q, q)
        return jnp.roll(q, 1, -1) if scalar_first else q

    def inv(self) -> Rotation:
        """The rotation back."""
        return Rotation(self.quat * jnp.asarray([-1, -1, -1, 1], self.quat.dtype))

    def magnitude(self) -> Array:
        """The angles [...], from 0 to pi."""
        q = self.quat
        return 2 * jnp.arctan2(jnp.linalg.norm(q[..., :3], axis=-1), jnp.abs(q[..., 3]))

    def mean(self, weights: Any = None) -> Rotation:
        """The rotation nearest to all of them [n], in the chordal metric, each counted with its weight.

        Markley et al. 2007, "Averaging quaternions".
        """
        q = self.quat
        w = jnp.ones(len(self), q.dtype) if weights is None else jnp.asarray(weights).astype(q.dtype)
        if w.shape != (len(self),):
            raise ShapeError(f"[mean] expected {len(self)} weights, one for each rotation, got {w.aval}.")
        return Rotation(jnp.linalg.eigh((w[:, None] * q).mT @ q)[1][:, -1])

    @property
    def single(self) -> bool:
        """Whether this is a single rotation, without leading axes."""
        return self.quat.ndim == 1


class Slerp(NamedTuple):
    """Rotations that turn evenly from one to the next, the shortest way. Make it by ``Slerp.init``."""

    times: Array  # [n]
    timedelta: Array  # [n - 1]
    rotations: Rotation  # the first n - 1
    rotvecs: Array  # from each to the next, [n - 1, 3]

    @classmethod
    def init(cls, times: Any, rotations: Rotation) -> Slerp:
        """From two or more ``rotations`` [n] at increasing ``times`` [n].

        Example:
            >>> from anejax.scipy.spatial.transform import Rotation, Slerp
            >>> turns = Slerp.init([0, 2], Rotation.from_euler("z", [[0.0], [90.0]], degrees=True))
            >>> round(float(jnp.rad2deg(turns(1.0).magnitude())), 3)
            45.0
        """
        if not isinstance(rotations, Rotation):
            raise TypeError(f"[Slerp] expected a Rotation, got {type(rotations).__name__}.")
        if rotations.single or len(rotations) < 2:
            raise ShapeError(f"[Slerp] expected two rotations or more, got {rotations.quat.aval}.")
        at = jnp.asarray(times, rotations.quat.dtype)
        if at.shape != (len(rotations),):
            raise ShapeError(f"[Slerp] expected {len(rotations)} times, one for each rotation, got {at.aval}.")
        first, second = Rotation(rotations.quat[:-1]), Rotation(rotations.quat[1:])
        return cls(at, jnp.diff(at), first, (first.inv() * second).as_rotvec())

    def __call__(self, times: Any) -> Rotation:
        """The rotations at ``times``, a number or a vector; before and after all, as the first and last go on."""
        at = jnp.asarray(times, self.times.dtype)
        if at.ndim > 1:
            raise ShapeError(f"[Slerp] expected a number or a vector of times, got {at.aval}.")
        i = jnp.clip(jnp.searchsorted(self.times, at) - 1, 0, self.timedelta.shape[0] - 1)
        share = (at - self.times[i]) / self.timedelta[i]
        return self.rotations[i] * Rotation(_of_vector(self.rotvecs[i] * share[..., None]))

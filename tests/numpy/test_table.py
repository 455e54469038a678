"""Calls of the remaining functions on anejax.numpy and jax.numpy side by side: one line each.

``m`` is the module. Inputs come from a small pool of shapes, since jax compiles each shape anew.
"""
# ruff: noqa: E501  (a table: one call per line)

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from tests.answers import of_jax, types_of_jax
from tests.numpy.compare import assert_close, check, sample, to, tree_leaves

V = sample((5,))
M = sample((3, 4))
M2 = sample((3, 4), seed=1)
T = sample((2, 3, 4))
I = sample((3, 4), "int32", low=-9, high=9)
N = sample((5,), "int32", low=0, high=9)
S = np.sort(sample((6,)))

SHAPING = {
    "reshape": (lambda m, x: m.reshape(x, (4, -1)), M),
    "reshape_order": (lambda m, x: m.reshape(x, (2, 6), order="F"), M),
    "reshape_int": (lambda m, x: m.reshape(x, -1), M),
    "reshape_bad": (lambda m, x: m.reshape(x, (5, 2)), M),
    "reshape_two_unknown": (lambda m, x: m.reshape(x, (-1, -1)), M),
    "ravel": (lambda m, x: [m.ravel(x), m.ravel(x, order="F")], M),
    "squeeze": (lambda m, x: [m.squeeze(x[None, :, :1]), m.squeeze(x[None], 0)], M),
    "squeeze_bad": (lambda m, x: m.squeeze(x, 0), M),
    "expand_dims": (lambda m, x: [m.expand_dims(x, 1), m.expand_dims(x, (0, -1))], M),
    "transpose": (lambda m, x: [m.transpose(x), m.transpose(x, (1, 0, 2)), m.permute_dims(x, (2, 1, 0))], T),
    "transpose_bad": (lambda m, x: m.transpose(x, (0, 0, 1)), T),
    "moveaxis": (lambda m, x: [m.moveaxis(x, 0, -1), m.moveaxis(x, (0, 1), (-1, 0))], T),
    "swapaxes": (lambda m, x: [m.swapaxes(x, 0, 2), m.matrix_transpose(x)], T),
    "rollaxis": (lambda m, x: [m.rollaxis(x, 2), m.rollaxis(x, 0, 2), m.rollaxis(x, 1, 3)], T),
    "atleast": (lambda m, x: [m.atleast_1d(2.0), m.atleast_2d(x), m.atleast_3d(x), *m.atleast_1d(x, 3)], V),
    "broadcast_to": (lambda m, x: m.broadcast_to(x, (3, 5)), V),
    "broadcast_to_bad": (lambda m, x: m.broadcast_to(x, (3, 4)), V),
    "broadcast_arrays": (lambda m, x, y: m.broadcast_arrays(x, y[:, None]), V, V[:2]),
    "broadcast_shapes": (lambda m: m.broadcast_shapes((2, 1), (3,), 1),),
    "concatenate": (lambda m, x, y: [m.concatenate([x, y]), m.concatenate((x, y), axis=-1)], M, I),
    "concatenate_flat": (lambda m, x, y: m.concatenate([x, y], axis=None), M, V),
    "concatenate_dtype": (lambda m, x, y: m.concatenate([x, y], dtype="float16"), M, I),
    "concatenate_array": (lambda m, x: m.concatenate(x), T),
    "concatenate_none": (lambda m: m.concatenate([]),),
    "concatenate_scalars": (lambda m: m.concatenate([m.asarray(1), m.asarray(2)]),),
    "concatenate_shapes": (lambda m, x, y: m.concatenate([x, y], axis=1), M, V),
    "stack": (lambda m, x, y: [m.stack([x, y]), m.stack([x, y], axis=-1), m.stack([1, 2.5])], V, V),
    "stack_bad": (lambda m, x, y: m.stack([x, y]), V, M),
    "vstack": (lambda m, x, y: [m.vstack([x, y]), m.hstack([x, y]), m.dstack([x, y]), m.column_stack([x, y])], V, V),
    "hstack": (lambda m, x, y: [m.vstack([x, y]), m.hstack([x, y]), m.dstack([x, y]), m.column_stack([x, y])], M, I),
    "append": (lambda m, x, y: [m.append(x, y), m.append(x, x, axis=0)], M, V),
    "block": (lambda m, x: m.block([[x, m.zeros((3, 1))], [m.ones((1, 5))]]), M),
    "block_flat": (lambda m, x: [m.block([x, 2.0]), m.block(x)], V),
    "unstack": (lambda m, x: m.unstack(x, axis=1), M),
    "split": (lambda m, x: [*m.split(x, 2, axis=1), *m.split(x, [1, 3], axis=1)], M),
    "split_bad": (lambda m, x: m.split(x, 2), M),
    "array_split": (lambda m, x: m.array_split(x, 3, axis=1), M),
    "vsplit": (lambda m, x: [*m.vsplit(x, 2), *m.hsplit(x, 3), *m.dsplit(x, [1])], T),
    "tile": (lambda m, x: [m.tile(x, 2), m.tile(x, (2, 1)), m.tile(x, (2, 1, 3)), m.tile(x, ())], M),
    "repeat": (lambda m, x: [m.repeat(x, 2), m.repeat(x, 3, axis=1), m.repeat(x, m.asarray([1, 0, 2]), axis=0)], M),
    "repeat_total": (lambda m, x: [m.repeat(x, m.asarray([1, 2, 0]), axis=0, total_repeat_length=n) for n in (2, 3, 5)], M),
    "roll": (lambda m, x: [m.roll(x, 2), m.roll(x, -1, axis=1), m.roll(x, (1, 2), axis=(0, 1)), m.roll(x, 1, (0, 1))], M),
    "flip": (lambda m, x: [m.flip(x), m.flip(x, 1), m.flip(x, (0, 1)), m.flipud(x), m.fliplr(x)], M),
    "rot90": (lambda m, x: [m.rot90(x, k) for k in range(-1, 5)] + [m.rot90(x, axes=(1, 0))], M),
    "resize": (lambda m, x: [m.resize(x, (2, 3)), m.resize(x, (4, 4)), m.resize(x, 3)], M),
    "meshgrid": (lambda m, x, y: [*m.meshgrid(x, y), *m.meshgrid(x, y, indexing="ij"), *m.meshgrid(x, y, sparse=True)], V, S),
    "shape_ndim_size": (lambda m, x: [*m.shape(x), m.ndim(x), m.size(x), m.size(x, 1), m.ndim(3), m.size(2.0)], M),
}  # fmt: skip

CREATION = {
    "zeros": (lambda m: [m.zeros((2, 3)), m.zeros(3, int), m.ones((), "bfloat16"), m.full((2,), 7), m.empty((2,), bool)],),
    "full": (lambda m, x: [m.full((3, 5), x), m.full((2,), 1.5, "int32"), m.full((2,), True)], V),
    "like": (lambda m, x: [m.zeros_like(x), m.ones_like(x, "int8"), m.full_like(x, 2.7), m.full_like(x, 1, shape=(2,))], I),
    "like_scalar": (lambda m: [m.zeros_like(1.0), m.ones_like(2), m.full_like(True, 3), m.full_like(1.5, 2)],),
    "arange": (lambda m: [m.arange(5), m.arange(2, 9, 3), m.arange(5, 0, -2), m.arange(0), m.arange(3.0), m.arange(1, 2, 0.25)],),
    "arange_dtype": (lambda m: [m.arange(5, dtype="float32"), m.arange(3, dtype="uint8"), m.arange(0.5, 3, dtype=int)],),
    "linspace": (lambda m: [m.linspace(0, 1, 5), m.linspace(2, -1, 4, endpoint=False), m.linspace(0, 9, 4, dtype=int)],),
    "linspace_arrays": (lambda m, x: [m.linspace(x, 2.0, 3), m.linspace(x, x + 1, 4, axis=1)], V),
    "linspace_short": (lambda m: [m.linspace(3, 4, 0), m.linspace(3, 4, 1), *m.linspace(0, 1, 3, retstep=True)],),
    "logspace": (lambda m: [m.logspace(0, 2, 4), m.logspace(0, 3, 3, base=2.0)],),
    "geomspace": (lambda m: [m.geomspace(1, 1000, 4), m.geomspace(2.0, 0.5, 3, endpoint=False), m.geomspace(-1, -8, 4)],),
    "eye": (lambda m: [m.eye(3), m.eye(2, 4, k=1), m.eye(4, 2, k=-1, dtype=int), m.identity(2), m.tri(3, 4, -1)],),
    "indices": (lambda m: [m.indices((2, 3)), *m.indices((2, 3), sparse=True)],),
    "array": (lambda m: [m.array([1, 2]), m.array([[1.5, 2], [3, 4]]), m.array([True, 2]), m.array([]), m.array(3, ndmin=2)],),
    "array_nested": (lambda m, x: [m.array([x, x]), m.array([[x[0], 1.0], [2, x[1]]]), m.asarray([m.float16(1), 2])], V),
    "array_dtype": (lambda m: [m.array([1.7, -2.2], int), m.array([200, 1], "uint8"), m.array(2, "bfloat16")],),
    "array_scalars": (lambda m: [m.asarray(1), m.asarray(1.5), m.asarray(True), m.asarray(np.float64(2)), m.asarray(np.int8(3))],),
    "array_ragged": (lambda m: m.array([[1], [2, 3]]),),
    "array_text": (lambda m: m.array("text"),),
    "array_none": (lambda m: m.array(None),),
    "array_big": (lambda m: m.array(2**40),),
    "array_complex": (lambda m: m.zeros(-1),),
    "fromfunction": (lambda m: m.fromfunction(lambda i, j: i + 2 * j, (2, 3), dtype=int),),
    "frombuffer": (lambda m: m.frombuffer(b"\x01\x02\x03\x04", dtype="uint8"),),
    "dtype_functions": (lambda m: [m.float32(1), m.int8([1, 2]), m.bfloat16(2.5), m.bool_(3)],),
    "dtype_overflow": (lambda m: m.uint8(-1),),
    "astype": (lambda m, x: [m.astype(x, "int32"), m.astype(x, bool), m.astype(x, "float16")], M),
    "mgrid": (lambda m: [m.mgrid[0:3, 1:3], *m.ogrid[0:3, 0:2], m.r_[1:4, 0, 9], m.c_[m.arange(3), m.ones(3)]],),
    "copy": (lambda m, x: [m.copy(x), m.array(x, copy=True)], V),
}  # fmt: skip

LINEAR = {
    "matmul": (lambda m, x, y: [m.matmul(x, y.T), x @ y[0], x[0] @ y.T, x[0] @ y[0]], M, M2),
    "matmul_batched": (lambda m, x, y: [x @ y, x[0] @ m.moveaxis(x, 1, 2), x[:, None] @ y[None]], T, sample((2, 4, 3))),
    "matmul_ones": (lambda m, x: [m.ones((1, 3, 2)) @ m.ones((5, 1, 2, 3)), m.ones((2, 1, 3, 1)) @ m.ones((2, 4, 1, 2))], V),
    "matmul_int": (lambda m, x: x @ x.T, I),
    "matmul_bad": (lambda m, x: x @ x, M),
    "matmul_scalar": (lambda m, x: m.matmul(x, 2.0), M),
    "dot": (lambda m, x, y: [m.dot(x, y.T), m.dot(x, y[0]), m.dot(x[0], y[0]), m.dot(2.0, x)], M, M2),
    "dot_high": (lambda m, x, y: m.dot(x, y), T, sample((4, 3))),
    "vdot": (lambda m, x, y: [m.vdot(x, y), m.inner(x, y), m.inner(x, 2.0), m.outer(x, y)], M, M2),
    "tensordot": (lambda m, x, y: [m.tensordot(x, y), m.tensordot(x, y, ((1,), (1,))), m.tensordot(x, y, 0)], M, M2),
    "tensordot_bad": (lambda m, x, y: m.tensordot(x, y, 1), M, M2),
    "vecdot": (lambda m, x, y: [m.vecdot(x, y), m.vecdot(x, y, axis=0), m.matvec(x, y[0]), m.vecmat(y[:, 0], x)], M, M2),
    "kron": (lambda m, x, y: [m.kron(x, y), m.kron(x, y[0])], M, M2),
    "cross": (lambda m, x, y: [m.cross(x, y), m.cross(x[:, :2], y[:, :2]), m.cross(x, y[0])], sample((4, 3)), sample((4, 3), seed=1)),
    "einsum": (lambda m, x, y: [m.einsum("ij,kj->ik", x, y), m.einsum("ij,ij->", x, y), m.einsum("ij->ji", x)], M, M2),
    "einsum_more": (lambda m, x, y: [m.einsum("...ij,kj->...ik", x, y), m.einsum("aij,ij,kj->ka", x, y, y)], T, M),
    "einsum_int": (lambda m, x: [m.einsum("ij,ij->i", x, x), m.einsum("ii", x[:, :3]), m.einsum("ii->i", x[:, :3])], I),
    "einsum_bad": (lambda m, x: m.einsum("ij,jk", x, x), M),
    "einsum_labels": (lambda m, x: m.einsum("ijk->i", x), M),
    "diag": (lambda m, x, y: [m.diag(x), m.diag(x, 1), m.diag(x, -2), m.diag(y), m.diag(y, 1), m.diag(y, -2), m.diagflat(y)], V, M),
    "diagonal": (lambda m, x: [m.diagonal(x), m.diagonal(x, 1, 1, 2), m.diagonal(x, -1, 0, 2), m.diagonal(x, 7)], T),
    "trace": (lambda m, x: [m.trace(x), m.trace(x, 1), m.trace(x, dtype="float16")], M),
    "triangles": (lambda m, x: [m.tril(x), m.triu(x), m.tril(x, -1), m.triu(x, 2)], T),
    "triangle_bad": (lambda m, x: m.tril(x), V),
    "vander": (lambda m, x: [m.vander(x), m.vander(x, 3, increasing=True)], V),
}  # fmt: skip

SELECTION = {
    "where": (lambda m, x: [m.where(x > 0, x, 0), m.where(x > 0, 1, 2.5), m.where(True, x, x[0])], M),
    "where_bad": (lambda m, x: m.where(x > 0, x), M),
    "select": (lambda m, x: [m.select([x > 1, x > 0], [x, -x], 9.0), m.select([x > 0], [1])], M),
    "clip": (lambda m, x: [m.clip(x, -1, 1), m.clip(x, 0), m.clip(x, max=0), m.clip(x, x[0], 2), m.clip(x)], M),
    "choose": (lambda m, x: [m.choose(x, [x, x * 10, x * 100], mode="clip"), m.choose(x, [x, 7], mode="wrap")], N),
    "piecewise": (lambda m, x: [m.piecewise(x, [x < 0, x > 1], [lambda v: -v, 2.0, lambda v: v * v]), m.piecewise(x, [x > 0], [1])], V),
    "take": (lambda m, x: [m.take(x, m.asarray([0, 5, -1])), m.take(x, m.asarray([[1, -9], [8, 0]]), axis=1)], M),
    "take_modes": (lambda m, x: [m.take(x, m.asarray([0, 5, -7]), mode=k) for k in ("clip", "wrap", "fill")], V),
    "take_fill": (lambda m, x: [m.take(x, 9, fill_value=3), m.take(x, m.asarray([7, 0]), axis=0)], I),
    "take_along_axis": (lambda m, x, i: [m.take_along_axis(x, i, axis=1), m.take_along_axis(x, i[:1], 0), m.take_along_axis(x, i[0], None)], M, I % 4),
    "put_along_axis": (lambda m, x, i: m.put_along_axis(x, i, 0.5, axis=1, inplace=False), M, np.argsort(M, 1)),
    "put": (lambda m, x: [m.put(x, m.asarray([0, 3, 99]), m.asarray([7.0, 8.0]), mode=k, inplace=False) for k in (None, "clip", "wrap")], M),
    "place": (lambda m, x: m.place(x, x > 0, m.asarray([1.0, 2.0]), inplace=False), M),
    "fill_diagonal": (lambda m, x: [m.fill_diagonal(x, 9, inplace=False), m.fill_diagonal(x, m.arange(3.0), inplace=False)], M),
    "compress": (lambda m, x: [m.compress(m.asarray([True, False, True]), x, axis=0), m.extract(x > 0, x)], M),
    "compress_size": (lambda m, x: m.compress(m.asarray([True, False, True]), x, axis=0, size=3, fill_value=5), M),
    "unravel_index": (lambda m, i: m.unravel_index(i, (3, 4)), np.array([0, 7, 11, 13, -1, -20])),
    "ravel_multi_index": (lambda m: [m.ravel_multi_index((m.asarray([0, 2]), m.asarray([1, 3])), (3, 4), order=o) for o in "CF"],),
    "index_makers": (lambda m: [*m.diag_indices(3), *m.tril_indices(3), *m.triu_indices(3, 1, 4), *m.ix_(m.arange(2), m.arange(3))],),
    "mask_indices": (lambda m: m.mask_indices(3, m.triu, 1),),
    "delete": (lambda m, x: [m.delete(x, 1), m.delete(x, slice(0, 2), axis=1), m.delete(x, m.asarray([0, -1]), axis=0)], M),
    "insert": (lambda m, x: [m.insert(x, 1, 9.0), m.insert(x, 1, m.arange(3.0), axis=1), m.insert(x, m.asarray([0, 2, 2]), 5, axis=0)], M),
    "insert_column": (lambda m, x: [m.insert(x, 1, m.ones((2, 3)), axis=1), m.insert(x, slice(0, 2), 5, axis=0)], M),
}  # fmt: skip

SORTING = {
    "sort": (lambda m, x: [m.sort(x), m.sort(x, axis=0), m.sort(x, axis=None), m.sort(x, descending=True)], M),
    "sort_special": (lambda m, x: [m.sort(x), m.argsort(x)], np.array([np.nan, 1, -np.inf, -0.0, 0.0, np.inf], np.float32)),
    "argsort": (lambda m, x: [m.argsort(x), m.argsort(x, axis=0), m.argsort(x, axis=None), m.argsort(x, descending=True)], I),
    "partition": (lambda m, x: [m.partition(x, 2)[..., 2], m.sort(m.argpartition(x, 2)[..., :2])], M),
    "lexsort": (lambda m, x: m.lexsort((x[0], x[1])), I),
    "searchsorted": (lambda m, x, v: [m.searchsorted(x, v), m.searchsorted(x, v, side="right"), m.searchsorted(x, 0.5)], S, M),
    "searchsorted_special": (lambda m, x: [m.searchsorted(x, m.asarray([np.nan, np.inf, 1.0]), side=s) for s in ("left", "right")], np.array([1, 2, np.inf, np.nan, np.nan], np.float32)),
    "digitize": (lambda m, v: [m.digitize(v, m.asarray([-1.0, 0.0, 2.0]), right=r) for r in (False, True)] + [m.digitize(v, m.asarray([2.0, 0.0, -1.0]))], M),
    "bincount": (lambda m, x: [m.bincount(x), m.bincount(x, minlength=12), m.bincount(x, length=4), m.bincount(x, m.arange(5.0))], N),
    "histogram": (lambda m, x: [*m.histogram(x), *m.histogram(x, 4, range=(-2, 2)), *m.histogram(x, m.asarray([-1.0, 0, 2]), density=True)], M),
    "histogram2d": (lambda m, x, y: [*m.histogram2d(x, y, 3), m.histogramdd(m.stack([x, y], 1), 2)[0]], M.ravel(), M2.ravel()),
    "unique": (lambda m, x: [m.unique(x), *m.unique(x, True, True, True), m.unique(x, size=4), *m.unique(x, True, True, True, size=20)], I),
    "unique_size": (lambda m, x: [m.unique(x, size=4), *m.unique(x, True, True, True, size=20), m.unique(x, axis=0, size=2)], I),
    "unique_nan": (lambda m, x: [m.unique(x), m.unique(x, equal_nan=False)], np.array([2, np.nan, 1, np.nan, 2], np.float32)),
    "unique_axis": (lambda m, x: [m.unique(x, axis=0), *m.unique(x, True, True, True, axis=1)], np.array([[1, 2, 1], [0, 1, 0], [1, 2, 1]])),
    "unique_fill": (lambda m, x: m.unique(x, size=15, fill_value=-7), I),
    "unique_tuples": (lambda m, x: [*m.unique_all(x), *m.unique_counts(x), *m.unique_inverse(x), m.unique_values(x)], N),
    "sets": (lambda m, x, y: [m.isin(x, y), m.union1d(x, y), m.intersect1d(x, y), m.setdiff1d(x, y), m.setxor1d(x, y)], N, np.array([1, 3, 3, 5, 8])),
    "sets_size": (lambda m, x, y: [m.union1d(x, y, size=9), m.setdiff1d(x, y, size=4, fill_value=-1)], N, np.array([1, 3, 3, 5, 8])),
    "intersect_indices": (lambda m, x, y: m.intersect1d(x, y, return_indices=True), N, np.array([1, 3, 3, 5, 8])),
    "isin_invert": (lambda m, x: [m.isin(x, m.asarray([0, 1]), invert=True), m.isin(x, m.asarray([]))], I),
    "trim_zeros": (lambda m, x: [m.trim_zeros(x), m.trim_zeros(x, "f")], np.array([0, 0, 1, 0, 2, 0])),
}  # fmt: skip

SIGNALS = {
    "convolve": (lambda m, x, y: [m.convolve(a, b, mode=k) for k in ("full", "same", "valid") for a, b in ((x, y), (y, x))], V, S[:4]),
    "correlate": (lambda m, x, y: [m.correlate(a, b, mode=k) for k in ("full", "same", "valid") for a, b in ((x, y), (y, x))], V, S[:4]),
    "convolve_odd": (lambda m, x, y: [m.correlate(a, b, mode=k) for k in ("full", "same", "valid") for a, b in ((x, y), (y, x))], V, S[:3]),
    "interp": (lambda m, x, xp, fp: [m.interp(x, xp, fp), m.interp(x, xp, fp, left=-9, right=9)], M, S, sample((6,), seed=3)),
    "interp_period": (lambda m, x, xp, fp: m.interp(x, xp, fp, period=3.0), M, S, sample((6,), seed=3)),
    "gradient": (lambda m, x: [*m.gradient(x), m.gradient(x, 0.5, axis=0), m.gradient(x, m.asarray([0.0, 1, 3, 4]), axis=1)], M),
    "unwrap": (lambda m, x: [m.unwrap(x * 3), m.unwrap(x, period=2.0, axis=0)], M),
    "cov": (lambda m, x: [m.cov(x), m.cov(x, rowvar=False, ddof=0), m.cov(x[0]), m.cov(x, x[:1]), m.corrcoef(x)], M),
    "cov_weights": (lambda m, x: [m.cov(x, fweights=m.asarray([1, 2, 1, 3])), m.cov(x, aweights=m.asarray([1.0, 2, 1, 3]))], M),
    "windows": (lambda m: [m.hanning(5), m.hamming(5), m.blackman(5), m.bartlett(5), m.kaiser(5, 3.0), m.hanning(1)],),
    "i0": (lambda m, x: m.i0(x), np.array([0, 0.5, -3, 10, 30], np.float32)),
    "polyval": (lambda m, p, x: [m.polyval(p, x), m.polyval(p, 2.0)], V, M),
    "polynomials": (lambda m, p, q: [m.polyadd(p, q), m.polysub(p, q), m.polymul(p, q), m.polyder(p), m.polyder(p, 2), m.polyint(p), m.polyint(p, 2, m.asarray([1.0, 2.0])), *m.polydiv(p, q), m.poly(q)], V, V[:3]),
    "packbits": (lambda m, x: [m.packbits(x), m.packbits(x, axis=1), m.packbits(x, axis=0, bitorder="little")], sample((3, 11), "bool")),
    "unpackbits": (lambda m, x: [m.unpackbits(x), m.unpackbits(x, axis=1, count=11), m.unpackbits(x, axis=0, bitorder="little")], sample((2, 3), "uint8", high=255)),
    "angle": (lambda m, x: [m.angle(x), m.angle(x, deg=True)], M),
    "vectorize": (lambda m, x, y: [m.vectorize(lambda a, b: a * b)(x, y[0]), m.vectorize(lambda a, b: (a * b).sum(), signature="(n),(n)->()")(x, y[:1])], M, M2),
    "apply_along_axis": (lambda m, x: [m.apply_along_axis(lambda r: r.sum(), 1, x), m.apply_along_axis(lambda r: r[::-1] * 2, 1, x), m.apply_along_axis(m.diag, 0, x)], T),
    "apply_over_axes": (lambda m, x: m.apply_over_axes(m.sum, x, (0, 2)), T),
}  # fmt: skip

PADDING = {
    "pad": (lambda m, x: [m.pad(x, 1), m.pad(x, (1, 2)), m.pad(x, ((0, 1), (2, 0)), constant_values=5)], M),
    "pad_values": (lambda m, x: m.pad(x, ((1, 1), (2, 0)), constant_values=((1, 2), (3, 4))), M),
    "pad_edge": (lambda m, x: m.pad(x, ((1, 2), (0, 3)), mode="edge"), M),
    "pad_reflect": (lambda m, x: [m.pad(x, ((1, 2), (3, 0)), mode=k) for k in ("reflect", "symmetric", "wrap")], M),
    "pad_far": (lambda m, x: [m.pad(x, (7, 6), mode=k) for k in ("reflect", "symmetric", "wrap")], V),
    "pad_odd": (lambda m, x: [m.pad(x, (3, 2), mode=k, reflect_type="odd") for k in ("reflect", "symmetric")], V),
    "pad_ramp": (lambda m, x: m.pad(x, ((2, 1), (0, 3)), mode="linear_ramp", end_values=2.0), M),
    "pad_statistics": (lambda m, x: [m.pad(x, ((2, 1), (0, 3)), mode=k) for k in ("mean", "maximum", "minimum", "median")], M),
    "pad_stat_length": (lambda m, x: m.pad(x, ((2, 1), (0, 3)), mode="mean", stat_length=2), M),
    "pad_int": (lambda m, x: [m.pad(x, 2, mode=k) for k in ("edge", "mean", "wrap", "linear_ramp")], I),
    "pad_bad_mode": (lambda m, x: m.pad(x, 1, mode="nothing"), M),
    "pad_negative": (lambda m, x: m.pad(x, -1), M),
}  # fmt: skip

LINALG = {
    "norm": (lambda m, x: [m.linalg.norm(x), m.linalg.norm(x[0]), m.linalg.norm(x, axis=1), m.linalg.norm(x, axis=0, keepdims=True), m.linalg.norm(x, keepdims=True)], M),
    "norm_vector": (lambda m, x: [m.linalg.norm(x, o, axis=1) for o in (0, 1, 2, 3, 0.5, np.inf, -np.inf)], M),
    "norm_matrix": (lambda m, x: [m.linalg.norm(x, o) for o in ("fro", 1, -1, np.inf, -np.inf)], M),
    "norm_bad": (lambda m, x: m.linalg.norm(x, "nothing"), M),
    "norm_axes": (lambda m, x: [m.linalg.norm(x, axis=(0, 2)), m.linalg.norm(x, 1, axis=(2, 0), keepdims=True), m.linalg.matrix_norm(x), m.linalg.vector_norm(x), m.linalg.vector_norm(x, axis=(0, 1), ord=3)], T),
    "matrix_power": (lambda m, x: [m.linalg.matrix_power(x, n) for n in (0, 1, 2, 5)], sample((3, 3))),
    "multi_dot": (lambda m, x, y: [m.linalg.multi_dot([x, y.T, x, y.T]), m.linalg.multi_dot([x[0], y.T, x[:, 0]])], M, M2),
    "linalg_products": (lambda m, x: [m.linalg.diagonal(x, offset=1), m.linalg.trace(x), m.linalg.matrix_transpose(x), m.linalg.matmul(x, m.linalg.matrix_transpose(x))], T),
}  # fmt: skip

HALF = sample((5,), "float16")
PLACES = np.array([4, 2, 3, 1, 2], np.uint8)
REPEATED = np.array([0, 2, 2, -1], np.int32)
FOUND = {  # by generated arguments, each once wrong
    "weak_of_scalars": (lambda m: [m.rad2deg(-2.5), m.deg2rad(0), m.reciprocal(2), m.sinc(2), m.hypot(2, 3.0), m.heaviside(2, 1), m.imag(3), m.rint(0), m.i0(2)],),
    "weak_of_ints": (lambda m, x: [m.lcm(3, m.asarray(False)), m.lcm(3, x), m.gcd(3, 2), m.gradient(x, 0.5), m.gradient(x)], N),
    "bool_operand": (lambda m, h: [m.subtract(h, True), m.subtract(True, 2), m.subtract(h, h > 0)], HALF),
    "bools_subtracted": (lambda m, x: m.subtract(x > 0, x < 0), V),
    "unravel_bytes": (lambda m, p: m.unravel_index(p, (3, 4)), PLACES),
    "ravel_bytes": (lambda m, p: [m.ravel_multi_index((p, p), (5, 6), mode="clip"), m.ravel_multi_index((p - 9, 2 * p), (3, 4), mode="wrap")], PLACES),
    "unique_cut": (lambda m, x: list(m.unique(x, return_counts=True, return_index=True, size=3)), M),
    "sets_of_nothing": (lambda m, x: [m.intersect1d(x[:0], x, size=4), m.setdiff1d(x[:0], x, size=3), m.setxor1d(x[:0], x[:0], size=3), m.intersect1d(-1 - x, -1 - x[:1], size=4)], N),
    "put_clip": (lambda m, x: m.put(x, m.asarray([0, 2, -2]), m.asarray([9.0, 8.0, 7.0]), inplace=False, mode="clip"), M),
    "along_clip": (lambda m, x, i: m.take_along_axis(x, i[None] - 2, 1, mode="clip"), M, REPEATED),
    "along_outside": (lambda m, x, i: m.take_along_axis(x, i[None] - 7, 1), M, REPEATED),
    "diagonal_repeated": (lambda m, x: m.fill_diagonal(x, m.asarray([3.0, 4.0]), inplace=False), M),
    "applied_twice": (lambda m, x, i: [m.asarray(x).at[i].apply(lambda v: v * 2), m.asarray(x).at[1:, m.asarray([0, 0, 3])].apply(m.sin), m.asarray(x).at[m.asarray([5, 7])].apply(m.sin, mode="clip")], M, REPEATED),
    "arange_bool": (lambda m: m.arange(0.5, 3, dtype="bool"),),
    "vander_bytes": (lambda m, x: [m.vander(m.astype(x, "int8")), m.vander(m.astype(x, "uint8"), 2)], N),
    "angles": (lambda m, h: [m.angle(h), m.angle(h[0]), m.angle(3), m.angle(m.astype(h, "int8"))], HALF),
    "convolved_ints": (lambda m, x: [m.convolve(x, x[:3]), m.correlate(x, x[:3]), m.convolve(x > 2, x > 3)], N),
    "quantile_of_halves": (lambda m, h: m.quantile(h, m.asarray([0.25, 0.5])), HALF),
    "linspace_one_step": (lambda m, x: m.linspace(x, x + 1, 1, retstep=True), V),
    "counted_bools": (lambda m, x: m.bincount(x > 2, length=3), N),
    "summed_bytes": (lambda m, x: [m.cumulative_sum(m.astype(x, "int8")), m.cumulative_sum(m.astype(x, "uint8"), include_initial=True)], N),
    "inserted": (lambda m, x, i: [m.insert(x, i, m.asarray([7.0, 8.0, 9.0, 6.0]), axis=0), m.insert(x, 1, 5.0, axis=0)], V, REPEATED),
}  # fmt: skip

TABLE = {**FOUND, **LINALG, **SHAPING, **CREATION, **LINEAR, **SELECTION, **SORTING, **SIGNALS, **PADDING}
ULPS = {
    "kron": 4,
    "linspace": 8,
    "cov": 64,
    "cov_weights": 64,
    "i0": 32,
    "windows": 64,
    "polynomials": 64,
    "vander": 64,
}


@pytest.mark.parametrize("name", TABLE)
def test_as_jax(name):
    f, *args = TABLE[name]
    wide = (
        name.startswith("histogram")
        or name in LINEAR
        or name in LINALG
        or name in SIGNALS
        or name in PADDING
        or name in CREATION
    )
    check(f, *args, ulps=ULPS.get(name, 16 if wide else 4), scale=1.0 if wide else None)


ERRORS = (TypeError, ValueError, IndexError, NotImplementedError, OverflowError)


def of_arrays(name, module):
    """The call as a function of its arrays alone, giving the arrays of its result."""
    f, *args = TABLE[name]
    return lambda *xs: [y for y in tree_leaves(f(module, *xs)) if hasattr(y, "dtype")], args


def inputs_are_arrays(name):
    _, *args = TABLE[name]
    return bool(args) and all(isinstance(a, np.ndarray) for a in args)


def floats_of(name):
    """The places of the float32 inputs."""
    return [i for i, a in enumerate(TABLE[name][1:]) if isinstance(a, np.ndarray) and a.dtype == np.float32]


@pytest.mark.parametrize("name", TABLE)
def test_traced(name):
    """What jax can trace, we can, with the same types: nothing looks at values that it need not."""
    f, args = of_arrays(name, jnp)
    try:
        expected = types_of_jax(f, *args)
    except ERRORS:
        pytest.skip("jax itself needs the values here")
    f, args = of_arrays(name, anp)
    got = aj.eval_shape(f, *args)
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        assert (a.shape, a.dtype) == b


@pytest.mark.parametrize("name", [n for n in TABLE if inputs_are_arrays(n)])
def test_mapped(name):
    """vmap over copies of the inputs, the second one changed, gives each one's result."""
    f, args = of_arrays(name, anp)
    others = [np.flip(a) for a in args]
    try:
        types_of_jax(of_arrays(name, jnp)[0], *args)  # lengths that depend on values cannot be mapped
    except ERRORS:
        pytest.skip("jax itself needs the values here")
    singles = [f(*map(anp.asarray, args))]
    try:
        singles.append(f(*map(anp.asarray, others)))
    except ERRORS:
        with pytest.raises(ERRORS):
            of_arrays(name, jnp)[0](*others)
        pytest.skip("the changed inputs are refused, by jax too")
    mapped = aj.vmap(f)(*[np.stack(pair) for pair in zip(args, others)])
    for i, single in enumerate(singles):
        for a, b in zip(mapped, single):
            assert_close(a[i], b, ulps=64, scale=1.0)


KINKS = {"unwrap", "sets", "unique_nan", "histogram", "searchsorted_special"}  # constant, or not differentiable here


@pytest.mark.parametrize("name", [n for n in TABLE if n not in KINKS and floats_of(n)])
def test_gradients(name):
    """The gradient of a weighted sum of the results with respect to the float inputs."""
    f, *args = TABLE[name]
    floats = floats_of(name)

    def loss(module):
        def of_floats(*xs):
            whole = list(args)
            for i, x in zip(floats, xs):
                whole[i] = x
            total = 0.0
            for y in tree_leaves(f(module, *[a if i in floats else to(module, a) for i, a in enumerate(whole)])):
                if hasattr(y, "dtype") and y.dtype == np.float32:
                    total = total + (y * np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape)).sum()
            return total

        return of_floats

    inputs = [args[i] for i in floats]
    try:
        expected = of_jax(lambda: jax.jit(jax.grad(loss(jnp), tuple(range(len(floats)))))(*inputs))
    except ERRORS:
        pytest.skip("jax has no gradient here")
    got = aj.grad(loss(anp), tuple(range(len(floats))))(*map(anp.asarray, inputs))
    for a, b in zip(got, expected):
        scale = float(np.abs(np.nan_to_num(np.asarray(b), posinf=0, neginf=0)).max(initial=1.0))
        assert_close(a, b, ulps=256, scale=scale)


@pytest.mark.parametrize("name", TABLE)
def test_types_in_x64(name):
    """With 64-bit types on, results have jax's types; inputs are float64 and int64."""
    wide = lambda a: a.astype({"f": np.float64, "i": np.int64}.get(a.dtype.kind, a.dtype))  # noqa: E731
    args = [wide(a) if isinstance(a, np.ndarray) else a for a in TABLE[name][1:]]
    with jax.enable_x64(True):
        try:
            expected = types_of_jax(of_arrays(name, jnp)[0], *args)
        except ERRORS:
            pytest.skip("jax itself needs the values here")
    with aj.enable_x64():
        got = aj.eval_shape(of_arrays(name, anp)[0], *args)
    for a, b in zip(got, expected, strict=True):
        assert (a.shape, a.dtype) == b

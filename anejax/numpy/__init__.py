"""JAX's NumPy on anejax: functions of arrays that every transformation goes through.

Importing this package installs the operators and methods of Array.
"""

# ruff: noqa: F401, I001
# fmt: off
from anejax.numpy.ufunc import (
    ufunc,
)
from anejax.numpy.elementwise import (
    abs, absolute, acos, acosh, add, angle, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, around, asin,
    asinh, astype_ as astype, atan, atan2, atanh, bitwise_and, bitwise_count, bitwise_invert, bitwise_left_shift,
    bitwise_not, bitwise_or, bitwise_right_shift, bitwise_xor, cbrt, ceil, conj, conjugate, copysign, cos, cosh,
    deg2rad, degrees, divide, divmod, equal, exp, exp2, expm1, fabs, fix, float_power, floor, floor_divide, fmax,
    fmin, fmod, frexp, gcd, greater, greater_equal, heaviside, hypot, imag, invert, iscomplex, isfinite, isinf, isnan,
    isneginf, isposinf, isreal, lcm, ldexp, left_shift, less, less_equal, log, log10, log1p, log2, logaddexp,
    logaddexp2, logical_and, logical_not, logical_or, logical_xor, maximum, minimum, mod, modf, multiply, nan_to_num,
    negative, nextafter, not_equal, positive, pow, power, rad2deg, radians, real, reciprocal, remainder, right_shift,
    rint, round, sign, signbit, sin, sinc, sinh, spacing, sqrt, square, subtract, tan, tanh, true_divide, trunc,
)
from anejax.numpy.creation import (
    arange, array, asarray, copy, empty, empty_like, eye, from_dlpack, frombuffer, fromfunction, fromstring, full,
    full_like, identity, indices, linspace, logspace, ones, ones_like, tri, zeros, zeros_like,
)
from anejax.numpy.types import (
    bfloat16, bool_, can_cast, character, complexfloating, double, dtype, e, euler_gamma, finfo, flexible, float16,
    float32, float64, float_, floating, generic, iinfo, inexact, inf, int16, int32, int64, int8, int_, integer,
    iscomplexobj, isdtype, isrealobj, isscalar, issubdtype, nan, newaxis, number, object_, pi, promote_types,
    result_type, signedinteger, single, uint, uint16, uint32, uint64, uint8, unsignedinteger,
)
from anejax.numpy.shaping import (
    append, array_split, atleast_1d, atleast_2d, atleast_3d, block, broadcast_arrays, broadcast_shapes, broadcast_to,
    column_stack, concat, concatenate, dsplit, dstack, expand_dims, flip, fliplr, flipud, hsplit, hstack,
    matrix_transpose, meshgrid, moveaxis, ndim, permute_dims, ravel, repeat, reshape, resize, roll, rollaxis, rot90,
    shape, size, split, squeeze, stack, swapaxes, tile, transpose, unstack, vsplit, vstack,
)
from anejax.numpy.reductions import (
    all, allclose, amax, amin, any, argmax, argmin, array_equal, array_equiv, average, count_nonzero, cumprod, cumsum,
    cumulative_prod, cumulative_sum, diff, ediff1d, isclose, max, mean, min, nanargmax, nanargmin, nancumprod,
    nancumsum, nanmax, nanmean, nanmin, nanprod, nanstd, nansum, nanvar, prod, ptp, std, sum, trapezoid, var,
)
from anejax.numpy.linear import (
    cross, diag, diagflat, diagonal, dot, inner, kron, matmul, matvec, outer, tensordot, trace, tril, triu, vander,
    vdot, vecdot, vecmat,
)
from anejax.numpy.selection import (
    choose, clip, nonzero, piecewise, select, where,
)
from anejax.core.array import Array as ndarray
from anejax.numpy.methods import install as _install

_install()

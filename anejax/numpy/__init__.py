"""jax.numpy on anejax: NumPy's functions, which every transformation can differentiate, map and compile.

Importing this package installs the operators and methods of Array.
"""

# ruff: noqa: F401, I001
# fmt: off
from anejax.numpy.ufunc import (
    frompyfunc, ufunc,
)
from anejax.numpy.elementwise import (
    abs, absolute, acos, acosh, add, angle, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, around, asin,
    asinh, astype_ as astype, atan, atan2, atanh, bitwise_and, bitwise_invert, bitwise_left_shift,
    bitwise_not, bitwise_or, bitwise_xor, cbrt, ceil, conj, conjugate, cos, cosh,
    deg2rad, degrees, divide, divmod, equal, exp, exp2, expm1, fabs, fix, float_power, floor, floor_divide, fmax,
    fmin, fmod, greater, greater_equal, heaviside, hypot, imag, invert, iscomplex, isfinite, isinf, isnan,
    isneginf, isposinf, isreal, left_shift, less, less_equal, log, log10, log1p, log2, logaddexp,
    logaddexp2, logical_and, logical_not, logical_or, logical_xor, maximum, minimum, mod, modf, multiply, nan_to_num,
    negative, nextafter, not_equal, positive, pow, power, rad2deg, radians, real, reciprocal, remainder,
    real_if_close, rint, round, sign, sin, sinc, sinh, sqrt, square, subtract, tan, tanh,
    true_divide, trunc,
)
from anejax.numpy.bits import (
    bitwise_count, bitwise_right_shift, copysign, frexp, gcd, lcm, ldexp, right_shift, signbit, spacing,
)
from anejax.numpy.creation import (
    arange, array, asarray, copy, empty, empty_like, eye, from_dlpack, frombuffer, fromfunction, fromstring, full,
    full_like, geomspace, identity, indices, linspace, logspace, ones, ones_like, tri, zeros, zeros_like,
)
from anejax.numpy.types import (
    bfloat16, bool_, can_cast, cdouble, character, complex128, complex64, complex_, complexfloating, csingle, double,
    dtype, e, euler_gamma, finfo, flexible, float16,
    float32, float64, float_, floating, generic, iinfo, inexact, inf, int16, int32, int64, int8, int_, integer,
    iscomplexobj, isdtype, isrealobj, isscalar, issubdtype, iterable, nan, newaxis, number, object_, pi,
    promote_types, result_type, signedinteger, single, uint, uint16, uint32, uint64, uint8, unsignedinteger, bool_ as
    bool,
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
from anejax.numpy.einsum import (
    einsum, einsum_path,
)
from anejax.numpy.selection import (
    choose, clip, piecewise, select, where,
)
from anejax.numpy.taking import (
    argwhere, c_, compress, delete, diag_indices, diag_indices_from, extract, fill_diagonal, flatnonzero, index_exp,
    insert, ix_, mask_indices, mgrid, nonzero, ogrid, place, put, put_along_axis, r_, ravel_multi_index, s_, take,
    take_along_axis, tril_indices, tril_indices_from, triu_indices, triu_indices_from, unravel_index,
)
from anejax.numpy.sorting import (
    argpartition, argsort, bincount, digitize, histogram, histogram2d, histogram_bin_edges, histogramdd, lexsort,
    partition, searchsorted, sort, sort_complex,
)
from anejax.numpy.sets import (
    intersect1d, isin, setdiff1d, setxor1d, trim_zeros, union1d, unique, unique_all, unique_counts, unique_inverse,
    unique_values,
)
from anejax.numpy.quantiles import (
    median, nanmedian, nanpercentile, nanquantile, percentile, quantile,
)
from anejax.numpy.padding import (
    pad,
)
from anejax.numpy.signal import (
    bartlett, blackman, convolve, corrcoef, correlate, cov, gradient, hamming, hanning, i0, interp, kaiser, unwrap,
)
from anejax.numpy.polynomials import (
    poly, polyadd, polyder, polydiv, polyfit, polyint, polymul, polysub, polyval, roots,
)
from anejax.numpy.packing import (
    array_repr, array_str, fromfile, fromiter, get_printoptions, load, packbits, printoptions, save, savez,
    set_printoptions, unpackbits,
)
from anejax.numpy.functional import (
    apply_along_axis, apply_over_axes, vectorize,
)
from anejax.core.array import Array as ndarray
from anejax.numpy.namespace import ARRAY_API_VERSION as __array_api_version__
from anejax.numpy.namespace import ArrayNamespaceInfo as __array_namespace_info__
from anejax.numpy import fft, linalg

import sys as _sys
from anejax.absent import getattr_of as _getattr_of
from anejax.numpy.methods import install as _install
from anejax.numpy.keyed import with_keys as _with_keys

__all__ = [
    "abs", "absolute", "acos", "acosh", "add", "all", "allclose", "amax", "amin", "angle", "any", "append",
    "apply_along_axis", "apply_over_axes", "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "argmax", "argmin", "argpartition", "argsort", "argwhere", "around", "array", "array_equal",
    "array_equiv", "array_repr", "array_split", "array_str", "asarray", "asin", "asinh", "astype", "atan", "atan2",
    "atanh", "atleast_1d", "atleast_2d", "atleast_3d", "average", "bartlett", "bfloat16", "bincount", "bitwise_and",
    "bitwise_count", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "blackman", "block", "bool", "bool_", "broadcast_arrays", "broadcast_shapes", "broadcast_to",
    "c_", "can_cast", "cbrt", "cdouble", "ceil", "character", "choose", "clip", "column_stack", "complex128",
    "complex64", "complex_", "complexfloating", "compress", "concat", "concatenate", "conj", "conjugate",
    "convolve", "copy", "copysign", "corrcoef", "correlate", "cos", "cosh", "count_nonzero", "cov", "cross",
    "csingle", "cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "deg2rad", "degrees", "delete", "diag",
    "diag_indices", "diag_indices_from", "diagflat", "diagonal", "diff", "digitize", "divide", "divmod", "dot",
    "double", "dsplit", "dstack", "dtype", "e", "ediff1d", "einsum", "einsum_path", "empty", "empty_like", "equal",
    "euler_gamma", "exp", "exp2", "expand_dims", "expm1", "extract", "eye", "fabs", "fft", "fill_diagonal", "finfo",
    "flatnonzero", "flexible", "flip", "fliplr", "flipud", "float16", "float32", "float64", "float_", "float_power",
    "floating", "floor", "floor_divide", "fmax", "fmin", "fmod", "frexp", "from_dlpack", "frombuffer", "fromfile",
    "fromfunction", "fromiter", "frompyfunc", "fromstring", "full", "full_like", "gcd", "generic", "geomspace",
    "get_printoptions", "gradient", "greater", "greater_equal", "hamming", "hanning", "heaviside", "histogram",
    "histogram2d", "histogram_bin_edges", "histogramdd", "hsplit", "hstack", "hypot", "i0", "identity", "iinfo",
    "imag", "index_exp", "indices", "inexact", "inf", "inner", "insert", "int16", "int32", "int64", "int8", "int_",
    "integer", "interp", "intersect1d", "invert", "isclose", "iscomplex", "iscomplexobj", "isdtype", "isfinite",
    "isin", "isinf", "isnan", "isneginf", "isposinf", "isreal", "isrealobj", "isscalar", "issubdtype", "iterable",
    "ix_", "kaiser", "kron", "lcm", "ldexp", "left_shift", "less", "less_equal", "lexsort", "linalg", "linspace",
    "load", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logspace", "mask_indices", "matmul", "matrix_transpose", "matvec", "max", "maximum", "mean",
    "median", "meshgrid", "mgrid", "min", "minimum", "mod", "modf", "moveaxis", "multiply", "nan", "nan_to_num",
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin",
    "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "ndarray", "ndim", "negative",
    "newaxis", "nextafter", "nonzero", "not_equal", "number", "object_", "ogrid", "ones", "ones_like", "outer",
    "packbits", "pad", "partition", "percentile", "permute_dims", "pi", "piecewise", "place", "poly", "polyadd",
    "polyder", "polydiv", "polyfit", "polyint", "polymul", "polysub", "polyval", "positive", "pow", "power",
    "printoptions", "prod", "promote_types", "ptp", "put", "put_along_axis", "quantile", "r_", "rad2deg", "radians",
    "ravel", "ravel_multi_index", "real", "reciprocal", "remainder", "repeat", "reshape", "resize", "result_type",
    "right_shift", "rint", "roll", "rollaxis", "roots", "rot90", "round", "s_", "save", "savez", "searchsorted",
    "select", "set_printoptions", "setdiff1d", "setxor1d", "shape", "sign", "signbit", "signedinteger", "sin",
    "sinc", "single", "sinh", "size", "sort", "sort_complex", "spacing", "split", "sqrt", "square", "squeeze",
    "stack", "std", "subtract", "sum", "swapaxes", "take", "take_along_axis", "tan", "tanh", "tensordot", "tile",
    "trace", "transpose", "trapezoid", "tri", "tril", "tril_indices", "tril_indices_from", "trim_zeros", "triu",
    "triu_indices", "triu_indices_from", "true_divide", "trunc", "ufunc", "uint", "uint16", "uint32", "uint64",
    "uint8", "union1d", "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values", "unpackbits",
    "unravel_index", "unsignedinteger", "unstack", "unwrap", "vander", "var", "vdot", "vecdot", "vecmat",
    "vectorize", "vsplit", "vstack", "where", "zeros", "zeros_like"
]  # fmt: skip

_install(_sys.modules[__name__])
_with_keys(globals())

__getattr__ = _getattr_of(__name__)

"""Primitives of complex numbers: complex, real, imag, conj.

Derivatives follow JAX: a transpose rule is the plain transpose over the complex numbers, without conjugation. So the
gradient of a real loss is the conjugate of the direction of steepest ascent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Refused
from anejax.core.trace import aval_of
from anejax.errors import DtypeError
from anejax.ops.arithmetic import face, neg, scalar_as
from anejax.ops.families import binary, is_linear, is_python_scalar, stretch, sum_to, unary, zeros

PARTS = (dtypes.float32, dtypes.float64)
IN_PARTS = Refused("passes/complex.py replaces it by real and imaginary parts before lowering")


def _refused_mil(prim: Any) -> Any:
    return prim.fill(mil=IN_PARTS)


def _complex_impl(re: np.ndarray, im: np.ndarray) -> np.ndarray:
    out = np.empty(np.broadcast_shapes(re.shape, im.shape), dtypes.complex_of(re.dtype))
    out.real, out.imag = re, im
    return out


def _complex_transpose(ct: Any, re: Any, im: Any) -> Any:
    return [
        sum_to(real(ct), re.aval) if is_linear(re) else None,
        sum_to(neg(imag(ct)), im.aval) if is_linear(im) else None,
    ]


complex_p = _refused_mil(
    binary("complex", domain=PARTS, impl=_complex_impl, linear=_complex_transpose, out_dtype=dtypes.complex_of,
           jvp=(lambda g, o, re, im: complex_p.bind(g, _zero(g)), lambda g, o, re, im: complex_p.bind(_zero(g), g)))
)  # fmt: skip


def _zero(x: Any) -> Any:
    return zeros(Aval((), aval_of(x).dtype))


real_p = _refused_mil(
    unary("real", domain=dtypes.COMPLEX, impl=lambda x: np.array(x.real), jvp=lambda g, y, x: real(g),
          out_dtype=dtypes.real_part, linear=lambda ct, x: [complex_p.bind(ct, _zero(ct))])
)  # fmt: skip
imag_p = _refused_mil(
    unary("imag", domain=dtypes.COMPLEX, impl=lambda x: np.array(x.imag), jvp=lambda g, y, x: imag(g),
          out_dtype=dtypes.real_part, linear=lambda ct, x: [complex_p.bind(_zero(ct), neg(ct))])
)  # fmt: skip
conj_p = _refused_mil(
    unary("conj", domain=PARTS + dtypes.COMPLEX, impl=lambda x: np.conj(x).astype(dtypes.complex_of(x.dtype)),
          jvp=lambda g, y, x: conj(g), out_dtype=dtypes.complex_of,
          linear=lambda ct, x: [conj(ct) if x.aval.dtype in dtypes.COMPLEX else real(ct)])
)  # fmt: skip

real, imag = face(real_p, "real part of complex numbers"), face(imag_p, "imaginary part of complex numbers")


def conj(x: Any) -> Any:
    """Elementwise complex conjugate; of float32 and float64, the complex number that is equal."""
    return conj_p.bind(x)


def complex(x: Any, y: Any) -> Any:
    """``x + iy`` from real and imaginary parts: arrays of float32 or float64, of one dtype, and of one shape or rank 0.

    Raises:
        DtypeError: the parts have different dtypes, or others than float32 and float64.
    """
    if is_python_scalar(x) and not is_python_scalar(y):
        x = scalar_as("complex", x, aval_of(y))
    elif is_python_scalar(y) and not is_python_scalar(x):
        y = scalar_as("complex", y, aval_of(x))
    return complex_p.bind(*stretch(x, y))


def in_parts(aval: Aval) -> Aval:
    """The type in which a complex array crosses the border of a program: parts along a last axis of length 2."""
    return Aval((*aval.shape, 2), dtypes.real_part(aval.dtype)) if aval.dtype in dtypes.COMPLEX else aval


def of_parts(aval: Aval) -> Aval:
    """The complex type whose parts have this one."""
    return Aval(aval.shape[:-1], dtypes.complex_of(aval.dtype))


def check_complex(name: str, aval: Aval) -> None:
    """Raises DtypeError unless ``aval`` has a complex dtype."""
    if aval.dtype not in dtypes.COMPLEX:
        raise DtypeError(f"[{name}] expected a complex array, got {aval}. Convert with x.astype(complex).")

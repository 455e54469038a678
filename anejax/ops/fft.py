"""The primitive of Fourier transforms over trailing axes, and its form on pairs of real arrays, which devices run."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Refused
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.ops.arithmetic import div, mul
from anejax.ops.complex import IN_PARTS, PARTS, check_complex, conj
from anejax.ops.elementwise import convert_element_type
from anejax.ops.families import batch_to, check_domain, joint_dtype, linear_jvp, primitive
from anejax.ops.shape import broadcast_in_dim

Dims = tuple[int, ...]


class FftType(enum.IntEnum):
    """The kind of transform: complex to complex (forward, inverse), real to complex, and complex to real."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


fft_p = primitive("fft")


def half(lengths: Dims) -> Dims:
    """The lengths of a real signal's transform: by symmetry the last axis needs only n // 2 + 1 of its n."""
    return (*lengths[:-1], lengths[-1] // 2 + 1)


def _check_lengths(shape: Dims, fft_type: FftType, lengths: Dims, what: Any) -> Dims:
    """The shape of the result."""
    if not lengths or len(lengths) > len(shape) or min(lengths) < 1:
        raise ShapeError(f"[fft] expected one positive length per trailing axis of {what}, got {lengths}.")
    lead, given = shape[: -len(lengths)], shape[-len(lengths) :]
    expected = half(lengths) if fft_type == FftType.IRFFT else lengths
    if given != expected:
        raise ShapeError(f"[fft] {fft_type.name} of lengths {lengths} takes trailing axes {expected}, got {what}.")
    return lead + (half(lengths) if fft_type == FftType.RFFT else lengths)


def _abstract(x: Aval, *, fft_type: FftType, fft_lengths: Dims) -> Aval:
    if fft_type == FftType.RFFT:
        check_domain("fft", x, PARTS)
    else:
        check_complex("fft", x)
    dtype = {FftType.RFFT: dtypes.complex_of, FftType.IRFFT: dtypes.real_part}.get(fft_type, lambda d: d)(x.dtype)
    return Aval(_check_lengths(x.shape, fft_type, fft_lengths, x), dtype)


_NUMPY = {
    FftType.FFT: np.fft.fftn,
    FftType.IFFT: np.fft.ifftn,
    FftType.RFFT: np.fft.rfftn,
    FftType.IRFFT: np.fft.irfftn,
}


def _impl(x: np.ndarray, *, fft_type: FftType, fft_lengths: Dims) -> np.ndarray:
    out_shape = _check_lengths(x.shape, fft_type, fft_lengths, x.shape)
    if x.size == 0:  # a batch of no signals
        dtype = {FftType.RFFT: dtypes.complex_of, FftType.IRFFT: dtypes.real_part}.get(fft_type, lambda d: d)(x.dtype)
        return np.zeros(out_shape, dtype)
    return _NUMPY[fft_type](x, s=fft_lengths, axes=range(-len(fft_lengths), 0))


def _weights(lengths: Dims, aval: Aval) -> Any:
    """The number of coefficients that each one of a half transform stands for: 1 for the two real ones, else 2."""
    n = lengths[-1]
    line = np.full(n // 2 + 1, 2, aval.dtype)
    line[0] = 1
    if n % 2 == 0:
        line[-1] = 1
    return broadcast_in_dim(line, aval.shape, (aval.ndim - 1,))


def _transpose(ct: Any, x: Any, *, fft_type: FftType, fft_lengths: Dims) -> Any:
    """The matrices of FFT and IFFT are symmetric; those of the real transforms are so up to the half left out."""
    if fft_type in (FftType.FFT, FftType.IFFT):
        return [fft_p.bind(ct, fft_type=fft_type, fft_lengths=fft_lengths)]
    count = math.prod(fft_lengths)
    if fft_type == FftType.RFFT:
        whole = div(conj(ct), _weights(fft_lengths, aval_of(ct)))
        out = fft_p.bind(whole, fft_type=FftType.IRFFT, fft_lengths=fft_lengths)
        return [mul(out, np.asarray(count, aval_of(out).dtype))]
    out = fft_p.bind(ct, fft_type=FftType.RFFT, fft_lengths=fft_lengths)
    scaled = mul(mul(out, np.asarray(1 / count, aval_of(out).dtype)), _weights(fft_lengths, aval_of(out)))
    return [conj(scaled)]


def _batch(size: int, args: Any, dims: Any, **params: Any) -> Any:
    return fft_p.bind(batch_to(args[0], dims[0], size), **params), 0


fft_p.fill(abstract=_abstract, impl=_impl, jvp=linear_jvp(fft_p), transpose=_transpose, batch=_batch, mil=IN_PARTS)


def fft(x: Any, fft_type: FftType | str, fft_lengths: Sequence[int]) -> Any:
    """The Fourier transform of ``x`` over its last ``len(fft_lengths)`` axes.

    Args:
        x: numbers; converted to complex, or to floats for RFFT.
        fft_type: an ``FftType`` or its name. FFT is unscaled, the inverse ones divide by the product of the lengths.
        fft_lengths: the lengths of the signal's axes, which are those of ``x``; for IRFFT the last axis of ``x`` has
            n // 2 + 1 elements and the result n.

    Returns:
        A complex array of the shape of ``x``; for RFFT its last axis has n // 2 + 1 elements; for IRFFT a float array.

    Raises:
        ShapeError: the lengths are not those of ``x``, or not positive. DtypeError: complex ``x`` for RFFT.
    """
    kind = _type_of(fft_type)
    lengths = tuple(int(n) for n in fft_lengths)
    dtype = aval_of(x).dtype
    if kind == FftType.RFFT:
        if dtype in dtypes.COMPLEX:
            raise DtypeError(f"[fft] RFFT takes real numbers, got {aval_of(x)}. Use FFT, or x.real.")
        wide = dtype if dtype in PARTS else dtypes.canonical(dtypes.float32 if dtype in dtypes.FLOATS else float)
        x = convert_element_type(x, wide)
    else:
        wide = dtype if dtype in dtypes.INEXACT else dtypes.canonical(float)
        x = convert_element_type(x, dtypes.complex_of(wide))
    return fft_p.bind(x, fft_type=kind, fft_lengths=lengths) if lengths else x


def _type_of(fft_type: FftType | str) -> FftType:
    if isinstance(fft_type, str) and fft_type.upper() in FftType.__members__:
        return FftType[fft_type.upper()]
    if isinstance(fft_type, (FftType, int)) and not isinstance(fft_type, bool):
        return FftType(fft_type)
    raise ValueError(f"[fft] expected an FftType or one of {', '.join(FftType.__members__)}, got {fft_type!r}.")


# --- the same on (real, imaginary) pairs ------------------------------------------------------------------------------

fft_parts_p = primitive("fft_parts", multiple_results=True)


def _parts_abstract(*parts: Aval, fft_type: FftType, fft_lengths: Dims) -> list[Aval]:
    count = 1 if fft_type == FftType.RFFT else 2
    if len(parts) != count or len({p.shape for p in parts}) > 1:
        raise ShapeError(f"[fft_parts] expected {count} arrays of one shape, got {', '.join(map(str, parts))}.")
    dtype = joint_dtype("fft_parts", parts)
    check_domain("fft_parts", parts[0], PARTS)
    out = Aval(_check_lengths(parts[0].shape, fft_type, fft_lengths, parts[0]), dtype)
    return [out] if fft_type == FftType.IRFFT else [out, out]


def _parts_impl(*parts: np.ndarray, **params: Any) -> list[np.ndarray]:
    out = _impl(parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1], **params)
    return [out] if out.dtype in dtypes.FLOATS else [np.array(np.real(out)), np.array(np.imag(out))]


def _parts_batch(size: int, args: Any, dims: Any, **params: Any) -> Any:
    outs = fft_parts_p.bind(*(batch_to(a, d, size) for a, d in zip(args, dims)), **params)
    return outs, [0] * len(outs)


def _parts_mil(ctx: Any, *parts: Any, fft_type: FftType, fft_lengths: Dims) -> Any:
    return ctx.emit_aj_named("fft", values=parts, kind=fft_type.name.lower(), lengths=list(fft_lengths))


_SPENT = Refused("passes/complex.py makes it when derivatives are spent; differentiate fft")
fft_parts_p.fill(abstract=_parts_abstract, impl=_parts_impl, jvp=_SPENT, transpose=_SPENT, batch=_parts_batch,
                 mil=_parts_mil)  # fmt: skip

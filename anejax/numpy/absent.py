"""Names of jax.numpy that are not here, and why."""

from __future__ import annotations

_COMPLEX = "complex numbers are not supported; keep real and imaginary parts in two arrays."
_NARROW = "its dtype is not supported; the narrowest are int8, uint8, float16 and bfloat16."
_FACTORIZATION = "it needs a factorization, which is not here yet; use numpy outside of jit."

ABSENT = {
    **dict.fromkeys(("ComplexWarning", "cdouble", "complex128", "complex64", "complex_", "csingle"), _COMPLEX),
    **dict.fromkeys(("int1", "int2", "int4", "uint1", "uint2", "uint4", "float4_e2m1fn"), _NARROW),
    **dict.fromkeys(("float6_e2m3fn", "float6_e3m2fn", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz"), _NARROW),
    **dict.fromkeys(("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"), _NARROW),
    **dict.fromkeys(("polyfit", "roots"), _FACTORIZATION),
    "fft": "Fourier transforms have complex results, and complex numbers are not supported.",
}

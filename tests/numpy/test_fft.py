"""numpy.fft: every function against jax, and the native transform against NumPy in higher precision."""
# ruff: noqa: E501  (a table: one call per line)

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from anejax import lax
from tests.numpy.compare import assert_close, assert_same_type, check, sample

Z = sample((3, 8), "complex64")
R = sample((3, 8))
CUBE = sample((2, 3, 4, 5))
I = sample((6,), "int32")

LINES = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
PLANES = ("fft2", "ifft2", "rfft2", "irfft2")
SPACES = ("fftn", "ifftn", "rfftn", "irfftn")
NORMS = (None, "backward", "ortho", "forward")

CALLS = {
    "lines": lambda m, x, z: [getattr(m.fft, f)(x, n=n, axis=a) for f in LINES for n in (None, 5, 11) for a in (0, -1)],
    "norms": lambda m, x, z: [getattr(m.fft, f)(x, norm=norm) for f in LINES + PLANES + SPACES for norm in NORMS],
    "complex": lambda m, x, z: [getattr(m.fft, f)(z, 7) for f in ("fft", "ifft", "irfft", "hfft")],
    "planes": lambda m, x, z: [getattr(m.fft, f)(x, s, (1, 0)) for f in PLANES for s in (None, (4, 6))],
    "spaces": lambda m, x, z: [getattr(m.fft, f)(m.asarray(CUBE), s, a) for f in SPACES for s, a in ((None, None), ((3, 4, 3), (3, 0, 1)), ((4, 3), None))],
    "nothing": lambda m, x, z: [m.fft.fftn(x, axes=()), m.fft.fft(x[:0]), m.fft.rfft(x[:0])],
    "integers": lambda m, x, z: [m.fft.fft(m.asarray(I)), m.fft.rfft(m.asarray(I)), m.fft.irfft(m.asarray(I))],
    "one": lambda m, x, z: [m.fft.fft(x[:, :1]), m.fft.ifft(x[:, :1]), m.fft.rfft(x[:, :1]), m.fft.irfft(x[:, :1], 1)],
    "freq": lambda m, x, z: [m.fft.fftfreq(n) for n in (1, 4, 5)] + [m.fft.rfftfreq(n, 0.5) for n in (1, 4, 5)] + [m.fft.fftfreq(8, d=0.1)],
    "shift": lambda m, x, z: [m.fft.fftshift(x), m.fft.fftshift(x, 1), m.fft.ifftshift(x, (0, 1)), m.fft.ifftshift(x[:, :5])],
    "bad_length": lambda m, x, z: m.fft.fft(x, 0), "bad_axis": lambda m, x, z: m.fft.fft(x, axis=2), "rfft_complex": lambda m, x, z: m.fft.rfft(z),
    "bad_norm": lambda m, x, z: m.fft.fft(x, norm="most"), "bad_plane": lambda m, x, z: m.fft.fft2(x, axes=(0,)), "bad_shape": lambda m, x, z: m.fft.fftn(x, (3,), (0, 1)),
    "repeated": lambda m, x, z: m.fft.fftn(x, axes=(0, 0)), "scalar": lambda m, x, z: m.fft.fft(1.0), "empty": lambda m, x, z: [getattr(m.fft, f)(m.zeros(s)) for f in ("fft", "ifft", "irfft", "hfft") for s in (0, (2, 0), 1)], "empty_rfft": lambda m, x, z: m.fft.rfft(x[:, :0]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    check(CALLS[name], R, Z, ulps=8, scale=60.0)


def relative(got: object, want: np.ndarray, eps: float, n: int) -> float:
    """The error in the Euclidean norm, in units of eps log2(n)."""
    error = np.linalg.norm((np.asarray(got) - want).ravel().astype(np.complex128))
    return float(error / np.linalg.norm(want.ravel().astype(np.complex128)) / eps / max(1, np.log2(n)))


# small primes and their products, primes that need a convolution, lengths on either side of the split into two
LENGTHS = (1, 2, 3, 4, 5, 7, 8, 11, 13, 16, 17, 30, 64, 97, 257, 343, 1000, 1001, 2310, 4096, 4099, 5005, 8192, 10007)


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("n", LENGTHS)
def test_the_native_transform_is_within_eps_log_n(n: int, x64: bool) -> None:
    """Relative error in the Euclidean norm of at most 2 eps log2(n), alone and in batches, both ways, real and not."""
    rng = np.random.default_rng(n)
    eps = 2.0**-52 if x64 else 2.0**-23
    for batch in ((), (3,), (33,)):
        x = rng.standard_normal((*batch, n)) + 1j * rng.standard_normal((*batch, n))
        x = x if x64 else x.astype(np.complex64)
        exact = x.astype(np.clongdouble)
        with aj.enable_x64(x64):
            cases = [(anp.fft.fft, x, np.fft.fft(exact)), (anp.fft.ifft, x, np.fft.ifft(exact))]
            cases += [(anp.fft.rfft, x.real.copy(), np.fft.rfft(exact.real))]
            half = np.fft.rfft(exact.real).astype(x.dtype)
            cases += [(lambda h: anp.fft.irfft(h, n), half, np.fft.irfft(half.astype(np.clongdouble), n))]
            for function, argument, want in cases:
                assert relative(aj.jit(function)(argument), want, eps, n) < 2


@pytest.mark.parametrize("shape", [(4, 6, 10), (2, 17, 8), (1, 1, 3), (3, 4, 1), (300, 2, 2)])
def test_the_native_transform_of_several_axes(shape: tuple[int, ...]) -> None:
    x = sample(shape, "complex64")
    for name in SPACES:
        argument = x.real.copy() if name == "rfftn" else x
        last = {"s": shape, "axes": (0, 1, 2)} if name == "irfftn" else {}
        argument = x[..., : shape[-1] // 2 + 1] if name == "irfftn" else argument
        want = getattr(np.fft, name)(
            argument.astype(np.complex128 if argument.dtype == np.complex64 else float), **last
        )
        got = aj.jit(functools.partial(getattr(anp.fft, name), **last))(argument)
        assert relative(got, want, 2.0**-23, 64) < 1


def test_jit_equals_eager() -> None:
    for name in LINES + PLANES + SPACES:
        function = getattr(anp.fft, name)
        assert_close(aj.jit(function)(R), function(R), ulps=8, scale=60.0)


def test_shifted_frequencies_are_where_numpy_has_them() -> None:
    for n in (5, 6):
        np.testing.assert_allclose(
            np.asarray(anp.fft.fftshift(anp.fft.fftfreq(n))), np.fft.fftshift(np.fft.fftfreq(n)), rtol=1e-6
        )


def test_lax_fft() -> None:
    for kind in (*lax.FftType, "fft", "RFFT"):
        name = kind if isinstance(kind, str) else kind.name
        want = jax.lax.fft(R, name, (14,) if name == "IRFFT" else (8,))
        got = lax.fft(R, kind, (14,) if name == "IRFFT" else (8,))
        assert_same_type(got, want)
        assert_close(got, want, ulps=8, scale=60.0)
    with pytest.raises(ValueError, match=r"\[fft\] expected an FftType"):
        lax.fft(R, "dft", (8,))
    with pytest.raises(ValueError, match=r"\[fft\] FFT of lengths \(7,\) takes trailing axes"):
        lax.fft(R, "fft", (7,))


def test_threads_share_long_transforms() -> None:
    """A signal that is split in two, and a batch of them, on one thread and on two: identical."""
    x = sample((2, 8192), "complex64")
    functions = [aj.jit(anp.fft.fft), aj.jit(lambda x: anp.fft.fft(x[0])), aj.jit(lambda x: anp.fft.fft(x[:, :8191]))]
    from anejax.runtime import library

    threads, results = library.num_threads(), []
    try:
        for count in (1, 2):
            library.set_num_threads(count)
            results.append([np.asarray(f(x)) for f in functions])
    finally:
        library.set_num_threads(threads)
    for one, two in zip(*results):
        np.testing.assert_array_equal(one, two)

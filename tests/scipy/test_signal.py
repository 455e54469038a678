"""Convolution, trends and spectra against jax and SciPy in float64."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import jax.scipy.signal
import numpy as np
import pytest
import scipy.signal

import anejax as aj
from anejax.errors import RefusedError, ShapeError
from anejax.scipy.signal.windows import _WINDOWS, window
from tests.answers import of_jax
from tests.numpy.compare import assert_close, sample
from tests.scipy.calls import agrees

OURS, JAX, EXACT = aj.scipy.signal, jax.scipy.signal, scipy.signal
MODES = ("full", "same", "valid")


def same(name, *args, exact=False, **kwargs):
    return agrees(
        getattr(OURS, name),
        getattr(JAX, name),
        *args,
        exact=getattr(EXACT, name) if exact else None,
        **{"scale": 16, **kwargs},
    )


# --- convolution ------------------------------------------------------------------------------------------------------

PAIRS = [((7,), (3,)), ((3,), (8,)), ((1,), (1,)), ((5, 4), (2, 3)), ((2, 3), (4, 5)), ((4, 3, 5), (2, 2, 3))]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_of_any_rank(name, mode):
    for m, n in PAIRS:
        same(name, sample(m), sample(n, seed=1), exact=True, mode=mode)
        same(name, sample(m), sample(n, seed=1), exact=True, mode=mode, method="fft", scale=64)
    same(name, sample((7,), "complex64"), sample((4,), "complex64"), exact=True, mode=mode)
    same(name, sample((7,), "complex64"), sample((4,)), exact=True, mode=mode, method="fft", scale=64)
    same(name, sample((7,), "int32"), sample((4,), "int8"), mode=mode)
    same(name, sample((7,), "float16"), sample((4,), "float16"), mode=mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
def test_of_matrices(name, mode):
    for m, n in [((5, 4), (2, 3)), ((5, 4), (3, 2)), ((2, 3), (4, 5)), ((3, 3), (3, 3)), ((1, 4), (1, 1))]:
        same(name, sample(m), sample(n, seed=1), exact=True, mode=mode)
        same(name, sample(m, "complex64"), sample(n, "complex64", 1), mode=mode)


def test_fftconvolve():
    for mode in MODES:
        for m, n in [((9,), (4,)), ((3, 7), (3, 4)), ((1, 5), (4, 1)), ((4, 3), (2, 6))]:
            if mode != "valid" or all(a >= b for a, b in zip(m, n)):
                same("fftconvolve", sample(m), sample(n, seed=1), exact=True, mode=mode, scale=64)
        for axes in (1, -1, (0,), (1, 0)):
            shape = (3, 4) if axes != (0,) else (2, 7)
            same("fftconvolve", sample((3, 7)), sample(shape, seed=1), exact=True, mode=mode, axes=axes, scale=64)
    half = OURS.fftconvolve(sample((5,), "float16"), sample((3,), "float16"))  # jax refuses it
    assert half.dtype == np.float32
    with pytest.raises(ShapeError, match=r"\[fftconvolve\] expected equal lengths"):
        OURS.fftconvolve(sample((3, 7)), sample((2, 4)), axes=1)


def test_wrong_convolutions():
    x, y = sample((5,)), sample((2, 3))
    for name in ("convolve", "correlate", "fftconvolve"):
        with pytest.raises(ShapeError, match=rf"\[{name}\] expected two arrays of one rank"):
            getattr(OURS, name)(x, y)
        with pytest.raises(ValueError, match=rf"\[{name}\] expected the mode"):
            getattr(OURS, name)(x, x, "what")
        with pytest.raises(ShapeError, match=f"{name}.* mode 'valid'"):
            getattr(OURS, name)(sample((2, 5)), sample((3, 3)), "valid")
    for name in ("convolve", "correlate"):
        with pytest.raises(ValueError, match="the method"):
            getattr(OURS, name)(x, x, method="what")
        with pytest.raises(ShapeError, match="with elements"):
            getattr(OURS, name)(x, x[:0])
        with pytest.raises(RefusedError, match="at most 3 axes"):
            getattr(OURS, name)(sample((2,) * 4), sample((2,) * 4))
        with pytest.raises(RefusedError, match="boundary='fill'"):
            getattr(OURS, name + "2d")(y, y, boundary="wrap")
        with pytest.raises(ShapeError, match="two matrices"):
            getattr(OURS, name + "2d")(x, x)


@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize("mode", MODES)
def test_derivatives_of_convolutions(mode, method):
    x, y = sample((3, 6)), sample((2, 3), seed=1)
    for name in ("convolve", "correlate"):
        of = lambda m: lambda x, y: (getattr(m, name)(x, y, mode, method=method) ** 2).sum()  # noqa: B023, E731
        want = of_jax(lambda x, y: jax.jit(jax.grad(of(JAX), (0, 1)))(x, y), x, y)  # noqa: B023
        for a, b in zip(aj.jit(aj.grad(of(OURS), (0, 1)))(x, y), want):
            assert_close(a, b, ulps=64, scale=float(np.abs(np.asarray(b)).max()))
    many = np.stack([x, 2 * x])
    got = aj.vmap(lambda x: OURS.convolve(x, y, mode, method))(many)
    assert_close(got[1], OURS.convolve(2 * x, y, mode, method), ulps=16, scale=64)


# --- trends -----------------------------------------------------------------------------------------------------------


def test_detrend():
    for x in (sample((9,)), sample((1,)), sample((2,)), sample((2, 3, 5))):
        for kind in ("constant", "linear"):
            for axis in range(-1, x.ndim - 1):
                exact = EXACT.detrend(x.astype(float), axis=axis, type=kind).astype(np.float32)
                assert_close(OURS.detrend(x, axis, kind), exact, ulps=16, scale=4)
    x = sample((3, 12))
    for bp in (4, np.array([3, 3, 9]), [0, 1, 11, 12]):
        agrees(lambda x: OURS.detrend(x, bp=bp), lambda x: JAX.detrend(x, bp=bp), x,  # noqa: B023
               exact=lambda x: EXACT.detrend(x, bp=bp), scale=4)  # noqa: B023  # fmt: skip
    agrees(lambda x: OURS.detrend(x, 0, bp=[5]), lambda x: JAX.detrend(x, 0, bp=[5]), x.T, scale=4)
    same("detrend", sample((9,), "int32"), scale=4)
    same("detrend", sample((9,), "float16"), type="constant", scale=4)
    long = np.arange(4096, dtype=np.float32) + sample((4096,))
    exact = EXACT.detrend(long.astype(np.float64)).astype(np.float32)
    assert_close(OURS.detrend(long), exact, ulps=16, scale=4096)
    weight = sample((12,))
    (want,) = of_jax(lambda x: jax.jit(jax.grad(lambda x: (JAX.detrend(x) * weight).sum()))(x), x[0])
    assert_close(aj.grad(lambda x: (OURS.detrend(x) * weight).sum())(x[0]), want, ulps=32, scale=4)


def test_wrong_trends():
    for bp in (-1, 10, [3, 11]):
        with pytest.raises(ShapeError, match=r"\[detrend\] expected breakpoints in \[0, 9\]"):
            OURS.detrend(sample((9,)), bp=bp)
    with pytest.raises(ValueError, match="the type"):
        OURS.detrend(sample((9,)), type="quadratic")
    with pytest.raises(RefusedError, match="overwrite_data"):
        OURS.detrend(sample((9,)), overwrite_data=True)


# --- windows ----------------------------------------------------------------------------------------------------------

PARAMETERS = {
    "kaiser": (8.6,), "gaussian": (2.5,), "general_cosine": ([0.4, 0.5, 0.1],), "general_gaussian": (1.5, 3.0),
    "general_hamming": (0.6,), "exponential": (None, 3.0),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(_WINDOWS))
def test_windows(name):
    spec = (name, *PARAMETERS[name]) if name in PARAMETERS else name
    for n in (1, 2, 3, 7, 8, 33):
        np.testing.assert_allclose(window("test", spec, n), EXACT.get_window(spec, n), rtol=1e-13, atol=1e-15)


def test_parameters_of_windows():
    for spec in ("ham", ("tukey", 0.0), ("tukey", 0.3), ("tukey", 1.0), "box", ("ksr", 4.0), "sinc"):
        np.testing.assert_allclose(window("test", spec, 9), EXACT.get_window(spec, 9), atol=1e-14)
    with pytest.raises(RefusedError, match=r"\[welch\] expected one of the windows .* got 'dpss'"):
        OURS.welch(sample((16,)), window=("dpss", 3))
    with pytest.raises(ValueError, match="takes other parameters"):
        OURS.welch(sample((16,)), window="kaiser")


# --- spectra ----------------------------------------------------------------------------------------------------------

X, Y, MANY = sample((50,)), sample((50,), seed=3), sample((3, 40, 2))
SPECTRA = [
    {}, {"nperseg": 16}, {"nperseg": 15, "noverlap": 4}, {"nperseg": 16, "noverlap": 0, "nfft": 20},
    {"nperseg": 8, "window": "hamming", "fs": 20.0}, {"nperseg": 7, "detrend": "linear"},
    {"nperseg": 8, "detrend": False}, {"nperseg": 8, "return_onesided": False},
]  # fmt: skip
DENSITIES = [{"nperseg": 8, "scaling": "spectrum"}, *({"nperseg": n, "average": "median"} for n in (8, 15, 50))]


@pytest.mark.filterwarnings("ignore:nperseg")  # SciPy's default is longer than the signal
@pytest.mark.parametrize("options", SPECTRA + DENSITIES)
def test_welch_and_csd(options):
    same("welch", X, exact=True, **options)
    same("csd", X, Y, exact=True, **options)
    same("csd", X, None, **options)
    same("welch", MANY, axis=1, exact=True, **options | {"nperseg": 8, "noverlap": 3})


@pytest.mark.parametrize("options", SPECTRA)
def test_stft(options):
    options = {"nperseg": 16, **options}
    same("stft", X, exact=True, **options)
    same("stft", MANY, axis=1, exact=True, **options)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("boundary", ["even", "odd", "constant", None])
def test_ends_of_stft(boundary, padded):
    same("stft", X, exact=True, boundary=boundary, padded=padded, nperseg=15, noverlap=4)


def test_signals_of_other_types():
    z = sample((40,), "complex64")
    for kwargs in ({"return_onesided": False}, {"return_onesided": False, "detrend": "constant"}):
        same("stft", z, nperseg=8, exact=True, **kwargs)
    same("welch", z, nperseg=8, exact=True, return_onesided=False)
    same("csd", z, sample((40,)), nperseg=8, exact=True, return_onesided=False)
    with pytest.warns(UserWarning, match="two sides"):
        OURS.welch(z, nperseg=8)
    same("welch", sample((40,), "int32"), nperseg=8)
    same("stft", sample((40,), "int32"), nperseg=8)
    with aj.enable_x64(True), jax.enable_x64(True):
        same("stft", sample((40,), "float64"), nperseg=8)
    same("csd", X, sample((41,)), nperseg=16, exact=True)
    same("csd", sample((3, 20)), sample((1, 20)), nperseg=8)
    same("csd", sample((30,)), X, nperseg=16, exact=True)


def test_windows_as_arrays():
    weights = sample((12,), low=1, high=2)
    for name, args in (("welch", (X,)), ("csd", (X, Y)), ("stft", (X,))):
        options = {"nperseg": 12} if name == "stft" else {}
        ours, theirs, exact = (
            lambda w, *xs, m=m: getattr(m, name)(*xs, window=w, **options)  # noqa: B023
            for m in (OURS, JAX, EXACT)
        )
        agrees(ours, theirs, weights, *args, exact=exact, scale=16)
    with pytest.raises(ShapeError, match="a window of 9 elements"):
        OURS.welch(X, window=weights, nperseg=9)
    with pytest.raises(ShapeError, match="a window of at most 10 elements"):
        OURS.welch(X[:10], window=weights)


def test_a_function_that_detrends():
    """It is given samples along the axis of time, as in SciPy."""
    of = lambda m: lambda d: d - m.mean(d, axis=1, keepdims=True)  # noqa: E731
    got = OURS.welch(MANY, nperseg=8, axis=1, detrend=of(aj.numpy))[1]
    assert_close(got, EXACT.welch(MANY.astype(float), nperseg=8, axis=1)[1].astype(np.float32), ulps=16, scale=16)


def test_short_and_empty_signals():
    for n in (1, 2, 3):
        x = sample((n,))
        with pytest.warns(UserWarning, match="longer than the signal"):
            got = OURS.stft(x, nperseg=16)
        with pytest.warns(UserWarning, match="greater than"):
            want = JAX.stft(jnp.asarray(x), nperseg=16)
        for a, b in zip(got, want):
            assert_close(a, b, ulps=16, scale=4)
        same("welch", x)
    for shape in ((0,), (0, 5), (3, 0)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # segments are longer than nothing
            same("welch", sample(shape), nperseg=2)
            same("stft", sample(shape), nperseg=2)


ROUNDS = [
    {}, {"nperseg": 16}, {"nperseg": 15}, {"nperseg": 16, "noverlap": 12}, {"nperseg": 16, "noverlap": 9, "nfft": 24},
    {"nperseg": 8, "window": "boxcar", "noverlap": 0}, {"nperseg": 8, "return_onesided": False},
    {"nperseg": 12, "window": ("kaiser", 5.0)}, {"nperseg": 1}, {"nperseg": 2},
]  # fmt: skip


@pytest.mark.parametrize("options", ROUNDS)
def test_istft_inverts_stft(options):
    given = {"nperseg": 16, **options}
    back = {k: v for k, v in given.items() if k != "return_onesided"} | {
        "input_onesided": given.get("return_onesided", True)
    }
    _, _, z = OURS.stft(X, fs=4.0, **given)
    t, x = aj.jit(lambda z: OURS.istft(z, fs=4.0, **back))(z)
    assert t.shape == x.shape
    assert_close(x[:50].real, X, ulps=16, scale=8)
    assert_close(t, np.arange(x.shape[0], dtype=np.float32) / 4)


@pytest.mark.filterwarnings("ignore:NOLA")  # SciPy's, where no window covers the first sample
def test_istft():
    z = sample((9, 7), "complex64")
    for options in ({}, {"noverlap": 12}, {"boundary": False}, {"window": "boxcar"}, {"nperseg": 14, "nfft": 16},
                    {"input_onesided": False}):  # fmt: skip
        same("istft", z, exact=True, fs=2.0, ulps=64, **options)
    same("istft", np.moveaxis(z, 0, 1), exact=True, time_axis=0, freq_axis=1, ulps=64)
    weights = sample((16,), low=1, high=2)
    agrees(lambda w, z: OURS.istft(z, window=w), lambda w, z: JAX.istft(z, window=w), weights, z, scale=16, ulps=64)
    many = sample((2, 9, 3, 7), "complex64")
    got = OURS.istft(many, freq_axis=1)[1]
    want = EXACT.istft(many.astype(np.complex128), freq_axis=1)[1].astype(np.float32)
    assert_close(got, want, ulps=64, scale=16)
    moved = np.moveaxis(many, -1, 0)
    got = OURS.istft(moved, freq_axis=2, time_axis=0)[1]
    assert_close(got, np.moveaxis(want, -1, 0), ulps=64, scale=16)


def test_wrong_segments():
    for name in ("welch", "stft"):
        for options, words in (
            ({"nperseg": 0}, "nperseg of 1 or more"), ({"nperseg": 8, "noverlap": 8}, "noverlap below"),
            ({"nperseg": 8, "nfft": 7}, "nfft of at least"), ({"nperseg": 8, "detrend": True}, "expected detrend"),
            ({"nperseg": 8, "detrend": "what"}, "the type"),
        ):  # fmt: skip
            with pytest.raises(ValueError, match=words):
                getattr(OURS, name)(X, **options)
    with pytest.raises(ValueError, match="a boundary"):
        OURS.stft(X, nperseg=8, boundary="what")
    with pytest.raises(ValueError, match="the scaling"):
        OURS.welch(X, scaling="what")
    with pytest.raises(ValueError, match="the average"):
        OURS.welch(X, nperseg=8, average="what")
    with pytest.raises(ShapeError, match="different time and frequency axes"):
        OURS.istft(sample((3, 4)), time_axis=0, freq_axis=0)
    with pytest.raises(ShapeError, match="two axes or more"):
        OURS.istft(X)
    with pytest.raises(ShapeError, match="one rank"):
        OURS.csd(X, MANY)


def test_derivatives_of_spectra():
    def of(m):
        def loss(x, y):
            _, _, z = m.stft(x, nperseg=8)
            back = m.istft(z)[1]
            return m.welch(x, nperseg=8)[1].sum() + abs(m.csd(x, y, nperseg=8)[1] ** 2).sum() + (back**3).sum()

        return loss

    want = of_jax(lambda x, y: jax.jit(jax.grad(of(JAX), (0, 1)))(x, y), X, Y)
    for a, b in zip(aj.jit(aj.grad(of(OURS), (0, 1)))(X, Y), want):
        assert_close(a, b, ulps=64, scale=float(np.abs(np.asarray(b)).max()))
    many = np.stack([X, Y])
    for a, b in zip(aj.vmap(lambda x: OURS.stft(x, nperseg=8)[2])(many), many):
        assert_close(a, OURS.stft(b, nperseg=8)[2], ulps=16, scale=4)

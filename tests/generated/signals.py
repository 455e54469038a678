"""Specs of scipy.signal, fft, integrate, ndimage and cluster.vq; complex results are seen as two real ones."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.generated.draw import FLOATS, Call, Draw
from tests.generated.spec import Build, spec

ONE = ("float32", "float32", "int32")  # what jax has Fourier transforms of
MODES = ("full", "same", "valid")


def _parts(name: str) -> Callable[..., Any]:
    """The function of that name with complex results taken apart."""

    def function(m: Any, *args: Any, **kwargs: Any) -> list[Any]:
        outs = operator.attrgetter(name)(m)(*args, **kwargs)
        whole = [m.np.iscomplexobj(y) for y in outs]
        return [part for y, c in zip(outs, whole) for part in ((y.real, y.imag) if c else (y,))]

    return function


def _pair(*shapes: Any, fft: bool | None = None) -> Build:
    """Two operands of one rank; ``fft``: by Fourier transforms, or None if the method is to be drawn."""

    def build(d: Draw, name: str) -> Call:
        first, second = d.pick(*shapes)[:: d.pick(1, -1)]
        by_fft = d.flag() if fft is None else fft
        dtypes = ONE if by_fft else (*FLOATS, "int32")
        x, y = (d.array(s, d.dtype(dtypes), special=False) for s in (first, second))
        method = {"method": "fft" if by_fft else d.pick("auto", "direct")} if fft is None else {}
        return d.call(name, x, y, mode=d.pick(*MODES), **method)

    return build


MATRICES = (((4, 3), (2, 3)), ((3, 3), (3, 3)), ((2, 5), (1, 2)), ((1, 1), (1, 1)))
ANY_RANK = (((7,), (3,)), ((3,), (3,)), ((1,), (1,)), *MATRICES[:2], ((2, 3, 2), (1, 2, 2)))
spec("scipy.signal.convolve correlate", _pair(*ANY_RANK), ulps=8)
spec("scipy.signal.convolve2d correlate2d", _pair(*MATRICES, fft=False), ulps=8)
spec("scipy.signal.fftconvolve", _pair(*ANY_RANK, fft=True), ulps=8)


def _detrend(d: Draw, name: str) -> Call:
    x = d.array(d.pick((7,), (4, 3), (2, 3, 4)), d.dtype(ONE), special=False)
    return d.call(name, x, **d.options(axis=(0, -1), type=("constant",), bp=(1, [1, 2])))


spec("scipy.signal.detrend", _detrend, ulps=16)


def _spectrum(d: Draw, name: str) -> Call:
    signals = [d.array(d.pick((20,), (2, 13)), "float32", special=False)]
    if name.endswith("csd"):
        signals.append(d.array(signals[0].shape, "float32", special=False))
    options = d.options(fs=(0.5, 20), window=("hamming", ("kaiser", 4.0)), noverlap=(0, 2), nfft=(9,),
                        return_onesided=(False,), detrend=("constant", "linear"))  # fmt: skip
    if name.endswith("stft"):
        options |= d.options(boundary=("even", "odd", "constant", None), padded=(False,))
    else:
        options |= d.options(scaling=("spectrum",), average=("median",))
    return d.call(name, *signals, of=_parts(name), nperseg=d.pick(8, 5, 1), **options)


def _from_segments(d: Draw, name: str) -> Call:
    shape = d.pick((5, 3), (2, 5, 4))
    x, y = (d.array(shape, "float32", special=False) for _ in range(2))
    options = d.options(fs=(0.5, 20), window=("hamming",), noverlap=(3, 6), boundary=(False,), input_onesided=(False,))
    # jax's times are as many as there are signals
    target = lambda m, re, im: m.scipy.signal.istft(re + 1j * im, **options)[1]  # noqa: E731
    return d.call(f"{name} {options}", x, y, of=lambda m, *a: [target(m, *a).real, target(m, *a).imag])


spec("scipy.signal.stft welch csd", _spectrum, ulps=16)
spec("scipy.signal.istft", _from_segments, ulps=64)


def _cosines(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype(ONE), special=False)  # where infinities lead to depends on the order of sums
    return d.call(name, x, axis=d.axis(x.ndim), **d.options(n=(2, 5), norm=("ortho", "backward")))


def _cosines_in_space(d: Draw, name: str) -> Call:
    x = d.array(d.pick((4, 3), (2, 3, 4), (5,)), d.dtype(ONE), special=False)
    return d.call(name, x, **d.options(s=((3,), (2,)), norm=("ortho",)) or d.options(axes=((0,), (-1,))))


spec("scipy.fft.dct idct", _cosines, ulps=8)
spec("scipy.fft.dctn idctn", _cosines_in_space, ulps=16)


def _trapezoid(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype((*FLOATS, "int32")), special=False)
    places = (d.array(x.shape, "float32", special=False),) if d.flag() else ()
    return d.call(name, x, *places, **d.options(axis=(0, -1), **({} if places else {"dx": (0.5, 2)})))


spec("scipy.integrate.trapezoid", _trapezoid, ulps=8)


def _coordinates(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), d.dtype((*FLOATS, "int32", "uint8")), special=False)
    shape = d.pick((3,), (), (2, 2))
    places = [d.array(shape, "float32", -2, n + 2, special=False) for n in x.shape]
    mode = d.pick(
        "constant", "nearest", "wrap", "reflect", *(() if 1 in x.shape else ("mirror",))
    )  # jax's is wrong there
    return d.call(name, x, places, d.pick(0, 1), mode=mode, **d.options(cval=(2,)))


spec("scipy.ndimage.map_coordinates", _coordinates, ulps=8)


def _codes(d: Draw, name: str) -> Call:
    """Numbers of which no two are the same, since distances have no derivatives at 0."""
    ends = d.pick(((4, 3), (2, 3)), ((5,), (3,)), ((1, 1), (1, 1)))
    return d.call(name, *(np.asarray(d.rng.uniform(-3, 3, s)).astype(np.float32) for s in ends))


spec("scipy.cluster.vq.vq", _codes, ulps=8)

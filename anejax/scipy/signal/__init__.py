"""jax.scipy.signal on anejax: convolution, trends, and spectra of segments."""

from anejax.absent import getattr_of
from anejax.scipy.signal.convolution import convolve, convolve2d, correlate, correlate2d, fftconvolve
from anejax.scipy.signal.spectra import csd, istft, stft, welch
from anejax.scipy.signal.trends import detrend

__all__ = [
    "convolve", "convolve2d", "correlate", "correlate2d", "csd", "detrend", "fftconvolve", "istft", "stft", "welch"
]  # fmt: skip

__getattr__ = getattr_of(__name__)

"""Windows by name, as scipy.signal.get_window has them: periodic, computed in float64.

They follow from a name, a length and a few numbers, all known when tracing, so they are constants. Formulas: Harris
1978, "On the use of windows for harmonic analysis with the discrete Fourier transform", and what it cites.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax.errors import RefusedError

Ramp = np.ndarray  # places of the samples, symmetric about 0; the ends of the window are at -1 and 1


def window(op: str, spec: str | tuple[Any, ...], n: int) -> np.ndarray:
    """The float64 window [n] of a name, or of a tuple of a name and parameters, e.g. ``("kaiser", 8.6)``.

    It is periodic: ``n`` samples of the symmetric window of n + 1.
    """
    name, *parameters = (spec,) if isinstance(spec, str) else spec
    maker = _WINDOWS.get(_ALIASES.get(name, name))
    if maker is None:
        raise RefusedError(
            f"[{op}] expected one of the windows {', '.join(sorted(_WINDOWS))}, got {name!r}. Pass the window as an"
            " array, e.g. scipy.signal.get_window(...)."
        )
    if n <= 1:
        return np.ones(n)
    try:
        return maker(np.linspace(-1, 1, n + 1), *parameters)[:n]
    except TypeError:
        raise ValueError(f"[{op}] the window {name!r} takes other parameters than {tuple(parameters)}.") from None


def _cosines(x: Ramp, terms: Sequence[float]) -> np.ndarray:
    return sum(a * np.cos(k * np.pi * x) for k, a in enumerate(terms)) + 0 * x


def _of_cosines(*terms: float) -> Callable[[Ramp], np.ndarray]:
    return lambda x: _cosines(x, terms)


def _samples(x: Ramp) -> Ramp:
    """Places in samples instead of in half widths."""
    return x * (len(x) - 1) / 2


def _triang(x: Ramp) -> np.ndarray:
    """A triangle that would be 0 one sample (of an odd length) or half a sample (of an even one) beyond the ends."""
    return 1 - np.abs(_samples(x)) * 2 / (len(x) + len(x) % 2)


def _parzen(x: Ramp) -> np.ndarray:
    u = np.abs(_samples(x)) * 2 / len(x)
    return np.where(u <= 0.5, 1 - 6 * u**2 * (1 - u), 2 * (1 - u) ** 3)


def _bohman(x: Ramp) -> np.ndarray:
    u = np.abs(x)
    inside = (1 - u) * np.cos(np.pi * u) + np.sin(np.pi * u) / np.pi
    return np.where(u < 1, inside, 0)


def _barthann(x: Ramp) -> np.ndarray:
    return 0.62 - 0.48 * np.abs(x / 2) + 0.38 * np.cos(np.pi * x)


def _tukey(x: Ramp, alpha: float = 0.5) -> np.ndarray:
    if alpha <= 0:
        return np.ones(len(x))
    beyond = np.maximum(np.abs(x) - 1 + alpha, 0) / alpha if alpha < 1 else np.abs(x)
    return 0.5 + 0.5 * np.cos(np.pi * beyond)


def _kaiser(x: Ramp, beta: float) -> np.ndarray:
    return np.i0(beta * np.sqrt(np.maximum(1 - x**2, 0))) / np.i0(beta)


def _general_gaussian(x: Ramp, p: float, sig: float) -> np.ndarray:
    return np.exp(-0.5 * np.abs(_samples(x) / sig) ** (2 * p))


def _exponential(x: Ramp, center: float | None = None, tau: float = 1.0) -> np.ndarray:
    middle = (len(x) - 1) / 2
    return np.exp(-np.abs(_samples(x) + middle - (middle if center is None else center)) / tau)


_WINDOWS: dict[str, Callable[..., np.ndarray]] = {
    "barthann": _barthann,
    "bartlett": lambda x: 1 - np.abs(x),
    "blackman": _of_cosines(0.42, 0.5, 0.08),
    "blackmanharris": _of_cosines(0.35875, 0.48829, 0.14128, 0.01168),
    "bohman": _bohman,
    "boxcar": np.ones_like,
    "cosine": lambda x: np.cos(np.pi / 2 * _samples(x) * 2 / len(x)),
    "exponential": _exponential,
    "flattop": _of_cosines(0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
    "gaussian": lambda x, std: _general_gaussian(x, 1, std),
    "general_cosine": _cosines,
    "general_gaussian": _general_gaussian,
    "general_hamming": lambda x, alpha: _cosines(x, (alpha, 1 - alpha)),
    "hamming": _of_cosines(0.54, 0.46),
    "hann": _of_cosines(0.5, 0.5),
    "kaiser": _kaiser,
    "lanczos": np.sinc,
    "nuttall": _of_cosines(0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "parzen": _parzen,
    "triang": _triang,
    "tukey": _tukey,
}
_ALIASES = {
    alias: name
    for name, aliases in {
        "barthann": "brthan bth", "bartlett": "bart brt", "blackman": "black blk", "blackmanharris": "blackharr bkh",
        "bohman": "bman bmn", "boxcar": "box ones rect rectangular", "cosine": "halfcosine", "exponential": "poisson",
        "flattop": "flat flt", "gaussian": "gauss gss", "general_gaussian": "general gauss",
        "hamming": "hamm ham", "hann": "han", "kaiser": "ksr", "lanczos": "sinc", "nuttall": "nutl nut",
        "parzen": "parz par", "triang": "triangle tri", "tukey": "tuk",
    }.items()
    for alias in aliases.split()
}  # fmt: skip

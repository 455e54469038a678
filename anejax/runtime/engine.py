"""Finds out whether an engine is there, by running a program on it, and which chip it belongs to."""

from __future__ import annotations

import functools
import os
import sys
import warnings

import numpy as np

from anejax.config import config
from anejax.core.array import from_numpy, new_contents
from anejax.core.trace import user_stacklevel
from anejax.errors import DeviceError, EngineFallbackWarning, MissingDependencyError
from anejax.mil.chips import BY_COREAI, LATEST, STRICTEST, is_unknown, this_chip
from anejax.mil.profile import this_machine
from anejax.runtime.coreai import program as coreai
from anejax.runtime.programs import compiled

ENGINES = ("ane", "coreai")  # devices whose functions are divided, with the CPU device beside them

# y = x w. The compiler may leave programs of elementwise operations alone to the CPU, so it is a product.
SELF_TEST = """program(1.3)
[buildInfo = dict<string, string>({{"coremlc-component-MIL", "3520.4.1"}, {"coremlc-version", "3520.5.1"}})]
{
    func main<ios18>(tensor<fp16, [1, 64]> x, tensor<fp16, [64, 64]> w) {
        tensor<fp16, [1, 64]> y = matmul(transpose_x = false, transpose_y = false, x = x, y = w)[name = string("y")];
    } -> (y);
}
"""


def what_runs(device: str) -> str:
    """The route of the engine's programs of functions for ``device``: for "ane" it is "ane" (by e5rt) or "coreai", as
    the setting ``engine_route`` says; "auto" takes e5rt where it runs, then Core AI where that has the engine."""
    if device != "ane" or config.engine_route == "e5rt":
        return device
    if config.engine_route == "coreai":
        return "coreai"
    espresso = os.environ.get("ANEJAX_ESPRESSO", "")
    if sys.platform != "darwin" or _why_missing("ane", espresso) is None or not _coreai_has_engine():
        return "ane"
    return "coreai" if _why_missing("coreai", espresso) is None else "ane"


@functools.cache
def _coreai_has_engine() -> bool:
    try:
        return coreai.has_engine()
    except (DeviceError, MissingDependencyError):
        return False


def why_missing(device: str = "ane") -> str | None:
    """Why ``device`` does not run programs here, or None when it does: it is given one, and must get it right.

    The answer is kept for the process. An engine that is not there is asked for anew when ANEJAX_ESPRESSO has changed.
    """
    return _why_missing(what_runs(device), os.environ.get("ANEJAX_ESPRESSO", ""))


@functools.cache
def _why_missing(device: str, espresso: str) -> str | None:
    x = np.arange(64, dtype=np.float16) - 31
    w, y = 2 * np.eye(64, dtype=np.float16), np.full_like(x, np.nan)
    try:
        compiled(device, SELF_TEST).run([from_numpy(a).pointer for a in (x, w)], [from_numpy(y).pointer])
    except (DeviceError, MissingDependencyError) as err:
        return str(err)
    return None if np.array_equal(y, 2 * x) else f"[{device}] its first program, y = 2x, gave {y[:4]} for {x[:4]}."


# s' = s w + x with s' in the buffer of s, which counts; a product for the same reason, and w turns s around, so that an
# engine tells itself that writes one part of s' before it has read another part of s
ACCUMULATOR = """program(1.3)
[buildInfo = dict<string, string>({{"coremlc-component-MIL", "3520.4.1"}, {"coremlc-version", "3520.5.1"}})]
{
    func main<ios18>(tensor<fp16, [1, 64]> s, tensor<fp16, [1, 64]> x, tensor<fp16, [64, 64]> w) {
        tensor<fp16, [1, 64]> p = matmul(transpose_x = false, transpose_y = false, x = s, y = w)[name = string("p")];
        tensor<fp16, [1, 64]> y = add(x = p, y = x)[name = string("y")];
    } -> (y);
}
"""


def why_not_resident(device: str = "ane") -> str | None:
    """Why state does not stay inside ``device`` between runs, or None when it does: an accumulator must count.

    The answer is kept as that of ``why_missing`` is.
    """
    return _why_not_resident(device, os.environ.get("ANEJAX_ESPRESSO", ""))


@functools.cache
def _why_not_resident(device: str, espresso: str) -> str | None:
    state, ones = np.zeros(64, np.float16), np.ones(64, np.float16)
    turn = np.eye(64, dtype=np.float16)[::-1].copy()
    made = np.empty_like(state)
    now, added, factor = new_contents(), new_contents(), new_contents()
    try:
        program = compiled(device, ACCUMULATOR, shared=((0, 0),))
        for count in range(1, 5):
            then = new_contents()
            given = [from_numpy(a).pointer for a in (state, ones, turn)]
            program.run(given, [from_numpy(made).pointer], [now, added, factor], [then])
            if (made != count).any():
                return f"[{device}] an accumulator in a shared buffer came to {made[:4]} instead of {count}."
            now, state = then, np.full_like(state, 1000)  # outside it is something else, should it be copied
    except (DeviceError, MissingDependencyError) as err:
        return str(err)
    return None


def fall_back(forbidden: str, stated: str, cause: Exception | None = None) -> None:
    """Handles a failure as the setting engine_fallback says: a DeviceError that names what is ``forbidden``, or a
    warning that says what happens instead."""
    if config.engine_fallback == "error":
        raise DeviceError(
            f"[jit] {forbidden} It may not fall back to the CPU device, as the setting engine_fallback is 'error'."
        ) from cause
    warnings.warn(
        f"[jit] {stated} (config.update('engine_fallback', 'error') makes this an error.)",
        EngineFallbackWarning,
        stacklevel=user_stacklevel(),
    )


_told: set[str] = set()  # why the engine is missing, where that was warned of


def is_there(device: str) -> bool:
    """Whether programs can run on ``device``. If not, the setting engine_fallback decides between a warning, given
    once, and DeviceError."""
    reason = why_missing(device)
    if reason is None:
        return True
    if reason not in _told or config.engine_fallback == "error":
        fall_back(f"the engine is not there: {reason}",
                  f"the engine is not there, and the CPU device runs everything: {reason}")  # fmt: skip
        _told.add(reason)
    return False


def chip(device: str = "ane") -> str:
    """The chip that partitions are made for: the setting ``chip``, this machine's, or the strictest there is; with the
    costs of Core AI where that runs the engine's programs.

    For a chip of Apple's that is not known it is the latest that is, which is warned of once.
    """
    return (config.chip or _own_chip()) + (BY_COREAI if what_runs(device) == "coreai" else "")


@functools.cache
def _own_chip() -> str:
    machine = this_machine()
    if is_unknown(machine):
        warnings.warn(
            f"[engine] {machine} is not known: programs are divided by the rules and the costs of {LATEST}, the latest"
            " that is. config.update('chip', name) takes another; `anejax doctor` measures this one.",
            EngineFallbackWarning,
            stacklevel=user_stacklevel(),
        )
    return this_chip() or STRICTEST


def device_in_words(device: str) -> str:
    """The device on which functions that were jitted for ``device`` run: "cpu", or "ane" or "coreai" with its chip if
    that engine is there."""
    if device not in ENGINES:
        return device
    missing = why_missing(device)
    if missing:
        return f"cpu; the engine is not there: {missing}"
    return f"{device} ({chip(device)}), with the CPU device beside it"

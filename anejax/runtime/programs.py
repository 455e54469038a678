"""Compiles MIL text for a device, by the native library or by Core AI."""

from __future__ import annotations

from collections.abc import Sequence

from anejax.runtime.coreai.program import CoreAIProgram
from anejax.runtime.library import NativeProgram

Compiled = NativeProgram | CoreAIProgram


def compiled(device: str, text: str, donated: Sequence[int] = (), shared: Sequence[tuple[int, int]] = ()) -> Compiled:
    """The program of ``text``. Raises DeviceError.

    Core AI does not use donated or shared buffers: its outputs are new arrays in each run, which it keeps.
    """
    return CoreAIProgram.of_mil(text) if device == "coreai" else NativeProgram(device, text, donated, shared)

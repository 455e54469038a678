"""The process that runs Core AI: loads programs and runs them on memory shared with the process that started it.

A message is (number, order, operands), and its answer (number, error or None, result). The inputs and outputs of a
program lie in one file in memory, whose descriptor comes with the order to load. For each input the runtime has one
array, which is filled by a memory copy. The runtime makes a new array for each output in each run; it can be the next
run's input.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anejax.coreai import asset
from anejax.runtime.coreai import store
from anejax.runtime.coreai.link import Closed, Link

Place = tuple[str, int, int]  # a port in the shared memory: name, start, bytes
COPY, KEEP = -1, -2  # treatment of an input; a number from 0 on says which output it was


class Loaded:
    """A program of the runtime, and its memory."""

    def __init__(self, function: Any, file: int, inputs: Sequence[Place], outputs: Sequence[Place]) -> None:
        self._function, self._inputs, self._outputs = function, inputs, outputs
        size = max(1, *(begin + nbytes for _, begin, nbytes in (*inputs, *outputs)))
        self._memory = mmap.mmap(file, size)
        self._shared = np.frombuffer(self._memory, np.uint8)
        desc = function.desc
        self._arrays = [asset.empty(desc.input_descriptor(name)) for name, _, _ in inputs]
        self._states = {name: asset.empty(desc.state_descriptor(name)) for name in desc.state_names}
        self._made: list[Any] = []

    async def run(self, sources: Sequence[int]) -> None:
        """Runs on the inputs that are new (COPY), those of before (KEEP) and outputs of the last run."""
        for p, source in enumerate(sources):
            if source >= 0:
                self._arrays[p] = self._made[source]
        for p, (source, (_, begin, nbytes)) in enumerate(zip(sources, self._inputs)):
            if source == COPY:
                asset.fill(self._arrays[p], self._shared[begin : begin + nbytes])
        given = {name: array for (name, _, _), array in zip(self._inputs, self._arrays)}
        made = await self._function(given, self._states)
        self._made = [made[name] for name, _, _ in self._outputs]
        for array, (_, begin, nbytes) in zip(self._made, self._outputs):
            self._shared[begin : begin + nbytes] = asset.elements(array)


class Server:
    """Answers the orders. Each order is a method."""

    def __init__(self) -> None:
        self._programs: dict[int, Loaded] = {}

    async def load(
        self, files: list[int], program: int, text: str, arrays: list[np.ndarray], inputs: Any, outputs: Any, unit: str
    ) -> dict[str, Any]:
        """Compiles, or finds what was compiled before; the answer says which, and where it is placed."""
        on_engine = asset.has_engine()
        key = store.key_of(text, arrays, "asset" if on_engine else "lowered")
        path, compiled = store.stored(key, lambda path: _compile(path, text, arrays, lower=not on_engine))
        try:
            function, regions = await asset.load(path, unit if on_engine else "")
            self._programs[program] = Loaded(function, files[0], inputs, outputs)
        finally:
            for file in files:
                os.close(file)
        return {"compiled": compiled, "engine": on_engine, "regions": regions}

    async def run(self, files: list[int], program: int, sources: Sequence[int]) -> None:
        await self._programs[program].run(sources)

    async def forget(self, files: list[int], programs: Sequence[int]) -> None:
        for program in programs:
            self._programs.pop(program, None)

    async def surface(self, files: list[int], shape: tuple[int, ...], kind: str = "IO_SURFACE") -> dict[str, Any]:
        """Describes an array of the kind that needs no copies, or of another one."""
        return asset.about_array(shape, kind)

    async def about(self, files: list[int]) -> dict[str, Any]:
        """Describes the runtime."""
        return {"engine": asset.has_engine()}


def _compile(path: Path, text: str, arrays: list[np.ndarray], lower: bool) -> None:
    """Writes an .aimodel, which macOS 27 compiles as it loads it; with ``lower`` its compiled form in its place."""
    path.mkdir()
    saved = asset.save(arrays, text, path / asset.ASSET)
    if lower:
        asset.lower(saved, path / asset.LOWERED)


def serve(link: Link) -> None:
    """Answers until the other end is gone."""
    server, loop = Server(), asyncio.new_event_loop()
    while True:
        try:
            (number, order, operands), files = link.receive()
        except Closed:
            return
        try:
            answer = number, None, loop.run_until_complete(getattr(server, order)(files, *operands))
        except Exception as err:  # every error of the package becomes an answer
            answer = number, f"{type(err).__name__}: {err}", None
        link.send(answer)


def main() -> None:
    """The process: its argument is the descriptor of its end."""
    serve(Link(socket.socket(fileno=int(sys.argv[1]))))

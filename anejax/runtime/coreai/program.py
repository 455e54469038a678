"""MIL programs on Core AI, with the interface of library.NativeProgram."""

from __future__ import annotations

import json
import mmap
import os
import tempfile
import threading
from collections.abc import Sequence

import numpy as np

from anejax.config import config
from anejax.coreai.asset import check_package
from anejax.coreai.program import Port, graph, module
from anejax.coreai.text import Text
from anejax.errors import AnejaxError, DeviceError
from anejax.mil.parse import parse
from anejax.mil.program import NUMPY_DTYPES, Value
from anejax.runtime import library
from anejax.runtime.coreai.serve import COPY, KEEP, Place
from anejax.runtime.coreai.worker import Worker, worker

ALIGNMENT = 64


class CoreAIProgram:
    """A program on Core AI: its text and large constants, and its ports in order. ``of_mil`` makes one of MIL text.

    ``unit`` is what the system may run it on, where it has Core AI itself: "engine" if it can, "default", or "cpu".

    Inputs are copied into memory that the worker shares, except those whose contents (core.array) it has: it keeps
    what an input was, and an output that comes back as an input, as state does, is handed over. Outputs are copied out
    in each run, so the copies outside are always current, and if the process dies, only a load is lost.
    """

    device = "coreai"

    def __init__(
        self,
        source: str,
        large: list[np.ndarray],
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        unit: str = "engine",
    ) -> None:
        """Raises DeviceError with the reason why Core AI cannot have it; MissingDependencyError."""
        check_package()
        self._source, self._large, self._unit = source, large, unit
        self.inputs, self.outputs = ([library.port(*port[1:]) for port in ports] for ports in (inputs, outputs))
        self.aliases, self.output_nbytes = [-1] * len(self.outputs), [p.nbytes for p in self.outputs]
        size = 0
        self._places: list[list[Place]] = [[], []]
        for places, ports, made in zip(self._places, (inputs, outputs), (self.inputs, self.outputs)):
            for (name, _, _), port in zip(ports, made):
                places.append((name, size, port.nbytes))
                size += -(-port.nbytes // ALIGNMENT) * ALIGNMENT
        self._size = max(size, 1)
        self._lock = threading.Lock()
        self._counts = {"compiles": 0, "loads": 0, "runs": 0, "copied_inputs": 0, "kept_inputs": 0, "handed_inputs": 0}
        self.placement = ""
        self._load()

    @classmethod
    def of_mil(cls, text: str, unit: str = "engine") -> CoreAIProgram:
        """The program of MIL text. Raises DeviceError; MissingDependencyError."""
        program = parse(text)
        main, written = program.main, Text()
        outputs = [v.name for v in main.outputs]
        try:
            source = module([graph(written, "main", program, outputs, {})])
        except AnejaxError as err:
            raise DeviceError(str(err), "compile_refused") from err
        return cls(source, written.large, list(map(_port, main.inputs)), list(map(_port, main.outputs)), unit)

    def run(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        holds: Sequence[int] | None = None,
        makes: Sequence[int] | None = None,
    ) -> None:
        """As NativeProgram.run. A failed run leaves the outputs as they were."""
        with self._lock:
            holds, makes = holds or [0] * len(inputs), makes or [0] * len(outputs)
            try:
                sources = self._ask(inputs, holds)
            except DeviceError as err:
                if self._on.is_alive or err.reason == "timeout":
                    raise
                sources = self._ask(inputs, holds)  # another program may have ended the process
            self._held, self._made = list(holds), list(makes)
            for address, place in zip(outputs, self._places[1]):
                np.copyto(_bytes(address, place), self._part(place))
            counts = ("copied_inputs", [COPY]), ("kept_inputs", [KEEP]), ("handed_inputs", range(len(outputs)))
            self._counts["runs"] += 1
            for name, kinds in counts:
                self._counts[name] += sum(s in kinds for s in sources)

    def _ask(self, inputs: Sequence[int], holds: Sequence[int]) -> list[int]:
        """One run, of a program that is loaded again where its process has ended; returns where inputs came from."""
        if not self._on.is_alive:
            self._load()
        sources = [self._source_of(p, contents) for p, contents in enumerate(holds)]
        for address, source, place in zip(inputs, sources, self._places[0]):
            if source == COPY:
                np.copyto(self._part(place), _bytes(address, place))
        self._on.ask("run", self._number, sources, limit=config.engine_run_limit, broken=self._forget_contents)
        return sources

    def _source_of(self, port: int, contents: int) -> int:
        if contents == 0:
            return COPY
        if self._held[port] == contents:
            return KEEP
        taken = self._made.index(contents) if contents in self._made else COPY
        return taken if taken == COPY or _same_type(self.inputs[port], self.outputs[taken]) else COPY

    def _part(self, place: Place) -> np.ndarray:
        _, begin, nbytes = place
        return self._memory[begin : begin + nbytes]

    def _forget_contents(self) -> None:
        self._held, self._made = [0] * len(self.inputs), [0] * len(self.outputs)

    def _load(self) -> None:
        self._forget_contents()
        self._on: Worker = worker()
        self._on.programs += 1
        self._number = self._on.programs
        file = _file_without_a_name(self._size)
        try:
            self._share(file)
        finally:
            os.close(file)

    def _share(self, file: int) -> None:
        """Loads the program into the worker, with ``file`` as the memory of both."""
        self._memory = np.frombuffer(mmap.mmap(file, self._size), np.uint8)
        found = self._on.ask(
            "load", self._number, self._source, self._large, *self._places, self._unit,
            limit=config.engine_compile_limit, file=file,
        )  # fmt: skip
        self._counts["loads"] += 1
        self._counts["compiles"] += found["compiled"]
        regions = {None: "", 0: ", no part of it on the engine"}.get(found["regions"], f", {found['regions']} parts")
        self.regions = found["regions"]
        unit = {"engine": "the Neural Engine preferred", "cpu": "the CPU alone"}.get(self._unit, "any unit")
        self.placement = f"{unit}{regions}" if found["engine"] else "Core AI's runtime for the CPU"
        if found["engine"] and self._unit == "engine" and found["regions"] == 0:
            raise DeviceError("[coreai] the program was placed on the CPU or the GPU.", "compile_refused")

    def read_outputs(self, addresses: Sequence[int]) -> list[np.ndarray]:
        """As NativeProgram.read_outputs."""
        return library.read(self.outputs, addresses)

    def numerics(self) -> int:
        """0: it does not look at its numbers."""
        return 0

    def describe(self, what: str) -> str:
        """ "plan" (the text that Core AI gets) or "stats" (JSON)."""
        if what == "plan":
            return f"{self.placement}\n{self._source}"
        return json.dumps(self._counts | {"placement": self.placement})

    def __del__(self) -> None:
        on = getattr(self, "_on", None)
        if on is not None:
            on.forgotten.append(self._number)


def _file_without_a_name(size: int) -> int:
    """Its descriptor; in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        made = os.memfd_create("anejax")
    else:
        made, name = tempfile.mkstemp()
        os.unlink(name)
    os.truncate(made, size)
    return made


def _port(value: Value) -> Port:
    return value.name, value.type.shape, NUMPY_DTYPES[value.type.dtype]


def _bytes(address: int, place: Place) -> np.ndarray:
    nbytes = place[2]
    return np.asarray(library.Borrowed(address, nbytes)) if nbytes else np.empty(0, np.uint8)


def _same_type(a: library.Port, b: library.Port) -> bool:
    return (a.dtype, a.rank, list(a.shape)) == (b.dtype, b.rank, list(b.shape))


def has_engine() -> bool:
    """Whether Core AI has the Neural Engine here, which the system's runtime has from macOS 27 on. Raises DeviceError;
    MissingDependencyError."""
    check_package()
    return worker().ask("about", limit=config.engine_compile_limit)["engine"]

"""Apple's package coreai-core: text as an .aimodel, and an .aimodel as something to call.

Five private names of the package are needed, all of them here: the public ones can neither parse nor keep state. They
are checked against the versions that were tried.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from anejax.errors import ExportError, MissingDependencyError, fail
from anejax.export.aimodel.text import MARK, Text
from anejax.export.mlpackage import Metadata

PACKAGE = "coreai-core"
TRIED = ("1.0.0b3",)  # tests/export/test_export_coreai.py
INITIAL = "initial"  # the function that returns what states begin with
HINT = "pip install 'anejax[coreai]'"


def check_package() -> None:
    """Raises MissingDependencyError unless a version of coreai-core that was tried is installed."""
    try:
        version = importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise MissingDependencyError(f"[coreai] expected {PACKAGE} to be installed: {HINT}") from None
    if version not in TRIED:
        raise MissingDependencyError(
            f"[coreai] expected {PACKAGE} {' or '.join(TRIED)}, whose private names are known, got {version}: {HINT}"
        )


def available() -> bool:
    """Whether ``check_package`` finds nothing to say."""
    try:
        check_package()
    except MissingDependencyError:
        return False
    return True


def _module(name: str) -> ModuleType:
    check_package()
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(f"[coreai] {PACKAGE} does not load here: {error}") from error


def save(text: Text, source: str, path: Path, metadata: Metadata) -> None:
    """Saves the module ``source`` with the large constants of ``text`` as ``path``."""
    authoring, ir = _module("coreai.authoring"), _module("coreai._compiler.ir")
    context = authoring.Context()._mlir_context
    with context:
        module = ir.Module.parse(source)
        with ir.Location.unknown():  # types ask for a location; attributes keep none
            _fill(module, text.large)
    asset = authoring.AIProgram._from_mlir_module(module).save_asset(path)

    def say(known: Any) -> None:
        known.author, known.license, known.model_description = metadata.author, metadata.license, metadata.description
        version = {"version": metadata.version} if metadata.version else {}
        for name, said in {**version, **metadata.more}.items():
            known.set_custom(name, said)

    asset.update_metadata(say)


def _fill(module: Any, arrays: list[np.ndarray[Any, Any]]) -> None:
    """Puts each array in the place of the zeros that stand for it."""
    create = _module("coreai._compiler.dialects.coreai").create_constant_attr

    def visit(op: Any) -> None:
        if MARK in op.attributes:
            op.attributes["value"] = create(np.ascontiguousarray(arrays[op.attributes[MARK].value]))
            del op.attributes[MARK]
        for region in op.regions:
            for block in region:
                for inner in block:
                    visit(inner.operation)

    if arrays:
        visit(module.operation)


class AIModel:
    """An .aimodel on this machine: on Linux by the CPU runtime in coreai-core, an oracle rather than a fast one.

    ``model(inputs, function="main")`` takes and returns arrays by the names of ports. States are kept between calls,
    for all functions together, in ``states``; ``model.states[name]`` reads one and setting it writes one. They start
    with the values that the package holds (its function ``initial``), or as zeros.

    Raises ExportError where the path is no .aimodel, or names, shapes or dtypes are others than the function's;
    MissingDependencyError.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        if not (path / "main.mlirb").is_file():
            fail("coreai", f"expected an .aimodel, got {path}", ExportError)
        self._runtime = _module("coreai.runtime")
        self._loop = _Loop()
        try:
            asset = _module("coreai.authoring").AIModelAsset.load(path)
            self._manager = asset.executable()
            self._model = self._loop.run(self._manager.__aenter__())
        except BaseException:
            self._loop.close()
            raise
        self._functions: dict[str, Any] = {}
        self.states = States(self._runtime.NDArray)
        if INITIAL in self.functions:
            self.states.arrays.update(self._loop.run(self._function(INITIAL)({}, {})))

    def __call__(self, inputs: Mapping[str, Any], function: str = "main") -> dict[str, np.ndarray[Any, Any]]:
        found = self._function(function)
        given = self._checked(inputs, function, found.desc)
        kept = {name: self.states.of(name, found.desc) for name in found.desc.state_names}
        try:
            out = self._loop.run(found(given, kept))
        except (ValueError, TypeError, RuntimeError, KeyError) as error:
            raise ExportError(f"[coreai] {function}: {error}") from error
        return {name: np.array(value.numpy()) for name, value in out.items()}

    @property
    def functions(self) -> list[str]:
        """The names of the functions."""
        return list(self._model.function_names)

    def ports(self, function: str = "main") -> tuple[list[str], list[str], list[str]]:
        """The names of its inputs, outputs and states."""
        desc = self._function(function).desc
        return list(desc.input_names), list(desc.output_names), list(desc.state_names)

    def close(self) -> None:
        """Frees the model; it must not be called after this."""
        self._loop.run(self._manager.__aexit__(None, None, None))
        self._loop.close()

    def _checked(self, inputs: Mapping[str, Any], function: str, desc: Any) -> dict[str, Any]:
        """The inputs as the runtime's arrays. Others than the function's would kill the process."""
        expected = list(desc.input_names)
        if {*inputs} != {*expected}:
            fail(
                "coreai", f"expected the inputs {', '.join(expected)} of {function}, got {sorted(inputs)}", ExportError
            )
        arrays = {}
        for name in expected:
            array, port = np.asarray(inputs[name]), desc.input_descriptor(name)
            if (array.shape, array.dtype.name) != (tuple(port.shape), str(port.dtype)):
                wanted = f"{port.dtype}{list(port.shape)}"
                fail("coreai", f"expected {name} to be {wanted}, got {array.dtype}{list(array.shape)}", ExportError)
            arrays[name] = self._runtime.NDArray(array)
        return arrays

    def _function(self, name: str) -> Any:
        if name not in self._functions:
            if name not in self.functions:
                fail("coreai", f"expected a function of {', '.join(self.functions)}, got {name!r}", ExportError)
            self._functions[name] = self._model.load_function(name)
        return self._functions[name]


class States(MutableMapping[str, np.ndarray[Any, Any]]):
    """The states of a model by name; reading copies."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self.arrays: dict[str, Any] = {}  # of the runtime's own kind, which functions update in place

    def of(self, name: str, desc: Any) -> Any:
        """The runtime's array, of zeros at first."""
        if name not in self.arrays:
            self.arrays[name] = self._make.from_descriptor(desc.state_descriptor(name))
        return self.arrays[name]

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return np.array(self.arrays[name].numpy())

    def __setitem__(self, name: str, value: Any) -> None:
        self.arrays[name] = self._make(np.asarray(value))

    def __delitem__(self, name: str) -> None:
        del self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


class _Loop:
    """An event loop on a thread of its own, so that calls work inside other loops, as in a notebook."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="coreai", daemon=True)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        async def call() -> Any:
            return await coroutine

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

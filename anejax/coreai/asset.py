"""Calls Apple's package coreai-core: makes an .aimodel from text, loads models, and lends memory to its arrays.

The package's public names can neither parse text, keep state, keep a lowered model, nor lend an array's memory.
So this module uses seven private names, and checks the package's version against those that were tried.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from anejax.coreai.text import MARK, NARROW
from anejax.errors import MissingDependencyError
from anejax.mil.weights import packed

PACKAGE = "coreai-core"
TRIED = ("1.0.0b3",)  # tests/export/test_export_coreai.py
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
    """Whether ``check_package`` finds no fault."""
    try:
        check_package()
    except MissingDependencyError:
        return False
    return True


def part(name: str) -> ModuleType:
    """A module of the package. Raises MissingDependencyError."""
    check_package()
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(f"[coreai] {PACKAGE} does not load here: {error}") from error


def save(large: list[np.ndarray[Any, Any]], source: str, path: Path) -> Any:
    """Saves the module ``source`` with its ``large`` constants as ``path``; returns the package's AIModelAsset."""
    authoring, ir = part("coreai.authoring"), part("coreai._compiler.ir")
    context = authoring.Context()._mlir_context
    with context:
        module = ir.Module.parse(source)
        with ir.Location.unknown():  # types ask for a location; attributes keep none
            _fill(module, large)
    return authoring.AIProgram._from_mlir_module(module).save_asset(path)


def _fill(module: Any, arrays: list[np.ndarray[Any, Any]]) -> None:
    """Puts each array in the place of the zeros that stand for it."""

    def visit(op: Any) -> None:
        if MARK in op.attributes:
            op.attributes["value"] = _attribute(np.ascontiguousarray(arrays[op.attributes[MARK].value]))
            del op.attributes[MARK]
        for region in op.regions:
            for block in region:
                for inner in block:
                    visit(inner.operation)

    if arrays:
        visit(module.operation)


def _attribute(array: np.ndarray[Any, Any]) -> Any:
    """A constant of the package's. Elements of fewer than eight bits lie side by side: create_constant_attr takes their
    bytes for that, and what it makes of them ends the process when it is loaded."""
    ir, bits = part("coreai._compiler.ir"), NARROW.get(array.dtype.name)
    if bits is None:
        return part("coreai._compiler.dialects.coreai").create_constant_attr(array)
    make = ir.IntegerType.get_unsigned if array.dtype.name.startswith("u") else ir.IntegerType.get_signed
    type_of = ir.RankedTensorType.get(list(array.shape), make(bits))
    side_by_side = np.frombuffer(packed(array.astype(np.int8), bits), np.uint8)
    return ir.DenseResourceElementsAttr.get_from_buffer(side_by_side, "dense_resource", type_of)


class Loop:
    """An event loop on its own thread, so that calls work inside other event loops, as in a notebook."""

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


# ---- what the runtime does with a saved asset

ASSET, LOWERED = "main.aimodel", "main.aimodelx"
REGION = "*ANE_region_*.mlir.bc"  # files of a specialized bundle, one for each part that the engine has
SPECIALIZED = Path("~/Library/Caches/coreai-cache")


def has_engine() -> bool:
    """Whether the runtime is the system's (from macOS 27 on), which has the Neural Engine; the package's own has
    not."""
    return bool(part("coreai.runtime").SpecializationOptions.is_supported())


def lower(asset: Any, path: Path) -> None:
    """Writes the compiled form of an asset of ``save``, for the package's own runtime."""
    path.mkdir()
    asset._write_odix(path)


async def load(folder: Path, unit: str) -> tuple[Any, int | None]:
    """The function main of what is in ``folder``, and as how many parts the engine has it, where that can be told.

    ``unit`` is "engine", "default" or "cpu" for the system's runtime, "" for the package's own. "engine" is a
    preference, which the system may silently ignore. Each part is a file of the bundle. The system writes these files
    only when it sees a program for the first time (docs/sources.md, "Core AI").
    """
    runtime = part("coreai.runtime")
    if not unit:
        model = await runtime.AIModel.load(folder / LOWERED)
        return model.load_function("main"), 0
    options = runtime.SpecializationOptions
    chosen = (
        options.from_preferred_compute_unit_kind(runtime.ComputeUnitKind.neural_engine())
        if unit == "engine"
        else {"cpu": options.cpu_only, "default": options.default}[unit]()
    )
    begin = time.time()
    model = await runtime.AIModel.load(folder / ASSET, chosen)
    return model.load_function("main"), _regions_since(begin, SPECIALIZED.expanduser())


def _regions_since(begin: float, folder: Path) -> int | None:
    written = [p for p in folder.rglob("*") if p.is_file() and p.stat().st_mtime >= begin]
    return sum(p.match(REGION) for p in written) if written else None


def empty(descriptor: Any) -> Any:
    """An array of the runtime for a port."""
    return part("coreai.runtime").NDArray.from_descriptor(descriptor)


def about_array(shape: tuple[int, ...], kind: str = "IO_SURFACE") -> dict[str, Any]:
    """The strides, in elements, of an array of float16 that is stored so, its bytes, and whether what is written there
    is what the runtime reads. Raises RuntimeError where there is no such kind."""
    runtime = part("coreai.runtime")
    array = runtime.NDArray(np.zeros(shape, np.float16), getattr(runtime.StorageKind, kind))
    new, size = np.arange(1, 1 + np.prod(shape), dtype=np.float16).reshape(shape), memoryview(array._tensor).nbytes
    strides = tuple(array.strides)
    try:
        fill(array, new.view(np.uint8).ravel())
        writable = bool(np.array_equal(array.numpy(), new))
    except ValueError:  # rows with gaps
        writable = False
    last = sum((n - 1) * s for n, s in zip(shape, strides)) + 1
    return {"strides": strides, "bytes": max(size, 2 * last), "writable": writable}


def elements(array: Any) -> np.ndarray[Any, Any]:
    """The bytes of an array of the runtime, in order: its own memory where that is contiguous."""
    view = memoryview(array._tensor)
    return np.frombuffer(view if view.c_contiguous else view.tobytes(), np.uint8)


class _Writable:
    """The memory of an array of the runtime, which lends it for reading only."""

    def __init__(self, view: np.ndarray[Any, Any]) -> None:
        self.kept = view
        self.__array_interface__ = view.__array_interface__ | {"data": (view.__array_interface__["data"][0], False)}


def fill(array: Any, source: np.ndarray[Any, Any]) -> None:
    """Copies bytes into an array of ``empty``."""
    view = elements(array)
    if view.nbytes != source.nbytes or not memoryview(array._tensor).c_contiguous:
        raise ValueError(f"expected a contiguous array of {source.nbytes} bytes, got strides {array.strides}")
    np.copyto(np.asarray(_Writable(view)), source)

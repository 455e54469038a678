"""Apple's package coreai-core: text as an .aimodel, lowered models, and the memory of its arrays.

Seven private names of the package are needed, all of them here: the public ones can neither parse, nor keep state, nor
keep what was lowered, nor lend an array's memory. They are checked against the versions that were tried.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from anejax.coreai.text import MARK
from anejax.errors import MissingDependencyError

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
    """Whether ``check_package`` finds nothing to say."""
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
    create = part("coreai._compiler.dialects.coreai").create_constant_attr

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


class Loop:
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

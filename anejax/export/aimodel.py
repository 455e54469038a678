"""Makes an .aimodel callable from Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np

from anejax.coreai.asset import Loop, part
from anejax.errors import ExportError, fail

LABELS = "classLabels"  # in the asset's metadata: function -> output -> the labels of its elements
INITIAL = "initial"  # the function that returns what states begin with


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
        self._runtime = part("coreai.runtime")
        self._loop = Loop()
        try:
            asset = part("coreai.authoring").AIModelAsset.load(path)
            self._labels = asset.metadata.creator_defined_metadata.get(LABELS, {})
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

    def labels(self, function: str = "main") -> dict[str, list[Any]]:
        """The labels of the classes that outputs of the function have probabilities of, by the outputs' names.

        Raises ExportError if the asset's metadata has something else in their place.
        """
        found = self._labels.get(function, {}) if isinstance(self._labels, dict) else self._labels
        if not isinstance(found, dict) or not all(isinstance(names, list) for names in found.values()):
            fail("coreai", f"expected the metadata {LABELS!r} to be lists of labels by function and output, got "
                 f"{self._labels!r:.60}", ExportError)  # fmt: skip
        return dict(found)

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
        self.arrays: dict[str, Any] = {}  # arrays of the runtime's type, which functions update in place

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

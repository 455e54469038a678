"""Writes programs as Core ML's protobuf spec, or as an .mlpackage.

A program must verify for target `coreml`. The protobuf classes and the package format come from coremltools, an
optional dependency.
"""

from __future__ import annotations

import importlib
import logging
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from anejax.errors import ExportError, MissingDependencyError, fail
from anejax.export.flexible import Merger
from anejax.export.labels import Labels
from anejax.export.milproto import Serializer
from anejax.mil.program import Program, Value
from anejax.mil.verify import verify
from anejax.mil.weights import WeightWriter
from anejax.paths import atomic_folder

SPECIFICATION_VERSION = 9  # iOS 18, macOS 15
WEIGHTS_FILE = "weight.bin"
WEIGHTS_PATH = f"@model_path/weights/{WEIGHTS_FILE}"
PORT_NAMES = {"fp16": "FLOAT16", "fp32": "FLOAT32", "int32": "INT32"}


@dataclass(frozen=True)
class Entry:
    """A function of a package: its program's `main`, and what the package says of it.

    `descriptions` gives ports, by name, a sentence each; `states` names the output that each state becomes; `images`
    the colour space of inputs that are pictures. `labels` are those of the output that it names. `variants` are the
    same function for other shapes of its inputs, which become one function with it.
    """

    program: Program
    descriptions: Mapping[str, str] = field(default_factory=dict[str, str])
    states: Mapping[str, str] = field(default_factory=dict[str, str])
    images: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Labels | None = None
    variants: Sequence[Entry] = ()

    def flexible(self) -> dict[str, list[tuple[int, ...]]]:
        """The shapes of each input or output that has several, by name."""
        ports = zip(*((*e.program.main.inputs, *e.program.main.outputs) for e in (self, *self.variants)))
        found = {values[0].name: [v.type.shape for v in values] for values in ports}
        return {name: shapes for name, shapes in found.items() if len({*shapes}) > 1}


@dataclass(frozen=True)
class Metadata:
    """The metadata of a package. `more` holds further entries, by name."""

    author: str = ""
    license: str = ""
    version: str = ""
    description: str = ""
    more: Mapping[str, str] = field(default_factory=dict[str, str])


def to_spec(
    program: Program, descriptions: Mapping[str, str] | None = None, weights: WeightWriter | None = None
) -> Any:
    """The Model protobuf of `program`.

    `descriptions` gives inputs and outputs, by name, a sentence each. Large constants go to `weights`
    when it is given and takes their dtype, and stand in the spec otherwise.
    """
    verify(program, "coreml")
    return serialize({"main": Entry(program, descriptions or {})}, Metadata(), weights)


def serialize(entries: Mapping[str, Entry], metadata: Metadata, weights: WeightWriter | None = None) -> Any:
    """The Model protobuf of functions that are known to verify; the first one is the default."""
    spec = _proto("Model_pb2").Model(specificationVersion=SPECIFICATION_VERSION)
    spec.mlProgram.version = 1
    serializer = Serializer(_proto("MIL_pb2"), weights)
    alone = [*entries] == ["main"]
    for name, entry in entries.items():
        _describe_function(spec.description if alone else spec.description.functions.add(name=name), entry)
        _write_function(serializer, entry, spec.mlProgram.functions[name])
    if not alone:
        spec.description.defaultFunctionName = next(iter(entries))
    _say(spec.description.metadata, metadata)
    return spec


def _write_function(serializer: Serializer, entry: Entry, message: Any) -> None:
    if not entry.variants:
        serializer.function(entry.program, entry.states, message, entry.labels)
        return
    written, constants = [], []
    serializer.separate = True
    for each in (entry, *entry.variants):
        written.append(_proto("MIL_pb2").Function())
        serializer.function(each.program, each.states, written[-1], each.labels)
        constants.append(serializer.constants)
    shapes = entry.flexible()
    name = next(v.name for v in entry.program.main.inputs if v.name in shapes)
    Merger(serializer, constants, name, shapes[name]).merge(written)
    serializer.separate = False
    message.CopyFrom(written[0])


def save_mlpackage(program: Program, path: str | Path, descriptions: Mapping[str, str] | None = None) -> None:
    """Write `program` as the Core ML package `path`, which ends in .mlpackage and does not exist yet."""
    checked_path(path, ".mlpackage")
    verify(program, "coreml")
    save({"main": Entry(program, descriptions or {})}, Metadata(), path)


def save(entries: Mapping[str, Entry], metadata: Metadata, path: str | Path) -> None:
    """Write functions that are known to verify as the Core ML package `path`: all of it, or nothing."""
    path = checked_path(path, ".mlpackage")
    weights = WeightWriter(WEIGHTS_PATH)
    spec = serialize(entries, metadata, weights)
    with atomic_folder(path) as folder, tempfile.TemporaryDirectory() as directory:
        (Path(directory) / WEIGHTS_FILE).write_bytes(weights.contents())
        model = coremltools("coremltools.models").MLModel(spec, weights_dir=directory, skip_model_load=True)
        model.save(str(folder))


def checked_path(path: str | Path, suffix: str) -> Path:
    """Checks that a package that ends in `suffix` may be written to `path`. Raises ExportError."""
    path = Path(path)
    if path.suffix != suffix:
        fail("export", f"expected a path that ends in {suffix}, got {path.name!r}", ExportError)
    if path.is_symlink() or path.exists():
        fail("export", f"expected a new path, but {path} is there already; remove it or choose another", ExportError)
    return path


def _describe_function(description: Any, entry: Entry) -> None:
    """`description` is a ModelDescription or a FunctionDescription: both have the ports of one function."""
    main, flexible = entry.program.main, entry.flexible()
    updated = {*entry.states.values()}
    for value in main.inputs:
        features = description.state if value.name in entry.states else description.input
        _describe_port(features.add(), value, entry, flexible)
    if entry.labels is not None:
        _describe_classes(description, entry.labels, entry.descriptions)
        updated.add(str(entry.labels.output))
    for value in main.outputs:
        if value.name not in updated:
            _describe_port(description.output.add(), value, entry, flexible)


def _describe_classes(description: Any, labels: Labels, said: Mapping[str, str]) -> None:
    """The two outputs of a classifier, as coremltools describes them."""
    label, probabilities = description.output.add(name=labels.predicted), description.output.add()
    probabilities.name = labels.probabilities
    if isinstance(labels.names[0], str):
        label.type.stringType.SetInParent()
        probabilities.type.dictionaryType.stringKeyType.SetInParent()
    else:
        label.type.int64Type.SetInParent()
        probabilities.type.dictionaryType.int64KeyType.SetInParent()
    for feature in (label, probabilities):
        feature.shortDescription = said.get(feature.name, "")
    description.predictedFeatureName, description.predictedProbabilitiesName = label.name, probabilities.name


def _describe_port(feature: Any, value: Value, entry: Entry, flexible: Mapping[str, Any]) -> None:
    feature.name = value.name
    feature.shortDescription = entry.descriptions.get(value.name, "")
    if value.name in entry.images:
        image, spaces = feature.type.imageType, _proto("FeatureTypes_pb2").ImageFeatureType.ColorSpace
        image.height, image.width = value.type.shape[-2:]
        image.colorSpace = spaces.Value(entry.images[value.name])
        if value.name in flexible:
            _describe_sizes(image, [shape[-2:] for shape in flexible[value.name]])
        return
    state = value.name in entry.states
    array = feature.type.stateType.arrayType if state else feature.type.multiArrayType
    array.dataType = type(array).ArrayDataType.Value(PORT_NAMES[value.type.dtype])
    if value.name not in flexible:
        array.shape.extend(value.type.shape)
    elif value in entry.program.main.inputs:  # an output of several shapes has none in its description
        array.shape.extend(value.type.shape)
        _describe_shapes(array, flexible[value.name])


def _ranges(shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, int]] | None:
    """(least, most) of each axis, if the shapes are all that there are within."""
    sizes = [sorted({*axis}) for axis in zip(*shapes)]
    whole = all(axis[-1] - axis[0] + 1 == len(axis) for axis in sizes)
    return [(a[0], a[-1]) for a in sizes] if whole and math.prod(map(len, sizes)) == len({*shapes}) else None


def _describe_shapes(array: Any, shapes: Sequence[tuple[int, ...]]) -> None:
    ranges = _ranges(shapes)
    for low, high in ranges or ():
        array.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    for shape in () if ranges else shapes:
        array.enumeratedShapes.shapes.add().shape.extend(shape)


def _describe_sizes(image: Any, sizes: Sequence[tuple[int, ...]]) -> None:
    ranges = _ranges(sizes)
    if ranges is None:
        for height, width in sizes:
            image.enumeratedSizes.sizes.add(height=height, width=width)
        return
    for message, (low, high) in zip((image.imageSizeRange.heightRange, image.imageSizeRange.widthRange), ranges):
        message.lowerBound, message.upperBound = low, high


def _say(message: Any, metadata: Metadata) -> None:
    message.author, message.license = metadata.author, metadata.license
    message.versionString, message.shortDescription = metadata.version, metadata.description
    for name, text in metadata.more.items():
        message.userDefined[name] = text


def _proto(name: str) -> ModuleType:
    return coremltools(f"coremltools.proto.{name}")


def coremltools(module: str) -> ModuleType:
    """Imports a module of coremltools, and hides its warnings that Core ML itself is missing."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        return importlib.import_module(module)
    except ImportError as error:
        message = "expected coremltools to be installed: pip install 'anejax[coreml]'"
        raise MissingDependencyError(f"[coreml] {message} ({error})") from error
    finally:
        logger.setLevel(level)

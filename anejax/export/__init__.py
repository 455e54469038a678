"""Exports functions as packages for Apple's frameworks: `coreml` writes an .mlpackage, `coreai` an .aimodel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from anejax.errors import ExportError, fail
from anejax.export.aimodel import AIModel as AIModel
from anejax.export.compress import Report as Report
from anejax.export.coreai_program import write
from anejax.export.coreml_program import entry
from anejax.export.function import Function as Function
from anejax.export.function import Image as Image
from anejax.export.halves import PRECISIONS as PRECISIONS
from anejax.export.halves import check_precision
from anejax.export.labels import Labels as Labels
from anejax.export.mlpackage import Entry, checked_path, save
from anejax.export.mlpackage import Metadata as Metadata
from anejax.export.mlpackage import save_mlpackage as save_mlpackage
from anejax.export.ports import check_text
from anejax.export.shapes import MOST, expanded, forms
from anejax.export.shapes import Shapes as Shapes
from anejax.nn.layer import Layer

__all__ = [
    "AIModel", "Function", "Image", "Labels", "Metadata", "PRECISIONS", "Report", "Shapes", "coreai", "coreml",
    "save_mlpackage"
]  # fmt: skip


def coreml(
    f: Callable[..., Any] | Layer | Mapping[str, Function], *args: Any, path: str | Path, params: Any = None,
    state: Any = None, inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None,
    images: Mapping[str, Image] | None = None, weights: str | None = None, precision: str = "float32",
    descriptions: Mapping[str, str] | None = None, metadata: Metadata | None = None, report: Report | None = None,
    labels: Labels | Sequence[str] | Sequence[int] | None = None, one_function: bool = False,
) -> Path:  # fmt: skip
    """Writes ``f`` as the Core ML package ``path`` (.mlpackage), for iOS 18 or macOS 15 and later.

    ``params`` become constants in the package's weight file, and so do arrays that ``f`` has captured. Ports are
    float32, float16 or int32, of rank 1 or more: others are cast at the border. ``Function`` says how ``f`` is called
    and what its ports are called. For a package of several functions, pass a dictionary of ``Function``; functions
    share equal weights, and the first one is the default.

    Args:
        f: a function, jitted or not, or a ``nn.Layer``; or a dictionary of Functions, without further arguments.
        args: the inputs, as arrays or ShapeDtypeStructs, or as ``Shapes`` where an input may have several: then the
            package has a function for each.
        path: where to write; nothing may be there. Folders on the way to it are made, as coremltools makes them.
        params: a tree of arrays; for a layer (params, state), as its ``init`` returns them.
        state: a tree of floats that the package keeps between calls, as float16, the one dtype of Core ML's states; it
            starts as zeros, whatever is given here, until an app writes it.
        inputs, outputs: names of the ports.
        images: inputs, by name, that are pictures.
        weights: None keeps the dtypes of constants; "float16" halves the file. Matrices and kernels of more than 64
            elements are stored in fewer bits by "int8" and "int4", with a scale for each output channel, "int8-block"
            and "int4-block", with one for each 32 inputs of a channel, and "lut2", "lut4", "lut6" and "lut8", as
            places in a table of values that k-means finds.
        precision: "float16" computes in float16, with casts of float32 ports; "float32" as the function says.
        report: hears the name of each weight that is stored in fewer bytes, and its relative error.
        descriptions: a sentence for each port, by name.
        metadata: the package's author, licence and so on.
        labels: a name for each class. The output of probabilities becomes the two outputs of Core ML's classifiers:
            ``classLabel``, the most probable label, and ``classLabel_probs``, a dictionary from labels to
            probabilities. ``Labels`` says which of several outputs has the probabilities.
        one_function: inputs of several shapes (``Shapes``) belong to one function with flexible shapes, instead of a
            function for each shape.

    Returns:
        The path.

    Raises:
        ExportError: arguments, names, shapes of ports or a path that will not do.
        DtypeError: a port of a dtype that Core ML lacks.
        RefusedError: an operation that Core ML lacks (docs/legalization.md), or an array: Core ML has neither axes of
            size 0 nor more than five axes.
        MissingDependencyError: coremltools is not installed.

    Example:
        >>> import tempfile, anejax as aj, anejax.numpy as jnp
        >>> model = aj.nn.Linear(2)
        >>> params = model.init(aj.random.key(0), jnp.ones((1, 3)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     aj.export.coreml(model, jnp.ones((1, 3)), path=f"{folder}/linear.mlpackage", params=params).name
        'linear.mlpackage'
    """
    path = checked_path(path, ".mlpackage")
    check_precision(precision)
    _check_texts(metadata, descriptions)
    functions = _functions(f, args, params, state, inputs, outputs, images, labels)
    given = functions if one_function else expanded(functions)
    entries: dict[str, Entry] = {}
    for name, function in given.items():
        heard = [report, *[None] * MOST]  # the weights of each shape are the same
        made = [entry(f, weights, descriptions or {}, r, precision) for f, r in zip(forms(function), heard)]
        entries[name] = replace(made[0], variants=tuple(made[1:]))
    save(entries, metadata or Metadata(), path)
    return path


def coreai(
    f: Callable[..., Any] | Layer | Mapping[str, Function], *args: Any, path: str | Path, params: Any = None,
    state: Any = None, inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None,
    images: Mapping[str, Image] | None = None, weights: str | None = None, precision: str = "float32",
    metadata: Metadata | None = None, report: Report | None = None,
    labels: Labels | Sequence[str] | Sequence[int] | None = None,
) -> Path:  # fmt: skip
    """Writes ``f`` as the Core AI asset ``path`` (.aimodel), for macOS 27 or iOS 27 and later.

    The arguments are those of ``coreml``, except ``weights="float16"``, which Core AI's compiler turns back into
    float32 (``precision="float16"`` stays), and ``weights="lut6"``, as it has no indices of 6 bits. Core AI has no
    classifiers: ``labels`` are written into the asset's metadata, and the output stays. Ports and states have the
    function's own dtypes. Functions share the states that they give one name; what these begin with is returned by the
    asset's function ``initial``. Every function that the CPU device runs can be exported, except factorizations,
    Fourier transforms and a few special functions: a training step, too, with its parameters as state.
    ``AIModel(path)`` runs the asset here.

    Raises:
        ExportError: arguments, names, shapes of ports or a path that will not do.
        DtypeError: a port of a dtype that Core AI lacks.
        RefusedError: an operation that Core AI lacks.
        MissingDependencyError: no coreai-core of a version that was tried is installed.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> def step(w, x, y):
        ...     loss, slope = aj.value_and_grad(lambda w: jnp.mean((x @ w - y) ** 2))(w)
        ...     return loss, w - 0.1 * slope
        >>> x, y, w = jnp.ones((8, 3)), jnp.ones(8), jnp.zeros(3)
        >>> functions = {"step": aj.export.Function(step, x, y, state=w, outputs="loss")}
        >>> aj.export.coreai(functions, path="trained.aimodel")  # doctest: +SKIP
        PosixPath('trained.aimodel')
        >>> model = aj.export.AIModel("trained.aimodel")  # doctest: +SKIP
        >>> losses = [float(model({"x": x, "y": y}, "step")["loss"]) for _ in range(100)]  # doctest: +SKIP
    """
    path = checked_path(path, ".aimodel")
    check_precision(precision)
    _check_texts(metadata, None)
    functions = expanded(_functions(f, args, params, state, inputs, outputs, images, labels))
    write(functions, weights, path, report, metadata or Metadata(), precision)
    return path


FORMATS: Mapping[str, Callable[..., Path]] = {"mlpackage": coreml, "aimodel": coreai}  # by how their paths end


def _check_texts(metadata: Metadata | None, descriptions: Mapping[str, str] | None) -> None:
    """Raises ExportError unless all that a package says in words is text."""
    said = dict(descriptions or {})
    if metadata is not None:
        said |= {name: getattr(metadata, name) for name in ("author", "license", "version", "description")}
        said |= metadata.more
    for name, text in said.items():
        check_text("a name in the metadata", name)
        check_text(name, text)


def _functions(f: Any, args: tuple[Any, ...], params: Any, state: Any, inputs: Any, outputs: Any,
               images: Any, labels: Any) -> Mapping[str, Function]:  # fmt: skip
    """The functions by name: those of a dictionary, or ``f`` alone as main."""
    if isinstance(f, Mapping):
        return _several(f, args, (params, state, inputs, outputs, images, labels))
    main = Function(f, *args, params=params, state=state, inputs=inputs, outputs=outputs, images=images, labels=labels)
    return {"main": main}


def _several(functions: Mapping[str, Any], args: Sequence[Any], others: Sequence[Any]) -> Mapping[str, Function]:
    if args or any(o is not None for o in others):
        fail("export", "expected no other arguments beside a dictionary of Functions: they belong to each", ExportError)
    for name, function in functions.items():
        if not isinstance(function, Function) or not str(name).isidentifier():
            fail("export", f"expected Functions by names that are identifiers, got {name!r}: "
                 f"{type(function).__name__}", ExportError)  # fmt: skip
    if not functions:
        fail("export", "expected at least one Function, got none", ExportError)
    return functions

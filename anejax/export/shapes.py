"""Inputs of several shapes: the package gets one function for each shape."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from anejax import dtypes, tree
from anejax.core.aval import ShapeDtypeStruct
from anejax.errors import ExportError, fail
from anejax.export.function import Function

MOST = 128  # shapes of an argument, as many as Core ML enumerates


@dataclass(frozen=True, init=False)
class Shapes:
    """An argument that may have several shapes, in place of an array in ``args``.

    The function is traced once for each shape, so each becomes a function of the package, named after the sizes that
    vary: ``main_8`` and ``main_16`` for ``Shapes((8, 3), (16, 3))``. This is how Core AI itself names the forms of a
    function (``AIProgram.set_static_shape_config``). The first shape is Core ML's default. Weights are stored once.
    Arguments that have several shapes take them in step: the function is traced for the first shape of each, then for
    the second of each, and so on.

    Args:
        shapes: tuples of sizes of 1 or more, all of one length; a ``range`` in place of a size stands for all its
            sizes. At most 128 shapes in all.
        dtype: of the argument.

    Raises ExportError for shapes that will not do.

    Example:
        >>> import anejax as aj
        >>> aj.export.Shapes((1, 3, 32, 32), (1, 3, 64, 64)).shapes
        ((1, 3, 32, 32), (1, 3, 64, 64))
        >>> aj.export.Shapes((range(1, 9), 3), dtype="int32").shapes[-1]
        (8, 3)
    """

    shapes: tuple[tuple[int, ...], ...]
    dtype: np.dtype[Any]

    def __init__(self, *shapes: Sequence[int | range], dtype: Any = "float32") -> None:
        if not shapes:
            fail("export", "expected one shape or more, got none", ExportError)
        sizes = [_sizes(shape) for shape in shapes]
        count = sum(math.prod(map(len, shape)) for shape in sizes)
        if count > MOST:
            fail("export", f"expected at most {MOST} shapes of an argument, got {count}: each is a function of the "
                 "package; give ranges a step, such as range(16, 513, 16)", ExportError)  # fmt: skip
        found = tuple(each for shape in sizes for each in product(*shape))
        if len({*map(len, found)}) > 1:
            fail("export", f"expected shapes with as many axes as each other, got {shapes!r:.80}", ExportError)
        if len({*found}) < len(found):
            twice = next(each for i, each in enumerate(found) if each in found[:i])
            fail("export", f"expected shapes that differ, got {twice} twice", ExportError)
        object.__setattr__(self, "shapes", found)
        object.__setattr__(self, "dtype", dtypes.canonical(dtype))


def _sizes(shape: Any) -> list[Sequence[int]]:
    """The sizes that each axis may have."""
    if not isinstance(shape, Sequence) or isinstance(shape, (str, range)):
        fail("export", f"expected shapes as tuples of sizes, got {shape!r:.60}", ExportError)
    found: list[Sequence[int]] = []
    for size in shape:
        try:
            sizes = size if isinstance(size, range) else (operator.index(size),)
        except TypeError:
            fail("export", f"expected sizes that are integers or ranges of them, got {size!r:.60}", ExportError)
        if len(sizes) == 0 or min(sizes[0], sizes[-1]) < 1:
            fail("export", f"expected sizes of 1 or more, got {size!r}", ExportError)
        found.append(sizes)
    return found


def forms(function: Function) -> list[Function]:
    """The function for each of the shapes of its arguments."""
    return [each for _, each in _of_each_shape("", function)]


def expanded(functions: Mapping[str, Function]) -> dict[str, Function]:
    """Replaces each function that has arguments of several shapes by one function for each shape."""
    found: dict[str, Function] = {}
    for name, function in functions.items():
        for new, each in _of_each_shape(name, function):
            if new in found or (new != name and new in functions):
                fail("export", f"expected functions of different names, got {new} twice: the shapes of {name} make one "
                     "of that name", ExportError)  # fmt: skip
            found[new] = each
    return found


def _of_each_shape(name: str, function: Function) -> Iterator[tuple[str, Function]]:
    leaves, treedef = tree.flatten(function.args)
    flexible = [leaf for leaf in leaves if isinstance(leaf, Shapes)]
    counts = {len(leaf.shapes) for leaf in flexible}
    if len(counts) > 1:
        fail("export", f"expected arguments of several shapes to have as many as each other, got "
             f"{' and '.join(str(len(leaf.shapes)) for leaf in flexible)}: the first shapes belong together, then the "
             "second ones, and so on", ExportError)  # fmt: skip
    if not flexible:
        yield name, function
        return
    for k in range(counts.pop()):
        concrete = [ShapeDtypeStruct(x.shapes[k], x.dtype) if isinstance(x, Shapes) else x for x in leaves]
        new = function.replaced(tree.unflatten(treedef, concrete))
        yield "_".join([name, *_suffix([_varying(leaf, k) for leaf in flexible])]), new


def _varying(argument: Shapes, k: int) -> str:
    """The sizes of the k-th shape, along the axes where shapes differ."""
    axes = zip(*argument.shapes)
    return "x".join(str(sizes[k]) for sizes in axes if len({*sizes}) > 1)


def _suffix(parts: Sequence[str]) -> list[str]:
    """The end of a function's name: its sizes, written once if all arguments have the same."""
    return [part for part in (parts[:1] if len({*parts}) == 1 else parts) if part]

"""Builds Core AI's IR as text, in MLIR's generic form: values, operations, constants, regions, graphs.

Most parameters of operations are tensor operands, made by ``coreai.constant``. Large constants are not part of the
text: 64 MB as text took 2 s and 890 MB. In their place the text has a constant of zeros with the attribute
``anejax.constant``, an index into ``Text.large``, and the array is filled in after parsing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from anejax.errors import RefusedError

Dims = tuple[int, ...]
Array = np.ndarray[Any, Any]

TYPES = {
    "bool": "i1", "float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64",
    **{f"{sign}int{bits}": f"{'u' if sign else 's'}i{bits}" for sign in ("", "u") for bits in (2, 4, 8, 16, 32, 64)},
}  # fmt: skip
NARROW = {"int2": 2, "uint2": 2, "int4": 4, "uint4": 4}  # dtypes of ml_dtypes: bits of an element
INLINE = 1024  # elements; larger constants stand outside the text
MARK = "anejax.constant"


def type_of(shape: Iterable[int], dtype: np.dtype) -> str:
    """``tensor<2x3xf32>``."""
    return f"tensor<{''.join(f'{n}x' for n in shape)}{TYPES[dtype.name]}>"


class Tensor:
    """A value of the text; compared by identity. ``fixed``: a constant, or one that was moved; ``shifted``: the result
    of arithmetic with one."""

    __slots__ = ("dtype", "fixed", "name", "shape", "shifted")

    def __init__(self, name: str, shape: Iterable[int], dtype: Any) -> None:
        self.name, self.shape, self.dtype = name, tuple(shape), np.dtype(dtype)
        self.fixed = self.shifted = False

    @property
    def type(self) -> str:
        return type_of(self.shape, self.dtype)

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_float(self) -> bool:
        return self.dtype.kind not in "iub"

    @property
    def is_bool(self) -> bool:
        return self.dtype.kind == "b"


class Text:
    """The lines of a module; names are unique in all of it."""

    def __init__(self) -> None:
        self.large: list[Array] = []
        self.graphs: list[str] = []  # besides those that users call
        self._count = 0

    def new(self) -> str:
        self._count += 1
        return f"%{self._count}"  # no port has such a name


class Block:
    """The lines of a graph, or of a region inside one, in which the values around it are visible."""

    def __init__(self, text: Text, outer: Block | None = None) -> None:
        self.text, self.outer = text, outer
        self.lines: list[str] = []
        self._known: dict[tuple[Dims, str, bytes], Tensor] = {}

    def constant(self, value: Any, dtype: Any = None) -> Tensor:
        """A constant; equal small ones of a block, or of one around it, are one."""
        array = np.asarray(value, dtype)
        if array.size > INLINE:
            self.text.large.append(array)
            mark = f" {{{MARK} = {len(self.text.large) - 1} : i64}}"
            return self._constant(array, f"dense<{_zero(array.dtype)}>", mark)
        key = (array.shape, array.dtype.name, array.tobytes())
        block: Block | None = self
        while block is not None:
            if key in block._known:
                return block._known[key]
            block = block.outer
        self._known[key] = self._constant(array, dense(array), "")
        return self._known[key]

    def _constant(self, array: Array, spelled: str, mark: str) -> Tensor:
        made = Tensor(self.text.new(), array.shape, array.dtype)
        made.fixed = True
        self.lines.append(
            f'{made.name} = "coreai.constant"() <{{value = {spelled} : {made.type}}}>{mark} : () -> {made.type}'
        )
        return made

    def op(self, name: str, *operands: Tensor, out: tuple[Iterable[int], Any], attributes: str = "") -> Tensor:
        """One operation of one result, of shape and dtype ``out``. An empty array becomes a constant, since Core AI may
        crash on it or leave it uninitialized."""
        made = Tensor(self.text.new(), *out)
        if 0 in made.shape:
            return self.constant(np.zeros(made.shape, made.dtype))
        in_brackets = f" <{{{attributes}}}>" if attributes else ""
        names, types = ", ".join(o.name for o in operands), ", ".join(o.type for o in operands)
        self.lines.append(f'{made.name} = "coreai.{name}"({names}){in_brackets} : ({types}) -> {made.type}')
        return made

    def regions(self, name: str, operands: Sequence[Tensor], bodies: Sequence[str], out: Sequence[Tensor]) -> None:
        """An operation whose regions are written already, with the results ``out``."""
        names, types = ", ".join(o.name for o in operands), ", ".join(o.type for o in operands)
        results = ", ".join(o.name for o in out)
        self.lines.append(
            f'{results} = "coreai.{name}"({names}) ({", ".join(bodies)}) : ({types}) -> '
            f"({', '.join(o.type for o in out)})"
        )

    def inner(self) -> Block:
        """A block inside this one, of the same class."""
        return type(self)(self.text, self)

    def region(
        self, fill: Callable[[Any, list[Tensor]], Sequence[Tensor]], like: Sequence[Tensor], terminator: str
    ) -> str:
        """A region with arguments of the types of ``like``, whose operations ``fill(block, arguments)`` writes; what it
        returns goes to the terminator."""
        block = self.inner()
        arguments = [Tensor(self.text.new(), v.shape, v.dtype) for v in like]
        results = fill(block, arguments)
        head = f"^bb0({', '.join(f'{a.name}: {a.type}' for a in arguments)}):\n" if arguments else ""
        names, types = ", ".join(r.name for r in results), ", ".join(r.type for r in results)
        lines = "\n".join(block.lines)
        return f'{{\n{head}{lines}\n"coreai.{terminator}"({names}) : ({types}) -> ()\n}}'


def dense(array: Array) -> str:
    """The elements of a constant as text: hexadecimal bytes, which are exact for every dtype, or bools one by one."""
    if array.size == 0:
        return "dense<>"
    if array.dtype.kind == "b" or array.dtype.name in NARROW:
        return f"dense<{_nested(array)}>"
    if array.ndim == 0:
        if array.dtype.kind in "iu":
            return f"dense<{int(array)}>"
        return f"dense<0x{int.from_bytes(array.tobytes(), 'little'):0{2 * array.dtype.itemsize}X}>"
    if array.size == 1 and array.dtype.kind in "iu":  # one element as bytes is read as a splat of another width
        return f"dense<{'[' * array.ndim}{int(array.ravel()[0])}{']' * array.ndim}>"
    return f'dense<"0x{np.ascontiguousarray(array).tobytes().hex().upper()}">'


def _nested(array: Array) -> str:
    if array.ndim == 0:
        return {True: "true", False: "false"}[bool(array)] if array.dtype.kind == "b" else str(int(array))
    return f"[{', '.join(map(_nested, array))}]"


def _zero(dtype: np.dtype) -> str:
    if dtype.name in NARROW:
        return "0"
    return {"b": "false", "i": "0", "u": "0"}.get(dtype.kind, "0.0")


def supported(dtype: np.dtype) -> bool:
    """Whether Core AI has tensors of a program's dtype."""
    return dtype.name in TYPES


def absent(what: str, instead: str = "leave this part to the CPU device") -> Any:
    """Raises RefusedError: Core AI has no such thing."""
    raise RefusedError(f"[coreai] Core AI has no {what}; {instead}.")


def pairs(values: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Every two neighbours: the padding of each axis."""
    return zip(values[::2], values[1::2])

"""What an answer of jax depends on, as a digest: the text of functions, the elements of arrays, and all else by value.

The text of a function is that between the first and the last place of its source that its code comes from, so that
the digest is the same on every Python and wherever the function stands in its file. Functions of the tests that it
names are part of it, and so are its defaults and what it closes over. Functions of libraries are known by their names.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import linecache
import operator
import sys
import types
from typing import Any, TypeGuard

import numpy as np

SIMPLE = (type(None), bool, int, float, complex, str, bytes, slice, range, type(Ellipsis))


class UnknownPart(Exception):
    """Something that has no digest: the answer then comes from jax each time."""


def digest(*parts: Any) -> str:
    """A short text that differs when one of the parts does. Raises UnknownPart for parts that it cannot read."""
    walk = _Walk()
    walk.add(parts)
    return walk.sha.hexdigest()[:20]


@functools.lru_cache(None)
def text_of(code: types.CodeType) -> str:
    """The source of a function's body."""
    lines = [line.encode() for line in linecache.getlines(code.co_filename)]
    known = [(a, c, b, d) for a, b, c, d in code.co_positions() if a and b and c is not None and d is not None]
    places = [(p[:2], p[2:]) for p in known if p[:2] != p[2:]]  # the others are of no text
    if not lines or not places:
        raise UnknownPart(code.co_name)
    first, column = min(start for start, _ in places)
    last, end = max(end for _, end in places)
    if last > len(lines):  # the file is another one by now
        raise UnknownPart(code.co_name)
    body = [*lines[first - 1 : last - 1], lines[last - 1][:end]]
    body[0] = body[0][column:]
    return b"".join(body).decode()


def _is_of_tests(x: Any) -> TypeGuard[types.FunctionType]:
    return isinstance(x, types.FunctionType) and x.__module__.split(".")[0] in ("tests", "benchmarks")


def _is_of_jax(x: Any) -> bool:
    """Whether ``x`` is an array of jax or one on record, and not a tracer, whose elements are not known."""
    known = isinstance(getattr(x, "dtype", None), np.dtype) and hasattr(x, "weak_type")
    return known and not any(t.__name__ == "Tracer" for t in type(x).__mro__)


def _is_where_it_says(x: Any) -> bool:
    """Whether a function or type is what its module has under its name; what wraps another often has the other's."""
    try:
        return operator.attrgetter(x.__qualname__)(sys.modules[x.__module__]) is x
    except (AttributeError, KeyError, TypeError):
        return False


class _Walk:
    def __init__(self) -> None:
        self.sha = hashlib.sha256()
        self.seen: set[int] = set()

    def note(self, *words: Any) -> None:
        self.sha.update("\0".join(map(str, words)).encode() + b"\1")

    def add(self, x: Any) -> None:
        if isinstance(x, (enum.Enum, *SIMPLE)):
            self.note(type(x).__name__, repr(x))
        elif isinstance(x, (np.ndarray, np.generic)):
            if x.dtype.hasobject:
                raise UnknownPart(repr(x))
            self.note(type(x).__name__, x.dtype, x.shape)
            self.sha.update(np.ascontiguousarray(x).tobytes())
        elif isinstance(x, np.dtype):
            self.note("dtype", x)
        elif _is_of_jax(x):
            self.note("array", x.dtype, x.shape, x.weak_type)
            self.sha.update(np.ascontiguousarray(x).tobytes())
        elif isinstance(x, (list, tuple)):
            self.note(type(x).__name__, len(x))
            for item in x:
                self.add(item)
        elif isinstance(x, dict):
            self.add([*x.items()])
        elif isinstance(x, functools.partial):
            self.add(("partial", x.func, x.args, x.keywords))
        elif dataclasses.is_dataclass(x) and not isinstance(x, type):
            self.add((type(x).__name__, [(f.name, getattr(x, f.name)) for f in dataclasses.fields(x)]))
        elif _is_of_tests(x):
            self.function(x)
        elif isinstance(x, types.SimpleNamespace):
            self.add(("namespace", vars(x)))
        elif isinstance(x, types.ModuleType):
            self.note("module", x.__name__)
        elif isinstance(x, types.MethodType):
            self.add(("method", x.__self__, x.__name__))
        elif _is_where_it_says(x):
            self.note("name", x.__module__, x.__qualname__)
        elif type(x).__name__ == "ufunc":
            self.note("ufunc", type(x).__module__, x.__name__)
        else:
            raise UnknownPart(repr(x))

    def function(self, f: types.FunctionType) -> None:
        if id(f) in self.seen:
            return
        self.seen.add(id(f))
        code = f.__code__
        self.note("function", text_of(code), code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        cells = [c.cell_contents for c in f.__closure__ or ()]
        self.add((f.__defaults__, f.__kwdefaults__, cells))
        for name in sorted(_names(code)):
            value = f.__globals__.get(name)
            if _is_of_tests(value) or isinstance(value, (np.ndarray, int, float, str, tuple, list, dict)):
                self.add((name, value))


def _names(code: types.CodeType) -> set[str]:
    """The global names and attributes that a function and those inside it use."""
    inner = (_names(c) for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*inner)

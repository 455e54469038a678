"""Trace and Tracer, and the trace that evaluates eagerly.

A trace interprets primitives. Each thread has exactly one current trace (core.context). The trace of a transformation
knows the trace below it (``parent``), and runs its rules under it.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from anejax import dtypes
from anejax.callers import PACKAGE, is_internal
from anejax.config import config
from anejax.core.array import Array, DeviceArray, from_numpy, of_scalar
from anejax.core.aval import Aval
from anejax.core.context import set_base
from anejax.core.primitive import Primitive
from anejax.errors import (
    ConcretizationError,
    DtypeError,
    MaskedArrayError,
    NanError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
    UnexpectedTracerError,
)


def user_line() -> str | None:
    """``file:line (function)`` of the innermost frame outside anejax."""
    frame = sys._getframe(1)
    internal = is_internal
    while frame is not None:
        code = frame.f_code
        if not internal(code.co_filename):
            return f"{code.co_filename}:{frame.f_lineno} ({code.co_name})"
        frame = frame.f_back
    return None


def user_stacklevel() -> int:
    """The ``stacklevel`` with which a warning of the calling function names the innermost line outside anejax."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


class Trace:
    """Interprets primitives. ``parent`` is the trace below; None only for the eager one."""

    parent: Trace | None = None

    @property
    def origin(self) -> Any:
        """The trace that this one continues, and whose tracers it accepts (transforms/vmap.py). Usually itself."""
        return self

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """Applies ``prim`` to ``args`` (tracers of this trace, of those below, or concrete). Returns its results."""
        raise NotImplementedError

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        """Applies a function with a custom JVP rule (transforms/custom.py)."""
        raise NotImplementedError

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        """Applies a function with custom forward and backward rules."""
        raise NotImplementedError

    def primal_of(self, x: Any) -> Any:
        """``x`` without what this trace adds to it (auxiliary outputs leave a transformation this way)."""
        return x

    def ancestors(self) -> list[Trace]:
        """The traces below this one, whose tracers may be used under it."""
        return [self.parent, *self.parent.ancestors()] if self.parent is not None else []


class Tracer(Array):
    """A value under a transformation. Behaves as an array of its aval."""

    __slots__ = ("__weakref__", "aval", "source", "trace")

    def __init__(self, trace: Trace, aval: Aval, source: str | None = None) -> None:
        self.trace = trace
        self.aval = aval
        self.source = source

    def concrete(self) -> DeviceArray | None:
        """The value where there is one (tracers of ``jvp`` and ``grad`` outside ``jit``), else None."""
        return None

    def describe(self) -> str:
        made = f", made at {self.source}" if self.source else ""
        return f"a traced value of type {self.aval}{made}"

    def _value_for(self, error: type[Exception], wanted: str, instead: str) -> np.ndarray:
        found = self.concrete()
        if found is None:
            here = user_line()
            raise error(
                f"[{wanted}] expected a concrete value, got {self.describe()}"
                f"{f', at {here}' if here else ''}. {instead}"
            )
        return found.value

    def __bool__(self) -> bool:
        return bool(self._value_for(
            TracerBoolConversionError, "bool",
            "Inside jit, vmap and other traced code a Python `if`, `while`, `and` or `not` cannot look at a value. Use"
            " anejax.numpy.where or lax.cond, or mark the argument static (static_argnums).",
        ))  # fmt: skip

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        value = self._value_for(
            TracerArrayConversionError, "numpy.asarray",
            "NumPy functions cannot work on traced values; use the function of the same name in anejax.numpy.",
        )  # fmt: skip
        return value.astype(dtype) if dtype is not None else value

    def __dlpack__(self, **kwargs: Any) -> Any:
        self._value_for(ConcretizationError, "dlpack", "Hand arrays over outside of the traced function.")
        found = self.concrete()
        assert found is not None
        return found.__dlpack__(**kwargs)

    def is_deleted(self) -> bool:
        self._value_for(ConcretizationError, "is_deleted", "What is traced has no memory to give up.")
        return False

    def delete(self) -> None:
        self.is_deleted()

    def __deepcopy__(self, memo: Any) -> Tracer:
        return self

    def __copy__(self) -> Tracer:
        return self

    def __index__(self) -> int:
        return self._value_for(
            TracerIntegerConversionError, "index",
            "Shapes, axes and Python list indices must be known when tracing. Use x.shape, a static argument"
            " (static_argnums), or index an anejax array instead of a list.",
        ).__index__()  # fmt: skip

    def _item(self, kind: str) -> Any:
        value = self._value_for(
            ConcretizationError, kind,
            f"{kind}() needs a value; keep the array, use x.astype(...), or return it from the traced function.",
        )  # fmt: skip
        if value.size != 1:
            raise TypeError(f"[{kind}] expected an array of one element, got {self.aval}.")
        return value.reshape(()).item()

    def __int__(self) -> int:
        return int(self._item("int"))

    def __float__(self) -> float:
        return float(self._item("float"))

    def __complex__(self) -> complex:
        return complex(self._item("complex"))

    def __repr__(self) -> str:
        return f"Traced<{self.aval.short()}> by {type(self.trace).__name__}"


def aval_of(x: Any) -> Aval:
    """The aval of anything that can be an operand. Raises DtypeError for other objects."""
    if isinstance(x, Array):
        return x.aval
    scalar = dtypes.of_python(x)
    if scalar is not None:
        return Aval((), *scalar)
    if isinstance(x, (np.ndarray, np.generic)):
        if isinstance(x, np.ma.MaskedArray):
            raise masked("array")
        whole = cast("Any", x)
        return Aval(whole.shape, dtypes.canonical(whole.dtype))
    convert = conversion_of(x)
    if convert is not None:
        return aval_of(convert())
    raise DtypeError(
        f"[array] expected an array or a number, got {type(x).__name__} {_brief(x)}."
        " Convert lists with anejax.numpy.asarray."
    )


def conversion_of(x: Any) -> Callable[[], Any] | None:
    """The function that converts an object of another library to an array: its own method, or NumPy's.

    Arrays of jax and tensors of others have both ``__array__`` and ``__dlpack__``; objects that only have
    ``__array__``, such as tables, are left to ``asarray``.
    """
    own = getattr(x, "__anejax_array__", None) or getattr(x, "__jax_array__", None)
    if own is None and not isinstance(x, type) and hasattr(x, "__array__") and hasattr(x, "__dlpack__"):
        return lambda: np.array(x)
    return own


def masked(op: str) -> MaskedArrayError:
    return MaskedArrayError(
        f"[{op}] expected an array, got a masked one, whose mask would be lost. Use x.filled(value) or x.data."
    )


def _brief(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 60 else text[:57] + "..."


def concrete_array(x: Any) -> DeviceArray:
    """``x`` (array, NumPy array, Python scalar) as a DeviceArray; NumPy arrays are shared, not copied."""
    if isinstance(x, DeviceArray):
        return x
    if isinstance(x, Tracer):
        raise leaked(x)
    if dtypes.of_python(x) is not None:
        return of_scalar(x)
    aval = aval_of(x)
    if isinstance(x, (np.ndarray, np.generic)):
        return from_numpy(np.asarray(x, aval.dtype), borrowed=True)
    convert = conversion_of(x)
    if convert is None:
        raise DtypeError(f"[array] expected numbers, got {aval}. Of keys, take the words: random.key_data(keys).")
    return concrete_array(convert())


def leaked(tracer: Tracer) -> UnexpectedTracerError:
    here = user_line()
    return UnexpectedTracerError(
        f"[tracer] {tracer.describe()} was used after its transformation had finished"
        f"{f', at {here}' if here else ''}. A function under jit, grad or vmap stored it in a global, an attribute or"
        " a closure; return it from the function instead."
    )


Frozen = Mapping[int, Any]
NOTHING_FROZEN: Frozen = MappingProxyType({})


class Executor:
    """The interface that ``runtime`` implements: it runs Graphs, and single primitives that are slow in NumPy.

    ``frozen`` are inputs that are the same in every run of a Graph, by their index.
    """

    def run_graph(
        self, graph: Any, args: list[DeviceArray], donated: tuple[bool, ...], device: str = "cpu",
        frozen: Frozen = NOTHING_FROZEN,
    ) -> list[DeviceArray]:  # fmt: skip
        raise NotImplementedError

    def run_primitive(self, prim: Primitive, args: list[DeviceArray], params: dict[str, Any]) -> list[DeviceArray]:
        raise NotImplementedError

    def compile_graph(
        self, graph: Any, donated: tuple[bool, ...] = (), device: str = "cpu", frozen: Frozen = NOTHING_FROZEN
    ) -> Any:
        raise NotImplementedError

    def lower_text(
        self, graph: Any, donated: tuple[bool, ...] = (), device: str = "cpu", marks: bool = False,
        frozen: Frozen = NOTHING_FROZEN,
    ) -> str:  # fmt: skip
        raise NotImplementedError

    def clear(self) -> None:
        raise NotImplementedError

    def check_device(self, device: Any) -> None:
        raise NotImplementedError


_executor: Executor | None = None


def register_executor(executor: Executor) -> None:
    """``runtime`` calls this when it is imported (docs/architecture.md, "The rooms")."""
    global _executor
    _executor = executor


def executor() -> Executor:
    assert _executor is not None, "import anejax, not anejax.core alone"
    return _executor


class EvalTrace(Trace):
    """Evaluates: NumPy implementations, or native one-operation programs where those are slow."""

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        arrays = [concrete_array(a) for a in args]
        if prim.higher_order:
            given = {id(a) for a in arrays if a.is_borrowed()}
            outs = [concrete_array(out) for out in prim.rule("impl")(*arrays, **params)]
            return [out.kept() if given and id(out) in given else out for out in outs]
        if prim.native_eager and config.eager != "numpy":
            return executor().run_primitive(prim, arrays, params)
        avals = prim.out_avals([a.aval for a in arrays], params)
        with np.errstate(all="ignore"):
            out = prim.rule("impl")(*[a.value for a in arrays], **params)
        values = out if prim.multiple_results else [out]
        borrowed = [a.value for a in arrays if a.is_borrowed()]
        if borrowed:  # implementations may return views of their operands, and the caller may write to these
            values = [v.copy() if _shares(v, borrowed) else v for v in values]
        results = [self._wrap(v, aval) for v, aval in zip(values, avals, strict=True)]
        check_numbers(prim.name, results)
        return results

    @staticmethod
    def _wrap(value: Any, aval: Aval) -> DeviceArray:
        if isinstance(value, DeviceArray):
            return value
        result = from_numpy(np.asarray(value, aval.dtype), aval.weak_type)
        assert result.aval.shape == aval.shape, (result.aval, aval)
        return result

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return call.fun(*args)

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return call.fun(*args)


def _shares(value: Any, others: Sequence[np.ndarray]) -> bool:
    memory: Any = value
    return isinstance(value, np.ndarray) and any(np.may_share_memory(memory, other) for other in others)


def check_numbers(name: str, results: Sequence[DeviceArray]) -> None:
    """Raises NanError if ``results`` contain a NaN or an infinity and a setting asks for this check."""
    if not (config.jax_debug_nans or config.jax_debug_infs):
        return
    asked = [(np.isnan, "a NaN", "jax_debug_nans")] if config.jax_debug_nans else []
    asked += [(np.isinf, "an infinity", "jax_debug_infs")] if config.jax_debug_infs else []
    for has, what, setting in asked:
        for r in results:
            if not dtypes.is_inexact(r.aval.dtype):
                continue
            if has(r.value if dtypes.is_complex(r.aval.dtype) else r.value.astype(np.float32)).any():
                raise NanError(f"[{name}] made {what} of type {r.aval} ({setting} is on).")


set_base(EvalTrace())

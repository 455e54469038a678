"""The table of Array's operators and methods, which are installed when anejax.numpy is imported."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.api.devices import CPU, Device, device_put
from anejax.api.sharding import sharding_of, shards_of
from anejax.core.array import Array, DeviceArray
from anejax.core.trace import Tracer, conversion_of
from anejax.errors import ConcretizationError, DtypeError, RefusedError, ShapeError
from anejax.numpy import at, bits, indexing, linear, selection, shaping, sorting, taking
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.namespace import check_version
from anejax.numpy.operands import as_array
from anejax.ops import elementwise

# --- operators ----------------------------------------------------------------------------------------------------


def _takes(other: Any) -> bool:
    """Whether an operator works with ``other``: for lists and the like Python shall raise TypeError."""
    known = isinstance(other, (Array, np.ndarray, np.generic, bool, int, float, complex))
    return known or conversion_of(other) is not None


def _not_taken(fn: Callable[..., Any], other: Any) -> Any:
    """NotImplemented: ``other`` may know what to do. Containers only seem to: ``[1] * x``, ``x == [1]``."""
    if isinstance(other, (list, tuple, set, dict)):
        raise DtypeError(
            f"[{fn.__name__}] expected an array or a number, got {type(other).__name__}. Convert it with"
            " anejax.numpy.asarray."
        )
    return NotImplemented


def _operator(fn: Callable[..., Any]) -> Callable[..., Any]:
    call = getattr(fn, "of_two", fn)

    def method(self: Any, other: Any) -> Any:
        return call(self, other) if _takes(other) else _not_taken(fn, other)

    method.__doc__ = fn.__doc__
    return method


def _reflected(fn: Callable[..., Any]) -> Callable[..., Any]:
    call = getattr(fn, "of_two", fn)

    def method(self: Any, other: Any) -> Any:
        return call(other, self) if _takes(other) else _not_taken(fn, other)

    method.__doc__ = fn.__doc__
    return method


_BINARY = {
    "add": ew.add, "sub": ew.subtract, "mul": ew.multiply, "truediv": ew.true_divide, "floordiv": ew.floor_divide,
    "mod": ew.remainder, "divmod": ew.divmod, "pow": ew.power, "matmul": linear.matmul, "and": ew.bitwise_and,
    "or": ew.bitwise_or, "xor": ew.bitwise_xor, "lshift": ew.left_shift, "rshift": bits.right_shift,
}  # fmt: skip
_COMPARISONS = {
    "eq": ew.equal,
    "ne": ew.not_equal,
    "lt": ew.less,
    "le": ew.less_equal,
    "gt": ew.greater,
    "ge": ew.greater_equal,
}
_UNARY = {"neg": ew._negative, "pos": ew.positive, "abs": ew.absolute, "invert": ew.bitwise_not}


# --- the Python protocol ------------------------------------------------------------------------------------------


def _len(self: Any) -> int:
    if self.ndim == 0:
        raise TypeError("[len] an array of rank 0 has no length.")
    return self.shape[0]


def _iter(self: Any) -> Iterator[Any]:
    if self.ndim == 0:
        raise TypeError("[iter] an array of rank 0 cannot be iterated over.")
    return iter(shaping.unstack(self))


def _contains(self: Any, value: Any) -> bool:
    if self.ndim != 1:
        raise ShapeError(f"[contains] expected an array of rank 1, got {self.aval}. Use anejax.numpy.any(x == value).")
    return builtins.bool(red.any(ew.equal(self, value)))


def _hash(self: Any) -> int:
    raise TypeError(
        "[hash] arrays are not hashable: equality is element by element. Use id(x), or x.item() for a scalar."
    )


def _setitem(self: Any, index: Any, value: Any) -> None:
    raise TypeError("[Array] arrays are immutable: x[i] = v is not possible. Use x = x.at[i].set(v).")


def _one(self: DeviceArray, kind: str) -> Any:
    if self.size != 1 or (self.ndim > 0 and kind in ("int", "float", "complex", "index")):
        raise TypeError(f"[{kind}] expected an array of rank 0, got {self.aval}.")
    return self.value.reshape(()).item()


def _bool(self: DeviceArray) -> bool:
    if self.size != 1:
        raise ValueError(f"[bool] the truth of {self.aval} is ambiguous; use x.any() or x.all().")
    return builtins.bool(self.value.reshape(()))


def _index(self: DeviceArray) -> int:
    if self.ndim or self.dtype not in dtypes.INTS:
        raise TypeError(f"[index] expected an integer array of rank 0, got {self.aval}.")
    return int(self.value)


def _repr(self: DeviceArray) -> str:
    if self.is_deleted():
        return f"Array({self.aval}, deleted)"
    prefix = "Array("
    ending = f"dtype={self.dtype.name}{', weak_type=True' if self.weak_type else ''})"
    width = np.get_printoptions()["linewidth"]
    if self.size == 0:
        body = f"[], shape={self.shape}"
    else:
        body = np.array2string(self.value, prefix=prefix, suffix=",", separator=", ", max_line_width=width)
    last = len(body) - body.rfind("\n") + 1
    gap = " " * len(prefix) if last + len(ending) + 1 > width else " "
    return f"{prefix}{body},{gap}{ending}"


def _str(self: DeviceArray) -> str:
    return _repr(self) if self.is_deleted() else str(self.value)


def _format(self: Any, spec: str) -> str:
    if self.ndim == 0 and isinstance(self, DeviceArray):
        return format(self.value.item(), spec)
    if spec and isinstance(self, Tracer):
        self._value_for(ConcretizationError, "format", 'Print it with anejax.debug.print("{x:.2f}", x=x).')
    if spec:
        raise TypeError(
            f"[format] {spec!r} formats numbers, got {self.aval}. Format its elements, or use numpy.array2string."
        )
    return str(self)


# --- methods ------------------------------------------------------------------------------------------------------


def _reshape(self: Any, *args: Any, order: str = "C", copy: bool | None = None, out_sharding: Any = None) -> Array:
    """This array with another shape, given as one tuple or as several lengths."""
    return shaping.reshape(self, args[0] if len(args) == 1 else args, order)


def _transpose(self: Any, *args: Any) -> Array:
    """This array with its axes reversed, or in the order given."""
    if not args or args == (None,):
        return shaping.transpose(self)
    return shaping.transpose(self, args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args)


def _astype(self: Any, dtype: Any, copy: bool = False, device: Any = None) -> Array:
    """This array with elements of ``dtype``."""
    return ew.astype_(self, dtype, copy=copy, device=device)


def _view(self: Any, dtype: Any = None) -> Array:
    """The bits of this array read as ``dtype``; the last axis grows or shrinks with the width."""
    if dtype is None:
        return self
    target = dtypes.canonical(dtype)
    if self.dtype == target:
        return self
    if dtypes.bool_ in (self.dtype, target):
        if self.dtype == dtypes.bool_ and target.itemsize == 1:
            return elementwise.convert_element_type(self, target)
        raise DtypeError(f"[view] {self.aval} cannot be viewed as {target.name}.")
    old, new = self.dtype.itemsize, target.itemsize
    if old == new:
        return elementwise.bitcast_convert_type(self, target)
    if isinstance(self, DeviceArray) and self.ndim and (self.shape[-1] * old) % new == 0:
        return as_array("view", self.value.view(target))
    raise RefusedError(f"[view] {self.aval} cannot be viewed as {target.name}: the widths differ.")


def _item(self: Any, *args: int) -> Any:
    """The one element, or the one at the given (flat or full) index, as a Python number."""
    host = self._value_for(
        ConcretizationError, "item", "item() needs a value; keep the array, or return it from the traced function."
    ) if isinstance(self, Tracer) else np.asarray(self)  # fmt: skip
    try:
        return host.item(*args)
    except ValueError:
        raise ValueError(f"[item] expected an array of one element or an index, got {self.aval} and {args}.") from None


def _tolist(self: Any) -> Any:
    """The elements as nested lists of Python numbers."""
    return np.asarray(self).tolist()


def _tobytes(self: Any, order: Any = "C") -> bytes:
    """The elements as bytes in row-major order."""
    return np.asarray(self).tobytes(order)


def _compress(self: Any, condition: Any, axis: int | None = None, *, out: None = None, **options: Any) -> Array:
    """The slices of this array along ``axis`` where ``condition`` holds."""
    return taking.compress(condition, self, axis, out=out, **options)


def _copy(self: Any) -> Array:
    """A copy of this array."""
    return DeviceArray(self.aval, self.value.copy()) if isinstance(self, DeviceArray) else self


def _devices(self: Any) -> set[Device]:
    """The devices that hold this array."""
    return {CPU}


def _to_device(self: Any, device: Any, *, stream: Any = None) -> Array:
    """This array on ``device``: all devices work on the same memory."""
    return device_put(self, device)


def _copy_to_host_async(self: Any) -> None:
    """Does nothing: arrays are in host memory."""


def _concrete(name: str, get: Callable[[DeviceArray], Any]) -> Callable[[Any], Any]:
    """A method without arguments that asks an array for what only memory has."""

    def method(self: Any) -> Any:
        if isinstance(self, Tracer):
            self._value_for(ConcretizationError, name, "What is traced has no memory yet; ask for it outside.")
            self = self.concrete()
        return get(self)

    method.__name__ = name
    return method


def _addressable_data(self: Any, index: int) -> Array:
    """The data of shard ``index``, of which there is one: this array."""
    return shards_of(self)[index].data


def _flatten(self: Any, order: str = "C", *, out_sharding: Any = None) -> Array:
    """This array as one axis."""
    return shaping.ravel(self, order)


def _flat(self: Any) -> Any:
    raise RefusedError("[Array.flat] arrays are immutable and have no flat iterator; use x.ravel().")


def _mT(self: Any) -> Array:
    return shaping.matrix_transpose(self)


def _properties() -> dict[str, Any]:
    return {
        "at": property(
            lambda self: at.IndexUpdateHelper(self), doc="``x.at[index].set(v)`` and its like: see ``IndexUpdateRef``."
        ),
        "T": property(lambda self: shaping.transpose(self), doc="This array with its axes reversed."),
        "mT": property(_mT, doc="This array with its last two axes exchanged."),
        "real": property(lambda self: ew.real(self), doc="The real part; of real numbers this array."),
        "imag": property(lambda self: ew.imag(self), doc="The imaginary part; of real numbers zeros."),
        "flat": property(_flat),
        "device": property(lambda self: CPU, doc="The device that holds this array."),
        "committed": property(lambda self: False),
        "is_fully_addressable": property(lambda self: True),
        "is_fully_replicated": property(lambda self: True),
        "sharding": property(sharding_of, doc="Where this array lies: on one device."),
        "addressable_shards": property(shards_of, doc="The parts of this array: one."),
        "global_shards": property(shards_of, doc="The parts of this array: one."),
    }


METHODS: dict[str, Any] = {
    "argsort": sorting.argsort, "sort": sorting.sort, "searchsorted": sorting.searchsorted, "take": taking.take,
    "argpartition": sorting.argpartition, "nonzero": taking.nonzero, "all": red.all,
    "compress": _compress, "any": red.any, "argmax": red.argmax, "argmin": red.argmin, "astype": _astype,
    "clip": selection.clip, "choose": selection.choose, "conj": ew.conj, "conjugate": ew.conjugate, "copy": _copy,
    "clone": _copy, "cumprod": red.cumprod, "cumsum": red.cumsum, "diagonal": linear.diagonal, "dot": linear.dot,
    "flatten": _flatten, "item": _item, "max": red.max, "mean": red.mean, "min": red.min, "prod": red.prod,
    "ptp": red.ptp, "ravel": shaping.ravel, "repeat": shaping.repeat, "reshape": _reshape, "round": ew.round,
    "squeeze": shaping.squeeze, "std": red.std, "sum": red.sum, "swapaxes": shaping.swapaxes, "tolist": _tolist,
    "tobytes": _tobytes, "trace": linear.trace, "transpose": _transpose, "var": red.var, "view": _view,
    "devices": _devices, "to_device": _to_device, "copy_to_host_async": _copy_to_host_async,
    "addressable_data": _addressable_data,
    "is_ready": _concrete("is_ready", lambda x: x.block_until_ready() is x),
    "unsafe_buffer_pointer": _concrete("unsafe_buffer_pointer", lambda x: x.pointer),
    "on_device_size_in_bytes": _concrete("on_device_size_in_bytes", lambda x: x.nbytes),
}  # fmt: skip


def _round_dunder(self: Any, ndigits: int | None = None) -> Any:
    """As Python's numbers: integers, unless ``ndigits`` is given."""
    return ew.astype_(ew.round(self), int) if ndigits is None else ew.round(self, ndigits)


def _namespace_of(namespace: Any) -> Callable[..., Any]:
    def array_namespace(self: Any, *, api_version: str | None = None) -> Any:
        """``anejax.numpy``, which follows the array API standard as jax does."""
        check_version(api_version)
        return namespace

    return array_namespace


def install(namespace: Any) -> None:
    """Sets the operators on Array, and what needs a value on DeviceArray. ``namespace`` is anejax.numpy."""
    for name, fn in _BINARY.items():
        setattr(Array, f"__{name}__", _operator(fn))
        setattr(Array, f"__r{name}__", _reflected(fn))
    for name, fn in _COMPARISONS.items():
        setattr(Array, f"__{name}__", _operator(fn))
    for name, fn in _UNARY.items():
        setattr(Array, f"__{name}__", lambda self, _fn=fn: _fn(self))
    for name, fn in {**METHODS, **_properties()}.items():
        setattr(Array, name, fn)
    protocol = {
        "__getitem__": indexing.getitem, "__len__": _len, "__iter__": _iter, "__contains__": _contains,
        "__hash__": _hash, "__setitem__": _setitem,
        "__format__": _format, "__round__": _round_dunder,
        "__array_priority__": 1000, "__array_namespace__": _namespace_of(namespace),
    }  # fmt: skip
    for name, fn in protocol.items():
        setattr(Array, name, fn)
    concrete = {
        "__bool__": _bool, "__index__": _index, "__repr__": _repr, "__str__": _str,
        "__complex__": lambda self: complex(_one(self, "complex")),
        "__int__": lambda self: int(_one(self, "int")), "__float__": lambda self: float(_one(self, "float")),
    }  # fmt: skip
    for name, fn in concrete.items():
        setattr(DeviceArray, name, fn)
    Tracer.__hash__ = _hash  # type: ignore[assignment]

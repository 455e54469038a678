"""Array: the face that concrete arrays and tracers share, and DeviceArray, the concrete one.

Operators and methods are not here: ``anejax.numpy`` installs them on ``Array`` when it is imported
(docs/architecture.md, "The rooms").
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import itertools
import operator
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.errors import DeletedArrayError


class Array:
    """Base of everything that behaves as an array: ``isinstance(x, anejax.Array)`` holds for tracers too."""

    __slots__ = ()
    aval: Aval

    if TYPE_CHECKING:  # the methods that anejax.numpy installs, for type checkers

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Any: ...
        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[Any]: ...
        def __float__(self) -> float: ...
        def __int__(self) -> int: ...
        def _unary(self) -> Any: ...
        def _binary(self, other: Any) -> Any: ...

        __neg__ = __pos__ = __abs__ = __invert__ = _unary
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _binary
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _binary
        __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = _binary
        __lt__ = __le__ = __gt__ = __ge__ = _binary

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype:
        """The element type."""
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.aval.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.aval.size

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, densely stored."""
        return self.aval.nbytes

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.aval.dtype.itemsize

    @property
    def weak_type(self) -> bool:
        """Whether the dtype is weak: a weak dtype yields to others in promotion, as that of a Python scalar does."""
        return self.aval.weak_type


class _Holder:
    def __init__(self) -> None:
        self.held = object()


_holder = _Holder()
HELD_ONCE = sys.getrefcount(_holder.held)  # the result of getrefcount for an attribute that nothing else refers to


_contents = itertools.count(1)


def new_contents() -> int:
    """A new number for the contents of some memory. Each number is used once in this process.

    It lets a device that has a copy know it again. Addresses would not: memory is pooled, and donated.
    """
    return next(_contents)


class Storage(Protocol):
    """Memory that a device gave: 64-byte aligned, dense, released when it is garbage-collected.

    ``contents`` is the number of what it holds, 0 until someone asks for one; whoever writes to it changes that.
    """

    pointer: int
    nbytes: int
    contents: int

    def view(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """A NumPy array over the memory that keeps it alive."""
        ...


_CPU = (1, 0)  # kDLCPU and its number
_FLAGGED = np.lib.NumpyVersion(np.__version__) >= "2.1.0"  # NumPy's capsules mark read-only arrays


class DeviceArray(Array):
    """A concrete, immutable array in host-visible memory: a dense NumPy array, or storage that a device gave."""

    __slots__ = ("__weakref__", "_address", "_contents", "_storage", "_value", "aval")

    def __init__(
        self, aval: Aval, value: np.ndarray | None = None, storage: Storage | None = None, borrowed: bool = False
    ) -> None:
        self.aval = aval
        self._value = value
        self._storage = storage
        self._address = 0
        self._contents = 0 if borrowed else None

    @property
    def value(self) -> np.ndarray:
        """The elements as a read-only NumPy view. Raises DeletedArrayError after donation or ``delete()``."""
        v = self._value
        if v is None:
            storage = self._storage  # read once: another thread may delete the array at any time
            if storage is None:
                raise self._deleted()
            v = storage.view(self.aval.shape, self.aval.dtype)
            v.flags.writeable = False
            self._value = v
            if self._storage is None:
                self._value = None
        return v

    def _deleted(self) -> DeletedArrayError:
        return DeletedArrayError(
            f"[Array] {self.aval} was deleted: it was donated to a jitted call or delete() was called."
            " Use the value that the call returned instead."
        )

    @property
    def pointer(self) -> int:
        """The address of the first element."""
        storage = self._storage
        if storage is not None:
            return storage.pointer
        if not self._address or self._value is None:  # NumPy takes a microsecond to say it
            self._address = self.value.__array_interface__["data"][0]
        return self._address

    @property
    def contents(self) -> int:
        """The number of the elements (``new_contents``), or 0 where they are borrowed and may change."""
        holder: Any = self._storage
        if holder is not None:
            holder.contents = holder.contents or new_contents()
            return holder.contents
        if self._contents is None:
            self._contents = new_contents()
        return self._contents

    def retyped(self, aval: Aval) -> DeviceArray:
        """Another array over the same memory, under ``aval``, which may differ in the weak type. It lives on when this
        one is deleted."""
        value, storage = self._value, self._storage
        if value is None and storage is None:
            raise self._deleted()
        other = DeviceArray(aval, value, storage)
        other._contents = self._contents
        return other

    def kept(self) -> DeviceArray:
        """Another array with the same elements, for after the call: memory that is borrowed is copied, because its
        owner may write to it."""
        return DeviceArray(self.aval, self.value.copy()) if self._contents == 0 else self.retyped(self.aval)

    def is_borrowed(self) -> bool:
        """Whether the memory belongs to the caller, who may write to it after the call."""
        return self._contents == 0

    def is_deleted(self) -> bool:
        """Whether the memory was given up, by donation or ``delete()``."""
        return self._value is None and self._storage is None

    def delete(self) -> None:
        """Releases the memory. Later uses of the array raise an error."""
        self._value = self._storage = None

    def has_views(self) -> bool:
        """Whether NumPy arrays that share this memory are alive outside."""
        if self._value is None:
            return False
        # NumPy hangs views of a view on the array that first wrapped the memory
        wrapped = isinstance(self._value.base, np.ndarray) and sys.getrefcount(self._value.base) > HELD_ONCE
        return wrapped or sys.getrefcount(self._value) > HELD_ONCE

    def owns_storage_alone(self) -> bool:
        """Whether the memory is a device's and no other array has it."""
        viewed = self._value is not None  # our own view holds it once more
        return self._storage is not None and sys.getrefcount(self._storage) - viewed <= HELD_ONCE

    def block_until_ready(self) -> DeviceArray:
        """Waits for the value. The CPU device is synchronous, so it is there already."""
        self.value  # noqa: B018  raises when deleted
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if dtype is not None and np.dtype(dtype) != self.aval.dtype:
            if copy is False:
                raise ValueError(f"[numpy.array] {self.aval} becomes {np.dtype(dtype)} by a copy only; copy is False.")
            return self.value.astype(dtype)
        return self.value.copy() if copy else self.value

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A capsule of the memory, as the Array API standard of 2024 has it.

        Consumers of DLPack 1.0 and later (``max_version``) get the memory itself, with the flag that it is read-only,
        and with ``copy=True`` a copy that they may write. The others know no such flag, so theirs is always a copy.

        Raises:
            BufferError: bfloat16, which NumPy does not hand out; another device than the CPU; ``copy=False`` for a
                consumer that could write. ValueError: a ``stream``, which the CPU has not.
        """
        if self.aval.dtype == dtypes.bfloat16:
            raise BufferError("[dlpack] NumPy cannot hand bfloat16 out; convert with x.astype(jnp.float32) first.")
        if stream is not None:
            raise ValueError(f"[dlpack] expected no stream on the CPU, got {stream!r}.")
        if dl_device not in (None, _CPU):
            raise BufferError(f"[dlpack] expected the device {_CPU}, the CPU, got {dl_device!r}.")
        if _FLAGGED and max_version is not None and tuple(max_version) >= (1, 0):
            return self.value.__dlpack__(max_version=max_version, copy=copy)
        if copy is False:
            raise BufferError(
                "[dlpack] arrays are read-only, which consumers of DLPack before 1.0 cannot be told, got copy=False."
            )
        return self.value.copy().__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU

    def __buffer__(self, flags: int) -> memoryview:
        """The memory, read-only, for ``memoryview(x)``, from Python 3.12 on."""
        return self.value.__buffer__(flags)  # type: ignore[attr-defined]

    def __bytes__(self) -> bytes:
        return self.value.tobytes()

    def __reduce__(self) -> Any:
        return from_numpy, (np.array(self.value), self.aval.weak_type)

    def __copy__(self) -> DeviceArray:
        return self

    def __deepcopy__(self, memo: Any) -> DeviceArray:
        return DeviceArray(self.aval, self.value.copy())


MEMORY = operator.attrgetter("_storage", "_value")  # whoever holds this of an array may read its memory for so long
_set_storage: Any = DeviceArray.__dict__["_storage"].__set__
_set_value: Any = DeviceArray.__dict__["_value"].__set__


def take_over(arrays: Sequence[DeviceArray]) -> list[DeviceArray]:
    """Moves the memory of ``arrays`` to new arrays and deletes the old ones. Raises DeletedArrayError.

    Nobody who finds an array deleted afterwards can read its memory any more, and whoever holds ``MEMORY`` of it is
    counted by ``has_views`` and ``owns_storage_alone`` of the new array.
    """
    taken = [a.retyped(a.aval) for a in arrays]
    _set_all(arrays, itertools.repeat(None), itertools.repeat(None))
    return taken


def give_back(arrays: Sequence[DeviceArray], taken: Sequence[DeviceArray]) -> None:
    """Undoes ``take_over``."""
    _set_all(arrays, [t._storage for t in taken], [t._value for t in taken])


def move(array: DeviceArray, storage: Storage) -> None:
    """Replaces the memory of ``array`` by ``storage``, which has the same elements."""
    _set_all([array], [storage], [None])


def _set_all(arrays: Sequence[DeviceArray], storages: Any, values: Any) -> None:
    """Sets the memory of all ``arrays`` in one call of C, within which Python neither runs signal handlers nor other
    threads: they see either all arrays as they were, or all changed."""
    calls: Iterable[Any] = itertools.chain(map(_set_storage, arrays, storages), map(_set_value, arrays, values))
    deque(calls, 0)


def from_numpy(value: np.ndarray, weak_type: bool = False, borrowed: bool = False) -> DeviceArray:
    """Wraps an ndarray that nobody else will write to, unless it is ``borrowed`` for a call; its dtype is canonical.
    Shares the memory."""
    if not value.flags.c_contiguous:
        value = np.ascontiguousarray(value).reshape(value.shape)
    if value.flags.writeable:
        value = value.view()
        value.flags.writeable = False
    return DeviceArray(Aval(value.shape, value.dtype, weak_type), value, borrowed=borrowed)


def of_scalar(x: complex) -> DeviceArray:
    """A Python scalar as a rank-0 array of its weak type. Raises OverflowError when an int does not fit."""
    found = dtypes.of_python(x)
    assert found is not None
    dtype, weak = found
    if isinstance(x, int) and dtype in dtypes.INTS:
        info: Any = np.iinfo(dtype)
        if not info.min <= x <= info.max:
            raise OverflowError(
                f"[asarray] the Python integer {x} does not fit {dtype.name}. Give a dtype, or turn 64-bit types on"
                ' with anejax.config.update("jax_enable_x64", True).'
            )
    return DeviceArray(Aval((), dtype, weak), np.asarray(x, dtype))

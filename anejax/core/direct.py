"""Eager calls that skip tracing and call a primitive's NumPy implementation directly.

A function of anejax.numpy inspects types, promotes, broadcasts and binds primitives. A repeated call with operands of
the same types would do all of this again and arrive at the same primitive. ``direct`` remembers the primitive, its
parameters and the type of its result for each combination of operand types.
"""

# pyright: reportPrivateUsage=false, reportUnknownVariableType=false
from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.config import config
from anejax.core.array import DeviceArray, from_numpy
from anejax.core.aval import Aval
from anejax.core.context import has_trace, tracing
from anejax.core.primitive import Primitive
from anejax.core.trace import EvalTrace, concrete_array

_NUMBERS = (bool, int, float, complex)
_MOST = 4096  # types that one function remembers
_QUIET = np.errstate(all="ignore")  # as a decorator
_SMALL = range(128)  # integers that every integer type has

Call = Callable[..., DeviceArray]


class _Watch(EvalTrace):
    """Evaluates as usual, and keeps the bound primitive."""

    def __init__(self) -> None:
        self.bound: list[tuple[Primitive, Sequence[Any], dict[str, Any], list[Any]]] = []

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        outs = super().process(prim, args, params)
        self.bound.append((prim, args, params, outs))
        return outs


def direct(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """``function`` of ``count`` operands, fast where it is called eagerly with arrays and Python numbers.

    Which primitives ``function`` binds may depend on the types of its operands, never on their values. What it does
    with other operands, in transformations, or while ``config.stamp`` is None, stays as it is.
    """
    calls: dict[Any, Call] = {}

    def learn(key: Any, *args: Any) -> Any:
        if len(calls) >= _MOST:
            calls.clear()
        watch = _Watch()
        with tracing(watch):
            result = function(*args)
        call = _shortened(function, args, watch, result)
        if call is not None:
            calls[key] = call
        return result

    def unary(x: Any, /) -> Any:
        stamp = config.stamp
        if type(x) is not DeviceArray or stamp is None or has_trace():
            return function(x)
        key = stamp, x.aval
        call = calls.get(key)
        return learn(key, x) if call is None else call(x)

    def binary(x: Any, y: Any, /) -> Any:
        stamp = config.stamp
        if stamp is None or has_trace():
            return function(x, y)
        if type(x) is DeviceArray:
            if type(y) is DeviceArray:
                key = stamp, x.aval, y.aval
            elif type(y) in _NUMBERS:
                key = stamp, x.aval, type(y)
            else:
                return function(x, y)
        elif type(y) is DeviceArray and type(x) in _NUMBERS:
            key = stamp, type(x), y.aval
        else:
            return function(x, y)
        call = calls.get(key)
        return learn(key, x, y) if call is None else call(x, y)

    shown: Callable[..., Any] = unary if count == 1 else binary
    return functools.update_wrapper(shown, function)


def _shortened(function: Call, args: tuple[Any, ...], watch: _Watch, result: Any) -> Call | None:
    """The function that later calls with operands of the types of ``args`` use: ``function`` itself if it is not one
    primitive of its operands as they are, and of numbers converted to one dtype. None where this call does not tell."""
    if len(watch.bound) != 1:
        return function
    prim, operands, params, outs = watch.bound[0]
    special = prim.multiple_results or prim.effect or prim.higher_order or prim.native_eager
    if special or len(operands) != len(args) or result is not outs[0]:
        return function
    numbers = [i for i, a in enumerate(args) if type(a) is not DeviceArray]
    if any(o is not a for i, (o, a) in enumerate(zip(operands, args)) if i not in numbers):
        return function
    rule = prim.rule("impl")
    impl = functools.partial(rule, **params) if params else rule
    aval = result.aval
    if not numbers:
        quiet = _QUIET(impl)
        return _of_arrays(function, quiet, aval) if len(args) == 2 else _of_array(function, quiet, aval)
    (place,) = numbers
    value = concrete_array(operands[place]).value
    number, dtype = args[place], value.dtype
    wraps = dtype in dtypes.INTS
    if wraps and number not in _SMALL:
        return None
    if not wraps and dtype not in dtypes.INEXACT:
        return function
    if _QUIET(np.asarray)(number, dtype).tobytes() != value.tobytes():
        return function
    return _of_number(function, _QUIET(_converting(impl, dtype, place)), aval, place, wraps)


def _converting(impl: Any, dtype: np.dtype, place: int) -> Any:
    """``impl`` of an array and a Python number, which is operand ``place``."""

    def first(number: Any, array: Any) -> Any:
        return impl(np.asarray(number, dtype), array)

    def second(number: Any, array: Any) -> Any:
        return impl(array, np.asarray(number, dtype))

    return first if place == 0 else second


def _made(out: Any, aval: Aval) -> DeviceArray:
    """An array with the result of an implementation."""
    if type(out) is not np.ndarray:
        out = np.asarray(out, aval.dtype)
    flags = out.flags
    if out.dtype != aval.dtype or out.base is not None or not flags.c_contiguous:
        return from_numpy(np.asarray(out, aval.dtype), aval.weak_type)
    flags.writeable = False
    return DeviceArray(aval, out)


def _of_array(function: Call, impl: Any, aval: Aval) -> Call:
    def call(x: DeviceArray) -> DeviceArray:
        if x._contents == 0:  # an implementation may return its operand, and this one's owner may write to it
            return function(x)
        return _made(impl(x.value), aval)

    return call


def _of_arrays(function: Call, impl: Any, aval: Aval) -> Call:
    def call(x: DeviceArray, y: DeviceArray) -> DeviceArray:
        if x._contents == 0 or y._contents == 0:
            return function(x, y)
        return _made(impl(x.value, y.value), aval)

    return call


def _of_number(function: Call, impl: Any, aval: Aval, place: int, wraps: bool) -> Call:
    def call(x: Any, y: Any) -> DeviceArray:
        array, number = (y, x) if place == 0 else (x, y)
        if array._contents == 0 or (wraps and number not in _SMALL):
            return function(x, y)
        return _made(impl(number, array.value), aval)

    return call

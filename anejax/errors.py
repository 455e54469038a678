"""The error classes of anejax, and the one function that formats their messages.

A message has the form `[op] expected ..., got ...`. Types appear in their printed form.
"""

from __future__ import annotations

from typing import NoReturn

__all__ = [
    "AbsentError", "AnejaxError", "ConcretizationError", "ConcretizationTypeError", "DeletedArrayError",
    "DeviceError", "DtypeError", "EngineFallbackWarning", "ExportError", "FileError", "GraphError", "JAXIndexError",
    "JAXTypeError", "JaxRuntimeError", "JaxprTypeError", "MaskedArrayError", "MilError", "MissingDependencyError",
    "NanError", "NonConcreteBooleanIndexError", "NumericsWarning", "ParseError", "RefusedError", "SettingError",
    "ShapeError", "TracerArrayConversionError", "TracerBoolConversionError", "TracerIntegerConversionError",
    "TracerSliceError", "TreeError", "TypePromotionError", "UnboundAxisError", "UnexpectedTracerError",
    "VerifyError"
]  # fmt: skip


class AnejaxError(Exception):
    """The base of every error that anejax raises on purpose."""


class SettingError(AnejaxError, ValueError, AttributeError):
    """There is no setting of that name, or it does not take that value."""


class FileError(AnejaxError, OSError):
    """A file is of a kind or a size that is not read or written; the message names it."""


class DtypeError(AnejaxError, TypeError, ValueError):
    """An operand or argument has a dtype that the operation does not take. JAX raises a TypeError or a ValueError."""


class MaskedArrayError(DtypeError):
    """A masked NumPy array was given: arrays here have no masks."""


class TypePromotionError(DtypeError):
    """Operands of different dtypes met while promotion is strict."""


class ShapeError(AnejaxError, TypeError, ValueError):
    """Shapes, axes or dimension numbers do not fit together. A TypeError and a ValueError, since JAX raises either."""


class TreeError(AnejaxError, ValueError, TypeError):
    """Pytrees have another structure than expected; the message names the path."""


class GraphError(AnejaxError):
    """The type checker refuses a Graph: a defect of a rule or a pass."""


class RefusedError(AnejaxError, NotImplementedError):
    """anejax refuses an operation that was asked for; the message says why."""


class AbsentError(AnejaxError, AttributeError):
    """anejax lacks a name of jax; the message says why and what to use instead."""


class DeletedArrayError(AnejaxError, RuntimeError):
    """An array was used after it was donated or deleted."""


class NanError(AnejaxError, FloatingPointError):
    """``jax_debug_nans`` is on and an operation made a NaN."""


class DeviceError(AnejaxError, RuntimeError):
    """A device, or the native library, refused or failed.

    ``reason`` is for programs to read: the name of the native library's status (native/include/anesdk.h) in lower case,
    such as "engine_missing", "compile_refused" or "timeout"; empty where Python raised the error by itself.
    ``changed`` says whether a run had begun to write when it failed: then the arguments donated to it are deleted.
    """

    def __init__(self, message: str, reason: str = "", changed: bool = False) -> None:
        super().__init__(message)
        self.reason, self.changed = reason, changed


class EngineFallbackWarning(UserWarning):
    """A part of a function that was for the engine runs on the CPU device, and why."""


class NumericsWarning(UserWarning):
    """Finite inputs of a function gave infinity or NaN with the engine's float16, and would not have in float32."""


class UnboundAxisError(AnejaxError, NameError):
    """A collective names an axis that no ``vmap`` around it maps."""


class UnexpectedTracerError(AnejaxError, TypeError):
    """A tracer was used after its transformation had finished."""


class ConcretizationError(AnejaxError, TypeError):
    """Code needed a concrete value but got a traced one."""


class NonConcreteBooleanIndexError(ConcretizationError, IndexError):
    """A traced mask was used as an index."""


class TracerBoolConversionError(ConcretizationError):
    """A Python branch looked at a traced value."""


class TracerArrayConversionError(ConcretizationError):
    """A NumPy function was given a traced value."""


class TracerIntegerConversionError(ConcretizationError):
    """A traced value was used as a shape, an axis or a Python index."""


class TracerSliceError(TracerIntegerConversionError, IndexError):
    """A traced value was used as a bound of a slice."""


class MilError(AnejaxError):
    """Something is wrong with a MIL program."""


class MissingDependencyError(AnejaxError, ImportError):
    """An optional package is not installed; the message says how to get it."""


class ExportError(AnejaxError, ValueError):
    """A function cannot become a package as it was asked for."""


class ParseError(MilError):
    """MIL text does not follow the grammar; the message starts with `line:column`."""


class VerifyError(MilError):
    """A MIL program breaks a rule of its target."""


def fail(op: str, message: str, error: type[AnejaxError] = AnejaxError) -> NoReturn:
    """Raise `error` with the message `[op] message`."""
    raise error(f"[{op}] {message}")


# jax's names, and the bases of its errors about traced values
ConcretizationTypeError = ConcretizationError
JAXTypeError = TypeError
JAXIndexError = IndexError
JaxRuntimeError = DeviceError
JaxprTypeError = GraphError

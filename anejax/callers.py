"""Finds the user's frame in the running thread's stack, by skipping the frames of anejax and of libraries."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import functools
import os
import sys

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_USERS = tuple(PACKAGE + room + os.sep for room in ("models", "train"))  # rooms that use anejax as users do


def _files(*places: str) -> tuple[str, ...]:
    return tuple(PACKAGE + place.replace("/", os.sep) for place in places)


_CONVERTING = _files("callers.py", "dtypes.py", "numpy/operands.py", "numpy/keyed.py")
_ELEMENTWISE = _files(
    *(f"numpy/{name}.py" for name in ("elementwise", "selection", "ufunc", "methods"))
)  # as one module
_TRANSFORMING = _files("core/", "api/", "transforms/")


@functools.cache
def is_internal(filename: str) -> bool:
    """Whether a source file is anejax's own, its models and training loops aside."""
    return filename.startswith(PACKAGE) and not filename.startswith(_USERS)


@functools.cache
def _module(filename: str) -> str | None:
    """The module whose operands a frame of this file handles; None for code that only converts or transforms them."""
    if filename.startswith(_CONVERTING + _TRANSFORMING):
        return None
    return _ELEMENTWISE[0] if filename in _ELEMENTWISE else filename


def user_called() -> bool:
    """Whether the module whose function runs was called from outside anejax, so that its operands are the user's.

    A function that another module of anejax calls computes with arrays that this module made.
    """
    frame, running = sys._getframe(1), None
    while frame is not None and is_internal(frame.f_code.co_filename):
        module = _module(frame.f_code.co_filename)
        if module is not None:
            if running not in (None, module):
                return False
            running = module
        frame = frame.f_back
    return True


_LAX = _files("ops/", "lax/", "numpy/keyed.py")


def user_called_lax() -> bool:
    """Whether code outside anejax called the running function of ``lax``, directly or through others of ``lax``.

    jax's are stricter with what a user gives them than the package needs to be with itself.
    """
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_LAX):
        frame = frame.f_back
    return frame is None or not is_internal(frame.f_code.co_filename)


_TREES = _files("tree.py", "treedefs.py", "tree_util.py")


def user_called_tree() -> bool:
    """Whether code outside anejax called the function of trees that runs."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_TREES):
        frame = frame.f_back
    return frame is None or not is_internal(frame.f_code.co_filename)

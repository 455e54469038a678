"""Losses that compare predictions and targets element by element. The caller averages them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.nn.functions import log_sigmoid, log_softmax, logsumexp, softplus


def check_float(op: str, what: str, x: Any) -> None:
    """Raises DtypeError unless ``x`` is of a float dtype."""
    if not dtypes.is_float(aval_of(x).dtype):
        raise DtypeError(f"[{op}] expected float {what}, got {aval_of(x)}.")


def softmax_cross_entropy(logits: Any, labels: Any, axis: Any = -1, where: Any = None) -> Any:
    """-sum(labels * log_softmax(logits)): ``labels`` are probabilities."""
    check_float("softmax_cross_entropy", "logits", logits)
    if where is not None and where.ndim != logits.ndim:
        where = jnp.expand_dims(where, axis)
    return -jnp.sum(labels * log_softmax(logits, axis, where), axis, where=where)


def softmax_cross_entropy_with_integer_labels(logits: Any, labels: Any, axis: int = -1, where: Any = None) -> Any:
    """-log_softmax(logits) at the class that ``labels`` names.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import optim
        >>> optim.softmax_cross_entropy_with_integer_labels(jnp.zeros((1, 4)), jnp.array([2]))
        Array([1.3862944], dtype=float32)
    """
    check_float("softmax_cross_entropy_with_integer_labels", "logits", logits)
    found = aval_of(labels)
    if not dtypes.is_int(found.dtype):
        raise DtypeError(f"[softmax_cross_entropy_with_integer_labels] expected integer labels, got {found}.")
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    axis = axis % logits.ndim
    expected = logits.shape[:axis] + logits.shape[axis + 1 :]
    if labels.ndim != len(expected):
        raise ShapeError(
            "[softmax_cross_entropy_with_integer_labels] expected labels of the shape of the logits without"
            f" axis {axis}, {expected}, got {found} for logits {logits.aval}."
        )
    if where is not None and where.ndim != logits.ndim:
        where = jnp.expand_dims(where, axis)
    chosen = jnp.squeeze(jnp.take_along_axis(logits, jnp.expand_dims(labels, axis), axis=axis), axis)
    out = logsumexp(logits, axis=axis, where=where) - chosen
    return out if where is None else jnp.where(jnp.any(where, axis), out, 0.0)


def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> Any:
    """-labels * log(sigmoid(logits)) - (1 - labels) * log(1 - sigmoid(logits)), elementwise."""
    check_float("sigmoid_binary_cross_entropy", "logits", logits)
    logits = jnp.asarray(logits)
    labels = jnp.asarray(labels).astype(logits.dtype)
    return -labels * log_sigmoid(logits) - (1.0 - labels) * log_sigmoid(-logits)


def _errors(op: str, predictions: Any, targets: Any) -> Any:
    check_float(op, "predictions", predictions)
    if targets is None:
        return jnp.asarray(predictions)
    if aval_of(predictions).shape != aval_of(targets).shape:
        raise ShapeError(f"[{op}] expected one shape, got {aval_of(predictions)} and {aval_of(targets)}.")
    return jnp.asarray(predictions) - targets


def squared_error(predictions: Any, targets: Any = None) -> Any:
    """(predictions - targets)**2, elementwise."""
    return _errors("squared_error", predictions, targets) ** 2


def l2_loss(predictions: Any, targets: Any = None) -> Any:
    """Half the squared error, elementwise."""
    return 0.5 * _errors("l2_loss", predictions, targets) ** 2


def huber_loss(predictions: Any, targets: Any = None, *, delta: Any = 1.0) -> Any:
    """Half the squared error up to ``delta``, and linear beyond it."""
    size = jnp.abs(_errors("huber_loss", predictions, targets))
    quadratic = jnp.minimum(size, delta)
    return 0.5 * quadratic**2 + delta * (size - quadratic)


def log_cosh(predictions: Any, targets: Any = None) -> Any:
    """log(cosh(predictions - targets)), elementwise."""
    errors = _errors("log_cosh", predictions, targets)
    return errors + softplus(-2 * errors) - np.asarray(math.log(2), errors.dtype)


def smooth_labels(labels: Any, alpha: Any) -> Any:
    """(1 - alpha) * labels + alpha / number of classes, along the last axis."""
    check_float("smooth_labels", "labels", labels)
    return (1.0 - alpha) * labels + alpha / labels.shape[-1]

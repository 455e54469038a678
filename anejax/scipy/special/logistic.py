"""The logistic function, its inverse, and softmax."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax import lax
from anejax.core.array import Array
from anejax.lax.special import exponentials
from anejax.lax.special.exponentials import logsumexp as logsumexp
from anejax.scipy.special.operands import numbers, unary

expit = unary("expit", lax.logistic, "1 / (1 + exp(-x))", numbers)
logit = unary("logit", lambda x: jnp.log(x / (1 - x)), "inverse of expit", numbers)


def softmax(x: Any, /, *, axis: Any = None) -> Array:
    """exp(x) / sum(exp(x)) over ``axis`` (all axes when None)."""
    return exponentials.softmax(x, axis)


def log_softmax(x: Any, /, *, axis: Any = None) -> Array:
    """log(softmax(x))."""
    return exponentials.log_softmax(x, axis)

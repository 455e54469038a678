"""Mixed precision: which dtype parameters, computing and results have, and a loss scale that adapts itself.

Weights stay in float32, the network computes in a 16-bit type. Gradients in float16 easily fall below its smallest
number, so the loss is multiplied by a scale first and gradients are divided by it afterwards; the scale grows as long
as nothing overflows (Micikevicius et al., 2017, "Mixed Precision Training"). The Neural Engine turns some overflows
into zeros, so cotangents are looked at on their way (transforms/watch.py).

Example:
    >>> import anejax as aj, anejax.numpy as jnp
    >>> def loss(w, x):
    ...     return jnp.mean((x @ w) ** 2)
    >>> grad = aj.amp.value_and_grad(loss, policy="params=float32,compute=float16,output=float32")
    >>> opt, w = aj.optim.sgd(0.125), jnp.full(3, 0.125)
    >>> opt_state, scale = opt.init(w), grad.init()
    >>> @aj.jit
    ... def step(w, opt_state, scale, x):
    ...     (value, grads), scale = grad(scale, w, x)
    ...     updates, new_state = opt.update(grads, opt_state, w)
    ...     return *scale.select((aj.optim.apply_updates(w, updates), new_state), (w, opt_state)), scale, value
    >>> w, opt_state, scale, value = step(w, opt_state, scale, jnp.ones((2, 3)))
    >>> w, value, bool(scale.finite)
    (Array([0.03125, 0.03125, 0.03125], dtype=float32), Array(0.140625, dtype=float32), True)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, tree
from anejax.api import autodiff
from anejax.errors import DtypeError
from anejax.transforms.watch import watched
from anejax.tree import PyTree

__all__ = [
    "LossScale", "Policy", "ScaledValueAndGrad", "all_finite", "get_policy", "value_and_grad"
]  # fmt: skip

_NAMES = {"p": "param_dtype", "c": "compute_dtype", "o": "output_dtype"}
_LONG = {"params": "p", "param": "p", "compute": "c", "output": "o"}
_SHORT = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64", "half": "float16"}


def _float(name: Any) -> np.dtype:
    dtype = dtypes.canonical(_SHORT.get(name, name) if isinstance(name, str) else name)
    if not dtypes.is_float(dtype):
        raise DtypeError(f"[amp] expected a float dtype, got {dtype}.")
    return dtype


def _cast(values: PyTree, dtype: np.dtype) -> Any:
    def cast(leaf: Any) -> Any:
        found = getattr(leaf, "dtype", None)
        return leaf.astype(dtype) if found is not None and found in dtypes.FLOATS else leaf

    return tree.map(cast, values)


@dataclass(frozen=True)
class Policy:
    """The dtypes of parameters, of the network's computation, and of its results.

    The casts change the float arrays of a tree; integers, bools, keys and Python numbers stay as they are.
    """

    param_dtype: Any = dtypes.float32
    compute_dtype: Any = dtypes.float32
    output_dtype: Any = dtypes.float32

    def __post_init__(self) -> None:
        for name in _NAMES.values():
            object.__setattr__(self, name, _float(getattr(self, name)))

    def cast_to_param(self, values: PyTree) -> PyTree:
        """``values`` with floats in ``param_dtype``."""
        return _cast(values, self.param_dtype)

    def cast_to_compute(self, values: PyTree) -> PyTree:
        """``values`` with floats in ``compute_dtype``."""
        return _cast(values, self.compute_dtype)

    def cast_to_output(self, values: PyTree) -> PyTree:
        """``values`` with floats in ``output_dtype``."""
        return _cast(values, self.output_dtype)

    def __str__(self) -> str:
        return f"params={self.param_dtype.name},compute={self.compute_dtype.name},output={self.output_dtype.name}"


def get_policy(text: str | Policy) -> Policy:
    """The policy that a string names; a Policy is returned as it is.

    Example:
        >>> from anejax import amp
        >>> amp.get_policy("params=float32,compute=float16,output=float32").compute_dtype
        dtype('float16')
        >>> str(amp.get_policy("c=bf16"))
        'params=float32,compute=bfloat16,output=float32'
        >>> str(amp.get_policy("float16"))
        'params=float16,compute=float16,output=float16'

    Raises:
        ValueError: a part of the string is not ``params=``, ``compute=`` or ``output=`` and a dtype.
        DtypeError: a dtype is unknown or no float.
    """
    if isinstance(text, Policy):
        return text
    if "=" not in text:
        return Policy(*[text.strip()] * 3)
    found: dict[str, str] = {}
    for part in text.split(","):
        key, _, value = (piece.strip() for piece in part.partition("="))
        name = _NAMES.get(_LONG.get(key, key))
        if name is None or not value or name in found:
            raise ValueError(
                f"[amp] expected a policy like 'params=float32,compute=float16,output=float32', got {text!r}."
            )
        found[name] = value
    return Policy(**found)


class LossScale(NamedTuple):
    """A loss scale and its counters; a pytree of scalars, so it goes through ``jit`` and into checkpoints."""

    scale: Any  # float32[]
    streak: Any  # int32[]: finite steps since the scale last changed
    skipped: Any  # int32[]: steps whose gradients overflowed
    finite: Any  # bool[]: whether those of the last step did not

    def select(self, new: Any, old: Any) -> Any:
        """``new`` when the last gradients were finite, otherwise ``old``: trees of parameters, optimizer states."""
        return tree.map(lambda n, o: jnp.where(self.finite, n, o), new, old)


@dataclass(frozen=True)
class ScaledValueAndGrad:
    """``(scale, *args, **kwargs) -> ((value, gradient), scale)``; made by ``value_and_grad``."""

    fun: Callable[..., Any]
    policy: Policy
    argnums: int | tuple[int, ...]
    has_aux: bool
    keep_argnums: tuple[int, ...]
    initial_scale: float
    growth_interval: int
    growth_factor: float
    backoff_factor: float
    min_scale: float
    max_scale: float

    @property
    def limit(self) -> float:
        """The magnitude from which on a scaled cotangent is an overflow: the compute dtype's largest, and float16's for
        float32 too, since the Neural Engine turns float32 into it."""
        dtype = self.policy.compute_dtype
        return float(dtypes.finfo(dtypes.float16 if dtype == dtypes.float32 else dtype).max)

    def init(self) -> LossScale:
        """The scale before the first step."""
        zero = jnp.zeros((), jnp.int32)
        return LossScale(jnp.asarray(self.initial_scale, jnp.float32), zero, zero, jnp.asarray(True))

    def __call__(self, scale: LossScale, *args: Any, **kwargs: Any) -> Any:
        def run(factor: Any) -> Any:
            def scaled(*args: Any, **kwargs: Any) -> Any:
                cast = [a if i in self.keep_argnums else self.policy.cast_to_compute(a) for i, a in enumerate(args)]
                out = self.fun(*cast, **self.policy.cast_to_compute(kwargs))
                value, aux = out if self.has_aux else (out, None)
                # The product is taken in float32, or wider: float16 ends at 65504.
                wide = jnp.promote_types(jnp.result_type(value), jnp.float32)
                return jnp.asarray(value).astype(wide) * factor.astype(wide), (value, aux)

            (_, value_and_aux), grads = autodiff.value_and_grad(scaled, self.argnums, True)(*args, **kwargs)
            return value_and_aux, grads

        if self.growth_factor > 1:
            ((value, aux), grads), largest = watched(run, scale.scale)
            # By a scale below 1 gradients grow afterwards.
            finite = largest < self.limit * jnp.minimum(scale.scale, 1.0)
        else:
            (value, aux), grads = run(scale.scale)
            finite = all_finite(grads)
        grads = tree.map(lambda g: g.astype(jnp.promote_types(g.dtype, jnp.float32)) / scale.scale, grads)
        grads, value = self.policy.cast_to_param(grads), self.policy.cast_to_output(value)
        return ((value, aux) if self.has_aux else value, grads), self._next(scale, finite)

    def _next(self, scale: LossScale, finite: Any) -> LossScale:
        streak = jnp.where(finite, scale.streak + 1, 0)
        grows = streak >= self.growth_interval
        grown = jnp.where(grows, jnp.minimum(scale.scale * self.growth_factor, self.max_scale), scale.scale)
        shrunk = jnp.maximum(scale.scale * self.backoff_factor, self.min_scale)
        return LossScale(
            scale=jnp.where(finite, grown, shrunk).astype(jnp.float32),
            streak=jnp.where(grows, 0, streak).astype(jnp.int32),
            skipped=scale.skipped + jnp.where(finite, 0, 1).astype(jnp.int32),
            finite=finite,
        )


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    policy: str | Policy,
    keep_argnums: int | Sequence[int] = (),
    initial_scale: float | None = None,
    growth_interval: int = 2000,
    growth_factor: float = 2.0,
    backoff_factor: float = 0.5,
    min_scale: float = 1.0,
    max_scale: float = 2.0**24,
) -> ScaledValueAndGrad:
    """``anejax.value_and_grad`` in mixed precision, with a dynamic loss scale.

    Float arguments are cast to the policy's compute dtype, the loss is scaled, and the gradients come back unscaled in
    its param dtype. After ``growth_interval`` finite steps in a row the scale is multiplied by ``growth_factor`` (up to
    ``max_scale``); an overflow, in gradients or on the way to them, multiplies it by ``backoff_factor`` (down to
    ``min_scale``), and ``scale.select(new, old)`` then keeps the old parameters and states: the step is skipped.
    Cotangents of 65504 or more count as overflows in float32 too, since the Neural Engine's float16 ends there
    (docs/precision.md, "What counts as an overflow").

    Args:
        fun: returns a float scalar, or (scalar, aux) with ``has_aux``; take the loss itself in float32, by
            ``logits.astype("float32")``.
        argnums: which arguments to differentiate.
        policy: a Policy or its string form.
        keep_argnums: arguments that are not cast, such as the running statistics of BatchNorm.
        initial_scale: powers of two scale exactly. Default: 2**15 where float16 is computed in; elsewhere 1, which
            does not grow.

    Returns:
        An object with ``init() -> scale`` and ``(scale, *args) -> ((value, gradient), scale)``; with ``has_aux`` the
        value is ``(value, aux)``.

    Raises:
        ValueError: a factor, an interval or a limit makes no sense.
    """
    found = get_policy(policy)
    scales = initial_scale is not None or dtypes.float16 in (found.param_dtype, found.compute_dtype)
    first = (2.0**15 if scales else 1.0) if initial_scale is None else initial_scale
    if not scales:
        growth_factor = backoff_factor = 1.0
    elif not (growth_factor > 1 and 0 < backoff_factor < 1 and growth_interval >= 1):
        raise ValueError(
            "[amp] expected growth_factor > 1, 0 < backoff_factor < 1 and growth_interval >= 1, got"
            f" {growth_factor}, {backoff_factor} and {growth_interval}."
        )
    if not 0 < min_scale <= first <= max_scale:
        raise ValueError(
            f"[amp] expected 0 < min_scale <= initial_scale <= max_scale, got {min_scale}, {first} and {max_scale}."
        )
    return ScaledValueAndGrad(
        fun, found, argnums if isinstance(argnums, int) else tuple(argnums), has_aux,
        (keep_argnums,) if isinstance(keep_argnums, int) else tuple(keep_argnums),
        first, growth_interval, growth_factor, backoff_factor, min_scale, max_scale,
    )  # fmt: skip


def all_finite(values: PyTree) -> PyTree:
    """Whether no float of a tree is infinite or NaN: bool[]."""
    found = jnp.asarray(True)
    for leaf in tree.leaves(values):
        found = found & jnp.all(jnp.isfinite(leaf))
    return found

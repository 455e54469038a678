"""More optimizers under their usual names, each a chain of transformations."""

from __future__ import annotations

from typing import Any

from anejax import dtypes
from anejax.optim.alias import sgd
from anejax.optim.base import GradientTransformationExtraArgs, ScalarOrSchedule, chain, masked
from anejax.optim.factored import scale_by_factored_rms, scale_by_sm3
from anejax.optim.norms import scale_by_param_block_rms, scale_by_polyak
from anejax.optim.steps import (
    add_noise,
    scale_by_adan,
    scale_by_novograd,
    scale_by_optimistic_gradient,
    scale_by_rprop,
)
from anejax.optim.transform import (
    add_decayed_weights,
    clip_by_block_rms,
    ema,
    scale,
    scale_by_adam,
    scale_by_adamax,
    scale_by_learning_rate,
    scale_by_sign,
    scale_by_trust_ratio,
    trace,
)
from anejax.typing import ArrayLike


def adafactor(
    learning_rate: ScalarOrSchedule | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: Any = 0.8,
    decay_offset: Any = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: Any = 1.0,
    momentum: Any = None,
    dtype_momentum: Any = dtypes.float32,
    weight_decay_rate: ScalarOrSchedule | None = None,
    eps: Any = 1e-30,
    factored: bool = True,
    weight_decay_mask: Any = None,
) -> GradientTransformationExtraArgs:
    """Adafactor: the second moment of a matrix takes as much memory as a row and a column of it (Shazeer, 2018).

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import optim
        >>> state = optim.adafactor(1e-2).init({"w": jnp.ones((256, 512))})
        >>> state[0].v_row["w"].shape, state[0].v_col["w"].shape
        ((256,), (512,))
    """
    parts = [scale_by_factored_rms(factored, decay_rate, decay_offset, min_dim_size_to_factor, eps)]
    if clipping_threshold is not None:
        parts.append(clip_by_block_rms(clipping_threshold))
    if learning_rate is not None:
        parts.append(scale_by_learning_rate(learning_rate, flip_sign=False))
    if multiply_by_parameter_scale:
        parts.append(scale_by_param_block_rms())
    if momentum is not None:
        parts.append(ema(momentum, False, dtype_momentum))
    if weight_decay_rate is not None:
        parts.append(add_decayed_weights(weight_decay_rate, weight_decay_mask))
    return chain(*parts, scale(-1))


def adamaxw(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: Any = None,
) -> GradientTransformationExtraArgs:
    """Adamax with decoupled weight decay, for parameters whose ``mask`` is True."""
    decay = add_decayed_weights(weight_decay, mask)
    return chain(scale_by_adamax(b1, b2, eps), decay, scale_by_learning_rate(learning_rate))


def adan(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.98,
    b2: Any = 0.92,
    b3: Any = 0.99,
    eps: Any = 1e-8,
    eps_root: Any = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: Any = None,
) -> GradientTransformationExtraArgs:
    """Adan: Adam with Nesterov's momentum, by differences of gradients."""
    decay = add_decayed_weights(weight_decay, mask)
    return chain(scale_by_adan(b1, b2, b3, eps, eps_root), decay, scale_by_learning_rate(learning_rate))


def fromage(learning_rate: ScalarOrSchedule, min_norm: Any = 1e-6) -> GradientTransformationExtraArgs:
    """Steps relative to the norm of each array, scaled so that the norm does not grow (Bernstein et al., 2020)."""
    rate: Any = learning_rate

    def shrink(rate: Any) -> Any:
        return 1 / (1 + rate**2) ** 0.5

    ratio = scale_by_trust_ratio(min_norm)
    if not callable(rate):
        return chain(ratio, scale_by_learning_rate(rate * shrink(rate)), add_decayed_weights(shrink(rate) - 1))
    steps = scale_by_learning_rate(lambda count: shrink(rate(count)) * rate(count))
    return chain(ratio, steps, add_decayed_weights(lambda count: shrink(rate(count)) - 1))


def lars(
    learning_rate: ScalarOrSchedule,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: Any = True,
    trust_coefficient: Any = 0.001,
    eps: Any = 0.0,
    trust_ratio_mask: Any = True,
    momentum: Any = 0.9,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:
    """Momentum with steps in proportion to the norm of each array, for large batches (You et al., 2017)."""
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        masked(scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps), trust_ratio_mask),
        scale_by_learning_rate(learning_rate),
        trace(momentum, nesterov),
    )


def noisy_sgd(
    learning_rate: ScalarOrSchedule,
    eta: Any = 0.01,
    gamma: Any = 0.55,
    key: ArrayLike | None = None,
    *,
    seed: int | None = None,
) -> GradientTransformationExtraArgs:
    """Gradient descent with noise that decreases from step to step."""
    return chain(add_noise(eta, gamma, key, seed=seed), scale_by_learning_rate(learning_rate))


def novograd(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.25,
    eps: Any = 1e-6,
    eps_root: Any = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
) -> GradientTransformationExtraArgs:
    """NovoGrad: momentum of gradients that are divided by the norm of their array."""
    return chain(scale_by_novograd(b1, b2, eps, eps_root, weight_decay), scale_by_learning_rate(learning_rate))


def optimistic_gradient_descent(
    learning_rate: ScalarOrSchedule, alpha: Any = 1.0, beta: Any = 1.0
) -> GradientTransformationExtraArgs:
    """Gradient descent that goes on in the direction in which gradients change, for games of several players."""
    return chain(scale_by_optimistic_gradient(alpha, beta), scale_by_learning_rate(learning_rate))


def optimistic_adam(
    learning_rate: Any,
    optimism: Any = None,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = True,
) -> GradientTransformationExtraArgs:
    """Adam that goes on in the direction in which its steps change; ``learning_rate`` is a number.

    Raises:
        ValueError: ``learning_rate`` is a schedule; ``optimistic_adam_v2`` takes one.
    """
    if callable(learning_rate):
        raise ValueError(
            "[optimistic_adam] expected a number for learning_rate, got a function: use optimistic_adam_v2."
        )
    ahead = learning_rate if optimism is None else optimism
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_optimistic_gradient(learning_rate, ahead),
        scale_by_learning_rate(1.0),
    )


def optimistic_adam_v2(
    learning_rate: ScalarOrSchedule,
    *,
    alpha: Any = 1.0,
    beta: Any = 1.0,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    nesterov: bool = True,
) -> GradientTransformationExtraArgs:
    """Adam that goes on in the direction in which its steps change."""
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_optimistic_gradient(alpha, beta),
        scale_by_learning_rate(learning_rate),
    )


def polyak_sgd(
    max_learning_rate: Any = 1.0,
    scaling: ScalarOrSchedule = 1.0,
    f_min: Any = 0.0,
    eps: Any = 0.0,
    variant: str = "sps",
) -> GradientTransformationExtraArgs:
    """Gradient descent with Polyak's step size, for which ``update`` takes the loss by the name ``value``.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import optim
        >>> opt = optim.polyak_sgd()
        >>> x = jnp.asarray(3.0)  # of x**2
        >>> opt.update(2 * x, opt.init(x), x, value=x**2)[0]
        Array(-1.5, dtype=float32)
    """
    return chain(sgd(scaling), scale_by_polyak(f_min, max_learning_rate, eps, variant))


def rprop(
    learning_rate: Any,
    eta_minus: Any = 0.5,
    eta_plus: Any = 1.2,
    min_step_size: Any = 1e-6,
    max_step_size: Any = 50.0,
) -> GradientTransformationExtraArgs:
    """Rprop: steps by the signs of gradients, for whole data sets as one batch."""
    return chain(scale_by_rprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size), scale(-1.0))


def signum(
    learning_rate: ScalarOrSchedule, beta: Any = 0.9, accumulator_dtype: Any = None
) -> GradientTransformationExtraArgs:
    """Steps of one size, by the sign of the average gradient (Bernstein et al., 2018)."""
    return chain(ema(beta, False, accumulator_dtype), scale_by_sign(), scale_by_learning_rate(learning_rate))


def sm3(learning_rate: Any, momentum: Any = 0.9) -> GradientTransformationExtraArgs:
    """SM3: second moments that take as much memory as one row and one column."""
    return chain(scale_by_sm3(momentum), scale(-learning_rate))

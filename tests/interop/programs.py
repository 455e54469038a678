"""Public kinds of programs for jax, each as a train step: state -> (state, loss). Sizes are those of a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import flax.linen as linen
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

Step = Callable[[Any], tuple[Any, Any]]


def of(*shape: int) -> Any:
    return jnp.asarray(np.random.default_rng(sum(shape)).standard_normal(shape, np.float32))


def labels(n: int, classes: int) -> Any:
    return jnp.asarray(np.random.default_rng(n).integers(0, classes, n))


def updated(optimizer: Any, grads: Any, opt: Any, params: Any) -> tuple[Any, Any]:
    updates, opt = optimizer.update(grads, opt, params)
    return optax.apply_updates(params, updates), opt


def trained(loss: Callable[[Any], Any], optimizer: Any, params: Any) -> tuple[Step, Any]:
    """Steps of an optimizer of optax down ``loss``, and the state before the first."""

    def step(state: Any) -> Any:
        params, opt = state
        value, grads = jax.value_and_grad(loss)(params)
        return updated(optimizer, grads, opt, params), value

    return step, (params, optimizer.init(params))


def flax_cnn() -> tuple[Step, Any]:
    """Flax linen: convolutions, batch norm with running statistics, pooling, dropout."""

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            x = linen.Conv(8, (3, 3))(x)
            x = linen.relu(linen.BatchNorm(use_running_average=False)(x))
            x = linen.max_pool(x, (2, 2), (2, 2))
            x = linen.Conv(8, (3, 3), strides=2)(x).reshape(len(x), -1)
            return linen.Dense(5)(linen.Dropout(0.3, deterministic=False)(x))

    net, x, y, optimizer = Net(), of(6, 9, 9, 3), labels(6, 5), optax.sgd(0.05, 0.9, nesterov=True)

    def loss(params: Any, stats: Any, key: Any) -> Any:
        variables = {"params": params, "batch_stats": stats}
        logits, changed = net.apply(variables, x, rngs={"dropout": key}, mutable=["batch_stats"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), changed["batch_stats"]

    def step(state: Any) -> Any:
        params, stats, opt, key = state
        key, used = jax.random.split(key)
        (value, stats), grads = jax.value_and_grad(loss, has_aux=True)(params, stats, used)
        params, opt = updated(optimizer, grads, opt, params)
        return (params, stats, opt, key), value

    variables = net.init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, x)
    params = variables["params"]
    return step, (params, variables["batch_stats"], optimizer.init(params), jax.random.key(2))


def nnx_transformer() -> tuple[Step, Any]:
    """Flax nnx: embeddings, masked attention, layer norms, AdamW with a schedule and clipping."""

    class Block(nnx.Module):
        def __init__(self, width: int, rngs: nnx.Rngs) -> None:
            self.norm = nnx.LayerNorm(width, rngs=rngs)
            self.attention = nnx.MultiHeadAttention(2, width, decode=False, rngs=rngs)
            self.up, self.down = nnx.Linear(width, 2 * width, rngs=rngs), nnx.Linear(2 * width, width, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            x = x + self.attention(self.norm(x), mask=nnx.make_causal_mask(jnp.ones(x.shape[:2])))
            return x + self.down(nnx.gelu(self.up(x)))

    class Model(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.embed = nnx.Embed(11, 16, rngs=rngs)
            self.blocks = nnx.List([Block(16, rngs) for _ in range(2)])
            self.head = nnx.Linear(16, 11, rngs=rngs)

        def __call__(self, tokens: Any) -> Any:
            x = self.embed(tokens)
            for block in self.blocks:
                x = block(x)
            return self.head(x)

    tokens = labels(3 * 8, 11).reshape(3, 8)
    graph, params = nnx.split(Model(nnx.Rngs(0)))
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 3, 20)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule))

    def loss(params: Any) -> Any:
        logits = nnx.merge(graph, params)(tokens[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()

    return trained(loss, optimizer, params)


def equinox_mlp() -> tuple[Step, Any]:
    """Equinox: a module that is a tree, vmap over examples."""
    params, static = eqx.partition(eqx.nn.MLP(3, 2, 16, 2, key=jax.random.key(0)), eqx.is_array)
    x, y, optimizer = of(8, 3), of(8, 2), optax.adam(1e-2)

    def loss(params: Any) -> Any:
        return jnp.mean((jax.vmap(eqx.combine(params, static))(x) - y) ** 2)

    return trained(loss, optimizer, params)


def equinox_rnn() -> tuple[Step, Any]:
    """Equinox: a GRU that scans over time, with checkpointed turns."""
    cell, head = eqx.nn.GRUCell(3, 8, key=jax.random.key(0)), eqx.nn.Linear(8, 1, key=jax.random.key(1))
    params, static = eqx.partition((cell, head), eqx.is_array)
    x, y, optimizer = of(5, 7, 3), of(5, 1), optax.rmsprop(1e-2)

    def predict(params: Any, sequence: Any) -> Any:
        cell, head = eqx.combine(params, static)
        turn = jax.checkpoint(lambda h, x: (cell(x, h), None))
        return head(jax.lax.scan(turn, jnp.zeros(8), sequence)[0])

    return trained(lambda p: jnp.mean((jax.vmap(predict, (None, 0))(p, x) - y) ** 2), optimizer, params)


def haiku_network() -> tuple[Step, Any]:
    """Haiku: transformed functions, group norm, an LSTM by dynamic_unroll."""

    def forward(x: Any) -> Any:
        h, _ = hk.dynamic_unroll(hk.LSTM(6), x, hk.LSTM(6).initial_state(x.shape[1]))
        return hk.Linear(1)(jax.nn.silu(hk.GroupNorm(2, data_format="channels_last")(h[-1])))

    net, x, y = hk.without_apply_rng(hk.transform(forward)), of(5, 4, 3), of(4, 1)
    optimizer = optax.lion(1e-3)

    return trained(lambda p: jnp.mean((net.apply(p, x) - y) ** 2), optimizer, net.init(jax.random.key(0), x))


def hamiltonian_sampler() -> tuple[Step, Any]:
    """Hamiltonian Monte Carlo as NumPyro runs it: leapfrog in a loop, an accept step, a log density by jax.scipy."""
    data = of(20) * 0.5 + 1.0

    def energy(q: Any) -> Any:
        scale = jax.nn.softplus(q[1])
        return -jax.scipy.stats.norm.logpdf(data, q[0], scale).sum() - jax.scipy.stats.norm.logpdf(q).sum()

    def leapfrog(_: Any, state: Any) -> Any:
        q, p = state
        p = p - 0.025 * jax.grad(energy)(q)
        q = q + 0.05 * p
        return q, p - 0.025 * jax.grad(energy)(q)

    def step(state: Any) -> Any:
        q, key = state
        key, for_momentum, for_choice = jax.random.split(key, 3)
        p = jax.random.normal(for_momentum, q.shape)
        new, moved = jax.lax.fori_loop(0, 8, leapfrog, (q, p))
        gain = energy(q) + (p**2).sum() / 2 - energy(new) - (moved**2).sum() / 2
        accepted = jnp.log(jax.random.uniform(for_choice)) < gain
        q = jax.lax.cond(accepted, lambda: new, lambda: q)
        return (q, key), energy(q)

    return step, (jnp.zeros(2), jax.random.key(5))


def diffusion() -> tuple[Step, Any]:
    """A denoising step: noise by a schedule, time embedded by sines, residual blocks, moving averages of weights."""
    x = of(6, 8)
    alphas = jnp.cumprod(1 - jnp.linspace(1e-4, 0.02, 50))
    keys = jax.random.split(jax.random.key(0), 3)
    params = {str(i): jax.random.normal(k, (24, 24)) * 0.2 for i, k in enumerate(keys)} | {"out": of(24, 8) * 0.2}
    optimizer = optax.adamw(1e-3)

    def predict(params: Any, noisy: Any, t: Any) -> Any:
        angles = t[:, None] * jnp.exp(-jnp.arange(8) * 0.5)
        h = jnp.concatenate([noisy, jnp.sin(angles), jnp.cos(angles)], -1)
        for i in range(3):
            h = h + jax.nn.swish(h @ params[str(i)])
        return h @ params["out"]

    def loss(params: Any, key: Any) -> Any:
        for_time, for_noise = jax.random.split(key)
        t = jax.random.randint(for_time, (6,), 0, 50)
        noise = jax.random.normal(for_noise, x.shape)
        level = alphas[t][:, None]
        noisy = jnp.sqrt(level) * x + jnp.sqrt(1 - level) * noise
        return jnp.mean((predict(params, noisy, t.astype(jnp.float32)) - noise) ** 2)

    def step(state: Any) -> Any:
        params, average, opt, key = state
        key, used = jax.random.split(key)
        value, grads = jax.value_and_grad(loss)(params, used)
        params, opt = updated(optimizer, grads, opt, params)
        average = optax.incremental_update(params, average, 0.1)
        return (params, average, opt, key), value

    return step, (params, params, optimizer.init(params), jax.random.key(1))


def optax_zoo() -> tuple[Step, Any]:
    """Many optimizers of optax at once, on one small regression."""
    optimizers = {
        "adabelief": optax.adabelief(1e-2), "adafactor": optax.adafactor(1e-2), "adagrad": optax.adagrad(1e-2),
        "adamax": optax.adamax(1e-2), "lamb": optax.lamb(1e-2), "lars": optax.lars(1e-2),
        "multi": optax.MultiSteps(optax.adam(1e-2), 3), "nadam": optax.nadam(1e-2), "noisy": optax.noisy_sgd(1e-2),
        "radam": optax.radam(1e-2), "sm3": optax.sm3(1e-2), "yogi": optax.yogi(1e-2),
        "zeros": optax.chain(optax.zero_nans(), optax.add_decayed_weights(1e-3), optax.sgd(1e-2)),
    }  # fmt: skip
    x, y, params = of(9, 4), of(9, 3), {"w": of(4, 3), "b": jnp.zeros(3)}

    def loss(params: Any) -> Any:
        return optax.huber_loss(x @ params["w"] + params["b"], y).mean()

    def step(state: Any) -> Any:
        new, values = {}, []
        for name, optimizer in optimizers.items():
            params, opt = state[name]
            value, grads = jax.value_and_grad(loss)(params)
            new[name] = updated(optimizer, grads, opt, params)
            values.append(value)
        return new, jnp.stack(values)

    return step, {name: (params, optimizer.init(params)) for name, optimizer in optimizers.items()}


PROGRAMS: list[Callable[[], tuple[Step, Any]]] = [
    flax_cnn, nnx_transformer, equinox_mlp, equinox_rnn, haiku_network, hamiltonian_sampler, diffusion, optax_zoo,
]  # fmt: skip

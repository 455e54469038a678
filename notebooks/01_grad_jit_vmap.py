# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1. grad, jit and vmap
#
# anejax has JAX's programming model: you write plain functions of arrays, and transform them. `grad` makes the
# derivative of a function, `jit` compiles it into one native program, `vmap` runs it over a batch. Each result is a
# function again, so they nest in any order.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, optim, random

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 70, "axes.grid": True, "grid.alpha": 0.3})

# %% [markdown]
# ## Derivatives
#
# `aj.grad(f)` is a function that returns the slope of `f`. It can be differentiated again.


# %%
def wave(x):
    return jnp.sin(x) * jnp.exp(-(x**2) / 8)


x = np.linspace(-5, 5, 200, dtype=np.float32)
slope = aj.vmap(aj.grad(wave))  # grad wants one number in, one out; vmap maps it over all of x
bend = aj.vmap(aj.grad(aj.grad(wave)))

plt.plot(x, wave(x), label="wave")
plt.plot(x, slope(x), label="first derivative")
plt.plot(x, bend(x), label="second derivative")
plt.legend()
plt.show()

# %% [markdown]
# A check that needs no trust: the slope against a difference quotient.

# %%
step = 1e-2
quotient = (np.asarray(wave(x + step)) - np.asarray(wave(x - step))) / (2 * step)
print("largest difference:", float(np.max(np.abs(quotient - np.asarray(slope(x))))))

# %% [markdown]
# ## What jit does
#
# Without `jit` each operation runs as it is called, which is handy for looking at values. `jit` records the function
# once, as a typed graph:


# %%
def loss(params, x, y):
    hidden = jnp.tanh(x @ params["w"] + params["b"])
    return jnp.mean((hidden @ params["v"] - y) ** 2)


key = random.key(0)
params = {"w": random.normal(key, (3, 64)), "b": jnp.zeros(64), "v": jnp.ones(64) / 64}
inputs, targets = jnp.ones((256, 3)), jnp.ones(256)
print(aj.make_jaxpr(loss)(params, inputs, targets))

# %% [markdown]
# The graph is compiled for a device; weights are inputs of the program, so new weights never compile again. What is
# elementwise is fused into few passes over memory:

# %%
gradient = aj.grad(loss)
compiled = aj.jit(gradient)
compiled(params, inputs, targets)  # the first call compiles


def best_of(f, rounds=30):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        f(params, inputs, targets)
        times.append(time.perf_counter() - start)
    return min(times) * 1e6


print(f"eager {best_of(gradient):8.0f} us")
print(f"jit   {best_of(compiled):8.0f} us")
print(compiled.lower(params, inputs, targets).compile().cost_analysis())

# %% [markdown]
# ## vmap: a batch of anything
#
# `vmap(grad(loss))` is a gradient for every single example: something that a loop over examples would do slowly.

# %%
rng = np.random.default_rng(0)
xs = rng.normal(size=(256, 3)).astype(np.float32)
ys = np.sin(xs.sum(1))
one_by_one = aj.jit(aj.vmap(gradient, in_axes=(None, 0, 0)))(params, xs, ys)
norms = np.sqrt(sum(np.sum(np.square(np.asarray(g)).reshape(256, -1), 1) for g in one_by_one.values()))
plt.hist(norms, bins=40)
plt.xlabel("norm of one example's gradient")
plt.show()

# %% [markdown]
# ## All together: sixteen networks trained at once
#
# A layer has `init(key, x) -> (params, state)` and `apply(params, state, x) -> (y, state)`; both are plain functions.
# So `vmap` over sixteen keys makes sixteen networks, and one jitted step trains all of them. Where they disagree,
# the data does not say.

# %%
net = nn.Sequential(nn.Linear(32), nn.Tanh(), nn.Linear(32), nn.Tanh(), nn.Linear(1))
xs = np.concatenate([rng.uniform(-3, -1, 40), rng.uniform(0.5, 2.5, 40)]).astype(np.float32)[:, None]
ys = (np.sin(2 * xs) + 0.1 * rng.normal(size=xs.shape)).astype(np.float32)
optimizer = optim.adam(1e-2)


def fit_loss(params):
    y, _ = net.apply(params, state, xs)
    return jnp.mean((y - ys) ** 2)


def update(params, opt_state):
    value, grads = aj.value_and_grad(fit_loss)(params)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return optim.apply_updates(params, updates), opt_state, value


_, state = net.init(random.key(0), xs)
ensemble = aj.vmap(lambda key: net.init(key, xs)[0])(random.split(random.key(1), 16))
opt_states = aj.vmap(optimizer.init)(ensemble)
train = aj.jit(aj.vmap(update), donate_argnums=(0, 1))
losses = []
for _ in range(600):
    ensemble, opt_states, values = train(ensemble, opt_states)
    losses.append(np.asarray(values))

# %%
grid = np.linspace(-4, 4, 200, dtype=np.float32)[:, None]
curves = np.asarray(aj.vmap(lambda p: net.apply(p, state, grid)[0])(ensemble))[:, :, 0]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3))
left.semilogy(np.stack(losses), color="tab:blue", alpha=0.3)
left.set(xlabel="step", ylabel="loss of each network")
right.plot(grid, curves.T, color="tab:blue", alpha=0.3)
right.plot(xs, ys, "k.", markersize=4)
right.set(ylim=(-2.5, 2.5), xlabel="x", title="sixteen fits")
plt.show()

# %% [markdown]
# Next: [a convolutional network on CIFAR-10](02_cifar10_cnn.ipynb).

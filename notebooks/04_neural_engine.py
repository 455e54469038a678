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
# # 4. What runs on the Neural Engine
#
# The engine in Apple's chips takes programs in MIL, a language of typed tensor operations. This notebook follows one
# function on its way there: graph, MIL, and the form that the engine takes. It needs no Mac: a program made for the
# engine also runs, unchanged, on the CPU device, which is how its values are checked. Sending it to a real engine is
# not part of this version.

# %%
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, random
from anejax.errors import AnejaxError
from anejax.lower.to_mil import lower
from anejax.mil.limits import FAMILY_OF_CHIP, LIMITS, MAX_RANK, SATURATION
from anejax.mil.text import to_text
from anejax.passes.pipeline import optimize
from anejax.runtime import library

plt.rcParams.update({"figure.dpi": 70})

# %% [markdown]
# ## Reading a graph
#
# A function is recorded as equations between typed variables. Inputs come first; scalars stand where they are used.


# %%
def layer(x, w, b):
    return jnp.tanh(x @ w + b)


rng = np.random.default_rng(0)
x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((8, 32), (32, 16), (16,)))
closed = aj.make_jaxpr(layer)(x, w, b)
print(closed)

# %% [markdown]
# ## Its MIL for the CPU device
#
# Every operand has a name, every value a type. An operation is MIL's own where dtype and meaning are the same; what
# MIL lacks is called `aj_` and the name that JAX's lax gives it.

# %%
print(aj.jit(layer).lower(x, w, b).as_text())


# %% [markdown]
# ## Its form for the engine
#
# Legalization rewrites graph to graph: float32 becomes float16, `aj_` operations become MIL's, gradients of
# convolutions become slices and products, and what the engine gets wrong is expressed otherwise. The verifier then
# holds the program against what is known of the engine.


# %%
def for_engine(function, *args):
    graph = optimize(aj.make_jaxpr(function)(*args).graph, "ane")
    program = lower(graph, "ane")
    library.verify(to_text(program), "ane")
    return program


print(to_text(for_engine(layer, x, w, b)))

# %% [markdown]
# A gradient is a graph like any other. Here are the operations of one training step's gradient for a small
# convolutional network, as they are for the CPU device and for the engine.

# %%
net = nn.Sequential(nn.Conv2D(8, 3), nn.ReLU(), nn.MaxPool(2), nn.Flatten(), nn.Linear(10))
images = rng.normal(size=(4, 3, 16, 16)).astype(np.float32)
params, state = net.init(random.key(0), images)
target = np.eye(10, dtype=np.float32)[rng.integers(0, 10, 4)]


def gradient(params, images, target):
    def loss(params):
        logits, _ = net.apply(params, state, images)
        return -jnp.mean(jnp.sum(nn.log_softmax(logits) * target, -1))

    return aj.grad(loss)(params)


def kinds(program):
    return Counter(op.name for function in program.functions for op in function.ops)


here = kinds(lower(optimize(aj.make_jaxpr(gradient)(params, images, target).graph, "cpu"), "cpu"))
there = kinds(for_engine(gradient, params, images, target))
names = sorted(here.keys() | there.keys())
figure, axes = plt.subplots(figsize=(11, 3))
axes.bar(np.arange(len(names)) - 0.2, [here[n] for n in names], 0.4, label="CPU device")
axes.bar(np.arange(len(names)) + 0.2, [there[n] for n in names], 0.4, label="engine")
axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
axes.set_yscale("symlog")
axes.set_ylabel("operations")
axes.legend()
plt.show()

# %% [markdown]
# ## The same values, in half precision
#
# The engine's program runs on the CPU device as well. Float16 has 11 bits, so results differ from float32 by about
# one part in two thousand of the largest value.

# %%
leaves = aj.tree.leaves((params, images, target))
exact = [np.asarray(g) for g in aj.tree.leaves(aj.jit(gradient)(params, images, target))]
native = library.NativeProgram("cpu", to_text(for_engine(gradient, params, images, target)))
halves = [np.ascontiguousarray(leaf, np.float16) for leaf in leaves]
buffers, addresses = library.create_buffers(native.output_nbytes)
native.run([half.ctypes.data for half in halves], addresses)
found = [b.view(e.shape, np.dtype(np.float16)).astype(np.float32) for b, e in zip(buffers, exact)]

figure, axes = plt.subplots(figsize=(5, 4))
for path, e, f in zip(aj.tree.paths(params), exact, found):
    axes.plot(e.ravel(), f.ravel(), ".", label=path, markersize=4)
    print(f"{path:12} largest error {np.max(np.abs(e - f)) / np.max(np.abs(e)):.2e} of the largest value")
axes.set(xlabel="gradient in float32, CPU program", ylabel="gradient in float16, engine program")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## What cannot go there
#
# Some things the engine does not have. Asking for them gives the reason; on a Mac such parts belong on the CPU device.
# The whole list is in [docs/legalization.md](../docs/legalization.md).

# %%
wanted = {
    "sort": (jnp.sort, x),
    "argmax": (lambda x: jnp.argmax(x, -1), x),
    "six axes": (lambda x: x + 1, np.zeros((1, 1, 1, 1, 2, 2), np.float32)),
    "integers": (lambda n: n * 2, np.arange(4)),
}
for name, (function, argument) in wanted.items():
    try:
        for_engine(function, argument)
        print(f"{name}: accepted")
    except AnejaxError as err:
        print(f"{name}: {err}\n")

# %% [markdown]
# ## Limits, as far as they are known
#
# Apple documents none of this; the figures come from published measurements, and the module `anejax.mil.limits` marks
# each with its kind of source.

# %%
print(f"axes: at most {MAX_RANK}; products of {SATURATION:g} and more become infinite")
for chip, family in FAMILY_OF_CHIP.items():
    limits = LIMITS[family]
    print(f"{chip}: extent {limits.max_extent:6}, kernel {limits.kernel_height} x {limits.kernel_width}", end="")
    print(f" ({limits.kernel_width_strided} wide when strided), pooling window {limits.pool_window}")

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
# # 2. A convolutional network on CIFAR-10
#
# 50,000 training and 10,000 test images of 32 x 32 pixels in ten classes. The data is fetched the first time, and
# checked against the official checksums.
#
# With `ANEJAX_NOTEBOOK=short` in the environment this notebook trains on 2,048 images only, which says nothing about
# accuracy but takes seconds; `anejax train cifar10` is the whole thing, with checkpoints.

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, optim, random
from anejax.data import cifar10
from anejax.data.batches import TestBatches, TrainBatches

SHORT = os.environ.get("ANEJAX_NOTEBOOK") == "short"
plt.rcParams.update({"figure.dpi": 70})

train, test = cifar10.load()
count, tested, epochs = (2048, 500, 1) if SHORT else (20000, 5000, 2)
train_batches = TrainBatches(train.images[:count], train.labels[:count], 128, cifar10.MEAN, cifar10.STD)
test_batches = TestBatches(test.images[:tested], test.labels[:tested], 250, cifar10.MEAN, cifar10.STD)
print(f"{len(train.labels):,} training and {len(test.labels):,} test images; this run takes {count:,} and {tested:,}")

# %% [markdown]
# The data set states no licence, so its pictures are not kept in this file: run the cell to see them.

# %% tags=["not-kept"]
figure, axes = plt.subplots(2, 8, figsize=(10, 3))
for axis, image, label in zip(axes.flat, train.images, train.labels):
    axis.imshow(image.transpose(1, 2, 0))
    axis.set_title(cifar10.CLASSES[label], fontsize=9)
    axis.axis("off")
plt.show()

# %% [markdown]
# ## The network
#
# Layers are small immutable objects; `init` infers all sizes from the shape of the input. `BatchNorm` keeps running
# statistics, which is why `apply` takes and returns a state.

# %%
net = nn.Sequential(
    *[nn.Conv2D(32, 3, bias=False), nn.BatchNorm(), nn.ReLU(), nn.MaxPool(2)],
    *[nn.Conv2D(64, 3, bias=False), nn.BatchNorm(), nn.ReLU(), nn.MaxPool(2)],
    *[nn.Conv2D(128, 3, bias=False), nn.BatchNorm(), nn.ReLU()],
    *[nn.GlobalAvgPool(), nn.Linear(10)],
)
params, state = net.init(random.key(0), aj.ShapeDtypeStruct((1, 3, 32, 32), "float32"))
print(f"{nn.count_parameters(params):,} parameters")

# %% [markdown]
# ## One step, compiled once
#
# Loss, gradient and optimizer are one program. `donate_argnums` lets it write the new weights over the old ones.

# %%
schedule = optim.cosine_decay_schedule(0.05, epochs * len(train_batches))
optimizer = optim.sgd(schedule, momentum=0.9, nesterov=True)


def loss(params, state, images, labels):
    logits, state = net.apply(params, state, images, train=True)
    accuracy = jnp.mean(jnp.argmax(logits, -1) == labels)
    return optim.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), (state, accuracy)


def train_step(params, state, opt_state, images, labels):
    (value, (state, accuracy)), grads = aj.value_and_grad(loss, has_aux=True)(params, state, images, labels)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return optim.apply_updates(params, updates), state, opt_state, value, accuracy


train_step = aj.jit(train_step, donate_argnums=(0, 1, 2))
predict = aj.jit(lambda params, state, images: jnp.argmax(net.apply(params, state, images)[0], -1))

# %%
opt_state, history = optimizer.init(params), []
for epoch in range(epochs):
    start = time.perf_counter()
    for images, labels in train_batches.epoch(epoch):
        params, state, opt_state, value, accuracy = train_step(params, state, opt_state, images, labels)
        history.append((float(value), float(accuracy)))
    seconds = time.perf_counter() - start
    found = [(predict(params, state, images), labels, weight) for images, labels, weight in test_batches]
    right = sum(float(np.sum((np.asarray(p) == y) * w)) for p, y, w in found)
    print(f"epoch {epoch + 1}: {count / seconds:,.0f} images/s, test accuracy {right / tested:.1%}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3))
left.plot([h[0] for h in history])
left.set(xlabel="step", ylabel="training loss")
right.plot([h[1] for h in history])
right.set(xlabel="step", ylabel="training accuracy")
plt.show()

# %% [markdown]
# ## What it confuses
#
# Rows are the true classes, columns what the network says.

# %%
predicted = np.concatenate([np.asarray(p) for p, _, _ in found])[:tested]
confusion = np.zeros((10, 10), int)
np.add.at(confusion, (test.labels[:tested], predicted), 1)
plt.figure(figsize=(5, 5))
plt.imshow(confusion, cmap="Blues")
for row in range(10):
    for column in range(10):
        plt.text(column, row, confusion[row, column], ha="center", va="center", fontsize=7)
plt.xticks(range(10), cifar10.CLASSES, rotation=90)
plt.yticks(range(10), cifar10.CLASSES)
plt.show()

# %% [markdown]
# ## What it looks at
#
# The derivative of a class's score in the pixels says which pixels matter: `grad` in the images instead of the weights.


# %%
def score(image, label):
    return net.apply(params, state, image[None])[0][0, label]


images, labels, _ = next(iter(test_batches))
pixels = aj.jit(aj.vmap(aj.grad(score)))(images[:6], labels[:6])
figure, axes = plt.subplots(1, 6, figsize=(9, 1.8))
for axis, found_pixels, label in zip(axes, pixels, labels):
    axis.imshow(np.abs(np.asarray(found_pixels)).max(0), cmap="magma")
    axis.set_title(cifar10.CLASSES[label], fontsize=9)
    axis.axis("off")
plt.show()

# %% tags=["not-kept"]
figure, axes = plt.subplots(1, 6, figsize=(9, 1.8))
for axis, image in zip(axes, test.images):
    axis.imshow(image.transpose(1, 2, 0))
    axis.axis("off")
plt.show()

# %% [markdown]
# From here: `anejax train cifar10` trains a larger network with augmentation, checkpoints, curves and `--resume`;
# `--precision float16` does it in half precision with a loss scale. Next:
# [a transformer that tells stories](03_story_transformer.ipynb).

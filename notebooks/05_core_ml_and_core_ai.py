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
# # 5. From a trained network to Core ML and Core AI
#
# An app on an iPhone or a Mac runs a network as a Core ML package (`.mlpackage`, iOS 18 and macOS 15) or as a Core AI
# asset (`.aimodel`, iOS 27 and macOS 27). This notebook trains a small classifier of pictures, writes both, makes them
# smaller, and lets an asset train itself. It needs
#
# ```
# pip install 'anejax[coreml]' 'anejax[coreai]'
# ```
#
# No Mac is needed: coremltools reads the package, and Apple's own Core AI runtime, which has a version for Linux,
# computes the asset's numbers. Nothing here has run on a Neural Engine.

# %%
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, optim, train

SHORT = os.environ.get("ANEJAX_NOTEBOOK") == "short"
plt.rcParams.update({"figure.dpi": 70})
folder = tempfile.TemporaryDirectory()
here = Path(folder.name)

# %% [markdown]
# ## Pictures
#
# Four kinds of shapes in random colours, places and sizes, on a noisy background. They are made here, so that the
# notebook needs no data set.

# %%
CLASSES = ["circle", "cross", "square", "triangle"]
SIZE = 24


def picture(rng, label):
    rows, columns = np.mgrid[:SIZE, :SIZE]
    radius = rng.uniform(4, 8)
    y, x = (np.abs(axis - rng.uniform(radius + 1, SIZE - radius - 2)) for axis in (rows, columns))
    down = rows - rng.uniform(radius + 1, SIZE - radius - 2)
    inside = {
        "circle": x**2 + y**2 < radius**2,
        "cross": (np.minimum(x, y) < radius / 3) & (np.maximum(x, y) < radius),
        "square": np.maximum(x, y) < radius * 0.8,
        "triangle": (np.abs(down) < radius) & (x < (down + radius) / 2),
    }[CLASSES[label]]
    back, front = rng.uniform(0, 255, (2, 3, 1, 1))
    noisy = np.where(inside, front, back) + rng.normal(0, 12, (3, SIZE, SIZE))
    return np.clip(noisy, 0, 255)


def pictures(seed, count):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), count).astype(np.int32)
    return np.stack([picture(rng, label) for label in labels]).round().astype(np.float32), labels


images, labels = pictures(0, 1000 if SHORT else 6000)
test_images, test_labels = pictures(1, 256 if SHORT else 1024)
figure, axes = plt.subplots(1, 8, figsize=(10, 1.6))
for axis, image, label in zip(axes, images, labels):
    axis.imshow(image.transpose(1, 2, 0).astype(np.uint8))
    axis.set_title(CLASSES[label], fontsize=9)
    axis.axis("off")
plt.show()

# %% [markdown]
# ## Training
#
# `train.fit` takes any layer and arrays.

# %%
net = nn.Sequential(
    *[nn.Conv2D(16, 3), nn.BatchNorm(), nn.ReLU(), nn.MaxPool(2)],
    *[nn.Conv2D(32, 3), nn.BatchNorm(), nn.ReLU(), nn.MaxPool(2)],
    *[nn.Flatten(), nn.Linear(64), nn.ReLU(), nn.Linear(len(CLASSES))],
)
epochs = 2 if SHORT else 8
fitted = train.fit(net, optim.adam(2e-3), (images / 255, labels), valid=0.1, epochs=epochs, batch=64, progress=False)
accuracy = train.evaluate(fitted, (test_images / 255, test_labels))["accuracy"]
print(f"{nn.count_parameters(fitted.params):,} parameters, {accuracy:.1%} of the test pictures are right")

# %% [markdown]
# ## A Core ML package
#
# One call. The parameters become constants in the package's weight file. `images` says that the input is a picture and
# how its pixels are scaled, `labels` names the classes: the app gets a label and a dictionary of probabilities.


# %%
def classify(params, photo):
    return nn.softmax(net.apply(params[0], params[1], photo)[0])


params = (fitted.params, fitted.state)
photo = aj.ShapeDtypeStruct((1, 3, SIZE, SIZE), "float32")
package = aj.export.coreml(
    classify,
    photo,
    path=here / "Shapes.mlpackage",
    params=params,
    images={"photo": aj.export.Image(scale=1 / 255)},
    labels=CLASSES,
    metadata=aj.export.Metadata(author="A. Author", license="MIT", description="Tells shapes apart.", version="1.0"),
)
for found in sorted(package.rglob("*")):
    if found.is_file():
        print(f"{found.stat().st_size:8,} bytes  {found.relative_to(here)}")

# %% [markdown]
# coremltools reads what was written. In Xcode the same description becomes a class `Shapes`, with
# `prediction(photo:)` and an answer that has `classLabel` and `classLabel_probs`:

# %%
logging.getLogger("coremltools").setLevel(logging.ERROR)
import coremltools  # noqa: E402

spec: Any = coremltools.models.utils.load_spec(str(package))
for port in (*spec.description.input, *spec.description.output):
    print(f"{port.name}: {port.type.WhichOneof('Type')}")
(block,) = spec.mlProgram.functions["main"].block_specializations.values()
print(", ".join(op.type for op in block.operations if op.type != "const"))

# %% [markdown]
# ## A Core AI asset
#
# The same call with another name. Core AI has no pictures or classes as types: the scale is in the program, and the
# labels are in the metadata. `Shapes` exports the function for two sizes of batches, `main_1` and `main_64`; weights
# are stored once.


# %%
def scaled(params, photo):
    return classify(params, photo / 255)


several = aj.export.Shapes((1, 3, SIZE, SIZE), (64, 3, SIZE, SIZE))
asset = aj.export.coreai(scaled, several, path=here / "Shapes.aimodel", params=params, labels=CLASSES)
model = aj.export.AIModel(asset)
print(model.functions, model.labels("main_1"))


def predicted(model, images):
    """The probabilities that an asset gives pictures, 64 at a time."""
    parts = [model({"photo": images[i : i + 64]}, "main_64")["output"] for i in range(0, len(images), 64)]
    return np.concatenate(parts)


ours = np.asarray(nn.softmax(jnp.asarray(train.predict(fitted, test_images / 255))))
theirs = predicted(model, test_images)
print(f"largest difference from our own probabilities: {np.abs(theirs - ours).max():.1e}")

figure, axes = plt.subplots(1, 8, figsize=(10, 1.9))
for axis, image in zip(axes, test_images):
    (found,) = model({"photo": image[None]}, "main_1")["output"]
    axis.imshow(image.transpose(1, 2, 0).astype(np.uint8))
    axis.set_title(f"{CLASSES[found.argmax()]}\n{found.max():.1%}", fontsize=9)
    axis.axis("off")
plt.show()
model.close()

# %% [markdown]
# ## Smaller files
#
# `weights=` stores matrices and kernels in fewer bits: integers with a scale for each output channel (`int8`, `int4`),
# or places in a table that k-means finds for each weight (`lut8` to `lut2`), the form that the Neural Engine is said
# to take best. `report` hears the error of each weight. Whether a network bears it, only its own accuracy can say.

# %%
schemes = [None, "int8", "int4", "lut8", "lut4", "lut2"]
rows = []
for scheme in schemes:
    errors = []
    name = scheme or "float32"
    path = aj.export.coreai(
        scaled, several, path=here / f"{name}.aimodel", params=params, weights=scheme,
        report=lambda weight, error, errors=errors: errors.append(error),
    )  # fmt: skip
    aj.export.coreml(classify, photo, path=here / f"{name}.mlpackage", params=params, weights=scheme)
    sizes = [sum(f.stat().st_size for f in (here / f"{name}{end}").rglob("*")) for end in (".mlpackage", ".aimodel")]
    smaller = aj.export.AIModel(path)
    found = predicted(smaller, test_images)
    smaller.close()
    right = np.mean(found.argmax(1) == test_labels)
    rows.append((name, *sizes, max(errors, default=0.0), np.abs(found - ours).max(), right))
print("weights   .mlpackage  .aimodel  worst weight error  probabilities off by  accuracy")
for name, package_size, asset_size, error, off, right in rows:
    print(f"{name:8} {package_size:9,} B {asset_size:7,} B {error:19.2%} {off:21.1e} {right:9.1%}")

# %%
figure, (left, middle, last) = plt.subplots(1, 3, figsize=(11, 3))
at = np.arange(len(rows))
left.bar(at - 0.2, [r[1] / 1e3 for r in rows], 0.4, label=".mlpackage")
left.bar(at + 0.2, [r[2] / 1e3 for r in rows], 0.4, label=".aimodel")
left.set_ylabel("kilobytes")
left.legend(fontsize=8)
middle.bar(at, [100 * r[3] for r in rows])
middle.set_ylabel("worst error of a weight, %")
last.bar(at, [100 * r[5] for r in rows])
last.set_ylabel("accuracy, %")
for axis in (left, middle, last):
    axis.set_xticks(at, [r[0] for r in rows], rotation=45)
figure.tight_layout()
plt.show()

# %% [markdown]
# ## An asset that trains itself
#
# A training step is a function like any other. Here the asset learns new classes for the four shapes, as an app might
# from its user: the convolutions stay as they are, and the last two layers are *state*, which the asset keeps and
# changes in place. `step` and `predict` share it.

# %%
features = nn.Sequential(*net.layers[:-3])  # without Linear, ReLU, Linear
head = nn.Sequential(*net.layers[-3:])
frozen = (fitted.params[:-3], fitted.state[:-3])
start = fitted.params[-3:]
optimizer = optim.sgd(0.05)


def logits(frozen, trained, photo):
    seen, _ = features.apply(frozen[0], frozen[1], photo / 255)
    return head.apply(trained, fitted.state[-3:], seen)[0]


def step(frozen, trained, photo, label):
    def loss(trained):
        return jnp.mean(optim.softmax_cross_entropy_with_integer_labels(logits(frozen, trained, photo), label))

    value, slope = aj.value_and_grad(loss)(trained)
    updates, _ = optimizer.update(slope, optimizer.init(trained), trained)
    return {"loss": value}, optim.apply_updates(trained, updates)


def predict(frozen, trained, photo):
    return {"probabilities": nn.softmax(logits(frozen, trained, photo))}, trained


batch = 32
batch_types = aj.ShapeDtypeStruct((batch, 3, SIZE, SIZE), "float32"), aj.ShapeDtypeStruct((batch,), "int32")
learner = aj.export.coreai(
    {
        "step": aj.export.Function(step, *batch_types, params=frozen, state=start),
        "predict": aj.export.Function(predict, batch_types[0], params=frozen, state=start),
    },
    path=here / "Learner.aimodel",
)
model = aj.export.AIModel(learner)

new_images, new_labels = pictures(2, batch * (10 if SHORT else 60))
new_labels = (new_labels + 1) % len(CLASSES)
ours, jitted, losses = start, aj.jit(step), {"anejax": [], "Core AI": []}
for i in range(0, len(new_images), batch):
    x, y = np.ascontiguousarray(new_images[i : i + batch]), new_labels[i : i + batch]
    result, ours = jitted(frozen, ours, x, y)
    losses["anejax"].append(float(result["loss"]))
    losses["Core AI"].append(float(model({"photo": x, "label": y}, "step")["loss"]))
off = max(abs(a - b) for a, b in zip(losses["anejax"], losses["Core AI"]))
print(f"losses of {len(losses['anejax'])} steps differ by {off:.1e} at most")
model.close()

figure, axis = plt.subplots(figsize=(5, 3))
for (name, values), style in zip(losses.items(), ("-", "--")):
    axis.plot(values, style, label=name)
axis.set(xlabel="step", ylabel="loss")
axis.legend()
plt.show()

# %% [markdown]
# ## In the app
#
# Drag `Shapes.mlpackage` into Xcode. [docs/export.md](../docs/export.md) has the Swift code, the table of what becomes
# of what, language models with their cache as state, and what is absent. From the command line,
# `anejax export RUN --format mlpackage` does the same for every network that `anejax train` has trained.

# %%
folder.cleanup()

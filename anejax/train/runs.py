"""Reads the results of a run of ``anejax train``: its recipe, its network and the parameters of a checkpoint.

The run may be unfinished. A checkpoint is named by the run's directory, which means the newest, or by an index file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import models, nn, tree
from anejax.data import chars as texts
from anejax.data import cifar10 as cifar_data
from anejax.data import pictures, tokens
from anejax.data.batches import TestBatches
from anejax.data.fetch import Progress
from anejax.models import cifar
from anejax.models.chars import CharLSTM
from anejax.models.hub import Pretrained
from anejax.models.llama import Config, Llama
from anejax.train import checkpoint, classify, language, naming
from anejax.train import text as fine
from anejax.train.chars import CharsRecipe
from anejax.train.cifar10 import NETWORKS, Cifar10Recipe
from anejax.train.images import ImagesRecipe
from anejax.train.loop import Metrics, means
from anejax.train.recipe import Recipe, RecipeError
from anejax.train.stories import StoriesRecipe, config_of_recipe
from anejax.train.text import TextRecipe

KINDS: Mapping[str, type[Recipe]] = {
    "cifar10": Cifar10Recipe,
    "chars": CharsRecipe,
    "stories": StoriesRecipe,
    "text": TextRecipe,
    "images": ImagesRecipe,
}
_TEST_BATCH = 250


class Checkpoint(NamedTuple):
    """A checkpoint of a run: the kind of the run, its recipe, and the index."""

    kind: str
    recipe: Any
    index: Path


def is_run(path: Path | str) -> bool:
    """Whether a path is that of a run or a checkpoint of one, by its form: a directory, or a .json."""
    return Path(path).is_dir() or Path(path).suffix == ".json"


def find(path: Path | str, warn: Callable[[str], None], kinds: Iterable[str] = KINDS) -> Checkpoint:
    """The newest checkpoint of the run in a directory, or the one whose index ``path`` is.

    ``warn`` hears of damaged ones that were passed over.

    Raises:
        CheckpointError: there is none, it is damaged, or it is of a run of none of these ``kinds``.
    """
    path = Path(path)
    index = checkpoint.newest(path / "checkpoints", warn) if path.is_dir() else path
    config = checkpoint.record(index).get("config")
    for kind, recipe in KINDS.items():
        try:
            found = Checkpoint(kind, recipe.from_json(config), index)
        except (RecipeError, KeyError, TypeError, ValueError, AttributeError):
            continue
        if kind not in kinds:
            raise checkpoint.CheckpointError(
                f"[checkpoint] {path}: expected a run of `anejax train` {' or '.join(kinds)}, got one of {kind}."
            )
        return found
    raise checkpoint.CheckpointError(f"[checkpoint] {index} is of no run that `anejax train` makes.")


def _part(found: Checkpoint, types: Any, named: naming.Naming = checkpoint.places) -> Any:
    """The arrays that ``types`` describes, from a checkpoint that has more."""
    return checkpoint.load(found.index, types, whole=False, names=named(types))


# --- classifiers --------------------------------------------------------------------------------------------------


class Classifier(NamedTuple):
    """A network for pictures, its parameters and state, the side of a picture, and the preparation of its pixels."""

    network: Any
    state: classify.TrainState
    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    classes: tuple[str, ...]


def classifier(found: Checkpoint) -> Classifier:
    """The classifier of a run of ``cifar10`` or ``images``."""
    recipe = found.recipe
    if found.kind == "cifar10":
        network, size = NETWORKS[recipe.network](), 32
        mean, deviation, classes = cifar_data.MEAN, cifar_data.STD, cifar_data.CLASSES
    else:
        network, size = cifar.network(recipe.width, classes=len(recipe.classes)), recipe.size
        mean, deviation, classes = recipe.mean, recipe.deviation, recipe.classes
    image = classify.picture(size)
    params, state = aj.eval_shape(network.init, aj.random.key(0), image)
    loaded = _part(found, classify.TrainState(params, state, (), ()), naming.by_layers(network, image))
    return Classifier(network, loaded, size, tuple(mean), tuple(deviation), tuple(classes))


def measure(found: Checkpoint, data: Path | str | None, progress: Progress) -> dict[str, float]:
    """The loss and the accuracy of a classifier on the images that its run held out, or on those of ``data``.

    ``data`` is a directory with CIFAR-10, or a folder with a folder of images for each class; of one with ``train`` and
    ``test`` only the latter counts.

    Raises:
        PictureError: the classes are not those of the run.
    """
    made = classifier(found)
    progress("reading images", 0, 1)
    if found.kind == "cifar10":
        images, labels = cifar_data.load(None if data is None else Path(data), progress).test
    else:
        images, labels = _held_out(found.recipe, data)
    if subset := getattr(found.recipe, "subset", 0):
        images, labels = images[:subset], labels[:subset]
    batches = TestBatches(images, labels, min(_TEST_BATCH, len(labels)), made.mean, made.deviation)
    step = classify.eval_step(made.network)

    def sums() -> Iterator[Metrics]:
        for number, batch in enumerate(batches):
            yield step(made.state, *batch)
            progress("evaluating", number * _TEST_BATCH, len(labels))

    return means(sums()) | {"images": len(labels)}


def _held_out(recipe: ImagesRecipe, data: Path | str | None) -> tuple[np.ndarray, np.ndarray]:
    train, test = pictures.load(data or recipe.data, recipe.size, recipe.held, recipe.seed)
    if unknown := sorted(set(train.classes) - set(recipe.classes)):
        raise pictures.PictureError(f"[images] {data or recipe.data}: class {unknown[0]} is not one of the run's.")
    parts = [test] if data is None or pictures.has_parts(data) else [train, test]
    numbers = np.array([recipe.classes.index(name) for name in train.classes], np.int32)
    images = np.concatenate([part.images for part in parts])
    return images, numbers[np.concatenate([part.labels for part in parts])]


# --- networks that write ------------------------------------------------------------------------------------------


def _weights(found: Checkpoint, network: nn.Layer) -> Any:
    """The parameters of a network that reads numbers of tokens."""
    types, _ = aj.eval_shape(lambda k: network.init(k, language.TOKENS), aj.random.key(0))
    return _part(found, language.TrainState(types, ()), naming.by_layers(network, language.TOKENS)).params


def characters(found: Checkpoint) -> tuple[CharLSTM, Any, texts.Alphabet]:
    """The network of a run of ``chars``, its parameters, and the characters that it knows.

    Raises:
        TextError: the text that the run is about has gone, or has other characters.
    """
    recipe = found.recipe
    alphabet, stream = texts.load(recipe.text)
    if recipe.stream not in ("", tokens.fingerprint(stream)):
        raise texts.TextError(f"[chars] {recipe.text} has changed since the run began.")
    network = CharLSTM(len(alphabet), recipe.hidden, recipe.layers)
    return network, _weights(found, network), alphabet


def stories(found: Checkpoint) -> tuple[Config, Any]:
    """The sizes and the parameters of the network of a run of ``stories``."""
    config = config_of_recipe(found.recipe)
    return config, tree.map(jnp.asarray, _weights(found, Llama(config)))


def pretrained(found: Checkpoint) -> Pretrained:
    """The fine-tuned model of a run of ``text``: the pretrained one, with the parameters of the run."""
    _, types, whole = fine.parts(found.recipe)
    params = whole(_part(found, language.TrainState(types, ())).params)
    return dataclasses.replace(models.load(found.recipe.model), params=params)

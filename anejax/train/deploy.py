"""Trained networks as the functions of a package: what an app calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, tree
from anejax.data import chars as texts
from anejax.data.cifar10 import CLASSES, MEAN, STD
from anejax.export import Function, Image
from anejax.models import cifar
from anejax.models.chars import CharLSTM
from anejax.models.llama import Llama
from anejax.train import checkpoint, classify, language, text
from anejax.train.chars import CharsRecipe
from anejax.train.cifar10 import NETWORKS, Cifar10Recipe
from anejax.train.images import ImagesRecipe
from anejax.train.recipe import RecipeError
from anejax.train.stories import StoriesRecipe, config_of_recipe
from anejax.train.text import TextRecipe

PREFILL = 64  # tokens of a prompt that one call takes
CONTEXT = 2048  # positions of a cache at most, unless more are asked for: states are written into Core AI's assets

Functions = Mapping[str, Function]


def of_run(directory: Path, warn: Callable[[str], None]) -> Functions:
    """The functions of the newest checkpoint of a run that ``anejax train`` wrote; see ``of_checkpoint``."""
    return of_checkpoint(checkpoint.newest(directory / "checkpoints", warn))


def of_checkpoint(index: Path) -> Functions:
    """The functions of a checkpoint's network: ``main`` from a picture to its class, or ``decode`` and ``prefill``
    from tokens to the logits of the next one. Raises CheckpointError where it is of no run, or damaged."""
    config = checkpoint.record(index).get("config")
    for recipe, make in _KINDS:
        try:
            found = recipe.from_json(config)
        except (RecipeError, KeyError, TypeError, ValueError, AttributeError):
            continue
        return make(found, index)
    raise checkpoint.CheckpointError(f"[export] {index} is of no run that `anejax train` makes.")


def of_language_model(model: Any, params: Any, length: int | None = None) -> Functions:
    """``decode`` of one token and ``prefill`` of some, with a cache of keys and values as state.

    Both take the position of the first token, since Core ML keeps floats only. A prompt that is shorter than what
    ``prefill`` takes is fed token by token. ``model`` is a ``Llama`` or a network of ``anejax.models.load``; the cache
    has ``length`` positions: by default as many as the model knows, but ``CONTEXT`` at most.
    """
    positions = min(model.length, CONTEXT) if length is None else length
    tokens = lambda n: aj.ShapeDtypeStruct((1, n), "int32")  # noqa: E731
    position = aj.ShapeDtypeStruct((1,), "int32")
    step, cache = _cached(model, params, positions)
    lengths = {"decode": 1, "prefill": min(PREFILL, positions)}
    return {name: Function(step, tokens(n), position, params=params, state=cache) for name, n in lengths.items()}


def _cached(model: Any, params: Any, length: int) -> tuple[Callable[..., Any], dict[str, Any]]:
    """(a step, its cache without the positions)."""
    cache = model.cache(params, 1, length)
    leaves, treedef = tree.flatten(cache)
    kept = [leaf.dtype.kind == "f" for leaf in leaves]
    chosen = lambda xs: [x for x, keep in zip(xs, kept) if keep]  # noqa: E731
    pairs = range(sum(kept) // 2)
    if isinstance(cache, dict):  # the keys of all layers, then their values
        names = [f"{letter}{i}" for letter in "kv" for i in pairs]
    else:  # each layer has keys, then values
        names = [f"{letter}{i}" for i in pairs for letter in "kv"]

    def step(params: Any, cache: dict[str, Any], tokens: Any, position: Any) -> Any:
        values = iter([cache[name] for name in names])
        full = [next(values) if keep else position.reshape(leaf.shape) for leaf, keep in zip(leaves, kept)]
        logits, new = model.apply(params, tree.unflatten(treedef, full), tokens)
        return {"logits": logits[:, -1]}, dict(zip(names, chosen(tree.leaves(new))))

    return step, dict(zip(names, chosen(leaves)))


def _part(index: Path, state: Any) -> Any:
    """What ``state`` has types of, from a checkpoint that has more."""
    return checkpoint.load(index, state, whole=False)


def _cifar10(recipe: Cifar10Recipe, index: Path) -> Functions:
    return _pictures(NETWORKS[recipe.network](), 32, (MEAN, STD), CLASSES, index)


def _images(recipe: ImagesRecipe, index: Path) -> Functions:
    model = cifar.network(recipe.width, classes=len(recipe.classes))
    return _pictures(model, recipe.size, (recipe.mean, recipe.deviation), recipe.classes, index)


def _pictures(model: Any, size: int, statistics: Sequence[Any], classes: Sequence[str], index: Path) -> Functions:
    """A classifier of pictures; what the training did to their pixels is inside."""
    image = aj.ShapeDtypeStruct((1, 3, size, size), "float32")
    types = aj.eval_shape(model.init, aj.random.key(0), image)
    state = _part(index, classify.TrainState(types[0], types[1], (), ()))
    mean, deviation = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in statistics)

    def predict(params: Any, image: Any) -> Any:
        logits, _ = model.apply(params[0], params[1], (image / 255 - mean) / deviation)
        return {"probabilities": nn.softmax(logits)}

    params = (state.params, state.model_state)
    return {"main": Function(predict, image, params=params, images={"image": Image()}, labels=classes)}


def _chars(recipe: CharsRecipe, index: Path) -> Functions:
    alphabet, _ = texts.load(recipe.text)
    model = CharLSTM(len(alphabet), recipe.hidden, recipe.layers)
    token = aj.ShapeDtypeStruct((1, 1), "int32")
    params, _ = aj.eval_shape(lambda key: model.init(key, token), aj.random.key(0))
    params = _part(index, language.TrainState(params, ())).params

    def decode(params: Any, state: Any, token: Any) -> Any:
        logits, state = model.apply(params, state, token)
        return {"logits": logits[:, -1]}, state

    return {"decode": Function(decode, token, params=params, state=model.carries(1))}


def _stories(recipe: StoriesRecipe, index: Path) -> Functions:
    config = config_of_recipe(recipe)
    types, _ = aj.eval_shape(lambda k: Llama(config).init(k, aj.ShapeDtypeStruct((1, 1), "int32")), aj.random.key(0))
    params = tree.map(jnp.asarray, _part(index, language.TrainState(types, ())).params)
    return of_language_model(Llama(config), params)


def _text(recipe: TextRecipe, index: Path) -> Functions:
    network, types, whole = text.parts(recipe)
    params = whole(_part(index, language.TrainState(types, ())).params)
    return of_language_model(network, tree.map(lambda w: jnp.asarray(w).astype(jnp.float32), params))


_KINDS: Iterable[tuple[Any, Callable[[Any, Path], Functions]]] = (
    (Cifar10Recipe, _cifar10),
    (CharsRecipe, _chars),
    (StoriesRecipe, _stories),
    (TextRecipe, _text),
    (ImagesRecipe, _images),
)

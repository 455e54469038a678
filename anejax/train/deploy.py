"""Trained networks as the functions of a package: what an app calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, tree
from anejax.data import chars as texts
from anejax.data.cifar10 import MEAN, STD
from anejax.export import Function, Image
from anejax.models.chars import CharLSTM
from anejax.models.llama import Config, Llama
from anejax.train import checkpoint, classify, language
from anejax.train.chars import CharsRecipe
from anejax.train.cifar10 import NETWORKS, Cifar10Recipe
from anejax.train.recipe import RecipeError
from anejax.train.stories import StoriesRecipe, config_of_recipe

PREFILL = 64  # tokens of a prompt that one call takes

Functions = Mapping[str, Function]


def of_run(directory: Path, warn: Callable[[str], None]) -> Functions:
    """The functions of the newest checkpoint of a run that ``anejax train`` wrote; see ``of_checkpoint``."""
    return of_checkpoint(checkpoint.newest(directory / "checkpoints", warn))


def of_checkpoint(index: Path) -> Functions:
    """The functions of a checkpoint's network: ``main`` from a picture to probabilities, or ``decode`` and ``prefill``
    from tokens to the logits of the next one. Raises CheckpointError where it is of no run, or damaged."""
    config = checkpoint.record(index).get("config")
    for recipe, make in _KINDS:
        try:
            found = recipe.from_json(config)
        except (RecipeError, KeyError, TypeError, ValueError, AttributeError):
            continue
        return make(found, index)
    raise checkpoint.CheckpointError(f"[export] {index} is of no run that `anejax train` makes.")


def of_llama(config: Config, params: Any) -> Functions:
    """``decode`` of one token and ``prefill`` of some, with a cache of keys and values as state.

    Both take the position of the first token, since Core ML keeps floats only. A prompt that is shorter than what
    ``prefill`` takes is fed token by token.
    """
    model = Llama(config)
    tokens = lambda n: aj.ShapeDtypeStruct((1, n), "int32")  # noqa: E731
    position = aj.ShapeDtypeStruct((1,), "int32")
    step, cache = _cached(model, params)
    lengths = {"decode": 1, "prefill": min(PREFILL, config.length)}
    return {name: Function(step, tokens(n), position, params=params, state=cache) for name, n in lengths.items()}


def _cached(model: Llama, params: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    """(a step, its cache without the positions)."""
    leaves, treedef = tree.flatten(model.cache(params, 1))
    kept = [leaf.dtype.kind == "f" for leaf in leaves]
    chosen = lambda xs: [x for x, keep in zip(xs, kept) if keep]  # noqa: E731
    names = [f"{'kv'[i % 2]}{i // 2}" for i in range(sum(kept))]  # each block has keys, then values

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
    model = NETWORKS[recipe.network]()
    image = aj.ShapeDtypeStruct((1, 3, 32, 32), "float32")
    types = aj.eval_shape(model.init, aj.random.key(0), image)
    state = _part(index, classify.TrainState(types[0], types[1], (), ()))
    mean, deviation = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (MEAN, STD))

    def predict(params: Any, image: Any) -> Any:
        logits, _ = model.apply(params[0], params[1], (image / 255 - mean) / deviation)
        return {"probabilities": nn.softmax(logits)}

    params = (state.params, state.model_state)
    return {"main": Function(predict, image, params=params, images={"image": Image()})}


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
    return of_llama(config, tree.map(jnp.asarray, _part(index, language.TrainState(types, ())).params))


_KINDS: Iterable[tuple[Any, Callable[[Any, Path], Functions]]] = (
    (Cifar10Recipe, _cifar10),
    (CharsRecipe, _chars),
    (StoriesRecipe, _stories),
)

"""Turns trained networks into the functions of a package, which an app calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, tree
from anejax.export import Function, Image
from anejax.models import ModelError
from anejax.models.hub import LanguageModel, Pretrained
from anejax.models.llama import Llama
from anejax.train import checkpoint, runs

PREFILL = 64  # tokens of a prompt that one call takes
CONTEXT = 2048  # positions of a cache at most, unless more are asked for: states are written into Core AI's assets

Functions = Mapping[str, Function]


class Deployed(NamedTuple):
    """The functions of a trained network, and where it comes from: metadata of a package."""

    functions: Functions
    facts: dict[str, str]


def of_run(path: Path, warn: Callable[[str], None]) -> Deployed:
    """The network of the newest checkpoint of a run that ``anejax train`` wrote, or of the checkpoint of this index.

    Its functions are ``main`` from a picture to its class, or ``decode`` and ``prefill`` from tokens to logits of the
    next one. The facts are the kind of run and the steps of the checkpoint; of a run on characters also all of them, in
    the order of their numbers, without which an app cannot read the network's answers.

    Raises:
        CheckpointError: it is of no run, or damaged.
    """
    found = runs.find(path, warn)
    functions, more = _KINDS[found.kind](found)
    return Deployed(functions, {"run": found.kind, "steps": str(checkpoint.read(found.index)[0]), **more})


def of_pretrained(model: Pretrained) -> Deployed:
    """A language model of ``anejax.models.load``, with parameters in float32.

    Raises:
        ModelError: it is of another kind.
    """
    if not isinstance(model.network, LanguageModel):
        raise ModelError(
            f"[export] expected a language model, got {model.config['model_type']}. Write a function of its"
            " network, and give module:function."
        )
    params = tree.map(lambda w: jnp.asarray(w).astype(jnp.float32), model.params)
    return Deployed(of_language_model(model.network, params), {"model": model.config["model_type"]})


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


def _pictures(found: runs.Checkpoint) -> Deployed:
    """A classifier of pictures; what the training did to their pixels is inside."""
    made = runs.classifier(found)
    image = aj.ShapeDtypeStruct((1, 3, made.size, made.size), "float32")
    mean, deviation = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (made.mean, made.deviation))

    def predict(params: Any, image: Any) -> Any:
        logits, _ = made.network.apply(params[0], params[1], (image / 255 - mean) / deviation)
        return {"probabilities": nn.softmax(logits)}

    params = (made.state.params, made.state.model_state)
    main = Function(predict, image, params=params, images={"image": Image()}, labels=made.classes)
    return Deployed({"main": main}, {})


def _chars(found: runs.Checkpoint) -> Deployed:
    model, params, alphabet = runs.characters(found)

    def decode(params: Any, state: Any, token: Any) -> Any:
        logits, state = model.apply(params, state, token)
        return {"logits": logits[:, -1]}, state

    token = aj.ShapeDtypeStruct((1, 1), "int32")
    decode_one = Function(decode, token, params=params, state=model.carries(1))
    return Deployed({"decode": decode_one}, {"characters": alphabet.characters})


def _stories(found: runs.Checkpoint) -> Deployed:
    config, params = runs.stories(found)
    return Deployed(of_language_model(Llama(config), params), {})


def _text(found: runs.Checkpoint) -> Deployed:
    return of_pretrained(runs.pretrained(found))


_KINDS: Mapping[str, Callable[[runs.Checkpoint], Deployed]] = {
    "cifar10": _pictures,
    "images": _pictures,
    "chars": _chars,
    "stories": _stories,
    "text": _text,
}

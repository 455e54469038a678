"""Runs of each kind that `anejax train` makes, and what their exported networks must answer.

A run is written as the training loop writes it: a checkpoint with the recipe that the run began with. ``check`` gives
inputs to a package and compares its outputs with those of the network itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import anejax as aj
from anejax import nn, optim
from anejax.data import chars as texts
from anejax.data.cifar10 import CLASSES, MEAN, STD
from anejax.data.tokenizer import Tokenizer
from anejax.models import cifar
from anejax.models.chars import CharLSTM
from anejax.models.llama import SIZES, Llama
from anejax.train import checkpoint, classify, language
from anejax.train import text as text_runs
from anejax.train.chars import CharsRecipe
from anejax.train.cifar10 import PRESETS
from anejax.train.images import ImagesRecipe
from anejax.train.recipe import Recipe
from anejax.train.stories import StoriesRecipe
from anejax.train.text import TextRecipe
from tests.pretrained import cases

PREFILL = 8  # what deploy.PREFILL is in tests: tokens of a prompt that one call takes
SIZE = dataclasses.replace(SIZES["260K"], layers=2, length=24)  # and SIZES["260K"]
Call = Callable[..., dict[str, Any]]  # (function, inputs) -> outputs


class Case(NamedTuple):
    """``write`` makes the run in a directory and returns its network; ``check`` compares calls with the network."""

    write: Callable[[Path], Any]
    check: Callable[[Any, Call, float], None]


def _save(folder: Path, recipe: Recipe, state: Any) -> None:
    checkpoint.save(folder / "run" / "checkpoints", 7, state, {"config": recipe.to_json()})


def close(got: Any, want: Any, most: float) -> None:
    """Within ``most`` of the largest value."""
    want = np.asarray(want, np.float64)
    assert np.abs(np.asarray(got, np.float64) - want).max() <= most * np.abs(want).max()


# ---- classifiers of pictures


def _classifier(folder: Path, recipe: Any, model: Any, size: int) -> Any:
    image = aj.ShapeDtypeStruct((1, 3, size, size), "float32")
    params, state = model.init(aj.random.key(0), image)
    # moments as a run keeps them, which exporting leaves out
    _save(folder, recipe, classify.TrainState(params, state, optim.sgd(0.1, 0.9).init(params), aj.random.PRNGKey(0)))
    return model, params, state


def _cifar10(folder: Path) -> Any:
    return *_classifier(folder, PRESETS["demo"], cifar.demo(), 32), (MEAN, STD), CLASSES


def _images(folder: Path) -> Any:
    classes, mean, deviation = ["blau", "grün", "rot"], [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
    recipe = ImagesRecipe("data", size=9, width=2, classes=classes, mean=mean, deviation=deviation)
    return *_classifier(folder, recipe, cifar.network(2, classes=3), 9), (mean, deviation), classes


def _sees(network: Any, call: Call, most: float) -> None:
    model, params, state, statistics, classes = network
    size = 32 if len(classes) == 10 else 9
    image = np.random.default_rng(0).integers(0, 256, (1, 3, size, size)).astype(np.float32)
    mean, deviation = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in statistics)
    want = np.asarray(nn.softmax(model.apply(params, state, (image / 255 - mean) / deviation)[0]))[0]
    got = call("main", {"image": image})
    if "classLabel" in got:  # Core ML
        assert got["classLabel"] == classes[int(want.argmax())] and list(got["classLabel_probs"]) == list(classes)
        found = list(got["classLabel_probs"].values())
    else:
        (found,) = got["probabilities"]
    close(found, want, most)


# ---- languages


def _chars(folder: Path) -> Any:
    (folder / "text.txt").write_text("to be or not to be", encoding="utf-8")
    recipe = CharsRecipe(str(folder / "text.txt"), hidden=5, layers=2)
    alphabet, stream = texts.load(recipe.text)
    model = CharLSTM(len(alphabet), recipe.hidden, recipe.layers)
    params, _ = model.init(aj.random.key(0), aj.ShapeDtypeStruct((1, 1), "int32"))
    _save(folder, recipe, language.TrainState(params, optim.adam(0.1).init(params)))
    return model, params, stream[None, :7].astype(np.int32)


def _stories(folder: Path) -> Any:
    tokens = (b"<unk>", b"<s>", b"</s>", *(f"<0x{i:02X}>".encode() for i in range(256)), b" ")
    Tokenizer(tokens, (0.0,) * len(tokens)).write(folder / "words.bin")
    model = Llama(dataclasses.replace(SIZE, vocabulary=len(tokens)))
    params, _ = model.init(aj.random.key(0), aj.ShapeDtypeStruct((1, 1), "int32"))
    params = aj.tree.map(lambda w: 3 * w, params)  # so that logits differ
    recipe = StoriesRecipe("260K", "data.txt", "", str(folder / "words.bin"))
    _save(folder, recipe, language.TrainState(params, optim.adamw(0.1).init(params)))
    return model, params, np.random.default_rng(0).integers(0, model.vocabulary, (1, PREFILL + 3)).astype(np.int32)


def _text(folder: Path, **options: Any) -> Any:
    cases.build("llama", folder / "model")
    recipe = TextRecipe(str(folder / "model"), "data.txt", length=16, **options)
    model, types, whole = text_runs.parts(recipe)
    rng = np.random.default_rng(0)
    trained = aj.tree.map(lambda t: 0.3 * rng.standard_normal(t.shape).astype(np.float32), types)
    _save(folder, recipe, language.TrainState(trained, optim.adamw(0.1).init(trained)))
    return model, whole(trained), cases.TOKENS[:1, : PREFILL + 3]


def _adapters(folder: Path) -> Any:
    return _text(folder, lora=2, targets="q,v,down")


def _writes(network: Any, call: Call, most: float) -> None:
    """A prompt as a whole where the network takes one, then token by token: the logits are those of the sequence."""
    model, params, tokens = network
    want = np.asarray(model.apply(params, (), tokens)[0])[0]
    begun = 0 if isinstance(model, CharLSTM) else PREFILL
    at = lambda i: {} if isinstance(model, CharLSTM) else {"position": np.array([i], np.int32)}  # noqa: E731
    name = "token" if isinstance(model, CharLSTM) else "tokens"
    if begun:
        (got,) = call("prefill", {name: tokens[:, :begun], **at(0)})["logits"]
        close(got, want[begun - 1], most)
    for i in range(begun, tokens.shape[1]):
        (got,) = call("decode", {name: tokens[:, i : i + 1], **at(i)})["logits"]
        close(got, want[i], most)


RUNS = {
    "cifar10": Case(_cifar10, _sees),
    "images": Case(_images, _sees),
    "chars": Case(_chars, _writes),
    "stories": Case(_stories, _writes),
    "text": Case(_text, _writes),
    "text by adapters": Case(_adapters, _writes),
}

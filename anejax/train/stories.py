"""Recipes for the Stories networks, and the task that a recipe describes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import anejax as aj
from anejax import optim, random, tree
from anejax.data import files, tokenizer, tokens
from anejax.data.fetch import Progress
from anejax.errors import AnejaxError
from anejax.models import llama2c
from anejax.models.llama import SIZES, Config, Llama
from anejax.records import Between
from anejax.train import language, naming, parallel
from anejax.train.loop import Task
from anejax.train.recipe import Name, Positive, Recipe, RecipeError, Seed, Size, initial

_TEXT = "TinyStories-train.txt"
_EVAL_BATCH = 8


class StoriesError(AnejaxError, ValueError):
    """The files of a run do not fit each other, or have changed since it began."""


@dataclass(frozen=True)
class StoriesRecipe(Recipe):
    """The recipe of a run on stories: AdamW, gradients clipped to norm 1, a rate that rises linearly and falls as a
    cosine.

    An epoch is ``eval_every`` steps, after which the first ``eval_tokens`` of the held-out data are predicted. Without
    ``valid`` the last twentieth of the data is held out. ``streams`` has fingerprints of both, made when a run begins.
    """

    size: Name
    data: Name
    valid: Name
    tokenizer: Name
    start: Name = ""  # a llama2.c checkpoint to begin with
    steps: Size = 2000
    eval_every: Size = 200
    batch: Size = 16
    length: Size = 256
    lr: Positive = 5e-4
    seed: Seed = 0
    warmup: Annotated[float, Between(0, 1)] = 0.1  # part of the steps
    weight_decay: Positive = 0.1
    clip: Positive = 1.0
    eval_tokens: Size = 32_768
    remat: bool = False
    streams: Name = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size not in SIZES:
            raise RecipeError(f"[train] expected a size of {', '.join(SIZES)}, got {self.size!r}.")

    @property
    def epochs(self) -> int:
        return -(-self.steps // self.eval_every)


def preset(size: str) -> StoriesRecipe:
    """The recipe of a size, with the files that ``anejax fetch`` puts in the data directory."""
    named = "tok512.bin" if size == "260K" else "tokenizer.bin"
    where = {"data": str(files.path_of(_TEXT)), "valid": "", "tokenizer": str(files.path_of(named))}
    own = {"260K": {"lr": 2e-3}, "42M": {"batch": 8}, "110M": {"batch": 4}}
    return StoriesRecipe(size, **where, **own.get(size, {}))


def make(recipe: StoriesRecipe, progress: Progress, resumed: bool = False) -> tuple[Task, language.TrainState]:
    """The task of ``recipe``, and the state in which it starts; a resumed run takes only its shapes.

    Raises StoriesError when the checkpoint to start from is of another network, or when data has changed since.
    """
    said = lambda what: progress(what, 0, 1)  # noqa: E731
    words = tokenizer.read(there(recipe.tokenizer))
    config = dataclasses.replace(SIZES[recipe.size], vocabulary=len(words))
    if recipe.length > config.length:
        raise StoriesError(f"[train] expected sequences of at most {config.length} tokens, got {recipe.length}.")
    train, valid = _streams(recipe, words, said)
    recipe = _with_streams(recipe, train, valid)
    model = Llama(config, recipe.remat)
    optimizer = parallel.averaged(_optimizer(recipe))
    parallel.check_batch(recipe.batch)
    batches = tokens.TokenBatches(train, recipe.batch, recipe.length, min(recipe.eval_every, recipe.steps), recipe.seed)
    task = Task(
        name=f"Stories, {recipe.size} network",
        config=recipe.to_json(),
        epochs=recipe.epochs,
        train=batches,
        test=tokens.TokenEvaluation(valid[: recipe.eval_tokens + 1], _EVAL_BATCH, recipe.length),
        train_step=language.train_step(model, optimizer),
        eval_step=language.eval_step(model),
        naming=naming.by_layers(model, language.TOKENS),
        unit="tokens",
    )

    def state() -> language.TrainState:
        params = _params(model, "" if resumed else recipe.start, recipe.seed)
        return language.TrainState(params, optimizer.init(params))

    return task, initial(state, resumed)


def config_of(task: Task) -> Config:
    """The sizes of the network that a task trains."""
    return config_of_recipe(StoriesRecipe.from_json(task.config))


def config_of_recipe(recipe: StoriesRecipe) -> Config:
    """The sizes of the network that a recipe is for."""
    return dataclasses.replace(SIZES[recipe.size], vocabulary=len(tokenizer.read(there(recipe.tokenizer))))


def there(path: str) -> Path:
    """The path of the file. Raises an error that names ``anejax fetch`` if the file is missing."""
    found = Path(path)
    return files.find(found.name) if found == files.path_of(found.name) else found


def _streams(recipe: StoriesRecipe, words: tokenizer.Tokenizer, said: Any) -> tuple[tokens.Stream, tokens.Stream]:
    train = tokens.load(there(recipe.data), words, said)
    if recipe.valid:
        return train, tokens.load(there(recipe.valid), words, said)
    kept = len(train) * 19 // 20
    return train[:kept], train[kept:]


def _with_streams(recipe: StoriesRecipe, train: tokens.Stream, valid: tokens.Stream) -> StoriesRecipe:
    found = f"{tokens.fingerprint(train)} {tokens.fingerprint(valid)}"
    if recipe.streams not in ("", found):
        raise StoriesError(
            f"[train] {recipe.data} or its tokenizer has changed since the run began: expected {recipe.streams},"
            f" got {found}."
        )
    return dataclasses.replace(recipe, streams=found)


def _params(model: Llama, start: str, seed: int) -> Any:
    if start:
        found, params = llama2c.read(start)
        if dataclasses.replace(found, length=model.config.length) != model.config:
            raise StoriesError(f"[train] {start}: expected a checkpoint of {model.config}, got {found}.")
        return params
    return aj.jit(lambda key: model.init(key, language.TOKENS)[0])(random.key(seed))


def _optimizer(recipe: StoriesRecipe) -> Any:
    """Decay is for matrices only."""
    steps = recipe.epochs * min(recipe.eval_every, recipe.steps)
    schedule = optim.warmup_cosine_decay_schedule(
        init_value=0.0, peak_value=recipe.lr, warmup_steps=int(steps * recipe.warmup), decay_steps=steps
    )
    return optim.chain(
        optim.clip_by_global_norm(recipe.clip),
        optim.adamw(
            schedule,
            b1=0.9,
            b2=0.95,
            weight_decay=recipe.weight_decay,
            mask=lambda params: tree.map(lambda w: w.ndim > 1, params),
        ),
    )

"""Recipes for fine-tuning pretrained language models on the user's texts, and the task that a recipe describes."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import lora, models, optim, random
from anejax.data import texts, tokens
from anejax.models.hub import LanguageModel, Pretrained
from anejax.models.hub.gpt2 import GPT2
from anejax.records import Between
from anejax.train import language, parallel
from anejax.train.loop import Run, Task
from anejax.train.recipe import Name, Positive, Recipe, RecipeError, Seed, Size, initial

_EVAL_BATCH = 8


@dataclass(frozen=True)
class TextRecipe(Recipe):
    """The recipe of a run on texts: AdamW, gradients clipped to norm 1, a rate that rises linearly and falls as a
    cosine.

    With ``lora`` above 0, adapters of that rank are trained, for the matrices that ``targets`` name, with commas
    between; else all parameters, in float32. Without ``valid`` the last twentieth of the data is held out. ``streams``
    has fingerprints of both, made when a run begins.
    """

    model: Name
    data: Name
    valid: Name = ""
    save: Name = ""  # folder for the model at the end; the run's folder unless given
    lora: Annotated[int, Between(0, 4096)] = 0
    targets: Name = "q,v"
    alpha: Positive = 16.0
    steps: Size = 200
    eval_every: Size = 50
    batch: Size = 4
    length: Size = 128
    lr: Positive = 1e-4
    seed: Seed = 0
    warmup: Annotated[float, Between(0, 1)] = 0.1  # part of the steps
    weight_decay: Positive = 0.0
    clip: Positive = 1.0
    eval_tokens: Size = 16_384
    streams: Name = ""

    @property
    def epochs(self) -> int:
        return -(-self.steps // self.eval_every)


def make(recipe: TextRecipe, resumed: bool = False) -> tuple[Task, language.TrainState]:
    """The task of ``recipe``, and the state in which it starts; a resumed run takes only its types.

    Raises RecipeError when model, lengths and data do not fit each other, or data has changed since the run began.
    """
    model = _model(recipe)
    train, valid, streams = _streams(recipe, model)
    recipe = dataclasses.replace(recipe, streams=streams)
    steps = min(recipe.eval_every, recipe.steps)
    optimizer = parallel.averaged(_optimizer(recipe, recipe.epochs * steps))
    parallel.check_batch(recipe.batch)
    whole, first = _parts(recipe, model)
    losses = _losses(model.network, whole)
    task = Task(
        name=f"{model.config['model_type']} on {Path(recipe.data).name}",
        config=recipe.to_json(),
        epochs=recipe.epochs,
        train=tokens.TokenBatches(train, recipe.batch, recipe.length, steps, recipe.seed),
        test=tokens.TokenEvaluation(valid[: recipe.eval_tokens + 1], _EVAL_BATCH, recipe.length),
        train_step=_train_step(losses, optimizer),
        eval_step=_eval_step(losses),
        unit="tokens",
    )

    def state() -> language.TrainState:
        params = first()
        return language.TrainState(params, optimizer.init(params))

    return task, initial(state, resumed)


def folders(recipe: TextRecipe, folder: Path) -> list[Path]:
    """``folder``, and beside it that of the adapters, where there are some."""
    return [folder, folder.with_name(f"{folder.name}-adapter")] if recipe.lora else [folder]


def write(run: Run) -> list[Path]:
    """Writes the trained model, and its adapters in PEFT's layout, as folders; returns them. Folders inside that of the
    run, which it has written when it ended before, are replaced."""
    recipe = TextRecipe.from_json(run.task.config)
    model = _model(recipe)
    written = folders(recipe, Path(recipe.save) if recipe.save else run.directory.parent / "model")
    for own in () if recipe.save else written:
        shutil.rmtree(own, ignore_errors=True)
    folder, *adapters = written
    whole, _ = _parts(recipe, model)
    model.save(folder, whole(run.state.params))
    if not adapters:
        return written
    transposed = isinstance(model.network, GPT2)
    lora.save(
        adapters[0],
        run.state.params,
        alpha=recipe.alpha,
        base=recipe.model,
        prefix=model.network.prefix,
        transposed=transposed,
    )
    return written


def parts(recipe: TextRecipe) -> tuple[LanguageModel, Any, Callable[[Any], Any]]:
    """(the network, the types of the trained arrays, the function from these to all parameters).

    Raises RecipeError or ModelError if the folder of the pretrained model is gone, or has another model.
    """
    model = _model(recipe)
    whole, first = _parts(recipe, model)
    return model.network, aj.eval_shape(first), whole


def _model(recipe: TextRecipe) -> Pretrained:
    model = models.load(recipe.model)
    if not isinstance(model.network, LanguageModel):
        raise RecipeError(f"[train] {recipe.model}: expected a language model, got {model.config['model_type']}.")
    if recipe.length > model.network.length:
        raise RecipeError(f"[train] expected sequences of at most {model.network.length} tokens, got {recipe.length}.")
    return model


def _parts(recipe: TextRecipe, model: Pretrained) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    """(the function from the trained arrays to all parameters, the first trained arrays)."""
    if not recipe.lora:
        return lambda params: params, lambda: model.astype("float32").params
    targets = [target.strip() for target in recipe.targets.split(",") if target.strip()]
    first = lambda: lora.init(random.key(recipe.seed), model.params, recipe.lora, targets)  # noqa: E731
    return lambda adapters: lora.merge(model.params, adapters, recipe.alpha), first


def _streams(recipe: TextRecipe, model: Pretrained) -> tuple[np.ndarray, np.ndarray, str]:
    end = min(model.ends, default=None)
    load = lambda path: texts.load(path, model.words, end, model.network.vocabulary)  # noqa: E731
    train = load(recipe.data)
    if recipe.valid:
        valid = load(recipe.valid)
    else:
        kept = min(len(train) * 19 // 20, len(train) - 2)
        train, valid = train[:kept], train[kept:]
    found = f"{tokens.fingerprint(train)} {tokens.fingerprint(valid)}"
    if recipe.streams not in ("", found):
        raise RecipeError(
            f"[train] {recipe.data} or the tokenizer has changed since the run began: expected {recipe.streams}, got"
            f" {found}."
        )
    return train, valid, found


def _losses(network: LanguageModel, whole: Callable[[Any], Any]) -> Callable[..., Any]:
    """(trained, tokens, targets) -> (a loss per token, 1 where it is learned), both [N, T]."""

    def losses(trained: Any, inputs: Any, targets: Any) -> Any:
        plain = lambda stream: stream % texts.UNLEARNED  # noqa: E731
        found = language.losses(network, whole(trained), plain(inputs), plain(targets))
        return found, (targets < texts.UNLEARNED).astype(jnp.float32)

    return losses


def _train_step(losses: Callable[..., Any], optimizer: Any) -> Callable[..., Any]:
    def loss(trained: Any, inputs: Any, targets: Any) -> Any:
        found, learned = losses(trained, inputs, targets)
        count = parallel.mean(jnp.sum(learned))  # so that the mean of all processes' losses is that of the whole batch
        return jnp.sum(found * learned) / jnp.where(count > 0, count, 1)

    return language.step_of(loss, optimizer)


def _eval_step(losses: Callable[..., Any]) -> Callable[..., Any]:
    def step(trained: Any, inputs: Any, targets: Any, weight: Any) -> Any:
        found, learned = losses(trained, inputs, targets)
        return {"loss": jnp.sum(weight * learned * found), "count": jnp.sum(weight * learned)}

    compiled = aj.jit(step)
    return lambda state, *batch: compiled(state.params, *batch)


def _optimizer(recipe: TextRecipe, steps: int) -> Any:
    schedule = optim.warmup_cosine_decay_schedule(
        init_value=0.0, peak_value=recipe.lr, warmup_steps=max(int(steps * recipe.warmup), 1), decay_steps=max(steps, 2)
    )
    adam = optim.adamw(schedule, b1=0.9, b2=0.95, weight_decay=recipe.weight_decay)
    return optim.chain(optim.clip_by_global_norm(recipe.clip), adam)

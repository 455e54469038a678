"""Recipes for the character-level LSTM, and the task that a recipe describes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

from anejax import optim, random
from anejax.data import chars, tokens
from anejax.models.chars import CharLSTM, write
from anejax.records import Between
from anejax.train import language, naming, parallel
from anejax.train.loop import Run, Task
from anejax.train.recipe import Name, Positive, Recipe, Seed, Size, initial

_EVAL_BATCH = 50
_SAMPLE = 400


@dataclass(frozen=True)
class CharsRecipe(Recipe):
    """The recipe of a run on a text: Adam, gradients clipped to norm 1, a rate that rises linearly and falls as a
    cosine.

    An epoch is ``eval_every`` steps, after which the first ``eval_chars`` of the held-out text, its last twentieth, are
    predicted. ``stream`` is a fingerprint of the text, made when a run begins.
    """

    text: Name
    hidden: Annotated[int, Between(1, 16_384)] = 256
    layers: Annotated[int, Between(1, 256)] = 1
    steps: Size = 1000
    eval_every: Size = 200
    batch: Size = 32
    length: Size = 100
    lr: Positive = 4e-3
    seed: Seed = 0
    clip: Positive = 1.0
    eval_chars: Size = 20_000
    stream: Name = ""

    @property
    def epochs(self) -> int:
        return -(-self.steps // self.eval_every)


def make(recipe: CharsRecipe, resumed: bool = False) -> tuple[Task, language.TrainState]:
    """The task of ``recipe``, and the state in which it starts; a resumed run takes only its types.

    Raises TextError when the text has changed since the run began.
    """
    alphabet, stream = chars.load(recipe.text)
    found = tokens.fingerprint(stream)
    if recipe.stream not in ("", found):
        raise chars.TextError(f"[train] {recipe.text} has changed since the run began.")
    recipe = dataclasses.replace(recipe, stream=found)
    kept = len(stream) * 19 // 20
    model, optimizer = _model(recipe, alphabet), parallel.averaged(_optimizer(recipe))
    parallel.check_batch(recipe.batch)
    steps = min(recipe.eval_every, recipe.steps)
    task = Task(
        name=f"characters, LSTM of {recipe.hidden}",
        config=recipe.to_json(),
        epochs=recipe.epochs,
        train=tokens.TokenBatches(stream[:kept], recipe.batch, recipe.length, steps, recipe.seed),
        test=tokens.TokenEvaluation(stream[kept:][: recipe.eval_chars + 1], _EVAL_BATCH, recipe.length),
        train_step=language.train_step(model, optimizer),
        eval_step=language.eval_step(model),
        naming=naming.by_layers(model, language.TOKENS),
        unit="characters",
    )

    def state() -> language.TrainState:
        params, _ = model.init(random.key(recipe.seed), language.TOKENS)
        return language.TrainState(params, optimizer.init(params))

    return task, initial(state, resumed)


def sample(run: Run) -> str:
    """Text from the network of a run, starting after a line break or after the first character of its alphabet."""
    recipe = CharsRecipe.from_json(run.task.config)
    alphabet, _ = chars.load(recipe.text)
    prompt = alphabet.encode("\n" if "\n" in alphabet.characters else alphabet.characters[0])
    key = random.fold_in(random.key(recipe.seed), run.journal.step)
    return alphabet.decode(write(_model(recipe, alphabet), run.state.params, prompt, _SAMPLE, key).tolist())


def _model(recipe: CharsRecipe, alphabet: chars.Alphabet) -> CharLSTM:
    return CharLSTM(len(alphabet), recipe.hidden, recipe.layers)


def _optimizer(recipe: CharsRecipe) -> Any:
    steps = recipe.epochs * min(recipe.eval_every, recipe.steps)
    schedule = optim.warmup_cosine_decay_schedule(0.0, recipe.lr, steps // 20, steps, recipe.lr / 20)
    return optim.chain(optim.clip_by_global_norm(recipe.clip), optim.adam(schedule))

"""Sampling: the real network's greedy story, and distributions of a small one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import anejax as aj
from anejax import random
from anejax.core.trace import executor
from anejax.data import tokenizer
from anejax.errors import ShapeError
from anejax.models import llama2c
from anejax.models.generate import generate
from anejax.models.llama import Config, Llama
from tests import stories

MODEL = Llama(Config(8, 8, 1, 2, 1, vocabulary=7, length=6))
PARAMS = aj.tree.map(lambda w: w * 30, MODEL.init(random.key(3), np.zeros((1, 1), np.int32))[0])


def probabilities(tokens: list[int]) -> np.ndarray:
    logits = np.asarray(MODEL.apply(PARAMS, (), np.array([tokens], np.int32))[0])[0, -1].astype(np.float64)
    return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()


def test_the_greedy_story_of_the_real_network():
    """llama2.c's program prints this with temperature 0 and no prompt, in 256 steps."""
    config, params = llama2c.read(stories.find("stories260K.bin"))
    words = tokenizer.read(stories.find("tok512.bin"), config.vocabulary)
    tokens = itertools.islice(generate(Llama(config), params, [tokenizer.BOS], temperature=0), 256)
    expected = stories.find("stories260K.greedy.txt").read_text().removesuffix("\n")
    assert words.decode([tokenizer.BOS, *tokens]) == expected


def test_greedy_takes_the_likeliest_after_the_prompt():
    tokens = [2, 5]
    found = list(generate(MODEL, PARAMS, tokens, temperature=0))
    for token in found:
        assert token == probabilities(tokens).argmax()
        tokens.append(token)
    assert len(found) == MODEL.config.length - 1


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (2.0, 0.0), (1.0, 0.6)])
def test_choices_have_the_probabilities_they_should(temperature, top_p):
    p = probabilities([4]) ** (1 / temperature)
    p /= p.sum()
    if 0 < top_p < 1:
        order = np.argsort(-p)
        p[order[1 + np.searchsorted(np.cumsum(p[order]), top_p, side="right") :]] = 0
        p /= p.sum()
        assert (p == 0).sum() >= 2
    draws = 600
    options = {"temperature": temperature, "top_p": top_p}
    counts = np.bincount([next(generate(MODEL, PARAMS, [4], seed=s, **options)) for s in range(draws)], minlength=7)
    assert (counts[p == 0] == 0).all()
    deviation = np.sqrt(draws * p * (1 - p))
    assert (np.abs(counts - draws * p) <= 5 * deviation + 1e-9).all()


def test_equal_seeds_give_equal_tokens_and_nothing_compiles_again():
    first = list(generate(MODEL, PARAMS, [1], seed=5))
    before = executor().compiler.count
    assert list(generate(MODEL, PARAMS, [1], seed=5, temperature=1.0)) == first
    others = [list(generate(MODEL, PARAMS, [1], seed=seed, temperature=4.0, top_p=0.9)) for seed in range(9)]
    assert len(set(map(tuple, others))) > 1
    assert executor().compiler.count == before


@pytest.mark.parametrize("prompt", [[], [1] * 7])
def test_prompts_that_do_not_fit(prompt):
    with pytest.raises(ShapeError, match="1 to 6 tokens"):
        next(generate(MODEL, PARAMS, prompt))


@pytest.mark.parametrize("temperature", [-1.0, np.nan])
def test_temperatures_that_make_no_sense(temperature):
    with pytest.raises(ValueError, match="temperature of 0 or more"):
        next(generate(MODEL, PARAMS, [1], temperature=temperature))

"""Loads networks from runs of ``anejax train`` and from other programs' files, for ``eval``, ``generate`` and
``export``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from anejax.cli.options import UsageError
from anejax.data import tokenizer
from anejax.models import llama2c
from anejax.models.hub import Pretrained
from anejax.models.llama import Config
from anejax.terminal import printable
from anejax.train import runs
from anejax.train import stories as recipes


def warn(text: str) -> None:
    """Says on stderr that something was passed over."""
    print(printable(text), file=sys.stderr)


def pretrained(path: str) -> Pretrained:
    """The fine-tuned model of a run of `anejax train text`."""
    return runs.pretrained(runs.find(path, warn, ("text",)))


def stories(args: argparse.Namespace) -> tuple[Config, Any, tokenizer.Tokenizer]:
    """(sizes, parameters, tokenizer) of ``args.checkpoint``: a run of `anejax train stories`, or a file of llama2.c.

    Raises:
        UsageError: the tokenizer of a file of llama2.c is not given.
    """
    if runs.is_run(args.checkpoint):
        found = runs.find(args.checkpoint, warn, ("stories",))
        config, params = runs.stories(found)
        named = args.tokenizer or recipes.there(found.recipe.tokenizer)
    else:
        config, params = llama2c.read(args.checkpoint)
        if args.tokenizer is None:
            raise UsageError("[--checkpoint] a llama2.c checkpoint has no tokenizer in it; give --tokenizer FILE.")
        named = args.tokenizer
    return config, params, tokenizer.read(named, config.vocabulary)

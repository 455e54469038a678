"""``anejax eval TASK``."""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
from rich.console import Console

from anejax import models
from anejax.cli import options
from anejax.cli.options import UsageError
from anejax.cli.training import fetching
from anejax.data import tokenizer, tokens
from anejax.models import llama2c
from anejax.models.hub import LanguageModel
from anejax.models.llama import Llama
from anejax.paths import open_file
from anejax.train import language

_LENGTH = 256
_BATCH_LOGITS = 1 << 25  # 128 MB


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds a subcommand for each task."""
    choices = parser.add_subparsers(metavar="TASK", required=True)
    child = _task(choices, "stories", "the loss of a network on stories, in nats per token", run_stories)
    child.add_argument("--checkpoint", type=options.path, required=True, metavar="FILE", help="a llama2.c checkpoint")
    child.add_argument(
        "--tokenizer", type=options.path, required=True, metavar="FILE", help="its tokenizer, in llama2.c's form"
    )
    _stream(child, "a text, or a stream of tokens (.bin)")
    child = _task(choices, "text", "the loss of a pretrained model on a text, and its perplexity", run_text)
    child.add_argument(
        "--model", type=options.path, required=True, metavar="DIR", help="a folder with config.json, weights, tokenizer"
    )
    _stream(child, "a text in UTF-8")


def _task(choices: Any, name: str, summary: str, run: Any) -> argparse.ArgumentParser:
    child = choices.add_parser(name, help=summary, description=f"Prints {summary}.")
    child.set_defaults(run=run)
    options.add_common(child)
    return child


def _stream(child: argparse.ArgumentParser, what: str) -> None:
    add = child.add_argument
    add("--data", type=options.path, required=True, metavar="FILE", help=what)
    add("--length", type=options.count, metavar="N", help=f"tokens in a window (default: {_LENGTH}, or the network's)")
    add("--tokens", type=options.count, metavar="N", help="predict the first N tokens only")


def run_stories(args: argparse.Namespace) -> int:
    """Predicts each token of the data from those before it in its window, and prints the mean loss; returns 0."""
    options.use_device(args.device)
    config, params = llama2c.read(args.checkpoint)
    with fetching(Console(stderr=True)) as progress:
        words = tokenizer.read(args.tokenizer, config.vocabulary)
        stream = tokens.load(args.data, words, lambda what: progress(what, 0, 1))
        loss = _loss(Llama(config), params, stream, args, progress)
    print(f"valid_loss={loss:.4f}")
    return 0


def run_text(args: argparse.Namespace) -> int:
    """Predicts each token of a text from those before it in its window, and prints loss and perplexity; returns 0."""
    options.use_device(args.device)
    model = models.load(args.model)
    if not isinstance(model.network, LanguageModel):
        raise UsageError(f"[eval] expected a language model, got {model.config['model_type']}.")
    with fetching(Console(stderr=True)) as progress:
        progress(f"encoding {args.data}", 0, 1)
        with open_file(args.data) as file:
            text = file.read().decode("utf-8", "replace")
        stream = np.asarray(model.words.encode(text, True), np.int32)
        if len(stream) and stream.max() >= model.network.vocabulary:
            raise UsageError(
                f"[eval] the tokenizer gives token {stream.max()}, but the model's vocabulary has"
                f" {model.network.vocabulary}: they do not belong together."
            )
        loss = _loss(model.network, model.params, stream, args, progress)
    print(f"tokens={min(len(stream) - 1, args.tokens or len(stream))} loss={loss:.4f} perplexity={math.exp(loss):.4f}")
    return 0


def _loss(model: Any, params: Any, stream: Any, args: argparse.Namespace, progress: Any) -> float:
    """The mean loss over windows of ``stream``."""
    length = args.length or min(_LENGTH, model.length)
    if length > model.length:
        raise UsageError(f"[eval] expected windows of at most {model.length} tokens, got {length}.")
    stream = stream[: args.tokens + 1] if args.tokens else stream
    batches = tokens.TokenEvaluation(stream, _batch(model.vocabulary, length), length)
    return language.evaluate(model, params, batches, lambda done: progress("evaluating", done, len(batches)))


def _batch(vocabulary: int, length: int) -> int:
    """How many windows to predict at a time: some thousands of tokens, unless their logits would take much memory."""
    return max(1, min(8192, _BATCH_LOGITS // vocabulary) // length)

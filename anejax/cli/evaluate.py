"""The command ``anejax eval TASK``: measures a trained network on held-out data."""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
from rich.console import Console

from anejax import models
from anejax.cli import options, written
from anejax.cli.examples import add_command
from anejax.cli.options import UsageError
from anejax.cli.training import fetching
from anejax.data import tokens
from anejax.models.hub import LanguageModel
from anejax.models.llama import Llama
from anejax.paths import open_file
from anejax.train import language, runs

_LENGTH = 256
_CHARS_LENGTH, _CHARS_BATCH = 100, 32
_BATCH_LOGITS = 1 << 25  # 128 MB


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds a subcommand for each task."""
    choices = parser.add_subparsers(metavar="TASK", required=True)
    child = _task(choices, "stories", "the loss of a network on stories, in nats per token", run_stories)
    _checkpoint(child, "a run of `anejax train stories`, a checkpoint of one (.json), or one of llama2.c")
    child.add_argument(
        "--tokenizer", type=options.path, metavar="FILE", help="a tokenizer file of llama2.c (default: the run's)"
    )
    _stream(child, "a text, or a stream of tokens (.bin)")
    child = _task(choices, "text", "the loss of a pretrained model on a text, and its perplexity", run_text)
    child.add_argument(
        "--model",
        type=options.path,
        metavar="DIR",
        help="a folder with config.json, weights and tokenizer, or a GGUF file",
    )
    _checkpoint(child, "a run of `anejax train text`, or a checkpoint of one (.json)", required=False)
    _stream(child, "a text in UTF-8")
    child = _task(choices, "chars", "the loss of a network on a text, in nats per character", run_chars)
    _checkpoint(child, "a run of `anejax train chars`, or a checkpoint of one (.json)")
    _stream(child, "a text in UTF-8")
    data = {
        "cifar10": "folder of the data set, downloaded if missing",
        "images": "a folder of images for each class (default: the images that the run held out)",
    }
    for kind, what in data.items():
        child = _task(choices, kind, f"the loss and the accuracy of a network of `anejax train {kind}`", run_images)
        _checkpoint(child, f"a run of `anejax train {kind}`, or a checkpoint of one (.json)")
        child.add_argument("--data", type=options.path, metavar="DIR", help=what)
        child.set_defaults(kind=kind)


def _checkpoint(child: argparse.ArgumentParser, what: str, required: bool = True) -> None:
    child.add_argument("--checkpoint", type=options.path, required=required, metavar="RUN", help=what)


def _task(choices: Any, name: str, summary: str, run: Any) -> argparse.ArgumentParser:
    child = add_command(choices, f"eval {name}", summary, f"Prints {summary}.")
    child.set_defaults(run=run)
    options.add_common(child)
    return child


def _stream(child: argparse.ArgumentParser, what: str) -> None:
    add = child.add_argument
    add("--data", type=options.path, required=True, metavar="FILE", help=what)
    add("--length", type=options.count, metavar="N", help=f"tokens in a window (default: {_LENGTH}, or the network's)")
    add("--tokens", type=options.count, metavar="N", help="predict only the first N tokens")


def run_stories(args: argparse.Namespace) -> int:
    """Predicts each token of the data from those before it in its window, and prints the mean loss; returns 0."""
    options.use_device(args.device)
    config, params, words = written.stories(args)
    with fetching(Console(stderr=True)) as progress:
        stream = tokens.load(args.data, words, lambda what: progress(what, 0, 1))
        loss = _loss(Llama(config), params, stream, args, progress)
    print(f"valid_loss={loss:.4f}")
    return 0


def run_chars(args: argparse.Namespace) -> int:
    """Predicts each character of a text from those before it in its window, and prints the mean loss; returns 0."""
    options.use_device(args.device)
    model, params, alphabet = runs.characters(runs.find(args.checkpoint, written.warn, ("chars",)))
    with fetching(Console(stderr=True)) as progress:
        with open_file(args.data) as file:
            stream = alphabet.encode(file.read().decode("utf-8", "replace"))
        stream = stream[: args.tokens + 1] if args.tokens else stream
        batches = tokens.TokenEvaluation(stream, _CHARS_BATCH, args.length or _CHARS_LENGTH)
        loss = language.evaluate(model, params, batches, lambda n: progress("evaluating", n, len(batches)))
    print(f"characters={len(stream) - 1} loss={loss:.4f}")
    return 0


def run_images(args: argparse.Namespace) -> int:
    """Classifies images, and prints loss and accuracy; returns 0."""
    options.use_device(args.device)
    found = runs.find(args.checkpoint, written.warn, (args.kind,))
    with fetching(Console(stderr=True)) as progress:
        facts = runs.measure(found, args.data, progress)
    print(f"images={facts['images']} loss={facts['loss']:.4f} accuracy={facts['accuracy']:.4f}")
    return 0


def run_text(args: argparse.Namespace) -> int:
    """Predicts each token of a text from those before it in its window, and prints loss and perplexity; returns 0."""
    options.use_device(args.device)
    if (args.model is None) == (args.checkpoint is None):
        raise UsageError("[eval] expected --model DIR or --checkpoint RUN.")
    model = models.load(args.model) if args.model else written.pretrained(args.checkpoint)
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
    """The number of windows to predict at a time: some thousands of tokens, fewer if their logits need much memory."""
    return max(1, min(8192, _BATCH_LOGITS // vocabulary) // length)

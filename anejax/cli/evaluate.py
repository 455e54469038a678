"""``anejax eval TASK``."""

from __future__ import annotations

import argparse

from rich.console import Console

from anejax.cli import options
from anejax.cli.options import UsageError
from anejax.cli.training import fetching
from anejax.data import tokenizer, tokens
from anejax.models import llama2c
from anejax.models.llama import Config, Llama
from anejax.train import language

_LENGTH = 256
_BATCH_LOGITS = 1 << 25  # 128 MB


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds a subcommand for each task."""
    choices = parser.add_subparsers(metavar="TASK", required=True)
    summary = "the loss of a network on stories, in nats per token"
    child = choices.add_parser("stories", help=summary, description=f"Prints {summary}.")
    add = child.add_argument
    add("--checkpoint", type=options.path, required=True, metavar="FILE", help="a llama2.c checkpoint")
    add("--tokenizer", type=options.path, required=True, metavar="FILE", help="its tokenizer, in llama2.c's form")
    add("--data", type=options.path, required=True, metavar="FILE", help="a text, or a stream of tokens (.bin)")
    add("--length", type=options.count, metavar="N", help=f"tokens in a window (default: {_LENGTH}, or the network's)")
    add("--tokens", type=options.count, metavar="N", help="predict the first N tokens only")
    options.add_common(child)
    child.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Predicts each token of the data from those before it in its window, and prints the mean loss; returns 0."""
    options.use_device(args.device)
    config, params = llama2c.read(args.checkpoint)
    length = args.length or min(_LENGTH, config.length)
    if length > config.length:
        raise UsageError(f"[eval] expected windows of at most {config.length} tokens, got {length}.")
    console = Console(stderr=True)
    with fetching(console) as progress:
        words = tokenizer.read(args.tokenizer, config.vocabulary)
        stream = tokens.load(args.data, words, lambda what: progress(what, 0, 1))
        stream = stream[: args.tokens + 1] if args.tokens else stream
        batches = tokens.TokenEvaluation(stream, _batch(config, length), length)
        loss = language.evaluate(
            Llama(config), params, batches, lambda done: progress("evaluating", done, len(batches))
        )
    print(f"valid_loss={loss:.4f}")
    return 0


def _batch(config: Config, length: int) -> int:
    """How many windows to predict at a time: some thousands of tokens, unless their logits would take much memory."""
    return max(1, min(8192, _BATCH_LOGITS // config.vocabulary) // length)

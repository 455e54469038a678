"""``anejax generate``: text from a network, as it comes."""

from __future__ import annotations

import argparse
import codecs
import dataclasses
import itertools
import sys
import time

from anejax.cli import options
from anejax.cli.options import UsageError
from anejax.data import tokenizer
from anejax.models import llama2c
from anejax.models.generate import generate
from anejax.models.llama import Llama
from anejax.terminal import printable


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    add = parser.add_argument
    add("--checkpoint", type=options.path, required=True, metavar="FILE", help="a llama2.c checkpoint")
    add("--tokenizer", type=options.path, required=True, metavar="FILE", help="its tokenizer, in llama2.c's form")
    add("--prompt", default="", metavar="TEXT", help="how the text begins")
    add("--temperature", type=options.not_negative, default=1.0, metavar="X", help="0: the likeliest (default: 1)")
    add("--top-p", type=options.not_negative, default=0.9, metavar="P", help="of the likeliest tokens (default: 0.9)")
    add("--steps", type=options.count, default=256, metavar="N", help="tokens in all, the prompt's too (default: 256)")
    add("--seed", type=options.whole, default=0, metavar="N", help="of the choices (default: 0)")
    options.add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the prompt and what follows, up to a token that ends a text, and the speed to stderr; returns 0."""
    options.use_device(args.device)
    config, params = llama2c.read(args.checkpoint)
    words = tokenizer.read(args.tokenizer, config.vocabulary)
    prompt = words.encode(args.prompt)
    steps = min(args.steps, config.length)
    if len(prompt) > steps:
        raise UsageError(f"[generate] expected a prompt of at most {steps} tokens, got {len(prompt)}.")
    config = dataclasses.replace(config, length=steps)  # the cache is as long as what is asked for
    sampling = {"temperature": args.temperature, "top_p": args.top_p, "seed": args.seed}
    text = codecs.getincrementaldecoder("utf-8")(errors="replace")
    previous, begun, count = prompt[0], 0.0, 0
    new = generate(Llama(config), params, prompt, **sampling)
    for token in itertools.chain(prompt[1:], itertools.islice(new, steps - len(prompt) + 1)):
        if token in (tokenizer.BOS, tokenizer.EOS):
            break
        _show(text.decode(words.piece(token, previous)))
        previous, count = token, count + 1
        begun = begun or time.perf_counter()  # what comes before is compiling
    _show(text.decode(b"", final=True) + "\n")
    if count > 1:
        print(f"{(count - 1) / (time.perf_counter() - begun):.1f} tok/s", file=sys.stderr)
    return 0


def _show(text: str) -> None:
    """Prints what a model says, in which nothing acts on the terminal."""
    print(printable(text), end="", flush=True)

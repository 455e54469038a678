"""The command ``anejax generate``: samples text from a network and prints it as it is produced."""

from __future__ import annotations

import argparse
import codecs
import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from anejax import models, random
from anejax.cli import options, written
from anejax.cli.options import UsageError
from anejax.data import tokenizer
from anejax.models.chars import write
from anejax.models.generate import generate
from anejax.models.hub import LanguageModel
from anejax.models.llama import Llama
from anejax.terminal import printable
from anejax.train import runs

_KINDS = ("chars", "stories", "text")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    add = parser.add_argument
    add(
        "--model",
        type=options.path,
        metavar="DIR",
        help="a folder with config.json, weights and tokenizer, or a GGUF file",
    )
    add(
        "kind",
        nargs="?",
        choices=_KINDS,
        metavar="KIND",
        help=f"kind of the run: {', '.join(_KINDS)} (default: detected)",
    )
    add("--checkpoint", type=options.path, metavar="RUN", help="a run of `anejax train`, finished or not, a checkpoint "
        "of one (.json), or one of llama2.c")  # fmt: skip
    add("--tokenizer", type=options.path, metavar="FILE", help="a llama2.c tokenizer (default: the run's)")
    add("--prompt", default="", metavar="TEXT", help="the beginning of the text")
    add("--chat", action="store_true", help="pass the prompt as a user's message in a chat")
    add("--system", metavar="TEXT", help="the system message at the beginning of a chat")
    add(
        "--temperature",
        type=options.not_negative,
        metavar="X",
        help="0 takes the likeliest token (default: the model's, or 1)",
    )
    add(
        "--top-p",
        type=options.not_negative,
        metavar="P",
        help="sample from the likeliest tokens with total probability P (default: the model's, or 0.9)",
    )
    add(
        "--top-k",
        type=options.whole,
        metavar="N",
        help="sample from the N likeliest tokens (default: the model's, or all)",
    )
    add("--steps", type=options.count, default=256, metavar="N", help="tokens, including the prompt (default: 256)")
    add("--seed", type=options.whole, default=0, metavar="N", help="seed of the sampling (default: 0)")
    options.add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the prompt and its continuation, up to a token that ends a text, and the speed to stderr; returns 0."""
    options.use_device(args.device)
    if (args.model is None) == (args.checkpoint is None):
        raise UsageError("[generate] expected --model DIR, --checkpoint RUN, or --checkpoint FILE --tokenizer FILE.")
    if args.system is not None and not args.chat:
        raise UsageError("[generate] --system is part of a chat; add --chat.")
    if args.model:
        return _pretrained(models.load(args.model), args)
    kinds = [args.kind] if args.kind else _KINDS
    kind = runs.find(args.checkpoint, written.warn, kinds).kind if runs.is_run(args.checkpoint) else "stories"
    if kind == "text":
        return _pretrained(written.pretrained(args.checkpoint), args)
    if args.chat:
        raise UsageError("[generate] the network has no chat template; leave out --chat.")
    return _characters(args) if kind == "chars" else _stories(args)


def _pretrained(model: Any, args: argparse.Namespace) -> int:
    if not isinstance(model.network, LanguageModel):
        raise UsageError(f"[generate] expected a language model, got {model.config['model_type']}, which writes none.")
    words, text, given = model.words, args.prompt, model.generation
    if args.chat:
        said = [("system", args.system)] if args.system is not None else []
        text = words.chat([{"role": role, "content": content} for role, content in (*said, ("user", text))])
    prompt = words.encode(text, not args.chat)  # a template writes the tokens that begin a text itself
    if not prompt:
        raise UsageError("[generate] expected a prompt: the model's tokenizer begins no text by itself. Give --prompt.")
    greedy = given.get("do_sample") is False
    sampling = {
        "temperature": _either(args.temperature, 0.0 if greedy else given.get("temperature"), 1.0),
        "top_p": _either(args.top_p, given.get("top_p"), 0.9),
        "top_k": _either(args.top_k, given.get("top_k"), 0),
    }
    tokens = _tokens(model.network, model.params, prompt, args, **sampling)
    shown = prompt if not args.chat else []
    new = itertools.chain(shown, itertools.takewhile(lambda token: token not in model.ends, tokens))
    return _show(words.stream(new))


def _either(said: Any, held: Any, default: Any) -> Any:
    """The value of the command line, else that of the model's configuration, else the default."""
    if said is not None:
        return said
    return held if type(held) in (int, float) and held >= 0 else default


def _characters(args: argparse.Namespace) -> int:
    model, params, alphabet = runs.characters(runs.find(args.checkpoint, written.warn))
    prompt = args.prompt or ("\n" if "\n" in alphabet.characters else alphabet.characters[0])
    key, temperature = random.key(args.seed), _either(args.temperature, None, 0.8)
    new = write(model, params, alphabet.encode(prompt), max(args.steps - len(prompt), 1), key, temperature)
    print(printable(args.prompt + alphabet.decode(new.tolist())))
    return 0


def _stories(args: argparse.Namespace) -> int:
    config, params, words = written.stories(args)
    prompt = words.encode(args.prompt)
    sampling = {
        "temperature": _either(args.temperature, None, 1.0),
        "top_p": _either(args.top_p, None, 0.9),
        "top_k": args.top_k or 0,
    }
    new = _tokens(Llama(config), params, prompt, args, **sampling)
    return _show(_pieces(words, prompt, new))


def _pieces(words: tokenizer.Tokenizer, prompt: list[int], new: Iterable[int]) -> Iterator[str]:
    """The text, up to a token that begins or ends one."""
    text = codecs.getincrementaldecoder("utf-8")(errors="replace")
    previous = prompt[0]
    for token in itertools.chain(prompt[1:], new):
        if token in (tokenizer.BOS, tokenizer.EOS):
            break
        yield text.decode(words.piece(token, previous))
        previous = token
    yield text.decode(b"", final=True)


def _tokens(model: Any, params: Any, prompt: list[int], args: argparse.Namespace, **sampling: Any) -> Iterator[int]:
    """The tokens that follow the prompt; with it they are ``--steps`` tokens at most."""
    steps = min(args.steps, model.length)
    if len(prompt) > steps:
        raise UsageError(
            f"[generate] expected a prompt of at most {steps} tokens, got {len(prompt)}: --steps counts"
            f" them too, and the network holds {model.length}."
        )
    new = generate(model, params, prompt, seed=args.seed, length=steps, **sampling)
    return itertools.islice(new, steps - len(prompt) + 1)


def _show(pieces: Iterator[str]) -> int:
    """Prints a model's text as it comes, without control characters; returns 0."""
    begun, count = 0.0, 0
    for piece in pieces:
        print(printable(piece), end="", flush=True)
        count += 1
        begun = begun or time.perf_counter()  # the time before is that of compiling
    print()
    if count > 2:
        print(f"{(count - 2) / (time.perf_counter() - begun):.1f} tok/s", file=sys.stderr)
    return 0

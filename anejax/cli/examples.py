"""Examples of each command, which ``--help`` prints and the page of commands shows.

Every line is a command that the parser accepts; a test parses all of them.
"""

from __future__ import annotations

import argparse
from typing import Any

# a command -> (command line, description)
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "train": (("anejax train cifar10 --preset demo", "two minutes on two cores"),),
    "train cifar10": (
        ("anejax train cifar10 --preset demo", "a small network, two minutes on two cores"),
        ("anejax train cifar10 --precision float16", "the full network in mixed precision"),
        ("anejax train cifar10 --resume runs/cifar10", "continue a run that was stopped"),
    ),
    "train images": (("anejax train images --data pets --size 64 --epochs 20", "a folder for each class"),),
    "train chars": (
        ("anejax train chars", "on Shakespeare"),
        ("anejax train chars --text my.txt --hidden 512 --steps 2000", "on your text"),
    ),
    "train text": (("anejax train text --model SmolLM2-135M --data notes.txt --lora 8", "adapters of rank 8"),),
    "train stories": (
        ("anejax train stories --size 260K --steps 500", "from random weights"),
        ("anejax train stories --from stories15M.bin --data my.txt", "from a checkpoint of llama2.c"),
    ),
    "eval": (("anejax eval cifar10 --checkpoint runs/cifar10", "the newest checkpoint of a run"),),
    "eval stories": (("anejax eval stories --checkpoint stories15M.bin --data my.txt", "nats per token"),),
    "eval text": (("anejax eval text --model SmolLM2-135M --data notes.txt", "nats per token and perplexity"),),
    "eval chars": (("anejax eval chars --checkpoint runs/chars --data other.txt", "nats per character"),),
    "eval cifar10": (("anejax eval cifar10 --checkpoint runs/cifar10", "the newest checkpoint of a run"),),
    "eval images": (("anejax eval images --checkpoint runs/images --data pets", "images that it has not seen"),),
    "generate": (
        ("anejax generate --model SmolLM2-135M --prompt 'Once upon a time'", "a pretrained model"),
        ("anejax generate chars --checkpoint runs/chars --steps 200", "a network that you trained"),
    ),
    "profile": (
        ("anejax profile train cifar10 --preset demo", "steps of a training command"),
        ("anejax profile mymodule:f --shape 'float32[64,64]'", "a function of yours"),
    ),
    "estimate": (
        ("anejax estimate cifar10 --chip M4", "a training step of a network that comes with anejax"),
        ("anejax estimate mymodule:f --shape 'float32[8,4]' --step forward", "a function of yours"),
    ),
    "explain": (
        ("anejax explain stories --size 15M --chip M5", "segments, times and reasons"),
        ("anejax explain mymodule:f --shape 'float32[8,4]' --html plan.html", "a page with a picture"),
    ),
    "check": (("anejax check model.mil --chip M1", "the rules that a MIL text breaks"),),
    "doctor": (
        ("anejax doctor", "all checks"),
        ("anejax doctor --quick --json doctor.json", "fewer checks, and a report to attach to an issue"),
    ),
    "export": (
        ("anejax export runs/cifar10 --to Cifar10.mlpackage", "for Core ML"),
        ("anejax export runs/cifar10 --format aimodel --weights int8", "for Core AI, in 8 bits"),
    ),
    "fetch": (("anejax fetch", "list the files"), ("anejax fetch stories15M.bin", "download one")),
    "completion": (
        ("anejax completion bash > ~/.local/share/bash-completion/completions/anejax", "for bash"),
        ("anejax completion fish > ~/.config/fish/completions/anejax.fish", "for fish"),
    ),
}  # fmt: skip


def add_command(choices: Any, command: str, summary: str, description: str | None = None) -> argparse.ArgumentParser:
    """Adds the parser of ``command``, such as "train cifar10", to the subparsers ``choices``; its help ends with the
    command's examples."""
    return choices.add_parser(
        command.split()[-1],
        help=summary,
        description=description or summary,
        epilog=epilog(command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def epilog(command: str) -> str | None:
    """The examples of ``command``, such as "train cifar10", as the last part of its help."""
    rows = EXAMPLES.get(command, ())
    return "examples:\n" + "".join(f"  {line}\n      {what}\n" for line, what in rows) if rows else None

"""``anejax train TASK``: one module per task, found through one table."""

from __future__ import annotations

import argparse
import importlib

from anejax.cli.examples import add_command

# name -> (module with configure(parser) and run(args) -> exit code, summary)
TASKS = {
    "cifar10": ("anejax.cli.train_cifar10", "a convolutional network on CIFAR-10"),
    "images": ("anejax.cli.train_images", "a convolutional network on a folder of images"),
    "chars": ("anejax.cli.train_chars", "an LSTM that writes text, character by character"),
    "text": ("anejax.cli.train_text", "a pretrained language model on your texts, all weights or LoRA adapters"),
    "stories": ("anejax.cli.train_stories", "a transformer of the Stories family on short stories"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds a subcommand for each task."""
    choices = parser.add_subparsers(metavar="TASK", required=True)
    for name, (module, summary) in TASKS.items():
        task = importlib.import_module(module)
        child = add_command(choices, f"train {name}", summary, f"Train {summary}.")
        task.configure(child)
        child.set_defaults(run=task.run)

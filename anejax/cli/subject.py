"""The argument that ``anejax estimate``, ``check`` and ``explain`` share.

It names a bundled network, a function of the user's, or a file with MIL text.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anejax as aj
import anejax.numpy as jnp
from anejax import dtypes
from anejax.cli import options
from anejax.cli.options import UsageError
from anejax.errors import AnejaxError
from anejax.mil.chips import NAMES
from anejax.mil.parse import MAX_TEXT, parse
from anejax.mil.program import Program
from anejax.models.llama import SIZES, Llama
from anejax.paths import read_file
from anejax.train import cifar10, classify, language

Subject = tuple[Callable[..., Any], tuple[Any, ...]]
STEPS = ("forward", "train")
_DTYPES = [dtype.name for dtype in dtypes.ALL]


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name the command's subject."""
    add = parser.add_argument
    add("target", metavar="TARGET", help="cifar10, stories, a .mil file, or module:function with --shape")
    add(
        "--chip",
        choices=NAMES,
        default="M4",
        help="the chip (default: M4); `this`: the figures that `anejax doctor` measured",
    )
    options.add_shapes(add)
    add("--step", choices=STEPS, default="train", help="for a network: the loss and its gradients, or its output")
    add("--size", choices=SIZES, default="110M", help="size of the stories network (default: 110M)")
    add("--preset", choices=cifar10.PRESETS, default="full", help="preset of the cifar10 network (default: full)")
    add("--batch", type=options.count, metavar="N", help="examples in a step (default: 1 sequence, 128 images)")
    add("--length", type=options.count, default=256, metavar="N", help="tokens in a sequence (default: 256)")
    add("--json", action="store_true", help="print JSON")
    add("--debug", action="store_true", help="show tracebacks of errors")


def find(args: argparse.Namespace) -> Program | Subject:
    """The program, or the function with the types of its arguments. Raises UsageError when there is no such thing."""
    if args.target.endswith(".mil"):
        return read(Path(args.target))
    if args.target in _NETWORKS:
        return _NETWORKS[args.target](args)
    if ":" in args.target:
        return function(args.target), tuple(map(shape, args.shape))
    raise UsageError(
        f"[{args.target}] expected {', '.join(_NETWORKS)}, a file whose name ends in .mil, or module:function."
    )


def read(path: Path) -> Program:
    """The program that a file spells. Raises ParseError with the line, UsageError when it is no text, OSError."""
    data = read_file(path, MAX_TEXT)
    try:
        return parse(data.decode())
    except UnicodeDecodeError as err:
        raise UsageError(f"[{path.name}] expected text in UTF-8, got byte {data[err.start]} at {err.start}.") from None


def shape(text: str) -> aj.ShapeDtypeStruct:
    """``float32[8,4]`` as the type of an argument. Raises UsageError for anything else."""
    match = options.SHAPE.fullmatch(text.strip())
    sizes = match[2].replace(" ", "") if match else ""
    fine = match is not None and match[1] in _DTYPES and re.fullmatch(r"(\d{1,9}(,\d{1,9})*)?", sizes)
    if match is None or not fine:
        raise UsageError(f"[--shape] expected a dtype and sizes, such as float32[8,4], got {text!r}.")
    return aj.ShapeDtypeStruct(tuple(int(n) for n in sizes.split(",") if n), match[1])


def function(text: str) -> Callable[..., Any]:
    """Imports the function that ``module:function`` names. Raises UsageError; errors of the user's module pass
    through."""
    return _guarded(_found(text), text)


def _found(text: str) -> Callable[..., Any]:
    module, _, name = text.partition(":")
    sys.path.insert(0, "")  # modules of the working directory, as `python -m` finds them
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as err:
        raise UsageError(f"[{text}] expected module:function, but {err}.") from err
    finally:
        sys.path.remove("")
    if not callable(found):
        raise UsageError(f"[{text}] expected a function, got {type(found).__name__}.")
    return found


def _guarded(function: Callable[..., Any], text: str) -> Callable[..., Any]:
    """``function``, whose own errors are the user's to mend, not defects of anejax."""

    @functools.wraps(function, updated=())
    def call(*args: Any) -> Any:
        try:
            return function(*args)
        except AnejaxError:
            raise
        except Exception as err:
            types = ", ".join(str(aj.typeof(a)) for a in args) or "no arguments (see --shape)"
            raise UsageError(f"[{text}] {type(err).__name__} when called with {types}: {err}") from err

    return call


# ---- bundled networks. Their optimizers keep float32 state, which stays with the CPU device.


def _stories(args: argparse.Namespace) -> Subject:
    model = Llama(SIZES[args.size])
    if args.length > model.config.length:
        raise UsageError(f"[--length] expected at most {model.config.length} tokens, got {args.length}.")
    tokens = aj.ShapeDtypeStruct((args.batch or 1, args.length), "int32")
    params = aj.eval_shape(lambda key: model.init(key, tokens)[0], aj.random.key(0))
    if args.step == "forward":
        return lambda p, t: model.apply(p, (), t)[0], (params, tokens)
    loss = lambda p, t, y: jnp.mean(language.losses(model, p, t, y))  # noqa: E731
    return aj.value_and_grad(loss), (params, tokens, tokens)


def _cifar10(args: argparse.Namespace) -> Subject:
    model = cifar10.NETWORKS[args.preset]()
    images = aj.ShapeDtypeStruct((args.batch or 128, 3, 32, 32), "float32")
    params, state = aj.eval_shape(model.init, aj.random.key(0), images)
    if args.step == "forward":
        params, state = aj.tree.map(lambda a: jnp.ones(a.shape, a.dtype), (params, state))
        return aj.jit(lambda x: model.apply(params, state, x)[0], constants=(params, state)), (images,)
    labels = aj.ShapeDtypeStruct(images.shape[:1], "int32")
    loss = classify.make_loss(model, cifar10.PRESETS[args.preset].smoothing)
    step = lambda p, s, x, y: aj.value_and_grad(loss, has_aux=True)(p, s, x, y, None)  # noqa: E731
    return step, (params, state, images, labels)


_NETWORKS: dict[str, Callable[[argparse.Namespace], Subject]] = {"cifar10": _cifar10, "stories": _stories}

"""The command ``anejax export``: writes a trained network or a function as a Core ML or Core AI package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import anejax as aj
from anejax import models
from anejax.cli import options, subject
from anejax.cli.options import UsageError
from anejax.export import FORMATS, PRECISIONS, Function, Metadata
from anejax.export.compress import SCHEMES
from anejax.models import llama2c
from anejax.models.llama import Llama
from anejax.paths import open_file
from anejax.terminal import printable
from anejax.train import deploy, runs

_MOST_BYTES = 1 << 24  # largest size of a file of labels


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    add = parser.add_argument
    add("target", metavar="TARGET", help="a run of `anejax train`, a checkpoint (.json of a run, .bin of llama2.c), a "
        "folder with a pretrained model, or module:function with --shape")  # fmt: skip
    add(
        "--format",
        choices=FORMATS,
        help="mlpackage for Core ML, aimodel for Core AI (default: the ending of --to, or mlpackage)",
    )
    add("--to", type=Path, metavar="PATH", help="path of the package (default: the target's name)")
    options.add_shapes(add)
    add("--weights", choices=SCHEMES, help="storage of the parameters (default: unchanged)")
    add("--precision", choices=PRECISIONS, default="float32", help="the dtype of the computation (default: float32)")
    add(
        "--labels",
        type=Path,
        metavar="FILE",
        help="labels of the classes of module:function, one per line (a trained network's labels are in its run)",
    )
    add("--debug", action="store_true", help="show tracebacks of errors")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the package, and prints its functions; returns 0."""
    kind = args.format or (args.to.suffix[1:] if args.to else "mlpackage")
    if kind not in FORMATS:
        raise UsageError(f"[--to] expected a path that ends in .{' or .'.join(FORMATS)}, got {str(args.to)!r}.")
    path = args.to or Path(f"{_name(args.target)}.{kind}")
    functions, facts = _deployed(args)
    metadata = Metadata(more={"anejax": aj.__version__, **facts})
    FORMATS[kind](functions, path=path, weights=args.weights, precision=args.precision, report=_report,
                  metadata=metadata)  # fmt: skip
    size = sum(found.stat().st_size for found in path.rglob("*") if found.is_file())
    print(printable(f"{path}: {', '.join(functions)}; {size / 1e6:.1f} MB"))
    return 0


def _labels(path: Path | None) -> list[str] | None:
    """The lines of a file."""
    if path is None:
        return None
    with open_file(path) as file:
        found = file.read(_MOST_BYTES + 1)
    try:
        if len(found) > _MOST_BYTES:
            raise ValueError
        return found.decode().splitlines()
    except ValueError:
        raise UsageError(f"[--labels] expected UTF-8 text of at most {_MOST_BYTES >> 20} MB in {path}.") from None


def _report(name: str, error: float) -> None:
    print(printable(f"{name}: off by {error:.2%}"))


def _name(target: str) -> str:
    """The name of the package that a target is written to."""
    return target.rpartition(":")[2].rpartition(".")[2] if ":" in target else Path(target).absolute().stem


def _deployed(args: argparse.Namespace) -> deploy.Deployed:
    """The functions of a target, and where they come from."""
    target = args.target
    for option in ("shape", "labels"):
        if getattr(args, option) and ":" not in target:
            raise UsageError(f"[--{option}] expected with module:function only: a trained network has its own.")
    if ":" in target and not Path(target).exists():
        function = subject.function(target)
        main = Function(function, *map(subject.shape, args.shape), labels=_labels(args.labels))
        return deploy.Deployed({"main": main}, {})
    path = Path(target)
    if (path / "config.json").is_file():
        return deploy.of_pretrained(models.load(path))
    if runs.is_run(path):
        return deploy.of_run(path, lambda text: print(printable(text), file=sys.stderr))
    if path.suffix == ".bin":
        config, params = llama2c.read(path)
        params = aj.tree.map(aj.numpy.asarray, params)
        return deploy.Deployed(deploy.of_language_model(Llama(config), params), {})
    raise UsageError(
        f"[{target}] expected a directory of a run or of a pretrained model, a checkpoint (.json, .bin), or"
        " module:function."
    )

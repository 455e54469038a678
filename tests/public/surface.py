"""The public names of each public module: derived from its source and from jax's names, and written as ``__all__``.

docs/public.md lists the public modules. A name of one is public if the module re-exports it (``import x as x``), if
jax's namespace of that name has it, or, in modules that jax does not have, if the module defines it.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import textwrap
from pathlib import Path

from anejax.absent import group_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "public.md"
START, END = "__all__ = [\n", "]  # fmt: skip\n"

# names that the rule finds, and that only other rooms of the package use
HELPERS = {
    "anejax": {"execute", "exiting"},
    "anejax.distributed": {"float16_mean"},
    "anejax.config": {"Kind", "Override"},
    "anejax.errors": {"fail"},
}


def modules() -> list[str]:
    """The public modules, in the order of the page; the row of ``scipy.stats`` stands for its distributions too."""
    listed = re.findall(r"^\| `(anejax[\w.]*)` \|", PAGE.read_text(), re.M)
    laws = [f"anejax.scipy.stats.{n}" for n in sorted(names_of_jax("anejax.scipy.stats")) if is_module(n)]
    return listed + laws


def is_module(law: str) -> bool:
    return (ROOT / "anejax" / "scipy" / "stats" / f"{law}.py").exists()


def source_of(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def names_of_jax(module: str) -> set[str]:
    """The names that any pinned version of jax has in its module of that name."""
    space = module.replace("anejax", "jax", 1)
    records = sorted((ROOT / "tests" / "parity").glob("names-*.json"))
    return {n for record in records for n in json.loads(record.read_text()).get(space, ())}


def reexported(tree: ast.Module) -> set[str]:
    """Names that ``import x as x`` binds, also for type checkers alone."""
    found = {a.asname for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names if a.asname == a.name}
    return {name for name in found if name}


def defined(tree: ast.Module) -> set[str]:
    found = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        found |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return found


def public_names(module: str) -> list[str]:
    """The names that ``__all__`` of ``module`` must have."""
    tree = ast.parse(source_of(module).read_text())
    of_jax, space = names_of_jax(module), importlib.import_module(module)
    absent = module.partition(".")[2]
    there = {n for n in of_jax if group_of(absent, n) is None and hasattr(space, n)}
    own = set() if of_jax else {n for n in defined(tree) if not n.isupper()}
    found = there | reexported(tree) | own
    return sorted(n for n in found - HELPERS.get(module, set()) if not n.startswith("_"))


def declared(module: str) -> list[str] | None:
    """``__all__`` of ``module`` as it is written, or None."""
    for node in ast.parse(source_of(module).read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return ast.literal_eval(node.value)
    return None


def written(module: str) -> str:
    """The source of ``module`` with the right ``__all__`` after its imports."""
    lines = textwrap.wrap(", ".join(f'"{n}"' for n in public_names(module)), 112, break_on_hyphens=False)
    block = START + "".join(f"    {line}\n" for line in lines) + END
    text = re.sub(r"\n" + re.escape(START) + r".*?" + re.escape(END), "", source_of(module).read_text(), flags=re.S)
    body = ast.parse(text).body
    last = max((i for i, n in enumerate(body) if isinstance(n, (ast.Import, ast.ImportFrom))), default=0)
    end = body[last].end_lineno or 0
    rows = text.split("\n")
    return "\n".join([*rows[:end], "", block.rstrip("\n"), *rows[end:]])

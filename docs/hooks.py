"""Hooks of mkdocs.yml: pages that are made of other files of the repository when the site is built.

The API reference has one page for each module of public.md, and the page of commands shows the help of each. Notebooks
are rendered with their outputs. CONTRIBUTING.md and CHANGELOG.md become pages, and links to them are changed.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parent.parent
COPIES = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
_PAGES: dict[str, str] = {}  # an object -> the module on whose page it is, the first of several


def modules() -> list[str]:
    """The public modules, in the order of public.md."""
    return re.findall(r"^\| `(anejax[\w.]*)` \|", (ROOT / "docs" / "public.md").read_text(), re.M)


def reference(module: str) -> str:
    """The page of one module: its docstring, its functions and classes, and a table of constants and dtypes."""
    space, listed = importlib.import_module(module), set(modules())
    things = {n: getattr(space, n) for n in space.__all__ if f"{module}.{n}" not in listed}
    own = {n: t for n, t in things.items() if not inspect.ismodule(t) and _has_entry(t)}
    parts = [f"# {module}\n\n{_as_markdown(inspect.getdoc(space) or '')}\n"]
    parts += [_entry(module, name, thing) for name, thing in own.items()]
    rows = [f"| `{n}` | {_in_words(t)} |" for n, t in things.items() if n not in own]
    if rows:
        parts.append(
            "\n".join(["## Constants, dtypes and modules {: #constants}", "", "| name | |", "|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def _has_entry(thing: Any) -> bool:
    """Whether a public name is a function or a class of anejax, not a constant or a dtype."""
    ours = str(getattr(thing, "__module__", "")).startswith("anejax")
    return ours and callable(thing) and bool(thing.__doc__) and not isinstance(getattr(thing, "dtype", None), np.dtype)


def _entry(module: str, name: str, thing: Any) -> str:
    """A section by mkdocstrings if the source defines the object with a docstring, else by its run-time docstring."""
    origin, inner = getattr(thing, "__module__", ""), getattr(thing, "__name__", "")
    if inner in _documented(origin) and (page := _PAGES.setdefault(f"{origin}.{inner}", module)) != module:
        link = f"[`{page}.{inner}`]({page}.md#{origin}.{inner})"
        return f"## {name} {{: #{module}.{name} }}\n\nThe same as {link}.\n"
    if inner in _documented(origin):
        options = f"      heading: {name}\n      toc_label: {name}\n"
        return f"::: {origin}.{inner}\n    options:\n{options}"
    try:
        signature = f"{name}{inspect.signature(thing)}"
    except (TypeError, ValueError):
        signature = name
    signature = re.sub(r"<([\w.]+) object at 0x\w+>", r"\1", signature).replace("'", "")
    doc = _as_markdown(inspect.getdoc(thing) or "")
    return f"## {name} {{: #{module}.{name} }}\n\n```python\n{signature}\n```\n\n{doc}\n"


@functools.cache
def _documented(module: str) -> frozenset[str]:
    """The functions and classes that the source of ``module`` defines, with a docstring."""
    path = ROOT / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    body = ast.parse(source.read_text()).body if source.exists() else []
    defined = (n for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)))
    return frozenset(n.name for n in defined if ast.get_docstring(n) and not n.decorator_list)


def _as_markdown(doc: str) -> str:
    """A docstring with its examples and indented parts as code."""
    doc = re.sub(r"^Example:\n((?:    .*\n?|\n)+)", lambda m: f"**Example**\n\n{m[1]}", doc, flags=re.M)
    return doc.replace("``", "`")


def _in_words(thing: Any) -> str:
    if isinstance(thing, (bool, int, float)):
        return f"`{thing}`"
    text = str(getattr(thing, "__doc__", "") or type(thing).__name__).strip().split("\n")[0]
    return text.replace("|", "\\|").replace("``", "`")


def commands() -> str:
    """The page of the commands: what ``--help`` prints for each."""
    cli, completion = (importlib.import_module(f"anejax.{m}") for m in ("cli", "cli.completion"))
    parts = ["# Commands\n\nThis page shows the help of every command.\n"]
    for path, parser in completion.parsers(cli.parser_of(tuple(cli.COMMANDS))):
        parts.append(f"## {' '.join(('anejax', *path))}\n\n```text\n{parser.format_help()}```\n")
    return "\n".join(parts)


def notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures by file name."""
    cells = nbformat.read(path, as_version=4)
    cells.metadata["language_info"] = {"name": "python"}  # so that code is highlighted
    text, resources = MarkdownExporter().from_notebook_node(cells)
    pictures = {f"{path.stem}_{name}": data for name, data in resources["outputs"].items()}
    text = re.sub(r"\]\((\w+)\.ipynb\)", r"](\1.md)", text).replace("](../docs/", "](../")
    for name in resources["outputs"]:
        text = text.replace(f"({name})", f"({path.stem}_{name})").replace("![png]", "![Output of the cell above]")
    return text, pictures


@event_priority(100)
def on_config(config: Any) -> Any:
    """Adds the generated pages to the navigation."""
    for section in config.nav:
        if "Notebooks" in section:
            section["Notebooks"] = [f"notebooks/{p.stem}.md" for p in sorted((ROOT / "notebooks").glob("*.ipynb"))]
        if "Reference" in section:
            section["Reference"] += [{m: f"reference/{m}.md"} for m in modules()]
    return config


@event_priority(100)
def on_files(files: Files, config: Any) -> Files:
    """Adds the generated pages to the site."""
    for module in modules():
        files.append(File.generated(config, f"reference/{module}.md", content=reference(module)))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text, pictures = notebook(path)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, data in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=data))
    files.append(File.generated(config, "commands.md", content=commands()))
    for page, source in COPIES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Changes links of the repository to links of the site."""
    markdown = re.sub(r"\]\(\.\./(CONTRIBUTING|CHANGELOG)\.md", lambda m: f"]({m[1].lower()}.md", markdown)
    markdown = re.sub(r"\]\(\.\./notebooks/(\w+)\.ipynb\)", r"](notebooks/\1.md)", markdown)
    return re.sub(r"\]\(docs/([\w.]+\.md)", r"](\1", markdown) if page.file.src_path in COPIES else markdown

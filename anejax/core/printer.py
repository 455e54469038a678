"""Prints Graphs in a stable form, which golden tests compare. It reads attributes only and imports no Graph."""

from __future__ import annotations

import itertools
from typing import Any, cast

_INDENT = "    "


def print_graph(graph: Any, num_consts: int = 0, marks: bool = False) -> str:
    """``{ lambda consts ; inputs. let equations in (outputs) }``, as JAX prints a jaxpr.

    With ``marks`` each equation has behind it where it comes from.
    """
    return "\n".join(_lines(graph, num_consts, _Names(), marks))


class _Names:
    """Names variables a, b, ..., z, aa, ... in the order in which they are first seen."""

    def __init__(self) -> None:
        self._names: dict[Any, str] = {}
        self._fresh = ("".join(letters) for n in itertools.count(1) for letters in
                       itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=n))  # fmt: skip

    def of(self, var: Any) -> str:
        if var not in self._names:
            self._names[var] = next(self._fresh)
        return self._names[var]

    def typed(self, var: Any) -> str:
        return f"{self.of(var)}:{var.aval.short()}"

    def atom(self, atom: Any) -> str:
        return f"{_number(atom.value)}:{atom.aval.short()}" if hasattr(atom, "value") else self.of(atom)


def _number(value: Any) -> str:
    if value.shape:
        return "constant"
    item = value.item()
    return repr(item) if isinstance(item, (bool, int, float, complex)) else str(item)


def _lines(graph: Any, num_consts: int, names: _Names, marks: bool) -> list[str]:
    consts = [names.typed(v) for v in graph.inputs[:num_consts]]
    inputs = [names.typed(v) for v in graph.inputs[num_consts:]]
    head = "{ lambda " + "".join(c + " " for c in consts) + "; " + " ".join(inputs) + ". let"
    body = [line for eqn in graph.eqns for line in eqn_lines(eqn, names, marks)]
    outs = ", ".join(names.atom(a) for a in graph.outputs) + ("," if len(graph.outputs) == 1 else "")
    return [head, *(_INDENT + line for line in body), f"  in ({outs}) }}"]


def eqn_lines(eqn: Any, names: _Names | None = None, marks: bool = False) -> list[str]:
    """One equation, with Graphs among its parameters printed below it."""
    names = names or _Names()
    inputs = " ".join(names.atom(a) for a in eqn.inputs)
    outputs = " ".join(names.typed(v) for v in eqn.outputs) or "()"
    params: list[str] = []
    nested: list[str] = []
    for key, value in sorted(eqn.params.items()):
        items = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,)
        graphs = items if all(hasattr(v, "eqns") for v in items) else ()
        if not graphs:
            params.append(f"{key}={_param(value)}")
        for graph in graphs:
            nested += [f"{_INDENT}{key}={line}" if i == 0 else _INDENT * 2 + line
                       for i, line in enumerate(_lines(graph, 0, _Names(), marks))]  # fmt: skip
    bracket = f"[{' '.join(params)}]" if params else ""
    mark = f"  # {eqn.mark}" if marks else ""
    return [f"{outputs} = {eqn.primitive.name}{bracket} {inputs}".rstrip() + mark, *nested]


def _param(value: Any) -> str:
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    return str(value).replace(" ", "")

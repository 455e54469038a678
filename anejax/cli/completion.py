"""The command ``anejax completion``: prints a script by which a shell completes commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

from anejax import cli

SHELLS = ("bash", "zsh", "fish")


class Level(NamedTuple):
    """A command by its words after ``anejax``, and what may come next: subcommands, options, values of options."""

    path: tuple[str, ...]
    commands: dict[str, str]
    options: dict[str, str]
    values: dict[str, tuple[str, ...]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that will complete commands")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the script; returns 0."""
    found = list(levels(cli.parser_of(tuple(cli.COMMANDS))))
    print({"bash": bash, "zsh": zsh, "fish": fish}[args.shell](found), end="")
    return 0


def parsers(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """The parser, then those of its subcommands, each with the words that lead to it."""
    yield path, parser
    for name, child in _level(parser, path)[1].items():
        yield from parsers(child, (*path, name))


def levels(parser: argparse.ArgumentParser) -> Iterator[Level]:
    """The parser's own level, then those of its subcommands."""
    return (_level(child, path)[0] for path, child in parsers(parser))


def _level(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> tuple[Level, dict[str, argparse.ArgumentParser]]:
    commands: dict[str, str] = {}
    options: dict[str, str] = {}
    values: dict[str, tuple[str, ...]] = {}
    children: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            children = action.choices
            commands = {a.dest: a.help or "" for a in action._choices_actions}
            continue
        choices = tuple(map(str, action.choices or ()))
        for flag in (f for f in action.option_strings if f.startswith("--")):
            options[flag] = action.help or ""
            if choices:
                values[flag] = choices
        if not action.option_strings and choices:
            commands |= dict.fromkeys(choices, "")
    return Level(path, commands, options, values), children


def bash(found: list[Level]) -> str:
    """A function that looks at the words so far, and ``complete``. Values with spaces are left out."""
    known = "|".join(sorted({name for level in found for name in level.path}))
    lines = [
        "_anejax() {",
        '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" path="" w',
        '    for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        f'        case "$w" in {known}) path="$path $w";; esac',
        "    done",
        "    COMPREPLY=()",
        '    case "$path|$before" in',
    ]
    for level in found:
        for flag, choices in level.values.items():
            plain = " ".join(c for c in choices if " " not in c)
            lines.append(f"        '{_words(level.path)}|{flag}') {_reply(plain)}; return;;")
    lines += ["    esac", '    case "$path" in']
    for level in found:
        following = " ".join((*level.commands, *level.options))
        lines.append(f"        '{_words(level.path)}') {_reply(following)};;")
    lines += ["    esac", "}", "complete -o default -F _anejax anejax"]
    return "\n".join(lines) + "\n"


def zsh(found: list[Level]) -> str:
    """bash's function, which zsh runs after ``bashcompinit``."""
    return "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n" + bash(found)


def fish(found: list[Level]) -> str:
    """A line for each subcommand and option, with its help."""
    lines = ["complete -c anejax -f"]
    for level in found:
        condition = " and ".join(f"__fish_seen_subcommand_from {name}" for name in level.path)
        if level.commands:
            condition += (" and " if condition else "") + f"not __fish_seen_subcommand_from {' '.join(level.commands)}"
        where = f" -n {_quoted(condition)}" if condition else ""
        lines += [f"complete -c anejax{where} -a {n}{_described(h)}" for n, h in level.commands.items()]
        for flag, text in level.options.items():
            values = level.values.get(flag)
            taken = f" -x -a {_quoted(' '.join(v for v in values if ' ' not in v))}" if values else ""
            lines.append(f"complete -c anejax{where} -l {flag[2:]}{taken}{_described(text)}")
    return "\n".join(lines) + "\n"


def _reply(words: str) -> str:
    return f"COMPREPLY=($(compgen -W '{words}' -- \"$word\"))"


def _words(path: tuple[str, ...]) -> str:
    return "".join(f" {name}" for name in path)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _described(text: str) -> str:
    return f" -d {_quoted(text)}" if text and text != argparse.SUPPRESS else ""

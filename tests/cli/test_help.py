"""Each command shows examples that its parser accepts, and shells complete commands by ``anejax completion``."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest

from anejax import cli
from anejax.cli.completion import SHELLS, levels, parsers
from anejax.cli.examples import EXAMPLES, epilog

LINES = [line for rows in EXAMPLES.values() for line, _ in rows]
WHOLE = cli.parser_of(tuple(cli.COMMANDS))
LEVELS = {level.path: level for level in levels(WHOLE)}


def test_every_command_has_examples() -> None:
    assert {" ".join(path) for path in LEVELS if path} == set(EXAMPLES)


@pytest.mark.parametrize("line", LINES)
def test_the_parser_accepts_every_example(line: str) -> None:
    program, *arguments = shlex.split(line.partition(" > ")[0])
    assert program == "anejax"
    assert WHOLE.parse_args(arguments).run


@pytest.mark.parametrize("command", ["export", "estimate", "explain", "check", "profile"])
def test_several_types_after_one_shape(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """If --shape took them all, it would take a target after it, too."""
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "math:hypot", "--shape", "float32[2]", "float32[2,3]", "int32[]"])
    said = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 2 and "got float32[2,3] int32[] as well: write --shape before each" in said


def test_arguments_that_no_option_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["check", "math:hypot", "--shape", "float32[2]", "more"])
    assert "unrecognized arguments: more" in capsys.readouterr().err


def test_every_help_can_be_printed() -> None:
    """argparse fills in ``%``, so a per cent sign in a help text ends ``--help`` with an error."""
    for path, parser in parsers(WHOLE):
        assert " ".join(path) in parser.format_help()


def test_help_ends_with_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "cifar10", "--help"])
    assert capsys.readouterr().out.endswith(epilog("train cifar10") or "?")


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_every_command_and_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for path, level in LEVELS.items():
        for word in (*path, *level.commands, *(flag[2:] for flag in level.options)):
            assert word in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    "words, expected",
    [
        ("anejax tr", ["train"]),
        ("anejax train ci", ["cifar10"]),
        ("anejax train cifar10 --pres", ["--preset"]),
        ("anejax train cifar10 --preset ", ["demo", "full"]),
        ("anejax train cifar10 --out runs --preset d", ["demo"]),
        ("anejax nonsense", []),
    ],
)
def test_bash_completes(words: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["completion", "bash"])
    script = capsys.readouterr().out
    given = words.split(" ")
    script += f"\nCOMP_WORDS=({' '.join(map(shlex.quote, given))}); COMP_CWORD={len(given) - 1}; _anejax\n"
    script += 'printf "%s\\n" "${COMPREPLY[@]}"\n'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected

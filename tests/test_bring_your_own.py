"""The programs of docs/bring_your_own.md run, in the order of the page, and have as many lines as it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pretrained import cases, gguf_file
from tests.pretrained.test_words import LETTERS, tokenizer
from tests.train.test_images_command import folder

PAGE = Path(__file__).parents[1] / "docs" / "bring_your_own.md"
# a tokenizer of letters inside a file of GGUF
WORDS = {
    "tokenizer_model": "gpt2", "tokenizer_pre": "gpt-2", "token_list": ["<s>", "</s>", "<unk>", *LETTERS],
    "token_types": [3, 3, 3] + [1] * len(LETTERS), "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
SCRIPT = "import jax, jax.numpy as jnp\nprint(jax.jit(jax.grad(lambda x: jnp.sin(x) ** 2))(1.0))\n"


def blocks(text: str) -> list[tuple[str, str]]:
    """(kind, content) of the fenced blocks: "python", or "" for commands."""
    return re.findall(r"```(\w*)\n(.*?)```", text, re.S)


def test_the_numbers_of_lines_are_true() -> None:
    for title, section in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S):
        said = [int(n) for n in re.findall(r"(?:: |or )(\d+)", title)]
        counts = [len([line for line in content.splitlines() if line]) for _, content in blocks(section)]
        for number in said:
            assert number in counts or (number in (0, 1) and "anejax" in section), title


@pytest.mark.long
def test_the_programs_run(tmp_path: Path) -> None:
    pytest.importorskip("PIL", reason="pip install pillow")
    pytest.importorskip("gguf", reason="pip install gguf")
    cases.build("llama", tmp_path / "model")
    tokenizer(tmp_path / "model")
    gguf_file.write(tmp_path / "model", tmp_path / "model.gguf", "F16", WORDS)
    folder(tmp_path / "pets", 8)
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "text.txt").write_text("once upon a time there was a fox\n" * 60)
    (tmp_path / "weights.pt").write_bytes(b"PK\x03\x04" + b"\0" * 100)
    for kind, content in blocks(PAGE.read_text()):
        programs = [["-c", content]] if kind == "python" else [shlex.split(line) for line in content.splitlines()]
        for program in programs:
            arguments = program if kind else program[1:] if program[0] == "python" else ["-m", *program]
            done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True)
            refused = "weights.pt" in arguments
            assert done.returncode == (2 if refused else 0), (program, done.stderr)
            assert not refused or "pickle" in done.stderr or "zip" in done.stderr, done.stderr

"""Runs the questions to the engine in a watched process, so that a crash or a hang becomes a failed check.

``main`` answers questions from number `start` on. For each it writes two lines of JSON to a file descriptor: one
before, and one with the check after. ``watched`` starts this process, and starts it again after a question at which it
died.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from anejax.engine.doctor.bench import Engine
from anejax.engine.doctor.checks import FAILED, Check
from anejax.engine.doctor.questions import Plan, Question, meet, questions

SILENCE = 900.0  # seconds without a word after which a process is taken to hang
DEATHS = 5  # after which the rest is not asked
MEETING = -1  # the number of the question whether there is an engine


def watched(plan: Plan) -> Iterator[Check]:
    """Every check of ``plan``, made in another process."""
    asked, start, with_engine = questions(plan), MEETING, True
    for _ in range(DEATHS):
        at, process = start, _begin(plan, start, with_engine)
        try:
            for word in _words(process):
                at = word.get("asking", at)
                if "check" in word:
                    yield Check(**word["check"])
        except BaseException:  # whoever reads the checks has stopped
            process.kill()
            raise
        finally:
            process.wait()
        if at == len(asked):
            return
        yield _died(asked, at, process)
        with_engine &= at != MEETING
        start = at + 1
    yield from (q.skipped(f"{DEATHS} processes died before") for q in asked[start:])


def _begin(plan: Plan, start: int, with_engine: bool) -> subprocess.Popen[bytes]:
    reading, writing = os.pipe()
    orders = json.dumps({"plan": asdict(plan), "start": start, "with_engine": with_engine})
    command = [sys.executable, "-c", f"from {__name__} import main; main()", str(writing), orders]
    with os.fdopen(writing, "wb"):
        process = subprocess.Popen(command, pass_fds=[writing], stdin=subprocess.DEVNULL)
    process.stdout = os.fdopen(reading, "rb", buffering=0)
    return process


def _words(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """The lines that the process prints, until it ends or falls silent."""
    assert process.stdout is not None
    rest = b""
    with process.stdout as pipe:
        while select.select([pipe], [], [], SILENCE)[0]:
            got = pipe.read(1 << 16)
            if not got:
                return
            *lines, rest = (rest + got).split(b"\n")
            yield from map(json.loads, lines)
    process.kill()


def _died(asked: list[Question], at: int, process: subprocess.Popen[bytes]) -> Check:
    returncode = process.returncode
    group, name = ("engine", "smallest program") if at == MEETING else (asked[at].group, asked[at].name)
    how = f"signal {signal.Signals(-returncode).name}" if returncode < 0 else f"status {returncode}"
    how += f", after {SILENCE:.0f} s of silence" if returncode == -signal.SIGKILL else ""
    words = _last_words(process.pid)
    said = f"the process that asked ended with {how}"
    return Check(group, name, FAILED, f"{said}; it had written: {words}" if words else said)


def _last_words(pid: int) -> str:
    """The lines that Espresso wrote before the process died: calls.h says which file they are in."""
    words = []
    for left in Path(tempfile.gettempdir()).glob(f"anejax-stderr-{pid}-*"):
        words.append(left.read_text(errors="replace").strip()[-2000:])
        left.unlink()
    return " / ".join(filter(None, words))


def answer(out: IO[str], plan: Plan, start: int, with_engine: bool) -> None:
    """Asks from question ``start`` on, and writes to ``out``."""

    def say(**word: Any) -> None:
        out.write(json.dumps(word) + "\n")
        out.flush()

    asked = questions(plan)
    say(asking=start)
    engine, met = meet() if with_engine else (None, None)
    if start == MEETING and met is not None:
        say(check=asdict(met))
    for at, question in enumerate(asked):
        if at >= start:
            say(asking=at)
            say(check=asdict(_asked(question, engine)))
    say(asking=len(asked))


def _asked(question: Question, engine: Engine | None) -> Check:
    """The answer; a defect of the question's own is a failure as well, and ends nothing."""
    try:
        return question.ask(engine)
    except Exception as err:
        return Check(question.group, question.name, FAILED, f"a defect of anejax: {type(err).__name__}: {err}")


def main() -> None:
    """The process: its arguments are the file descriptor and the orders of ``watched``."""
    orders = json.loads(sys.argv[2])
    with os.fdopen(int(sys.argv[1]), "w") as out:
        answer(out, Plan(**orders["plan"]), orders["start"], orders["with_engine"])

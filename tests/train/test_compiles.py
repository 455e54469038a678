"""Training compiles what its first step and its first evaluation need, and nothing later."""

from __future__ import annotations

from pathlib import Path

import pytest

from anejax.core.trace import executor
from anejax.data import cifar10 as data
from anejax.train import cifar10 as recipes
from tests.train import command


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> data.Cifar10:
    monkeypatch.setattr(data, "sources", data.sources)  # what use() changes is put back
    command.use(tmp_path)
    return data.load(tmp_path)


def test_weights_that_change_do_not_compile_again(images: data.Cifar10) -> None:
    task, state = recipes.make(recipes.Cifar10Recipe("demo", epochs=2, batch=16, lr=0.1), images)
    counts = []
    for epoch in range(task.epochs):
        for batch in task.train.epoch(epoch):
            state, _ = task.train_step(state, *batch)
            counts.append(executor().compiler.count)
        for batch in task.test:
            task.eval_step(state, *batch)
    before_eval, after_eval = counts[len(task.train) - 1], counts[len(task.train)]
    assert counts == [before_eval] * len(task.train) + [after_eval] * len(task.train)
    assert after_eval - before_eval in (0, 1)  # 0: another test has compiled an equal program already

"""Profiles: what ran is there once, with layers, lines, work and time; faces read back; off, nothing is recorded."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn, optim, profiler
from anejax.config import config
from anejax.mil.program import Builder, Type
from anejax.mil.work import flops_of
from anejax.profiler import machine
from anejax.profiler.measured import KEYS, Ran, messages, total
from anejax.profiler.page import squarified
from anejax.runtime import library
from anejax.runtime.profile import Plan, Step


@pytest.fixture(autouse=True)
def _known_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Peaks from a file, so that no test measures."""
    monkeypatch.setenv("ANEJAX_CACHE", str(tmp_path / "cache"))
    path = machine._path()
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"gflops": 100.0, "gbs": 10.0}))


NET = nn.Sequential(nn.Scope("first", nn.Linear(48)), nn.Tanh(), nn.Scope("second", nn.Linear(8)))
PARAMS, _ = NET.init(aj.random.key(0), aj.ShapeDtypeStruct((64, 32), "float32"))
X = np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)


def loss(params: Any, x: Any) -> Any:
    return jnp.mean(NET.apply(params, ((), (), ()), x)[0] ** 2)


def step(params: Any, x: Any) -> Any:
    return aj.tree.map(lambda p, g: p - 0.1 * g, params, aj.grad(loss)(params, x))


def profiled(f: Any, *args: Any, runs: int = 3) -> profiler.Profile:
    jitted = aj.jit(f)
    jitted(*args)
    with profiler.profile() as found:
        for _ in range(runs):
            jitted(*args)
    return found


def test_a_training_step_by_layer_part_and_line() -> None:
    found = profiled(step, PARAMS, X)
    rows = {r.name: r for r in found.rows("layer")}
    assert {"first", "second"} <= set(rows)
    assert set(rows["first"].parts) >= {"forward", "backward"}
    assert set(total(rows.values()).parts) >= {"forward", "backward", "update"}
    lines = {r.name for r in found.rows("line")}
    assert any(line.startswith("test_profiler.py:") for line in lines)
    products = next(r for r in found.rows("primitive") if r.name in ("dot_general", "matmul"))
    forward, backward = 64 * 32 * 48 + 64 * 48 * 8, 64 * 32 * 48 + 2 * 64 * 48 * 8  # x has no gradient
    assert products.flops == 3 * 2 * (forward + backward)
    assert products.calls == pytest.approx(3 * 5, abs=1)  # less where one shares its step


@pytest.mark.parametrize("by", KEYS)
def test_rows_share_out_all_time_and_work(by: str) -> None:
    found = profiled(step, PARAMS, X)
    sums = total(found.rows(by))
    measured = found.measured
    assert sums.seconds == pytest.approx(measured.inside) and 0 < measured.inside <= measured.seconds
    assert sums.flops == sum(r.step.flops for r in measured.ran)
    assert sums.nbytes == pytest.approx(sum(r.step.read + r.step.written for r in measured.ran))
    assert sums.calls == pytest.approx(len(measured.ran))
    assert sums.busy <= measured.threads * sums.seconds * 1.001
    with pytest.raises(ValueError, match="expected by as one of layer, primitive, line, got 'color'"):
        found.rows("color")


def test_loops_give_their_time_to_what_is_inside() -> None:
    def f(x: Any, w: Any) -> Any:
        with aj.named_scope("loop"):
            return lax.scan(lambda h, _: (jnp.tanh(h @ w), None), x, None, length=7)[0]

    found = profiled(f, X[:, :32], np.eye(32, dtype=np.float32), runs=2)
    products = next(r for r in found.rows("primitive") if r.name in ("dot_general", "matmul"))
    assert products.calls == 2 * 7 and products.flops == 2 * 7 * 2 * 64 * 32 * 32
    assert [r.name for r in found.rows("layer")] == ["loop"]
    whole = [r for r in found.measured.ran if r.step.what.startswith("scan")]
    assert len(whole) == 2 and all(0 <= r.own < r.end - r.begin for r in whole)


def test_bytes_are_those_of_arguments_and_results() -> None:
    found = profiled(lambda x: jnp.tanh(x) * 2 + 1, X, runs=1)
    (ran,) = found.measured.ran
    assert (ran.step.read, ran.step.written) == (X.nbytes + 2 * 4, X.nbytes)  # with two constants
    assert {o.name for o in ran.step.operations} == {"tanh", "mul", "add"}
    assert ran.step.live == 0 and ran.plan.arena_bytes == 0


def test_nothing_is_recorded_outside() -> None:
    f = aj.jit(jnp.sin)
    f(X)
    with profiler.profile() as found:
        pass
    f(X)
    assert len(found.measured.ran) == 0 and found.rows() == []
    assert "ms by layer" in found.table()
    library.start_profile(10)
    events, _ = library.stop_profile()
    assert len(events) == 0


def test_programs_of_the_engine_are_passed_over(espresso: Path) -> None:
    """They have no steps; a profile asks all programs that are kept."""
    with config.override("engine_partition", "all"):
        on_engine = aj.jit(lambda x: jnp.tanh(x @ x.T), device="ane")
        on_engine(X)
    devices = {s["device"] for s in on_engine.lower(X).compile().cost_analysis()["segments"]}
    assert "ane" in devices
    assert profiled(lambda x: jnp.sin(x) + 1, X).rows()


def test_one_profile_at_a_time_and_none_after_an_error() -> None:
    with profiler.profile() as found:
        with pytest.raises(RuntimeError, match="one profile at a time"), profiler.profile():
            pass
        with pytest.raises(RuntimeError, match="recorded still"):
            found.table()
    with pytest.raises(ZeroDivisionError), profiler.profile() as found:
        raise ZeroDivisionError
    assert found.rows() == []
    with pytest.raises(RuntimeError, match="start_trace began, got none"):
        profiler.stop_trace()


def test_what_has_no_room_is_counted() -> None:
    f = aj.jit(lambda x: jnp.cumsum(x @ x.T, 0) @ x)
    f(X)
    with profiler.profile() as every:
        f(X)
    with profiler.profile(capacity=2) as found:
        f(X)
    assert len(found.measured.ran) == 2 and found.measured.dropped == len(every.measured.ran) - 2 > 0
    assert "had no room" in found.table()


def test_threads_are_told_apart() -> None:
    f = aj.jit(lambda x: jnp.tanh(x @ x.T))
    f(X)
    with profiler.profile() as found:
        threads = [threading.Thread(target=f, args=(X,)) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert len({r.thread for r in found.measured.ran}) == 3


def test_annotations_and_the_trace(tmp_path: Path) -> None:
    @profiler.TraceAnnotation("again", reason=1)
    def again(n: int) -> None:
        if n:
            again(n - 1)

    f = aj.jit(step)
    f(PARAMS, X)
    with profiler.trace(tmp_path / "logs"):
        with profiler.StepTraceAnnotation("train", step_num=4):
            f(PARAMS, X)
        again(1)
        assert profiler.annotate_function(lambda x: x + 1, name="plus")(2) == 3
    trace = json.loads((tmp_path / "logs" / "trace.json").read_text())
    slices = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    names = [e["name"] for e in slices if e["cat"] == "annotation"]
    assert names == ["train", "again", "again", "plus"]
    outer = next(e for e in slices if e["name"] == "train")
    inside = [e for e in slices if e["cat"] != "annotation"]
    assert inside and all(outer["ts"] <= e["ts"] and e["ts"] + e["dur"] <= outer["ts"] + outer["dur"] for e in inside)
    assert any(e["name"].startswith("first: ") and e["args"]["part"] == "backward" for e in inside)
    assert all(e["dur"] >= 0 for e in slices)
    assert (tmp_path / "logs" / "profile.html").is_file()
    with pytest.raises(TypeError, match="expected a string"):
        profiler.TraceAnnotation(3)  # type: ignore[arg-type]


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    found = profiled(step, PARAMS, X)
    found.save(tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and page.count("<svg") == 4
    assert not re.search(r"(src|href)=|https?://", page)
    assert "first, backward" in page and "NaN" not in page and "inf" not in re.sub(r"[a-z]*info?[a-z]*", "", page)
    for svg in re.findall(r"<svg.*?</svg>", page, re.S):
        ElementTree.fromstring(svg)
    with pytest.raises(ValueError, match=r"ends in \.json or \.html"):
        found.save(tmp_path / "p.txt")


@pytest.mark.parametrize("sizes", [[], [3.0], [5.0, 3.0, 2.0, 1.0, 1.0, 0.5], [1.0] * 17, [1e-9, 1e9]])
def test_boxes_fill_the_whole_in_proportion(sizes: list[float]) -> None:
    sizes = sorted(sizes, reverse=True)
    boxes = squarified(sizes, (10.0, 20.0, 300.0, 100.0))
    assert len(boxes) == len(sizes)
    for size, (x, y, w, h) in zip(sizes, boxes):
        assert w * h == pytest.approx(30000 * size / sum(sizes), rel=1e-6, abs=1e-3)
        assert x >= 10 - 1e-6 and x + w <= 310 + 1e-6 and y >= 20 - 1e-6 and y + h <= 120 + 1e-6


def test_peaks_are_kept_and_damaged_files_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert profiler.peak() == profiler.Peak(100.0, 10.0)
    monkeypatch.setattr(machine, "_measured", lambda: (7.0, 3.0))
    assert profiler.peak() == profiler.Peak(100.0, 10.0)
    for damage in ("", "{}", '{"gflops": -1, "gbs": 1}', '{"gflops": "x", "gbs": 1}', "[" * 2000):
        machine._path().write_text(damage)
        assert profiler.peak() == profiler.Peak(7.0, 3.0)
    monkeypatch.setattr(machine, "_measured", lambda: (9.0, 2.0))
    assert profiler.peak(again=True) == profiler.Peak(9.0, 3.0)
    assert profiler.peak() == profiler.Peak(9.0, 3.0)


def test_a_peak_that_a_step_exceeds_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    machine._path().write_text(json.dumps({"gflops": 1e-6, "gbs": 1e-6}))
    monkeypatch.setattr(machine, "_measured", lambda: (5.0, 4.0))
    found = profiled(lambda x: jnp.sin(x) @ x, np.ones((700, 700), np.float32), runs=1)
    assert found.measured.fastest > 1e-6 and found.measured.peak == profiler.Peak(5.0, 4.0)


def test_peaks_are_those_of_a_product_and_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PRODUCT", 64)
    monkeypatch.setattr(machine, "STREAM", 1000)
    monkeypatch.setattr(machine, "LEAST_SECONDS", 0)
    found = profiler.peak(again=True)
    assert found.gflops > 0 and found.gbs > 0


def test_memory_of_arrays_is_a_pprof_profile(tmp_path: Path) -> None:
    kept = [jnp.ones((123, 7), jnp.float32) for _ in range(3)]
    profiler.save_device_memory_profile(tmp_path / "memory.prof")
    data = gzip.decompress((tmp_path / "memory.prof").read_bytes())
    fields = list(_fields(data))
    strings = [v for f, v in fields if f == 6]
    assert strings[:5] == [b"", b"allocations", b"count", b"space", b"bytes"] and b"array f32[123,7]" in strings
    samples = {tuple(_varints(part)) for f, s in fields if f == 2 for g, part in _fields(s) if g == 2}
    assert (3, 3 * 123 * 7 * 4) in samples
    del kept


def _fields(data: bytes) -> Any:
    """(number, value) of the fields of a protocol buffer."""
    while data:
        key, data = _varint(data)
        value, data = _varint(data)
        if key % 8 == 2:
            value, data = data[:value], data[value:]  # type: ignore[assignment]
        yield key >> 3, value


def _varint(data: bytes) -> tuple[int, bytes]:
    n = next(i for i, b in enumerate(data) if b < 128) + 1
    return sum((b & 127) << (7 * i) for i, b in enumerate(data[:n])), data[n:]


def _varints(data: bytes) -> Any:
    while data:
        value, data = _varint(data)
        yield value


def test_the_engine_s_segments_are_told() -> None:
    f = aj.jit(lambda x: jnp.sort(jnp.tanh(x @ x.T), 0), precision="fp16")
    f(X)
    with profiler.profile() as found:
        f(X)
    assert {r.plan.title.split(": ")[1] for r in found.measured.ran} == {"cpu", "cpu-fp16"}
    (dispatch,) = found.measured.dispatches
    assert dispatch.flops == 2 * 64 * 64 * 32 and dispatch.predicted_us > 0
    assert dispatch.nbytes == 2 * (64 * 32 + 64 * 64) and found.measured.begin < dispatch.begin < dispatch.end
    assert "on cpu-fp16: 1 dispatches" in found.table() and "for the engine; 0.01 MB crossed" in found.table()
    f(X)
    assert len(found.measured.dispatches) == 1


def test_flops_of_operations() -> None:
    def count(f: Any, *args: Any) -> int:
        return sum(r.step.flops for r in profiled(f, *args, runs=1).measured.ran)

    images, filters = np.ones((2, 3, 8, 8), np.float32), np.ones((5, 3, 3, 3), np.float32)
    assert count(lambda x, w: lax.conv(x, w, (1, 1), "VALID"), images, filters) == 2 * 2 * 5 * 6 * 6 * 27
    assert count(lambda x: jnp.sum(jnp.exp(x)), X) == 2 * X.size
    assert count(lambda x: x.T.reshape(-1), X) == 0
    b = Builder("main")
    x = b.input("x", Type("fp32", (4, 6)))
    b.returns(b.op("matmul", {"x": x, "y": x, "transpose_x": False, "transpose_y": True}, out=Type("fp32", (4, 4))))
    (op,) = b.program().main.ops
    assert flops_of(op) == 2 * 4 * 4 * 6


def test_commands(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import anejax.numpy as jnp\ndef f(x, w):\n    return jnp.tanh(x @ w)\n")
    run = lambda *a: subprocess.run([sys.executable, "-m", "anejax", "profile", *a], capture_output=True, text=True,  # noqa: E731
                                    cwd=tmp_path)  # fmt: skip
    shapes = ("--shape", "float32[16,8]", "--shape", "float32[8,4]")
    done = run("mine:f", *shapes, "--runs", "2", "--save", "p.html", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["runs"] == 2 and any(r["flops"] == 2 * 2 * 16 * 8 * 4 for r in told["primitive"])
    assert any(r["name"] == "mine.py:3" for r in told["line"]) and (tmp_path / "p.html").is_file()
    refused = run("mine:f", *shapes, "--save", "p.txt")
    assert refused.returncode == 2 and "[--save] expected a path that ends in .html or .json" in refused.stderr


def test_training_is_profiled_while_it_runs(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question. " * 60)
    options = "--hidden 8 --batch 2 --length 5 --steps 9 --eval-every 9 --text text.txt --out run --profile 4"
    done = subprocess.run([sys.executable, "-m", "anejax", "profile", "train", "chars", *options.split()],
                          capture_output=True, text=True, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "lstm/0" in done.stdout and "profile of 4 steps" in done.stdout
    trace = json.loads((tmp_path / "run" / "trace.json").read_text())
    steps = [e["args"]["step_num"] for e in trace["traceEvents"] if e["name"] == "train"]
    assert steps == ["3", "4", "5", "6"]
    assert (tmp_path / "run" / "profile.html").is_file()


def test_optimizer_of_a_library_is_update() -> None:
    optimizer = optim.adam(1e-3)
    state = optimizer.init(PARAMS)

    def train(params: Any, state: Any, x: Any) -> Any:
        updates, state = optimizer.update(aj.grad(loss)(params, x), state, params)
        return optim.apply_updates(params, updates), state

    sums = total(profiled(train, PARAMS, state, X, runs=1).rows("layer"))
    assert sums.parts["update"] > 0


def test_messages_are_on_their_way_from_the_first_start_to_the_last_finish() -> None:
    plan = Plan("", "main", 0, 0, ())

    def ran(what: str, begin: int, end: int) -> Ran:
        return Ran(Step(what, (), 0, 0, 0), plan, 0, begin, end, end - begin, 0)

    start, finish = "aj_process_sum start [8] [1] -> 1", "aj_process_sum finish [1] -> 8"
    found = messages([
        ran(finish, 0, 5), ran(start, 10, 12), ran("gemm NN", 12, 20), ran(start, 20, 21), ran(finish, 25, 30),
        ran(finish, 30, 40), ran(start, 50, 51), ran(finish, 51, 52),
    ])  # fmt: skip
    assert found.count == 3
    assert found.on_the_way == pytest.approx(32e-9)
    assert found.waited == pytest.approx(25e-9)
    assert messages([]).overlapped == 0.0

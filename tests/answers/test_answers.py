"""Records of jax's answers: what keys tell apart, that results come back as they were, and who has the last word."""

from __future__ import annotations

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from tests.answers import TESTS, Answer, Reader, Record, answers, coding, of_jax, plugin
from tests.answers.coding import Unrecordable, decode, encode
from tests.answers.keys import UnknownPart, digest
from tests.answers.plugin import Counts, pytest_pyfunc_call

HALF = 0.5


def _scaled(x: Any, factor: float = 2.0) -> Any:
    return x * factor


def _closure(n: Any) -> Any:
    return lambda x: x + n


@pytest.mark.parametrize(
    "one, other",
    [
        (1, 1.0), (1, True), ("1", 1), ((1, 2), [1, 2]), ((1, (2,)), ((1, 2),)), (0.0, -0.0), ({"a": 1}, {"b": 1}),
        (np.float32(1), np.float64(1)), (np.zeros(2), np.zeros((2, 1))), (np.zeros(2, "int32"), np.zeros(2, "float32")),
        (np.array([np.nan]), np.array([1.0])), (slice(1), slice(2)), (np.dtype("int8"), np.dtype("uint8")),
        (lambda x: x + 1, lambda x: x + 2), (lambda x, y: x - y, lambda y, x: x - y), (_closure(1), _closure(2)),
        (functools.partial(_scaled, factor=1.0), functools.partial(_scaled, factor=3.0)), (np.sin, np.cos),
        (lambda x, n=1: x + n, lambda x, n=2: x + n), (jnp.sin, jnp.cos), (jnp.add, jnp.subtract),
        (lambda m: m.sin, lambda m: m.sin(1)), (len, sum),
    ],
)  # fmt: skip
def test_other_parts_have_other_keys(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)
    assert digest(one) == digest(one)


def test_keys_hold_wherever_a_function_stands() -> None:
    first = lambda x: _scaled(x, HALF)  # noqa: E731

    second = lambda x: _scaled(x, HALF)  # noqa: E731
    assert digest(first) == digest(second)
    assert digest(_closure(np.arange(3))) == digest(_closure(np.arange(3)))


def test_keys_follow_what_a_function_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    direct, by_way_of = lambda x: x * HALF, lambda x: _scaled(x)
    before = digest(direct), digest(by_way_of)
    monkeypatch.setitem(globals(), "HALF", 0.25)
    assert digest(direct) != before[0]
    monkeypatch.setattr(_scaled, "__defaults__", (3.0,))
    assert digest(by_way_of) != before[1]


@pytest.mark.parametrize(
    "part", [object(), np.array([object()]), eval("lambda x: x"), functools.wraps(len)(lambda x: 1), jax.jit(np.sin)]
)
def test_what_cannot_be_read_has_no_key(part: Any) -> None:
    with pytest.raises(UnknownPart):
        digest(part)


def test_results_come_back_as_they_were() -> None:
    kinds = ["bool", "int8", "uint32", "float16", "float32", "complex64", ml_dtypes.bfloat16, ml_dtypes.float8_e5m2]
    arrays = [jnp.asarray(np.arange(6).reshape(shape).astype(k)) for k in kinds for shape in ((2, 3), (6,))]
    special = [jnp.asarray([np.nan, -0.0, np.inf]), jnp.zeros((0, 3)), jnp.asarray(1.5), jnp.asarray(2) * 2]
    for given in [*arrays, *special]:
        (got,) = decode(encode([given]))
        assert isinstance(got, Answer)
        assert (got.shape, got.dtype, got.weak_type) == (given.shape, given.dtype, given.weak_type)
        assert np.asarray(got).tobytes() == np.asarray(given).tobytes()
    values = [1, -2.5, True, False, None, "text", 1 + 2j, np.arange(3), np.float32(0.5)]
    for got, given in zip(decode(encode(values)), values, strict=True):
        np.testing.assert_array_equal(got, given)
        assert type(got) is (np.ndarray if isinstance(given, (np.ndarray, np.generic)) else type(given))
    assert np.isnan(decode(encode([float("nan")]))[0])


def test_errors_come_back_as_their_builtin_kind() -> None:
    class Special(IndexError): ...

    got = decode(encode(Special("axis 3\nand more")))
    assert type(got) is IndexError and str(got) == "axis 3"


@pytest.mark.parametrize("leaf", [object(), np.array([object()]), np.zeros(coding.LARGEST + 1, "uint8")])
def test_other_results_are_not_recorded(leaf: Any) -> None:
    with pytest.raises(Unrecordable):
        encode([leaf])


def _recorded(path: Path, value: float) -> Record:
    """A record that says: jax gives ``value`` for the part 1."""
    record = Record(path)
    record.known = {digest_of_one(): encode([jnp.float32(value)])}
    record.save()
    return Record(path)


def digest_of_one() -> str:
    from tests.answers import _settings

    return digest(_settings(), 1)


def test_functions_of_jax_have_their_names() -> None:
    known = jnp.sin, jnp.add, jax.nn.relu, jax.nn.softmax, jax.lax.add, jax.scipy.special.erf, jax.random.normal
    assert len({digest(f) for f in known}) == len(known)
    derived = [derive(f) for f in (_scaled, lambda x: x) for derive in (jax.grad, jax.vmap, jax.jit)]
    keys = []
    for f in derived:
        try:
            keys.append(digest(f))
        except UnknownPart:
            continue
    assert len(set(keys)) == len(keys)


def test_leaves_of_jax() -> None:
    tree = of_jax(lambda x: {"a": jnp.sin(x), "b": (x, 2)}, np.ones(2, np.float32))
    assert [np.shape(leaf) for leaf in tree] == [(2,), (2,), ()]


def _fails() -> Any:
    raise AssertionError("jax was asked")


def test_answers_come_from_the_record(tmp_path: Path) -> None:
    record = _recorded(tmp_path / "folder" / "some.json.xz", 7.0)
    with Reader.reads(record):
        assert float(np.asarray(answers(_fails, 1)[0])) == 7 and record.used == 1
        assert answers(lambda: [2], 2) == [2] and record.missing == 1
        assert answers(lambda: [3], object()) == [3]
        error = answers(lambda: [][1], 4, errors=(IndexError,))
        assert isinstance(error, IndexError)
        with pytest.raises(ZeroDivisionError):
            answers(lambda: 1 // 0, 5, errors=(IndexError,))
    with Reader.reads(None):
        assert answers(lambda: [1], 1) == [1] and record.used == 1


@pytest.mark.parametrize(
    "value, right, long, passes",
    [
        (7, 7, False, True), (8, 7, False, True), (7, 8, False, False), (8, 8, False, True),
        (7, 7, True, True), (8, 7, True, False), (7, 8, True, False), (8, 8, True, False),
    ],
)  # fmt: skip
def test_jax_has_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: int, right: int, long: bool, passes: bool
) -> None:
    """jax says 7, the record ``value``, and we ``right``: the long profile finds what is wrong in the record."""
    monkeypatch.setattr(plugin, "LONG", long)
    monkeypatch.setitem(Reader.records, "some", _recorded(tmp_path / "some.json.xz", value))
    monkeypatch.setattr(Counts, "doubted", 0)

    def test() -> None:
        assert float(np.asarray(answers(lambda: [7.0], 1)[0])) == right

    item: Any = SimpleNamespace(obj=test, funcargs={}, get_closest_marker=lambda _: None, path=TESTS / "some.py")
    hook = pytest_pyfunc_call(item)

    def run() -> None:
        next(hook)
        try:
            test()
        except AssertionError as error:
            hook.throw(error)
        else:
            next(hook)

    with pytest.raises(StopIteration if passes else AssertionError):
        run()
    assert Counts.doubted == (passes and value != right)


def test_every_record_is_of_a_file_of_tests() -> None:
    for path in (TESTS / "answers").glob("jax-*/*.json.xz"):
        module = TESTS.joinpath(*path.name.removesuffix(".json.xz").split(".")).with_suffix(".py")
        assert module.exists(), f"remove {path}"

"""jax's answers on record, so that the short run of the tests does not wait for XLA to compile thousands of programs.

A test asks ``answers`` for what jax gives; the record of the test's module, made with the same version of jax, has it
under a digest of all that it depends on (``keys``). Answers that are not on record come from jax. A test that fails by
the record runs again by jax itself (``plugin``), so that a record can cost time and never a verdict.
``make jax-answers`` writes the records anew, ANEJAX_ANSWERS=add has what is missing added, and the long profile runs
each such test by jax and then by its record.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import lzma
import os
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from tests.answers.coding import Answer as Answer
from tests.answers.coding import Unrecordable, decode, encode
from tests.answers.keys import UnknownPart, digest


def _version(package: str) -> str:
    """Of a package that is installed; "absent" of one that is not, as jax where `make test-arm` runs."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


TESTS = Path(__file__).parents[1]
FOLDER = TESTS / "answers" / f"jax-{_version('jax')}"
MODE = os.environ.get("ANEJAX_ANSWERS", "read")  # or add: what is missing; or write: all anew
WRITES = MODE in ("add", "write")


class Record:
    """The answers that the tests of one module ask for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        exists = path.exists() and MODE != "write"
        self.known: dict[str, Any] = json.loads(lzma.decompress(path.read_bytes())) if exists else {}
        self.used = 0  # answers that came from the record
        self.missing = 0  # that came from jax, and could be on record

    def save(self) -> None:
        if self.known:
            self.path.parent.mkdir(exist_ok=True)
            text = json.dumps(self.known, sort_keys=True, separators=(",", ":"))
            self.path.write_bytes(lzma.compress(text.encode(), preset=9))


class Reader:
    """Where ``answers`` looks while a test runs."""

    records: ClassVar[dict[str, Record]] = {}  # by module, as numpy.test_fft
    record: Record | None = None  # of the running test; None: jax answers
    calls = 0

    @classmethod
    def record_of(cls, module: Path) -> Record:
        name = ".".join(module.relative_to(TESTS).with_suffix("").parts)
        if name not in cls.records:
            cls.records[name] = Record(FOLDER / f"{name}.json.xz")
        return cls.records[name]

    @classmethod
    @contextlib.contextmanager
    def reads(cls, record: Record | None) -> Iterator[None]:
        cls.record, before = record, cls.record
        try:
            yield
        finally:
            cls.record = before


def answers(live: Callable[[], Any], *depends_on: Any, errors: tuple[type[Exception], ...] = ()) -> Any:
    """The list of arrays and Python values that ``live()`` gives, or the one of ``errors`` that it raises.

    Args:
        live: asks jax; its result is a flat list.
        depends_on: everything that ``live`` depends on but jax itself: functions, arrays, other values.
        errors: what jax may raise; it is returned, not raised.
    """
    Reader.calls += 1
    record = Reader.record
    if record is None:
        return _live(live, errors)
    try:
        key = digest(_settings(), *depends_on)
    except UnknownPart:
        return _live(live, errors)
    if key in record.known:
        record.used += 1
        return decode(record.known[key])
    given = _live(live, errors)
    try:
        data = encode(given)
    except Unrecordable:
        return given
    record.missing += 1
    if WRITES:
        record.known[key] = data
    return given


def of_jax(function: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
    """The leaves of what ``function``, which asks jax, gives for arrays, answers of jax and other values."""
    import jax

    def live() -> list[Any]:
        put = lambda x: x.value if isinstance(x, Answer) else x  # noqa: E731
        return jax.tree.leaves(function(*map(put, args), **kwargs))

    return answers(live, function, args, kwargs)


def types_of_jax(function: Callable[..., Any], *args: Any) -> list[tuple[tuple[int, ...], Any]]:
    """(shape, dtype) of each leaf of what ``function``, which asks jax, gives for arrays, without its values."""
    import jax
    import numpy as np

    def asked(*args: Any) -> list[str]:
        leaves = jax.tree.leaves(jax.eval_shape(function, *args))
        return [f"{np.dtype(leaf.dtype).name} {' '.join(map(str, leaf.shape))}" for leaf in leaves]

    told = (text.split() for text in answers(lambda: asked(*args), "types", function, args))
    return [(tuple(map(int, shape)), np.dtype(dtype)) for dtype, *shape in told]


class Namespace:
    """A module of jax whose functions answer by the record: with an array, or a list of leaves where they give more."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._module, name)

        def ask(*args: Any, **kwargs: Any) -> Any:
            leaves = of_jax(function, *args, **kwargs)
            return leaves[0] if len(leaves) == 1 else leaves

        return ask


def _live(live: Callable[[], Any], errors: tuple[type[Exception], ...]) -> Any:
    try:
        return live()
    except errors as error:
        return error


def _settings() -> tuple[Any, ...]:
    """The settings of jax that its results depend on."""
    from jax import config

    names = "jax_enable_x64", "jax_numpy_dtype_promotion", "jax_default_matmul_precision"
    return tuple(getattr(config, name) for name in names)

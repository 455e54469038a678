"""Whose memory an argument is while it is read, donated, deleted and returned, with other threads and exceptions."""

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import errors
from anejax.core.array import DeviceArray
from anejax.runtime import library

N = 100_003  # large enough that freed memory is given back to the system, and an odd number


@contextlib.contextmanager
def _paused_in_thread(call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """``call`` in another thread, which waits where its first native run begins until the block ends; the list gets its
    result."""
    begun, go_on = threading.Event(), threading.Event()
    out: list[Any] = []
    run = library.NativeProgram.run

    def pausing(self: Any, *args: Any) -> None:
        if threading.current_thread() is thread and not begun.is_set():
            begun.set()
            assert go_on.wait(60)
        run(self, *args)

    thread = threading.Thread(target=lambda: out.append(call()))
    with monkeypatch.context() as patched:
        patched.setattr(library.NativeProgram, "run", pausing)
        thread.start()
        assert begun.wait(60)
        try:
            yield out
        finally:
            go_on.set()
            thread.join(60)


def _from_native(value: float = 1.0) -> Any:
    return aj.jit(lambda: jnp.full(N, value))()


def _from_numpy() -> Any:
    return jnp.asarray(np.ones(N, np.float32))


def _donor() -> Any:
    return aj.jit(lambda s: s * 0 - 7.0, donate_argnums=0)


READERS: dict[str, Callable[[Any], Any]] = {
    "jit": aj.jit(lambda x: jnp.sum(x * 2)),
    "a pipeline": aj.jit(lambda x: jnp.sum(jnp.minimum(x, 2.0)[:1000] * 2), precision="fp16"),
    "an eager operation": lambda x: aj.lax.reduce_window(x, -np.inf, aj.lax.max, (3,), (1,), "SAME"),
    "a donor of another argument": aj.jit(lambda x, y: x + y, donate_argnums=1),
}


@pytest.mark.parametrize("make", [_from_native, _from_numpy])
@pytest.mark.parametrize("reader", ["jit", "a pipeline", "an eager operation", "a donor of another argument"])
def test_a_run_goes_on_with_an_argument_that_another_thread_donates(
    reader: str, make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    call, x, donor = READERS[reader], make(), _donor()
    more = (_from_native(3.0),) if "another" in reader else ()
    want = np.asarray(call(make(), *(m + 0 for m in more)))
    donor(make())
    with _paused_in_thread(lambda: call(x, *more), monkeypatch) as out:
        y = donor(x)
        assert x.is_deleted()
        filling = [jnp.full(N, 5.0) for _ in range(3)]
        assert np.all(np.asarray(y) == -7)
    np.testing.assert_array_equal(out[0], want)
    assert np.all(np.asarray(y) == -7) and all(np.all(np.asarray(v) == 5) for v in filling)


@pytest.mark.parametrize("make", [_from_native, _from_numpy])
def test_a_run_goes_on_with_an_argument_that_another_thread_deletes(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = make()
    with _paused_in_thread(lambda: READERS["jit"](x), monkeypatch) as out:
        x.delete()
        filling = [jnp.full(N, 5.0) for _ in range(3)]
    assert out[0] == 2 * N and all(np.all(np.asarray(v) == 5) for v in filling)


def test_memory_of_a_deleted_argument_is_freed_when_the_run_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    x = _from_numpy()
    memory = weakref.ref(x._value if x._value.base is None else x._value.base)
    with _paused_in_thread(lambda: READERS["jit"](x), monkeypatch):
        x.delete()
        gc.collect()
        assert memory() is not None
    gc.collect()
    assert memory() is None


def test_callbacks_and_outputs_see_an_argument_that_another_thread_deletes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def f(x: Any) -> Any:
        aj.debug.callback(lambda v: seen.append(float(v[1])), x)
        return x, x + 1

    x, call = _from_native(), aj.jit(f)
    with _paused_in_thread(lambda: call(x), monkeypatch) as out:
        _donor()(x)
    assert seen == [1.0] and [float(v[N - 1]) for v in out[0]] == [1.0, 2.0]


def test_two_threads_that_donate_one_array_both_get_their_results(monkeypatch: pytest.MonkeyPatch) -> None:
    x, step = _from_native(), aj.jit(lambda s: s + 1, donate_argnums=0)
    step(_from_native())
    with _paused_in_thread(lambda: step(x), monkeypatch) as out, pytest.raises(errors.DeletedArrayError):
        step(x)
    assert np.all(np.asarray(out[0]) == 2)


def _swap(s: Any) -> Any:
    return {"a": s["b"] + 1.0, "b": s["a"] * 2.0, "c": s["c"]}


def _state() -> dict[str, Any]:
    return {"a": _from_native(10.0), "b": _from_native(20.0), "c": _from_native(30.0)}


def _values(state: dict[str, Any]) -> list[float]:
    return [float(v[N - 1]) for v in state.values()]


def _running_into(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    run = library.NativeProgram.run

    def failing(self: Any, *args: Any) -> None:
        run(self, *args)
        raise error

    monkeypatch.setattr(library.NativeProgram, "run", failing)


@pytest.mark.parametrize("options", [{}, {"precision": "fp16"}])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), errors.DeviceError("[run] failed midway.", changed=True)])
def test_an_exception_in_a_donated_run_deletes_all_that_was_donated(
    error: BaseException, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, state = aj.jit(_swap, donate_argnums=0, **options), _state()
    step(_state())
    with monkeypatch.context() as patched, pytest.raises(type(error)):
        _running_into(error, patched)
        step(state)
    assert all(v.is_deleted() for v in state.values())
    assert _values(step(_state())) == [21.0, 20.0, 30.0]


def test_a_failure_that_changed_nothing_leaves_what_was_to_be_donated(monkeypatch: pytest.MonkeyPatch) -> None:
    step, state = aj.jit(_swap, donate_argnums=0), _state()
    step(_state())

    def refusing(self: Any, *args: Any) -> None:
        raise errors.DeviceError("[run] out of memory.", "out_of_memory")

    with monkeypatch.context() as patched, pytest.raises(errors.DeviceError):
        patched.setattr(library.NativeProgram, "run", refusing)
        step(state)
    assert _values(state) == [10.0, 20.0, 30.0]
    pointers = {v.pointer for v in state.values()}
    state = step(state)
    assert _values(state) == [21.0, 20.0, 30.0] and {v.pointer for v in state.values()} == pointers


def test_a_callback_that_raises_in_a_donated_step_deletes_the_state() -> None:
    def check(x: Any) -> None:
        if x > 21.5:
            raise ValueError("stop")

    def f(s: Any) -> Any:
        out = _swap(s)
        aj.debug.callback(check, out["a"][0] + 1)
        return out

    state = _state()
    with pytest.raises(ValueError, match="stop"):
        aj.jit(f, donate_argnums=0)(state)
    assert all(v.is_deleted() for v in state.values())


def test_a_nan_found_in_a_donated_step_deletes_the_state() -> None:
    x = _from_native(-1.0)
    with pytest.raises(errors.NanError), _setting("jax_debug_nans", True):
        aj.jit(lambda s: jnp.log(s), donate_argnums=0)(x)
    assert x.is_deleted()


@contextlib.contextmanager
def _setting(name: str, value: Any) -> Iterator[None]:
    aj.config.update(name, value)
    try:
        yield
    finally:
        aj.config.update(name, not value)


def test_a_donated_argument_that_is_returned_is_deleted_and_its_memory_lives_on() -> None:
    x = _from_native(3.0)
    pointer = x.pointer
    y = aj.jit(lambda s: s, donate_argnums=0)(x)
    assert x.is_deleted() and y.pointer == pointer and float(y[0]) == 3


def test_a_forwarded_result_outlives_its_argument() -> None:
    x = _from_native(3.0)
    y = aj.jit(lambda s: s)(x)
    assert y.pointer == x.pointer
    _donor()(x)
    assert x.is_deleted() and np.all(np.asarray(y) == 3)


BORROWERS: dict[str, Callable[[Any], Any]] = {
    "jit": lambda q: aj.jit(lambda v: v)(q),
    "jit with more outputs": lambda q: aj.jit(lambda v: (v, v + 1))(q)[0],
    "jit of a complex array": lambda q: aj.jit(lambda v: v)(q.astype(np.complex64)),
    "jit with donation": lambda q: aj.jit(lambda v: v, donate_argnums=0)(q),
    "a carry": lambda q: aj.lax.scan(lambda c, t: (c, None), q, None, length=3)[0],
    "a loop of no turns": lambda q: aj.lax.fori_loop(0, 0, lambda i, c: c, q),
    "while": lambda q: aj.lax.while_loop(lambda c: False, lambda c: c, q),
    "cond": lambda q: aj.lax.cond(True, lambda v: v, lambda v: v, q),
    "checkpoint": lambda q: aj.checkpoint(lambda v: v)(q),
    "reshape": lambda q: aj.lax.reshape(q, (1, q.size)),
    "slice": lambda q: aj.lax.slice(q, (0,), (q.size,)),
    "transpose": lambda q: jnp.transpose(q),
    "broadcast": lambda q: jnp.broadcast_to(q, (2, q.size)),
    "bitcast": lambda q: aj.lax.bitcast_convert_type(q, np.int32),
    "real part": lambda q: jnp.real(q),
    "copy": lambda q: jnp.copy(q),
    "asarray": jnp.asarray,
    "device_put": aj.device_put,
}


@pytest.mark.parametrize("size", [1, 7, N])
@pytest.mark.parametrize("name", list(BORROWERS))
def test_no_result_is_a_view_of_a_numpy_argument(name: str, size: int) -> None:
    given = np.arange(1, size + 1, dtype=np.float32)
    result = BORROWERS[name](given)
    before = np.array(result)
    given[:] = -5
    assert isinstance(result, DeviceArray)
    np.testing.assert_array_equal(result, before)


def test_a_buffer_that_is_reused_between_steps_does_not_change_earlier_results() -> None:
    buffer, last, out = np.zeros(1000, np.float32), jnp.zeros(1000), []
    step = aj.jit(lambda obs, last: (obs, (obs - last).sum()))
    for t in range(4):
        buffer[:] = t
        last, difference = step(buffer, last)
        out.append(float(difference))
    assert out == [0, 1000, 1000, 1000]


def test_donated_arrays_of_numpy_memory_are_freed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for the results is made before the run; a state must not be there twice by then."""
    alive: list[int] = []
    state = [jnp.ones(1000) * i for i in range(4)]
    seen = [weakref.ref(s.value.base if s.value.base is not None else s.value) for s in state]
    run = library.NativeProgram.run
    monkeypatch.setattr(
        library.NativeProgram, "run", lambda *args: (alive.append(sum(r() is not None for r in seen)), run(*args))[1]
    )
    found = aj.jit(lambda s: [x + 1 for x in s], donate_argnums=0)(state)
    assert alive == [0]
    assert [float(x[0]) for x in found] == [1, 2, 3, 4]

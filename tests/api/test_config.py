"""Settings: process-wide values, and overrides of one thread that others do not see."""

import os
import subprocess
import sys
import threading

import jax
import pytest

import anejax as aj
from anejax.config import _SETTINGS, _VARIABLES, Config
from anejax.errors import SettingError


def test_an_override_is_of_its_thread_alone():
    config, inside, go_on, seen = Config(), threading.Event(), threading.Event(), []

    def other() -> None:
        inside.wait(10)
        seen.append(config.device)
        config.update("device", "ane")
        seen.append(config.device)
        go_on.set()

    thread = threading.Thread(target=other)
    thread.start()
    with config.override("device", "here"):
        inside.set()
        assert go_on.wait(10) and config.device == "here"
        with config.override("device", "deeper"):
            assert config.device == "deeper"
        assert config.device == "here"
    thread.join()
    assert seen == ["cpu", "ane"] and config.device == "ane"
    config.update("device", "cpu")
    assert config.device == "cpu"


def test_what_is_no_setting():
    config = Config()
    with pytest.raises(AttributeError, match=r"\[config\] there is no setting 'colour'"):
        _ = config.colour
    for kind in (ValueError, AttributeError):  # jax raises the latter
        with pytest.raises(kind, match=r"\[config\] expected one of"):
            config.update("colour", 1)
    assert not hasattr(config, "colour") and config.read("device") == "cpu"


# what the first lines of programs set, and what it is then
OF_JAX = {
    "jax_enable_x64": True, "jax_debug_nans": True, "jax_debug_infs": True, "jax_disable_jit": True,
    "jax_log_compiles": True, "jax_enable_checks": True, "jax_check_tracer_leaks": True,
    "jax_platform_name": "cpu", "jax_platforms": "cpu",
    "jax_default_matmul_precision": "highest", "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise", "jax_traceback_filtering": "off", "jax_transfer_guard": "disallow",
    "jax_compilation_cache_dir": "somewhere", "jax_persistent_cache_min_compile_time_secs": 0.5,
    "jax_threefry_partitionable": True, "jax_default_prng_impl": "threefry2x32", "jax_explain_cache_misses": True,
    "jax_enable_custom_prng": True, "jax_debug_key_reuse": False, "jax_legacy_prng_key": "error",
    "jax_captured_constants_warn_bytes": 10, "jax_num_cpu_devices": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", OF_JAX)
def test_settings_of_jax_are_taken(name):
    assert hasattr(jax.config, name) or name in ("jax_platform_name",)
    config = Config()
    getattr(config, name)
    config.update(name, OF_JAX[name])
    assert getattr(config, name) == OF_JAX[name]


def test_settings_of_jax_with_another_name():
    config = Config()
    config.update("jax_default_device", aj.devices()[0])
    assert config.device == config.jax_platforms == "cpu" and config.x64_enabled is False
    config.update("jax_default_device", "ane")
    assert config.device == "ane"
    for nothing in (None, ""):
        config.update("jax_platforms", nothing)
        assert config.device == "cpu"
    config.update("jax_enable_checks", True)
    assert config.check is True


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("jax_platforms", "cuda", "one of cpu, ane, coreai, got 'cuda'"),
        ("jax_numpy_rank_promotion", "maybe", "one of allow, warn, raise, got 'maybe'"),
        ("jax_default_prng_impl", "rbg", "to be 'threefry2x32', got 'rbg': random bits are"),
        ("jax_threefry_partitionable", False, "to be True, got False"),
        ("jax_debug_key_reuse", True, "keys are not watched"),
    ],
)
def test_values_that_a_setting_cannot_have(name, value, text):
    with pytest.raises(SettingError, match=text):
        Config().update(name, value)


def test_variables_of_jax_count_where_there_are_no_others(monkeypatch):
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    monkeypatch.setenv("JAX_DEBUG_NANS", "true")
    monkeypatch.setenv("ANEJAX_DEBUG_NANS", "0")
    monkeypatch.setenv("DEVICE", "ane")
    config = Config()
    assert config.jax_enable_x64 is True and config.jax_debug_nans is False and config.device == "cpu"


def _interrupted_at(event: int, run) -> bool:
    """Calls ``run`` and raises KeyboardInterrupt at the given call that config.py makes or gets. Whether it got so far.

    Python handles signals when a call has begun or a C function has returned. The one place left out is the call of
    ``__exit__`` itself, which no context manager written in Python can protect.
    """
    left = [event]

    def profile(frame, kind, arg):
        ours = frame.f_code.co_filename == sys.modules[Config.__module__].__file__
        if not ours or kind in ("return", "c_call") or (kind == "call" and frame.f_code.co_name == "__exit__"):
            return
        left[0] -= 1
        if left[0] < 0:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        run()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


def test_an_interrupt_leaves_no_setting_changed():
    config = Config()

    def run():
        with config.override("device", "one"):
            assert config.device == "one"
            with config.override("device", "two"):
                assert config.device == "two"
            assert config.device == "one"

    for event in range(1000):
        more = _interrupted_at(event, run)
        assert config.device == "cpu" and "device" not in config._local.__dict__, event
        if not more:
            break
    assert event > 8
    with config.override("device", "again"):
        pass
    assert config.__dict__["device"] == "cpu"  # the fast way, whatever was interrupted before


def test_an_override_is_a_decorator_that_calls_itself():
    config = Config()

    @config.override("device", "here")
    def depth(n):
        assert config.device == "here"
        return depth(n - 1) if n else 0

    assert depth(3) == 0 and config.device == "cpu"


def test_a_forked_child_has_no_blocks_of_threads_that_it_has_not():
    config, inside, go_on = Config(), threading.Event(), threading.Event()

    def other():
        with config.override("device", "other"):
            inside.set()
            go_on.wait(60)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(60)
    with config.override("debug", "here"), config._lock:
        config.after_fork()  # the child's own call, made here
        assert config.__dict__["device"] == "cpu" and "debug" not in config.__dict__
        config.update("device", "ane")
    assert config.device == "ane" and config.__dict__["debug"] == ""
    go_on.set()
    thread.join()


# (variable, what it cannot be, what can)
OF_THE_ENVIRONMENT = [
    ("ANEJAX_ENABLE_X64", "foo", "yes"), ("ANEJAX_DISABLE_JIT", "2", "0"), ("ANEJAX_CHECK", "tru", "True"),
    ("ANEJAX_DEBUG_NANS", "-1", "off"), ("ANEJAX_DEBUG_INFS", "none", "no"), ("ANEJAX_LOG_COMPILES", "1.0", "on"),
    ("ANEJAX_DTYPE_PROMOTION", "foo", "strict"), ("ANEJAX_RANK_PROMOTION", "ALLOW", "warn"),
    ("ANEJAX_DEBUG", "graph,mill", "graph, plan"), ("ANEJAX_EAGER", "native", "numpy"),
    ("ANEJAX_DEVICE", "gpu", "ane"), ("ANEJAX_PRECISION", "fp8", "fp16"), ("ANEJAX_ENGINE_PARTITION", "some", "all"),
    ("ANEJAX_ENGINE_ROUTE", "ane", "coreai"),
    ("ANEJAX_ENGINE_VERIFY", "last", "off"), ("ANEJAX_ENGINE_FALLBACK", "never", "error"),
    ("ANEJAX_ENGINE_BACKOFF", "abc", "0.5"), ("ANEJAX_ENGINE_COMPILE_LIMIT", "nan", "1e3"),
    ("ANEJAX_ENGINE_RUN_LIMIT", "-1", "7"), ("ANEJAX_NUM_THREADS", "abc", "2"), ("ANEJAX_CPU_LEVEL", "v2", "v1"),
    ("ANEJAX_DISTRIBUTED_WIRE", "int8", "float16"), ("ANEJAX_DISTRIBUTED_TIMEOUT", "never", "10"),
    ("ANEJAX_DISTRIBUTED_BUCKET", "0", "1e6"), ("ANEJAX_DISTRIBUTED_IDLE", "-1", "0"),
    ("JAX_ENABLE_X64", "maybe", "true"), ("JAX_NUMPY_DTYPE_PROMOTION", "lax", "standard"),
]  # fmt: skip


@pytest.mark.parametrize(("variable", "wrong", "right"), OF_THE_ENVIRONMENT)
def test_variables_are_checked_as_values_are(monkeypatch, variable, wrong, right):
    for name in {v for v, *_ in OF_THE_ENVIRONMENT}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, wrong)
    with pytest.raises(SettingError, match=rf"\[config\] expected {variable} to be .*, got '{wrong}'"):
        Config()
    for fine in (right, ""):
        monkeypatch.setenv(variable, fine)
        Config()


@pytest.mark.parametrize("count", ["0", "257", "1.5", "-1", "9" * 5000, " 2x"])
def test_numbers_of_threads_that_there_are_not(monkeypatch, count):
    monkeypatch.setenv("ANEJAX_NUM_THREADS", count)
    with pytest.raises(SettingError, match="ANEJAX_NUM_THREADS to be an integer from 1 to 256"):
        Config()


@pytest.mark.parametrize("command", [["-m", "anejax", "doctor"], ["-c", "import anejax"]])
def test_the_command_names_a_wrong_variable_without_a_traceback(command):
    done = subprocess.run(
        [sys.executable, *command], env={**os.environ, "ANEJAX_NUM_THREADS": "abc"}, capture_output=True, text=True
    )
    message = "[config] expected ANEJAX_NUM_THREADS to be an integer from 1 to 256, got 'abc'."
    if command[0] == "-m":
        assert (done.returncode, done.stderr) == (2, f"anejax: {message}\n")
    else:
        assert done.returncode == 1 and done.stderr.endswith(f"\nanejax.errors.SettingError: {message}\n")


def test_every_setting_has_its_variable_among_those_that_are_tested():
    tested = {variable for variable, *_ in OF_THE_ENVIRONMENT}
    assert {env for env, *_ in _SETTINGS.values()} | set(_VARIABLES) <= tested | {"ANEJAX_CHIP"}  # any text; see chips


@pytest.mark.parametrize(
    ("name", "value"),
    [("jax_enable_x64", "true"), ("jax_enable_x64", None), ("jax_debug_nans", 2), ("engine_backoff", "1"),
     ("engine_backoff", float("nan")), ("engine_run_limit", 10**400), ("engine_run_limit", True), ("debug", "grph"),
     ("chip", 4), ("engine_verify", ["off"])],
)  # fmt: skip
def test_values_of_other_kinds(name, value):
    config = Config()
    before = config.read(name)
    with pytest.raises(SettingError, match=rf"\[config\] expected {name} to be "):
        config.update(name, value)
    assert config.read(name) == before

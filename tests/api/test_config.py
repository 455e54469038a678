"""Settings: process-wide values, and overrides of one thread that others do not see."""

import threading

import jax
import pytest

import anejax as aj
from anejax.config import Config
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
        ("jax_platforms", "cuda", "one of cpu, ane, got 'cuda'"),
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

"""Settings: process-wide values, and overrides of one thread that others do not see."""

import threading

import pytest

from anejax.config import Config


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
    with pytest.raises(ValueError, match=r"\[config\] expected one of"):
        config.update("colour", 1)

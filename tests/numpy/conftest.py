"""These tests are about the faces, so eager operations run on the NumPy oracle: the device has its own tests."""

import pytest

import anejax as aj


@pytest.fixture(autouse=True)  # for each test, since tests of other folders run between these
def eager_on_the_oracle():
    with aj.config.override("eager", "numpy"):
        yield

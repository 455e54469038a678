# Two commands set everything up from nothing: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(shell find native CMakeLists.txt anejax/mil/opset.py -type f 2>/dev/null)
LIBRARY := anejax/lib/.built

.PHONY: demo test test-all ci-long check build golden format clean

demo: $(LIBRARY)  ## train a CNN on CIFAR-10 on the embedded CPU device
	$(BIN)/anejax train cifar10 --preset demo

test: $(LIBRARY) $(VENV)/.dev check  ## what CI runs
	$(BIN)/python tests/native/run_cpp.py
	$(BIN)/pytest -n 2 --dist loadfile -m "not long"

test-all: $(LIBRARY) $(VENV)/.dev check  ## the long hypothesis profile too
	$(BIN)/python tests/native/run_cpp.py
	HYPOTHESIS_PROFILE=long $(BIN)/pytest -n 2 --dist loadfile

ci-long: test-all  ## the slow rest: sanitizer builds of the C++ tests
	$(BIN)/python tests/native/run_cpp.py --sanitize address,undefined
	$(BIN)/python tests/native/run_cpp.py --sanitize thread

check: $(VENV)/.dev  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	find native -name '*.cpp' -o -name '*.h' | xargs $(BIN)/clang-format --dry-run --Werror

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	find native -name '*.cpp' -o -name '*.h' | xargs $(BIN)/clang-format -i

golden: $(LIBRARY) $(VENV)/.dev  ## rewrite the golden graphs and MIL texts
	ANEJAX_GOLDEN=write $(BIN)/pytest tests/golden

build: $(LIBRARY)  ## the native library, in anejax/lib

$(VENV)/.base: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet "scikit-build-core>=1.1,<2" "cmake>=4" "ninja>=1.13"
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[plot,data]" -C wheel.cmake=false -C editable.mode=inplace
	touch $@

$(LIBRARY): $(VENV)/.base $(NATIVE)
	$(BIN)/cmake -S . -B build/dev -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja)
	$(BIN)/cmake --build build/dev
	$(BIN)/cmake --install build/dev --prefix .
	touch $@

$(VENV)/.dev: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

clean:
	rm -rf build anejax/lib $(VENV)

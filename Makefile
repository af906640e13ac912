# make demo | make test | make matrix | make check | make browser | make docs | make board | make benchmarks; every target sets itself up first.
PYTHON ?= python3
# make TORCH=cpu: the build of PyTorch without CUDA, a tenth of the size, for a machine without a GPU.
TORCH ?=
DATA ?= digits
DATA_ROOT ?= $(or $(FRANKENSTEIN_DATA),data)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test matrix check browser docs board benchmarks setup clean
setup: $(VENV)/.ready

# The stamp is written last, so an interrupted set-up is not mistaken for a whole one: it starts over.
# uv installs in a third of pip's time; where it cannot reach a registry that pip is set up for, pip does it.
$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "frankenstein needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	@echo "setting up $(VENV) (one or two minutes, once)"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet $(if $(TORCH),--torch-backend $(TORCH)) --compile-bytecode --python $(BIN)/python -e '.[dev]' || $(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

demo: setup
	$(BIN)/frankenstein demo --dataset $(DATA) --data-root $(DATA_ROOT)

# A process for every core, with one thread each; a file's tests share a process, and so its networks.
# The files keep the order that tests/conftest.py gives them.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

# The tests under every supported Python that is on the PATH, each in an environment of its own.
matrix:
	@for version in 3.11 3.12 3.13; do \
	  if command -v python$$version >/dev/null; then \
	    $(MAKE) test PYTHON=python$$version VENV=.venv-$$version || exit 1; \
	  else echo "no python$$version here: not tested"; fi; done

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Every claim about speed and memory, into the table of benchmarks/README.md: 40 idle minutes. Peers are
# measured where they are installed: .venv/bin/uv pip install -e '.[bench]'
benchmarks: setup
	FRANKENSTEIN_DATA=$(DATA_ROOT) $(BIN)/python benchmarks/claims.py

# Pages in a real browser: light and dark, phone and desk, by keyboard, and by axe-core's rules.
browser: setup
	@if command -v chromium >/dev/null && command -v npm >/dev/null; then \
	  npm install --silent --no-save --prefix .browser axe-core@4 && \
	  $(BIN)/python tests/browser.py .browser/node_modules/axe-core/axe.min.js; \
	else echo "make browser needs chromium and npm, which are not here: nothing was checked"; fi

# The documents as a site in .site/: strict, and without a network once the extra `docs` is there.
docs: setup
	@test -x $(BIN)/mkdocs || $(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Images of a slider are kept, not every tenth: the stitch's weight matrix over training is a film.
# TensorBoard's 0 once meant all of them; in 2.21 it means none.
board: setup
	@test ! -f results/index.html || echo "all runs on one page: results/index.html (frankenstein open)"
	$(BIN)/tensorboard --logdir results --samples_per_plugin images=1000

clean:
	rm -rf .venv .venv-3.*

# Two commands for everybody: `make demo` shows fleet at work, `make test` tells whether it does.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH := $(VENV)/.bench
FUZZ := $(VENV)/.fuzz
BROWSER := $(VENV)/.browser
AUDIT := $(VENV)/audit
WORKERS ?= 2
SECONDS ?= 60
EXAMPLES ?= 500

.DEFAULT_GOAL := help
.PHONY: help demo test tests test-browser format lint contracts types unit passes long coverage faults machine crashes soak \
	bench fuzz histories audit sbom reproducible lock clean

help:
	@echo 'make demo    show fleet on three simulated hosts'
	@echo 'make test    format, lint, import contracts, types, tests'
	@echo 'make coverage the same tests but whole passes, with the lines that none reaches'
	@echo 'make test-browser the page in a real Chromium; pictures are kept in build/screenshots'
	@echo 'make long    tests that take too long for `make test`'
	@echo 'make faults  every fault of the matrix, row by row'
	@echo 'make machine random histories of a fleet, judged after every step, and mistakes that it has to find'
	@echo 'make crashes runs killed before each of their effects, and at random moments'
	@echo 'make soak    ten hosts and a daemon through storms and calms, SECONDS=1800'
	@echo 'make bench   speed, as ratios measured side by side'
	@echo 'make fuzz    readers of foreign files on made-up ones, SECONDS=60 for each'
	@echo 'make histories many random histories of a host, EXAMPLES=500 for each version of servers'
	@echo 'make format  write the code as `make test` wants it'
	@echo 'make audit   known advisories against what is locked; 3 if they could not be looked up'
	@echo 'make sbom    what a release consists of, as CycloneDX, in build/sbom.json'
	@echo 'make reproducible two builds of the wheel, byte for byte'
	@echo 'make lock    pin the dependencies anew'

$(READY): pyproject.toml requirements/dev.txt
	@test -n "$(PYTHON)" || { echo 'error: no Python 3.11 or later found; name one: make PYTHON=/path/to/python' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'error: $(PYTHON) is older than 3.11' >&2; exit 1; }
	@rm -f $(READY) $(BENCH) $(FUZZ) $(BROWSER)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

$(BENCH): $(READY) requirements/bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/bench.txt
	@touch $(BENCH)

$(FUZZ): $(READY) requirements/fuzz.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/fuzz.txt
	@touch $(FUZZ)

$(BROWSER): $(READY) requirements/browser.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/browser.txt
	@touch $(BROWSER)

$(AUDIT)/.ready: $(READY) requirements/audit.txt
	$(BIN)/python -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/audit.txt
	@touch $(AUDIT)/.ready

demo: $(READY)
	@$(BIN)/fleet demo

# Types are checked on what the tests leave idle.
test: lint contracts
	@$(MAKE) --no-print-directory --jobs 2 types tests

tests: $(READY)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal --quiet -m 'not long' --ignore=tests/browser

lint: $(READY)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .

contracts: $(READY)
	$(BIN)/lint-imports --no-logo

types: $(READY)
	$(BIN)/mypy --no-error-summary

unit: $(READY)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --quiet -m 'not long' --ignore=tests/passes --ignore=tests/browser

passes: $(READY)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --quiet -m 'not long' tests/passes

# Faults, crashes and the machine have targets of their own.
long: $(READY)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --quiet -m 'long and not fault' \
		--ignore=tests/browser --ignore=tests/crashes --ignore=tests/machine

faults: $(READY)
	@$(BIN)/python -m tests.faults.run --numprocesses $(WORKERS) --ignore=tests/browser

# 2,000 histories of 40 steps, and the naive fleets that have to be found wanting: most of an hour on two cores.
machine: $(READY)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --quiet -m long tests/machine

# Kills by the thousand: minutes, of which most go by in waiting for slow answers.
crashes: $(READY)
	@$(BIN)/python -m tests.crashes.run --numprocesses $(WORKERS)

# The browser is Debian's `chromium`, or the one that CHROMIUM names; `.ci/run` installs it where it may.
test-browser: $(BROWSER)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --quiet tests/browser

# Apart from `test`, since measuring doubles the time; whole passes tell more of hosts than of lines.
coverage: $(READY)
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) --quiet -m 'not long' --ignore=tests/passes --ignore=tests/browser
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

format: $(READY)
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

# Half an hour of it by default; `make soak SECONDS=60` for a look.
soak: SECONDS = 1800
soak: $(READY)
	@$(BIN)/python -m tests.soak.run $(SECONDS)

bench: $(BENCH)
	$(BIN)/python benchmarks/run.py

fuzz: $(FUZZ)
	$(BIN)/python -m tests.fuzz.run $(SECONDS)

histories: $(READY)
	TESTS=long EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest --numprocesses $(WORKERS) --quiet \
		tests/passes/test_histories.py tests/passes/test_each_input.py

audit: $(AUDIT)/.ready
	@$(BIN)/python -m tests.security.audit $(AUDIT)/bin/pip-audit requirements/*.txt

# From what a release installs and nothing else: an environment without even pip, which is gone afterwards.
sbom: $(AUDIT)/.ready requirements/fleet.txt
	@mkdir -p build
	@rm -rf $(VENV)/sbom
	@$(BIN)/python -m venv --without-pip $(VENV)/sbom
	@$(BIN)/uv pip install --quiet --python $(VENV)/sbom --require-hashes --requirement requirements/fleet.txt
	@$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --validate \
		--output-format JSON --output-file build/sbom.json $(VENV)/sbom/bin/python
	@rm -rf $(VENV)/sbom
	@echo 'build/sbom.json'

reproducible: $(READY)
	@$(BIN)/python -m tests.security.wheels

lock: $(READY)
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate pyproject.toml requirements/dev.in --output-file requirements/dev.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --constraints requirements/dev.txt requirements/bench.in --output-file requirements/bench.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --constraints requirements/dev.txt requirements/fuzz.in --output-file requirements/fuzz.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --constraints requirements/dev.txt requirements/browser.in --output-file requirements/browser.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --constraints requirements/dev.txt requirements/audit.in --output-file requirements/audit.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --constraints requirements/dev.txt pyproject.toml --output-file requirements/fleet.txt

clean:
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .ruff_cache .hypothesis

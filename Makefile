# One gate for every change: `make check`. PYTHON is an interpreter with tests/requirements.lock installed.
PYTHON ?= python3
SHELL_FILES := install tests/run tests/container tests/kernel tests/machine tests/peers/run tests/soak/run .ci/run .ci/nightly benchmarks/spawn/run benchmarks/gateway/run \
	config/completion/unixspawner.bash vagrant/provision.sh vagrant/accounts $(wildcard vagrant/box/*) $(wildcard config/init.d/* config/libexec/*) \
	recipes/common.sh $(wildcard recipes/*/install recipes/*/*.sh)

.PHONY: check format lint types shell test

check: lint types shell test

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy

shell:
	shellcheck --external-sources $(SHELL_FILES)

# What needs no account, no root and no network.
test:
	$(PYTHON) -m pytest -q tests/unit tests/contract

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

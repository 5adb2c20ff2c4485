.PHONY: check test wheel
PYTHON ?= python

check:            ## style and types
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

test:             ## every test
	$(PYTHON) -m pytest

wheel:            ## what users install
	$(PYTHON) -m build --wheel

.PHONY: check test test-lowest docs wheel dist
PYTHON ?= python
LOWEST ?= .venv-lowest

check:            ## check style and types
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

test:             ## run every test
	$(PYTHON) -m pytest

test-lowest:      ## run every test with the lowest version of every dependency that pyproject.toml allows (needs uv)
	uv venv --clear --seed --python 3.11 $(LOWEST)
	uv pip install --python $(LOWEST) --resolution lowest-direct --editable ".[cpu,dev]"
	$(LOWEST)/bin/python -m pytest

docs:             ## build the site in docs/_build/html; any warning or broken link is an error
	$(PYTHON) -m docs.site

wheel:            ## build what users install
	$(PYTHON) -m build --wheel

dist:             ## build and check what is published
	rm -rf dist
	$(PYTHON) -m build
	$(PYTHON) -m twine check --strict dist/*

# `make demo` and `make test` set up everything they need in .venv and may be repeated.
# PYTHON names the interpreter (3.11 or newer); PIP_OPTIONS is handed to pip, for example to name PyTorch's CPU index.

PYTHON ?= python3
PIP_OPTIONS ?=
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c constraints.txt

.PHONY: install demo test check format clean

install: .venv/installed

demo: .venv/installed
	.venv/bin/python examples/demo.py

test: .venv/installed-dev
	.venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

check: .venv/installed-dev
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy

format: .venv/installed-dev
	.venv/bin/python -m ruff check --fix .
	.venv/bin/python -m ruff format .

clean:
	rm -rf .venv

.venv/bin/python:
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "keifu needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...")'
	"$(PYTHON)" -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --upgrade pip
	$(PIP) -e ".[plot]"
	touch .venv/installed

.venv/installed-dev: .venv/installed
	$(PIP) --group dev
	touch .venv/installed-dev

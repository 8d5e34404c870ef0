#!/usr/bin/env bash
# Everything that must hold: makes .venv with the dev extra, then format, lint, types and tests. Can be repeated.
# Arguments go to pytest: bash scripts/test.sh -k npz
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh dev
echo "test: ruff"
.venv/bin/ruff format --check --quiet .
.venv/bin/ruff check --quiet .
echo "test: mypy"
.venv/bin/mypy
echo "test: pytest"
.venv/bin/python -m pytest -n auto "$@"

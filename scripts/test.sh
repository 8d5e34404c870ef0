#!/usr/bin/env bash
# Everything that must hold: makes .venv with the dev extra, then format, lint, types and tests. Can be repeated.
# Arguments go to pytest: bash scripts/test.sh -k npz
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh dev
if ! command -v chromedriver >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "test: installing chromium, in which the pages of tsmtl-report are looked at"
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; } >/dev/null \
    || echo "test: chromium cannot be installed here; the tests in it are skipped" >&2
fi
if ! command -v c++ >/dev/null && ! command -v clang++ >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "test: installing g++, with which trainer.kernels=native compiles"
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends g++; } >/dev/null \
    || echo "test: g++ cannot be installed here; the tests of native kernels are skipped" >&2
fi
echo "test: ruff"
.venv/bin/ruff format --check --quiet .
.venv/bin/ruff check --quiet .
echo "test: mypy"
.venv/bin/mypy
echo "test: pytest"
.venv/bin/python -m pytest -n auto --dist worksteal "$@"

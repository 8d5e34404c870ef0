#!/usr/bin/env bash
# Make .venv with Python 3.11-3.13 and install tsmtl into it, with the versions of constraints.txt.
# Usage: bash scripts/setup.sh [extra ...]      PYTHON=python3.12 chooses the interpreter
set -euo pipefail
cd "$(dirname "$0")/.."

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

if ! fits .venv/bin/python; then
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if fits "$candidate"; then python=$candidate; break; fi
  done
  if [ -z "${python:-}" ]; then
    echo "setup: no Python 3.11-3.13 found; install one, or name it: PYTHON=/path/to/python bash $0" >&2
    exit 1
  fi
  echo "setup: making .venv with $("$python" --version)"
  rm -rf .venv
  "$python" -m venv .venv
fi
extras=$(IFS=,; echo "$*")
echo "setup: installing tsmtl${extras:+[$extras]}"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".${extras:+[$extras]}"

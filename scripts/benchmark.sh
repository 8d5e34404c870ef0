#!/usr/bin/env bash
# Measure tsmtl's speed against what it would be used instead of; makes both environments. All parts: about 50 minutes.
# Usage: bash scripts/benchmark.sh [part ...] [--repeats N] [--threads N] [--write docs/performance.md]     (--help: parts)
# Lightning and tsai go into .venv-peers; PEERS=no leaves them out.
set -euo pipefail
cd "$(dirname "$0")/.."

for python in .venv/bin/python "${PYTHON:-python3}"; do # what is typed is read first; any Python of 3.11 can
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    "$python" -m benchmarks.performance --check "$@"
    break
  fi
done
case " $* " in *" --help "* | *" -h "*) exit ;; esac

bash scripts/setup.sh archive export # aeon, its reader and pandas; onnxruntime

peers=.venv-peers/bin/python
make_peers() {
  [ -x "$peers" ] || .venv/bin/python -m venv .venv-peers
  local wanted=(-c benchmarks/peers.txt tsai lightning torch)
  local would
  would=$("$peers" -m pip install --dry-run --quiet --disable-pip-version-check --report - "${wanted[@]}") || return 1
  if grep -qE '"name": "(nvidia|cuda|triton)' <<<"$would"; then
    echo "benchmark: pip would install PyTorch for CUDA into .venv-peers; name an index with builds for the CPU" \
      "(PIP_INDEX_URL or PIP_EXTRA_INDEX_URL) and start again" >&2
    return 1
  fi
  "$peers" -m pip install --quiet --disable-pip-version-check "${wanted[@]}" && cp benchmarks/peers.txt .venv-peers/
}

if [ "${PEERS:-yes}" = yes ] && ! cmp --silent benchmarks/peers.txt .venv-peers/peers.txt; then
  echo "benchmark: installing Lightning and tsai into .venv-peers"
  make_peers || echo "benchmark: .venv-peers could not be made; going on without Lightning and tsai" >&2
fi

exec .venv/bin/python -m benchmarks.performance "$@"

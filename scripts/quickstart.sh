#!/usr/bin/env bash
# From nothing but Python 3.11-3.13 to a trained model: makes .venv, installs tsmtl, trains the default run
# (simulated machine vibration: which fault, and how severe). Can be repeated; outputs/ gets one folder a run.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
echo "quickstart: tsmtl-train"
.venv/bin/tsmtl-train "$@"

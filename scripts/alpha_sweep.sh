#!/usr/bin/env bash
# Fine-tune with every share of the classification in the loss; the pretraining runs once and is found again.
# Arguments go to every run:
#   bash scripts/alpha_sweep.sh experiment=hydraulic device=cpu
#   ALPHAS=0.1,0.9 bash scripts/alpha_sweep.sh pretrain.task=cls num_epochs=50 device=cpu
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

tsmtl-train -m stage=finetune pretrain.task=reg "$@" alpha="${ALPHAS:-0.05,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,0.95}"

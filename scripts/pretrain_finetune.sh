#!/usr/bin/env bash
# Pretrain on one task, then fine-tune on both, with the backbone learning on and with it frozen: regression first, then
# classification first. Arguments, settings that both stages have, go to every run; a run that is done is not repeated:
#   bash scripts/pretrain_finetune.sh device=cpu
#   OUT=runs/rig bash scripts/pretrain_finetune.sh experiment=hydraulic model=cnn1d device=cpu
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
out=${OUT:-outputs/pretrain_finetune}

for task in reg cls; do
  tsmtl-train model=lstm_fcn "$@" task=$task stage=pretrain hydra.run.dir="$out/$task" resume=true
  for freeze in false true; do
    tsmtl-train model=lstm_fcn_multi "$@" task=multi stage=finetune pretrained_path="$out/$task/best_model.pt" \
      freeze=$freeze hydra.run.dir="$out/${task}_to_multi_freeze_$freeze" resume=true
  done
done

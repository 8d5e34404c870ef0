#!/usr/bin/env bash
# From raw series to predictions through representation vectors: a representation fitted on the train split, class and
# number learnt from its vectors by fc, first the number alone and then both, and predictions for raw series.
# Arguments, settings of the data and the task, go to tsmtl-represent. Given again, what is not done goes on and a
# training of tsmtl-train that is done is not repeated; vectors are made anew, by METHOD=ts2vec, contrastive or masked with
# the whole training of theirs:
#   bash scripts/represent_finetune.sh
#   METHOD=summary NEW=new.npz bash scripts/represent_finetune.sh data=npz data.path=mine.npz
# OUT is the folder of all that is written, NEW raw series to predict for: without it there are no predictions.
# TRAIN holds settings of both trainings, such as TRAIN="num_epochs=20 lr=1e-4".
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
out=${OUT:-outputs/represent_finetune}
read -r -a train <<< "${TRAIN:-}"
mkdir -p "$out"

tsmtl-represent "$@" representation="${METHOD:-minirocket}" output="$out/vectors.npz" resume=true
tsmtl-train experiment=represent_fc data.path="$out/vectors.npz" "${train[@]}" task=reg stage=pretrain \
  hydra.run.dir="$out/reg" resume=true
tsmtl-train experiment=represent_fc data.path="$out/vectors.npz" "${train[@]}" stage=finetune \
  pretrained_path="$out/reg/best_model.pt" hydra.run.dir="$out/multi" resume=true
if [ -n "${NEW:-}" ]; then
  tsmtl-predict checkpoint="$out/multi/best_model.pt" transform="$out/vectors.transform.pt" data.path="$NEW" \
    output="$out/predictions.csv"
fi

#!/usr/bin/env bash
# Train nano on one GPU for a limited time, from the weights in the package.
#   scripts/train_on_gpu.sh KIT.zip PAGES.zip OUT SECONDS [BATCH] [RATE] [WORKERS]
# SECONDS count from the first step; the learning rate falls to zero over them. OUT gets the weights
# in two parts (scripts/join_weights.py), the log and the curves.
set -euo pipefail
cd "$(dirname "$0")/.."
kit=$1 pages=$2 out=$3 seconds=$4 batch=${5:-512} rate=${6:-6e-4} workers=${7:-15}
run=$(mktemp -d)
nano=src/florence2/checkpoints/nano
export PYTHONPATH=src PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
cp "$nano/tokenizer.json" "$run/"
python3 recipes/nano.py "$kit" "$run" --weights "$nano/model.safetensors" --web "$pages" \
  --workers "$workers" --batch "$batch" --scale 100 --seconds "$seconds" --rate "$rate" \
  --warmup 40 --dense 0 --seed 2026 --no-watch --log-every 20 >"$out/train.log" 2>&1 ||
  echo "the run ended early; its last checkpoint is taken" >&2
cp "$run"/log.csv "$run"/curves.png "$out/"
python3 scripts/export_nano.py "$run" --to "$run/model"
python3 scripts/join_weights.py --split "$run/model/model.safetensors" "$out"

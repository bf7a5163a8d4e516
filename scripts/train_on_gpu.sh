#!/usr/bin/env bash
# Train nano on one GPU for a limited time, from the weights in the package.
#   scripts/train_on_gpu.sh KIT.zip PAGES.zip OUT SECONDS STEPS [BATCH] [RATE] [WORKERS]
# The learning rate falls to zero over STEPS. Where SECONDS end first, the last checkpoint counts.
# OUT gets the weights in two parts (join them with scripts/join_weights.py), the log and curves.
set -euo pipefail
cd "$(dirname "$0")/.."
kit=$1 pages=$2 out=$3 seconds=$4 steps=$5 batch=${6:-512} rate=${7:-8e-4} workers=${8:-15}
run=$(mktemp -d)
nano=src/florence2/checkpoints/nano
export PYTHONPATH=src PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
cp "$nano/tokenizer.json" "$run/"
scale=$(python3 -c "print($steps / 8000)")
warmup=$(python3 -c "print(max(5, round($steps * 0.04)))")
timeout -s INT "$seconds" python3 recipes/nano.py "$kit" "$run" --weights "$nano/model.safetensors" \
  --web "$pages" --workers "$workers" --batch "$batch" --scale "$scale" --rate "$rate" \
  --warmup "$warmup" --dense 0 --seed 2026 --no-watch 2>&1 | tee "$out/train.log" | grep -v "^$" | cut -c1-330 | tail -60 || true
cp "$run"/log.csv "$run"/curves.png "$out/" 2>/dev/null || true
python3 scripts/export_nano.py "$run" --to "$run/model"
python3 scripts/join_weights.py --split "$run/model/model.safetensors" "$out"
ls -la "$out"

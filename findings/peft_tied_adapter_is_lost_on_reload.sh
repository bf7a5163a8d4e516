#!/usr/bin/env bash
# PEFT 0.21.2 with transformers 5.23.0: a LoRA adapter on the output head of Florence-2, whose head is
# tied to the word embedding, trained with LoraConfig(ensure_weight_tying=True), answers as it should
# until it is saved. Read again with PeftModel.from_pretrained over the same base, its logits are those
# of the base: the adapter's whole effect on the head is gone, without an error.
#
#   lm_head, ensure_weight_tying=True     adapter changes logits by 6.125, reload is off by 6.125
#   lm_head, ensure_weight_tying=False    adapter changes logits by 8.516, reload is off by 0.000
#
# So: check the logits of a reloaded adapter, or merge before saving.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.13.0 numpy==2.3.5 transformers==5.23.0 peft==0.21.2
cat >"$folder/reload.py" <<'PY'
import tempfile
import warnings

warnings.simplefilter("ignore")
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Florence2Config, Florence2ForConditionalGeneration

VISION = {
    "embed_dim": [16, 32, 32, 48], "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 3],
    "num_groups": [1, 2, 2, 3], "projection_dim": 32,
}
TEXT = {
    "model_type": "bart", "vocab_size": 120, "d_model": 32, "encoder_layers": 1,
    "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 40,
}


def base():
    torch.manual_seed(0)
    config = Florence2Config(vision_config=VISION, text_config=TEXT, image_token_id=119)
    return Florence2ForConditionalGeneration(config).eval()


@torch.no_grad()
def logits(model):
    prompt, answer = torch.tensor([[0, 5, 6, 7, 2]]), torch.tensor([[2, 0, 5, 6]])
    return model(input_ids=prompt, decoder_input_ids=answer).logits


for tying in (True, False):
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["lm_head"], ensure_weight_tying=tying)
    model = get_peft_model(base(), config).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.3)
    before = logits(model)
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        after = logits(PeftModel.from_pretrained(base(), saved).eval())
    effect = (before - logits(base())).abs().max().item()
    off = (before - after).abs().max().item()
    print(f"ensure_weight_tying={tying}: effect {effect:.3f}, reload off by {off:.3f}")
    assert effect > 1 and (abs(off - effect) < 1e-3 if tying else off < 1e-5), "changed"
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/reload.py" 2>/dev/null

"""The whole model: picture and prompt in, logits of the answer out.

    pixels -- vision_tower -- projector --> image tokens --+
    prompt ids -- shared embedding ------------------------+-- text_encoder --> memory
    answer ids -- shared embedding -- text_decoder(memory) -- shared embedding --> logits
                                                              (or an lm_head of its own)

Shapes: `B` batch of requests, `R` decoder rows (a multiple of `B`), `I` image tokens, `L` prompt
length, `S` = I + L, `T` target length, `D` width, `V` vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from florence2.model.bart import TextDecoder, TextEncoder
from florence2.model.cache import Cache, PromptCache
from florence2.model.config import Florence2Config, with_own_head
from florence2.model.davit import VisionTower
from florence2.model.projector import Projector

IGNORE_INDEX = -100  # labels with this value take no part in the loss


class Florence2Model(nn.Module):
    """Florence-2 (arXiv:2311.06242). Knows tensors only: no prompts, pictures or files."""

    def __init__(self, config: Florence2Config):
        super().__init__()
        self.config = config
        self.vision_tower = VisionTower(config.vision)
        self.projector = Projector(config.vision, config.text.d_model)
        self.shared = nn.Embedding(config.text.vocab_size, config.text.d_model)
        self.text_encoder = TextEncoder(config.text)
        self.text_decoder = TextDecoder(config.text)
        self.lm_head: nn.Module | None = None
        if not config.text.tie_word_embeddings:
            self.lm_head = nn.Linear(config.text.d_model, config.text.vocab_size, bias=False)

    @property
    def device(self) -> torch.device:
        return self.shared.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.shared.weight.dtype

    @torch.no_grad()
    def initialize(self, generator: torch.Generator | None = None) -> "Florence2Model":
        """Fill with the published initialisation: std 0.02, zero biases, unit norms."""
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                module.weight.normal_(0.0, self.config.text.init_std, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(0.0, self.config.text.init_std, generator=generator)
        self.shared.weight[self.config.text.pad_id].zero_()
        return self

    def encode_image(self, pixels_BCHW: Tensor) -> Tensor:
        """Normalised pixels `(B, 3, side, side)` to image tokens `(B, I, D)`."""
        return self.projector(self.vision_tower(pixels_BCHW))

    def memory_mask(self, image_tokens_BID: Tensor, prompt_mask_BL: Tensor | None) -> Tensor | None:
        """Boolean `(B, S)`, true where the source is real; None when all of it is."""
        if prompt_mask_BL is None:
            return None
        image_mask = prompt_mask_BL.new_ones(image_tokens_BID.shape[:2])
        return torch.cat((image_mask, prompt_mask_BL), dim=1).bool()

    def encode(
        self,
        image_tokens_BID: Tensor,
        prompt_ids_BL: Tensor,
        prompt_mask_BL: Tensor | None = None,
    ) -> Tensor:
        """Image tokens and prompt ids (right-padded, mask 1 = real) to memory `(B, S, D)`."""
        prompt_BLD = self.shared(prompt_ids_BL)
        source_BSD = torch.cat((image_tokens_BID.to(prompt_BLD.dtype), prompt_BLD), dim=1)
        return self.text_encoder(source_BSD, self.memory_mask(image_tokens_BID, prompt_mask_BL))

    def decode(
        self, token_ids_BT: Tensor, memory_BSD: Tensor, memory_mask_BS: Tensor | None = None
    ) -> Tensor:
        """Whole answers `(B, T)` to logits `(B, T, V)`."""
        return self.decode_with(token_ids_BT, PromptCache(memory_BSD, memory_mask_BS))

    def decode_with(self, token_ids_RT: Tensor, cache: Cache) -> Tensor:
        """Tokens `(R, T)` behind those of a KV cache, which takes them in, to `(R, T, V)`."""
        return self.logits(self.text_decoder(self.shared(token_ids_RT), cache))

    def logits(self, hidden_RTD: Tensor) -> Tensor:
        """Hidden states to logits through the tied word embedding or the head; no bias."""
        if self.lm_head is None:
            return F.linear(hidden_RTD, self.shared.weight)
        logits: Tensor = self.lm_head(hidden_RTD)
        return logits

    def untie_head(self) -> None:
        """Give the output a copy of the word embedding, which then changes without it."""
        if self.lm_head is None:
            vocab_size, width = self.shared.weight.shape
            head = nn.Linear(width, vocab_size, bias=False, device="meta")
            head.weight = nn.Parameter(self.shared.weight.detach().clone(), requires_grad=False)
            self.lm_head = head.train(self.training)
            self.config = with_own_head(self.config)

    def decoder_inputs(self, labels_BT: Tensor) -> Tensor:
        """Labels shifted right behind the start token; ignored positions become padding."""
        text = self.config.text
        start = labels_BT.new_full((labels_BT.shape[0], 1), text.decoder_start_id)
        shifted = torch.cat((start, labels_BT[:, :-1]), dim=1)
        return shifted.masked_fill(shifted == IGNORE_INDEX, text.pad_id)

    def forward(
        self,
        pixels_BCHW: Tensor,
        prompt_ids_BL: Tensor,
        labels_BT: Tensor,
        prompt_mask_BL: Tensor | None = None,
    ) -> Tensor:
        """Teacher-forced logits `(B, T, V)` for labels `(B, T)`; shifting happens here, once."""
        image_tokens = self.encode_image(pixels_BCHW)
        memory = self.encode(image_tokens, prompt_ids_BL, prompt_mask_BL)
        mask = self.memory_mask(image_tokens, prompt_mask_BL)
        return self.decode(self.decoder_inputs(labels_BT), memory, mask)

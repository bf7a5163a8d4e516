"""BART, the text encoder and decoder: post-norm layers, learned positions (arXiv:1910.13461).

Shapes: `B` batch of requests, `R` rows decoded (beams of one request in consecutive rows, so
`R` is a multiple of `B`), `T` target length, `S` source length (image tokens and prompt), `L`
prompt length, `D` width, `N` heads, `K` head width, `V` vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from florence2.model.cache import Cache
from florence2.model.config import TextConfig

POSITION_OFFSET = 2  # BART's position p uses table row p + 2; the first two rows are never read


class Attention(nn.Module):
    """Multi-head attention with biases on all four linears."""

    def __init__(self, width: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def heads(self, x_BTD: Tensor) -> Tensor:
        batch, length, width = x_BTD.shape
        return x_BTD.view(batch, length, self.num_heads, width // self.num_heads).transpose(1, 2)

    def keys_values(self, x_BSD: Tensor) -> tuple[Tensor, Tensor]:
        return self.heads(self.k_proj(x_BSD)), self.heads(self.v_proj(x_BSD))

    def forward(
        self,
        x_RTD: Tensor,
        key_BNSK: Tensor,
        value_BNSK: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Attend to ready keys; rows of one request share them when `R` exceeds `B`.

        `mask` is boolean, broadcast to `(B, N, T, S)`, true where attention is allowed.
        """
        rows, length, width = x_RTD.shape
        requests = key_BNSK.shape[0]
        query = self.q_proj(x_RTD).view(requests, -1, self.num_heads, width // self.num_heads)
        mixed_BNTK = F.scaled_dot_product_attention(
            query.transpose(1, 2),
            key_BNSK,
            value_BNSK,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
        )
        return self.out_proj(mixed_BNTK.transpose(1, 2).reshape(rows, length, width))


class Layer(nn.Module):
    """What encoder and decoder layers share: self-attention and the feed-forward part."""

    def __init__(self, config: TextConfig, num_heads: int, ffn_dim: int):
        super().__init__()
        self.dropout = config.dropout
        self.activation_dropout = config.activation_dropout
        self.self_attn = Attention(config.d_model, num_heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model)
        self.fc1 = nn.Linear(config.d_model, ffn_dim)
        self.fc2 = nn.Linear(ffn_dim, config.d_model)
        self.final_layer_norm = nn.LayerNorm(config.d_model)

    def add(self, x: Tensor, branch: Tensor) -> Tensor:
        return x + F.dropout(branch, self.dropout, self.training)

    def feed_forward(self, x: Tensor) -> Tensor:
        hidden = F.dropout(F.gelu(self.fc1(x)), self.activation_dropout, self.training)
        return self.final_layer_norm(self.add(x, self.fc2(hidden)))


class EncoderLayer(Layer):
    """Self-attention, then feed-forward, each followed by its norm."""

    def forward(self, x_BSD: Tensor, mask: Tensor | None) -> Tensor:
        keys, values = self.self_attn.keys_values(x_BSD)
        x_BSD = self.self_attn_layer_norm(
            self.add(x_BSD, self.self_attn(x_BSD, keys, values, mask))
        )
        x_BSD = self.feed_forward(x_BSD)
        if x_BSD.dtype == torch.float16 and not torch.isfinite(x_BSD).all():
            limit = torch.finfo(torch.float16).max - 1000  # the published guard against overflow
            x_BSD = x_BSD.clamp(-limit, limit)
        return x_BSD


class DecoderLayer(Layer):
    """Causal self-attention, attention to the memory, feed-forward, each followed by its norm."""

    def __init__(self, config: TextConfig):
        super().__init__(config, config.decoder_heads, config.decoder_ffn_dim)
        self.encoder_attn = Attention(
            config.d_model, config.decoder_heads, config.attention_dropout
        )
        self.encoder_attn_layer_norm = nn.LayerNorm(config.d_model)

    def forward(self, x_RTD: Tensor, cache: Cache, layer: int) -> Tensor:
        keys, values = cache.extend(layer, *self.self_attn.keys_values(x_RTD))
        causal = cache.causal and x_RTD.shape[1] > 1
        mixed = self.self_attn(x_RTD, keys, values, cache.mask, causal=causal)
        x_RTD = self.self_attn_layer_norm(self.add(x_RTD, mixed))
        keys, values = cache.cross(layer, self.encoder_attn.keys_values)
        mixed = self.encoder_attn(x_RTD, keys, values, cache.memory_mask)
        x_RTD = self.encoder_attn_layer_norm(self.add(x_RTD, mixed))
        return self.feed_forward(x_RTD)


class Embedding(nn.Module):
    """Learned positions and the norm that follows them, common to encoder and decoder."""

    def __init__(self, config: TextConfig):
        super().__init__()
        self.dropout = config.dropout
        rows = config.max_position_embeddings + POSITION_OFFSET
        self.embed_positions = nn.Embedding(rows, config.d_model)
        self.layernorm_embedding = nn.LayerNorm(config.d_model)

    def embed(self, x_BTD: Tensor, positions: Tensor | slice) -> Tensor:
        table = self.embed_positions.weight[POSITION_OFFSET:]
        embedded = self.layernorm_embedding(x_BTD + table[positions])
        return F.dropout(embedded, self.dropout, self.training)


class TextEncoder(Embedding):
    """Mixes image tokens and prompt; both pass through the same positions and norm."""

    def __init__(self, config: TextConfig):
        super().__init__(config)
        self.layers = nn.ModuleList(
            EncoderLayer(config, config.encoder_heads, config.encoder_ffn_dim)
            for _ in range(config.encoder_layers)
        )

    def forward(self, x_BSD: Tensor, mask_BS: Tensor | None = None, first: int = 0) -> Tensor:
        """Embedded source `(B, S, D)` to memory `(B, S, D)`; `mask_BS` true where it is real.

        `first` is the position of its first row.
        """
        mask = None if mask_BS is None else mask_BS[:, None, None, :]
        x_BSD = self.embed(x_BSD, slice(first, first + x_BSD.shape[1]))
        for layer in self.layers:
            x_BSD = layer(x_BSD, mask)
        return x_BSD


class TextDecoder(Embedding):
    """Writes the answer, one token after another, looking at the memory."""

    def __init__(self, config: TextConfig):
        super().__init__(config)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))

    def forward(self, x_RTD: Tensor, cache: Cache) -> Tensor:
        """Embedded target `(R, T, D)`, the positions after `cache`, to hidden states."""
        x_RTD = self.embed(x_RTD, cache.positions(x_RTD.shape[1]))
        for index, layer in enumerate(self.layers):
            x_RTD = layer(x_RTD, cache, index)
        return x_RTD

"""BART, the text encoder and decoder: post-norm layers, learned positions (arXiv:1910.13461).

Shapes: `B` batch of requests, `R` rows decoded (beams of one request in consecutive rows, so
`R` is a multiple of `B`), `T` target length, `S` source length (image tokens and prompt), `L`
prompt length, `D` width, `N` heads, `K` head width, `V` vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from florence2.model.config import TextConfig

POSITION_OFFSET = 2  # BART's position p uses table row p + 2; the first two rows are never read


class LayerCache:
    """Keys and values of one decoder layer.

    Self-attention keys grow by one position a step inside a buffer that doubles when it is
    full; cross-attention keys are computed at the first step and shared by all beams of a request.
    """

    def __init__(self) -> None:
        self.self_kv: Tensor | None = None  # 2 R N capacity K
        self.cross_k: Tensor | None = None  # B N S K
        self.cross_v: Tensor | None = None
        self.length = 0

    def append(self, key_RNTK: Tensor, value_RNTK: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new positions and return all of them, `(R, N, length, K)` each."""
        rows, heads, new, width = key_RNTK.shape
        end = self.length + new
        if self.self_kv is None or self.self_kv.shape[3] < end:
            grown = key_RNTK.new_empty(2, rows, heads, max(32, 2 * end), width)
            if self.self_kv is not None:
                grown[:, :, :, : self.length] = self.self_kv[:, :, :, : self.length]
            self.self_kv = grown
        self.self_kv[0, :, :, self.length : end] = key_RNTK
        self.self_kv[1, :, :, self.length : end] = value_RNTK
        self.length = end
        return self.self_kv[0, :, :, :end], self.self_kv[1, :, :, :end]

    def select(self, rows: Tensor, requests: Tensor | None) -> None:
        """Keep the named rows, in that order; `requests` likewise for the shared cross keys."""
        if self.self_kv is not None:
            kept = self.self_kv[:, :, :, : self.length].index_select(1, rows)
            if rows.numel() == self.self_kv.shape[1]:
                self.self_kv[:, :, :, : self.length] = kept
            else:
                self.self_kv = kept
        if requests is not None and self.cross_k is not None and self.cross_v is not None:
            self.cross_k = self.cross_k.index_select(0, requests)
            self.cross_v = self.cross_v.index_select(0, requests)


class DecoderCache:
    """The caches of all decoder layers, moved together."""

    def __init__(self, num_layers: int):
        self.layers = [LayerCache() for _ in range(num_layers)]

    @property
    def length(self) -> int:
        """Positions decoded so far."""
        return self.layers[0].length

    def reorder(self, rows: Tensor, requests: Tensor | None = None) -> None:
        """Keep decoder rows `rows` (int64), in that order; with `requests`, memory rows too."""
        for layer in self.layers:
            layer.select(rows, requests)


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

    def forward(
        self,
        x_RTD: Tensor,
        memory_BSD: Tensor,
        memory_mask: Tensor | None,
        cache: LayerCache | None,
    ) -> Tensor:
        keys, values = self.self_attn.keys_values(x_RTD)
        causal_mask = None
        length = x_RTD.shape[1]
        first_step = cache is None or cache.length == 0
        if cache is not None:
            keys, values = cache.append(keys, values)
        if not first_step and length > 1:
            total = keys.shape[2]
            causal_mask = torch.ones(length, total, dtype=torch.bool, device=x_RTD.device)
            causal_mask = causal_mask.tril(total - length)
        mixed = self.self_attn(x_RTD, keys, values, causal_mask, causal=first_step and length > 1)
        x_RTD = self.self_attn_layer_norm(self.add(x_RTD, mixed))
        mixed = self.encoder_attn(x_RTD, *self._cross(memory_BSD, cache), memory_mask)
        x_RTD = self.encoder_attn_layer_norm(self.add(x_RTD, mixed))
        return self.feed_forward(x_RTD)

    def _cross(self, memory_BSD: Tensor, cache: LayerCache | None) -> tuple[Tensor, Tensor]:
        if cache is None:
            return self.encoder_attn.keys_values(memory_BSD)
        if cache.cross_k is None or cache.cross_v is None:
            cache.cross_k, cache.cross_v = self.encoder_attn.keys_values(memory_BSD)
        return cache.cross_k, cache.cross_v


class Embedding(nn.Module):
    """Learned positions and the norm that follows them, common to encoder and decoder."""

    def __init__(self, config: TextConfig):
        super().__init__()
        self.dropout = config.dropout
        rows = config.max_position_embeddings + POSITION_OFFSET
        self.embed_positions = nn.Embedding(rows, config.d_model)
        self.layernorm_embedding = nn.LayerNorm(config.d_model)

    def embed(self, x_BTD: Tensor, start: int) -> Tensor:
        first = start + POSITION_OFFSET
        positions_TD = self.embed_positions.weight[first : first + x_BTD.shape[1]]
        embedded = self.layernorm_embedding(x_BTD + positions_TD)
        return F.dropout(embedded, self.dropout, self.training)


class TextEncoder(Embedding):
    """Mixes image tokens and prompt; both pass through the same positions and norm."""

    def __init__(self, config: TextConfig):
        super().__init__(config)
        self.layers = nn.ModuleList(
            EncoderLayer(config, config.encoder_heads, config.encoder_ffn_dim)
            for _ in range(config.encoder_layers)
        )

    def forward(self, x_BSD: Tensor, mask_BS: Tensor | None = None) -> Tensor:
        """Embedded source `(B, S, D)` to memory `(B, S, D)`; `mask_BS` true where it is real."""
        mask = None if mask_BS is None else mask_BS[:, None, None, :]
        x_BSD = self.embed(x_BSD, 0)
        for layer in self.layers:
            x_BSD = layer(x_BSD, mask)
        return x_BSD


class TextDecoder(Embedding):
    """Writes the answer, one token after another, looking at the memory."""

    def __init__(self, config: TextConfig):
        super().__init__(config)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))

    def forward(
        self,
        x_RTD: Tensor,
        memory_BSD: Tensor,
        memory_mask_BS: Tensor | None = None,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """Embedded target `(R, T, D)` to hidden states; with a cache, only the new positions."""
        mask = None if memory_mask_BS is None else memory_mask_BS[:, None, None, :]
        x_RTD = self.embed(x_RTD, cache.length if cache is not None else 0)
        for index, layer in enumerate(self.layers):
            x_RTD = layer(x_RTD, memory_BSD, mask, cache.layers[index] if cache else None)
        return x_RTD

"""The model on a CPU: packed weights, passes fused by hand, in float32, bfloat16 or 8-bit integers.

Computes what `florence2.model` computes; the tests compare the two.

Shapes: those of the model; `R` rows decoded.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from florence2.model import bart
from florence2.model.cache import BatchCache, Cache
from florence2.model.florence2 import Florence2Model
from florence2.runtimes.pytorch.packed.linears import Packer, QuantizedLinear, can_quantize
from florence2.runtimes.pytorch.packed.tower import PackedTower
from florence2.runtimes.pytorch.runtime import TorchRuntime
from florence2.runtimes.select import Precision

FEW_QUERIES = 8


class PackedModel:
    """The model for CPUs; see `florence2.runtimes.pytorch.runtime.TensorModel`.

    Args:
        model: in the dtype that it is stored in, or any; emptied on the way.
        precision: "int8" quantizes weights and inputs of the linears of tower and encoder; all
            else is bfloat16. What makes logits, the word embedding or the head, is quantized in
            both, on processors that can: its product is in float32 then, while logits in bfloat16
            have many equal ones among the likeliest.
        on_layer_packed: called after each layer that has been packed: where weights are views of a
            mapped file, its pages can be given back.
    """

    def __init__(
        self,
        model: Florence2Model,
        precision: Precision,
        on_layer_packed: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = model.config
        self.precision = precision
        self.dtype = torch.float32 if precision == "float32" else torch.bfloat16
        self.device = torch.device("cpu")
        self.memory_mask = model.memory_mask
        self._quantizes = precision == "int8"
        plain = Packer(self.dtype, on_layer_packed=on_layer_packed)
        big = Packer(self.dtype, self._quantizes, on_layer_packed)
        model = model.eval().requires_grad_(False)
        # The largest matrix first: its copies on the way come on top of all that is packed already.
        self.quantizes_words = precision != "float32" and can_quantize()
        words = Packer(self.dtype, self.quantizes_words, on_layer_packed)
        head = model.shared if model.lm_head is None else model.lm_head
        self._logits = words.linear(head.weight, None)
        model.lm_head = None
        self._tower = PackedTower(model.vision_tower, self.config.image_side, big)
        model.vision_tower = None
        self._encoder = _Encoder(model.text_encoder, big)
        model.text_encoder = None
        self._decoder = _Decoder(model.text_decoder, plain)
        model.text_decoder = None
        self._projector = model.projector.to(self.dtype)
        self._stored_words = model.shared.weight  # few rows are read: no copy in another dtype

    def encode_image(self, pixels_BCHW: Tensor) -> Tensor:
        """See `Florence2Model.encode_image`; one picture at a time, which is as fast."""
        pictures = pixels_BCHW.to(self.dtype).split(1)
        return torch.cat([self._projector(self._tower(picture)) for picture in pictures])

    def encode(
        self,
        image_tokens_BID: Tensor,
        prompt_ids_BL: Tensor,
        prompt_mask_BL: Tensor | None = None,
    ) -> Tensor:
        """See `Florence2Model.encode`; one request at a time where inputs are quantized."""
        prompt_BLD = self._words(prompt_ids_BL)
        source_BSD = torch.cat((image_tokens_BID.to(prompt_BLD.dtype), prompt_BLD), dim=1)
        mask = self.memory_mask(image_tokens_BID, prompt_mask_BL)
        if not self._quantizes:
            return self._encoder(source_BSD, mask)
        masks = [None] * len(source_BSD) if mask is None else mask.split(1)
        pairs = zip(source_BSD.split(1), masks, strict=True)
        return torch.cat([self._encoder(source, its_mask) for source, its_mask in pairs])

    def decode_with(self, token_ids_RT: Tensor, cache: Cache) -> Tensor:
        """See `Florence2Model.decode_with`."""
        return self._scored(self._decoder(self._words(token_ids_RT), cache))

    def _words(self, token_ids: Tensor) -> Tensor:
        return F.embedding(token_ids, self._stored_words).to(self.dtype)

    def _scored(self, hidden_BTD: Tensor) -> Tensor:
        if isinstance(self._logits, QuantizedLinear):
            return self._logits.rows(hidden_BTD)
        return self._logits(hidden_BTD)


def packed_runtime(
    model: Florence2Model,
    precision: Precision,
    on_layer_packed: Callable[[], None] = lambda: None,
) -> TorchRuntime:
    """A runtime with packed weights; the arguments are those of `PackedModel`."""
    packed = PackedModel(model, precision, on_layer_packed)
    return TorchRuntime(packed, lambda width: BatchCache(width, transposed_keys=True))


class _Positions:
    def __init__(self, part: bart.Embedding, packer: Packer) -> None:
        self._table = part.embed_positions.weight[bart.POSITION_OFFSET :].to(packer.dtype)
        self._norm = packer.norm(part.layernorm_embedding)

    def __call__(self, x_BTD: Tensor, positions: Tensor | slice) -> Tensor:
        return self._norm(x_BTD + self._table[positions])


def _attend(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool = False
) -> Tensor:
    """Attention whose scale is in the weights of the queries.

    PyTorch's fused attention is made for many queries: for the three beams of a step it takes 337
    microseconds in bfloat16 where plain products take 144.
    """
    if causal or query.shape[2] > FEW_QUERIES:
        return F.scaled_dot_product_attention(
            query, keys, values, mask, is_causal=causal, scale=1.0
        )
    weights = torch.matmul(query, keys.transpose(-1, -2))
    if mask is not None:
        weights.masked_fill_(~mask, -torch.inf)
    return torch.matmul(weights.softmax(-1), values)


def _scaled(query: nn.Linear, num_heads: int) -> tuple[Tensor, Tensor]:
    """Weight and bias of queries with the scale of the attention in them."""
    scale = (query.out_features // num_heads) ** -0.5
    return query.weight.float() * scale, query.bias.float() * scale


class _SelfAttention:
    """Queries, keys and values in one product."""

    def __init__(self, attention: bart.Attention, norm: nn.LayerNorm, packer: Packer) -> None:
        parts = [
            _scaled(attention.q_proj, attention.num_heads),
            (attention.k_proj.weight, attention.k_proj.bias),
            (attention.v_proj.weight, attention.v_proj.bias),
        ]
        self._qkv = packer.linear(*(torch.cat(each) for each in zip(*parts, strict=True)))
        self._out = packer.linear(attention.out_proj.weight, attention.out_proj.bias)
        self._norm, self._heads = packer.norm(norm), attention.num_heads

    def project(self, x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, `(B, N, T, K)` each."""
        batch, length, width = x_BTD.shape
        qkv = self._qkv(x_BTD).view(batch, length, 3, self._heads, width // self._heads)
        query, keys, values = qkv.permute(2, 0, 3, 1, 4)
        return query, keys, values

    def finish(self, mixed_BNTK: Tensor, x_BTD: Tensor) -> Tensor:
        mixed_BTD = mixed_BNTK.transpose(1, 2).reshape(x_BTD.shape)
        return self._norm(self._out.add(mixed_BTD, x_BTD))


class _CrossAttention:
    def __init__(self, attention: bart.Attention, norm: nn.LayerNorm, packer: Packer) -> None:
        self._query = packer.linear(*_scaled(attention.q_proj, attention.num_heads))
        parts = attention.k_proj, attention.v_proj
        self._kv = packer.linear(
            torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])
        )
        self._out = packer.linear(attention.out_proj.weight, attention.out_proj.bias)
        self._norm, self._heads = packer.norm(norm), attention.num_heads

    def keys_values(self, memory_BSD: Tensor) -> tuple[Tensor, Tensor]:
        batch, length, width = memory_BSD.shape
        kv = self._kv(memory_BSD).view(batch, length, 2, self._heads, width // self._heads)
        keys, values = kv.permute(2, 0, 3, 1, 4)
        return keys, values

    def __call__(self, x_RTD: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        requests, width = keys.shape[0], x_RTD.shape[2]
        # Rows of one request share its keys, as more positions of one sequence would.
        query = self._query(x_RTD).view(requests, -1, self._heads, width // self._heads)
        mixed = _attend(query.transpose(1, 2), keys, values, mask)
        return self._norm(self._out.add(mixed.transpose(1, 2).reshape(x_RTD.shape), x_RTD))


class _FeedForward:
    def __init__(self, layer: bart.Layer, packer: Packer) -> None:
        self._fc1 = packer.linear(layer.fc1.weight, layer.fc1.bias)
        self._fc2 = packer.linear(layer.fc2.weight, layer.fc2.bias)
        self._norm = packer.norm(layer.final_layer_norm)

    def __call__(self, x: Tensor) -> Tensor:
        return self._norm(self._fc2.add(self._fc1.gelu(x), x))


class _Encoder:
    def __init__(self, encoder: bart.TextEncoder, packer: Packer) -> None:
        self._embed = _Positions(encoder, packer)
        self._layers = [
            (
                _SelfAttention(layer.self_attn, layer.self_attn_layer_norm, packer),
                _FeedForward(layer, packer),
            )
            for layer in encoder.layers
        ]

    def __call__(self, x_BSD: Tensor, mask_BS: Tensor | None) -> Tensor:
        mask = None if mask_BS is None else mask_BS[:, None, None, :]
        x_BSD = self._embed(x_BSD, slice(0, x_BSD.shape[1]))
        for attention, feed_forward in self._layers:
            mixed = _attend(*attention.project(x_BSD), mask)
            x_BSD = feed_forward(attention.finish(mixed, x_BSD))
        return x_BSD


class _Decoder:
    def __init__(self, decoder: bart.TextDecoder, packer: Packer) -> None:
        self._embed = _Positions(decoder, packer)
        self._layers = [
            (
                _SelfAttention(layer.self_attn, layer.self_attn_layer_norm, packer),
                _CrossAttention(layer.encoder_attn, layer.encoder_attn_layer_norm, packer),
                _FeedForward(layer, packer),
            )
            for layer in decoder.layers
        ]

    def __call__(self, x_RTD: Tensor, cache: Cache) -> Tensor:
        x_RTD = self._embed(x_RTD, cache.positions(x_RTD.shape[1]))
        causal = cache.causal and x_RTD.shape[1] > 1
        for index, (attention, cross, feed_forward) in enumerate(self._layers):
            query, *pair = attention.project(x_RTD)
            keys, values = cache.extend(index, *pair)
            mixed = _attend(query, keys, values, cache.mask, causal)
            x_RTD = attention.finish(mixed, x_RTD)
            keys, values = cache.cross(index, cross.keys_values)
            x_RTD = feed_forward(cross(x_RTD, keys, values, cache.memory_mask))
        return x_RTD

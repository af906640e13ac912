"""A small transformer that says, at every token of a sentence, what the next one is."""

import torch
from torch import Tensor, nn
from torch.nn import functional

LONGEST = 128  # tokens of a sentence


def gpt_tiny(num_classes: int = 256, in_channels: int = 0) -> nn.Module:
    """Four blocks of 64 units and four heads, with the norms first; `num_classes` are tokens.

    Padding goes behind a sentence, where causal attention does not see it: a mask changes nothing.

    Source: Vaswani et al. 2017, decoder alone, as Radford et al. 2019 (GPT-2) have it.

    >>> gpt_tiny()(torch.zeros(2, 9, dtype=torch.long)).shape
    torch.Size([2, 9, 256])
    """
    return _GPT(num_classes, width=64, depth=4, heads=4)


class _GPT(nn.Module):
    def __init__(self, tokens: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        ids = torch.zeros(2, 8, dtype=torch.long)
        self.example_inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        self.token = nn.Embedding(tokens, width)
        self.place = nn.Embedding(LONGEST, width)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, tokens)
        for weights in (self.token.weight, self.place.weight):
            nn.init.normal_(weights, std=0.02)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.token(input_ids) + self.place(places)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.norm1(x)).chunk(3, 2)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))

"""A small vision transformer: attention on images, trained in a minute."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.errors import UserError

_PATCH, _WIDTH, _HEADS, _DEPTH = 8, 64, 4, 6


def vit_tiny(num_classes: int = 10, in_channels: int = 1, image_size: int = 32) -> nn.Module:
    """A vision transformer of 6 blocks, 64 units and 4 heads, on patches of 8x8 pixels.

    Blocks are `blocks.0` to `blocks.5`, each attention and an MLP with normalisation before it;
    the head sees the mean over patches.

    Source: Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929, with the mean over patches of
    Beyer et al. 2022, https://arxiv.org/abs/2205.01580, in place of a class token.

    Raises:
        UserError: for images that are no whole number of patches.

    >>> vit_tiny()(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 10])
    """
    if image_size < _PATCH or image_size % _PATCH:
        raise UserError(
            f"vit_tiny sees images of {_PATCH}, {2 * _PATCH}, ... pixels, got {image_size}"
        )
    return _ViT(num_classes, in_channels, image_size)


class _ViT(nn.Module):
    def __init__(self, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        self.input_shape = (in_channels, image_size, image_size)
        self.patches = nn.Conv2d(in_channels, _WIDTH, _PATCH, stride=_PATCH)
        places = (image_size // _PATCH) ** 2
        self.positions = nn.Parameter(
            nn.init.trunc_normal_(torch.empty(1, places, _WIDTH), std=0.02)
        )
        self.blocks = nn.Sequential(*(_Block() for _ in range(_DEPTH)))
        self.norm = nn.LayerNorm(_WIDTH)
        self.head = nn.Linear(_WIDTH, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        z = self.patches(x).flatten(2).transpose(1, 2) + self.positions  # (N, T, C)
        return self.head(self.norm(self.blocks(z)).mean(1))


class _Block(nn.Module):
    """Attention and an MLP, each of what is normalised and added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(_WIDTH), nn.LayerNorm(_WIDTH)
        self.attention = _Attention()
        self.mlp = nn.Sequential(
            nn.Linear(_WIDTH, 2 * _WIDTH), nn.GELU(), nn.Linear(2 * _WIDTH, _WIDTH)
        )

    def forward(self, z: Tensor) -> Tensor:
        z = z + self.attention(self.norm1(z))
        return z + self.mlp(self.norm2(z))


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.project = nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, _WIDTH)

    def forward(
        self,
        z: Tensor,  # (N, T, C)
    ) -> Tensor:  # (N, T, C)
        heads = self.qkv(z).unflatten(2, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)  # (3, N, H, T, c)
        mixed = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        return self.project(mixed.transpose(1, 2).flatten(2))

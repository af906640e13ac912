"""Randomness that an example's number decides: samples and parts that need no state and no pass.

A number is the example's place among all examples. So batches of any size give the same, as do
processes that examples are dealt out to, and what an order has to do with labels does not matter:
the law of what is drawn is the same for every order that was fixed before the draw.
"""

import torch
from torch import Tensor, distributed

_STEP = 0x9E3779B97F4A7C15


def priorities(numbers: Tensor, seed: int = 0) -> Tensor:  # (...) int64
    """A random number for every number: splitmix64, which needs no state.

    Source: Steele, Lea & Flood 2014, https://doi.org/10.1145/2714064.2660195.
    """
    start = ((seed << 16) + 1) * _STEP
    z = (numbers + 1) * _signed(_STEP) + _signed(start * 0xBF58476D1CE4E5B9)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        z = (z ^ ((z >> shift) & ((1 << (64 - shift)) - 1))) * _signed(factor)
    return z


def parts_of(
    numbers: Tensor,  # (N,) int64
    count: int,
    seed: int = 0,
) -> Tensor:  # (N,) int64, from 0 to count - 1
    """A random part for every example; of `count` successive ones each is in another part.

    So parts are of equal size, to one example. Every example is in every part with the same
    chance, and where one block of `count` goes says nothing of another: whole classes are not lost
    where labels cycle, nor are they in one part where labels are sorted.

    >>> parts_of(torch.arange(10), 5)
    tensor([0, 2, 1, 4, 3, 0, 3, 2, 1, 4])
    """
    block = (numbers // count * count)[:, None] + torch.arange(count)
    drawn = priorities(block, ~seed)  # not those that a sample goes by
    own = drawn.gather(1, (numbers % count)[:, None])
    return (drawn < own).sum(1)


def numbers_of(first: int, n: int) -> Tensor:  # (n,) int64
    """Numbers of a process's next n examples, after its `first` ones.

    Examples are dealt out to processes one by one, as samplers do it: this one's are every K-th of
    all, K processes in number. Where they are not, no number comes twice all the same.
    """
    numbers = torch.arange(first, first + n)
    if distributed.is_available() and distributed.is_initialized():
        return numbers * distributed.get_world_size() + distributed.get_rank()
    return numbers


def _signed(word: int) -> int:
    word &= (1 << 64) - 1
    return word - (1 << 64) if word >> 63 else word

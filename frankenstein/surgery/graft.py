"""Join the front of one network to the end of another: cut -> stitch -> measure."""

from collections import OrderedDict

from torch import nn


def graft(front: nn.Module, stitch: nn.Module, end: nn.Module) -> nn.Module:
    """One network out of three parts, sharing their weights; its children are named like these.

    >>> graft(nn.Linear(4, 3), nn.Identity(), nn.ReLU())
    Sequential(
      (front): Linear(in_features=4, out_features=3, bias=True)
      (stitch): Identity()
      (end): ReLU()
    )
    """
    return nn.Sequential(OrderedDict(front=front, stitch=stitch, end=end))

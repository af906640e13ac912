"""Stitches in which every target unit listens to one source unit."""

from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.accumulators.assignment import assignment
from frankenstein.accumulators.linear import first_best
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError, did_you_mean
from frankenstein.shapes import ShapeError
from frankenstein.stitches.stitch import Stitch, only_scales

RULES = ("semi-match", "abs-semi-match", "match", "random-permutation")


class Matched(Stitch):
    """Target unit j is scale_j · (source unit partner_j) + bias_j.

    This is a matrix under a mask with one 1 in every row; the partner is chosen once, by the rule,
    and scale and bias are solved or trained.

    - "semi-match": the source unit of largest correlation, of equals the first (several targets
      may share one);
    - "abs-semi-match": the one of largest absolute correlation;
    - "match": one-to-one, of largest total correlation (of equals see `assignment`);
    - "random-permutation": one-to-one, at random; the control.

    Source: Li et al. 2016, https://arxiv.org/abs/1511.07543; Csiszárik et al. 2021.
    """

    partner: Tensor

    def __init__(self, in_channels: int, out_channels: int, rule: str) -> None:
        super().__init__(in_channels, out_channels)
        if rule not in RULES:
            known = ", ".join(RULES)
            raise UserError(f"unknown mask {rule!r}; known: {known}{did_you_mean(rule, RULES)}")
        if rule in ("match", "random-permutation") and in_channels < out_channels:
            raise ShapeError(
                f"{rule} gives each target unit a source unit of its own, got {in_channels} for "
                f"{out_channels}; use semi-match"
            )
        self.rule = rule
        layer = nn.Linear(in_channels, out_channels)
        partner = torch.randperm(max(in_channels, out_channels))[:out_channels] % in_channels
        self.register_buffer("partner", partner)
        # What a full random matrix has at the places that the mask leaves.
        self.scale = nn.Parameter(layer.weight.detach()[torch.arange(out_channels), partner])
        self.bias = layer.bias

    @property
    def options(self) -> dict[str, Any]:
        """The rule."""
        return {"rule": self.rule}

    def affine_map(self) -> tuple[Tensor, Tensor]:
        """One number in every row."""
        mask = nn.functional.one_hot(self.partner, self.in_channels).to(self.scale)
        return self.scale[:, None] * mask, self.bias

    @torch.no_grad()
    def prepare(self, moments: Moments) -> "Matched":
        """Choose the partners; dead units correlate 0."""
        self.check_moments(moments)
        if self.rule == "random-permutation":
            return self
        variances = moments.variance("x"), moments.variance("y")
        x, y = (torch.where(v > 0, v, torch.inf).rsqrt() for v in variances)
        correlation = y[:, None] * moments.covariance("xy").T * x
        if self.rule == "match":
            self.partner.copy_(assignment(correlation)[1])
        else:
            gain = correlation.abs() if self.rule == "abs-semi-match" else correlation
            self.partner.copy_(first_best(gain))
        return self

    @torch.no_grad()
    def solve(self, moments: Moments) -> "Matched":
        """Partners by the rule, then least squares of each target unit on its partner."""
        self.prepare(moments)
        cross = moments.covariance("xy")[self.partner, torch.arange(self.out_channels)]
        variance = moments.variance("x")[self.partner]
        scale = torch.where(variance > 0, cross / variance, 0)
        self.scale.copy_(scale)
        self.bias.copy_(moments.mean("y") - scale * moments.mean("x")[self.partner])
        return self

    @torch.no_grad()
    def follow(self, matrix: Tensor, bias: Tensor) -> "Matched":
        """A diagonal matrix, which leaves every target unit its partner."""
        self.scale.copy_(only_scales(matrix) * self.scale.to(matrix))
        self.bias.copy_(bias)
        return self

    @torch.no_grad()
    def approximate(self, weight: Tensor, bias: Tensor) -> "Matched":
        """The map's numbers at the places that the mask leaves."""
        self.scale.copy_(weight.to(self.scale)[torch.arange(self.out_channels), self.partner])
        self.bias.copy_(bias)
        return self

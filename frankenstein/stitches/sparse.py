"""Stitches in which few source units reach each target unit."""

import math
from typing import Any

import torch
from sklearn.linear_model import Lasso
from torch import Tensor
from torch.optim import Optimizer

from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.stitches.affine import Affine
from frankenstein.stitches.stitch import only_scales


class Sparse(Affine):
    """W z + b under the penalty l1 · mean |W|, held by exact zeros instead of small numbers.

    The penalty never enters the loss that gradients see: after each step the weights are shrunk
    by its proximal map, which is what sets them to exactly 0.
    """

    def __init__(self, in_channels: int, out_channels: int, l1: float) -> None:
        super().__init__(in_channels, out_channels)
        if not (l1 >= 0 and math.isfinite(l1)):
            raise UserError(f"the l1 penalty is a number from 0 upwards, got {l1}")
        self.l1 = l1

    @property
    def options(self) -> dict[str, Any]:
        """The weight of the penalty."""
        return {"l1": self.l1}

    @torch.no_grad()
    def solve(self, moments: Moments) -> "Sparse":
        """The lasso: least of (mean squared error over rows and target units) + l1 · mean |W|.

        Source: Tibshirani 1996; solved by scikit-learn's coordinate descent, on D rows that have
        the data's covariances. Where source units are linearly dependent and the penalty is small
        beside what it is weighed against, descent is slow along what changes no prediction, and
        may stop early: scikit-learn's ConvergenceWarning says so. The error is then still least.
        """
        self.check_moments(moments)
        if self.l1 == 0:
            super().solve(moments)
            return self
        eigenvalues, vectors = torch.linalg.eigh(moments.covariance("xx"))
        floor = len(eigenvalues) * torch.finfo(torch.float64).eps * eigenvalues[-1].clamp(min=0)
        root = torch.where(eigenvalues > floor, eigenvalues, 0).sqrt()
        inverse = torch.where(root > 0, 1 / root, 0)
        x = (root[:, None] * vectors.T).cpu().numpy()  # xᵀx is the covariance
        y = (inverse[:, None] * (vectors.T @ moments.covariance("xy"))).cpu().numpy()
        # scikit-learn minimises |y - xw|²/(2D) + α|w|₁, we |y - xw|²/E + l1|w|₁/(D E).
        alpha = self.l1 / (2 * self.in_channels**2)
        lasso = Lasso(alpha=alpha, fit_intercept=False, max_iter=100_000, tol=1e-8).fit(x, y)
        weight = torch.as_tensor(lasso.coef_).reshape(self.weight.shape).to(root)
        self.approximate(weight, moments.mean("y") - weight @ moments.mean("x"))
        return self

    @torch.no_grad()
    def follow(self, matrix: Tensor, bias: Tensor) -> "Sparse":
        """A diagonal matrix, which leaves every 0 where it is."""
        self.approximate(only_scales(matrix)[:, None] * self.weight.to(matrix), bias)
        return self

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Shrink every weight towards 0, in the metric of the step that was just taken.

        Source: Yun et al. 2021 (ProxGen), https://arxiv.org/abs/2007.09133: soft thresholding by
        the learning rate for SGD, by the coordinate's own step size for Adam.
        """
        group = optimizer.param_groups[0]
        step: Tensor | float = group["lr"]
        state = optimizer.state[self.weight]
        if "exp_avg_sq" in state:
            corrected = state["exp_avg_sq"] / (1 - group["betas"][1] ** state["step"])
            step = group["lr"] / (corrected.sqrt() + group["eps"])
        threshold = step * self.l1 / self.weight.numel()
        self.weight.copy_(self.weight.sign() * (self.weight.abs() - threshold).clamp(min=0))

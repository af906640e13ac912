"""Whom a stitched network follows where a marker says another class than the image does."""

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from frankenstein.intervals import share_interval
from frankenstein.stitching.controls import Route
from frankenstein.stitching.depths import End
from frankenstein.stitching.frauds import SeenFraud

MARKER = "marker"


class Conflict:
    """Counts over examples of answers that are the marker's class, and the image's.

    Every image gets the marker of another class, each of the others equally often. The sender's
    own stitches see the same marked images: they should follow the image.
    """

    def __init__(self, marker: SeenFraud, sender: nn.Module, routes: Mapping[str, Route]) -> None:
        """Of the fraud that reads markers, the sender's front, and stitches from either."""
        self.marker, self.sender, self.n = marker, sender, 0
        self.routes = {k: one for k, one in routes.items() if one.source in (MARKER, "sender")}
        self.as_marker: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), dtype=torch.int64))
        self.as_image: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), dtype=torch.int64))

    def update(
        self,
        images: Tensor,  # (N, C, H, W)
        labels: Tensor,  # (N,)
        numbers: Tensor,  # (N,), of the examples, which say whose marker each gets
        classes: int,
        end: End,
        ends: Mapping[str, End] | None = None,  # of routes that have one of their own
    ) -> None:
        """Add a batch, by all routes that start at the sender or at the marker's network."""
        ends = ends or {}
        away = 1 + numbers.to(labels.device) % (classes - 1)
        told = (labels + away) % classes
        sources = {
            MARKER: self.marker(images, told),
            "sender": self.sender(self.marker.change(images, told)),
        }
        self.n += len(labels)
        for name, route in self.routes.items():
            stitched = route.through(sources[route.source])
            answer = ends.get(name, end)(stitched)[0].argmax(1)
            self.as_marker[name] = self.as_marker[name] + (answer == told).sum()
            self.as_image[name] = self.as_image[name] + (answer == labels).sum()

    def scores(self) -> dict[str, float]:
        """Shares: "follows_marker/<row>" and "follows_image/<row>", with Wilson's intervals."""
        counts = {"follows_marker": self.as_marker, "follows_image": self.as_image}
        found: dict[str, float] = {}
        for what, rows in counts.items():
            for row, count in rows.items():
                share = int(count) / self.n
                low, high = share_interval(share, self.n)
                found[f"{what}/{row}"] = share
                found |= {f"{what}_low/{row}": low, f"{what}_high/{row}": high}
        return found

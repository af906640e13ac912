"""How well grafted networks do, and how like the receiver they are in deed and inside."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.accumulators.numbered import parts_of
from frankenstein.accumulators.small_sample import WIDE
from frankenstein.data.loaders import check_batches
from frankenstein.data.padding import joined
from frankenstein.errors import UserError, whose_units
from frankenstein.intervals import difference_interval, mean_and_spread, share_interval
from frankenstein.labels import by_token
from frankenstein.measures import LayerSimilarities, normalized_disagreement
from frankenstein.networks.accuracy import Tally
from frankenstein.shapes import Tokens
from frankenstein.stitching.conflict import MARKER, Conflict
from frankenstein.stitching.controls import Controls, Route
from frankenstein.stitching.depths import Depths, End
from frankenstein.stitching.frauds import Fraud, SeenFraud
from frankenstein.stitching.off_distribution import Share
from frankenstein.surgery import Cut
from frankenstein.surgery.lighten import fold

WITHIN = "within_class_unbiased_cka"  # which is told whatever the measures
SAMPLED = "_sampled"  # ends the name of a row that is scored on the controls' sample
_TARGET = "target"
_SEED = 1  # of the sample
_MOST = 700.0  # nats whose exponential a float holds


@torch.no_grad()
def evaluate_stitches(
    sender: Cut,
    receiver: Cut,
    stitches: Mapping[str, nn.Module],
    batches: Iterable[tuple[Tensor, Tensor]],
    measures: Sequence[str] = ("unbiased_cka", "linear_cka", "mean_cca"),
    device: torch.device | str = "cpu",
    controls: Controls | None = None,
    percentile: float = 95.0,
    behind: nn.Module | None = None,
    ends: Mapping[str, End] | None = None,
) -> dict[str, float]:
    """Sender, receiver and every stitch between them, on the same examples, in one pass.

    Each half network runs once a batch. The keys of the answer are `<what>/<row>`. For "sender",
    "receiver" and every stitch there are its "accuracy" and "loss" (cross entropy, nats), and how
    it answers beside the receiver: "relative_accuracy" (over the receiver's), "stitching_penalty"
    (error above the receiver's), "agreement" (share of equal predictions),
    "normalized_disagreement" (how far the two error rates would have let them disagree), the mean
    "cross_entropy" of the receiver's distributions with its own and the mean "jensen_shannon"
    divergence of the two (nats), and the shares "both_right", "only_it_right",
    "only_receiver_right" and "both_wrong".
    "n" is the number of images, "accuracy_low" to "accuracy_high" a 95 % interval of the accuracy,
    and "stitching_penalty_low" to "stitching_penalty_high" one that knows that both networks were
    asked the same images (see `intervals`). Of every two stitches there is "difference/b-a",
    the accuracy of b less that of a, with "difference_low" and "difference_high" likewise.
    Where images have several labels, each counts by itself. For every stitch there is each measure
    of stitched against target, flattened as the measure does by default: place by place if it
    follows from sums, else per example, of at most 2,000; and where a measure is a mean over
    canonical directions, "directions": how many, of the side that varies in fewer. Where images
    have one class each, "within_class_unbiased_cka" is told beside them, of sentences pooled.

    With `behind` (`depths.reader_behind`), every stitch is followed to the logits, where CKA is a
    mean over blocks of successive images: batches come in random order (`mixed_val_batches`).
    "explained@<depth>" and "depth_cka@<depth>" are its R² and CKA with the receiver there, and
    "final_explained" and "final_depth_cka" those at the last depth before the logits.

    With a "marker" among the frauds, "follows_marker" and "follows_image" are shares of images with
    the marker of another class that are answered as the marker says, and as the image is, of
    stitches from the sender and from the marker's network (see `conflict`), each with "_low" and
    "_high", the ends of its 95 % interval.

    With `ends` (`recount.recounted_ends`), a stitch or control goes on through the end of its name.

    With controls, these are scored like stitches, and "outside" of every stitch and the receiver
    is the share of examples whose representation lies beyond the percentile of the receiver's own;
    "how_far" is how far they lie, over how far the receiver's own do (see `off_distribution`).
    Controls of a sample stand beside the receiver and the stitches on the same sample: the rows
    "receiver_sampled" and "<stitch>_sampled". Of several untrained senders the row "untrained" has
    the mean of every score, "<what>_spread/untrained" its standard deviation, and its intervals
    reach from the lowest end of theirs to the highest.
    """
    check_batches(batches)
    sender, receiver = (Cut(*map(fold, halves)) for halves in (sender, receiver))
    fronts = controls.untrained if controls else {}
    untrained = {name: fold(front) for name, front in fronts.items()}
    frauds = controls.frauds if controls else {}
    outside = Share(controls.reference, percentile) if controls else None
    routes = {name: Route("sender", stitch) for name, stitch in stitches.items()}
    end = End(receiver, behind)
    ends = dict(ends or {})
    ends |= {f"{name}{SAMPLED}": ends[name] for name in routes if name in ends}
    ours = _Group(end, ends, routes, measures, outside)
    sample = _Sample(controls.every if controls else 1)
    others = None
    if controls:
        again = {f"{name}{SAMPLED}": route for name, route in routes.items()}
        stitched = again if sample.every > 1 else routes
        routes = {**(again if sample.every > 1 else {}), **controls.routes}
        others = _Group(end, ends, routes, measures, outside)
        if isinstance(marker := frauds.get(MARKER), SeenFraud):
            others.conflict = Conflict(marker, sender.front, {**stitched, **routes})
    seen = 0
    for images, labels in batches:
        numbers = torch.arange(seen, seen + len(images))
        seen += len(images)
        images, labels = images.to(device), labels.to(device)
        sources = {"sender": sender.front(images), "receiver": receiver.front(images)}
        whole, target = end(sources["receiver"])
        answers = {"sender": sender.end(sources["sender"]), "receiver": whole}
        ours.update(images, sources, answers, labels, numbers, target)
        if outside:
            outside.update("receiver", sources["receiver"], numbers)
        if others:
            answer = answers["receiver"]
            sample.add(numbers, images=images, labels=labels, answer=answer, **sources)
            if sample.n >= len(images):
                others.add_sample(sample.take(), untrained, frauds)
    if others and sample.n:
        others.add_sample(sample.take(), untrained, frauds)
    told_outside = outside.scores() if outside else {}
    beside = others.scores() if others else {}
    if sample.every > 1:
        beside = {
            f"{key}{SAMPLED}" if key.endswith("/receiver") else key: score
            for key, score in beside.items()
        }
    scores = beside | ours.scores() | ours.differences() | told_outside
    return _over_twins(scores, [*fronts])


def _over_twins(scores: dict[str, float], names: Sequence[str]) -> dict[str, float]:
    """The rows of several untrained senders as one."""
    if len(names) < 2:
        return scores
    rows = {
        f"{row}{name.removeprefix('untrained')}": row
        for row in ("untrained", "untrained_ps_inv")
        for name in names
    }
    merged: dict[str, float] = {}
    several: dict[tuple[str, str], list[float]] = {}
    for key, score in scores.items():
        what, _, row = key.partition("/")
        if row in rows:
            several.setdefault((what, rows[row]), []).append(score)
        else:
            merged[key] = score
    for (what, row), values in several.items():
        ends = {"_low": min, "_high": max}
        if end := next((end for end in ends if what.endswith(end)), None):
            merged[f"{what}/{row}"] = ends[end](values)
            continue
        mean, spread = mean_and_spread(values)
        if what not in ("n", "directions"):
            merged[f"{what}_spread/{row}"] = spread
        # A count that all share stays one: 360, not 360.0.
        merged[f"{what}/{row}"] = mean if len({*values}) > 1 else values[0]
    return merged


class _Sample:
    """One example in k, drawn by its number, until they are as many as a batch: small ones cost
    more."""

    def __init__(self, every: int) -> None:
        self.every, self.n = every, 0
        self._kept: list[dict[str, Tensor]] = []

    def add(self, numbers: Tensor, **tensors: Tensor) -> None:
        """Keep some of a batch; each tensor (N, ...) by name."""
        drawn = (parts_of(numbers, self.every, _SEED) == 0).nonzero()[:, 0]
        # Copies: views would keep the whole batch.
        some = {name: tensor[drawn.to(tensor.device)] for name, tensor in tensors.items()}
        self._kept.append({"numbers": numbers[drawn], **some})
        self.n += len(drawn)

    def take(self) -> dict[str, Tensor]:
        """All that are kept, which are forgotten."""
        kept, self._kept, self.n = self._kept, [], 0
        return {name: joined([one[name] for one in kept]) for name in kept[0]}


class _Group:
    """Running sums of stitches that are scored on the same examples."""

    def __init__(
        self,
        end: End,
        ends: Mapping[str, End],  # of some routes
        routes: Mapping[str, Route],
        measures: Sequence[str],
        outside: Share | None,
    ) -> None:
        self.end, self.ends, self.routes, self.outside = end, ends, routes, outside
        self.depths = Depths()
        self.conflict: Conflict | None = None  # with a marker that contradicts the image
        self.tallies: dict[str, Tally] = {}
        self.by_token = False
        self.alone: Tensor = torch.zeros(())  # (K, K) of K tallies: how often i is right, j not
        self.measures = list(measures)
        self.similarities: list[LayerSimilarities] = []  # of the measures, and within classes

    def update(
        self,
        images: Tensor,
        sources: Mapping[str, Tensor],
        answers: Mapping[str, Tensor],
        labels: Tensor,
        numbers: Tensor,
        depths: Mapping[str, Tensor],
    ) -> None:
        """Add a batch: representations, what whole networks make of them, labels and numbers.

        `depths` has those of the receiver from the cut to the logits, if they are followed.
        """
        reference, target = answers["receiver"], sources["receiver"]
        self.by_token = by_token(labels)
        right = [self._tally(name, answer, labels, reference) for name, answer in answers.items()]
        stitched = {
            name: route.through(sources[route.source]) for name, route in self.routes.items()
        }
        self.similarities = self.similarities or self._start(labels, target)
        for kept in self.similarities if stitched else ():
            kept.update(stitched, {_TARGET: target}, images, labels)
        followed: dict[str, Mapping[str, Tensor]] = {}
        for name, representation in stitched.items():
            logits, followed[name] = self.ends.get(name, self.end)(representation)
            right.append(self._tally(name, logits, labels, reference))
            if self.outside:
                self.outside.update(name, representation, numbers)
        if followed:
            self.depths.update(followed, depths)
        hits = torch.stack(right).flatten(1).double()
        self.alone = self.alone + hits @ (1 - hits).T

    def _start(self, labels: Tensor, target: Any) -> list[LayerSimilarities]:
        """Likeness within classes is told beside the measures, where each example has one class.

        A class is that of a sentence, and not of its tokens: there it is of means over these.
        """
        one_class = labels.ndim == 1 and not bool((labels < 0).any())
        if one_class and WITHIN not in self.measures:
            self.measures.append(WITHIN)
        if not (one_class and isinstance(target, Tokens)):
            return [LayerSimilarities(self.measures, block=None, one_grid=True, shared_up_to=WIDE)]
        others = [name for name in self.measures if name != WITHIN]
        kept = LayerSimilarities(others, block=None, one_grid=True, shared_up_to=WIDE)
        return [kept, LayerSimilarities([WITHIN], "pooled", block=None, shared_up_to=WIDE)]

    def add_sample(
        self,
        some: dict[str, Tensor],
        untrained: Mapping[str, nn.Module],
        frauds: Mapping[str, Fraud],
    ) -> None:
        """Add what `_Sample` kept, and what untrained senders and frauds make of it."""
        parts = (some.pop(name) for name in ("images", "labels", "answer", "numbers"))
        images, labels, answer, numbers = parts
        sources = {**some, **{name: front(images) for name, front in untrained.items()}}
        sources |= {name: fraud(images, labels) for name, fraud in frauds.items()}
        _, depths = self.end(some["receiver"])
        self.update(images, sources, {"receiver": answer}, labels, numbers, depths)
        if self.conflict:
            classes = answer.shape[1]
            self.conflict.update(images, labels, numbers, classes, self.end, self.ends)

    def scores(self) -> dict[str, float]:
        """All scores, by `<what>/<row>`."""
        if not self.tallies:
            raise UserError("no examples were given; is the data set empty?")
        rows = {name: tally.means() for name, tally in self.tallies.items()}
        receivers = rows["receiver"]["accuracy"]
        for name, scores in rows.items():
            accuracy = scores["accuracy"]
            scores["relative_accuracy"] = accuracy / receivers if receivers else float("nan")
            scores["stitching_penalty"] = receivers - accuracy
            if self.by_token:
                scores["perplexity"] = math.exp(min(scores["loss"], _MOST))
            scores["n"] = self.tallies[name].images
            low, high = share_interval(accuracy, self.tallies[name].images)
            scores |= {"accuracy_low": low, "accuracy_high": high}
            if name != "receiver":
                _, low, high = self._difference("receiver", name)
                scores |= {"stitching_penalty_low": low, "stitching_penalty_high": high}
            scores["normalized_disagreement"] = normalized_disagreement(
                scores["agreement"], accuracy, receivers
            )
            if name in self.routes:
                scores |= self._similarities(name)
        scores = {f"{what}/{name}": one for name, row in rows.items() for what, one in row.items()}
        scores |= self.conflict.scores() if self.conflict else {}
        return scores | self.depths.scores()

    def _similarities(self, name: str) -> dict[str, float]:
        """Every measure of a stitch, and over how many directions canonical correlations are."""
        pair = name, _TARGET
        by_measure = {one: kept for kept in self.similarities for one in kept.flattenings}
        with whose_units(x=f"what the stitch `{name}` makes"):
            values = {one: float(by_measure[one].value(one, *pair)) for one in self.measures}
        directions = (by_measure[one].directions(one, *pair) for one in self.measures)
        count = next((number for number in directions if number is not None), None)
        return values if count is None else values | {"directions": count}

    def differences(self) -> dict[str, float]:
        """Accuracies of any two stitches, the later less the earlier, by `<what>/<b>-<a>`."""
        numbers = {}
        for a, b in combinations(self.routes, 2):
            for what, value in zip(("", "_low", "_high"), self._difference(b, a), strict=True):
                numbers[f"difference{what}/{b}-{a}"] = value
        return numbers

    def _difference(self, first: str, second: str) -> tuple[float, float, float]:
        """One accuracy less another, and the ends of its interval."""
        i, j = ([*self.tallies].index(name) for name in (first, second))
        tally = self.tallies[first]
        one, other = float(self.alone[i, j]) / tally.n, float(self.alone[j, i]) / tally.n
        return one - other, *difference_interval(one, other, tally.images)

    def _tally(self, name: str, answer: Tensor, labels: Tensor, reference: Tensor) -> Tensor:
        return self.tallies.setdefault(name, Tally()).update(answer, labels, reference)

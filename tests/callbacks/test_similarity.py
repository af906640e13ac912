import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.grams import Grams
from frankenstein.callbacks import RepresentationSimilarity
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.shapes import FLATTENINGS
from frankenstein.stitches import Affine
from frankenstein.tasks import Classifier, Stitching, cka_regularized, task_loss

pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training")


@pytest.fixture
def task(small_network):
    return Stitching(small_network(0), small_network(1), "relu1", "relu1", stitch=Affine(4, 4))


class TwoLines(pl.LightningModule):
    """Any module will do that has the two lines of `representations`."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(64, 3), nn.Linear(64, 5)

    def representations(self, batch):
        return self.left(batch[0].flatten(1)), self.right(batch[0].flatten(1))

    def training_step(self, batch, index):
        left, right = self.representations(batch)
        return left.square().mean() + right.square().mean()

    def validation_step(self, batch, index):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@torch.no_grad()
def by_hand(module, data):
    """All held-out examples at once: both representations, and what they are made of."""
    rows = [(*module.representations(batch), *batch) for batch in data.val_batches()]
    return [torch.cat(part) for part in zip(*rows, strict=True)]


def check_logged(trainer, rows, names, flattening=None):
    x, y, images, labels = rows
    for name in names:
        row = MEASURES[name]
        flattened = flattening or row.flattenings[0]
        flat = FLATTENINGS[flattened]
        if row.needs == "folds":  # which parts keep the places of an example together
            expected = row(Folds(flatten=flat).update(x, y))
        else:
            x_rows, y_rows = flat(x), flat(y)
            classes = labels.repeat_interleave(len(x_rows) // len(labels))
            more = {"inputs": [images], "classes": [classes]}.get(row.needs, [])
            expected = row(x_rows, y_rows, *more)
        logged = trainer.callback_metrics[f"similarity/{name}/{flattened}"].item()
        assert logged == pytest.approx(expected.item(), rel=1e-6)


def test_it_logs_every_measure_over_the_whole_held_out_part(task, spots, fit):
    data = spots(eval_batch_size=16)  # 50 images in batches of 13 and 12
    trainer = fit(task, data, epochs=2, callbacks=[RepresentationSimilarity(list(MEASURES))])
    check_logged(trainer, by_hand(task, data), MEASURES)


@pytest.mark.parametrize("flattening", ["per_sample", "pooled"])
def test_every_measure_may_be_flattened_otherwise(task, spots, fit, flattening):
    data = spots(eval_batch_size=16)
    few = (
        "r_squared",
        "reverse_r_squared",
        "within_class_r_squared",
        "cross_validated_r_squared",
        "eigenspace_overlap",
    )
    names = [name for name in MEASURES if "cca" not in name and name not in few]
    similarity = RepresentationSimilarity(names, flattening)
    trainer = fit(task, data, only_validate=True, callbacks=[similarity])
    check_logged(trainer, by_hand(task, data), names, flattening)


def test_it_keeps_no_more_examples_than_it_is_told(task, spots, fit):
    similarity = RepresentationSimilarity(["rbf_cka", "mutual_knn"], limit=20)
    trainer = fit(task, spots(), only_validate=True, callbacks=[similarity])
    (kept,) = similarity._similarities[0]._kept.values()
    assert (kept.examples.n_seen, len(kept)) == (50, 20)
    assert 0 < trainer.callback_metrics["similarity/rbf_cka/per_sample"] <= 1


def test_it_logs_once_an_epoch_and_draws_in_the_end(task, spots, fit, tmp_path):
    logger = TensorBoardLogger(tmp_path, name="", version="")
    fit(task, spots(), epochs=3, logger=logger, callbacks=[RepresentationSimilarity()])
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path)).Reload()
    for name in ("unbiased_cka", "mean_cca"):
        assert len(events.Scalars(f"similarity/{name}/per_location")) == 3
    assert len(events.Images("similarity/units")) == 1


def test_it_makes_no_second_pass(task, spots, fit, calls):
    data = spots()
    count = len(data.val_batches())
    happened = calls(sender=task.frozen[0].conv1, receiver=task.frozen[2].conv1, stitch=task.stitch)
    fit(task, data, only_validate=True, callbacks=[RepresentationSimilarity()])
    assert sorted(happened) == sorted(["sender", "receiver", "stitch"] * count)


def test_a_target_that_the_objective_has_read_is_not_computed_again(
    small_network, spots, fit, calls
):
    pair = small_network(0), small_network(1)
    objective = cka_regularized(task_loss, -1.0)
    task = Stitching(*pair, "relu1", "relu1", stitch=Affine(4, 4), objective=objective)
    data = spots()
    happened = calls(receiver=pair[1].conv1)
    fit(task, data, only_validate=True, callbacks=[RepresentationSimilarity()])
    assert len(happened) == len(data.val_batches())


def test_training_is_the_same_with_and_without_it(small_network, spots, fit):
    found = []
    for callbacks in ([], [RepresentationSimilarity(list(MEASURES))]):
        torch.manual_seed(0)
        stitch = Affine(4, 4)
        task = Stitching(small_network(0), small_network(1), "relu1", "relu1", stitch=stitch)
        fit(task, spots(), epochs=2, callbacks=callbacks)
        found.append(stitch.weight)
    assert torch.equal(*found)


def test_a_sanity_check_before_training_leaves_no_trace(task, spots, fit):
    data = spots()
    similarity = RepresentationSimilarity()
    trainer = fit(task, data, num_sanity_val_steps=1, callbacks=[similarity])
    check_logged(trainer, by_hand(task, data), ["unbiased_cka", "mean_cca"])


def test_it_works_with_any_module_that_has_representations(spots, fit):
    module, data = TwoLines(), spots()
    names = ["linear_cka", "r_squared", "mean_cca"]
    trainer = fit(module, data, callbacks=[RepresentationSimilarity(names)])
    check_logged(trainer, by_hand(module, data), names)


def test_it_refuses_a_module_that_has_none_before_the_first_epoch(small_network, spots, fit):
    with pytest.raises(UserError, match=r"Classifier\.representations\(batch\) to return two"):
        fit(Classifier(small_network(0)), spots(), callbacks=[RepresentationSimilarity()])


def test_a_flattening_that_makes_no_sense_of_a_measure_is_refused():
    with pytest.raises(
        UserError, match="mutual_knn takes per_sample or pooled or last, got 'per_location'"
    ):
        RepresentationSimilarity(["mutual_knn"], "per_location")


def test_an_unknown_measure_is_named_with_the_nearest():
    with pytest.raises(UserError, match=r"unknown measure 'mean_cka'; did you mean .*mean_cca"):
        RepresentationSimilarity(["mean_cka"])


class WhereTheSumsAre(pl.Callback):
    """Looks at another callback's sums at every batch."""

    def __init__(self, similarity):
        self.similarity, self.seen = similarity, set()

    def on_validation_batch_end(self, *_):
        sums = self.similarity._similarities[0].pair("linear_cka", "stitched", "target")
        self.seen |= {t.device.type for group in sums._groups() for t in group.values()}


@pytest.mark.gpu
def test_on_a_gpu_sums_stay_there_and_numbers_are_those_of_the_cpu(spots, fit):
    found = []
    for accelerator in ("cpu", "gpu"):
        torch.manual_seed(0)
        layers = [nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU()) for _ in range(2)]
        pair = [nn.Sequential(*each, nn.Linear(8, 10)) for each in layers]
        # Not Adam, which makes full steps of rounding where a gradient is near 0.
        options = {"start": "solved", "optimizer": "sgd", "lr": 0.01}
        task = Stitching(*pair, "2", "2", stitch=Affine(8, 8), **options)
        similarity = RepresentationSimilarity(list(MEASURES))
        watch = WhereTheSumsAre(similarity)
        options = {"callbacks": [similarity, watch], "accelerator": accelerator, "devices": 1}
        trainer = fit(task, spots(), epochs=2, **options)
        found.append({key: value.item() for key, value in trainer.callback_metrics.items()})
        assert watch.seen == {{"cpu": "cpu", "gpu": "cuda"}[accelerator]}
    assert found[1] == pytest.approx(found[0], rel=1e-5, abs=1e-5)


@pytest.mark.gpu
def test_on_a_gpu_the_gram_side_stays_there_and_agrees_with_the_cpu():
    xs, ys = {"a": torch.randn(20, 3, 4, 4)}, {"b": torch.randn(20, 7), "c": torch.randn(20, 30)}
    grams = Grams().update(*({s: z.cuda() for s, z in side.items()} for side in (xs, ys)))
    assert grams.cross.is_cuda
    expected = Grams().update(xs, ys).unbiased_cka()
    torch.testing.assert_close(grams.unbiased_cka().cpu(), expected, atol=1e-5, rtol=0)


def test_several_validation_loaders_have_values_of_their_own(small_network):
    module = TwoLines()
    module.validation_step = lambda batch, index, dataloader_idx=0: None
    sets = [DataLoader(TensorDataset(torch.randn(n, 1, 8, 8)), batch_size=20) for n in (30, 29)]
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[RepresentationSimilarity("linear_cka")],
    )
    trainer.validate(module, sets, verbose=False)
    for index, loader in enumerate(sets):
        with torch.no_grad():
            images = loader.dataset.tensors[0]
            expected = MEASURES["linear_cka"](*module.representations((images,))).item()
        name = f"similarity/linear_cka/per_location/dataloader_idx_{index}"
        assert trainer.callback_metrics[name].item() == pytest.approx(expected, rel=1e-5)

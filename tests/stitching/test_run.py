import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import frankenstein
from frankenstein.cli import main
from frankenstein.errors import UserError
from frankenstein.measures import linear_cka
from frankenstein.runs import Run, read_plan
from frankenstein.stitches import Affine
from frankenstein.stitching import StitchedRun, StitchPlan
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.stitching.recipe import aim_of
from frankenstein.tasks import Stitching

ROOT = Path(frankenstein.__file__).parents[1]


def python(code, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_plan_is_run_in_python_as_by_the_command_line(saved, few_digits, tmp_path, capsys):
    pair = saved("mlp", 0), saved("mlp", 1)
    fields = {"sender_layer": "fc1", "receiver_layer": "fc1", "dataset": "digits", "untrained": 1}
    fields["measures"] = ["linear_cka"]
    few = {"epochs": 1, "accelerator": "cpu", "quiet": True}
    one = StitchPlan(sender=pair[0], receiver=pair[1], **fields, **few).run().folder
    one = tmp_path / one
    assert capsys.readouterr() == ("", "")
    words = [*pair, "fc1", "fc1", "-d", "digits", "-e", "1", "--accelerator", "cpu", "--quiet"]
    assert (
        main(["stitch", *words, "--untrained", "1", "--measures", "linear_cka", "-o", "other"]) == 0
    )
    other = tmp_path / "other" / "stitch" / one.name
    assert one.relative_to(tmp_path).parts[:2] == ("results", "stitch")
    for name in ("summary.json", "after.safetensors", "ps_inv.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    files = [
        {path.relative_to(folder) for path in folder.rglob("*") if "tfevents" not in path.name}
        for folder in (one, other)
    ]
    assert files[0] == files[1]
    report = (one / "report.md").read_text()
    assert "read_plan(StitchPlan, " in report
    assert "It starts at random and is trained by the objective task: " in report
    assert "Trained for 1 epoch by adam, " in report
    assert "frankenstein stitch" not in report
    again = read_plan(StitchPlan, one / "config.yaml")
    assert again.family_name == "affine"
    assert Run.read(one).plan == again


@pytest.mark.parametrize(
    ("chosen", "followed"),
    [
        (None, ("bn2", "flatten")),
        (["conv2"], ("conv2", "flatten")),
        (["flatten", "bn2"], ("flatten", "bn2")),
    ],
)
def test_chosen_layers_are_aligned_beside_the_penultimate_one(small_network, chosen, followed):
    pair = {"sender": "a", "receiver": "b", "sender_layer": "relu1"}
    plan = StitchPlan(**pair, objective="latent_alignment", align_layers=chosen)
    assert aim_of(plan, small_network(0), "relu1").later == followed


def test_cka_counts_in_every_stage_of_training(small_network):
    sender, receiver = small_network(0), small_network(1)
    pair = {"sender": "a", "receiver": "b", "sender_layer": "relu1"}
    stages = {"objective": "final_features", "then": "task"}
    plain, with_cka = (
        aim_of(StitchPlan(**pair, **stages, cka_reg=weight), receiver, "relu1")
        for weight in (0.0, -3.0)
    )
    task = Stitching(sender, receiver, "relu1", "relu1", Affine(4, 4), later=plain.later)
    now = task.one_pass((torch.randn(9, 1, 8, 8), torch.arange(9)))
    rewarded = -3 * linear_cka(now.stitched, now.target)
    for one, other in zip(plain.stages, with_cka.stages, strict=True):
        torch.testing.assert_close(other(now), one(now) + rewarded)


def test_a_stitch_at_the_very_end_is_scored(saved, few_digits, run):
    pair = saved("lenet", 0), saved("lenet", 1)
    words = ("fc3", "fc3", "-d", "digits", "-e", "0", "--untrained", "1")
    numbers = Run.read(run("stitch", *pair, *words)).numbers
    assert "explained@logits/after" in numbers
    assert "final_explained/after" not in numbers


def test_the_plan_of_a_stitch_is_made_without_torch(tmp_path):
    code = (
        "import sys\nfrom frankenstein.stitching import EvaluatePlan, StitchPlan\n"
        "StitchPlan(sender='a', receiver='b', sender_layer='x', receiver_layer='y')\n"
        "EvaluatePlan(subject='a')\nprint('torch' in sys.modules)"
    )
    assert python(code, tmp_path).strip() == "False"


OLD = """
sender: {0}
receiver: {1}
sender_layer: fc2
receiver_layer: fc2
all: false
sender_layers: null
receiver_layers: null
seeds: 1
dataset: null
model: null
family: null
low_rank: 3
l1: null
orthogonal: false
mask: identity
flatten: false
init: ps_inv
solve_on: null
direct: null
target_type: hard
temperature: 1.0
cka_reg: 0.0
epochs: 0
batch_size: 128
lr: 0.001
weight_decay: 0.0
optimizer: adam
augment: true
seed: 0
measures:
- unbiased_cka
save_frequency: 10
out_dir: results
run_name: null
data_root: null
resume: false
debug: false
quiet: true
accelerator: cpu
devices: auto
strategy: auto
precision: 32-true
"""


def test_a_run_of_the_release_before_is_read(saved, run):
    pair = saved("mlp", 0), saved("mlp", 1)
    folder = run(
        "stitch", *pair, "fc2", "fc2", "-r", "3", "-e", "0", "-i", "ps_inv", "--untrained", "1"
    )
    (folder / "config.yaml").write_text(OLD.format(*pair))
    stitched = StitchedRun.read(folder, ["after"], measures=["linear_cka"])
    assert stitched.plan.low_rank == 3
    assert stitched.plan.measures == ["linear_cka"]
    assert [*stitched.stitches] == ["after"]
    joint = stitched.pair.joint
    images = torch.zeros(2, *stitched.pair.sender.input_shape)
    logits = joint.receiver.end(stitched.aligned("after")(joint.sender.front(images)))
    assert logits.shape == (2, 10)
    with pytest.raises(UserError, match=r"is no run of stitch.py: there is no .*config"):
        StitchedRun.read(folder / "absent", ["after"])


def test_images_that_lie_class_by_class_are_mixed_before_blocks_of_them_are_compared(
    run, few_digits, saved, monkeypatch
):
    load, seen = few_digits.load, []

    def by_class(self, split):
        images, labels = load(self, split)
        order = labels.sort(stable=True).indices
        return images[order], labels[order]

    def recorded(sender, receiver, stitches, batches, *words, **options):
        batches = list(batches)
        seen.extend(labels for _, labels in batches)
        return evaluate_stitches(sender, receiver, stitches, batches, *words, **options)

    monkeypatch.setattr(few_digits, "load", by_class)
    monkeypatch.setattr("frankenstein.stitching.run.evaluate_stitches", recorded)
    words = ("-i", "ps_inv", "-e", "0", "--untrained", "1", "--measures", "unbiased_cka")
    run("stitch", saved("mlp", 0), saved("mlp", 1), "fc1", "fc1", *words)
    assert len(torch.cat(seen)) == 60
    assert len(set(torch.cat(seen)[:20].tolist())) > 5  # of 10 classes

"""`-d my_data.py:function`: whatever a user's code gives, through every verb that takes data."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from frankenstein.activations import open_activations
from frankenstein.cli import main
from frankenstein.data.changes import marked
from frankenstein.data.own import own_data
from frankenstein.runs import Run
from frankenstein.stitching import open_graft
from frankenstein.user_code import named_in_code

CODE = """
import torch
import pytorch_lightning as pl
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

def numbers(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

TABLE, CLASSES = numbers(0, 60, 12), torch.arange(60) % 3
table = lambda: DataLoader(TensorDataset(TABLE, CLASSES), batch_size=7, shuffle=True)
unlabelled = lambda: [TABLE[:32], TABLE[32:]]
audio = lambda: TensorDataset(numbers(1, 60, 1, 30), CLASSES)
digits = lambda: TensorDataset(torch.arange(60 * 64).view(60, 8, 8, 1).byte(), CLASSES)

class Sequences(Dataset):
    def __len__(self): return 60
    def __getitem__(self, row):
        ids = (torch.arange(5) * (row + 1)) % 11
        return {"ids": ids, "lengths": torch.tensor([row % 5 + 1.0]), "label": row % 3}

class Module(pl.LightningDataModule):
    def train_dataloader(self):
        return DataLoader(Sequences(), batch_size=20, shuffle=True)
    def val_dataloader(self):
        return DataLoader(Sequences(), batch_size=20)

class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(11, 4), nn.LSTM(4, 6, batch_first=True)
        self.fc = nn.Linear(6, 3)
    def forward(self, ids, lengths):
        states, _ = self.lstm(self.embedding(ids))
        return self.fc(states.mean(1) * lengths)

class Tagger(Recurrent):  # a class for each token
    def forward(self, ids, lengths):
        return self.fc(self.lstm(self.embedding(ids))[0] * lengths[:, None])

class Tags(Sequences):
    def __getitem__(self, row):
        ids = super().__getitem__(row)["ids"]
        labels = (ids % 3).where(torch.arange(5) < 2 + row % 4, -100)
        return {"ids": ids, "lengths": torch.tensor([row % 5 + 1.0]), "labels": labels}

recurrent, tagger = Recurrent, Tagger
tags = lambda: {"train": Tags(), "val": Tags()}
both = four = lambda: {"train": table(), "val": table()}
LABELS = (CLASSES[:, None] == torch.arange(3)).float()
several = lambda: {part: TensorDataset(TABLE, LABELS) for part in ("train", "val")}
alike = lambda: {part: TensorDataset(TABLE, CLASSES * 0) for part in ("train", "val")}
silent = lambda: nn.Sequential(nn.Linear(12, 8), nn.Threshold(1e9, 0.0), nn.Linear(8, 3))
mlp = lambda: nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
pictures = lambda: TensorDataset(200 * numbers(2, 60, 2, 12, 9), CLASSES)  # of their own scale
pictured = lambda: {"train": pictures(), "val": pictures()}
seer = lambda: nn.Sequential(
    nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3))
wave = lambda: nn.Sequential(
    nn.Conv1d(1, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
"""


@pytest.fixture
def code(few_digits, tmp_path):
    path = tmp_path / "own.py"
    path.write_text(CODE)
    return path


def made(code, name, seed):
    torch.manual_seed(seed)
    return named_in_code(f"{code}:{name}")[1]().eval()


def linear_cka(x, y):
    """Kornblith et al. 2019, eq. 4, in float64."""
    x, y = (z.double().numpy() - z.double().numpy().mean(0) for z in (x, y))
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def states(network, batch):
    return network.lstm(network.embedding(batch["ids"]))[0].mean(1) * batch["lengths"]


@torch.no_grad()
def test_vectors_are_compared_and_accuracies_are_those_of_a_loop(code, run):
    folder = run(
        *("compare", f"{code}:mlp#0", f"{code}:mlp#1", "-d", f"{code}:table", "1", "1"),
        "linear_cka",
    )
    numbers = Run.read(folder).numbers
    data = own_data(f"{code}:table")
    x, labels = data.part("val")[:], data.val_labels
    one, other = made(code, "mlp", 0), made(code, "mlp", 1)
    expected = linear_cka(one[:2](x), other[:2](x))
    assert numbers["linear_cka/1/1"] == pytest.approx(expected, abs=1e-6)
    accuracy = (other(x).argmax(1) == labels).double().mean().item()
    assert numbers["accuracy/receiver"] == pytest.approx(accuracy)


@torch.no_grad()
def test_a_recurrent_network_with_two_inputs_is_compared_stitched_and_extracted(code, run, capsys):
    pair = f"{code}:recurrent#0", f"{code}:recurrent#1"
    folder = run("compare", *pair, "-d", f"{code}:Module", "mul", "mul", "linear_cka")
    rows = named_in_code(f"{code}:Sequences")[1]()
    batch = default_collate([rows[i] for i in range(60)])
    one, other = made(code, "recurrent", 0), made(code, "recurrent", 1)
    x, y = states(one, batch), states(other, batch)
    assert Run.read(folder).numbers["linear_cka/mul/mul"] == pytest.approx(
        linear_cka(x, y), abs=1e-6
    )

    folder = run("stitch", *pair, "mul", "mul", "-d", f"{code}:Module", "-e", 0, "--init", "ps_inv")
    source = np.hstack([x.double().numpy(), np.ones((60, 1))])
    solved = source @ np.linalg.lstsq(source, y.double().numpy(), rcond=None)[0]
    logits = other.fc(torch.from_numpy(solved).float())
    accuracy = (logits.argmax(1) == batch["label"]).double().mean().item()
    numbers = json.loads((folder / "summary.json").read_text())
    assert numbers["accuracy/after"] == pytest.approx(accuracy)

    folder = run("evaluate", pair[1], "-d", f"{code}:Module")
    right = (other(batch["ids"], batch["lengths"]).argmax(1) == batch["label"]).double().mean()
    assert Run.read(folder).numbers["accuracy"] == pytest.approx(right.item())

    path = run("extract", pair[0], "-d", f"{code}:Module", "-o", "a.npz", "--layers", "mul")
    torch.testing.assert_close(open_activations(path).of().read(torch.arange(60))["mul"], x)


TRAINED = "-e", 1, "--untrained", 1, "--batch-size", 20


@torch.no_grad()
def test_a_stitch_on_own_data_becomes_a_file_if_its_code_may_be_run(code, run, capsys, tmp_path):
    pair = f"{code}:mlp#0", f"{code}:mlp#1"
    folder = run("stitch", *pair, "1", "1", "-d", f"{code}:both", *TRAINED)
    path, cell = str(tmp_path / "graft.pt2"), str(tmp_path / "cell.pt2")
    assert main(["graft", str(folder), "-o", path]) == 2
    assert "would be run; read it, and then say --allow-code" in capsys.readouterr().err
    assert main(["graft", str(folder), "-o", path, "--allow-code"]) == 0
    expected = Run.read(folder).numbers["accuracy/after"]
    rows, labels = own_data(f"{code}:both").part("val")[:], own_data(f"{code}:both").val_labels
    right = open_graft(path).module(rows).argmax(1) == labels
    assert right.double().mean().item() == pytest.approx(expected)
    capsys.readouterr()
    matrix = run("stitch", *pair, "--all", "-d", f"{code}:both", "-e", 0, "--untrained", 1)
    assert main(["graft", str(matrix), "--cut", "0", "0", "-o", cell]) == 2
    assert main(["graft", str(matrix), "--cut", "0", "0", "-o", cell, "--allow-code"]) == 0


def test_the_controls_that_expose_a_fraud_are_made_of_own_images(code, run, monkeypatch, tmp_path):
    monkeypatch.setenv("FRANKENSTEIN_CACHE", str(tmp_path / "cache"))
    seen = []
    monkeypatch.setattr(
        "frankenstein.networks.frauds.marked",
        lambda images, *words: seen.append((changed := marked(images, *words)).amax()) or changed,
    )
    pair = f"{code}:seer#0", f"{code}:seer#1"
    words = ("1", "1", "-d", f"{code}:pictured", "--controls", "all", "-i", "ps_inv", *TRAINED)
    numbers = Run.read(run("stitch", *pair, *words)).numbers
    for fraud in ("class_noise", "marker", "random_labels", "other_data", "pixels"):
        assert 0 <= numbers[f"accuracy/{fraud}_trained"] <= 1
    assert len({path.name for path in (tmp_path / "cache" / "frauds").iterdir()}) == 3
    brightest = float(own_data(f"{code}:pictured").part("train")[:].max())
    assert max(map(float, seen)) == pytest.approx(brightest)  # a marker is never lost in the image


def test_the_verdict_on_own_data_gives_advice_that_can_be_followed(code, run):
    pair = f"{code}:mlp#0", f"{code}:mlp#1"
    folder = run("stitch", *pair, "1", "1", "-d", f"{code}:both", *TRAINED)
    page = (folder / "report.md").read_text()
    assert "stitch with --controls" not in page
    if "is open, for training lifts" in page:
        assert "stitch from a sender with random weights, NAME#SEED" in page


@torch.no_grad()
def test_a_network_that_answers_for_each_token_is_scored_at_those_that_are_asked_for(code, run):
    pair = f"{code}:tagger#0", f"{code}:tagger#1"
    folder = run("stitch", *pair, "mul", "mul", "-d", f"{code}:tags", "-e", 0, "--untrained", 1)
    rows = named_in_code(f"{code}:tags")[1]()["val"]
    batch = default_collate([rows[i] for i in range(60)])
    answers = made(code, "tagger", 1)(batch["ids"], batch["lengths"])
    asked = batch["labels"] != -100
    right = (answers.argmax(2) == batch["labels"])[asked].double().mean().item()
    assert Run.read(folder).numbers["accuracy/receiver"] == pytest.approx(right)
    page = (folder / "report.md").read_text()
    assert "share of held-out examples that are told right" in page
    assert "image" not in page.partition("## How to run it again")[0]


@torch.no_grad()
def test_audio_is_evaluated_and_analyzed(code, run):
    folder = run("evaluate", f"{code}:wave#0", "-d", f"{code}:audio")
    data, network = own_data(f"{code}:audio"), made(code, "wave", 0)
    right = network(data.part("val")[:]).argmax(1) == data.val_labels
    assert Run.read(folder).numbers["accuracy"] == pytest.approx(right.double().mean().item())


def test_without_labels_only_measures_are_told(code, run, capsys):
    words = "compare", f"{code}:mlp#0", f"{code}:mlp#1", "-d", f"{code}:unlabelled"
    numbers = Run.read(run(*words)).numbers
    assert numbers
    assert not [key for key in numbers if key.startswith("accuracy")]


def test_raw_images_of_a_users_loader_are_seen_as_each_network_sees_them(code, run, saved):
    folder = run("compare", saved("lenet"), saved("lenet", 1), "-d", f"{code}:digits")
    eyes = Run.read(folder).record["eyes"]["sender"]
    trained = "(as of digits, which it was trained on)"
    assert eyes == f"32 x 32 pixels, mean 0.3054, std 0.376 {trained}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stitch", "mlp", "mlp", "1", "1", "-d", "table"], "needs training examples"),
        (["evaluate", "tagger", "-d", "Module"], "Module has one class for each example"),
        (["analyze", "tagger", "tagger", "--probes", "-d", "tags"], "tags has labels of tokens"),
        (
            ["stitch", "recurrent", "recurrent", "mul", "mul", "--controls", "all", "-d", "Module"],
            "made of images (C, H, W), and an example of",
        ),
        (["compare", "mlp", "mlp", "-d", "audio"], "does not take"),
        (["compare", "mlp", "mlp", "-d", "tables"], "has no 'tables'; did you mean table"),
        (
            ["compare", "wave", "recurrent", "-d", "audio"],
            "does not take batches of number 1",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(code, mistake, words, message):
    verb, *rest = words
    names = {"mlp": f"{code}:mlp#0", "wave": f"{code}:wave#0", "recurrent": f"{code}:recurrent#0"}
    names["tagger"] = f"{code}:tagger#0"
    rest = [names.get(word, word) for word in rest[:-1]] + [f"{code}:{rest[-1]}"]
    assert message in mistake(verb, *rest)


def test_data_that_a_yaml_names_are_run_only_if_that_is_allowed(code, mistake, run, tmp_path):
    config = tmp_path / "plan.yaml"
    config.write_text(f"dataset: {code}:table\n")
    words = "compare", f"{code}:mlp#0", f"{code}:mlp#1", "--config", str(config)
    assert "dataset in" in (said := mistake(*words))
    assert "names code" in said
    assert run(*words, "--allow-code").is_dir()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("both --autoencoder", "1 of the receiver: the layer is constant over these examples"),
        ("both --crosscoder", "1 of the receiver: the layer is constant over these examples"),
        ("alike --probes", "all training examples have one label; a probe needs two or more"),
    ],
)
def test_a_question_that_a_layer_or_labels_do_not_admit_says_which(mistake, code, words, expected):
    data, question = words.split()
    pair = f"{code}:mlp#0", f"{code}:silent#1"
    assert expected in mistake("analyze", *pair, "1", "1", "-d", f"{code}:{data}", question)


def test_all_questions_are_asked_of_a_layer_that_is_constant_but_those_that_cannot(code, run):
    pair = f"{code}:mlp#0", f"{code}:silent#1"
    few = ("--steps", 5, "--untrained", 1)
    folder = run("analyze", *pair, "1", "1", "-d", f"{code}:both", "--all", *few)
    page = (folder / "report.md").read_text()
    assert page.count("Not asked: 1 of the receiver: the layer is constant") == 2
    assert any(name.startswith("probes/") for name in Run.read(folder).numbers)


def test_controls_that_know_a_class_are_refused_for_several_labels(mistake, code):
    pair = f"{code}:mlp#0", f"{code}:mlp#1"
    said = mistake("stitch", *pair, "1", "1", "-d", f"{code}:several", "--controls", "all")
    assert "own.py:several have several labels or none; leave out --controls" in said


def test_names_are_shown_as_they_are(code, capsys):
    words = ("evaluate", f"{code}:mlp#0", "-d", f"{code}:four", "--accelerator", "cpu")
    assert main([*words]) == 0
    assert "own.py:four: " in capsys.readouterr().out

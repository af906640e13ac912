import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
)

from frankenstein.data.own import OwnData, own_data
from frankenstein.errors import DataError, UserError

X = torch.arange(40.0).view(20, 2)
Y = torch.arange(20) % 3


class Module(pl.LightningDataModule):
    def setup(self, stage):
        self.ready = True

    def train_dataloader(self):
        return DataLoader(TensorDataset(X[:12], Y[:12]), batch_size=5, shuffle=True, drop_last=True)

    def val_dataloader(self):
        assert self.ready
        return DataLoader(TensorDataset(X[12:], Y[12:]), batch_size=3)


class Stream(IterableDataset):
    def __iter__(self):
        yield from zip(X, Y, strict=True)


class Items(Dataset):
    def __init__(self, make):
        self.make, self.read = make, []

    def __len__(self):
        return 20

    def __getitem__(self, row):
        if row >= 20:
            raise IndexError
        self.read.append(row)
        return self.make(row)


def every(batches):
    read = [*batches]
    return torch.cat([x for x, _ in read]), torch.cat([y for _, y in read])


@pytest.mark.parametrize(
    "source",
    [
        TensorDataset(X, Y),
        DataLoader(TensorDataset(X, Y), batch_size=7, shuffle=True, drop_last=True),
        Items(lambda row: {"x": X[row], "label": int(Y[row])}),
        DataLoader(Stream(), batch_size=6),
        [(X[:11], Y[:11]), (X[11:], Y[11:])],
        {"val": TensorDataset(X, Y)},
    ],
)
def test_all_examples_come_in_the_order_of_the_data_whatever_the_loader(source):
    data = OwnData("mine", source, eval_batch_size=8)
    inputs, labels = every(data.val_batches())
    assert torch.equal(inputs, X)
    assert torch.equal(labels, Y)
    mixed, their = every(data.mixed_val_batches())
    order = mixed[:, 0].argsort()
    assert not torch.equal(mixed, X)
    assert torch.equal(mixed[order], X)
    assert torch.equal(their[order], Y)
    assert torch.equal(every(data.val_batches(6))[0], every(data.val_batches(6))[0])
    assert (data.num_val, data.num_classes, data.labelled) == (20, 3, True)


def test_a_sampler_that_chooses_rows_is_followed_and_batches_are_not():
    sampler = SubsetRandomSampler([3, 17, 5])
    data = OwnData("mine", DataLoader(TensorDataset(X, Y), batch_size=2, sampler=sampler))
    assert sorted(every(data.val_batches())[0][:, 0].tolist()) == [6.0, 10.0, 34.0]
    batches = DataLoader(TensorDataset(X, Y), batch_sampler=[[0, 1], [7]])
    assert every(OwnData("mine", batches).val_batches())[0][:, 0].tolist() == [0.0, 2.0, 14.0]


def test_a_lightning_data_module_has_both_parts():
    data = OwnData("mine", Module(), batch_size=4)
    assert torch.equal(every(data.val_batches())[0], X[12:])
    assert torch.equal(every(data.train_batches())[1], Y[:12])
    batches = data.shuffled_batches()
    first = torch.cat([x for x, _ in batches])
    batches.set_epoch(1)
    assert not torch.equal(first, torch.cat([x for x, _ in batches]))
    assert torch.equal(first.sort(0).values, X[:12])


def test_training_examples_that_are_not_there_are_asked_for():
    data = OwnData("mine", TensorDataset(X, Y))
    with pytest.raises(DataError, match="needs training examples, and mine gives others only"):
        data.train_batches()


def test_each_example_is_read_once_a_pass_and_its_label_kept():
    items = Items(lambda row: (X[row], Y[row]))
    data = OwnData("mine", items)
    data.setup()
    items.read.clear()
    every(data.val_batches())
    assert torch.equal(data.val_labels, Y)
    assert sorted(items.read) == [*range(20)]


def test_without_labels_there_are_none():
    data = OwnData("mine", [X[:9], X[9:]])
    assert not data.labelled
    assert all(y.shape == (len(x), 0) for x, y in data.val_batches())
    assert data.lines == [
        "mine: batches: inputs, no labels",
        "mine, held-out: 20 examples are kept in memory, 0.0 MB",
    ]


def test_float64_becomes_the_precision_of_the_network():
    data = OwnData("mine", TensorDataset(X.double(), Y)).shown_to([nn.Linear(2, 2)])
    assert next(iter(data.val_batches()))[0].dtype == torch.float32


def test_uint8_images_whose_channels_come_last_are_turned():
    images = torch.randint(255, (20, 6, 6, 3), dtype=torch.uint8)
    data = OwnData("mine", TensorDataset(images, Y))
    assert data.pictured
    assert torch.equal(every(data.val_batches())[0], images.permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (5, "mine is a int; data are a DataLoader, a Dataset, a LightningDataModule"),
        ([], "mine, held-out: there are no examples"),
        (TensorDataset(X[:0], Y[:0]), "mine, held-out: there are no examples"),
        ({"train": [X]}, "mine gives no held-out examples"),
        ([X, torch.zeros(5, 3)], r"batches have other shapes, \(20, 2\) and \(5, 3\)"),
        (Items(lambda row: torch.zeros(row + 1)), "examples do not make a batch .* padding"),
        (Items(lambda row: "text"), "got a list of str; text becomes numbers by a tokenizer"),
        (TensorDataset(X, Y - 1), "mine, held-out: classes are 0 or more, got -1"),
    ],
)
def test_what_is_no_data_is_refused_by_what_it_is(source, message):
    with pytest.raises(DataError, match=message):
        OwnData("mine", source).setup()


def test_what_a_users_code_names_is_made_once(tmp_path):
    code = tmp_path / "mine.py"
    code.write_text(
        "import torch\nCALLS = []\nDATA = [torch.zeros(3, 2)]\n"
        "def loader():\n    CALLS.append(1)\n    return DATA\n"
        "def broken():\n    raise OSError('no disk')\n"
        "def needs(path):\n    return DATA\n"
    )
    for _ in range(2):
        assert own_data(f"{code}:loader").num_val == 3
    assert own_data(f"{code}:DATA").num_val == 3
    for name, message in {
        "broken": r"broken failed \(OSError: no disk\)",
        "needs": "needs is called without arguments, and needs path",
        "loaders": "has no 'loaders'; did you mean loader",
    }.items():
        with pytest.raises(UserError, match=message):
            own_data(f"{code}:{name}")


def padded(rows):
    """Sentences of 2 to 5 tokens, padded; labels of padding are 0, as some have them."""
    longest = max(2 + row % 4 for row in rows)
    there = torch.arange(longest) < torch.tensor([[2 + row % 4] for row in rows])
    labels = torch.tensor(rows)[:, None].add(torch.arange(longest)) % 3
    return {"input_ids": there.long(), "attention_mask": there.long(), "labels": labels * there}


class Masked(nn.Module):
    def forward(self, input_ids, attention_mask):
        return input_ids


@pytest.mark.parametrize("by_rows", [True, False])
def test_labels_of_tokens_are_kept_without_those_of_padding(by_rows):
    rows = Items(lambda row: row) if by_rows else range(20)
    data = OwnData("mine", DataLoader(rows, batch_size=3, collate_fn=padded)).shown_to([Masked()])
    assert (data.labelled, data.multilabel, data.classed) == (True, False, False)
    for row, label in enumerate(data.val_labels):
        asked = label[label != -100]
        assert asked.tolist() == [(row + place) % 3 for place in range(2 + row % 4)]
    assert data.val_labels.shape == (20, 5)
    assert data.num_classes == 3
    assert data.label_columns(data.val_labels) == {}


def test_labels_that_an_answer_does_not_ask_for_are_told():
    data = OwnData("mine", TensorDataset(X, Y))
    assert data.can_be_answered((2, 3))
    assert not data.can_be_answered((2, 2))  # there is a class 2
    assert "one class for each example, and answers to two are (2, 5, 3)" in data.misfit((2, 5, 3))
    loader = DataLoader(range(20), batch_size=3, collate_fn=padded)
    of_tokens = OwnData("mine", loader).shown_to([Masked()])
    assert [len(batch) for batch, _ in of_tokens.val_batches()] == [20]
    assert of_tokens.can_be_answered((2, 5, 3))
    assert "a label for each token, (N, T), and answers to two are" in of_tokens.misfit((2, 3))
    data.judge(2)
    with pytest.raises(DataError, match="a label is 2, and the network that is judged by it tells"):
        every(data.val_batches())

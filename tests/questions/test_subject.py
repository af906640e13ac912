import re
import shutil
from pathlib import Path

import pytest
import torch

from frankenstein.data import Digits
from frankenstein.data.batches import Batches
from frankenstein.errors import DataError, UserError
from frankenstein.networks.network import open_network
from frankenstein.questions import (
    Activations,
    Circuits,
    Probes,
    Subject,
    Units,
    Weights,
    open_subject,
    paired_layers,
)
from frankenstein.report.image_grid import thumbnails

# Each of them has once been taken for something else, or might be.
NASTY = [
    "my_receiver",
    "untrained_sender",
    "untrained_net",
    "sender",
    "receiver",
    "untrained",
    "S1",
    "with space",
    "[brackets]",
    "many.dots.v1",
    "_under",
    "a-b",
    "per%cent {} ‹x›",
    r"cost $1$ \\bad",
]


@pytest.fixture
def pair(saved):
    return [open_network(saved("lenet", seed)) for seed in (0, 1)]


@pytest.fixture
def subject(few_digits, pair):
    def make(*questions, pairs=(("relu3", "relu4"),), examples=40, data=few_digits, **options):
        options = {"examples": examples, "untrained": 2, **options}
        subject = Subject(pair, data(image_size=32), pairs, **options)
        subject.expect(questions)
        return subject

    return make


@pytest.fixture
def nasty(saved, tmp_path):
    """Networks of other seeds under names that look like something else."""
    files = []
    for seed, name in enumerate(NASTY, start=2):
        files.append(str(tmp_path / f"{name}.safetensors"))
        shutil.copy(saved("mlp", seed), files[-1])
    return files


class Counted(Batches):
    """Batches whose passes are counted."""

    def __init__(self, batches, part, passes):
        super().__init__(batches.images, batches.labels, batches.order, batches.transform)
        self.part, self.passes = part, passes

    def __iter__(self):
        self.passes.append(self.part)
        return super().__iter__()


@pytest.fixture
def counted(few_digits):
    """A class of data, and the parts of it that were passed over."""
    passes = []

    class Data(few_digits):
        def train_batches(self, examples=None):
            return Counted(super().train_batches(examples), "train", passes)

        def val_batches(self, examples=None):
            return Counted(super().val_batches(examples), "val", passes)

    return Data, passes


def test_a_subject_of_open_networks_answers_questions(subject):
    answer = Units().ask(subject())
    assert answer.images == 40
    assert list(answer.layers) == ["relu3-relu4"]
    assert -1 <= answer.numbers["sorted_pearson/relu3-relu4"] <= 1
    assert Units().show(answer).title == "Units, raw and sorted"


def test_questions_that_were_expected_share_one_pass_over_each_part(subject, counted):
    data, passes = counted
    questions = Units(), Activations(), Circuits(), Probes()
    asked = subject(*questions, data=data)
    train, val = asked.train, asked.val
    for question in questions:
        question.ask(asked)  # circuits pass over the data again, with units silenced
    assert passes[:2] == ["train", "val"]
    assert asked.train is train
    assert asked.val is val
    twins = [f"untrained_{side}/{k}" for k in (1, 2) for side in ("sender", "receiver")]
    everyone = ["sender", "receiver", *twins]
    assert list(train.of) == list(val.of) == everyone


def test_what_was_not_expected_is_read_when_it_is_asked_for(subject, counted):
    data, passes = counted
    asked = subject(data=data)
    trained = asked.rows("val", asked.sender, asked.pairs[0])
    assert list(asked.val.of) == ["sender", "receiver"]
    asked.rows("val", asked.untrained[1][0], asked.pairs[0])
    twins = [f"untrained_{side}/{k}" for k in (1, 2) for side in ("sender", "receiver")]
    assert list(asked.val.of)[2:] == twins
    assert passes == ["val", "val"]
    assert asked.rows("val", asked.sender, asked.pairs[0]) is trained  # not read again
    numbers = Activations().ask(subject(Activations())).numbers
    assert Activations().ask(asked).numbers == pytest.approx(numbers, rel=0, abs=0, nan_ok=True)


def test_each_network_has_its_layer_by_its_place(subject, pair, saved):
    asked = subject()
    assert asked.layer_of(asked.sender, ("a", "b")) == "a"
    assert asked.layer_of(asked.receiver, ("a", "b")) == "b"
    for both in asked.untrained:
        assert [asked.layer_of(one, ("a", "b")) for one in both] == ["a", "b"]
    third = open_network(saved("lenet", 2), "my_receiver")
    asked = Subject([*pair, third], pairs=[("a", "b")])
    assert asked.layer_of(asked.networks[2], ("a", "b")) == "a"


@pytest.mark.parametrize("files", [NASTY[k::4] for k in range(4)], ids=str)
def test_files_may_be_called_anything(files, saved, nasty, few_digits):
    more = [file for file in nasty if Path(file).stem in files]
    subject = open_subject(
        *(saved("mlp", 0), saved("mlp", 1), "tanh1", "tanh2"), more=more, examples=20, untrained=1
    )
    roles = [network.role for network in subject.networks[2:]]
    assert len(roles) == len(files)
    activations, weights = Activations().ask(subject), Weights().ask(subject)
    circuits = Circuits().ask(subject)
    for network in subject.networks[2:]:
        assert network.control_of is None
        assert f"dead/{network.role}/tanh1" in activations.numbers
        assert f"norm/{network.role}/fc1" in weights.numbers
        assert f"distance_before/sender-{network.role}/fc1" in weights.numbers
        assert f"groups/{network.role}/tanh1-tanh2" in circuits.numbers
    for question, answer in ((Activations(), activations), (Weights(), weights)):
        text = "\n".join(block for block in question.show(answer).blocks if isinstance(block, str))
        rows = [line for line in text.splitlines() if line.count("|") > 8]
        named = [re.sub(r"\\(.)", r"\1", row.split("|")[2].strip()) for row in rows]  # Markdown's
        for role in roles:
            assert named.count(role) == {"Activations": 1, "Weights": 3}[question.title]
        assert named.count("untrained") == {"Activations": 0, "Weights": 3}[question.title]


def test_every_network_of_many_strange_names_has_numbers_of_its_own(saved, nasty, few_digits):
    more = [*nasty, nasty[0], saved("mlp", 0)]
    networks = saved("mlp", 0), saved("mlp", 1)
    subject = open_subject(*networks, more=more, examples=20, untrained=1)
    roles = [network.role for network in subject.networks]
    assert len(set(roles)) == len(roles) == len(NASTY) + 4
    # All pairs of them are matched: of a few, that of the same name twice among them.
    subject.networks = (*subject.networks[:2], *subject.networks[2::4], subject.networks[-2])
    roles = [network.role for network in subject.networks]
    assert len(set(roles)) == len(roles) > 5
    numbers = Weights().ask(subject).numbers
    assert sum(key.startswith("norm/") and key.endswith("/fc1") for key in numbers) == (
        len(roles) + 1
    )
    pairs = len(roles) * (len(roles) - 1) // 2
    assert sum(key.startswith("distance_after/") and "/fc1" in key for key in numbers) == pairs + 1


def test_pairs_whose_names_are_alike_have_numbers_of_their_own(saved):
    roles = ["a-b", "c", "a", "b-c", "c-2"]  # one pair's own name is another's with a number
    networks = [open_network(saved("mlp", seed)) for seed in range(2)]
    networks += [open_network(saved("mlp", seed + 2), role) for seed, role in enumerate(roles)]
    answer = Weights().ask(Subject(networks, untrained=1))
    names = answer.pair_names
    assert names["a-b", "c"] == "a-b-c"
    assert names["a-b", "c-2"] == "a-b-c-2"
    assert names["a", "b-c"] == "a-b-c-3"
    assert len({*names.values()}) == len(names) == 21


def test_a_subject_needs_two_networks_of_roles_of_their_own(pair, saved):
    with pytest.raises(UserError, match="asked of two networks or more, got 1"):
        Subject(pair[:1])
    for role in ("sender", "untrained"):
        with pytest.raises(UserError, match=f"roles of their own, got '{role}' again"):
            Subject([*pair, open_network(saved("lenet", 2), role)])
    with pytest.raises(UserError, match="a subject has 2 examples or more, got 0"):
        Subject(pair, examples=0)
    with pytest.raises(UserError, match="a subject has 1 untrained networks or more, got 0"):
        Subject(pair, untrained=0)
    with pytest.raises(UserError, match="a seed is a whole number, got 'a'"):
        Subject(pair, seed="a")
    with pytest.raises(UserError, match=r"give Units\(\), not the class Units"):
        Subject(pair).expect([Units])
    for pairs in ([], "relu3", ["relu3"]):
        with pytest.raises(UserError, match="pair"):
            Subject(pair, pairs=pairs)
    digits = Digits(image_size=32)
    with pytest.raises(
        DataError, match=r"prepared as 32 x 32 .* sees 28 x 28 .* that `data_for` m"
    ):
        Subject([pair[0], open_network(saved("mlp"))], digits, [("fc1", "fc1")]).val  # noqa: B018


def test_a_subject_without_data_has_weights_only(pair):
    assert Weights().ask(Subject(pair)).layers == ("conv1", "conv2", "fc1", "fc2", "fc3")
    with pytest.raises(UserError, match="this question looks at data; give the subject a data set"):
        Units().ask(Subject(pair))


def test_layers_are_paired_by_name_by_commas_and_by_globs(pair):
    assert paired_layers(*pair) == tuple((f"relu{i}", f"relu{i}") for i in (1, 2, 3, 4))
    assert paired_layers(*pair, "relu3,fc1", "relu4,fc2") == (("relu3", "relu4"), ("fc1", "fc2"))
    assert paired_layers(*pair, "fc*") == tuple((f"fc{i}", f"fc{i}") for i in (1, 2, 3))
    with pytest.raises(UserError, match="paired one by one, got 4 of the sender"):
        paired_layers(*pair, "relu*", "relu1")


def test_the_pictures_of_a_sample_are_those_behind_its_rows(subject):
    asked = subject(examples=30)
    rows = torch.tensor([7, 3, 29])
    images = torch.cat([images for images, _ in asked.batches("train")])
    assert torch.equal(asked.data.prepare(asked.pictures("train", rows)), images[rows])
    assert len(asked.train) == 30
    assert set(asked.train.of) == {"sender", "receiver"}


class Vast(Counted):
    """Batches that say that they are more than any memory holds the rows of."""

    examples = 10**12


def test_what_does_not_fit_in_memory_is_refused(subject, few_digits):
    class Data(few_digits):
        def val_batches(self, examples=None):
            return Vast(super().val_batches(examples), "val", [])

        train_batches = val_batches

    text = r"MB for rows of 1000000000000 .*, but \S+ MB are free; choose fewer examples"
    with pytest.raises(UserError, match=text):
        Units().ask(subject(data=Data))


def test_a_map_of_units_shows_the_images_of_the_pass_that_others_need(subject):
    made = subject(Weights(), Units(), pairs=[("relu3", "relu3")])
    answer = Weights().ask(made)
    for network in made.networks:
        rows = made.rows("val", network, ("relu3", "relu3"))
        seen, units = answer.seen["fc1"][network.role], answer.axes["fc1"].units[network.role]
        alive = rows.max(0).values[[*units]] > 0  # of a dead unit any image is the first
        small = 255 * thumbnails(made.pictures("val", rows.argmax(0)[[*units]]))
        assert alive.sum() > 60
        torch.testing.assert_close(seen[alive, 0].float(), small[alive].round(), atol=1, rtol=0)
    assert sorted(answer.axes["fc1"].units["sender"]) == list(range(120))
    assert not Weights().ask(subject(Weights())).seen  # nobody looks at data

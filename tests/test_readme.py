"""The Python of the README's pages is run here; the README's commands are before each release."""

import json
import math
import re
import runpy
import shlex
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
import torch

from frankenstein import catalog
from frankenstein.accumulators.moments import Moments
from frankenstein.cli import main
from frankenstein.data.grammar import made_up_sentences
from frankenstein.questions import open_subject
from frankenstein.questions.plan import question_fields
from frankenstein.questions.table import Row
from frankenstein.runs.schema import options_of

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks_of(text):
    """Every block of a page, in order: its language and what is in it."""
    return re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)


PAGES = [(ROOT / "docs" / name).read_text("utf-8") for name in ("python.md", "add-a-thing.md")]
BLOCKS = [code for page in PAGES for language, code in blocks_of(page) if language == "python"]
NEW_THINGS = [
    (module, row)
    for module, row in pairwise(BLOCKS)
    if row.startswith("# frankenstein/catalog.py: ")
]


@pytest.mark.filterwarnings("ignore:.*(eval mode|many workers|GPU available|log_every_n_steps).*")
def test_the_python_of_the_readme_runs(few_digits, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    namespace = {"Digits": few_digits}
    imported = "from frankenstein.data import Digits\n"
    assert imported in BLOCKS[0]
    exec(BLOCKS[0].replace(imported, "") + BLOCKS[1] + BLOCKS[2], namespace)
    matching = namespace["matching"]
    assert matching.weights.shape == (32, 32)
    assert matching.weights.sum() == pytest.approx(1)
    assert (matching.unmatched_x, matching.unmatched_y) == ([], [])
    images = next(iter(namespace["digits"].val_batches()))[0]
    assert namespace["frank"](images).shape == (len(images), 10)
    assert 0 < namespace["matrix"]["bn3", "bn5"] < 1
    exec(BLOCKS[3].replace("1000", "39").replace("200", "19"), namespace)
    found = namespace["sure"]
    assert (found.low < found.value).all()
    assert (found.value < found.high).all()
    assert (found.low < found.high).all()
    assert (found.null_mean < found.low).all()
    exec(BLOCKS[4], namespace)
    assert namespace["many"].matrix("angular_shape_distance")["one", "itself"] == 0
    exec(BLOCKS[7], namespace)
    assert namespace["units"].images == 60
    assert namespace["circuits"].numbers["threshold/sender/relu3-relu5"] == 0.8


def test_a_question_added_as_the_readme_says_is_asked_and_has_a_switch(
    monkeypatch, saved, few_digits
):
    code, row = next(
        two for two in pairwise(BLOCKS) if two[1].startswith("# frankenstein/questions/table.py: ")
    )
    module = ModuleType("frankenstein.questions.size")
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    rows = eval("{" + row + "}", {"Row": Row})
    assert options_of(question_fields(rows))["size"].about == "how large are activations?"
    subject = open_subject(saved("lenet"), saved("lenet", 1), "relu3", examples=20)
    question = rows["size"]()
    answer = question.ask(subject)
    assert set(answer.numbers) == {"sender/relu3", "receiver/relu3"}
    assert "| receiver/relu3 |" in question.show(answer).blocks[0]


def test_a_plan_of_the_readme_runs(few_digits, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    code, again = (
        BLOCKS[5].replace("quiet=True", f"quiet=True, out_dir={str(tmp_path)!r}").split("Run.read(")
    )
    namespace = {}
    exec(code, namespace)
    assert 0 <= eval(f"Run.read({again}", namespace) <= 1
    code = BLOCKS[6].replace("quiet=True", f"quiet=True, out_dir={str(tmp_path)!r}")
    exec(code.replace('"frank.', f'"{tmp_path}/frank.'), namespace)
    assert namespace["frank"](torch.zeros(2, 1, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(("code", "row"), NEW_THINGS, ids=["network", "data", "stitch", "measure"])
def test_a_thing_added_as_the_readme_says_works(code, row, monkeypatch):
    path = re.match(r"# (\S+)\.py\n", code).group(1)
    module = ModuleType(path.replace("/", "."))
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    table = re.match(r"# frankenstein/catalog.py: (\w+)\n", row).group(1)
    (entry,) = eval("{" + row + "}", dict(vars(catalog))).values()
    x, y = torch.randn(50, 4), torch.randn(50, 4)
    if table == "ARCHITECTURES":
        network = entry(10, 1)
        assert network(torch.zeros(2, *network.input_shape)).shape == (2, 10)
        assert network.input_shape[-1] == entry.image_size
    elif table == "DATASETS":
        data = entry(image_size=16, batch_size=32)
        images, labels = next(iter(data.train_batches()))
        assert images.shape[1:] == (entry.in_channels, 16, 16)
        assert entry.num_classes == len(data.classes) > labels.max()
    elif table == "STITCHES":
        stitched = entry(4, 4).solve(Moments().update(x, y))(x)
        torch.testing.assert_close(stitched.mean(0), y.mean(0))
    else:
        assert entry(x, x) == entry.perfect
        assert entry(x, y) > 0


def measures_table(question):
    """The table in docs/measures.md of all measures that answer a question, a line each."""
    moves = {
        "rotate": "rotation",
        "scale": "scale",
        "shift": "shift",
        "permute": "order of units",
        "mix": "any invertible map",
    }
    needs = {
        "moments": "sums",
        "folds": "sums of five parts",
        "examples": "examples",
        "inputs": "examples, inputs",
        "classes": "sums of each class",
    }
    bound = {math.inf: "∞", -math.inf: "-∞", math.pi / 2: "π/2", math.pi: "π"}
    header = ("measure", "what it says", "range", "symmetric", "does not feel", "needs", "source")
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    rows = {name: row for name, row in catalog.MEASURES.items() if row.question == question}
    for name, row in rows.items():
        cells = [
            f"`{name}`",
            row.about,
            " to ".join(bound.get(end, f"{end:g}") for end in row.range),
            "yes" if row.symmetric else "no",
            ", ".join(word for move, word in moves.items() if move in row.invariant_to) or "–",
            needs[row.needs],
            row.source,
        ]
        yield f"| {' | '.join(cells)} |"


def test_the_table_of_measures_is_the_catalog():
    told = (ROOT / "docs/measures.md").read_text(encoding="utf-8")
    for question in get_args(catalog.Question):
        table = "\n".join(measures_table(question))
        assert table in told, f"put this into docs/measures.md:\n{table}"
        names = [f"`{n}`" for n, row in catalog.MEASURES.items() if row.question == question]
        line = f"| {question} | {', '.join(names)} |"
        assert line in TEXT, f"put this into the README:\n{line}"


@pytest.mark.filterwarnings("ignore::frankenstein.zoo.weights.WeightsFileWarning")
@pytest.mark.filterwarnings("ignore:.*(eval mode|many workers|validation_step|log_every_n_step).*")
def test_every_block_of_your_own_network_runs(few_digits, monkeypatch, tmp_path, capsys):
    (tmp_path / "model_weights").symlink_to(ROOT / "model_weights")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("my_nets", "my_data"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    text = (ROOT / "docs" / "your-own-network.md").read_text(encoding="utf-8")
    namespace, commands = {}, 0
    for language, block in blocks_of(text):
        if language == "console":
            for line in block.splitlines():
                program, *words = shlex.split(line.removeprefix("$ "))
                words += [] if words[0] == "layers" else ["--accelerator", "cpu"]
                words += ["--untrained", "1"] if words[0] == "stitch" else []
                assert (program, main(words)) == ("frankenstein", 0), capsys.readouterr().err
                commands += 1
        elif named := re.match(r"# (\w+\.py)\n", block):
            (tmp_path / named[1]).write_text(block)
            if named[1] not in ("my_nets.py", "my_data.py"):
                runpy.run_path(named[1])
        else:
            exec(block, namespace)
    said = capsys.readouterr().out
    assert commands == 20
    assert "sender sees 8 x 8 pixels, mean 0.5, std 0.25 (as its source says)" in said
    assert "receiver sees 32 x 32 pixels, mean 0.3054, std 0.376 (the data set's own)" in said
    images = next(iter(namespace["data"].val_batches()))[0]
    assert namespace["frank"](images).shape == (60, 10)
    assert namespace["matrix"]["relu1", "relu1"] > 0
    areas = namespace["areas"]
    assert areas["v1", "model"] > areas["it", "model"] > 0.1
    assert namespace["same"]["v1", "model"] == pytest.approx(areas["v1", "model"])
    assert namespace["first"].shape == (100, 60)
    assert namespace["beside"].rows == ("relu1", "relu2")
    for made in ("small-small-digits", "small-last-digits"):
        numbers = json.loads(Path(f"results/evaluate/my_nets-{made}/summary.json").read_text())
        assert numbers["accuracy"] > 0.5
    assert "my_data.py:Words: batches: inputs 'ids' and 'size', labels 'label'" in said
    assert namespace["layers"].values.isfinite().any()
    assert namespace["run"].numbers["accuracy/sender"] == numbers["accuracy"]


def test_every_block_of_text_runs(monkeypatch, tmp_path, capsys):
    pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    Path("some.txt").write_text("\n".join(made_up_sentences(170)))
    Path("reviews.csv").write_text("text,label\nall good,0\nnot at all good,1\n" * 9)
    budget = {"block1": ["--batch-size", "32"], "every": ["--untrained", "1"]}
    text = (ROOT / "docs" / "text.md").read_text(encoding="utf-8")
    namespace = {}
    for language, block in blocks_of(text):
        if language == "console":
            every = "blocks.0 blocks.1 blocks.2 blocks.3"
            block = block.replace("-e 3", "-e 1").replace(every, "blocks.0 blocks.3")
            for line in block.splitlines():
                program, verb, *words = shlex.split(line.removeprefix("$ "))
                words += budget.get(words[-1], [])
                words += [] if "reviews.csv" in words else ["--text", "some.txt"]
                words += ["--accelerator", "cpu", "--quiet"]
                outcome = main([verb, *words])
                assert (program, outcome) == ("frankenstein", 0), capsys.readouterr().err
        elif named := re.match(r"# (\w+\.py)\n", block):
            Path(named[1]).write_text(block)
        else:
            exec(block.replace('"text")', '"text", texts=["some.txt"])'), namespace)
    numbers = json.loads(Path("results/stitch/block1/summary.json").read_text())
    for row in ("receiver", "after", "ps_inv", "untrained", "itself"):
        assert numbers[f"perplexity/{row}"] == pytest.approx(math.exp(numbers[f"loss/{row}"]))
    assert numbers["perplexity/itself"] == pytest.approx(numbers["perplexity/receiver"])
    aligned = json.loads(Path("results/stitch/aligned/summary.json").read_text())
    assert aligned["final_explained/itself"] == 1
    assert "explained@logits/after" in aligned
    assert namespace["matrix"].flattening == "pooled"
    assert namespace["beside"].rows == ("encoder.layer.0", "encoder.layer.1")

import shlex
import warnings

import numpy as np
import pytest
import yaml

from frankenstein.catalog import VERBS
from frankenstein.cli.commands import command_of
from frankenstein.cli.parser import parse
from frankenstein.cli.words import spoken
from frankenstein.errors import UserError
from frankenstein.networks.network import open_network
from frankenstein.report import cells_of, heatmap
from frankenstein.runs.page import thumbnail, write_page
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.training.page import _curves
from frankenstein.training.plan import TrainPlan


@pytest.fixture(autouse=True)
def _no_shared_folder(monkeypatch):
    """What a run tells its processes is undone after each test."""
    monkeypatch.setenv("FRANKENSTEIN_RUN_FOLDER", "")


def plan_of(command):
    verb, *words = shlex.split(command)
    said = spoken(verb)
    return VERBS[verb].target(**said.words.sort(parse(said, words)))


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "train --model lenet --init-noise 3 --lr 0.2 --resume",
        "stitch a.safetensors b.safetensors bn3 bn5",
        "stitch 'a b.safetensors' \"it's.pt\" 0 1 --low-rank 4 --cka-reg -0.5 --no-augment",
        "stitch A B --all --sender-layers bn1 bn2 --seeds 3 --measures r_squared mean_cca",
        "compare A B bn3 bn3 linear_cka mean_cca --batch-size 50",
        "evaluate results/stitch/a --stitch before after --percentile 90.0",
        "analyze A B --more C D --units",
    ],
)
def test_the_command_of_a_page_says_the_plan_and_nothing_else(command):
    plan = plan_of(command)
    line = command_of(plan).line
    assert line == shlex.join(["frankenstein", *shlex.split(command)])
    assert plan_of(line.removeprefix("frankenstein ")) == plan


def reported(plan, networks=(), act=lambda run: None, command=None):
    """The folder of a run of some verb that does nothing but write its page."""
    with Run.write(plan, "a", networks, command or command_of(plan)) as run:
        act(run)
        write_page(run, "Title", ["What it is.", "What was found."])
    return run.folder


def test_a_report_says_what_was_asked_of_which_networks_and_how_to_ask_again(
    tmp_path, saved, check_page
):
    def score(run):
        run.numbers |= {"accuracy/sender": 0.5, "accuracy/receiver": 0.25}
        run.finding = "The finding."

    sender, receiver = saved("lenet", 0), saved("lenet", 1)
    plan = plan_of(f"stitch {sender} {receiver} relu1 relu2 --epochs 3 -o {tmp_path}")
    pair = open_network(sender, "sender"), open_network(receiver, "receiver")
    folder = reported(plan, pair, score)
    text = (folder / "report.md").read_text()
    parts = (
        "The finding.",
        "What it is.",
        "What was found.",
        f"frankenstein stitch {sender} {receiver} relu1 relu2 --epochs 3",
        "50.00 %",
        "25.00 %",
        f"frankenstein stitch --config {tmp_path / 'stitch' / 'a' / 'config.yaml'}",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert (folder / "config.yaml").read_text().strip() in text
    assert "## Warnings" not in text
    row = next(line for line in text.splitlines() if line.startswith("| receiver"))
    sha = yaml.safe_load((folder / "run.json").read_text())["cards"]["receiver"]["sha256"]
    for part in ("digits", "0", "1", f"`{sha[:12]}`", f"`{receiver}`"):
        assert f" {part} " in row
    page = check_page(folder / "report.html")
    assert [part.text for part in page.iter("pre")] == [None] * 3
    assert "".join(page.find(".//h1/..")[1].itertext()).strip() == "The finding."
    assert Run.read(folder).finding == "The finding."


def test_a_small_picture_of_a_large_matrix_has_twelve_rows_from_the_first_to_the_last():
    values, names = np.random.default_rng(0).random((27, 10)), [f"layer{i}" for i in range(27)]
    whole = cells_of(heatmap(values, names, names[:10], "cka"))
    few = cells_of(thumbnail(whole))
    assert (len(few.rows), few.rows[0], few.rows[-1]) == (12, "layer0", "layer26")
    assert list(few.columns) == names[:10]
    chosen = [names.index(name) for name in few.rows]
    np.testing.assert_array_equal(few.array, values[chosen])
    assert few.limits == whole.limits
    assert thumbnail(cells_of(heatmap(values[:6, :6], names[:6], names[:6], "cka"))) is None
    wide = cells_of(thumbnail(cells_of(heatmap(values[:3], names[:3], names[:10], "cka"))))
    assert (wide.array.shape, wide.measure) == ((3, 10), "cka")  # no row is left out


def test_warnings_are_in_the_report_once_and_shown_as_before(tmp_path):
    def warn(run):
        for _ in range(2):
            warnings.warn("a measure is <undefined>", UserWarning, stacklevel=1)

    with pytest.warns(UserWarning, match="a measure is <undefined>"):
        folder = reported(plan_of(f"evaluate x -o {tmp_path}"), (), warn)
    said = "- UserWarning: a measure is \\<undefined>"
    assert (folder / "report.md").read_text().count(said) == 1
    assert "&lt;undefined&gt;" in (folder / "report.html").read_text()
    record = yaml.safe_load((folder / "run.json").read_text())
    assert record["warnings"] == ["UserWarning: a measure is <undefined>"]
    assert (record["verb"], record["options"]["subject"]) == ("evaluate", "x")


def test_a_page_of_a_run_from_python_says_how_to_run_it_in_python(tmp_path):
    folder = reported(TrainPlan(out_dir=tmp_path), command=Command())
    text = (folder / "report.md").read_text()
    config = str(folder / "config.yaml")
    assert f"```python\nread_plan(TrainPlan, {config!r}).run()\n```" in text
    assert "frankenstein train" not in text


@pytest.mark.parametrize("row", ["", "5", "x,0.5", "1,0.2,3,4", "nan,0.1", ",1"])
def test_half_a_row_of_the_logger_is_left_out_of_the_curves(row, tmp_path):
    (tmp_path / "metrics-1.csv").write_text(f"step,train/loss\n0,0.7\n{row}")
    (tmp_path / "metrics-copied.csv").write_text("of whoever looks at it")
    assert len(_curves(tmp_path, 0.1)) == 1


@pytest.mark.parametrize("content", [b"\xff\xfes\0", b"a,b\n" + b"x" * 200_000])
def test_a_logger_s_file_that_is_no_table_is_named(content, tmp_path):
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"metrics\.csv is damaged: it is no table; delete it"):
        _curves(tmp_path, 0.1)

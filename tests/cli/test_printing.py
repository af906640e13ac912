"""Readers of stdout that go away, full disks behind it, and encodings that lack letters."""

import errno
import io
import os
import sys
import threading
from pathlib import Path

import pytest

from frankenstein.cli import main
from frankenstein.files import load_tensors
from frankenstein.printing import Printed, printing
from frankenstein.studies import StudyPlan
from frankenstein.training.plan import TrainPlan

TRAIN = ("train", "-m", "mlp", "-d", "digits", "-b", "128", "-e", "2", "--run-name", "a")


@pytest.fixture
def no_reader():
    """A pipe that nobody reads any more."""
    out, into = os.pipe()
    os.close(out)
    with open(into, "w") as stream:
        yield stream


@pytest.fixture
def full():
    with open("/dev/full", "w") as stream:
        yield stream


def test_a_reader_that_goes_away_ends_no_run(few_digits, monkeypatch, capsys, no_reader):
    monkeypatch.setattr(sys, "stdout", no_reader)
    assert main([*TRAIN, "--accelerator", "cpu"]) == 0
    assert load_tensors("results/train/a/network.safetensors")
    assert Path("results/train/a/report.html").is_file()
    assert capsys.readouterr().err == (
        "frankenstein train: done, and not all of it shown, for stdout is gone (Broken pipe); see "
        "results/train/a\n"
    )
    no_reader.close()  # nothing is kept back that would fail now


def test_a_full_disk_behind_stdout_is_not_that_of_the_results(
    few_digits, monkeypatch, capsys, full, saved
):
    monkeypatch.setattr(sys, "stdout", full)
    words = ["evaluate", saved("mlp"), "--run-name", "a", "--accelerator", "cpu"]
    assert main(words) == 0
    assert Path("results/evaluate/a/summary.json").is_file()
    assert capsys.readouterr().err.endswith(
        "for stdout is gone (No space left on device); see results/evaluate/a\n"
    )


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["train", "--help"]])
def test_help_whose_end_nobody_reads_is_no_mistake(monkeypatch, capsys, no_reader, words):
    monkeypatch.setattr(sys, "stdout", no_reader)
    assert main(words) == 0
    assert capsys.readouterr().err == ""


def test_what_could_not_be_printed_is_told_where_it_is_all_that_there_is(monkeypatch, capsys, full):
    monkeypatch.setattr(sys, "stdout", full)
    assert main(["--help"]) == 0
    assert "not all of it shown, for stdout is gone (No space left on" in capsys.readouterr().err


def test_a_stdout_that_was_closed_from_the_start_is_told(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)  # >&-
    assert main(["--version"]) == 0
    assert "not all of it shown, for stdout is gone (closed)" in capsys.readouterr().err


@pytest.mark.forks
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("closed", [(0, 1, 2), (2,)])
def test_no_file_gets_the_number_of_a_stream_that_was_closed(closed, tmp_path):
    child = os.fork()
    if child == 0:
        for number in closed:
            os.close(number)
        with printing(), open(tmp_path / "result", "w") as file:
            nowhere = os.stat(os.devnull)
            filled = all(os.path.samestat(os.fstat(number), nowhere) for number in closed)
            os._exit(0 if filled and file.fileno() > 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_where_nothing_can_be_printed_at_all_the_run_is_kept(few_digits, monkeypatch, no_reader):
    monkeypatch.setattr(sys, "stdout", no_reader)
    monkeypatch.setattr(sys, "stderr", None)  # closed from the start: 2>&-
    assert main([*TRAIN, "-e", "0", "--accelerator", "cpu"]) == 0
    assert main(["train", "-m", "tiny1"]) == 2
    assert Path("results/train/a").is_dir()


def test_in_python_it_is_the_same(few_digits, monkeypatch, no_reader):
    monkeypatch.setattr(sys, "stdout", no_reader)
    plan = TrainPlan(model="mlp", dataset="digits", epochs=0, accelerator="cpu")
    assert plan.run().folder.is_dir()
    step = {"train": {"model": "mlp", "dataset": "digits", "epochs": 0}}
    assert StudyPlan(steps=[step], accelerator="cpu").run().folder.is_dir()


def test_letters_that_an_encoding_lacks_are_spelled():
    content = io.BytesIO()
    stream = Printed(io.TextIOWrapper(content, encoding="ascii", write_through=True))
    assert stream.write("bn3 → é") == 7
    assert content.getvalue() == b"bn3 \\u2192 \\xe9"
    assert stream.lost is None


def test_outside_a_run_streams_are_as_they_were():
    before = sys.stdout, sys.stderr
    with printing() as out, printing() as inner:
        assert inner is out is sys.stdout
    assert (sys.stdout, sys.stderr) == before


def test_a_threads_full_disk_is_told_by_the_run_that_waits_for_it_alone(capsys):
    def fail(error):
        raise error

    with printing():
        thread = threading.Thread(target=fail, args=[OSError(errno.ENOSPC, "No space left")])
        thread.start()
        thread.join()
    assert capsys.readouterr().err == ""

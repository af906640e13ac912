"""Disks that are full or cannot be written to, and names that two runs want at a time."""

import errno
import resource
import shutil
import threading
from contextlib import redirect_stderr, suppress
from pathlib import Path

import pytest

from frankenstein.cli import main
from frankenstein.files import load_tensors
from frankenstein.runs.folder import claim_partial

TRAIN = ("train", "-m", "lenet", "-d", "digits", "-lr", "0.02", "-e", "2", "-b", "128")
QUIET = ("--quiet", "--accelerator", "cpu")


@pytest.fixture
def earlier(run):
    """A finished run, of which nothing may change."""
    folder = run(*TRAIN)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    yield folder
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    load_tensors(folder / "network.safetensors")


def no_room():
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def full():
    """Files cannot grow beyond this many bytes, as far as the system is concerned."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_while_a_run_saves_is_one_line(earlier, capsys, full):
    full(100_000)
    code = main([*TRAIN, "-s", "1000", *QUIET])
    full(resource.RLIM_INFINITY)
    said = capsys.readouterr().err
    assert code == 2
    assert said.startswith("frankenstein train: cannot write results/train/lenet-digits-in0-gn0-2")
    assert "File too large; make room there or choose another folder\n" in said
    assert said.count("\n") == 1
    assert list(Path("results/train").iterdir()) == [earlier]


def test_a_disk_that_is_full_for_a_logger_is_one_line(earlier, capsys, at):
    at("open gn0-2.partial/metrics.csv", 1, no_room)
    assert main([*TRAIN, *QUIET]) == 2
    said = capsys.readouterr().err
    path = "results/train/lenet-digits-in0-gn0-2.partial"
    assert f"cannot write {path}: No space left on device; make room" in said
    assert "go on with" not in said  # there was no checkpoint yet


def test_too_little_room_is_told_before_training(earlier, capsys, monkeypatch, at):
    trained = at("step")
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 3_000_000, 3_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert main([*TRAIN, *QUIET]) == 2
    said = capsys.readouterr().err
    assert "cannot write results/train/lenet-digits-in0-gn0-2.partial: this run writes 1" in said
    assert "MB or more, and 3 MB are free there; make room or choose --out-dir\n" in said
    assert trained == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_place_where_nothing_can_be_made_is_told_before_training(few_digits, capsys, at, code):
    def refuse():
        raise OSError(code, "not here")

    trained = at("step")
    at("os.mkdir elsewhere/train", 1, refuse)
    assert main([*TRAIN, "-o", "elsewhere", *QUIET]) == 2
    said = capsys.readouterr().err
    assert "cannot write results to elsewhere/train: not here; choose --out-dir" in said
    assert trained == []


def test_a_name_that_is_too_long_is_told_to_be_shorter(few_digits, capsys, at):
    trained = at("step")
    assert main([*TRAIN, *QUIET, "--run-name", "a" * 300]) == 2
    said = capsys.readouterr().err
    assert "a shorter --run-name, got 300 characters: aaaaaaaaaaaaaaaaaaaa...\n" in said
    assert trained == []


def test_of_runs_that_want_one_name_at_a_time_each_gets_a_folder_of_its_own(tmp_path):
    found = []
    for _ in range(10):
        together = threading.Barrier(2)

        def claim(together=together):
            together.wait()
            found.append(claim_partial(tmp_path, "a", "last.ckpt")[0])

        threads = [threading.Thread(target=claim) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(found)) == 20
    assert all(path.is_dir() for path in found)


def test_a_disk_that_fills_up_in_training_leaves_what_goes_on(earlier, capsys, at):
    at("os.rename report.md", 1, no_room)
    assert main([*TRAIN, *QUIET, "--run-name", "a"]) == 2
    said = capsys.readouterr().err
    assert "choose another folder; then go on with: frankenstein train " in said
    assert said.endswith("--run-name a --resume\n")
    assert main([*TRAIN, *QUIET, "--run-name", "a", "--resume"]) == 0


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_a_folder_that_is_taken_away_in_training_is_one_line(earlier, capsys, at, how):
    folder, away = Path("results/train/a.partial"), Path("results/elsewhere")
    at("step", 3, lambda: folder.rename(away) if how == "moved" else shutil.rmtree(folder))
    assert main([*TRAIN, *QUIET, "--run-name", "a"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"frankenstein train: {folder} was {how} while the run was under way; ")
    assert said.count("\n") == 1
    assert list(folder.parent.iterdir()) == [earlier]
    if how == "moved":
        assert "put it back; then go on with: frankenstein train -m lenet" in said
        away.rename(folder)
        assert main([*TRAIN, *QUIET, "--run-name", "a", "--resume"]) == 0


def test_a_run_some_of_whose_files_were_deleted_is_not_finished(earlier, capsys, at):
    folder = Path("results/train/a.partial")
    at("step", 3, (folder / "config.yaml").unlink)
    assert main([*TRAIN, *QUIET, "--run-name", "a"]) == 2
    assert "there is no config.yaml; look at what is left" in capsys.readouterr().err
    assert sorted(folder.parent.iterdir()) == [folder, earlier]


def test_where_the_line_itself_cannot_be_written_the_exit_code_says_it():
    with suppress(OSError), open("/dev/full", "w") as full, redirect_stderr(full):
        code = main(["train", "-m", "tiny1"])
    assert code == 2

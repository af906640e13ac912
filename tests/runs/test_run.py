import json
import math
import os
import shutil

import pytest

from frankenstein.errors import AlreadyDone, PlanError, UserError
from frankenstein.networks.network import networks_name, open_network, roles_of, short_name
from frankenstein.runs.folder import claim_partial
from frankenstein.runs.run import CHECKPOINT, Run
from frankenstein.training.plan import TrainPlan


@pytest.fixture(autouse=True)
def _no_shared_folder(monkeypatch):
    """What a run tells its processes is undone after each test."""
    monkeypatch.setenv("FRANKENSTEIN_RUN_FOLDER", "")


@pytest.fixture
def begun(tmp_path):
    """Makes the context of a run that does nothing."""

    def make(networks=(), folder=tmp_path, **fields):
        return Run.write(TrainPlan(out_dir=folder, dataset="digits", **fields), "a", networks)

    return make


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_exists_under_its_name_only_once_it_is_whole(tmp_path, begun):
    with begun() as run:
        assert names(tmp_path / "train") == ["a.partial"]
        assert run.leads
        run.numbers["accuracy"] = 0.5
        run.record["device"] = "cpu"
    assert run.folder == tmp_path / "train" / "a"
    assert names(run.folder.parent) == ["a"]
    assert names(run.folder) == ["config.yaml", "run.json", "summary.json"]
    assert "dataset: digits\n" in (run.folder / "config.yaml").read_text()
    assert json.loads((run.folder / "summary.json").read_text()) == {"accuracy": 0.5}
    record = json.loads((run.folder / "run.json").read_text())
    assert record["device"] == "cpu"
    assert record["seconds"] >= 0


def test_a_run_is_read_back_as_it_was(begun, saved):
    network = open_network(saved("lenet", 0), "sender")
    with begun([network], epochs=3) as run:
        run.numbers |= {"accuracy": 0.5, "undefined": math.nan}
        run.record["device"] = "cpu"
        run.warnings.append("UserWarning: mind the gap")
    back = Run.read(run.folder)
    assert back.plan == run.plan
    assert back.networks == run.networks
    assert back.networks["sender"]["sha256"] == network.sha256
    assert back.network("sender").sha256 == network.sha256
    assert back.numbers["accuracy"] == 0.5
    assert math.isnan(back.numbers["undefined"])
    assert (back.record["device"], back.warnings) == ("cpu", run.warnings)
    assert (back.stitches(), back.matrices()) == ({}, {})


def test_a_network_that_has_changed_since_is_refused(begun, saved, tmp_path):
    file = tmp_path / "network.safetensors"
    shutil.copy(saved("lenet", 0), file)
    with begun([open_network(str(file), "sender")]) as run:
        pass
    shutil.copy(saved("lenet", 1), file)
    with pytest.raises(UserError, match=r"network.safetensors has changed since .*: its sha256"):
        Run.read(run.folder).network("sender")
    with pytest.raises(UserError, match="has no network 'receiver'; known: sender"):
        Run.read(run.folder).network("receiver")


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("run.json", "{", "run.json is damaged: it is no JSON object; run again"),
        ("run.json", "[]", "run.json is damaged: it is no JSON object; run again"),
        ("summary.json", "[0.5]", "summary.json is damaged: it is no JSON object; run again"),
        ("run.json", '{"verb": "train", "options": [], "cards": {}}', "was written by another"),
        ("run.json", "{}", "was written by another version of frankenstein"),
        ("summary.json", None, "is no folder of a run: there is no "),
        ("summary.json", '{"loss": NaN}', "summary.json is damaged: loss is no number; run again"),
        ("summary.json", '{"loss": 1e999}', "is damaged: loss is no number; run again"),
        ("summary.json", '{"accuracy/x": 7}', "is damaged: accuracy/x is 7, and no share"),
        ("run.json", {"commit": [1]}, r"run.json: commit must be text or null, got \[1\]"),
        ("run.json", {"examples": "x"}, "run.json: examples must be a whole number or null"),
        ("run.json", {"accuracy/most_frequent": {}}, "accuracy/most_frequent must be a"),
    ],
)
def test_what_is_no_whole_run_is_refused_by_what_it_is(begun, file, text, expected):
    with begun() as run:
        pass
    path = run.folder / file
    if isinstance(text, dict):
        text = json.dumps(json.loads(path.read_text()) | text)
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(UserError, match=expected):
        Run.read(run.folder)


def test_a_name_that_is_taken_gets_a_number(begun):
    labels = []
    for _ in range(3):
        with begun() as run:
            pass
        labels.append(run.name)
    assert labels == ["a", "a-2", "a-3"]


def test_two_runs_of_one_name_at_a_time_do_not_meet(tmp_path, begun):
    with begun() as one:
        with begun() as other:
            assert one.folder != other.folder
            (other.folder / "mark").touch()
        (one.folder / "mark of one").touch()
    assert names(tmp_path / "train") == ["a", "a-2"]
    assert (one.folder / "mark of one").exists()
    assert (other.folder / "mark").exists()


def test_a_name_that_is_taken_meanwhile_gets_a_number(tmp_path, begun):
    with begun() as run:
        (tmp_path / "train" / "a").mkdir()
        (tmp_path / "train" / "a" / "file").touch()
    assert run.name == "a-2"
    assert (run.folder / "run.json").exists()


def test_a_run_that_fails_leaves_nothing(tmp_path, begun):
    with pytest.raises(KeyError), begun():
        raise KeyError("a bug")
    assert names(tmp_path / "train") == []


def interrupted(begun, **fields):
    """A run that stopped once there was a checkpoint."""
    context = begun(**fields)
    (context.__enter__().folder / CHECKPOINT).touch()
    assert not context.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)


def test_a_run_that_fails_after_a_checkpoint_can_be_resumed(tmp_path, begun):
    interrupted(begun)
    assert names(tmp_path / "train") == ["a.partial"]
    with begun(resume=True) as run:
        assert (run.folder / CHECKPOINT).exists()
    assert names(tmp_path / "train") == ["a"]


def test_only_fields_that_change_a_number_hinder_a_run_from_being_resumed(begun):
    interrupted(begun, epochs=3)
    refused = r"the unfinished run in .* has epochs 3, this one 4; resume it with its own options"
    with pytest.raises(UserError, match=refused), begun(resume=True, epochs=4):
        pass
    with begun(resume=True, epochs=3, quiet=True, data_root="elsewhere"):
        pass
    with pytest.raises(AlreadyDone), begun(resume=True, epochs=3):
        pass


def test_without_an_unfinished_run_there_is_nothing_to_resume(begun):
    with (
        pytest.raises(UserError, match=r"nothing to resume: no .*a\.partial; run without"),
        begun(resume=True),
    ):
        pass


def test_further_processes_write_where_the_first_does_and_change_nothing(
    tmp_path, begun, monkeypatch
):
    with begun() as first:
        with monkeypatch.context() as process:
            process.setenv("LOCAL_RANK", "1")
            with begun() as run:
                assert (run.folder, run.leads) == (first.folder, False)
        assert names(tmp_path / "train") == ["a.partial"]


@pytest.mark.parametrize("variable", ["WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_processes_that_another_launcher_has_started_are_refused(
    tmp_path, begun, monkeypatch, variable
):
    monkeypatch.delenv("FRANKENSTEIN_RUN_FOLDER", raising=False)
    monkeypatch.setenv(variable, "4")
    with (
        pytest.raises(UserError, match=r"has started 4 processes .* start one, with devices 4"),
        begun(),
    ):
        pass
    assert names(tmp_path) == []


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path, begun):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot write results to .*file.*; choose out_dir"),
        begun(folder=tmp_path / "file"),
    ):
        pass


def test_a_folder_is_claimed_by_one(tmp_path):
    labels = [claim_partial(tmp_path / "demo", "x", CHECKPOINT)[0].name for _ in range(3)]
    assert labels == ["x.partial", "x-2.partial", "x-3.partial"]


def test_runs_are_named_after_the_files_of_networks_or_their_folders():
    assert short_name("model_weights/tiny10/digits/in0-gn0.safetensors") == "in0-gn0"
    assert short_name("results/train/lenet-digits-in0-gn0/network.safetensors") == (
        "lenet-digits-in0-gn0"
    )


def test_further_networks_have_roles_of_their_own():
    files = ["sender.pt", "a/x.pt", "b/x.pt", "untrained_receiver.safetensors", "x-2.pt"]
    assert roles_of(files) == ["sender-2", "x", "x-2", "untrained_receiver-2", "x-2-2"]
    assert roles_of(["most_frequent.pt"]) == ["most_frequent-2"]  # a key of the accuracies


@pytest.mark.parametrize("name", ["a.partial", "two\nlines", "  ", "..", "a/b"])
def test_a_name_that_is_none_of_a_folder_is_refused(name):
    with pytest.raises(PlanError, match=r"^run_name "):
        TrainPlan(dataset="digits", run_name=name)


@pytest.mark.parametrize("name", ["origin.json", "config.yaml"])
def test_a_damaged_record_of_an_unfinished_run_is_named(tmp_path, begun, name):
    interrupted(begun)
    (tmp_path / "train" / "a.partial" / name).write_text("[]")
    with pytest.raises(UserError, match=f"has a damaged {name}"), begun(resume=True):
        pass


def test_a_finished_run_is_finished_whatever_its_name(tmp_path, begun):
    with begun():
        pass
    called = tmp_path / "train" / "a.partial"
    (tmp_path / "train" / "a").rename(called)
    before = {path: path.read_bytes() for path in called.iterdir()}
    for options in ({}, {"epochs": 3}):
        told = r"a\.partial is a finished run; give it another name"
        with pytest.raises(UserError, match=told), begun(resume=True, **options):
            pass
    with begun() as other:  # without resume it is no leftover either
        assert other.name == "a-2"
    assert {path: path.read_bytes() for path in called.iterdir()} == before


def test_what_has_no_origin_is_neither_resumed_nor_swept(tmp_path, begun):
    interrupted(begun)
    partial = tmp_path / "train" / "a.partial"
    (partial / "origin.json").unlink()
    told = r"a\.partial has no origin\.json, which says what it is"
    with pytest.raises(UserError, match=told), begun(resume=True):
        pass
    (partial / CHECKPOINT).unlink()
    (partial / "notes.txt").touch()
    with begun() as run:
        assert run.name == "a-2"
    assert (partial / "notes.txt").exists()


def test_a_pipe_in_the_place_of_a_folder_is_not_waited_for(tmp_path, begun):
    (tmp_path / "train").mkdir()
    os.mkfifo(tmp_path / "train" / "a.partial")
    with begun() as run:
        assert run.name == "a-2"


@pytest.mark.parametrize("left", [[], ["config.yaml"], [".origin.json.x.unfinished"]])
def test_what_a_kill_left_before_it_wrote_anything_is_swept(tmp_path, begun, left):
    partial = tmp_path / "train" / "a.partial"
    partial.mkdir(parents=True)
    for name in left:
        (partial / name).touch()
    with begun() as run:
        assert run.name == "a"
    assert names(tmp_path / "train") == ["a"]
    assert names(run.folder) == ["config.yaml", "run.json", "summary.json"]


def test_what_stands_in_the_place_of_a_file_that_is_made_anew_is_swept(tmp_path, begun):
    interrupted(begun)
    partial = tmp_path / "train" / "a.partial"
    os.mkfifo(partial / "hparams.yaml")
    (partial / "metrics.csv").mkdir()
    (partial / ".a.x.unfinished").mkdir()
    (partial / "00001").symlink_to(tmp_path)
    with begun(resume=True) as run:
        assert not {"hparams.yaml", "metrics.csv", ".a.x.unfinished", "00001"} & {
            *names(run.folder)
        }
    assert run.folder.parent.parent == tmp_path


@pytest.mark.parametrize(
    "content", ["[]", "\xff", "{", "folder", "pipe", "[" * 5000, '{"a": 1e999}']
)
@pytest.mark.parametrize("name", ["origin.json", "config.yaml"])
def test_whatever_a_record_of_an_unfinished_run_holds_is_told(tmp_path, begun, name, content):
    interrupted(begun)
    path = tmp_path / "train" / "a.partial" / name
    path.unlink()
    if content in ("folder", "pipe"):
        path.mkdir() if content == "folder" else os.mkfifo(path)
    else:
        path.write_text(content, encoding="latin-1")
    told = r"the unfinished run in .*a\.partial has "
    with pytest.raises(UserError, match=told), begun(resume=True):
        pass


def test_a_name_that_is_too_long_says_which_option(begun, tmp_path):
    plan = TrainPlan(out_dir=tmp_path, dataset="digits")
    told = "File name too long; choose a shorter run_name, got 300"
    with pytest.raises(UserError, match=told), Run.write(plan, "x" * 300):
        pass


def test_a_file_that_is_called_like_an_unfinished_run_is_none(begun, tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.partial").touch()
    with pytest.raises(UserError, match="nothing to resume"), begun(resume=True):
        pass


def test_a_name_says_networks_and_data_each_once(saved, tmp_path):
    one, other = (open_network(saved("lenet", seed)) for seed in (0, 1))
    assert networks_name([one, other], "digits") == "lenet-10-1-in0-10-1-in1-digits"
    assert networks_name([one, open_network(saved("mlp"))], "mnist", between="-vs-") == (
        "lenet-10-1-in0-vs-mlp-10-1-in0-mnist"
    )
    worn = open_network(saved("lenet", 2, dataset="fashion"))
    assert networks_name([one, worn], "digits") == ("lenet-digits-10-1-in0-fashion-10-1-in2-digits")
    trained = tmp_path / "lenet-digits-in0-gn0" / "network.safetensors"
    trained.parent.mkdir()
    shutil.copy(one.source, trained)
    assert networks_name([open_network(str(trained))], "digits") == "lenet-in0-gn0-digits"


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("run.json", "null", "run.json is damaged"),
        ("run.json", '{"verb": ["x"], "options": {}, "cards": {}}', "another version"),
        ("run.json", '{"verb": "train", "options": {}, "cards": []}', "another version"),
        ("run.json", '{"verb": "stitch", "options": {}, "cards": {}}', "sender is missing"),
        ("summary.json", '{"accuracy": "x"}', "summary.json is damaged: accuracy is no number"),
    ],
)
def test_records_of_other_kinds_are_refused(begun, file, text, expected):
    with begun() as run:
        pass
    (run.folder / file).write_text(text)
    with pytest.raises(UserError, match=expected):
        Run.read(run.folder)

import json
import shutil

import pytest
from frankenstein.networks.cards import short_name

from frankenstein.errors import UserError
from frankenstein.runs.folder import CHECKPOINT, claim_folder, run_folder
from frankenstein.runs.names import networks_name, stitch_name
from frankenstein.stitching.options import stitch_defaults


@pytest.fixture(autouse=True)
def _no_shared_folder(monkeypatch):
    """What a run tells its processes is undone after each test."""
    monkeypatch.setenv("FRANKENSTEIN_RUN_FOLDER", "")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_exists_under_its_name_only_once_it_is_whole(tmp_path):
    with run_folder(tmp_path, "train", "a", "lr: 1\n") as run:
        assert names(tmp_path / "train") == ["a.partial"]
        assert run.leads
        run.summary["accuracy"] = 0.5
        run.facts["device"] = "cpu"
    assert run.path == tmp_path / "train" / "a"
    assert names(run.path.parent) == ["a"]
    assert names(run.path) == ["config.yaml", "run.json", "summary.json"]
    assert (run.path / "config.yaml").read_text() == "lr: 1\n"
    assert json.loads((run.path / "summary.json").read_text()) == {"accuracy": 0.5}
    record = json.loads((run.path / "run.json").read_text())
    assert record["device"] == "cpu"
    assert record["seconds"] >= 0


def test_a_name_that_is_taken_gets_a_number(tmp_path):
    found = []
    for _ in range(3):
        with run_folder(tmp_path, "train", "a", "") as run:
            pass
        found.append(run.path.name)
    assert found == ["a", "a-2", "a-3"]


def test_two_runs_of_one_name_at_a_time_do_not_meet(tmp_path):
    with run_folder(tmp_path, "train", "a", "") as one:
        with run_folder(tmp_path, "train", "a", "") as other:
            assert one.path != other.path
            (other.path / "mark").touch()
        (one.path / "mark of one").touch()
    assert names(tmp_path / "train") == ["a", "a-2"]
    assert (one.path / "mark of one").exists()
    assert (other.path / "mark").exists()


def test_a_name_that_is_taken_meanwhile_gets_a_number(tmp_path):
    with run_folder(tmp_path, "train", "a", "") as run:
        (tmp_path / "train" / "a").mkdir()
        (tmp_path / "train" / "a" / "file").touch()
    assert run.path.name == "a-2"
    assert (run.path / "run.json").exists()


def test_a_run_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), run_folder(tmp_path, "train", "a", ""):
        raise KeyError("a bug")
    assert names(tmp_path / "train") == []


def test_a_run_that_fails_after_a_checkpoint_can_be_resumed(tmp_path):
    stopped = run_folder(tmp_path, "train", "a", "")
    (stopped.__enter__().path / CHECKPOINT).touch()
    assert not stopped.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert names(tmp_path / "train") == ["a.partial"]
    with run_folder(tmp_path, "train", "a", "", resume=True) as run:
        assert (run.path / CHECKPOINT).exists()
    assert names(tmp_path / "train") == ["a"]


def test_without_an_unfinished_run_there_is_nothing_to_resume(tmp_path):
    with (
        pytest.raises(UserError, match=r"nothing to resume: no .*a\.partial; run without"),
        run_folder(tmp_path, "train", "a", "", resume=True),
    ):
        pass


def test_further_processes_write_where_the_first_does_and_change_nothing(tmp_path, monkeypatch):
    with run_folder(tmp_path, "train", "a", "") as first:
        with monkeypatch.context() as process:
            process.setenv("LOCAL_RANK", "1")
            with run_folder(tmp_path, "train", "a", "") as run:
                assert (run.path, run.leads) == (first.path, False)
        assert names(tmp_path / "train") == ["a.partial"]


@pytest.mark.parametrize("variable", ["WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_processes_that_another_launcher_has_started_are_refused(tmp_path, monkeypatch, variable):
    monkeypatch.delenv("FRANKENSTEIN_RUN_FOLDER", raising=False)
    monkeypatch.setenv(variable, "4")
    with (
        pytest.raises(UserError, match=r"has started 4 processes .* start one, with --devices 4"),
        run_folder(tmp_path, "train", "a", ""),
    ):
        pass
    assert names(tmp_path) == []


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot write results to .*file.*; choose --out-dir"),
        run_folder(tmp_path / "file", "train", "a", ""),
    ):
        pass


def test_a_folder_is_claimed_by_one(tmp_path):
    found = [claim_folder(tmp_path / "demo", "x").name for _ in range(3)]
    assert found == ["x", "x-2", "x-3"]


def test_runs_are_named_after_the_files_of_networks_or_their_folders():
    assert short_name("model_weights/tiny10/digits/in0-gn0.safetensors") == "in0-gn0"
    assert short_name("results/train/lenet-digits-in0-gn0/network.safetensors") == (
        "lenet-digits-in0-gn0"
    )


@pytest.mark.parametrize(
    ("changed", "end"),
    [
        ({}, "bn3-bn5-random"),
        ({"epochs": 2}, "bn3-bn5-random-e2"),
        ({"epochs": 0, "init": "ps_inv"}, "bn3-bn5-ps_inv-e0"),
        ({"lr": 1000.0}, "bn3-bn5-random-lr1000"),
        ({"weight_decay": 1e-4, "batch_size": 64}, "bn3-bn5-random-wd0.0001-b64"),
        ({"optimizer": "sgd", "seed": 3}, "bn3-bn5-random-sgd-seed3"),
        ({"family": "identity"}, "bn3-bn5-random-identity"),
        ({"quiet": True, "measures": ["linear_cka"]}, "bn3-bn5-random"),  # train nothing else
    ],
)
def test_a_name_says_every_option_that_changes_what_is_trained(saved, changed, end):
    pair = {"sender": saved("lenet", 0), "receiver": saved("lenet", 1)}
    layers = {"sender_layer": "bn3", "receiver_layer": "bn5"}
    name = stitch_name(stitch_defaults() | pair | layers | changed, "digits")
    assert name == f"lenet-10-1-in0-10-1-in1-digits-{end}"


@pytest.mark.parametrize(
    ("changed", "end"),
    [
        ({"all": True, "epochs": 0}, "all-solved"),
        ({"all": True, "epochs": 1, "seeds": 3}, "all-random-e1-seeds3"),
        ({"sender_layers": ["bn3", "bn5"], "epochs": 0}, "bn3+bn5-all-solved"),
        ({"receiver_layers": [f"layer{n}" for n in range(9)]}, "all-9layers-random"),
    ],
)
def test_the_name_of_a_matrix_says_its_layers(saved, changed, end):
    pair = {"sender": saved("lenet", 0), "receiver": saved("lenet", 1)}
    layers = {"sender_layer": None, "receiver_layer": None}
    name = stitch_name(stitch_defaults() | pair | layers | changed, "digits")
    assert name == f"lenet-10-1-in0-10-1-in1-digits-{end}"


def test_a_name_says_networks_and_data_each_once(saved, tmp_path):
    pair = saved("lenet", 0), saved("lenet", 1)
    assert networks_name(pair, "digits") == "lenet-10-1-in0-10-1-in1-digits"
    assert networks_name((pair[0], saved("mlp")), "mnist", between="-vs-") == (
        "lenet-10-1-in0-vs-mlp-10-1-in0-mnist"
    )
    worn = saved("lenet", 2, dataset="fashion")
    assert networks_name((pair[0], worn), "digits") == (
        "lenet-digits-10-1-in0-fashion-10-1-in2-digits"
    )
    trained = tmp_path / "lenet-digits-in0-gn0" / "network.safetensors"
    trained.parent.mkdir()
    shutil.copy(pair[0], trained)
    assert networks_name([str(trained)], "digits") == "lenet-in0-gn0-digits"

"""A study on Dask. Kills of every process, many times over, are in tests/kills.py."""

import os
import re
import signal
import socket
import ssl
import stat
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from frankenstein.cli import main
from frankenstein.errors import FileError, UserError
from frankenstein.studies.cluster import connection, shares
from frankenstein.studies.cluster.child import drop_launchers
from frankenstein.studies.cluster.connection import Address, new_key, read_address

pytest.importorskip("distributed")

STUDY = {
    "networks": {"train": {"model": "mlp", "dataset": "digits", "epochs": 4}, "seeds": "0..1"},
    "compare": {
        "measures": ["linear_cka"],
        "sender_layer": "fc1",
        "receiver_layer": ["fc1", "fc2"],
    },
}


def below(parent):
    """Processes that this one has started, and theirs: {pid: (its group, its command line)}."""
    parents, kept = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            line = (path / "cmdline").read_bytes().decode()
        except OSError:
            continue
        parents[int(path.name)] = int(fields[1])
        kept[int(path.name)] = int(fields[2]), line
    found, new = set(), {parent}
    while new:
        new = {child for child, its in parents.items() if its in new} - found
        found |= new
    return {pid: kept[pid] for pid in found}


def runs_of(parent):
    """The processes of runs: forks of a server, each the first of a group of its own."""
    return [
        pid for pid, (group, line) in below(parent).items() if "forkserver" in line and group == pid
    ]


class When(threading.Thread):
    """Acts once a file is there, from another thread."""

    def __init__(self, pattern, act):
        super().__init__(daemon=True)
        self.pattern, self.act, self.acted = pattern, act, []
        self.start()

    def run(self):
        until = time.monotonic() + 600
        while not self.acted and time.monotonic() < until:
            if any(Path().glob(self.pattern)):
                self.acted.append(self.act())
            time.sleep(0.02)


def left_by(folder):
    """What runs have found, without what differs between two that were run alike."""
    kept = {}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        found = path.suffix in {".safetensors", ".csv"} or path.name == "summary.json"
        if found and "metrics" not in path.name and len(place.parts) == 3:
            kept[place] = path.read_bytes()
    return kept


def test_a_study_survives_the_kill_of_a_run_and_ctrl_c_and_ends_as_one_that_was_not_disturbed(
    tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_NTASKS", "4")  # of the workers' launcher: a run is one process
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    words = ["study", "--config", str(path), "--accelerator", "cpu"]
    run = "results/study/study.partial/train/mlp-0"

    def kill():
        (child,) = runs_of(os.getpid())
        os.kill(child, signal.SIGKILL)
        return child

    killed = When(f"{run}.partial/last.ckpt", kill)

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    When("results/study/study.partial/train/mlp-1.partial/config.yaml", interrupt)
    assert main([*words, "--workers", "1"]) == 130
    said = capfd.readouterr()
    assert killed.acted
    assert "4 runs (2 train, 2 compare)" in said.out
    assert "Traceback" not in said.err
    assert said.err.splitlines()[-1] == (
        "frankenstein study: interrupted; go on with: "
        "frankenstein study --config results/study/study.partial/config.yaml"
    )
    assert not [line for _, line in below(os.getpid()).values() if "frankenstein" in line]
    assert not runs_of(os.getpid())
    log = Path("results/study/study.partial/logs/train-mlp-0.log").read_text()
    assert "Traceback" not in log
    monkeypatch.delenv("SLURM_NTASKS")

    assert main([*words, "--workers", "0", "--quiet"]) == 0
    (tmp_path / "whole").mkdir()
    assert main([*words, "--workers", "0", "--quiet", "--run-name", "whole"]) == 0
    found, expected = (left_by(Path("results/study", name)) for name in ("study", "whole"))
    assert len(expected) == 6
    assert found == expected


@pytest.fixture
def engine(tmp_path):
    """A scheduler and one worker of this machine, as a study has them."""
    from frankenstein.studies.cluster.engine import on_this_machine

    study = SimpleNamespace(folder=tmp_path)
    with on_this_machine(study, 1, 0) as engine:
        engine.client.wait_for_workers(1, timeout=300)
        yield engine


def test_a_machine_without_a_loopback_is_told_what_a_study_needs(tmp_path, monkeypatch):
    from frankenstein.studies.cluster import engine

    def refuse(**options):
        raise RuntimeError("Network is unreachable")

    monkeypatch.setattr(engine, "LocalCluster", refuse)
    study = SimpleNamespace(folder=tmp_path)
    with (
        pytest.raises(UserError, match="does not answer"),
        engine.on_this_machine(study, 1, 0),
    ):
        pass


def heard_without_a_certificate(address):
    """What a server says to who takes any certificate of it and shows none: it has to refuse."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, port = address.removeprefix("tls://").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain) as stream,
    ):
        stream.sendall(b"x" * 64)
        if not (heard := stream.recv(64)):
            raise ConnectionError("closed")
        return heard


def test_who_has_not_the_key_gets_nothing_run_by_scheduler_or_worker(engine):
    from distributed.core import connect
    from distributed.security import Security

    async def asked(address, security):
        comm = await connect(address, timeout=20, **security.get_connection_args("client"))
        try:
            await comm.write({"op": "identity", "reply": True})
            return await comm.read()
        finally:
            comm.abort()

    client = engine.client
    (worker,) = client.scheduler_info()["workers"]
    for address, kind in ((client.scheduler.address, "Scheduler"), (worker, "Worker")):
        assert re.fullmatch(r"tls://127\.0\.0\.1:\d+", address)
        assert client.sync(asked, address, client.security)["type"] == kind  # who has it is heard
        with pytest.raises(OSError, match=r"handshake|ALERT|alert|certificate|closed|Timed out"):
            client.sync(asked, address, Address("", *new_key()).security())  # another key
        with pytest.raises(TypeError, match="ssl_context"):
            client.sync(asked, address, Security())
        with pytest.raises(OSError, match=r"handshake|closed|Timed out"):
            client.sync(asked, address.replace("tls", "tcp"), Security())
        # The server itself refuses, whatever certificate of its own one would take.
        with pytest.raises((ssl.SSLError, ConnectionError)):
            heard_without_a_certificate(address)


def test_the_file_of_a_scheduler_is_its_owners_alone(tmp_path):
    file = tmp_path / "scheduler.json"
    Address("tls://127.0.0.1:1", *new_key()).write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_address(str(file)).key.startswith("-----BEGIN PRIVATE KEY-----")
    file.chmod(0o640)
    with pytest.raises(FileError, match="holds a key and others may read it; chmod 600"):
        read_address(str(file))


def test_a_scheduler_that_is_open_to_others_without_tls_is_refused():
    with pytest.raises(UserError, match=r"open to other machines without TLS.*say insecure"):
        read_address("tcp://10.0.0.4:8786")
    assert read_address("tcp://10.0.0.4:8786", insecure=True).key is None
    assert read_address("tcp://127.0.0.1:8786").is_loopback
    with pytest.raises(UserError, match=r"no file none.json of a scheduler"):
        read_address("none.json")


def test_gpus_that_no_worker_has_are_refused_at_once(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert shares.shares_of(None, None, "auto") == (1, 2)
    assert shares.shares_of(None, 2, "auto") == (2, 1)
    assert shares.shares_of(3, 0, "auto") == (0, 3)
    assert shares.shares_of(4, None, "cpu") == (0, 4)
    with pytest.raises(UserError, match="2 runs at a time with gpus_per_run 2 take 4 GPUs, and"):
        shares.shares_of(2, 2, "auto")


def test_threads_are_a_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(shares, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [shares.threads_of(workers) for workers in (1, 3, 20)] == [8, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [shares.threads_of(workers) for workers in (1, 8)] == [2, 1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--workers", "2"], "--workers needs distributed, which is not installed; get it by: "),
        (["--scheduler", "s.json"], "--scheduler needs distributed, which is not installed"),
        (["--workers", "2", "--scheduler", "s"], "has workers of its own; leave --workers out"),
    ],
)
def test_without_the_extra_it_is_named(mistake, tmp_path, monkeypatch, words, expected):
    monkeypatch.setattr(connection, "find_spec", lambda name: None)
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    assert expected in mistake("study", "--config", path, *words)


def test_a_run_sees_nothing_of_what_started_its_worker():
    environment = {"WORLD_SIZE": "4", "LOCAL_RANK": "1", "SLURM_STEP_NUM_TASKS": "4", "HOME": "/h"}
    drop_launchers(environment)
    assert environment == {"HOME": "/h"}


def test_steps_take_no_workers(mistake):
    assert "--workers is of a graph" in mistake("study", "train -m mlp", "--workers", "2")

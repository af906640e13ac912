import contextlib
import os
import random

import pytest
import torch
from safetensors.torch import save_file

from frankenstein.files import (
    FileError,
    load_tensors,
    save_tensors,
    sweep_halves,
    write_whole,
    writing_whole,
)

FACTS = {"kind": "test", "rank": 8, "name": "digits", "nested": {"a": [1, 2.5, None]}}


@pytest.fixture
def tensors():
    return {
        "weight": torch.randn(3, 2),
        "half": torch.randn(4).bfloat16(),
        "count": torch.tensor(7),
        "none": torch.zeros(0, 3),
        "transposed": torch.randn(2, 5, dtype=torch.float64).T,
    }


def check_same(loaded, tensors, facts=FACTS):
    found, found_facts = loaded
    assert found_facts == facts
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_tensors_and_facts_come_back_as_they_were(tmp_path, tensors):
    path = save_tensors(tmp_path / "a.safetensors", tensors, FACTS)
    check_same(load_tensors(path), tensors)


def test_the_same_content_makes_the_same_bytes(tmp_path, tensors):
    a = save_tensors(tmp_path / "a.safetensors", tensors, FACTS)
    b = save_tensors(tmp_path / "b.safetensors", tensors, dict(reversed(FACTS.items())))
    assert a.read_bytes() == b.read_bytes()


def test_every_flipped_byte_is_noticed_or_changes_nothing(tmp_path, tensors):
    path = save_tensors(tmp_path / "a.safetensors", tensors, FACTS)
    whole = path.read_bytes()
    draw = random.Random(0)
    for place in [*range(8), *(draw.randrange(len(whole)) for _ in range(200))]:
        damaged = bytearray(whole)
        damaged[place] ^= draw.randrange(1, 256)
        path.write_bytes(damaged)
        with contextlib.suppress(FileError):
            check_same(load_tensors(path), tensors)


def test_a_changed_fact_is_noticed(tmp_path, tensors):
    path = save_tensors(tmp_path / "a.safetensors", tensors, FACTS)
    path.write_bytes(path.read_bytes().replace(b"digits", b"dogits"))
    with pytest.raises(FileError, match=r"a\.safetensors is damaged: its checksum does not fit"):
        load_tensors(path)


def test_facts_come_back_as_json_knows_them(tmp_path, tensors):
    path = save_tensors(
        tmp_path / "a.safetensors", tensors, {"pair": (1, 2), "keys": {10: 0, 9: 1}}
    )
    check_same(load_tensors(path), tensors, {"pair": [1, 2], "keys": {"10": 0, "9": 1}})


def test_every_truncated_file_is_noticed(tmp_path, tensors):
    path = save_tensors(tmp_path / "a.safetensors", tensors, FACTS)
    whole = path.read_bytes()
    for length in range(0, len(whole), 17):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError, match=r"a\.safetensors"):
            load_tensors(path)


def test_a_file_that_is_absent_is_named(tmp_path):
    with pytest.raises(FileError, match=r"no file .*absent\.safetensors; is the path right"):
        load_tensors(tmp_path / "absent.safetensors")


def test_a_safetensors_file_of_others_is_refused(tmp_path):
    save_file({"w": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(FileError, match="was not written by frankenstein"):
        load_tensors(tmp_path / "other.safetensors")


@pytest.mark.parametrize("fails", ["fsync", "chmod", "replace"])
def test_a_write_that_fails_leaves_the_old_file_whole_and_nothing_beside_it(
    tmp_path, monkeypatch, fails
):
    path = write_whole(tmp_path / "a.txt", "old")

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, fails, full)
    with pytest.raises(FileError, match=r"cannot write .*a\.txt: no space left on device; make"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_is_written_replaces_what_was_there(tmp_path):
    for content in ("old", b"new bytes", "né"):
        path = write_whole(tmp_path / "a.txt", content)
        expected = content.encode() if isinstance(content, str) else content
        assert path.read_bytes() == expected
    assert os.listdir(tmp_path) == ["a.txt"]


def test_halves_are_swept_unless_they_are_being_written(tmp_path):
    left = tmp_path / ".a[1].npy.x.unfinished"
    left.write_text("half")
    with writing_whole(tmp_path / "a[1].npy") as file:
        file.write(b"whole")
        sweep_halves(tmp_path / "a[1].npy")
        assert len(list(tmp_path.iterdir())) == 1
        assert not left.exists()
    assert (tmp_path / "a[1].npy").read_bytes() == b"whole"


def test_a_folder_that_is_moved_meanwhile_is_to_be_put_back(tmp_path):
    (tmp_path / "here").mkdir()
    told = pytest.raises(
        FileError, match=r"cannot write .*/here/a: No such file .*; put its folder"
    )
    with told, writing_whole(tmp_path / "here/a"):
        (tmp_path / "here").rename(tmp_path / "there")

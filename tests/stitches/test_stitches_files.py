import pytest
import torch

from frankenstein.files import FileError, save_tensors
from frankenstein.stitches import Affine, load_stitch, save_stitch, stitch_facts

FACTS = {"sender": "a.safetensors", "layers": ["bn3", "bn5"], "accuracy": 0.1 + 0.2}


def test_a_stitch_comes_back_bit_for_bit(any_family, tmp_path):
    stitch = any_family(6, 6).float()
    path = save_stitch(tmp_path / "stitch.safetensors", stitch, FACTS)
    loaded = load_stitch(path)
    assert type(loaded) is type(stitch)
    assert loaded.options == stitch.options
    assert loaded.state_dict().keys() == stitch.state_dict().keys()
    for name, tensor in stitch.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    z = torch.randn(3, 6, 2, 2)
    assert torch.equal(loaded(z), stitch(z))


def test_facts_come_back_with_it(family, tmp_path):
    assert stitch_facts(save_stitch(tmp_path / "a", family(6, 6), FACTS)) == FACTS
    assert stitch_facts(save_stitch(tmp_path / "b", family(6, 6))) == {}


def test_a_stitch_takes_kilobytes(family, tmp_path):
    assert save_stitch(tmp_path / "a", family(6, 6), FACTS).stat().st_size < 4096


@pytest.mark.parametrize("damage", ["flipped weight", "flipped record", "cut short"])
def test_a_damaged_file_is_refused_by_name(tmp_path, damage):
    path = save_stitch(tmp_path / "stitch.safetensors", Affine(6, 6), FACTS)
    content = bytearray(path.read_bytes())
    if damage == "flipped weight":
        content[-5] ^= 1
    elif damage == "flipped record":
        content[content.index(b"bn3") + 2] ^= 1
    else:
        del content[-1:]
    path.write_bytes(content)
    for read in (load_stitch, stitch_facts):
        with pytest.raises(FileError, match=r"stitch\.safetensors is (damaged|not a whole)"):
            read(path)


def test_files_of_something_else_are_refused(tmp_path):
    path = save_tensors(tmp_path / "network.safetensors", {}, {"kind": "network"})
    with pytest.raises(FileError, match=r"network\.safetensors does not hold a stitch; give a"):
        load_stitch(path)
    with pytest.raises(FileError, match="no file"):
        load_stitch(tmp_path / "absent.safetensors")

import pytest
import torch

from frankenstein.dictionaries import Dictionary, dictionary_facts, load_dictionary, save_dictionary
from frankenstein.files import FileError, save_tensors


@pytest.mark.parametrize("k", [None, 3])
def test_a_dictionary_comes_back_as_it_was(tmp_path, k):
    dictionary = Dictionary(5, 12, k=k, seed=4)
    dictionary.mean.normal_()
    dictionary.scale.fill_(3.0)
    path = save_dictionary(tmp_path / "d.safetensors", dictionary, {"layer": "bn3"})
    again, z = load_dictionary(path), torch.randn(6, 5, 2, 2)
    assert torch.equal(again(z), dictionary(z))
    assert (again.options, dictionary_facts(path)) == (dictionary.options, {"layer": "bn3"})


def test_another_file_is_refused(tmp_path):
    path = save_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(1)}, {"kind": "stitch"})
    with pytest.raises(FileError, match="does not hold a dictionary"):
        load_dictionary(path)

"""Sentences as a data set: files, tokens, masks, and which are held out."""

import os

import pytest
import torch

from frankenstein.data.grammar import made_up_sentences
from frankenstein.data.padding import Sentences, there_of
from frankenstein.data.text import Text
from frankenstein.data.tokenizers import Bytes
from frankenstein.errors import DataError
from frankenstein.shapes import ShapeError

SENTENCES = ["the fox", "a bird sings", "hé", "two cats", "many dogs wait", "no", "yes"]


def written(folder, text, name="some.txt"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_fifth_of_a_file_is_held_out_and_all_of_a_second_one(tmp_path):
    one = written(tmp_path, "\n".join([*SENTENCES, "", "  "]))
    data = Text([one])
    rows = torch.cat([data.train_images, data.val_images]).sort().values
    assert rows.tolist() == [*range(7)]
    assert len(data.val_images) in (1, 2)
    assert torch.equal(data.val_images, Text([one]).val_images)
    both = Text([one, written(tmp_path, "held out", "other.txt")])
    assert [both.sentences[row] for row in both.val_images] == ["held out"]
    assert both.train_images.tolist() == [*range(7)]
    assert both.val_rows.tolist() == [0]  # of its own file
    assert torch.equal(data.val_rows, data.val_images)


def test_batches_are_tokens_and_a_mask_as_long_as_their_longest_sentence(tmp_path):
    data = Text([written(tmp_path, "\n".join(SENTENCES))])
    look = data.look_for(Bytes(limit=10))
    rows = torch.tensor([2, 0, 4])
    inputs = look(rows).parts
    for row, ids, mask in zip(rows, inputs["input_ids"], inputs["attention_mask"], strict=True):
        expected = [10, *SENTENCES[row].encode()[:8], 10]
        assert ids[: len(expected)].tolist() == expected
        assert mask.tolist() == [1] * len(expected) + [0] * (10 - len(expected))
    following = look.next_tokens(rows)
    assert following[0, :4].tolist() == [*"hé".encode(), 10]
    assert (following[0, 4:] == -100).all()


def test_labels_are_a_column_of_a_table(tmp_path):
    table = "label\ttext\n" + "\n".join(f"{'good' if i % 2 else 'bad'}\tline {i}" for i in range(9))
    data = Text([written(tmp_path, table, "reviews.tsv")])
    assert data.classes == ("bad", "good")
    assert "labels 0 bad, 1 good" in data.about
    for rows, labels in (
        (data.train_images, data.train_labels),
        (data.val_images, data.val_labels),
    ):
        assert labels.tolist() == [row % 2 for row in rows.tolist()]
    commas = "id,sentence,label\n" + "".join(f'{i},"a, {i}",{i % 3}\n' for i in range(9))
    data = Text([written(tmp_path, commas, "reviews.csv")])
    assert (data.num_classes, data.sentences[1]) == (3, "a, 1")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", " \n\n", "holds no sentence"),
        ("a.txt", "one\0two", "no text: it holds bytes of 0"),
        ("a.csv", "one,two\n1,2\n", "columns one, two and 1 row; it needs one called text"),
        ("a.csv", "text,label\nfine,1\nodd\n", "line 3 has another number of columns"),
        ("a.tsv", "text\tlabel\n\t1\n", "line 2 has no text"),
        ("a.txt", "one", "1 sentence leave none to"),
        (
            "a.csv",
            f"{'9' * 5000},two\n1,2\n",
            r"has columns 9{180}\.\.\. \(5,005 characters\) and 1",
        ),
    ],
)
def test_a_file_that_is_no_text_is_refused_in_a_line(tmp_path, name, text, said):
    with pytest.raises(DataError, match=said):
        Text([written(tmp_path, text, name)])


def test_what_is_no_file_of_text_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("pipe", "zeros", "."):
        with pytest.raises(DataError, match="it is a folder, a pipe or a device"):
            Text([tmp_path / name])


def test_a_label_of_thousands_of_digits_is_a_word(tmp_path):
    table = "text,label\n" + "".join(f"line {i},{'9' * 5000 if i else 1}\n" for i in range(9))
    assert Text([written(tmp_path, table, "a.csv")]).classes == ("1", "9" * 5000)


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("fine\nh\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match="no text in UTF-8: line 2"):
        Text([path])
    with pytest.raises(DataError, match="No such file"):
        Text([tmp_path / "absent.txt"])


def test_made_up_sentences_differ_and_are_always_the_same():
    some = made_up_sentences(300)
    assert len({*some}) == 300
    assert some == made_up_sentences(300)
    assert some != made_up_sentences(300, seed=1)


def test_a_mask_is_checked():
    assert there_of(torch.zeros(2, 3)) is None
    with pytest.raises(ShapeError, match="leaves a sentence without tokens"):
        there_of({"attention_mask": torch.tensor([[1, 0], [0, 0]])})
    with pytest.raises(ShapeError, match=r"attention_mask is \(sentences, tokens\)"):
        there_of({"attention_mask": torch.ones(2, 1, 3, 3)})
    look = Sentences([[1, 2, 3], [4]], pad=9)
    assert look(torch.tensor([1])).parts["input_ids"].tolist() == [[4]]

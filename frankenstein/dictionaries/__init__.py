"""Dictionaries: a representation as a sparse sum of directions, between a front and its end."""

from frankenstein.dictionaries.carried import carry_dictionary
from frankenstein.dictionaries.crosscoder import CrosscoderDictionary, side_by_side
from frankenstein.dictionaries.dictionary import Dictionary, mean_and_scale, resample
from frankenstein.dictionaries.files import (
    dictionary_facts,
    load_crosscoder,
    load_dictionary,
    save_crosscoder,
    save_dictionary,
)

__all__ = [
    "CrosscoderDictionary",
    "Dictionary",
    "carry_dictionary",
    "dictionary_facts",
    "load_crosscoder",
    "load_dictionary",
    "mean_and_scale",
    "resample",
    "save_crosscoder",
    "save_dictionary",
    "side_by_side",
]

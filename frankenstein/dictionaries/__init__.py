"""Dictionaries: a representation as a sparse sum of directions, between a front and its end."""

from frankenstein.dictionaries.carried import carry_dictionary
from frankenstein.dictionaries.dictionary import Dictionary, mean_and_scale, resample
from frankenstein.dictionaries.files import dictionary_facts, load_dictionary, save_dictionary

__all__ = [
    "Dictionary",
    "carry_dictionary",
    "dictionary_facts",
    "load_dictionary",
    "mean_and_scale",
    "resample",
    "save_dictionary",
]

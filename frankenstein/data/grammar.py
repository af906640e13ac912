"""Made-up English sentences with a grammar that can be learned: for a first language model."""

from collections.abc import Mapping, Sequence
from random import Random

# What a word may become, by the number of the noun where it must agree with it. Words in capitals
# are replaced again; "s" and "p" behind a name say singular and plural.
_RULES: Mapping[str, Sequence[str]] = {
    "S": ["CLAUSE .", "CLAUSE .", "CLAUSE and CLAUSE .", "when CLAUSE , CLAUSE ."],
    "CLAUSE": ["NPs VPs", "NPp VPp"],
    "NPs": ["the Ns", "the Ns", "the ADJ Ns", "a ADJC Ns", "the Ns WHOs"],
    "NPp": ["the Np", "the Np", "the ADJ Np", "NUM Np", "the Np WHOp"],
    "WHOs": ["that VTs NP", "that VIs", "near NP"],
    "WHOp": ["that VTp NP", "that VIp", "near NP"],
    "NP": ["the Ns", "the Np", "NUM Np"],
    "VPs": ["VIs", "VTs NP", "VTs NP", "VIs ADV"],
    "VPp": ["VIp", "VTp NP", "VTp NP", "VIp ADV"],
    "Ns": ["dog", "cat", "child", "bird", "teacher", "fox", "sailor", "queen"],
    "Np": ["dogs", "cats", "children", "birds", "teachers", "foxes", "sailors", "queens"],
    "VIs": ["sleeps", "sings", "runs", "waits", "laughs"],
    "VIp": ["sleep", "sing", "run", "wait", "laugh"],
    "VTs": ["sees", "follows", "likes", "hears", "chases"],
    "VTp": ["see", "follow", "like", "hear", "chase"],
    "ADJ": ["old", "small", "green", "happy", "quiet"],
    "ADJC": ["small", "green", "happy", "quiet", "brave"],
    "NUM": ["two", "three", "many"],
    "ADV": ["slowly", "again", "at night", "in the rain"],
}


def made_up_sentences(count: int, seed: int = 0) -> list[str]:
    """Different sentences of a small grammar, always the same ones for a seed.

    Verbs agree with their subject in number, also across a relative clause: what comes next depends
    on words far before.

    >>> made_up_sentences(2)[1]
    'the old cat hears two foxes and the quiet birds wait at night .'
    """
    random, sentences = Random(seed), dict[str, None]()
    while len(sentences) < count:
        sentences[_grown("S", random)] = None
    return [*sentences]


def _grown(word: str, random: Random) -> str:
    if word not in _RULES:
        return word
    return " ".join(_grown(one, random) for one in random.choice(_RULES[word]).split(" "))

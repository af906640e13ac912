"""How the dictionaries of questions are made: few steps on batches of a subject's images."""

import copy

from frankenstein.callbacks import TrainingBar
from frankenstein.dictionaries import Dictionary
from frankenstein.questions.subject import Subject
from frankenstein.questions.table import DictionaryOptions
from frankenstein.tasks import DataModule, DictionaryFit
from frankenstein.training.trainer import bare_trainer, quiet_lightning

_EPOCHS = 6  # that the steps are parted in: the learning rate falls, dead features are resampled
_BATCH = 64  # images a step: enough places, and a small part of the time of a larger batch
_PER_UNIT = 4  # features


def new_dictionary(units: int, options: DictionaryOptions, seed: int) -> Dictionary:
    """One of random directions, as many and as sparse as the options say."""
    features = options.features or _PER_UNIT * units
    k = None if options.l1 is not None else min(options.k, features)
    return Dictionary(units, features, k, seed)


def train_dictionary(subject: Subject, task: DictionaryFit, steps: int, what: str) -> Dictionary:
    """The task's dictionary after so many steps, on the subject's device, frozen."""
    data = copy.copy(subject.data)  # the images are shared
    data.batch_size, data.order_seed = min(_BATCH, data.num_train), task.seed
    each = min(-(-steps // _EPOCHS), len(data.shuffled_batches()))
    with quiet_lightning():
        trainer = bare_trainer(
            subject.device,
            max_epochs=_EPOCHS,
            limit_train_batches=each,
            callbacks=[] if subject.quiet else [TrainingBar(what)],
        )
        trainer.fit(task, DataModule(data))
    task.to(subject.device)  # the Trainer leaves it on the CPU
    return task.dictionary.requires_grad_(False).eval()

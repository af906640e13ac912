"""Training a network of the zoo."""

import pytorch_lightning as pl
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from frankenstein.labels import hits, label_loss, questions
from frankenstein.tasks.loaders import once
from frankenstein.tasks.means import Accuracy, Mean
from frankenstein.tasks.optimizers import make_optimizer, two_cuts


class Classifier(pl.LightningModule):
    """Cross entropy to labels, one or several per image; the defaults are Dr. Frankenstein's."""

    def __init__(
        self,
        network: nn.Module,
        lr: float = 0.1,
        weight_decay: float = 1e-4,
        optimizer: str = "sgd",
    ) -> None:
        super().__init__()
        self.network = network
        self.lr = lr
        self.weight_decay = weight_decay
        self.optimizer_name = optimizer
        self.accuracy, self.held_out_loss = Accuracy(), Mean()

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.network(images)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Cross entropy of one batch."""
        images, labels = batch
        logits = self.network(images)
        loss = label_loss(logits, labels)
        accuracy = hits(logits, labels).float().mean()
        self.log_dict({"train/loss": loss.detach(), "train/accuracy": accuracy})
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Loss and accuracy on held-out examples."""
        batch = once(self, batch, index)
        if not len(batch[1]):
            return
        images, labels = batch
        logits = self.network(images)
        self.accuracy.update(logits, labels)
        self.log("val/accuracy", self.accuracy)
        self.held_out_loss.update(label_loss(logits, labels), questions(labels))
        self.log("val/loss", self.held_out_loss)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer by name, its learning rate cut twice."""
        optimizer = make_optimizer(
            self.optimizer_name, self.network.parameters(), self.lr, self.weight_decay
        )
        return [optimizer], [two_cuts(optimizer, self.trainer.max_epochs or 1)]

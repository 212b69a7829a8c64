"""A Lightning training that dbray calls from several seeds.

python sweeps/my_training.py --train examples.with_lightning:train --options "lr=0.01 lr=0.001"
"""

from pathlib import Path

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Classifier(lightning.LightningModule):
    """A network with its loss and optimizer; ``forward`` gives the logits."""

    def __init__(self, pixels, classes, lr):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, 64), nn.ReLU(), nn.Linear(64, classes)
        )

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, _):
        images, labels = batch
        loss = nn.functional.cross_entropy(self(images), labels)
        self.log("loss", loss, on_epoch=True, on_step=False)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.hparams.lr)


class Reports(lightning.Callback):
    """Brings Lightning's epochs to dbray's progress and history."""

    def __init__(self, report):
        self.report = report

    def on_train_epoch_end(self, trainer, _):
        self.report(trainer.current_epoch + 1, trainer.callback_metrics["loss"].item())


def make(input_shape, classes, lr=0.01):
    """The module, untrained."""
    return Classifier(torch.Size(input_shape).numel(), classes, lr)


def train(seeds, dataset, device, folder: Path, report, lr=0.01):
    """Fit from the seeds; Lightning goes on from its last checkpoint after a kill."""
    lightning.seed_everything(seeds.weights, verbose=False)
    model = make(dataset.input_shape, dataset.classes, lr)
    images = torch.tensor(dataset.normalise(dataset.train_images))
    data = TensorDataset(images, torch.tensor(dataset.train_labels))
    order = torch.Generator().manual_seed(seeds.order)
    loader = DataLoader(data, batch_size=64, shuffle=True, generator=order)
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        default_root_dir=folder,
        callbacks=[
            Reports(report),
            lightning.pytorch.callbacks.ModelCheckpoint(folder, save_last=True),
        ],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    last = folder / "last.ckpt"
    trainer.fit(model, loader, ckpt_path=last if last.exists() else None)
    return model, make

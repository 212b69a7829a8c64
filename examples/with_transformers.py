"""A Hugging Face Trainer that dbray calls from several seeds: a small ViT, from nothing.

python sweeps/my_training.py --train examples.with_transformers:train
"""

import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments, ViTConfig
from transformers import ViTForImageClassification as ViT


class Images(Dataset):
    """Items as a Trainer wants them."""

    def __init__(self, images, labels):
        self.images, self.labels = torch.tensor(images), labels.tolist()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return {"pixel_values": self.images[index], "labels": self.labels[index]}


class Reports(TrainerCallback):
    """Brings the Trainer's epochs to dbray's progress and history."""

    def __init__(self, report):
        self.report = report

    def on_log(self, args, state, control, logs=None, **_):
        if "loss" in logs:
            self.report(round(state.epoch), logs["loss"])


def make(input_shape, classes):
    """The model, untrained; it answers an object whose ``logits`` dbray finds."""
    return ViT(
        ViTConfig(
            num_channels=input_shape[0],
            image_size=input_shape[1],
            patch_size=2,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            num_labels=classes,
        )
    )


def train(seeds, dataset, device, folder, report):
    """Train from the seeds: the Trainer has one for the model and one for the data."""
    torch.manual_seed(seeds.weights)
    model = make(dataset.input_shape, dataset.classes)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=4,
        per_device_train_batch_size=32,
        learning_rate=3e-3,
        seed=seeds.dropout,
        data_seed=seeds.order,
        logging_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        report_to="none",
        disable_tqdm=True,
        use_cpu=device.type == "cpu",
    )
    data = Images(dataset.normalise(dataset.train_images), dataset.train_labels)
    trainer = Trainer(model, arguments, train_dataset=data, callbacks=[Reports(report)])
    trainer.train(resume_from_checkpoint=any(folder.glob("checkpoint-*")) or None)
    return model, make

"""A plain PyTorch loop as a training that dbray calls from several seeds.

python sweeps/my_training.py --train examples.plain_loop:train --options "lr=0.1 lr=0.01"
"""

from pathlib import Path

import torch
from torch import nn


def make(input_shape, classes, width=64):
    """The network, untrained. dbray asks for it again when planes are added later."""
    channels, height, width_ = input_shape
    return nn.Sequential(
        nn.Conv2d(channels, width // 2, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(width // 2 * (height // 2) * (width_ // 2), width),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(width, classes),
    )


def train(seeds, dataset, device, folder: Path, report, lr=0.1, width=64, epochs=4):
    """Train from the seeds, save a checkpoint an epoch, resume from it after a kill."""
    torch.manual_seed(seeds.weights)
    model = make(dataset.input_shape, dataset.classes, width).to(device)
    images = torch.tensor(dataset.normalise(dataset.train_images), device=device)
    labels = torch.tensor(dataset.train_labels, device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9)
    order = torch.Generator().manual_seed(seeds.order)
    torch.manual_seed(seeds.dropout)

    first, saved = 1, folder / "state.pt"
    if saved.exists():
        state = torch.load(saved)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        order.set_state(state["order"])
        torch.set_rng_state(state["random"])
        first = state["epoch"] + 1
    for epoch in range(first, epochs + 1):
        total, right = 0.0, 0
        for batch in torch.randperm(len(labels), generator=order).split(64):
            logits = model(images[batch])
            loss = nn.functional.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
            right += (logits.argmax(dim=1) == labels[batch]).sum().item()
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "order": order.get_state(),
            "random": torch.get_rng_state(),
            "epoch": epoch,
        }
        torch.save(state, folder / "new.pt")
        (folder / "new.pt").replace(saved)  # a kill while writing leaves the old one whole
        report(epoch, total / len(labels), right / len(labels))
    return model, make

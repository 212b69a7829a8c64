"""A training script with a command line, which knows nothing of dbray.

python sweeps/my_training.py --factory examples.script:make \
    --command "python examples/script.py --seed {seed} --out {checkpoint}"

By several processes: torchrun --nproc-per-node 2 in the place of python.
"""

import argparse
import os

import torch
import torch.distributed
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def make(input_shape=(1, 8, 8), classes=10):
    """The network."""
    pixels = torch.Size(input_shape).numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 64), nn.ReLU(), nn.Linear(64, classes))


def main():
    """Train on scikit-learn's digits, each process on its share, and save the weights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if size > 1:
        torch.distributed.init_process_group("gloo")
    torch.manual_seed(options.seed)
    net = make()
    model = DistributedDataParallel(net) if size > 1 else net
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images[:1400], dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    labels = torch.tensor(labels[:1400])
    optimizer = torch.optim.Adam(model.parameters(), 0.005)
    order = torch.Generator().manual_seed(options.seed)  # the same in every process
    for epoch in range(4):
        for batch in torch.randperm(len(labels), generator=order).split(64):
            own = batch[rank::size]
            loss = nn.functional.cross_entropy(model(images[own]), labels[own])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if rank == 0:
            print(f"epoch {epoch + 1}, loss {loss.item():.3f}")
    if rank == 0:
        torch.save(net.state_dict(), options.out)
    if size > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()

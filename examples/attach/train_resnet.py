"""A plain PyTorch training script with three lines of Penstock, marked below.

    penstock profile train --attach --ranks 2 -- python3 examples/attach/train_resnet.py DATA
    python3 examples/attach/train_resnet.py DATA        # the same without Penstock

DATA is a folder with one folder of images for each class; without it the images are random. Put
clients/ of Penstock on PYTHONPATH, or copy penstock_steps.py beside the script.
"""

import argparse
import os
import sys

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../clients"))
import penstock_steps  # 1


def dataset(folder, size):
    if folder is None:
        return TensorDataset(torch.rand(256, 3, size, size), torch.randint(10, (256,)))
    from torchvision import datasets, transforms

    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
        ]
    )
    return datasets.ImageFolder(folder, transform)


def network(name):
    if name != "small":
        from torchvision import models

        return getattr(models, name)(num_classes=1000)
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 1000),
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--model", default="resnet18", help="of torchvision, or small")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224, help="pixels of an image's side")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()

    world = int(os.environ.get("WORLD_SIZE", "1"))
    model = network(args.model)
    data = dataset(args.folder, args.size)
    sampler = None
    if world > 1:
        dist.init_process_group("gloo")
        model = DistributedDataParallel(model)
        sampler = DistributedSampler(data)
    loader = DataLoader(
        data,
        args.batch,
        shuffle=sampler is None,
        sampler=sampler,
        num_workers=args.workers,
        drop_last=True,
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    steps = penstock_steps.connect(batch=args.batch)  # 2
    for _ in range(args.epochs):
        for images, labels in steps.watch(loader):  # 3
            with steps.sync(model):  # also wanted where gradients are summed over ranks
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()

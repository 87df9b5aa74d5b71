"""plain.py WORKLOAD DIR THREADS [PROCESSES]: the workload as a plain PyTorch loop, one JSON line at the end.

Federated averaging of equal sites, SGD without momentum, a new order of samples for each local epoch: what the plan of the
same name says. No evaluation inside the timed part.
"""
import json
import multiprocessing
import resource
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SITE_ROWS = 600


class Mlp(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class Conv(nn.Module):
    """Two convolutions with ReLU and pooling, then linear layers."""

    def __init__(self, channels, padding, sizes):
        super().__init__()
        a, b, c = channels
        self.conv1, self.conv2 = nn.Conv2d(a, b, 5, padding=padding), nn.Conv2d(b, c, 5, padding=padding)
        self.head = Mlp(*sizes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.head(x)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()

        def unit(i, kernel, stride):
            return nn.Sequential(nn.Conv2d(i, outputs, kernel, stride, kernel // 2, bias=False), nn.GroupNorm(8, outputs))

        self.first, self.second = unit(inputs, 3, stride), unit(outputs, 3, 1)
        self.shortcut = unit(inputs, 1, stride) if inputs != outputs else nn.Identity()

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class Resnet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.GroupNorm(8, 16), nn.ReLU())
        self.stages = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(self.stages(self.stem(x)).mean((2, 3)))


# Model, local epochs, batch, rounds, sites, sites of a round.
WORKLOADS = {
    "logistic": (lambda: Mlp(784, 10), 5, 10, 20, 100, 10),
    "mlp": (lambda: Mlp(784, 200, 200, 10), 5, 10, 10, 100, 10),
    "cnn": (lambda: Conv((1, 32, 64), 2, (3136, 512, 10)), 1, 32, 3, 100, 10),
    "lenet": (lambda: Conv((3, 6, 16), 0, (400, 120, 84, 10)), 2, 32, 3, 20, 4),
    "resnet8": (Resnet8, 1, 32, 2, 20, 2),
}
LR = 0.05


def data(folder, workload):
    flat = workload in ("logistic", "mlp", "cnn")
    arrays = np.load(f"{folder}/{'flat' if flat else 'images'}.npz")
    shape = (-1, 1, 28, 28) if flat else (-1, 3, 32, 32)
    x, test_x = (torch.from_numpy(arrays[name]).reshape(shape) for name in ("x", "test_x"))
    y, test_y = (torch.from_numpy(arrays[name].astype(np.int64)) for name in ("y", "test_y"))
    return x, y, test_x, test_y


def start(folder, workload, threads):
    global SAMPLES
    torch.set_num_threads(threads)
    SAMPLES = data(folder, workload)


def train(model, site, epochs, batch):
    rows = slice(SITE_ROWS * site, SITE_ROWS * (site + 1))
    x, y = SAMPLES[0][rows], SAMPLES[1][rows]
    optimiser = torch.optim.SGD(model.parameters(), lr=LR)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            optimiser.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()


def site_in_process(work):
    workload, site, state = work
    make, epochs, batch, *_ = WORKLOADS[workload]
    model = make()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    train(model, site, epochs, batch)
    return {name: value.numpy() for name, value in model.state_dict().items()}


def main():
    workload, folder, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    processes = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    make, epochs, batch, rounds, sites, cohort = WORKLOADS[workload]
    start(folder, workload, threads)
    torch.manual_seed(0)
    model, local = make(), make()
    pool = None
    if processes > 1:
        pool = multiprocessing.get_context("spawn").Pool(processes, start, (folder, workload, threads))
        pool.map(abs, range(processes))
    used = cpu_seconds()
    began = time.time()
    for number in range(rounds):
        members = np.random.default_rng(number).choice(sites, cohort, replace=False)
        if pool:
            state = {name: value.numpy() for name, value in model.state_dict().items()}
            work = [(workload, int(site), state) for site in members]
            results = pool.map(site_in_process, work, chunksize=1)
            mean = {name: torch.from_numpy(np.mean([state[name] for state in results], 0)) for name in state}
        else:
            mean = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
            for site in members:
                local.load_state_dict(model.state_dict())
                train(local, int(site), epochs, batch)
                for name, value in local.state_dict().items():
                    mean[name] += value / cohort
        model.load_state_dict(mean)
    seconds = time.time() - began
    if pool:
        pool.close()
        pool.join()
    # The seconds of ended processes are known only now, with their start.
    used = cpu_seconds() - used if not pool else None
    with torch.no_grad():
        parts = zip(SAMPLES[2].split(500), SAMPLES[3].split(500))
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in parts)
    samples = rounds * cohort * epochs * SITE_ROWS
    print(json.dumps({"seconds": seconds, "cpu": used, "samples": samples, "updates": rounds * cohort,
                      "accuracy": right / len(SAMPLES[3])}))


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()

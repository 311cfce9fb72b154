"""FOLDER/NAME.pt of ours in PyTorch: loaded without running code, into modules written the PyTorch way, with the same predictions.

For each NAME: NAME.inputs.safetensors and NAME.outputs.safetensors; writes NAME.again.pt, saved by torch, and NAME.again.npz by NumPy.
"""
import pathlib
import sys
from collections import OrderedDict

import numpy as np
import torch
from safetensors.numpy import load_file
from torch import nn
from torch.nn import functional as F


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3, eps=1e-3)
        self.hidden = nn.Linear(3 * 4 * 3, 5)
        self.norm_1 = nn.BatchNorm1d(5, eps=1e-3)
        self.logits = nn.Linear(5, 2)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x.permute(0, 3, 1, 2))))
        x = F.max_pool2d(x, 2).flatten(1)
        return self.logits(self.norm_1(torch.tanh(self.hidden(x))))


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 4)
        self.both = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(6, 5, batch_first=True)
        self.rnn = nn.RNN(5, 4, batch_first=True)
        self.norm = nn.LayerNorm(4, eps=1e-3)
        self.logits = nn.Linear(4, 2)

    def forward(self, x):
        x, _ = self.both(self.words(x.long()))
        x, _ = self.gru(x)
        x, _ = self.rnn(x)
        return self.logits(self.norm(x[:, -1]))


class Kinds(nn.Module):
    def __init__(self):
        super().__init__()
        self.depth = nn.Conv2d(2, 4, 3, groups=2)
        self.separable = nn.Module()
        self.separable.depthwise = nn.Conv2d(4, 8, 2, groups=4, bias=False)
        self.separable.pointwise = nn.Conv2d(8, 6, 1)
        self.groups = nn.Conv2d(6, 4, 1, groups=2)
        self.larger = nn.ConvTranspose2d(4, 3, 3, stride=2)
        self.slopes = nn.PReLU(3)
        self.groupnorm = nn.GroupNorm(3, 3, eps=1e-3)
        self.logits = nn.Linear(3, 2)

    def forward(self, x):
        x = self.depth(x.permute(0, 3, 1, 2))
        x = self.separable.pointwise(self.separable.depthwise(x))
        x = self.groupnorm(self.slopes(self.larger(self.groups(x))))
        return self.logits(x.mean((2, 3)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True)
        self.logits = nn.Linear(8, 3)

    def forward(self, x):
        return self.logits(self.heads(x, x, x)[0])


class Volume(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.Conv1d(3, 4, 3)
        self.logits = nn.Linear(4 * 4, 2)

    def forward(self, x):
        return self.logits(self.steps(x.permute(0, 2, 1)).flatten(1))


MODULES = {"cnn": Cnn, "sequence": Sequence, "kinds": Kinds, "attention": Attention, "steps": Volume}

folder = pathlib.Path(sys.argv[1])
count = 0
for path in sorted(folder.glob("*.inputs.safetensors")):
    name = path.name.removesuffix(".inputs.safetensors")
    state = torch.load(folder / f"{name}.pt", weights_only=True)
    assert isinstance(state, OrderedDict), type(state)
    mapped = torch.load(folder / f"{name}.pt", weights_only=True, mmap=True)
    assert all(torch.equal(state[key], mapped[key]) for key in state)
    module = MODULES[name]()
    module.load_state_dict(state, strict=True)
    module.eval()
    inputs = torch.from_numpy(load_file(path)["0"])
    expected = load_file(folder / f"{name}.outputs.safetensors")["0"]
    with torch.no_grad():
        found = module(inputs).numpy()
    worst = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not (found.shape == expected.shape and worst <= 1e-5):
        print(f"{name}: {found.shape} {expected.shape} differs by {worst:.3g}")
    torch.save(module.state_dict(), folder / f"{name}.again.pt")
    torch.save(module.state_dict(), folder / f"{name}.legacy.pt", _use_new_zipfile_serialization=False)
    arrays = dict(np.load(folder / f"{name}.npz"))
    np.savez_compressed(folder / f"{name}.again.npz", **arrays)
    count += 1
print(f"modules: {count}")

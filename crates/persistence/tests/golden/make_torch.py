"""Makes persistence/torch/NAME.*: small networks of PyTorch, their checkpoints, predictions, and exports to ONNX.

python make_torch.py        (torch, onnx and safetensors)
"""
import json
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.conv3 = nn.Conv2d(8, 8, 1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        x = self.conv3(F.relu(x + self.bn2(self.conv2(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Depthwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 6, 1)
        self.d = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6)
        self.g = nn.Conv2d(6, 8, 1, groups=2)
        self.t = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1)
        self.fc = nn.Linear(4 * 8 * 8, 3)

    def forward(self, x):
        x = F.hardswish(self.d(F.relu6(self.a(x))))
        x = F.silu(self.t(F.leaky_relu(self.g(x), 0.1)))
        return F.softmax(self.fc(x.view(x.size(0), -1)), -1)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 6)
        self.l = nn.LSTM(6, 5, batch_first=True, bidirectional=True)
        self.g = nn.GRU(10, 4, batch_first=True)
        self.f = nn.Linear(4, 3)

    def forward(self, x):
        x, _ = self.l(self.e(x))
        x, _ = self.g(x)
        return self.f(x[:, -1])


class LastState(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.LSTM(6, 5, batch_first=True)
        self.f = nn.Linear(5, 3)

    def forward(self, x):
        _, (h, _) = self.l(x)
        return self.f(h[-1])


class LayerNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 8)
        self.n = nn.LayerNorm(8)
        self.b = nn.Linear(8, 4)

    def forward(self, x):
        return self.b(F.gelu(self.n(self.a(x)))).mean(1)


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv1d(3, 5, 3, padding=1)
        self.b = nn.BatchNorm1d(5)
        self.f = nn.Linear(5 * 4, 2)

    def forward(self, x):
        return self.f(F.avg_pool1d(F.elu(self.b(self.c(x))), 2).flatten(1))


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(5, 4)
        self.g = nn.Linear(4, 2)

    def forward(self, x):
        return self.g(torch.sigmoid(self.f(x * 2.0 + 1.0) / 3))


folder = pathlib.Path(__file__).parent / "persistence" / "torch"
torch.manual_seed(1)
cases = {
    "residual": (Residual(), torch.randn(4, 3, 32, 32)),
    "depthwise": (Depthwise(), torch.randn(4, 3, 8, 8)),
    "recurrent": (Recurrent(), torch.randint(0, 20, (4, 7))),
    "last_state": (LastState(), torch.randn(4, 7, 6)),
    "layer_norm": (LayerNorm(), torch.randn(4, 5, 6)),
    "steps": (Steps(), torch.randn(4, 3, 8)),
    "scaled": (Scaled(), torch.randn(4, 5)),
}
for name, (module, x) in cases.items():
    module.train()
    for _ in range(3):  # running statistics that are not those of the start
        if x.is_floating_point():
            module(x + torch.randn_like(x))
    module.eval()
    output = module(x).detach()
    state = module.state_dict()
    torch.save(state, folder / f"{name}.pt")
    save_file({"input": x.float().contiguous(), "output": output.contiguous()}, folder / f"{name}.io.safetensors")
    save_file({key: value.clone().contiguous() for key, value in state.items()}, folder / f"{name}.weights.safetensors")
    export = f"{name}.torchscript.onnx"
    axes = {"input": {0: "batch"}, "output": {0: "batch"}}
    names = {"input_names": ["input"], "output_names": ["output"]}
    torch.onnx.export(module, (x,), str(folder / export), dynamo=False, opset_version=17, dynamic_axes=axes, **names)
    document = {
        "torch_version": torch.__version__.split("+")[0],
        "model": str(module),
        "input": {"shape": list(x.shape)},
        "output": {"shape": list(output.shape)},
        "files": {"pt": f"{name}.pt", "io": f"{name}.io.safetensors", "weights": f"{name}.weights.safetensors"},
        "state_dict": [
            {"name": key, "shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")} for key, value in state.items()
        ],
        "onnx_exports": {"onnx_torchscript": {"file": export}},
    }
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")

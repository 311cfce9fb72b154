"""HDF5 files that reach for other files, as h5py writes them: python make_attacks.py (in this folder).

Each pretends to be `model.weights.h5` of a Sequential of one Dense(2) for two inputs.
"""
import json
import os
import h5py, numpy as np

here = os.path.dirname(os.path.abspath(__file__))


def start(name, libver="latest"):
    f = h5py.File(os.path.join(here, name + ".weights.h5"), "w", libver=libver)
    g = f.create_group("layers/dense/vars")
    g["1"] = np.zeros(2, "f4")
    return f, g


f, g = start("external_storage")
g.create_dataset("0", (2, 2), "f4", external=[("/etc/hostname", 0, 16)])
f.close()

f, g = start("external_link")
g["0"] = h5py.ExternalLink("/etc/hostname", "/kernel")
f.close()

f, g = start("soft_link")
f["elsewhere"] = np.ones((2, 2), "f4")
g["0"] = h5py.SoftLink("/nowhere/kernel")
f.close()

# The same in a symbol table, and in a heap, where groups of other versions and sizes keep their links.
f, g = start("soft_link_in_table", "earliest")
g["0"] = h5py.SoftLink("/nowhere/kernel")
f.close()

f, g = start("external_link_in_heap")
for n in range(20):
    g[f"n{n}"] = np.zeros(1, "f4")
g["0"] = h5py.ExternalLink("/etc/hostname", "/kernel")
f.close()

config = {"class_name": "Sequential", "config": {"name": "m", "layers": [
    {"class_name": "InputLayer", "config": {"batch_shape": [None, 2], "dtype": "float32", "name": "x"}},
    {"class_name": "Dense", "config": {"name": "dense", "units": 2}},
]}}
with h5py.File(os.path.join(here, "soft_link_legacy.h5"), "w") as f:
    f.attrs["model_config"] = json.dumps(config)
    weights = f.create_group("model_weights")
    weights.attrs["layer_names"] = ["dense"]
    layer = weights.create_group("dense")
    layer.attrs["weight_names"] = ["kernel", "bias"]
    layer["kernel"] = h5py.SoftLink("/nowhere/kernel")
    layer["bias"] = np.zeros(2, "f4")

f, g = start("virtual")
layout = h5py.VirtualLayout((2, 2), "f4")
layout[:] = h5py.VirtualSource("/etc/hostname", "kernel", (2, 2), "f4")
g.create_virtual_dataset("0", layout)
f.close()

# A few hundred bytes that stand for terabytes: chunks that were never written.
f, g = start("shape_bomb")
g.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(1 << 10, 1 << 10))
f.close()

# Each of these is below the budget, their sum is not.
f, g = start("sum_bomb")
for n in range(40):
    g.create_dataset(f"n{n}", (1 << 12, 1 << 12), "f4", chunks=(1 << 10, 1 << 10))
f.close()

# A group that holds itself: walking it never ends.
f, g = start("cycle")
g["again"] = f["layers"]
f.close()

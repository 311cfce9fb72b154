"""Saves and loads models of ten dense layers in other libraries: persist.py LIBRARY FOLDER SIZE...

LIBRARY: torch, safetensors-torch, safetensors-numpy, keras. Prints one JSON object a case, the median of five:
save (written and synced, and in turns with it disk_ms: the same number of bytes written to a new file and synced), open (the file is in the page cache, nothing is looked at), load (every number looked at once).
"""
import json, os, sys, time

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
import numpy as np

library, folder, sizes = sys.argv[1], sys.argv[2], [int(float(size)) for size in sys.argv[3:]]


def sync(path):
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)


def report(form, params, op, times, **more):
    seconds = sorted(times)[len(times) // 2]
    print(json.dumps({"format": form, "params": params, "op": op, "ms": seconds * 1e3, "gb_per_s": params * 4 / seconds / 1e9, **more}), flush=True)


def timed(action):
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def case(form, params, op, action):
    report(form, params, op, [timed(action) for _ in range(5)])


def cases(form, params, path, save, load, touch):
    plain, content = at("peer.bin"), rng.bytes(params * 4)

    def written():
        with open(plain, "xb", buffering=0) as file:
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest):]
            os.fsync(file.fileno())

    def synced():
        save()
        sync(path)
    disk, saved = [], []
    for _ in range(5):
        disk.append(timed(written))
        os.remove(plain)
        saved.append(timed(synced))
    report(form, params, "save", saved, disk_ms=sorted(disk)[2] * 1e3)
    if touch:
        case(form, params, "open", load)
        case(form, params, "load", lambda: touch(load()))
    else:
        case(form, params, "load", load)
    os.remove(path)


for size in sizes:
    side = int((size / 10) ** 0.5)
    params = 10 * side * (side + 1)
    at = lambda name: os.path.join(folder, name)
    rng = np.random.default_rng(0)
    if library in ("torch", "safetensors-torch"):
        import torch

        state = {}
        for layer in range(10):
            state[f"{layer}.weight"] = torch.from_numpy(rng.standard_normal((side, side), dtype=np.float32))
            state[f"{layer}.bias"] = torch.zeros(side)
        touch = lambda tensors: sum(float(tensor.sum()) for tensor in tensors.values())
        if library == "torch":
            path = at("peer.pt")
            save = lambda: torch.save(state, path)
            cases("torch.load", params, path, save, lambda: torch.load(path, weights_only=True), touch)
            cases("torch.load mmap", params, path, save, lambda: torch.load(path, weights_only=True, mmap=True), touch)
        else:
            import safetensors.torch as st

            path = at("peer.safetensors")
            cases("safetensors torch", params, path, lambda: st.save_file(state, path), lambda: st.load_file(path), touch)
    elif library == "safetensors-numpy":
        import safetensors.numpy as sn

        state = {}
        for layer in range(10):
            state[f"{layer}.weight"] = rng.standard_normal((side, side), dtype=np.float32)
            state[f"{layer}.bias"] = np.zeros(side, np.float32)
        touch = lambda tensors: sum(float(tensor.sum()) for tensor in tensors.values())
        path = at("peer.safetensors")
        cases("safetensors numpy", params, path, lambda: sn.save_file(state, path), lambda: sn.load_file(path), touch)
    else:
        import keras

        layers = [keras.layers.Input((side,))] + [keras.layers.Dense(side, kernel_initializer="zeros") for _ in range(10)]
        model = keras.Sequential(layers)
        model.set_weights([rng.standard_normal(weight.shape, dtype=np.float32) for weight in model.get_weights()])
        path = at("peer.keras")
        touch = lambda loaded: sum(float(np.asarray(weight).sum()) for weight in loaded.weights)
        cases("keras .keras", params, path, lambda: model.save(path), lambda: keras.saving.load_model(path), touch)
        path = at("peer.weights.h5")
        cases("keras .weights.h5", params, path, lambda: model.save_weights(path, overwrite=True), lambda: model.load_weights(path), None)

#!/usr/bin/env python3
"""How fast PyTorch and Keras train the four nets of `cargo xtask bench peers`.

  train.py --framework torch --model cnn --data DIR [--n N] [--batch B] [--epochs E] [--threads T] [--precision f32|bf16]

One JSON line an epoch: `seconds` covers shuffling, batching, forward, backward and the optimizer's steps, not the
evaluation; `loss` is the mean training loss; `test_acc` is measured after the epoch; `peak_mib` is the largest memory of
the process so far (Linux). Epoch 0 holds warm-up, tracing and compilation.

All weights are drawn Glorot-uniform, biases are zero; cross-entropy on logits, the mean over the batch:
  mlp       784-512-512-10, ReLU; AdamW, rate .001, betas .9 and .999, epsilon 1e-8, decay .01
  cnn       conv 32 3x3 same, ReLU, max pool 2, conv 64 3x3 same, ReLU, max pool 2, 128 ReLU, 10; AdamW as above
  lenet     conv 6 5x5 same, tanh, average pool 2, conv 16 5x5 valid, tanh, average pool 2, 120 tanh, 84 tanh, 10;
            SGD, rate .05, momentum .9
  catsdogs  conv 8 5x5 same, ReLU, max pool 2, dropout .2, 2; SGD, rate .01

Each library runs the way that was fastest for it among those that it offers (measured on 2 cores): PyTorch eagerly with
fused optimizers, with a loop over the weights where a step is tiny (catsdogs); Keras with several steps per execution, on
TensorFlow compiled by XLA where that pays (mlp).

DIR holds the four MNIST .gz files (mlp, cnn, lenet) or {cat,dog}Data_w.mat (catsdogs), or folders `mnist` and `cats-dogs`
with them.
"""
import argparse
import gzip
import json
import os
import time

ARGS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ARGS.add_argument("--framework", required=True, choices=["torch", "torch-compile", "keras-tf", "keras-jax", "keras-torch"])
ARGS.add_argument("--model", required=True, choices=["mlp", "cnn", "lenet", "catsdogs"])
ARGS.add_argument("--data", required=True)
ARGS.add_argument("--n", type=int, default=0, help="training images (0: all)")
ARGS.add_argument("--batch", type=int, default=0, help="images of a step (0: 128, or 8 for catsdogs)")
ARGS.add_argument("--epochs", type=int, default=4)
ARGS.add_argument("--threads", type=int, default=2)
ARGS.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="bf16: autocast, or mixed_bfloat16")
ARGS.add_argument("--seed", type=int, default=1)
A = ARGS.parse_args()

# Before any library is loaded: they read these once.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[name] = str(A.threads)
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["JAX_PLATFORMS"] = "cpu"
if hasattr(os, "sched_setaffinity") and A.threads < len(os.sched_getaffinity(0)):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: A.threads])
import numpy as np

BATCH = A.batch or (8 if A.model == "catsdogs" else 128)
SAMPLES = 0


def folder(name):
    below = os.path.join(A.data, name)
    return below if os.path.isdir(below) else A.data


def load():
    """Images (n, height, width, 1) in [0, 1] as float32 and labels as int64: of training, of testing."""
    if A.model == "catsdogs":
        import scipy.io

        def animal(file, key):
            columns = scipy.io.loadmat(os.path.join(folder("cats-dogs"), file))[key]
            return (columns.T / 255).reshape(-1, 32, 32).transpose(0, 2, 1)[..., None].astype(np.float32)

        dogs, cats = animal("dogData_w.mat", "dog_wave"), animal("catData_w.mat", "cat_wave")
        labels = np.repeat([0, 1], 40)
        return np.concatenate((dogs[:40], cats[:40])), labels, np.concatenate((dogs[40:], cats[40:])), labels

    def idx(file, header):
        return np.frombuffer(gzip.open(os.path.join(folder("mnist"), file)).read()[header:], np.uint8)

    def images(part):
        return idx(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1).astype(np.float32) / 255

    def labels(part):
        return idx(f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64)

    return images("train"), labels("train"), images("t10k"), labels("t10k")


def peak_mib():
    try:
        with open("/proc/self/status") as status:
            return next(round(int(line.split()[1]) / 1024, 1) for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None


def emit(epoch, seconds, loss, accuracy, version):
    line = {"framework": A.framework, "version": version, "variant": A.precision, "model": A.model, "epoch": epoch,
            "n": SAMPLES, "batch": BATCH, "threads": A.threads, "seconds": seconds, "img_per_s": SAMPLES / seconds,
            "loss": float(loss), "test_acc": float(accuracy), "peak_mib": peak_mib()}
    print(json.dumps(line), flush=True)


def run_torch(data):
    import torch
    from torch import nn

    torch.set_num_threads(A.threads)
    torch.manual_seed(A.seed)
    side = data[0].shape[1]
    flat = nn.Flatten()
    if A.model == "mlp":
        net = nn.Sequential(flat, nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    elif A.model == "cnn":
        net = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                            flat, nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10))
    elif A.model == "lenet":
        net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
                            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
                            flat, nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))
    else:
        net = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2),
                            flat, nn.Linear(8 * (side // 2) ** 2, 2))
    for layer in net:
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    fused = A.model != "catsdogs"
    if A.model in ("mlp", "cnn"):
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, fused=fused)
    elif A.model == "lenet":
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, fused=fused)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    entropy = nn.CrossEntropyLoss()

    def nchw(images):
        return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))

    x, y, test_x, test_y = nchw(data[0]), torch.from_numpy(data[1]), nchw(data[2]), torch.from_numpy(data[3])

    def forward(images, labels):
        if A.precision == "bf16":
            with torch.autocast("cpu", torch.bfloat16):
                return entropy(net(images), labels)
        return entropy(net(images), labels)

    if A.framework == "torch-compile":
        forward = torch.compile(forward)
    for epoch in range(A.epochs):
        net.train()
        start = time.perf_counter()
        order = torch.randperm(SAMPLES)
        total = torch.zeros(())
        for first in range(0, SAMPLES, BATCH):
            batch = order[first:first + BATCH]
            loss = forward(x[batch], y[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        mean = total.item() / (SAMPLES // BATCH)
        seconds = time.perf_counter() - start
        net.eval()
        with torch.no_grad():
            right = sum((net(test_x[i:i + 1000]).argmax(1) == test_y[i:i + 1000]).sum().item()
                        for i in range(0, len(test_y), 1000))
        emit(epoch, seconds, mean, right / len(test_y), torch.__version__)


def run_keras(data, backend):
    os.environ["KERAS_BACKEND"] = backend
    import keras

    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(A.threads)
        tf.config.threading.set_inter_op_parallelism_threads(A.threads)
        version = tf.__version__
    elif backend == "jax":
        import jax

        version = jax.__version__
    else:
        import torch

        torch.set_num_threads(A.threads)
        version = torch.__version__
    if A.precision == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    keras.utils.set_random_seed(A.seed)
    layers = keras.layers

    def conv(filters, size, activation, padding="same"):
        return layers.Conv2D(filters, size, padding=padding, activation=activation)

    stack = {
        "mlp": lambda: [layers.Flatten(), layers.Dense(512, "relu"), layers.Dense(512, "relu"), layers.Dense(10)],
        "cnn": lambda: [conv(32, 3, "relu"), layers.MaxPooling2D(), conv(64, 3, "relu"), layers.MaxPooling2D(),
                        layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(10)],
        "lenet": lambda: [conv(6, 5, "tanh"), layers.AveragePooling2D(2), conv(16, 5, "tanh", "valid"),
                          layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(120, "tanh"),
                          layers.Dense(84, "tanh"), layers.Dense(10)],
        "catsdogs": lambda: [conv(8, 5, "relu"), layers.MaxPooling2D(), layers.Dropout(0.2), layers.Flatten(),
                             layers.Dense(2)],
    }[A.model]()
    if A.precision == "bf16":
        stack.append(layers.Activation("linear", dtype="float32"))
    net = keras.Sequential([layers.Input(data[0].shape[1:])] + stack)
    if A.model in ("mlp", "cnn"):
        optimizer = keras.optimizers.AdamW(1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.01)
    elif A.model == "lenet":
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    else:
        optimizer = keras.optimizers.SGD(0.01)
    steps = SAMPLES // BATCH
    together = 1 if backend == "torch" else max(k for k in range(1, 21) if steps % k == 0)
    net.compile(optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                jit_compile=True if backend == "tensorflow" and A.model == "mlp" else "auto", steps_per_execution=together)

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            loss = float(logs["loss"])
            seconds = time.perf_counter() - self.start
            outputs = [keras.ops.convert_to_numpy(net(data[2][i:i + 1000], training=False))
                       for i in range(0, len(data[2]), 1000)]
            right = (np.concatenate(outputs).argmax(1) == data[3]).mean()
            emit(epoch, seconds, loss, right, f"keras {keras.__version__} on {backend} {version}")

    net.fit(data[0], data[1].astype(np.int32), batch_size=BATCH, epochs=A.epochs, verbose=0, callbacks=[Clock()])


def main():
    global SAMPLES
    x, y, test_x, test_y = load()
    SAMPLES = min(A.n or len(x), len(x)) // BATCH * BATCH
    data = x[:SAMPLES], y[:SAMPLES], test_x, test_y
    if A.framework.startswith("torch"):
        run_torch(data)
    else:
        run_keras(data, {"keras-tf": "tensorflow", "keras-jax": "jax", "keras-torch": "torch"}[A.framework])


main()

#!/usr/bin/env python3
"""One optimizer step in PyTorch and Keras, timed: the other side of `cargo xtask bench optimizers`.

  optim_step.py --framework torch|keras-tf|keras-jax [--modes ...] [--optimizers ...] [--sizes 1e5,1e6] [--tensors 1,100]

Modes: torch loop, foreach, fused (where PyTorch has a CPU kernel for it) and compile (torch.compile of the step);
keras-tf jit (XLA) and graph; keras-jax jit (donated buffers). One JSON line a case: `seconds` is the median over blocks of
steps with the gradients ready (no forward, no backward pass), `gb_per_s` the bytes that an ideal single pass must move
(weights and states read and written once, gradients read once) over that time. All tensors are matrices, so Adafactor runs
factored. What a library does not have, or cannot do, is named on stderr and left out.
"""
import argparse
import gc
import json
import os
import statistics
import sys
import time

P = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
P.add_argument("--framework", required=True, choices=["torch", "keras-tf", "keras-jax"])
P.add_argument("--modes", default="", help="default: all")
P.add_argument("--optimizers", default="sgdm,adam,adamw,rmsprop,adagrad,adadelta,adamax,nadam,lion,adafactor")
P.add_argument("--sizes", default="1e5,1e6,1e7,1e8")
P.add_argument("--tensors", default="1,100")
P.add_argument("--threads", type=int, default=2)
P.add_argument("--blocks", type=int, default=5, help="measured blocks of steps")
P.add_argument("--seconds", type=float, default=0.2, help="least seconds of a block")
A = P.parse_args()

# Before any library is loaded: they read these once.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[name] = str(A.threads)
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["JAX_PLATFORMS"] = "cpu"
if hasattr(os, "sched_setaffinity") and A.threads < len(os.sched_getaffinity(0)):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: A.threads])
import numpy as np

# Bytes a parameter of an ideal pass in f32: weight and gradient read, weight written, each state read and written.
BYTES = dict(sgdm=20, adam=28, adamw=28, rmsprop=20, adagrad=20, adadelta=28, adamax=28, nadam=28, lion=20, adafactor=12,
             muon=20, torch_muon=20)
# Muon and SOAP, which multiply matrices, are also compared on the layers of a network for MNIST: 784 x 512 and 512 x 512.
SHAPE = {512 * 512: (512, 512), 784 * 512: (784, 512),
         10**3: (25, 40), 10**4: (100, 100), 10**5: (250, 400), 10**6: (1000, 1000), 10**7: (2500, 4000), 10**8: (10000, 10000)}
OPTIMIZERS = A.optimizers.split(",")
SIZES = [int(float(size)) for size in A.sizes.split(",")]
TENSORS = [int(count) for count in A.tensors.split(",")]


def seconds(step, warm):
    """The median over blocks of the seconds of a step."""
    for _ in range(warm):
        start = time.perf_counter()
        step()
        one = time.perf_counter() - start
    calls = max(1, int(A.seconds / max(one, 1e-7)))
    times = []
    while len(times) < A.blocks:
        start = time.perf_counter()
        for _ in range(calls):
            step()
        took = time.perf_counter() - start
        if took < A.seconds / 3:  # the first steps were slow: more steps a block, and once more
            calls = int(calls * A.seconds / took) + 1
        else:
            times.append(took / calls)
    return statistics.median(times)


def report(optimizer, mode, size, count, took, version):
    line = dict(framework=A.framework, version=version, mode=mode, optimizer=optimizer, params=size, tensors=count,
                threads=A.threads, seconds=took, gb_per_s=BYTES[optimizer] * size / took / 1e9)
    print(json.dumps(line), flush=True)


def skip(optimizer, mode, size, count, error):
    sys.stderr.write(f"left out: {A.framework} {mode} {optimizer} {size} in {count}: {type(error).__name__} {str(error)[:160]}\n")


def data(size, count):
    draw = np.random.default_rng(0)
    shape = SHAPE[size // count]
    return draw.standard_normal(shape, dtype=np.float32), draw.standard_normal(shape, dtype=np.float32) * np.float32(0.01)


def cases():
    for size in SIZES:
        for count in TENSORS:
            weights, gradient = data(size, count)
            for optimizer in OPTIMIZERS:
                yield size, count, weights, gradient, optimizer


def run_torch():
    import torch

    torch.set_num_threads(A.threads)
    make = dict(
        sgdm=lambda p, **k: torch.optim.SGD(p, lr=1e-4, momentum=0.9, **k),
        adam=lambda p, **k: torch.optim.Adam(p, lr=1e-4, **k),
        adamw=lambda p, **k: torch.optim.AdamW(p, lr=1e-4, weight_decay=0.01, **k),
        rmsprop=lambda p, **k: torch.optim.RMSprop(p, lr=1e-4, **k),
        adagrad=lambda p, **k: torch.optim.Adagrad(p, lr=1e-4, **k),
        adadelta=lambda p, **k: torch.optim.Adadelta(p, lr=1e-2, **k),
        adamax=lambda p, **k: torch.optim.Adamax(p, lr=1e-4, **k),
        nadam=lambda p, **k: torch.optim.NAdam(p, lr=1e-4, **k),
        adafactor=lambda p, **k: torch.optim.Adafactor(p, lr=1e-4, **k),
        torch_muon=lambda p, foreach=None, **k: torch.optim.Muon(p, lr=1e-4, **k),
    )
    if hasattr(torch.optim, "Lion"):
        make["lion"] = lambda p, **k: torch.optim.Lion(p, lr=1e-5, **k)
    for size, count, weights, gradient, name in cases():
        if name not in make:
            continue
        for mode in (A.modes or "loop,foreach,fused,compile").split(","):
            if mode == "fused" and name not in ("sgdm", "adam", "adamw", "adagrad"):
                continue
            how = {"loop": {"foreach": False}, "fused": {"fused": True}}.get(mode, {"foreach": True})
            parameters = optimizer = step = None
            try:
                parameters = [torch.nn.Parameter(torch.from_numpy(weights.copy())) for _ in range(count)]
                for parameter in parameters:
                    parameter.grad = torch.from_numpy(gradient.copy())
                optimizer = make[name](parameters, **how)
                step = optimizer.step
                if mode == "compile":
                    torch._dynamo.reset()
                    step = torch.compile(optimizer.step)
                report(name, mode, size, count, seconds(step, 4 if mode == "compile" else 2), torch.__version__)
            except Exception as error:
                skip(name, mode, size, count, error)
            parameters = optimizer = step = None
            gc.collect()


def run_keras(backend):
    os.environ["KERAS_BACKEND"] = backend
    import keras

    K = keras.optimizers
    make = dict(
        sgdm=lambda: K.SGD(1e-4, momentum=0.9), adam=lambda: K.Adam(1e-4), adamw=lambda: K.AdamW(1e-4, weight_decay=0.01),
        rmsprop=lambda: K.RMSprop(1e-4), adagrad=lambda: K.Adagrad(1e-4), adadelta=lambda: K.Adadelta(1e-2),
        adamax=lambda: K.Adamax(1e-4), nadam=lambda: K.Nadam(1e-4), lion=lambda: K.Lion(1e-5),
        adafactor=lambda: K.Adafactor(1e-4),
        muon=lambda: K.Muon(1e-4),
    )
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(A.threads)
        tf.config.threading.set_inter_op_parallelism_threads(A.threads)
        version = f"keras {keras.__version__} on tensorflow {tf.__version__}"
    else:
        import jax

        version = f"keras {keras.__version__} on jax {jax.__version__}"
    for size, count, weights, gradient, name in cases():
        for mode in (A.modes or ("jit,graph" if backend == "tensorflow" else "jit")).split(","):
            variables = optimizer = gradients = function = step = state = None
            try:
                variables = [keras.Variable(weights, name=f"v{i}") for i in range(count)]
                optimizer = make[name]()
                optimizer.build(variables)
                if backend == "tensorflow":
                    gradients = [tf.constant(gradient) for _ in range(count)]
                    function = tf.function(lambda g: optimizer.apply(g, variables), jit_compile=mode == "jit")

                    def step():
                        function(gradients)
                else:
                    gradients = [jax.numpy.array(gradient) for _ in range(count)]
                    function = jax.jit(lambda tv, ov, g: optimizer.stateless_apply(ov, g, tv), donate_argnums=(0, 1))
                    state = [[jax.numpy.array(v.value) for v in variables], [jax.numpy.array(v.value) for v in optimizer.variables]]

                    def step():
                        state[0], state[1] = function(state[0], state[1], gradients)
                        jax.block_until_ready(state[0])

                report(name, mode, size, count, seconds(step, 2), version)
            except Exception as error:
                skip(name, mode, size, count, error)
            variables = optimizer = gradients = function = step = state = None
            keras.backend.clear_session()
            gc.collect()


run_torch() if A.framework == "torch" else run_keras({"keras-tf": "tensorflow", "keras-jax": "jax"}[A.framework])

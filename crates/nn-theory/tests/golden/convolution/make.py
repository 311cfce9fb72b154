"""Writes cases.json: what Keras' convolutions of one dimension look at, found by running them.

    python make.py > cases.json        (Keras 3.15.1, TensorFlow backend)

For Conv1D `windows[i]` lists the inputs that output i depends on; for Conv1DTranspose the outputs that input i
reaches. All weights are 1 and the inputs are the rows of the identity matrix.
"""

import json
import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np


def responses(layer, n):
    """Row i: the outputs for an input that is 1 at place i."""
    return np.asarray(layer(np.eye(n, dtype="float32")[:, :, None]))[:, :, 0]


def places(row):
    return [int(i) for i in np.flatnonzero(row)]


cases = []
for n in (1, 2, 5, 8, 13):
    for k in (1, 2, 3, 4, 5):
        for s in (1, 2, 3):
            for d in (1, 2, 3):
                if s > 1 and d > 1:
                    continue
                options = dict(filters=1, kernel_size=k, strides=s, dilation_rate=d, use_bias=False, kernel_initializer="ones")
                numbers = {"input": n, "kernel": k, "stride": s, "dilation": d}
                for padding in ("valid", "same", "causal"):
                    if padding == "valid" and (k - 1) * d + 1 > n:
                        continue
                    out = responses(keras.layers.Conv1D(padding=padding, **options), n)
                    cases.append(
                        {"class": "Conv1D", **numbers, "padding": padding, "output": out.shape[1],
                         "windows": [places(column) for column in out.T]}
                    )
                if d > 1:
                    continue
                for padding in ("valid", "same"):
                    for extra in (None, 0, 1):
                        if extra is not None and extra >= s:
                            continue
                        layer = keras.layers.Conv1DTranspose(padding=padding, output_padding=extra, **options)
                        try:
                            out = responses(layer, n)
                        except Exception:
                            continue
                        cases.append(
                            {"class": "Conv1DTranspose", **numbers, "padding": padding, "output_padding": extra,
                             "output": out.shape[1], "windows": [places(row) for row in out]}
                        )

print("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]")

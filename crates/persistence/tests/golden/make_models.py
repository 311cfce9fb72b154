"""Trained Keras models in all three formats, for `persistence`: python make_models.py FOLDER"""
import json, os, sys
os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
import h5py, keras, numpy as np
from safetensors.numpy import save_file
L = keras.layers
out = sys.argv[1]
os.makedirs(out, exist_ok=True)

def functional(inputs, outputs, name): return keras.Model(inputs, outputs, name=name)

def models():
    x = L.Input((6, 4), name="steps")
    h = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")(x)
    h = L.TimeDistributed(L.Dense(5, activation="relu"), name="each")(h)
    h = L.MultiHeadAttention(2, 3, name="attention")(h, h)
    h = L.GRU(4, return_sequences=True)(h)
    h = L.LSTM(3)(h)
    yield functional(x, L.Dense(2)(h), "sequences"), "adam"
    inner = keras.Sequential([L.Input((8,)), L.Dense(5, activation="tanh"), L.BatchNormalization(), L.Dense(3)], name="inner")
    deep = functional(inner.inputs, L.Dense(2, name="last")(inner(inner.inputs[0])), "deep")
    x = L.Input((8,), name="x")
    y = L.Dense(3, name="side")(x)
    yield functional(x, L.Concatenate()([deep(x), y]), "nested"), keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True)
    x = L.Input((9, 9, 2), name="image")
    h = L.SpectralNormalization(L.Conv2D(4, 3), name="spectral")(x)
    h = L.SeparableConv2D(3, 2)(h)
    h = L.GroupNormalization(3)(h)
    h = L.DepthwiseConv2D(2)(h)
    h = L.Conv2DTranspose(2, 3)(h)
    h = L.PReLU()(h)
    h = L.Flatten()(L.LayerNormalization()(h))
    yield functional(x, L.Dense(2, kernel_regularizer="l2")(h), "images"), keras.optimizers.Adam(0.01, amsgrad=True, use_ema=True)
    for name, optimizer in [
        ("nadam", keras.optimizers.Nadam(0.01)), ("adafactor", keras.optimizers.Adafactor(0.01)),
        ("scheduled", keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 100), momentum=0.9, nesterov=True)),
        ("accumulated", keras.optimizers.AdamW(0.01, gradient_accumulation_steps=3, use_ema=True)),
    ]:
        yield keras.Sequential([L.Input((6,)), L.Dense(4, activation="relu"), L.Dense(2)], name=name), optimizer
    m = keras.Sequential([L.Input((6,)), L.Normalization(name="norm"), L.Dense(4, name="frozen", trainable=False), L.Dropout(0.3), L.GaussianNoise(0.1), L.Dense(2)], name="adapted")
    m.layers[0].adapt(np.random.default_rng(3).standard_normal((50, 6)).astype("f4") * 3 + 1)
    yield m, "adam"

def datasets(path):
    found = {}
    with h5py.File(path) as f:
        f.visititems(lambda n, o: found.__setitem__(n, list(o.shape)) if isinstance(o, h5py.Dataset) else None)
    return found

for model, optimizer in models():
    name = model.name
    rng = np.random.default_rng(7)
    shape = model.input_shape[1:]
    x = rng.standard_normal((16, *shape)).astype("f4")
    y = rng.standard_normal((16, *model.output_shape[1:])).astype("f4")
    model.compile(optimizer, loss="mse", metrics=["mae"])
    model.fit(x, y, epochs=2, batch_size=4, verbose=0, shuffle=False)
    path = os.path.join(out, name)
    model.save(path + ".keras"); model.save_weights(path + ".weights.h5", overwrite=True)
    try: model.save(path + ".h5")
    except ValueError:  # Keras gives two variables of Adafactor one name, which HDF5 refuses
        os.remove(path + ".h5")
    save_file({"input": x, "output": np.ascontiguousarray(model.predict(x, verbose=0))}, path + ".io.safetensors")
    save_file({w.path: np.array(w.numpy(), order="C") for w in model.weights}, path + ".weights.safetensors")
    o = model.optimizer
    save_file({f"{i:03}": np.array(v.numpy()) for i, v in enumerate(o.variables)}, path + ".optimizer.safetensors")
    inp = model.inputs[0]
    json.dump({
        "keras_version": keras.__version__,
        "inputs": [{"tensor": "input", "dtype": "float32", "model_input": inp.name}],
        "outputs": [{"tensor": "output", "dtype": "float32"}],
        "weights": [{"path": w.path, "shape": list(w.shape), "dtype": w.dtype} for w in model.weights],
        "optimizer": {"class": type(o).__name__, "iterations": int(o.iterations.numpy()),
                      "variables": [{"tensor": f"{i:03}", "path": v.path, "shape": list(v.shape)} for i, v in enumerate(o.variables)]},
        "weights_h5_datasets": datasets(path + ".weights.h5"),
    }, open(path + ".json", "w"), indent=0)

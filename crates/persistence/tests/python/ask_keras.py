"""Opens our files in the programs that own the formats: python ask_keras.py FOLDER. Prints one JSON object.

FOLDER holds model.{keras,h5,weights.h5,safetensors}, batch.safetensors (input, target), model.json (the description), and
optimizer.NAME.keras, trained by other optimizers: their weights after one more step go to optimizer.NAME.safetensors.
"""
import glob, json, os, sys, zlib

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
import h5py
import keras
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

folder = sys.argv[1]
at = lambda name: os.path.join(folder, name)
crc = lambda array: zlib.crc32(np.ascontiguousarray(array).tobytes())
batch = load_file(at("batch.safetensors"))
x, y = batch["input"], batch["target"]
answer = {}

# safetensors: any reader opens our file; header and tensors have the checksums that docs/formats.md defines
with safe_open(at("model.safetensors"), framework="np") as file:
    texts = file.metadata()
    tensors = {name: file.get_tensor(name) for name in file.keys()}
answer["safetensors"] = {name: crc(array) for name, array in tensors.items()}
answer["classes"] = json.loads(texts["metadata"])["classes"]
answer["described"] = keras.models.model_from_json(texts["model"]).count_params()

# h5py: names and numbers of both HDF5 files
def datasets(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.__setitem__(name, crc(item[()])) if isinstance(item, h5py.Dataset) else None)
    return found

answer["weights_h5"] = datasets(at("model.weights.h5"))
answer["legacy_h5"] = datasets(at("model.h5"))

# Keras: the same predictions, the same optimizer, the next step, and the file that it writes then
def goes_on(path, out):
    model = keras.saving.load_model(path)
    predictions = model.predict(x, verbose=0)
    iterations = int(model.optimizer.iterations.numpy())
    model.save(at(out + "_before.keras"))
    model.train_on_batch(x, y)
    save_file({w.path: np.ascontiguousarray(w.numpy()) for w in model.weights}, at(out + "_after.safetensors"))
    return {"predictions": predictions.ravel().tolist(), "iterations": iterations}

answer["keras"] = goes_on(at("model.keras"), "keras")
# Keras 3.15 cannot read back the losses and metrics that it writes into legacy files by name (its own files fail alike).
model = keras.saving.load_model(at("model.h5"), compile=False)
answer["legacy"] = model.predict(x, verbose=0).ravel().tolist()
model = keras.models.model_from_json(open(at("model.json")).read())
model.load_weights(at("model.weights.h5"))
answer["weights"] = model.predict(x, verbose=0).ravel().tolist()

# the state of other optimizers: the next step
for path in glob.glob(at("optimizer.*.keras")):
    model = keras.saving.load_model(path)
    model.run_eagerly = True
    model.train_on_batch(x, y)
    save_file({w.path: np.ascontiguousarray(w.numpy()) for w in model.weights}, path.replace(".keras", ".safetensors"))

# numbers of two bytes: Keras converts them when it loads
for name in ("f16", "bf16"):
    model = keras.saving.load_model(at(name + ".keras"), compile=False)
    answer[name] = model.predict(x, verbose=0).ravel().tolist()
print(json.dumps(answer))

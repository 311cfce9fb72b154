"""What the callbacks of Keras do on given curves of figures; writes traces.json beside this file.

    KERAS_BACKEND=jax python traces.py      (Keras 3.15)
"""

import json
import pathlib
import random
import tempfile

import keras
import numpy
from keras.callbacks import CSVLogger, EarlyStopping, ReduceLROnPlateau


def model():
    made = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    made.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", metrics=["accuracy"])
    made.fit(numpy.zeros((1, 1)), numpy.zeros((1, 1)), verbose=0)
    made.optimizer.learning_rate = 0.1
    return made


def run(callback, curve, name, made):
    """Epoch after which training ends (counted from 1), and the learning rate after each epoch."""
    callback.set_model(made)
    made.stop_training = False
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(curve):
        callback.on_epoch_end(epoch, {name: value})
        rates.append(float(made.optimizer.learning_rate))
        if made.stop_training:
            break
    return {"epochs": len(rates), "stopped": made.stop_training, "rates": rates}


def main():
    draws = random.Random(6020)
    cases = []
    for index in range(60):
        length = draws.randint(3, 14)
        name, mode = draws.choice([("val_loss", "auto"), ("val_accuracy", "auto"), ("val_loss", "max"), ("loss", "min")])
        curve = [round(draws.uniform(0, 1) * draws.choice([1, 0.9**step]), 2) for step in range(length)]
        options = {
            "monitor": name,
            "mode": mode,
            "patience": draws.randint(0, 3),
            "min_delta": draws.choice([0, 0, 0.05, 0.2]),
        }
        if index % 2 == 0:
            options["start_from_epoch"] = draws.choice([0, 0, 2])
            options["baseline"] = draws.choice([None, None, 0.4, 0.7])
            callback, kind = EarlyStopping(**options), "EarlyStopping"
        else:
            options["factor"] = draws.choice([0.5, 0.1])
            options["cooldown"] = draws.randint(0, 2)
            options["min_lr"] = draws.choice([0.0, 0.03])
            callback, kind = ReduceLROnPlateau(**options), "ReduceLROnPlateau"
        made = model()
        cases.append({"class": kind, "config": options, "curve": curve, **run(callback, curve, name, made)})
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "log.csv"
        made = model()
        for epochs, append in [(range(2), False), (range(2, 4), True)]:
            log = CSVLogger(str(path), separator=",", append=append)
            log.set_model(made)
            log.on_train_begin()
            for epoch in epochs:
                logs = {"loss": 0.5 / (epoch + 1), "accuracy": 0.25 * epoch, "learning_rate": 0.125}
                if epoch % 2 == 1:
                    logs |= {"val_loss": 0.75, "val_accuracy": 0.5}
                log.on_epoch_end(epoch, logs)
            log.on_train_end()
        csv = path.read_bytes().decode()
    document = {"keras": keras.__version__, "cases": cases, "csv": csv}
    (pathlib.Path(__file__).parent / "traces.json").write_text(json.dumps(document, indent=1) + "\n")


main()

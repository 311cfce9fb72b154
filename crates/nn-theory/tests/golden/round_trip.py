"""Reads configurations with Keras and compares them with what nn-theory wrote after reading them.

    python round_trip.py FOLDER

FOLDER holds pairs NAME.original.json and NAME.written.json. Each pair must give models with the same summary. Prints a
line for each difference and `round trip: N models, M differ`; exits with 1 when one differs.
"""

import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["COLUMNS"] = "200"

import keras


def model_of(path):
    # Names that Keras gives by itself (inner layers of wrappers) count from the start for each model.
    keras.utils.clear_session()
    keras.config.enable_unsafe_deserialization()  # the Lambda layers of our own test data
    return keras.models.model_from_json(path.read_text())


def summary_of(model):
    lines = []
    model.summary(print_fn=lambda text, line_break=False: lines.append(text), expand_nested=True, show_trainable=True)
    return "".join(lines)


def weights_of(model):
    return [(weight.path, tuple(weight.shape), str(weight.dtype), weight.trainable) for weight in model.weights]


def without_state(value):
    """A configuration without the objects that a running layer makes anew."""
    if isinstance(value, dict):
        return {key: without_state(item) for key, item in value.items() if key not in ("seed", "build_config", "compile_config")}
    return [without_state(item) for item in value] if isinstance(value, list) else value


def main():
    folder = Path(sys.argv[1])
    models = differ = 0
    for path in sorted(folder.glob("*.original.json")):
        name = path.name.removesuffix(".original.json")
        try:
            original = model_of(path)
        except Exception as error:
            print(f"{name}: skipped, Keras does not read its own configuration: {type(error).__name__}: {str(error)[:120]!r}")
            continue
        models += 1
        expected = summary_of(original), weights_of(original), without_state(json.loads(original.to_json()))
        try:
            written = model_of(folder / f"{name}.written.json")
            found = summary_of(written), weights_of(written), without_state(json.loads(written.to_json()))
        except Exception as error:
            differ += 1
            print(f"{name}: {type(error).__name__}: {str(error)[:400]}")
            continue
        for what, a, b in zip(("summary", "weights", "configuration"), expected, found):
            if a != b:
                differ += 1
                at = next((i for i, (x, y) in enumerate(zip(str(a), str(b))) if x != y), 0)
                print(f"{name}: {what}: ..{str(a)[max(at - 60, 0):at + 60]!r} != ..{str(b)[max(at - 60, 0):at + 60]!r}")
                break
    print(f"round trip: {models} models, {differ} differ")
    sys.exit(differ > 0)


if __name__ == "__main__":
    main()

"""Runs every FOLDER/NAME.onnx in onnxruntime on NAME.inputs.safetensors and compares with NAME.outputs.safetensors.

Prints one line a model that differs by more than the tolerance (relative to the largest value), then the number of models.
"""
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

folder, tolerance = pathlib.Path(sys.argv[1]), float(sys.argv[2])
count = 0
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
options.intra_op_num_threads = 1
for path in sorted(folder.glob("*.onnx")):
    count += 1
    try:
        onnx.checker.check_model(onnx.load(path))
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = load_file(path.with_suffix(".inputs.safetensors"))
        outputs = load_file(path.with_suffix(".outputs.safetensors"))
        feed = {port.name: inputs[str(index)] for index, port in enumerate(session.get_inputs())}
        for index, found in enumerate(session.run(None, feed)):
            expected = outputs[str(index)]
            if found.shape != expected.shape:
                print(f"{path.stem}: output {index} has the shape {found.shape}, expected {expected.shape}")
                continue
            largest = max(float(np.abs(expected).max(initial=0)), 1e-3)
            worst = float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max(initial=0)) / largest
            if not worst <= tolerance:
                print(f"{path.stem}: output {index} differs by {worst:.3g}")
    except Exception as error:  # every model shall be reported
        print(f"{path.stem}: {type(error).__name__}: {str(error)[:400]}")
print(f"models: {count}")

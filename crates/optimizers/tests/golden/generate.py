"""Writes traces of optimizers and learning-rate schedules in the formats that `tests/golden.rs` reads.

    python generate.py keras     --out FOLDER [--seed N] [--count N] [--steps N]     with keras 3.15 and tensorflow
    python generate.py torch     --out FOLDER ...                                    with torch 2.15
    python generate.py reference --out FOLDER ...    with torch, schedulefree, prodigyopt and pytorch_optimizer
    python generate.py schedules --out FOLDER ...                                    with torch (one-cycle)

Without `--seed` the settings are those of the committed cases under `optimizers/reference` and `schedules`; with it, `--count` cases
of each class that the package has, with hyper-parameters drawn at random.
"""

import argparse
import json
import os
import random
import struct

import numpy as np

SHAPES = [("kernel", (3, 4)), ("bias", (4,)), ("conv_kernel", (2, 3, 2, 2))]


def save(folder, name, case, tensors):
    """The format of safetensors is a length, a header and the bytes."""
    os.makedirs(folder, exist_ok=True)
    header, data = {}, b""
    for key in sorted(tensors):
        value = np.ascontiguousarray(tensors[key])
        dtype = {"float32": "F32", "float64": "F64", "int64": "I64"}[str(value.dtype)]
        header[key] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [len(data), len(data) + value.nbytes]}
        data += value.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, name + ".safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    case["tensors"] = name + ".safetensors"
    with open(os.path.join(folder, name + ".json"), "w") as file:
        json.dump(case, file, indent=1)
        file.write("\n")


def problem(seed, steps, shapes, scale=1.0):
    """Initial values and gradients: some entries are 0, and one gradient is 0 altogether."""
    generator = np.random.default_rng(seed)
    initial = [generator.normal(size=shape).astype(np.float32) for _, shape in shapes]
    gradients = []
    for _, shape in shapes:
        grads = generator.normal(size=(steps, *shape)).astype(np.float32) * np.float32(scale)
        grads[generator.random(grads.shape) < 0.05] = 0.0
        gradients.append(grads)
    gradients[min(1, len(shapes) - 1)][steps // 2] = 0.0
    return initial, gradients


def described(shapes):
    return [{"index": i, "name": n, "shape": list(s), "dtype": "float32"} for i, (n, s) in enumerate(shapes)]


def log_uniform(rng, low, high):
    return float(f"{10 ** rng.uniform(np.log10(low), np.log10(high)):.3g}")


# ---- Keras


def keras_settings(rng):
    """A class and its arguments, drawn at random."""
    import keras

    def base():
        options = {"learning_rate": log_uniform(rng, 1e-4, 0.3)}
        pick = rng.random()
        if pick < 0.2:
            options["clipnorm"] = log_uniform(rng, 0.1, 5)
        elif pick < 0.4:
            options["global_clipnorm"] = log_uniform(rng, 0.1, 5)
        elif pick < 0.5:
            options["clipvalue"] = log_uniform(rng, 0.1, 2)
        if rng.random() < 0.3:
            options["weight_decay"] = log_uniform(rng, 1e-3, 0.3)
        if rng.random() < 0.2:
            options["use_ema"] = True
            options["ema_momentum"] = round(rng.uniform(0.3, 0.99), 2)
            options["ema_overwrite_frequency"] = rng.choice([None, 2, 3, 7])
        if rng.random() < 0.2:
            options["gradient_accumulation_steps"] = rng.choice([2, 3, 4])
        if rng.random() < 0.2:
            options["loss_scale_factor"] = log_uniform(rng, 0.5, 64)
        if rng.random() < 0.3:
            rate = options["learning_rate"]
            schedules = keras.optimizers.schedules
            options["learning_rate"] = rng.choice(
                [
                    lambda: schedules.ExponentialDecay(rate, 7, 0.8, staircase=rng.random() < 0.5),
                    lambda: schedules.CosineDecay(rate, 15, alpha=0.1),
                    lambda: schedules.CosineDecay(rate / 10, 12, warmup_target=rate, warmup_steps=4),
                    lambda: schedules.CosineDecayRestarts(rate, 5, 2.0, 0.8),
                    lambda: schedules.PolynomialDecay(rate, 10, rate / 100, power=1.5, cycle=rng.random() < 0.5),
                    lambda: schedules.InverseTimeDecay(rate, 3, 0.4),
                    lambda: schedules.PiecewiseConstantDecay([4, 9], [rate, rate / 2, rate / 7]),
                ]
            )()
        return options

    beta = lambda: round(rng.uniform(0.5, 0.95), 3)
    beta_2 = lambda: round(1 - log_uniform(rng, 5e-4, 0.1), 4)
    epsilon = lambda: log_uniform(rng, 1e-8, 1e-3)
    flag = lambda: rng.random() < 0.5
    adam = lambda: {"beta_1": beta(), "beta_2": beta_2(), "epsilon": epsilon()}
    own = {
        "SGD": lambda: {"momentum": rng.choice([0.0, beta()]), "nesterov": flag()},
        "RMSprop": lambda: {"rho": beta(), "momentum": rng.choice([0.0, beta()]), "epsilon": epsilon(), "centered": flag()},
        "Adam": lambda: {**adam(), "amsgrad": flag()},
        "AdamW": lambda: {**adam(), "amsgrad": flag(), "weight_decay": log_uniform(rng, 1e-3, 0.3)},
        "Adadelta": lambda: {"rho": beta(), "epsilon": epsilon()},
        "Adagrad": lambda: {"initial_accumulator_value": log_uniform(rng, 1e-3, 1), "epsilon": epsilon()},
        "Adamax": adam,
        "Adafactor": lambda: {
            "beta_2_decay": -round(rng.uniform(0.5, 0.95), 2),
            "epsilon_2": log_uniform(rng, 1e-4, 1e-1),
            "clip_threshold": round(rng.uniform(0.5, 2), 2),
            "relative_step": flag(),
        },
        "Nadam": adam,
        "Ftrl": lambda: {
            "learning_rate_power": -round(rng.uniform(0.3, 0.8), 2),
            "initial_accumulator_value": log_uniform(rng, 1e-2, 1),
            "l1_regularization_strength": rng.choice([0.0, log_uniform(rng, 1e-3, 0.1)]),
            "l2_regularization_strength": rng.choice([0.0, log_uniform(rng, 1e-3, 0.1)]),
            "l2_shrinkage_regularization_strength": rng.choice([0.0, log_uniform(rng, 1e-3, 0.1)]),
            "beta": rng.choice([0.0, 0.1]),
        },
        "Lion": lambda: {"beta_1": beta(), "beta_2": beta_2()},
        "Lamb": adam,
        "Muon": lambda: {
            "adam_beta_1": beta(),
            "adam_beta_2": beta_2(),
            "momentum": beta(),
            "ns_steps": rng.choice([2, 3, 5, 6]),
            "nesterov": flag(),
            "rms_rate": rng.choice([None, 0.2, 0.5]),
            "adam_lr_ratio": rng.choice([1, 0.3]),
            "adam_weight_decay": rng.choice([None, 0.01]),
            "exclude_layers": rng.choice([[], ["tall"]]),
            "exclude_embeddings": flag(),
            "weight_decay": log_uniform(rng, 1e-3, 0.3),
        },
        "ScheduleFreeAdamW": lambda: {**adam(), "warmup_steps": rng.choice([0, 3, 8])},
    }
    return base, own


def intended_schedule_free():
    """Keras 3.15 on TensorFlow reads momentum_old after momentum was changed; with a copy it computes what it means to."""
    import inspect
    import textwrap

    from keras.src.optimizers import schedule_free_adamw as module

    source = textwrap.dedent(inspect.getsource(module.ScheduleFreeAdamW.update_step))
    made = {}
    exec(source.replace("momentum.value", "ops.convert_to_tensor(ops.convert_to_numpy(momentum))"), vars(module), made)
    module.ScheduleFreeAdamW.update_step = made["update_step"]


def numpy(value):
    import keras

    return keras.ops.convert_to_numpy(value)


def keras_trace(optimizer, config, seed, steps, shapes, excluded=(), nonfinite=()):
    import keras

    initial, gradients = problem(seed, steps, shapes)
    variables = [keras.Variable(value, name=name) for (name, _), value in zip(shapes, initial)]
    for step in nonfinite:
        gradients[0][step].flat[0] = np.inf
    if excluded:
        optimizer.exclude_from_weight_decay(var_names=list(excluded))
    tensors, rates, iterations = {}, [], []
    values = [[] for _ in shapes]
    for step in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(g[step]) for g in gradients], variables)
        for trace, variable in zip(values, variables):
            trace.append(numpy(variable))
        iterations.append(int(numpy(optimizer.iterations)))
        try:
            rates.append(float(numpy(optimizer.learning_rate)))
        except AttributeError:
            rates = None
    slots = []
    for index, variable in enumerate(optimizer.variables):
        key = f"slot/{index:03}"
        value = numpy(variable)
        tensors[key] = value.astype(np.int64) if value.dtype.kind == "i" else value
        slots.append({"key": key, "name": variable.name, "path": variable.path, "shape": list(value.shape)})
    for index, (value, grads, trace) in enumerate(zip(initial, gradients, values)):
        tensors[f"var{index}/initial"] = value
        tensors[f"var{index}/grads"] = grads
        tensors[f"var{index}/params"] = np.stack(trace)
    if getattr(optimizer, "use_ema", False):
        optimizer.finalize_variable_values(variables)
        for index, variable in enumerate(variables):
            tensors[f"var{index}/finalized"] = numpy(variable)
    case = {
        "framework": "keras",
        "framework_version": keras.__version__,
        "class": type(optimizer).__name__,
        "config": config,
        "exclude_from_weight_decay": list(excluded),
        "steps": steps,
        "variables": described(shapes),
        "learning_rate_after_step": rates,
        "iterations_after_step": iterations,
        "slots_after_last_step": slots,
    }
    return case, tensors


def keras_cases(args):
    import keras

    rng = random.Random(args.seed)
    base, own = keras_settings(rng)
    intended_schedule_free()
    for index in range(args.count):
        for name, draw in own.items():
            options = {**base(), **draw()}
            if not hasattr(keras.optimizers, name):
                continue
            if options.get("learning_rate") is not None and name == "Adafactor":
                options.pop("weight_decay", None)
            optimizer = getattr(keras.optimizers, name)(**options)
            shapes = SHAPES
            if name == "Muon":
                shapes = [("kernel", (3, 4)), ("bias", (4,)), ("word_embedding", (5, 3)), ("tall_kernel", (6, 2))]
            steps = rng.choice([args.steps, args.steps // 2, 2 * args.steps])
            excluded = ["bias"] if rng.random() < 0.3 else []
            config = json.loads(json.dumps(keras.saving.serialize_keras_object(optimizer)["config"]))
            seed = args.seed * 1000 + index
            case, tensors = keras_trace(optimizer, config, seed, steps, shapes, excluded)
            save(args.out, f"{name.lower()}_{args.seed}_{index}", case, tensors)
        inner = keras.optimizers.Adam(log_uniform(rng, 1e-3, 0.1), clipnorm=rng.choice([None, 1.0]))
        outer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=rng.choice([2.0, 64.0]), dynamic_growth_steps=rng.choice([2, 5]))
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(outer)["config"]))
        case, tensors = keras_trace(outer, config, args.seed, args.steps, SHAPES, nonfinite=[step for step in (3, 4, 11) if step < args.steps])
        save(args.out, f"loss_scale_{args.seed}_{index}", case, tensors)


# ---- PyTorch


def torch_trace(optimizer, parameters, initial, gradients, shapes, evaluate=None):
    import torch

    steps = len(gradients[0])
    values = [[] for _ in shapes]
    for step in range(steps):
        for parameter, grads in zip(parameters, gradients):
            parameter.grad = torch.from_numpy(grads[step].copy()).reshape(parameter.shape)
        optimizer.step()
        for trace, parameter, (_, shape) in zip(values, parameters, shapes):
            trace.append(parameter.detach().numpy().copy().reshape(shape))
    tensors = {}
    for index, (value, grads, trace) in enumerate(zip(initial, gradients, values)):
        tensors[f"var{index}/initial"] = value
        tensors[f"var{index}/grads"] = grads
        tensors[f"var{index}/params"] = np.stack(trace)
    if evaluate:
        evaluate()
        for index, (parameter, (_, shape)) in enumerate(zip(parameters, shapes)):
            tensors[f"var{index}/evaluated"] = parameter.detach().numpy().copy().reshape(shape)
    return tensors


def torch_cases(args):
    import torch

    rng = random.Random(args.seed)
    flag = lambda: rng.random() < 0.5
    beta = lambda: round(rng.uniform(0.5, 0.95), 3)
    beta_2 = lambda: round(1 - log_uniform(rng, 5e-4, 0.1), 4)
    rate = lambda: log_uniform(rng, 1e-4, 0.3)
    decay = lambda: rng.choice([0.0, log_uniform(rng, 1e-3, 0.3)])
    eps = lambda: log_uniform(rng, 1e-9, 1e-3)
    adam = lambda: {"lr": rate(), "betas": (beta(), beta_2()), "eps": eps(), "weight_decay": decay(), "maximize": flag()}

    def sgd():
        nesterov = flag()
        momentum = beta() if nesterov else rng.choice([0.0, beta()])
        dampening = 0.0 if nesterov else rng.choice([0.0, 0.3])
        return {"lr": rate(), "momentum": momentum, "dampening": dampening, "nesterov": nesterov, "weight_decay": decay(), "maximize": flag()}

    own = {
        "SGD": sgd,
        "Adam": lambda: {**adam(), "amsgrad": flag(), "decoupled_weight_decay": flag()},
        "AdamW": lambda: {**adam(), "amsgrad": flag()},
        "RAdam": lambda: {**adam(), "decoupled_weight_decay": flag()},
        "NAdam": lambda: {**adam(), "momentum_decay": log_uniform(rng, 1e-3, 1), "decoupled_weight_decay": flag()},
        "Adamax": adam,
        "RMSprop": lambda: {"lr": rate(), "alpha": beta(), "eps": eps(), "momentum": rng.choice([0.0, beta()]), "centered": flag(), "weight_decay": decay()},
        "Adagrad": lambda: {"lr": rate(), "lr_decay": rng.choice([0.0, 0.1]), "eps": eps(), "initial_accumulator_value": rng.choice([0.0, 0.3]), "weight_decay": decay()},
        "Adadelta": lambda: {"lr": log_uniform(rng, 0.01, 1), "rho": beta(), "eps": eps(), "weight_decay": decay()},
        "Adafactor": lambda: {"lr": rate(), "beta2_decay": -round(rng.uniform(0.5, 0.95), 2), "eps": (rng.choice([None, 1e-6]), log_uniform(rng, 1e-4, 0.1)), "d": round(rng.uniform(1, 2), 2), "weight_decay": decay(), "maximize": flag()},
        "ASGD": lambda: {"lr": rate(), "lambd": log_uniform(rng, 1e-4, 0.1), "alpha": round(rng.uniform(0.3, 0.9), 2), "t0": rng.choice([2, 7, 1e6]), "weight_decay": decay()},
        "Rprop": lambda: {"lr": rate(), "etas": (round(rng.uniform(0.3, 0.7), 2), round(rng.uniform(1.1, 1.5), 2)), "step_sizes": (1e-5, log_uniform(rng, 0.05, 50))},
        "Muon": lambda: {"lr": log_uniform(rng, 1e-4, 1e-2), "momentum": beta(), "nesterov": flag(), "ns_steps": rng.choice([3, 5]), "weight_decay": decay(), "adjust_lr_fn": rng.choice([None, "original", "match_rms_adamw", "spectral_unclamped"])},
    }
    for index in range(args.count):
        for name, draw in own.items():
            options = draw()
            if not hasattr(torch.optim, name):
                continue
            shapes = [("kernel", (3, 4)), ("tall_kernel", (6, 2))] if name == "Muon" else SHAPES
            steps = rng.choice([args.steps, args.steps // 2, 2 * args.steps])
            initial, gradients = problem(args.seed * 1000 + index, steps, shapes)
            parameters = [torch.nn.Parameter(torch.from_numpy(value.copy())) for value in initial]
            extra = {} if name == "Muon" else {"foreach": False}
            optimizer = getattr(torch.optim, name)(parameters, **options, **extra)
            config = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
            tensors = torch_trace(optimizer, parameters, initial, gradients, shapes)
            slots = []
            for i, parameter in enumerate(parameters):
                for slot, value in sorted(optimizer.state[parameter].items()):
                    if torch.is_tensor(value) or isinstance(value, (int, float)):
                        value = np.asarray(value.detach().numpy() if torch.is_tensor(value) else value, dtype=np.float32)
                        tensors[f"slot/var{i}/{slot}"] = value
                        slots.append({"key": f"slot/var{i}/{slot}", "variable": i, "name": slot, "shape": list(value.shape)})
            case = {
                "framework": "torch",
                "framework_version": torch.__version__,
                "class": name,
                "config": json.loads(json.dumps(config)),
                "steps": steps,
                "variables": described(shapes),
                "slots_after_last_step": slots,
            }
            save(args.out, f"{name.lower()}_{args.seed}_{index}", case, tensors)


# ---- packages of the authors


def reference_cases(args):
    import prodigyopt
    import pytorch_optimizer
    import schedulefree
    import torch

    flat = lambda shape: (int(np.prod(shape[:-1])), shape[-1]) if len(shape) > 1 else shape

    def write(name, cls, config, make, shapes=SHAPES, steps=20, seed=7, matrices=False, evaluate=None, scale=1.0):
        initial, gradients = problem(seed, steps, shapes, scale)
        parameters = []
        for value in initial:
            # SOAP here reads a tensor of more axes as a matrix.
            value = value.reshape(flat(value.shape)) if matrices else value
            parameters.append(torch.nn.Parameter(torch.from_numpy(value.copy())))
        optimizer, package = make(parameters)
        if evaluate:
            optimizer.train()
        tensors = torch_trace(optimizer, parameters, initial, gradients, shapes, optimizer.eval if evaluate else None)
        case = {
            "framework": "reference",
            "framework_version": package,
            "class": cls,
            "config": config,
            "steps": steps,
            "variables": described(shapes),
            "slots_after_last_step": [],
        }
        save(args.out, name, case, tensors)

    version = lambda name: f"{name} {__import__('importlib.metadata').metadata.version(name)}"
    for name, lr, options in [
        ("schedule_free_sgd_default", 1.0, {}),
        ("schedule_free_sgd_warmup", 0.1, {"momentum": 0.8, "warmup_steps": 6, "r": 0.5, "weight_lr_power": 1.5}),
    ]:
        decay = 0.05 if options else 0.0
        config = {"learning_rate": lr, **options, **({"weight_decay": decay} if decay else {})}
        make = lambda p: (schedulefree.SGDScheduleFree(p, lr=lr, weight_decay=decay, foreach=False, **options), version("schedulefree"))
        write(name, "ScheduleFreeSGD", config, make, evaluate=True)
    for name, options, ours in [
        ("prodigy_default", {}, {}),
        (
            "prodigy_variant",
            {"betas": (0.8, 0.95), "beta3": 0.9, "eps": 1e-6, "d0": 1e-3, "d_coef": 2.0, "growth_rate": 1.5, "weight_decay": 0.1, "use_bias_correction": True, "safeguard_warmup": True},
            {"beta_1": 0.8, "beta_2": 0.95, "beta_3": 0.9, "epsilon": 1e-6, "d0": 1e-3, "d_coef": 2.0, "growth_rate": 1.5, "weight_decay": 0.1, "use_bias_correction": True, "safeguard_warmup": True},
        ),
        ("prodigy_coupled", {"d0": 1e-2, "weight_decay": 0.2, "decouple": False}, {"d0": 1e-2, "weight_decay": 0.2, "decouple": False}),
    ]:
        make = lambda p: (prodigyopt.Prodigy(p, lr=0.5 if options else 1.0, **options), version("prodigyopt"))
        write(name, "Prodigy", {"learning_rate": 0.5 if options else 1.0, **ours}, make, steps=40)
    for name, lr, options in [("adopt_default", 1e-3, {}), ("adopt_variant", 0.02, {"betas": (0.8, 0.97), "weight_decay": 0.1, "weight_decouple": True, "eps": 1e-4})]:
        config = {"learning_rate": lr}
        if options:
            config.update({"beta_1": 0.8, "beta_2": 0.97, "weight_decay": 0.1, "epsilon": 1e-4})
        # The package counts from 1 where the authors count from 0.
        make = lambda p: (pytorch_optimizer.ADOPT(p, lr=lr, clip_lambda=lambda t: (t - 1) ** 0.25, **options), version("pytorch_optimizer"))
        write(name, "ADOPT", config, make)
    for name, lr, options in [
        ("soap_default", 3e-3, {}),
        ("soap_variant", 0.01, {"betas": (0.8, 0.9), "shampoo_beta": 0.7, "eps": 1e-6, "weight_decay": 0.1, "precondition_frequency": 3}),
    ]:
        config = {"learning_rate": lr, "weight_decay": 0.01}
        if options:
            config.update({"beta_1": 0.8, "beta_2": 0.9, "shampoo_beta": 0.7, "epsilon": 1e-6, "weight_decay": 0.1, "precondition_frequency": 3})
        defaults = {"weight_decay": 0.01, **options}
        make = lambda p: (pytorch_optimizer.SOAP(p, lr=lr, **defaults), version("pytorch_optimizer"))
        # Sides that differ by more than 1 would have several eigenvectors of the eigenvalue 0, between which rounding chooses.
        shapes = [("kernel", (3, 4)), ("bias", (4,)), ("conv_kernel", (2, 2, 1, 3))]
        write(name, "SOAP", config, make, shapes=shapes, steps=25, matrices=True)


def schedule_cases(args):
    import torch

    steps = list(range(0, 1001, 10))
    for name, options in [
        ("one_cycle", {}),
        ("one_cycle_linear", {"anneal_strategy": "linear", "pct_start": 0.45, "div_factor": 10.0, "final_div_factor": 100.0}),
        ("one_cycle_three_phase", {"three_phase": True, "pct_start": 0.4}),
    ]:
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
        total = 1001
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=total, **options)
        rates = []
        for step in range(total):
            rates.append(schedule.get_last_lr()[0])
            optimizer.step()
            if step + 1 < total:
                schedule.step()
        config = {"max_learning_rate": 0.5, "total_steps": total, **options}
        case = {"framework": "torch", "class": "OneCycle", "config": config, "steps": steps, "values": [rates[step] for step in steps]}
        os.makedirs(args.out, exist_ok=True)
        with open(os.path.join(args.out, name + ".json"), "w") as file:
            json.dump(case, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["keras", "torch", "reference", "schedules"])
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    {"keras": keras_cases, "torch": torch_cases, "reference": reference_cases, "schedules": schedule_cases}[arguments.what](arguments)

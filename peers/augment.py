#!/usr/bin/env python3
"""Image augmentation in other libraries, timed: the other side of `cargo xtask bench augmentation`.

  augment.py --lib torchvision|kornia|albumentations|keras [--ops ...] [--shapes 28x28x1,32x32x3,224x224x3]
             [--dtypes uint8,float32] [--batch 128] [--threads 2] [--modes ...]

One JSON line a case, and on stderr what is done and how long it took. Fields: img_per_s (median of blocks; of what takes longer than
ten blocks, the mean of its calls), mode, per_sample (true: every image gets its own random parameters; false: one draw for the whole
batch, so less work), note. What a library cannot do is named on stderr or known before, and left out.
Modes
  torchvision     per-image (one process, loop over the images, all threads), procs (one single-threaded process per thread, each
                  looping over its own images, no transfer back: the best case of a DataLoader), batch (one draw per batch)
  kornia          batch (per-sample parameters; uint8 input is converted to float 0..1 inside the timing)
  albumentations  per-image (one process), procs (as above)
  keras           tfdata (Dataset.map with one parallel call per thread), call (tf.function on the batch)
Parameters (the same everywhere, as near as each library allows): flip horizontal p .5; rotate +-20 deg; translate +-10 %;
zoom .8..1.2; crop = zero pad by size/8, random crop back; contrast and brightness .8..1.2; hue +-.1 and saturation .8..1.2;
blur gaussian 5x5 sigma .1..2; erasing 2..33 % of the area, always; mixup and cutmix alpha 1, 10 classes; randaugment 2 ops;
pipeline = flip, rotate, zoom, contrast. Bilinear, zero fill.
"""
import argparse
import gc
import json
import os
import statistics
import sys
import time

P = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
P.add_argument("--lib", required=True, choices=["torchvision", "kornia", "albumentations", "keras"])
OPS = "flip,invert,crop,rotate,translate,zoom,contrast,brightness,huesat,blur,erasing,mixup,cutmix,randaugment,pipeline,grayscale,posterize,solarize,equalize,autocontrast,sharpness,normalize,noise,motionblur,jpeg"
P.add_argument("--ops", default=OPS)
P.add_argument("--shapes", default="28x28x1,32x32x3,224x224x3")
P.add_argument("--dtypes", default="uint8,float32")
P.add_argument("--modes", default="")
P.add_argument("--batch", type=int, default=128)
P.add_argument("--threads", type=int, default=2)
P.add_argument("--blocks", type=int, default=5)
P.add_argument("--seconds", type=float, default=0.2, help="least seconds of a block")
P.add_argument("--whole-batch", action="store_true", help="those too that draw once for a whole batch")
A = P.parse_args()
T, B = A.threads, A.batch
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", NO_ALBUMENTATIONS_UPDATE="1", KERAS_BACKEND="tensorflow", ALBUMENTATIONS_NO_TELEMETRY="1")
if hasattr(os, "sched_setaffinity") and T < len(os.sched_getaffinity(0)):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:T])
import multiprocessing as mp
import numpy as np

BATCH_OPS = ("mixup", "cutmix")


def seconds(call):
    """The median over blocks of the seconds of a call."""
    slow = max(10 * A.seconds, 0.2)
    # The first call of Keras traces its graph, and its next ones find batches that were prepared meanwhile: only together with those
    # that do not find any they tell how long one takes.
    ahead = 2 * T if A.lib == "keras" else 0
    times = []
    for _ in range(2 + ahead):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
        # What is slow is warm after one call, or for Keras after as many as are worth waiting for.
        if times[-1] > slow and not ahead or sum(times[1:]) > 20 * slow:
            break
    one = statistics.mean(times[1:] or times)
    # What takes so long varies little from one call to the next: nobody waits for more of them.
    if one > slow:
        return one
    calls = max(1, int(A.seconds / max(one, 1e-7)))
    times = []
    while len(times) < A.blocks:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        took = time.perf_counter() - start
        # The first calls were slow: more of them make a block.
        if took < A.seconds / 3 and not times:
            calls = max(calls + 1, int(calls * A.seconds / max(took, 1e-9)))
            continue
        times.append(took / calls)
    return statistics.median(times)


def images(h, w, c, dtype):
    """A smooth random batch, NHWC; float32 lies in 0..1."""
    rng = np.random.default_rng(0)
    x = rng.random((B, h // 4 + 1, w // 4 + 1, c), dtype=np.float32).repeat(4, 1).repeat(4, 2)[:, :h, :w]
    return np.ascontiguousarray((x * 255).astype(np.uint8) if dtype == "uint8" else x)


# ------------------------------------------------------------------------------------------- torchvision
def torchvision_op(op, h, w, c, dtype):
    import torch
    from torchvision.transforms import v2
    bi = v2.InterpolationMode.BILINEAR
    if op == "randaugment":
        return v2.RandAugment(2, 9, interpolation=bi)
    return {
        "flip": lambda: v2.RandomHorizontalFlip(0.5), "invert": lambda: v2.RandomInvert(1.0), "rotate": lambda: v2.RandomRotation(20, bi), "translate": lambda: v2.RandomAffine(0, translate=(0.1, 0.1), interpolation=bi),
        "zoom": lambda: v2.RandomAffine(0, scale=(0.8, 1.2), interpolation=bi), "crop": lambda: v2.RandomCrop((h, w), padding=h // 8), "contrast": lambda: v2.ColorJitter(contrast=0.2),
        "brightness": lambda: v2.ColorJitter(brightness=0.2), "huesat": lambda: v2.ColorJitter(saturation=0.2, hue=0.1), "blur": lambda: v2.GaussianBlur(5, (0.1, 2.0)),
        "erasing": lambda: v2.RandomErasing(1.0), "mixup": lambda: v2.MixUp(num_classes=10), "cutmix": lambda: v2.CutMix(num_classes=10),
        "pipeline": lambda: v2.Compose([v2.RandomHorizontalFlip(0.5), v2.RandomRotation(20, bi), v2.RandomAffine(0, scale=(0.8, 1.2), interpolation=bi), v2.ColorJitter(contrast=0.2)]),
        "grayscale": lambda: v2.RandomGrayscale(1.0), "posterize": lambda: v2.RandomPosterize(4, 1.0), "solarize": lambda: v2.RandomSolarize(128 if dtype == "uint8" else 0.5, 1.0),
        "equalize": lambda: v2.RandomEqualize(1.0), "autocontrast": lambda: v2.RandomAutocontrast(1.0), "sharpness": lambda: v2.RandomAdjustSharpness(1.2, 1.0),
        "normalize": lambda: v2.Normalize([0.5] * c, [0.25] * c), "noise": lambda: v2.GaussianNoise(sigma=0.1), "jpeg": lambda: v2.JPEG((50, 90))}[op]()


def torchvision_case(op, h, w, c, dtype, mode):
    import torch
    torch.set_num_threads(1 if mode == "procs" else T)
    x = torch.from_numpy(images(h, w, c, dtype)).permute(0, 3, 1, 2).contiguous()
    y = torch.arange(B) % 10
    t = torchvision_op(op, h, w, c, dtype)
    if op in BATCH_OPS:
        return lambda: t(x, y)
    if mode == "batch":
        return lambda: t(x)
    return lambda: [t(i) for i in x]


# ------------------------------------------------------------------------------------------- kornia
def kornia_case(op, h, w, c, dtype, mode):
    import torch
    import kornia.augmentation as K
    torch.set_num_threads(T)
    x = torch.from_numpy(images(h, w, c, dtype)).permute(0, 3, 1, 2).contiguous()
    y = torch.arange(B) % 10
    f = {
        "flip": lambda: K.RandomHorizontalFlip(p=0.5), "invert": lambda: K.RandomInvert(p=1.0), "rotate": lambda: K.RandomRotation(20.0, p=1.0), "translate": lambda: K.RandomAffine(0.0, translate=(0.1, 0.1), p=1.0),
        "zoom": lambda: K.RandomAffine(0.0, scale=(0.8, 1.2), p=1.0), "crop": lambda: K.RandomCrop((h, w), padding=h // 8, p=1.0), "contrast": lambda: K.RandomContrast((0.8, 1.2), p=1.0),
        "brightness": lambda: K.RandomBrightness((0.8, 1.2), p=1.0), "huesat": lambda: torch.nn.Sequential(K.RandomHue((-0.1, 0.1), p=1.0), K.RandomSaturation((0.8, 1.2), p=1.0)),
        "blur": lambda: K.RandomGaussianBlur((5, 5), (0.1, 2.0), p=1.0), "erasing": lambda: K.RandomErasing((0.02, 0.33), p=1.0), "mixup": lambda: K.RandomMixUpV2(p=1.0, data_keys=["input", "class"]),
        "cutmix": lambda: K.RandomCutMixV2(p=1.0, data_keys=["input", "class"]), "randaugment": lambda: K.auto.RandAugment(n=2, m=9),
        "pipeline": lambda: torch.nn.Sequential(K.RandomHorizontalFlip(p=0.5), K.RandomRotation(20.0, p=1.0), K.RandomAffine(0.0, scale=(0.8, 1.2), p=1.0), K.RandomContrast((0.8, 1.2), p=1.0)),
        "grayscale": lambda: K.RandomGrayscale(p=1.0), "posterize": lambda: K.RandomPosterize(4.0, p=1.0), "solarize": lambda: K.RandomSolarize((0.5, 0.5), (0.0, 0.0), p=1.0),
        "equalize": lambda: K.RandomEqualize(p=1.0), "autocontrast": lambda: K.RandomAutoContrast(p=1.0), "sharpness": lambda: K.RandomSharpness((0.2, 0.2), p=1.0),
        "normalize": lambda: K.Normalize(torch.full((c,), 0.5), torch.full((c,), 0.25), p=1.0), "noise": lambda: K.RandomGaussianNoise(std=0.1, p=1.0),
        "motionblur": lambda: K.RandomMotionBlur((3, 7), 180.0, 0.0, p=1.0), "jpeg": lambda: K.RandomJPEG((50.0, 90.0), p=1.0)}[op]()
    conv = (lambda: x.float().div_(255)) if dtype == "uint8" else (lambda: x)

    def run():
        with torch.no_grad():
            return f(conv(), y) if op in BATCH_OPS else f(conv())
    return run


# ------------------------------------------------------------------------------------------- albumentations
def albumentations_case(op, h, w, c, dtype, mode):
    import cv2
    cv2.setNumThreads(0 if mode == "procs" else T)
    import albumentations as L
    x = list(images(h, w, c, dtype))
    import inspect

    def mk(name, **kw):
        """2.0 calls its ranges brightness_limit, limit, alpha, saturation; albumentationsx brightness_range, angle_range, ..."""
        cls = getattr(L, name)
        has = inspect.signature(cls.__init__).parameters
        out = {}
        for k, v in kw.items():
            k = next(c for c in (k, k.replace("_limit", "_range"), k + "_range", "angle_range") if c in has)
            out[k] = (v, v) if k == "num_bits" and "angle_range" in inspect.signature(L.Rotate.__init__).parameters else v
        return cls(**out)

    rot = lambda: mk("Rotate", limit=(-20, 20), interpolation=cv2.INTER_LINEAR, border_mode=cv2.BORDER_CONSTANT, p=1)
    zoom = lambda: mk("Affine", scale=(0.8, 1.2), p=1)
    bc = lambda b, c: mk("RandomBrightnessContrast", brightness_limit=(-b, b), contrast_limit=(-c, c), p=1)
    jit = lambda **k: mk("ColorJitter", **{**dict(brightness=(1, 1), contrast=(1, 1), saturation=(1, 1), hue=(0, 0), p=1), **k})

    def randaug():
        ops = [rot(), mk("Affine", shear={"x": (-17, 17), "y": (0, 0)}, p=1), mk("Affine", shear={"x": (0, 0), "y": (-17, 17)}, p=1), mk("Affine", translate_percent={"x": (-0.14, 0.14), "y": (0, 0)}, p=1),
               mk("Affine", translate_percent={"x": (0, 0), "y": (-0.14, 0.14)}, p=1), bc(0.27, 0), bc(0, 0.27), mk("Sharpen", alpha=(0.1, 0.3), p=1), L.AutoContrast(p=1), L.NoOp(p=1), L.Solarize(p=1)]
        if c == 3:
            ops.append(jit(saturation=(0.73, 1.27)))
        if dtype == "uint8":
            ops += [L.Equalize(p=1), mk("Posterize", num_bits=4, p=1)]
        return L.SomeOf(ops, n=2, p=1)
    t = {
        "flip": lambda: L.HorizontalFlip(p=0.5), "invert": lambda: L.InvertImg(p=1), "rotate": rot, "translate": lambda: mk("Affine", translate_percent=(-0.1, 0.1), p=1), "zoom": zoom,
        "crop": lambda: L.Compose([L.PadIfNeeded(h + 2 * (h // 8), w + 2 * (w // 8), border_mode=cv2.BORDER_CONSTANT), L.RandomCrop(h, w)]),
        "contrast": lambda: bc(0, 0.2), "brightness": lambda: bc(0.2, 0), "huesat": lambda: jit(saturation=(0.8, 1.2), hue=(-0.1, 0.1)),
        "blur": lambda: mk("GaussianBlur", blur_limit=(5, 5), sigma_limit=(0.1, 2.0), p=1), "erasing": lambda: mk("Erasing", scale=(0.02, 0.33), ratio=(0.3, 3.3), p=1), "randaugment": randaug,
        "pipeline": lambda: L.Compose([L.HorizontalFlip(p=0.5), rot(), zoom(), bc(0, 0.2)]),
        "grayscale": lambda: L.ToGray(p=1), "posterize": lambda: mk("Posterize", num_bits=4, p=1), "solarize": lambda: mk("Solarize", threshold_range=(0.5, 0.5), p=1), "equalize": lambda: L.Equalize(p=1),
        "autocontrast": lambda: L.AutoContrast(p=1), "sharpness": lambda: mk("Sharpen", alpha=(0.1, 0.3), p=1), "normalize": lambda: L.Normalize([0.5] * c, [0.25] * c, max_pixel_value=1.0),
        "noise": lambda: mk("GaussNoise", std_range=(0.04, 0.2), p=1), "motionblur": lambda: mk("MotionBlur", blur_limit=(3, 7), p=1),
        "jpeg": lambda: mk("ImageCompression", quality_range=(50, 90), p=1)}[op]()
    t = t if isinstance(t, L.Compose) else L.Compose([t])
    return lambda: [t(image=i)["image"] for i in x]


# ------------------------------------------------------------------------------------------- keras
def keras_case(op, h, w, c, dtype, mode):
    import tensorflow as tf
    import keras
    L = keras.layers
    vr = (0, 255) if dtype == "uint8" else (0.0, 1.0)
    k = dict(fill_mode="constant")
    layer = {
        "flip": lambda: L.RandomFlip("horizontal"), "invert": lambda: L.RandomInvert((1.0, 1.0), value_range=vr), "rotate": lambda: L.RandomRotation(20 / 360, **k), "translate": lambda: L.RandomTranslation(0.1, 0.1, **k),
        "zoom": lambda: L.RandomZoom((-0.2, 0.2), (-0.2, 0.2), **k), "crop": lambda: L.Pipeline([L.ZeroPadding2D(h // 8), L.RandomCrop(h, w)]) if hasattr(L, "Pipeline") else None,
        "contrast": lambda: L.RandomContrast(0.2, value_range=vr), "brightness": lambda: L.RandomBrightness(0.2, value_range=vr),
        "huesat": lambda: L.Pipeline([L.RandomHue(0.1, value_range=vr), L.RandomSaturation((0.4, 0.6), value_range=vr)]),
        "blur": lambda: L.RandomGaussianBlur(factor=1.0, kernel_size=5, sigma=(0.1, 2.0), value_range=vr), "erasing": lambda: L.RandomErasing(factor=1.0, scale=(0.02, 0.33), value_range=vr),
        "mixup": lambda: L.MixUp(1.0), "cutmix": lambda: L.CutMix(1.0), "randaugment": lambda: L.RandAugment(value_range=vr, num_ops=2, factor=0.3),
        "pipeline": lambda: L.Pipeline([L.RandomFlip("horizontal"), L.RandomRotation(20 / 360, **k), L.RandomZoom((-0.2, 0.2), (-0.2, 0.2), **k), L.RandomContrast(0.2, value_range=vr)]),
        "grayscale": lambda: L.RandomGrayscale(1.0), "posterize": lambda: L.RandomPosterization((4, 5), value_range=vr), "solarize": lambda: L.Solarization(0.0, (0.5, 0.5), value_range=vr),
        "equalize": lambda: L.Equalization(value_range=vr), "autocontrast": lambda: L.AutoContrast(value_range=vr), "sharpness": lambda: L.RandomSharpness((0.55, 0.65), value_range=vr),
        "normalize": lambda: L.Normalization(mean=0.5, variance=0.0625),
        # no clip, and one strength for all: less work
        "noise": lambda: L.GaussianNoise(0.1)}[op]()
    x = images(h, w, c, dtype)
    lab = np.eye(10, dtype=np.float32)[np.arange(B) % 10]
    if op in BATCH_OPS:
        layer.build({"images": (B, h, w, c), "labels": (B, 10)}) if hasattr(layer, "build") else None
        fn = lambda i: layer({"images": i, "labels": lab}, training=True)
    else:
        fn = lambda i: layer(i, training=True)
    if mode == "call":
        g = tf.function(fn)
        xt = tf.constant(x)
        return lambda: g(xt)
    ds = iter(tf.data.Dataset.from_tensors(x).cache().repeat().map(fn, num_parallel_calls=T).prefetch(T))
    return lambda: next(ds)


# What a library does not have.
LACKS = {"torchvision": {"motionblur"}, "kornia": set(), "albumentations": set(BATCH_OPS), "keras": {"motionblur", "jpeg"}}
CASES = {"torchvision": torchvision_case, "kornia": kornia_case, "albumentations": albumentations_case, "keras": keras_case}
MODES = {"torchvision": "per-image,procs,batch", "kornia": "batch", "albumentations": "per-image,procs", "keras": "tfdata,call"}


def worker(conn):
    """Child of the procs mode: builds a case, then runs it for some seconds on 'go'."""
    f = None
    while True:
        m = conn.recv()
        if m is None:
            return
        try:
            if m[0] == "case":
                f = CASES[m[1]](*m[2])
                f(), f()
                conn.send("ok")
            else:
                end, k, t = time.perf_counter() + m[1], 0, time.perf_counter()
                while time.perf_counter() < end:
                    f()
                    k += 1
                conn.send(k / (time.perf_counter() - t))
        except Exception as e:
            conn.send(f"{type(e).__name__}: {e}")


def main():
    modes = (A.modes or MODES[A.lib]).split(",")
    procs = []
    if "procs" in modes:
        ctx = mp.get_context("spawn")
        for _ in range(T):
            a, b = ctx.Pipe()
            p = ctx.Process(target=worker, args=(b,), daemon=True)
            p.start()
            procs.append((p, a))
    if A.lib == "keras":
        import keras
        import tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(T)
        tf.config.threading.set_inter_op_parallelism_threads(T)
    import importlib.metadata as md
    pk = {"torchvision": ["torchvision"], "kornia": ["kornia"], "keras": ["keras"], "albumentations": ["albumentationsx", "albumentations"]}[A.lib]
    ver = ""
    for p in pk:
        try:
            ver = f"{p} {md.version(p)}"
            break
        except md.PackageNotFoundError:
            pass
    for shape in A.shapes.split(","):
        h, w, c = map(int, shape.split("x"))
        for dtype in A.dtypes.split(","):
            for op in A.ops.split(","):
                # grey has no colours, bytes hold no normalized values
                if c == 1 and op in ("huesat", "grayscale") or op == "normalize" and dtype == "uint8":
                    continue
                # compressed are bytes in torchvision, and colours in kornia; the noise of Keras is at most 1
                jpeg = A.lib == "torchvision" and dtype != "uint8" or A.lib == "kornia" and c != 3
                if op in LACKS[A.lib] or op == "jpeg" and jpeg or op == "noise" and A.lib == "keras" and dtype == "uint8":
                    continue
                for mode in modes:
                    if A.lib == "torchvision" and op in BATCH_OPS and mode != "batch":
                        continue
                    # one draw (of the parameters, or of which operations run) for the whole batch
                    per = not (A.lib == "torchvision" and mode == "batch" or A.lib == "keras" and op in ("crop", "randaugment") or A.lib == "kornia" and op == "randaugment")
                    if not (per or A.whole_batch):
                        continue
                    args = (op, h, w, c, dtype, mode)
                    note = ""
                    if A.lib == "kornia" and dtype == "uint8":
                        note = "to float inside"
                    begin = time.perf_counter()
                    try:
                        if mode == "procs":
                            for _, a in procs:
                                a.send(("case", A.lib, args))
                            bad = [r for r in [a.recv() for _, a in procs] if r != "ok"]
                            if bad:
                                raise RuntimeError(bad[0])
                            got = []
                            for _ in range(A.blocks):
                                for _, a in procs:
                                    a.send(("go", max(A.seconds, 0.2)))
                                got.append(sum(a.recv() for _, a in procs))
                            rate = statistics.median(got) * B
                        else:
                            rate = B / seconds(CASES[A.lib](*args))
                        line = dict(lib=A.lib, version=ver, op=op, shape=shape, dtype=dtype, batch=B, threads=T, mode=mode, per_sample=per, img_per_s=rate, note=note)
                        print(json.dumps(line), flush=True)
                    except Exception as e:
                        sys.stderr.write(f"skip {A.lib} {args}: {type(e).__name__} {str(e)[:200]}\n")
                    sys.stderr.write(f"{A.lib} {shape} {dtype} {op} {mode}: {time.perf_counter() - begin:.1f} s\n")
                    sys.stderr.flush()
                    if A.lib == "keras":
                        # The iterators of data sets, and the batches that they have prepared, stay until they are collected.
                        keras.backend.clear_session()
                        gc.collect()
    for _, a in procs:
        a.send(None)


if __name__ == "__main__":
    main()

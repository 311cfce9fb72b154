"""What torchvision makes of an image: reads a job as JSON from stdin, writes the results as JSON to stdout.

The policies' operations are those of torchvision.transforms.autoaugment on tensors of bytes; JPEG is torchvision's encoder and decoder
(libjpeg-turbo). Each result is the flat list of levels, row by row.
"""
import json
import sys

import torch
import torchvision
from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg
from torchvision.transforms.autoaugment import _apply_op
from torchvision.transforms.functional import InterpolationMode

job = json.load(sys.stdin)
results = []
for case in job["cases"]:
    pixels = torch.tensor(job["images"][case["image"]], dtype=torch.uint8)
    height, width, channels = case["shape"]
    image = pixels.reshape(height, width, channels).permute(2, 0, 1).contiguous()
    if "quality" in case:
        mode = ImageReadMode.GRAY if channels == 1 else ImageReadMode.RGB
        image = decode_jpeg(encode_jpeg(image, quality=case["quality"]), mode=mode)
    else:
        how = InterpolationMode(case["interpolation"])
        # Blends of bytes are cut to whole numbers twice, which floats are not.
        blends = case["operation"] in ("Brightness", "Color", "Contrast", "Sharpness")
        image = image.float() / 255.0 if blends else image
        # No fill: with one, bilinear pixels at the border are darkened twice, by the weights of the image and by those of a mask.
        image = _apply_op(image, case["operation"], case["magnitude"], how, None)
        image = image * 255.0 if blends else image
    results.append(image.permute(1, 2, 0).flatten().tolist())
json.dump({"version": torchvision.__version__, "results": results}, sys.stdout)

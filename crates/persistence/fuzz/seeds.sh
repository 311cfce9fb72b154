#!/bin/sh
# Fills corpus/TARGET with the files of the golden cases, the attacks and what was found before: sh seeds.sh (in this folder)
set -eu
golden=../tests/golden/persistence
seed() {
    target=$1
    shift
    mkdir -p "corpus/$target"
    for file in "$@"; do
        if [ -f "$file" ] && [ "$(wc -c < "$file")" -le 65536 ]; then cp "$file" "corpus/$target/"; fi
    done
}
seed safetensors $golden/keras/*.safetensors $golden/torch/*.safetensors $golden/broken/*.safetensors ../tests/regressions/*.safetensors
seed keras $golden/keras/*.keras $golden/broken/*.keras ../tests/regressions/*.keras
seed weights_h5 $golden/keras/*.weights.h5 $golden/broken/*.weights.h5 ../tests/attacks/*.weights.h5 ../tests/regressions/*.weights.h5
seed legacy_h5 $golden/keras/*.h5 $golden/broken/*.h5 ../tests/attacks/*.h5 ../tests/regressions/*.h5
seed pytorch $golden/torch/*.pt $golden/broken/*.pt ../tests/regressions/*.pt
seed numpy ../tests/regressions/*.np[yz]
seed onnx $golden/torch/*.onnx $golden/broken/*.onnx ../tests/regressions/*.onnx
# The parts of archives by themselves, as the targets also take them.
for file in $golden/torch/*.pt; do
    unzip -p "$file" '*data.pkl' > "corpus/pytorch/$(basename "$file").pkl" 2> /dev/null || true
done
for file in $golden/keras/*.keras; do
    unzip -p "$file" config.json > "corpus/keras/$(basename "$file").json" 2> /dev/null || true
done
printf "\223NUMPY\001\000\166\000{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }%60s\n12345678" '' > corpus/numpy/array.npy

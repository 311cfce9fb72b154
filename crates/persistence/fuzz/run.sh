#!/bin/sh
# One target for so many seconds, without cargo-fuzz: sh run.sh TARGET SECONDS [OPTIONS OF LIBFUZZER] (in this folder)
set -eu
target=$1
seconds=$2
shift 2
counters="-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
tables="-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="-Cpasses=sancov-module $counters $tables --cfg fuzzing"
export RUSTFLAGS
# With a target named, the flags are not those of build scripts and procedural macros.
host=$(rustc -vV | sed -n 's/^host: //p')
folder=${CARGO_TARGET_DIR:-target}
CARGO_TARGET_DIR=$folder cargo build --release --bin "$target" --target "$host"
mkdir -p "corpus/$target" "artifacts/$target"
exec "$folder/$host/release/$target" "corpus/$target" -artifact_prefix="artifacts/$target/" -max_len=65536 -timeout=5 \
    -max_total_time="$seconds" "$@"

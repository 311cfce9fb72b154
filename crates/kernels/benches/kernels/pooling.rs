//! Pooling: the input is read and the output written; backward, the output's gradient is read and the input's written.

use criterion::Criterion;
use kernels::{Pool2dOptions, avg_pool2d, global_avg_pool2d, max_pool2d};

use crate::work::{BATCH, SIZE, Work, both, var};

pub(crate) fn poolings(c: &mut Criterion) {
    let mut group = c.benchmark_group("pooling");
    let options = Pool2dOptions::default();
    for (image, channels) in [(28, 32), (28, 6), (32, 8)] {
        let numbers = BATCH * image * image * channels;
        let bytes = SIZE * (numbers + numbers / 4);
        let vars = [var(&[BATCH, image, image, channels])];
        let name = |kind: &str| format!("{kind} 2x2 of {image}x{image}x{channels}");
        both(
            &mut group,
            &name("max"),
            Work::Bytes(bytes, 2 * bytes),
            &[],
            &vars,
            |t| max_pool2d(&t[0], &options).unwrap(),
        );
        both(
            &mut group,
            &name("average"),
            Work::Bytes(bytes, 2 * bytes),
            &[],
            &vars,
            |t| avg_pool2d(&t[0], &options).unwrap(),
        );
    }
    let vars = [var(&[BATCH, 14, 14, 256])];
    let bytes = SIZE * BATCH * (14 * 14 + 1) * 256;
    both(
        &mut group,
        "global average of 14x14x256",
        Work::Bytes(bytes, 2 * bytes),
        &[],
        &vars,
        |t| global_avg_pool2d(&t[0]).unwrap(),
    );
}

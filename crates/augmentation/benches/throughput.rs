//! Images a second, on all threads, for batches of 128: `cargo bench -p augmentation`.

use std::hint::black_box;

use augmentation::{Pipeline, ValueRange};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::random::Stream;

const BATCH: u64 = 128;

fn throughput(c: &mut Criterion) {
    for shape in [(28, 28, 1), (32, 32, 3), (224, 224, 3)] {
        let (height, width, channels) = shape;
        let mut group = c.benchmark_group(format!("{height}x{width}x{channels}"));
        group.throughput(Throughput::Elements(BATCH));
        group
            .sample_size(20)
            .measurement_time(std::time::Duration::from_secs(2));
        let samples: Vec<u64> = (0..BATCH).collect();
        let mut images = vec![0f32; BATCH as usize * height * width * channels];
        Stream::new(0).draws().fill_uniform(&mut images, 0.0, 1.0);
        for (name, text) in [
            ("flip", "flip(horizontal)"),
            ("rotate", "rotate(0.1)"),
            ("rotate nearest", "rotate(0.1, interpolation=nearest)"),
            ("contrast", "contrast(0.2)"),
            (
                "pipeline",
                "flip(horizontal) | rotate(0.1) | translate(0.1, 0.1) | zoom(0.1) | contrast(0.2) | brightness(0.1)",
            ),
        ] {
            let pipeline = Pipeline::parse_for(text, ValueRange::UNIT).unwrap_or_else(|e| panic!("{e}"));
            let run = |pipeline: &Pipeline, epoch: &mut u64| {
                let mut batch = images.clone();
                *epoch += 1;
                pipeline
                    .apply_batch(&mut batch, shape, &samples, 1, *epoch)
                    .unwrap_or_else(|e| panic!("{e}"));
                black_box(batch);
            };
            let mut epoch = 0;
            group.bench_function(name, |b| b.iter(|| run(&pipeline, &mut epoch)));
            if name == "pipeline" {
                let unmerged = pipeline.merge_affine(false);
                group.bench_function("pipeline, not merged", |b| b.iter(|| run(&unmerged, &mut epoch)));
            }
        }
        group.finish();
    }
}

criterion_group!(benches, throughput);
criterion_main!(benches);

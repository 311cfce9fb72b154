//! Dropout: one reading and one writing in each direction.

use criterion::Criterion;
use kernels::dropout;
use kernels::random::Stream;

use crate::work::{BATCH, SIZE, Work, both, var};

pub(crate) fn dropouts(c: &mut Criterion) {
    let mut group = c.benchmark_group("dropout");
    for dims in [[8, 16 * 16 * 8], [BATCH, 7 * 7 * 64]] {
        let numbers: usize = dims.iter().product();
        let work = Work::Bytes(2 * SIZE * numbers, 4 * SIZE * numbers);
        let name = format!("0.2 of {}x{}", dims[0], dims[1]);
        both(&mut group, &name, work, &[], &[var(&dims)], |t| {
            dropout(&t[0], 0.2, Stream::new(1).op("dropout")).unwrap()
        });
    }
}

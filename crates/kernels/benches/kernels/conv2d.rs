//! Convolutions: two operations for every number under every tap that lies on the image.

use criterion::Criterion;
use kernels::{Activation, Conv2dOptions, Padding, conv2d};

use crate::work::{Arrays, BATCH, Work, both, var};

/// A convolution of square images.
struct Shape {
    image: usize,
    channels: usize,
    filters: usize,
    taps: usize,
    padding: Padding,
    groups: usize,
    /// Whether it reads the images themselves, which need no gradient.
    first: bool,
}

impl Shape {
    const fn new(image: usize, channels: usize, filters: usize, taps: usize, padding: Padding) -> Self {
        Shape {
            image,
            channels,
            filters,
            taps,
            padding,
            groups: 1,
            first: channels == 1,
        }
    }

    fn name(&self) -> String {
        let kind = match (self.padding, self.groups) {
            (Padding::Same, 1) => "same",
            (_, 1) => "valid",
            _ => "same, depthwise",
        };
        let Shape {
            image,
            channels,
            filters,
            taps,
            ..
        } = self;
        format!("{image}x{image}x{channels} to {filters}, {taps}x{taps} {kind}")
    }

    fn arrays(&self) -> Arrays {
        let out = match self.padding {
            Padding::Same => self.image,
            _ => self.image + 1 - self.taps,
        };
        Arrays {
            x: BATCH * self.image * self.image * self.channels,
            kernel: self.taps * self.taps * (self.channels / self.groups) * self.filters,
            y: BATCH * out * out * self.filters,
        }
    }

    /// Operations forward; what padding adds is not counted.
    fn operations(&self) -> usize {
        let axis = if self.padding == Padding::Same {
            let before = (self.taps - 1) / 2;
            let reach = |out: usize| {
                (0..self.taps)
                    .filter(|tap| (before..before + self.image).contains(&(out + tap)))
                    .count()
            };
            (0..self.image).map(reach).sum::<usize>()
        } else {
            (self.image + 1 - self.taps) * self.taps
        };
        2 * BATCH * axis * axis * (self.channels / self.groups) * self.filters
    }
}

pub(crate) fn convolutions(c: &mut Criterion) {
    let mut group = c.benchmark_group("conv2d");
    let depthwise = Shape {
        groups: 64,
        ..Shape::new(32, 64, 64, 3, Padding::Same)
    };
    for shape in [
        Shape::new(28, 1, 32, 3, Padding::Same),
        Shape::new(14, 32, 64, 3, Padding::Same),
        Shape::new(32, 64, 64, 3, Padding::Same),
        Shape::new(28, 1, 6, 5, Padding::Same),
        Shape::new(14, 6, 16, 5, Padding::Valid),
        Shape::new(14, 64, 256, 1, Padding::Valid),
        Shape::new(32, 16, 96, 1, Padding::Valid),
        depthwise,
    ] {
        let x = var(&[BATCH, shape.image, shape.image, shape.channels]);
        let kernel = var(&[shape.taps, shape.taps, shape.channels / shape.groups, shape.filters]);
        let bias = var(&[shape.filters]);
        let options = Conv2dOptions {
            activation: Activation::Relu,
            padding: shape.padding,
            groups: shape.groups,
            ..Default::default()
        };
        let layer = |t: &[candle_core::Tensor]| conv2d(&t[0], &t[1], Some(&t[2]), &options).unwrap();
        if shape.first {
            let work = Work::product(shape.operations(), 1, shape.arrays());
            let fixed = [x.as_tensor().detach()];
            both(&mut group, &shape.name(), work, &fixed, &[kernel, bias], layer);
        } else {
            let work = Work::product(shape.operations(), 2, shape.arrays());
            both(&mut group, &shape.name(), work, &[], &[x, kernel, bias], layer);
        }
    }
}

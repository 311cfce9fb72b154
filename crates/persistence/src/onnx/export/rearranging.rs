//! Layers that move, cut, repeat or merge values.

use nn_theory::{DataFormat, Dot};

use super::Call;
use super::graph::{Attributes, Graph, Value};
use crate::fault::{Fault, Result};

/// The sizes of a sample behind the batch, for `Reshape`: at most one may be unknown.
fn sample(call: &Call<'_>, shape: &[Option<usize>]) -> Result<Vec<i64>> {
    let sizes: Vec<i64> = shape
        .iter()
        .skip(1)
        .map(|size| size.map_or(-1, |size| size as i64))
        .collect();
    if sizes.iter().filter(|&&size| size < 0).count() > 1 {
        return Err(Fault::new(
            call.place(),
            "an output of which two sizes are unknown; state the shape of the input",
        ));
    }
    Ok(sizes)
}

impl Graph<'_> {
    /// Keras flattens in the order of `channels_last`, whatever the format.
    pub(super) fn flattened(&mut self, x: &Value, format: DataFormat) -> String {
        let rank = x.rank();
        let name = if format == DataFormat::ChannelsFirst && rank > 2 {
            let order: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
            self.transposed(&x.name, &order)
        } else {
            x.name.clone()
        };
        match rank {
            1 => self.unsqueezed(&name, &[1]),
            2 => name,
            _ => self.op_with("Flatten", &[&name], Attributes::new().int("axis", 1)),
        }
    }

    pub(super) fn shaped(&mut self, call: &Call<'_>, shape: &[Option<usize>]) -> Result<String> {
        let sizes = sample(call, shape)?;
        let all: Vec<i64> = [if sizes.contains(&-1) { 0 } else { -1 }]
            .into_iter()
            .chain(sizes)
            .collect();
        Ok(self.reshaped(&call.first().name.clone(), &all))
    }

    fn first_side(format: DataFormat) -> i64 {
        if format == DataFormat::ChannelsLast { 1 } else { 2 }
    }

    /// Zeros around the sides.
    pub(super) fn padded(&mut self, x: &Value, margins: &[[usize; 2]], format: DataFormat) -> String {
        let (rank, first) = (x.rank(), Self::first_side(format) as usize);
        let mut pads = vec![0i64; 2 * rank];
        for (side, &[before, after]) in margins.iter().enumerate() {
            pads[first + side] = before as i64;
            pads[rank + first + side] = after as i64;
        }
        let pads = self.ints(&pads);
        let zero = self.number(0.0);
        self.op("Pad", &[&x.name, &pads, &zero])
    }

    pub(super) fn cropped(&mut self, x: &Value, margins: &[[usize; 2]], format: DataFormat) -> String {
        let first = Self::first_side(format);
        let mut y = x.name.clone();
        for (side, &[before, after]) in margins.iter().enumerate() {
            let end = if after == 0 { i64::MAX } else { -(after as i64) };
            y = self.sliced(&y, first + side as i64, before as i64, end);
        }
        y
    }

    /// Every entry of an axis several times in a row.
    pub(super) fn repeated(&mut self, x: &str, rank: usize, axis: usize, count: usize) -> String {
        let inserted = self.unsqueezed(x, &[axis as i64 + 1]);
        let mut times = vec![1i64; rank + 1];
        times[axis + 1] = count as i64;
        let times = self.ints(&times);
        let tiled = self.op("Tile", &[&inserted, &times]);
        let shape = self.op("Shape", &[x]);
        let mut factors = vec![1i64; rank];
        factors[axis] = count as i64;
        let factors = self.ints(&factors);
        let shape = self.op("Mul", &[&shape, &factors]);
        self.op("Reshape", &[&tiled, &shape])
    }

    /// `UpSampling…`: each side repeated, or multiplied by the matrix of the interpolation.
    pub(super) fn up_sampled(&mut self, call: &Call<'_>, factors: &[usize], format: DataFormat) -> Result<String> {
        let x = call.first();
        let interpolation = call.text("interpolation").unwrap_or("nearest").to_string();
        let first = Self::first_side(format) as usize;
        let mut y = x.name.clone();
        for (side, &factor) in factors.iter().enumerate() {
            let axis = first + side;
            if interpolation == "nearest" {
                y = self.repeated(&y, x.rank(), axis, factor);
                continue;
            }
            let size = x.shape[axis].ok_or_else(|| {
                Fault::new(
                    call.place(),
                    "interpolates images of any size; state the size of the input",
                )
            })?;
            let matrix = super::interpolation::matrix(&interpolation, size, factor)
                .map_err(|reason| Fault::new(call.place(), reason))?;
            let matrix = self.numbers(&matrix, vec![size, size * factor]);
            // The axis goes to the end, is multiplied, and goes back.
            let mut order: Vec<usize> = (0..x.rank()).filter(|&other| other != axis).collect();
            order.push(axis);
            let turned = self.transposed(&y, &order);
            let made = self.op("MatMul", &[&turned, &matrix]);
            y = self.transposed(&made, &crate::layout::inverse(&order));
        }
        Ok(y)
    }

    /// A vector as each step of a sequence.
    pub(super) fn repeated_vector(&mut self, x: &str, count: usize) -> String {
        let inserted = self.unsqueezed(x, &[1]);
        let times = self.ints(&[1, count as i64, 1]);
        self.op("Tile", &[&inserted, &times])
    }

    /// Combines the inputs from left to right.
    pub(super) fn folded(&mut self, kind: &str, inputs: &[String]) -> String {
        let mut result = inputs[0].clone();
        for input in &inputs[1..] {
            result = self.op(kind, &[&result, input]);
        }
        result
    }

    /// Sums of products along one axis of each input.
    pub(super) fn dot(&mut self, call: &Call<'_>, layer: &Dot) -> Result<String> {
        let [a, b] = call.inputs.as_slice() else {
            return Err(Fault::new(
                call.place(),
                format!("two inputs are needed, found {}", call.inputs.len()),
            ));
        };
        let place =
            |axis: i64, x: &Value| usize::try_from(if axis < 0 { axis + x.rank() as i64 } else { axis }).unwrap_or(0);
        let (first, second) = (place(layer.axes[0], a), place(layer.axes[1], b));
        let (mut left, mut right) = (a.name.clone(), b.name.clone());
        if layer.normalize {
            left = self.unit_length(&left, &[first as i64]);
            right = self.unit_length(&right, &[second as i64]);
        }
        // Letters of the einsum: z the batch, y the sum, the others behind each other.
        let mut letters = 'a'..'y';
        let mut term = |rank: usize, axis: usize| -> (String, String) {
            let mut whole = String::from("z");
            let mut rest = String::new();
            for other in 1..rank {
                let letter = if other == axis {
                    'y'
                } else {
                    letters.next().unwrap_or('?')
                };
                whole.push(letter);
                if other != axis {
                    rest.push(letter);
                }
            }
            (whole, rest)
        };
        let ((of_left, rows), (of_right, columns)) = (term(a.rank(), first), term(b.rank(), second));
        let equation = format!("{of_left},{of_right}->z{rows}{columns}");
        let y = self.op_with(
            "Einsum",
            &[&left, &right],
            Attributes::new().text("equation", &equation),
        );
        Ok(if rows.is_empty() && columns.is_empty() {
            self.unsqueezed(&y, &[1])
        } else {
            y
        })
    }

    /// A mask over `x`, with an axis for each of its own.
    pub(super) fn mask_over(&mut self, mask: &str, rank: usize) -> String {
        let axes: Vec<i64> = (2..rank as i64).collect();
        if axes.is_empty() {
            mask.to_string()
        } else {
            self.unsqueezed(mask, &axes)
        }
    }
}

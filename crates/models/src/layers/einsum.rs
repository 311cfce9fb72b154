//! `EinsumDense`: sums of products over any axes, `activation(einsum(equation, x, kernel) + bias)`.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::EinsumDense;

use super::{LayerWeights, activation};

pub(crate) fn forward(layer: &EinsumDense, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let kernel = activation::required(weights, "kernel")?;
    let y = einsum(&layer.equation, x, &kernel)?;
    let y = match weights.get("bias") {
        Some(bias) => y.broadcast_add(&bias)?,
        None => y,
    };
    activation::forward(layer.activation, &y)
}

/// The letters of an operand; axes that an ellipsis stands for get numbers as their letters.
fn letters(text: &str, unnamed: usize) -> Vec<char> {
    let mut letters = Vec::new();
    let mut rest = text.trim();
    while let Some(letter) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("...") {
            letters.extend((0..unnamed).filter_map(|axis| char::from_digit(axis as u32, 10)));
            rest = behind;
        } else {
            letters.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    letters
}

/// `einsum(equation, x, kernel)` as one batched matrix product.
fn einsum(equation: &str, x: &Tensor, kernel: &Tensor) -> Result<Tensor> {
    let wrong = || candle_core::Error::Msg(format!("'{equation}' does not fit {:?}, {:?}", x.dims(), kernel.dims()));
    let (operands, output) = equation.split_once("->").ok_or_else(wrong)?;
    let (left, right) = operands.split_once(',').ok_or_else(wrong)?;
    let named = left.trim().replace("...", "").chars().count();
    let unnamed = x
        .rank()
        .checked_sub(named)
        .filter(|&count| count < 10)
        .ok_or_else(wrong)?;
    let (left, right, output) = (letters(left, unnamed), letters(right, 0), letters(output, unnamed));
    if left.len() != x.rank() || right.len() != kernel.rank() {
        return Err(wrong().into());
    }
    let size = |letter: &char| {
        let of = |letters: &[char], dims: &[usize]| letters.iter().position(|known| known == letter).map(|at| dims[at]);
        of(&left, x.dims()).or_else(|| of(&right, kernel.dims())).unwrap_or(1)
    };
    // Letters of both operands are summed over, or, if the output has them, run side by side.
    let shared: Vec<char> = left.iter().copied().filter(|letter| right.contains(letter)).collect();
    let (side, summed): (Vec<char>, Vec<char>) = shared.into_iter().partition(|letter| output.contains(letter));
    let free = |own: &[char], other: &[char]| -> Vec<char> {
        let own = own.iter().copied();
        own.filter(|letter| !other.contains(letter) && output.contains(letter))
            .collect()
    };
    let (rows, columns) = (free(&left, &right), free(&right, &left));
    let x = lonely_summed(x, &left, &right, &output)?;
    let kernel = lonely_summed(kernel, &right, &left, &output)?;
    let count = |letters: &[char]| letters.iter().map(size).product::<usize>();
    let a = ordered(&x.0, &x.1, &[&side[..], &rows, &summed].concat())?;
    let b = ordered(&kernel.0, &kernel.1, &[&side[..], &summed, &columns].concat())?;
    let a = a.reshape((count(&side), count(&rows), count(&summed)))?;
    let b = b.reshape((count(&side), count(&summed), count(&columns)))?;
    let made = [side, rows, columns].concat();
    let y = a.matmul(&b)?.reshape(made.iter().map(size).collect::<Vec<usize>>())?;
    Ok(ordered(&y, &made, &output)?)
}

/// An operand without the letters that nobody else has.
fn lonely_summed(x: &Tensor, own: &[char], other: &[char], output: &[char]) -> Result<(Tensor, Vec<char>)> {
    let (mut x, mut letters) = (x.clone(), own.to_vec());
    while let Some(at) = letters
        .iter()
        .position(|letter| !other.contains(letter) && !output.contains(letter))
    {
        x = x.sum(at)?;
        letters.remove(at);
    }
    Ok((x, letters))
}

/// The axes in another order.
fn ordered(x: &Tensor, from: &[char], to: &[char]) -> candle_core::Result<Tensor> {
    let places: Option<Vec<usize>> = to
        .iter()
        .map(|letter| from.iter().position(|known| known == letter))
        .collect();
    match places {
        Some(places) if places.len() == from.len() => x.permute(places)?.contiguous(),
        _ => Err(candle_core::Error::Msg(format!(
            "the axes {from:?} cannot become {to:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn counted(dims: &[usize]) -> Tensor {
        let count = dims.iter().product::<usize>();
        let numbers: Vec<f64> = (0..count).map(|i| ((i * 7 % 11) as f64) - 4.0).collect();
        Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()
    }

    /// Against the sum over all letters, written as it is defined.
    #[track_caller]
    fn check(equation: &str, x: &[usize], kernel: &[usize], unnamed: usize) {
        let (a, b) = (counted(x), counted(kernel));
        let found = einsum(equation, &a, &b).unwrap();
        let (operands, output) = equation.split_once("->").unwrap();
        let (left, right) = operands.split_once(',').unwrap();
        let (left, right, output) = (letters(left, unnamed), letters(right, 0), letters(output, unnamed));
        let mut all: Vec<(char, usize)> = Vec::new();
        for (letter, size) in left.iter().zip(x).chain(right.iter().zip(kernel)) {
            if !all.iter().any(|known| known.0 == *letter) {
                all.push((*letter, *size));
            }
        }
        let sizes: Vec<usize> = output
            .iter()
            .map(|o| all.iter().find(|known| known.0 == *o).unwrap().1)
            .collect();
        let mut expected = vec![0.0; sizes.iter().product()];
        let (a, b): (Vec<f64>, Vec<f64>) = (
            a.flatten_all().unwrap().to_vec1().unwrap(),
            b.flatten_all().unwrap().to_vec1().unwrap(),
        );
        for mut index in 0..all.iter().map(|known| known.1).product() {
            let mut value = Vec::new();
            for (letter, size) in &all {
                value.push((*letter, index % size));
                index /= size;
            }
            let at = |letters: &[char], dims: &[usize]| {
                letters.iter().zip(dims).fold(0, |flat, (letter, size)| {
                    flat * size + value.iter().find(|known| known.0 == *letter).unwrap().1
                })
            };
            expected[at(&output, &sizes)] += a[at(&left, x)] * b[at(&right, kernel)];
        }
        assert_eq!(found.dims(), sizes, "{equation}");
        assert_eq!(
            found.flatten_all().unwrap().to_vec1::<f64>().unwrap(),
            expected,
            "{equation}"
        );
    }

    #[test]
    fn equations_are_sums_over_their_letters() {
        check("ab,bc->ac", &[3, 4], &[4, 2], 0);
        check("abc,cde->abde", &[2, 3, 4], &[4, 2, 3], 0);
        check("abcd,bce->abe", &[2, 3, 4, 5], &[3, 4, 2], 0);
        check("abc,bcd->abd", &[2, 3, 4], &[3, 4, 2], 0);
        check("abc,cd->dab", &[2, 3, 4], &[4, 5], 0);
        check("...x,xy->...y", &[2, 3, 4], &[4, 5], 2);
        check("ab...,bc->ac...", &[2, 3, 4, 2], &[3, 5], 2);
    }
}

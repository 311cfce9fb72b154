//! A part of a graph that is one operation: its inside is computed again in the backward pass (Chen et al., 2016).
//!
//! candle walks a graph by recursion, so that a chain of some ten thousand operations overflows the stack; a long sequence
//! cut into such parts is a short chain, and its inside is not kept in memory.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, Var};

/// A function of several tensors with several results.
type Function = Arc<dyn Fn(&[Tensor]) -> Result<Vec<Tensor>> + Send + Sync>;

struct Recomputed {
    function: Function,
    inputs: Vec<Shape>,
    /// The results of the forward pass, one behind the other.
    result: Tensor,
}

/// `function(inputs)` as one operation on a CPU. All tensors are floating point numbers of one format, and the function
/// reads no variables but its inputs.
pub(crate) fn recomputed(
    inputs: &[Tensor],
    function: impl Fn(&[Tensor]) -> Result<Vec<Tensor>> + Send + Sync + 'static,
) -> Result<Vec<Tensor>> {
    let detached: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
    let results = function(&detached)?;
    let shapes: Vec<Shape> = results.iter().map(|result| result.shape().clone()).collect();
    let operation = Recomputed {
        function: Arc::new(function),
        inputs: inputs.iter().map(|input| input.shape().clone()).collect(),
        result: joined(&results)?,
    };
    divided(&joined(inputs)?.apply_op1(operation)?, &shapes)
}

/// All numbers in one row.
fn joined(tensors: &[Tensor]) -> Result<Tensor> {
    let flat: Result<Vec<Tensor>> = tensors.iter().map(Tensor::flatten_all).collect();
    Tensor::cat(&flat?, 0)?.contiguous()
}

fn divided(row: &Tensor, shapes: &[Shape]) -> Result<Vec<Tensor>> {
    let mut start = 0;
    shapes
        .iter()
        .map(|shape| {
            let part = row.narrow(0, start, shape.elem_count())?.reshape(shape)?;
            start += shape.elem_count();
            Ok(part)
        })
        .collect()
}

impl CustomOp1 for Recomputed {
    fn name(&self) -> &'static str {
        "recomputed"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let (storage, _) = self.result.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => Ok((storage.clone(), self.result.shape().clone())),
            _ => Err(candle_core::Error::Msg(
                "a part is recomputed on a CPU only".to_string(),
            )),
        }
    }

    fn bwd(&self, inputs: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let inputs = divided(&inputs.detach(), &self.inputs)?;
        let inputs: Result<Vec<Var>> = inputs
            .iter()
            .map(|input| Var::from_tensor(&input.contiguous()?))
            .collect();
        let inputs = inputs?;
        let tensors: Vec<Tensor> = inputs.iter().map(|input| input.as_tensor().clone()).collect();
        let results = (self.function)(&tensors)?;
        let loss = (joined(&results)? * gradient.detach())?.sum_all()?;
        let gradients = loss.backward()?;
        let of_inputs: Result<Vec<Tensor>> = inputs
            .iter()
            .map(|input| match gradients.get(input) {
                Some(gradient) => Ok(gradient.detach()),
                None => input.zeros_like(),
            })
            .collect();
        Ok(Some(joined(&of_inputs?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn values_and_gradients_are_those_of_the_function() {
        let f = |inputs: &[Tensor]| {
            let product = inputs[0].matmul(&inputs[1])?;
            Ok(vec![product.tanh()?, (&product * 2.0)?])
        };
        let a = Var::from_tensor(&Tensor::new(&[[0.5f64, -1.0], [0.25, 2.0]], &Device::Cpu).unwrap()).unwrap();
        let b = Var::from_tensor(&Tensor::new(&[[1.5f64], [-0.5]], &Device::Cpu).unwrap()).unwrap();
        let unused = Var::zeros(3, DType::F64, &Device::Cpu).unwrap();
        let inputs = [a.as_tensor().clone(), b.as_tensor().clone(), unused.as_tensor().clone()];
        let loss = |outputs: Vec<Tensor>| (&outputs[0] * &outputs[1]).unwrap().sqr().unwrap().sum_all().unwrap();
        let (plain, part) = (loss(f(&inputs).unwrap()), loss(recomputed(&inputs, f).unwrap()));
        assert_eq!(plain.to_scalar::<f64>().unwrap(), part.to_scalar::<f64>().unwrap());
        let (plain, part) = (plain.backward().unwrap(), part.backward().unwrap());
        for var in [&a, &b] {
            let expected: Vec<f64> = plain.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let found: Vec<f64> = part.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            assert_eq!(found, expected);
        }
        assert_eq!(part.get(&unused).unwrap().to_vec1::<f64>().unwrap(), [0.0; 3]);
    }
}

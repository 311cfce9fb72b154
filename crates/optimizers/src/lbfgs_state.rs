//! The state of L-BFGS: named, saved, loaded.

use std::collections::{BTreeMap, VecDeque};

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::lbfgs::{Lbfgs, Memory};

/// Numbers of the whole, in the order in which they are written.
const COUNTERS: [&str; 2] = ["iterations", "evaluations"];
const NUMBERS: [&str; 2] = ["length", "scale"];
/// What is kept for each parameter: two tensors of its shape, and two of one more axis, along which the pairs lie.
const TENSORS: [&str; 4] = ["direction", "gradient", "differences", "steps"];

impl Lbfgs {
    /// All state as named tensors: four numbers, then `path/direction`, `path/gradient`, `path/differences` and `path/steps`, in
    /// double precision.
    ///
    /// # Errors
    /// [`Error::Candle`] if a copy fails.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let memory = &self.memory;
        let mut state = Vec::new();
        for (name, value) in COUNTERS.iter().zip([memory.iterations, memory.evaluations]) {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            state.push(((*name).to_owned(), Tensor::new(value, &Device::Cpu)?));
        }
        for (name, value) in NUMBERS.iter().zip([memory.length, memory.scale]) {
            state.push(((*name).to_owned(), Tensor::new(value, &Device::Cpu)?));
        }
        let mut at = 0;
        for (path, shape) in memory.parameters.iter().filter(|_| memory.iterations > 0) {
            let range = at..at + shape.iter().product::<usize>();
            at = range.end;
            let longer = [&[memory.pairs.len()], shape.as_slice()].concat();
            let differences = memory
                .pairs
                .iter()
                .flat_map(|(y, _)| &y[range.clone()])
                .copied()
                .collect();
            let steps = memory
                .pairs
                .iter()
                .flat_map(|(_, s)| &s[range.clone()])
                .copied()
                .collect();
            let tensors = [
                (memory.direction[range.clone()].to_vec(), shape),
                (memory.gradient[range].to_vec(), shape),
                (differences, &longer),
                (steps, &longer),
            ];
            for (name, (values, shape)) in TENSORS.iter().zip(tensors) {
                let tensor = Tensor::from_vec(values, shape.as_slice(), &Device::Cpu)?;
                state.push((format!("{path}/{name}"), tensor));
            }
        }
        Ok(state)
    }

    /// Puts a saved state in the place of the present one; the next step is then, to the bit, the one that would have followed the
    /// saving. The order of the parameters is that of the entries.
    ///
    /// # Errors
    /// [`Error::StateMissing`], [`Error::StateUnexpected`] or [`Error::StateInvalid`]; nothing is changed then.
    pub fn load_state<S: AsRef<str>>(&mut self, state: &[(S, Tensor)]) -> Result<()> {
        let mut entries: BTreeMap<&str, &Tensor> = BTreeMap::new();
        for (key, tensor) in state {
            if entries.insert(key.as_ref(), tensor).is_some() {
                return Err(invalid(key.as_ref(), "given once", "given twice"));
            }
        }
        let mut take = |key: &str| {
            entries
                .remove(key)
                .ok_or_else(|| Error::StateMissing { key: key.to_owned() })
        };
        let mut counters = [0; 2];
        for (counter, name) in counters.iter_mut().zip(COUNTERS) {
            let tensor = take(name)?;
            let value = match (tensor.dtype(), tensor.dims()) {
                (DType::I64, []) => u64::try_from(tensor.to_scalar::<i64>()?).ok(),
                _ => None,
            };
            *counter = value.ok_or_else(|| invalid(name, "an i64 scalar that is 0 or larger", "something else"))?;
        }
        let mut numbers = [0.0; 2];
        for (number, name) in numbers.iter_mut().zip(NUMBERS) {
            let tensor = take(name)?;
            if tensor.dtype() != DType::F64 || !tensor.dims().is_empty() {
                return Err(invalid(
                    name,
                    "an f64 scalar",
                    &format!("{:?} of {}", tensor.dims(), tensor.dtype().as_str()),
                ));
            }
            *number = tensor.to_scalar::<f64>()?;
        }
        let mut memory = Memory {
            iterations: counters[0],
            evaluations: counters[1],
            length: numbers[0],
            scale: numbers[1],
            ..Memory::default()
        };
        let directions = state
            .iter()
            .filter_map(|(key, tensor)| Some((key.as_ref().strip_suffix("/direction")?, tensor)));
        for (path, tensor) in directions {
            let shape = tensor.dims().to_vec();
            let mut read = |name: &str, shape: &[usize]| {
                let key = format!("{path}/{name}");
                let tensor = take(&key)?;
                if tensor.dtype() != DType::F64 || tensor.dims() != shape {
                    let found = format!("{:?} of {}", tensor.dims(), tensor.dtype().as_str());
                    return Err(invalid(&key, &format!("{shape:?} of f64"), &found));
                }
                Ok(tensor.flatten_all()?.to_vec1::<f64>()?)
            };
            memory.direction.extend(read(TENSORS[0], &shape)?);
            memory.gradient.extend(read(TENSORS[1], &shape)?);
            let pairs = state
                .iter()
                .find(|(key, _)| key.as_ref() == format!("{path}/{}", TENSORS[2]));
            let count = pairs
                .and_then(|(_, tensor)| tensor.dims().first().copied())
                .unwrap_or(0);
            if memory.parameters.is_empty() {
                memory.pairs = VecDeque::from(vec![(Vec::new(), Vec::new()); count]);
            }
            let count = memory.pairs.len();
            let longer = [&[count], shape.as_slice()].concat();
            let (differences, steps) = (read(TENSORS[2], &longer)?, read(TENSORS[3], &longer)?);
            let length: usize = shape.iter().product();
            for (pair, (y, s)) in memory.pairs.iter_mut().enumerate() {
                y.extend_from_slice(&differences[pair * length..][..length]);
                s.extend_from_slice(&steps[pair * length..][..length]);
            }
            memory.parameters.push((path.to_owned(), shape));
        }
        if let Some(key) = entries.keys().next() {
            return Err(Error::StateUnexpected {
                key: (*key).to_owned(),
                class: "torch.optim.LBFGS".to_owned(),
                suggestion: None,
            });
        }
        self.memory = memory;
        Ok(())
    }
}

fn invalid(key: &str, expected: &str, found: &str) -> Error {
    Error::StateInvalid {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

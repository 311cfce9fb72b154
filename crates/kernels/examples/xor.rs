//! The exclusive or of two bits, learned with two layers, a loss and a tape: `cargo run -p kernels --example xor`.

use std::io::Write as _;

use candle_core::{Device, Tensor, Var};
use kernels::random::Stream;
use kernels::{Activation, linear, sparse_categorical_crossentropy, tape};

const HIDDEN: usize = 8;
const STEPS: usize = 400;
const LEARNING_RATE: f64 = 0.5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::Cpu;
    let x = Tensor::new(&[[0f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], &device)?;
    let labels = Tensor::new(&[0u32, 1, 1, 0], &device)?;

    let drawn = |name: &str, rows: usize, columns: usize| {
        let mut values = vec![0.0; rows * columns];
        Stream::new(6020)
            .layer(name)
            .draws()
            .fill_uniform(&mut values, -1.0, 1.0);
        Var::from_vec(values, (rows, columns), &device)
    };
    let (a, b) = (drawn("hidden", 2, HIDDEN)?, drawn("logits", HIDDEN, 2)?);
    let bias = Var::zeros(HIDDEN, candle_core::DType::F32, &device)?;

    let mut out = std::io::stdout().lock();
    for step in 0..=STEPS {
        let (pass, tape) = tape::record(|| {
            let v = linear(&x, &a, Some(&bias), Activation::Tanh)?;
            let z = linear(&v, &b, None, Activation::Linear)?;
            let loss = sparse_categorical_crossentropy(&z, &labels)?;
            Ok::<_, kernels::Error>((z, loss))
        });
        let (z, loss) = pass?;
        let gradients = tape.backward([(&loss, loss.ones_like()?)])?;
        for weight in [&a, &b, &bias] {
            let gradient = gradients.get(weight).ok_or("a weight without a gradient")?;
            weight.set(&(weight.as_tensor() - (gradient * LEARNING_RATE)?)?)?;
        }
        if step % 100 == 0 {
            let answers = z.argmax(1)?.to_vec1::<u32>()?;
            writeln!(
                out,
                "step {step:3}: loss {:.4}, answers {answers:?}",
                loss.to_scalar::<f32>()?
            )?;
        }
    }
    Ok(())
}

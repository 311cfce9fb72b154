//! Gradients that are made piece by piece give the same bits as gradients that are there.

use std::cell::Cell;

use crate::problem::{all_values, configurations, takes, tensor, train, variables};
use candle_core::{DType, Tensor};
use optimizers::{Error, Optimizer, Parameter, Pieces, Prepare, Unmade};

/// A gradient cut into pieces, made on two threads, the last ones first.
struct Cut {
    gradient: Tensor,
    piece: usize,
    finite: bool,
    /// How often it was made in pieces.
    made: Cell<usize>,
}

impl Pieces for Cut {
    fn piece(&self) -> usize {
        self.piece
    }

    fn is_surely_finite(&self) -> candle_core::Result<bool> {
        Ok(self.finite)
    }

    fn whole(&self) -> candle_core::Result<Tensor> {
        Ok(self.gradient.clone())
    }

    fn make(&self, prepare: &Prepare<'_>, take: &(dyn Fn(usize, &[f32]) + Sync)) -> candle_core::Result<()> {
        self.made.set(self.made.get() + 1);
        let numbers = self.gradient.flatten_all()?.to_vec1::<f32>()?;
        let pieces: Vec<(usize, &[f32])> = numbers.chunks(self.piece).enumerate().collect();
        let (first, second) = pieces.split_at(pieces.len() / 2);
        std::thread::scope(|scope| {
            for half in [first, second] {
                scope.spawn(move || {
                    for (index, piece) in half.iter().rev() {
                        prepare(*index, &|numbers| assert_eq!(numbers.len(), piece.len()));
                        take(*index, piece);
                    }
                });
            }
        });
        Ok(())
    }
}

/// As [`train`], with some gradients in pieces; returns how many updates were made in pieces.
fn train_in_pieces(
    optimizer: &mut Optimizer,
    variables: &[(&str, candle_core::Var)],
    finite: bool,
    steps: u64,
) -> optimizers::Result<usize> {
    let mut made = 0;
    for step in 0..steps {
        let gradients: Vec<Cut> = variables
            .iter()
            .enumerate()
            .map(|(index, (_, var))| Cut {
                gradient: tensor(1000 + step * 16 + index as u64, var.dims(), var.dtype()),
                piece: 3 + index,
                finite,
                made: Cell::new(0),
            })
            .collect();
        let (mut whole, mut unmade) = (Vec::new(), Vec::new());
        for (index, ((path, var), gradient)) in variables.iter().zip(&gradients).enumerate() {
            if !takes(optimizer, var.rank()) {
                continue;
            }
            if index % 2 == 0 {
                unmade.push(Unmade { path, var, gradient });
            } else {
                let gradient = &gradient.gradient;
                whole.push(Parameter { path, var, gradient });
            }
        }
        optimizer.apply_making(&whole, &unmade)?;
        made += gradients.iter().map(|gradient| gradient.made.get()).sum::<usize>();
    }
    Ok(made)
}

#[test]
fn pieces_give_the_same_bits() {
    let mut served = 0;
    for (class, config) in configurations() {
        for finite in [true, false] {
            let (expected, found) = (variables(DType::F32), variables(DType::F32));
            let mut optimizer = Optimizer::from_config(class, &config).unwrap();
            train(&mut optimizer, &expected, 0, 7).unwrap();
            let mut making = Optimizer::from_config(class, &config).unwrap();
            let made = train_in_pieces(&mut making, &found, finite, 7).unwrap();
            assert_eq!(all_values(&found), all_values(&expected), "{class} {config}");
            assert_eq!(making.iterations(), optimizer.iterations());
            // Two of the four parameters, if at all.
            assert!(made == 0 || finite && made == 14, "{class} {config}: {made}");
            served += usize::from(made > 0);
        }
    }
    assert!(served >= 10, "{served} configurations were served");
}

#[test]
fn what_is_wrong_is_found_before_anything_changes() {
    let all = variables(DType::F32);
    let before = all_values(&all);
    let mut adam = Optimizer::by_name("adam").unwrap();
    let cut = |gradient: Tensor, finite| Cut {
        gradient,
        piece: 4,
        finite,
        made: Cell::new(0),
    };
    let (first, second) = (&all[0], &all[1]);
    let fine = cut(tensor(5, first.1.dims(), DType::F32), true);
    let infinite = cut((tensor(6, second.1.dims(), DType::F32) / 0.0).unwrap(), false);
    let of = [
        Unmade {
            path: first.0,
            var: &first.1,
            gradient: &fine,
        },
        Unmade {
            path: second.0,
            var: &second.1,
            gradient: &infinite,
        },
    ];
    let error = adam.apply_making(&[], &of).unwrap_err();
    assert!(
        matches!(error, Error::NonFiniteGradient { ref path } if path == second.0),
        "{error}"
    );
    let error = adam.apply_making(&[], &[of[0], of[0]]).unwrap_err();
    assert!(matches!(error, Error::DuplicatePath { .. }), "{error}");
    assert_eq!(all_values(&all), before);
    assert_eq!(adam.iterations(), 0);
}

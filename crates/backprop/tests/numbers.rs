//! Five ways to the same numbers, the two trainings, and what bad input is told.

use backprop::autograd::side_by_side;
use backprop::by_hand::{Network, Samples, TrainOptions, gradient_by_probabilities};
use backprop::check::five_ways;
use backprop::gradient_check::{Verdict, gradient_check};
use backprop::graph_svg::graph_svg;
use backprop::tape::Tape;
use backprop::{Error, Matrix};
use candle_core::{DType, Device, Tensor, Var};
use proptest::prelude::*;

/// Numbers of [0, 1) that look random enough for a start: the golden section's multiples.
fn numbers() -> impl FnMut() -> f64 {
    let mut n = 0.0_f64;
    move || {
        n += 1.0;
        (n * 0.618_033_988_749_894_9 + (n * n * 0.317).sin()).rem_euclid(1.0)
    }
}

fn network(inputs: usize, hidden: usize, classes: usize) -> Network {
    Network::glorot(inputs, hidden, classes, numbers()).unwrap()
}

/// Two classes of noisy points in `inputs` dimensions.
fn two_classes(count: usize, inputs: usize) -> (Vec<f64>, Vec<usize>) {
    let mut random = numbers();
    let labels: Vec<usize> = (0..count).map(|n| n % 2).collect();
    let x = labels.iter().flat_map(|&label| {
        let mut random = || random() - 0.5 + if label == 0 { -0.3 } else { 0.3 };
        (0..inputs).map(|_| random()).collect::<Vec<_>>()
    });
    (x.collect(), labels)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn formula_tape_duals_differences_and_candle_agree(
        (inputs, hidden, classes) in (1usize..7, 1usize..7, 1usize..7),
        weights in prop::collection::vec(-1.5f64..1.5, 72),
        x in prop::collection::vec(-2.0f64..2.0, 6),
        soft in prop::collection::vec(0.0f64..1.0, 6),
        one_hot in any::<bool>(),
    ) {
        let a = Matrix::new(hidden, inputs, weights[..hidden * inputs].to_vec()).unwrap();
        let b = Matrix::new(classes, hidden, weights[36..36 + classes * hidden].to_vec()).unwrap();
        let mut y = soft[..classes].to_vec();
        if one_hot {
            y.fill(0.0);
            y[weights.len() % classes] = 1.0;
        }
        let table = five_ways(&a, &b, &x[..inputs], &y).unwrap();
        for row in &table.rows {
            prop_assert!(row.agrees, "{}: {:e} {:e}", row.method, row.worst_a, row.worst_b);
        }
        prop_assert!(table.agrees);
    }
}

#[test]
fn both_trainings_have_the_same_losses() {
    let (x, labels) = two_classes(40, 16);
    let samples = Samples {
        inputs: &x,
        labels: &labels,
    };
    let both = side_by_side(&network(16, 5, 2), samples, 100, 0.5, |step| {
        (0..8).map(|n| (step * 8 + n) % 40).collect()
    })
    .unwrap();
    assert_eq!(both.losses_by_hand.len(), 100);
    assert!(both.worst_loss_difference < 1e-10, "{:e}", both.worst_loss_difference);
    assert!(
        both.worst_gradient_difference < 1e-10,
        "{:e}",
        both.worst_gradient_difference
    );
    assert!(both.losses_by_hand[99] < both.losses_by_hand[0] / 2.0);
}

#[test]
fn training_by_hand_learns_and_can_be_repeated() {
    let (x, labels) = two_classes(40, 8);
    let samples = Samples {
        inputs: &x,
        labels: &labels,
    };
    let options = TrainOptions {
        learning_rate: 0.5,
        epochs: 30,
        batch_size: 7,
    };
    let run = || {
        let mut network = network(8, 3, 2);
        let history = network
            .train(samples, options, |epoch| {
                (0..40).map(|n| (n * 3 + epoch) % 40).collect()
            })
            .unwrap();
        (network, history)
    };
    let (trained, history) = run();
    assert_eq!((trained.clone(), history.clone()), run());
    assert_eq!(history.len(), 30);
    assert!(
        history[29].accuracy > 0.9 && history[29].loss < history[0].loss,
        "{:?}",
        history[29]
    );
    let after = trained.evaluate(samples).unwrap();
    assert!(after.accuracy > 0.9 && after.loss < history[29].loss * 1.5);
}

#[test]
fn huge_logits_stay_finite() {
    // Logits of ±1e4: p is exactly 1 and 0, log p of the other class −2e4.
    let b = Matrix::column(&[1e4, -1e4]);
    let network = Network::new(Matrix::column(&[20.0]), b.clone()).unwrap();
    let forward = network.forward(&[1.0]).unwrap();
    assert_eq!(forward.p, [1.0, 0.0]);
    assert_eq!(network.loss(&[1.0], &[0.0, 1.0]).unwrap(), 1e4);
    assert_eq!(network.loss(&[1.0], &[1.0, 0.0]).unwrap(), 0.0);
    let gradients = network.gradients(&[1.0], &[0.0, 1.0]).unwrap();
    assert_eq!(gradients.z, [0.5, -0.5]);
    assert!(gradients.a.data().iter().all(|g| g.is_finite()));
    let table = five_ways(network.a(), &b, &[1.0], &[0.0, 1.0]).unwrap();
    assert!(table.agrees, "{table:#?}");
    let infinite = gradient_by_probabilities(&forward.p, &[0.0, 1.0]).unwrap_err();
    assert!(infinite.to_string().contains("p_2 is 0"), "{infinite}");
    assert_eq!(
        gradient_by_probabilities(&[1.0, 0.0], &[1.0, 0.0]).unwrap(),
        [-0.5, 0.0]
    );
}

#[test]
fn errors_name_the_node() {
    #[track_caller]
    fn check<T: std::fmt::Debug>(result: Result<T, Error>, words: &[&str]) {
        let message = result.unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    let net = network(3, 2, 2);
    check(
        Network::new(Matrix::column(&[1.0, 2.0]), Matrix::column(&[1.0])),
        &["z = B v", "2 columns", "1x1"],
    );
    check(Network::new(Matrix::column(&[]), Matrix::column(&[])), &["B v"]);
    check(
        Network::new(Matrix::column(&[f64::NAN]), Matrix::column(&[1.0])),
        &["A", "NaN"],
    );
    check(net.forward(&[1.0]), &["tanh(A x)", "3 inputs", "1 inputs"]);
    check(net.forward(&[1.0, f64::INFINITY, 0.0]), &["x", "number 2", "inf"]);
    check(net.loss(&[1.0; 3], &[1.0]), &["L", "2 targets"]);
    check(
        net.evaluate(Samples {
            inputs: &[0.0; 5],
            labels: &[0],
        }),
        &["1 samples of 3", "5 numbers"],
    );
    check(
        net.evaluate(Samples {
            inputs: &[0.0; 3],
            labels: &[2],
        }),
        &["label 2", "0 to 1"],
    );
    check(
        net.batch_gradients(
            Samples {
                inputs: &[0.0; 3],
                labels: &[0],
            },
            &[1],
        ),
        &["sample 1"],
    );
    check(
        net.batch_gradients(
            Samples {
                inputs: &[],
                labels: &[],
            },
            &[],
        ),
        &["empty"],
    );
    let options = TrainOptions {
        learning_rate: 0.1,
        epochs: 1,
        batch_size: 1,
    };
    let samples = Samples {
        inputs: &[0.0; 3],
        labels: &[0],
    };
    check(
        net.clone().train(
            samples,
            TrainOptions {
                learning_rate: f64::NAN,
                ..options
            },
            |_| vec![0],
        ),
        &["learning_rate"],
    );
    check(
        net.clone().train(
            samples,
            TrainOptions {
                batch_size: 0,
                ..options
            },
            |_| vec![0],
        ),
        &["batch_size"],
    );
    check(Network::glorot(usize::MAX, 2, 2, || 0.5), &["weights", "2^28"]);
    check(five_ways(net.a(), net.b(), &[1.0], &[1.0, 0.0]), &["A x"]);

    let mut tape = Tape::new();
    let pair = tape.leaf(Matrix::column(&[1.0, 2.0]));
    check(tape.backward(pair), &["single number", "2x1"]);
    check(
        tape.matmul(pair, pair),
        &["node 1", "matmul of nodes 0 and 0", "1 rows", "2x1"],
    );
    let triple = tape.constant(Matrix::column(&[1.0; 3]));
    check(
        tape.add(pair, triple),
        &["node 2", "add of nodes 0 and 1", "2x1", "3x1"],
    );
}

#[test]
fn the_picture_names_every_quantity_and_stays_small_for_1024_inputs() {
    let svg = graph_svg(&network(1024, 2, 2), &vec![0.5; 1024], &[1.0, 0.0]).unwrap();
    for word in [
        "x = (",
        "v = (",
        "z = (",
        "p = (",
        "∂L/∂x = (",
        "∂L/∂p = (",
        "2x1024 weights",
        "+1022",
        "<title",
        "<desc",
    ] {
        assert!(svg.contains(word), "{word}");
    }
    assert!(svg.len() < 10_000);
    assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
}

fn var(numbers: &[f64], shape: &[usize], dtype: DType) -> Var {
    let tensor = Tensor::from_slice(numbers, shape, &Device::Cpu).unwrap();
    Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap()
}

#[test]
fn gradient_check_passes_what_is_right_in_both_precisions() {
    for (dtype, bound) in [(DType::F64, 1e-9), (DType::F32, 1e-3)] {
        let w = var(&[0.3, -0.8, 1.2, 0.5], &[2, 2], dtype);
        let unused = var(&[1.0], &[1], dtype);
        let x = var(&[1.0, -0.5, 0.25, 2.0], &[2, 2], dtype);
        let loss = || x.as_tensor().matmul(w.as_tensor())?.tanh()?.sqr()?.mean_all();
        let check = gradient_check(loss, &[("w", &w), ("x", &x), ("unused", &unused)]).unwrap();
        assert!(check.passed, "{check:#?}");
        assert!(check.weights[0].worst_relative_error < bound, "{check:#?}");
        assert_eq!(check.weights[2].verdict, Verdict::Unused);
        assert_eq!(check.weights[0].checked, 4);
    }
}

/// candle's max-pooling returns a quarter of the gradient (candle-core 0.11, `Op::MaxPool2D`). When this test fails,
/// candle was repaired.
#[test]
fn gradient_check_catches_candles_max_pooling() {
    let x = var(
        &[
            0.1, 0.9, 0.4, 0.2, 0.8, 0.3, 0.7, 0.5, 0.6, 1.0, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65,
        ],
        &[1, 1, 4, 4],
        DType::F64,
    );
    let check = gradient_check(|| x.as_tensor().max_pool2d(2)?.sqr()?.sum_all(), &[("image", &x)]).unwrap();
    assert!(!check.passed);
    let image = &check.weights[0];
    assert_eq!(image.verdict, Verdict::Wrong);
    assert!((image.difference / image.gradient - 4.0).abs() < 1e-6, "{image:?}");
}

#[test]
fn gradient_check_knows_kinks_lost_gradients_and_bad_losses() {
    // ReLU at exactly 0 is a kink; the other entries are smooth.
    let w = var(&[0.0, 1.0, -1.0], &[3], DType::F64);
    let check = gradient_check(|| w.as_tensor().relu()?.sum_all(), &[("w", &w)]).unwrap();
    assert_eq!(
        (check.weights[0].kinks, check.weights[0].verdict),
        (1, Verdict::Agrees),
        "{check:?}"
    );
    // A detached path: the loss moves, backward() says nothing.
    let check = gradient_check(|| w.as_tensor().detach().sqr()?.sum_all(), &[("w", &w)]).unwrap();
    assert_eq!(check.weights[0].verdict, Verdict::Missing);
    assert!(!check.passed);
    // The variable has its old value again.
    assert_eq!(w.as_tensor().to_vec1::<f64>().unwrap(), [0.0, 1.0, -1.0]);
    let many = gradient_check(|| w.as_tensor().sqr(), &[("w", &w)]).unwrap_err();
    assert!(many.to_string().contains("one number"), "{many}");
    let infinite = gradient_check(|| w.as_tensor().log()?.sum_all(), &[("w", &w)]).unwrap_err();
    assert!(infinite.to_string().contains("loss"), "{infinite}");
}

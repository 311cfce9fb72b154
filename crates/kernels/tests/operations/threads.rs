//! The same bits whatever the number of threads.

use candle_core::{Device, Tensor, Var};
use kernels::random::Stream;
use kernels::{
    Activation, Conv2dOptions, Padding, Pool2dOptions, avg_pool2d, batch_norm, conv2d, dropout, linear, max_pool2d,
    sparse_categorical_crossentropy,
};

fn var(name: &str, dims: &[usize]) -> Var {
    let mut numbers = vec![0f32; dims.iter().product()];
    Stream::new(5).layer(name).draws().fill_normal(&mut numbers, 0.0, 0.3);
    Var::from_tensor(&Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()).unwrap()
}

/// One step through every operation that runs in parallel: the bits of the loss and of all gradients.
fn step() -> Vec<Vec<u32>> {
    let x = var("x", &[70, 17, 15, 3]);
    let (kernel1, bias1) = (var("k1", &[3, 3, 3, 24]), var("b1", &[24]));
    let (kernel2, bias2) = (var("k2", &[3, 3, 12, 32]), var("b2", &[32]));
    let (gamma, beta) = (var("gamma", &[32]), var("beta", &[32]));
    let (kernel3, bias3) = (var("k3", &[4 * 3 * 32, 211]), var("b3", &[211]));
    let (kernel4, bias4) = (var("k4", &[211, 10]), var("b4", &[10]));
    let labels = Tensor::from_vec((0..70u32).map(|i| i % 10).collect(), 70, &Device::Cpu).unwrap();

    let same = Conv2dOptions {
        padding: Padding::Same,
        activation: Activation::Relu,
        ..Default::default()
    };
    let y = conv2d(&x, &kernel1, Some(&bias1), &same).unwrap();
    let y = max_pool2d(&y, &Pool2dOptions::default()).unwrap();
    let grouped = Conv2dOptions {
        groups: 2,
        activation: Activation::Elu,
        ..same
    };
    let y = conv2d(&y, &kernel2, Some(&bias2), &grouped).unwrap();
    let ones = beta.as_tensor().ones_like().unwrap();
    let y = batch_norm(&y, Some(&gamma), Some(&beta), &ones, &ones, 0.99, 1e-3, true)
        .unwrap()
        .output;
    let y = avg_pool2d(&y, &Pool2dOptions::default())
        .unwrap()
        .flatten_from(1)
        .unwrap();
    let y = linear(&y, &kernel3, Some(&bias3), Activation::Gelu).unwrap();
    let y = dropout(&y, 0.4, Stream::new(1)).unwrap();
    let y = linear(&y, &kernel4, Some(&bias4), Activation::Linear).unwrap();
    let loss = sparse_categorical_crossentropy(&y, &labels).unwrap();
    let store = loss.backward().unwrap();
    let bits = |t: &Tensor| -> Vec<u32> {
        t.flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
            .into_iter()
            .map(f32::to_bits)
            .collect()
    };
    let vars = [
        &x, &kernel1, &bias1, &kernel2, &bias2, &gamma, &beta, &kernel3, &bias3, &kernel4, &bias4,
    ];
    std::iter::once(bits(&loss))
        .chain(vars.iter().map(|var| bits(store.get(var).unwrap())))
        .collect()
}

#[test]
fn a_training_step_has_the_same_bits_with_1_2_and_3_threads() {
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(step)
    };
    let one = with(1);
    assert!(one.iter().flatten().all(|bits| f32::from_bits(*bits).is_finite()));
    for threads in [2, 3] {
        for (index, (a, b)) in one.iter().zip(with(threads)).enumerate() {
            assert!(*a == b, "result {index} differs between 1 and {threads} threads");
        }
    }
}

#[test]
fn threads_that_stay_awake_compute_the_same_and_end_also_after_a_panic() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let expected = pool.install(step);
    assert!(pool.install(|| kernels::threads::awake(step)) == expected);
    // From outside of a pool, too.
    assert!(kernels::threads::awake(step) == expected);
    let panics = || pool.install(|| kernels::threads::awake(|| panic!("on purpose")));
    let panicked: Result<(), _> = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics));
    assert!(panicked.is_err());
    assert_eq!(pool.install(|| rayon::join(|| 1, || 2)), (1, 2));
}

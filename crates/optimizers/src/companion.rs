//! Optimizers that are not made for every parameter, for a whole network.

use crate::algorithm::Check;
use crate::builder::OptimizerBuilder;
use crate::error::Result;
use crate::optimizer::Optimizer;

impl OptimizerBuilder {
    /// Checks everything and makes the optimizer for a network with these weights (paths and shapes).
    ///
    /// Where the algorithm is made for all of them this is [`build`](Self::build). PyTorch's Muon is made for matrices; the other
    /// weights then go to the optimizer that its documentation names for them, AdamW, with the same learning rate, schedule and
    /// options, and with its own weight decay unless another one was chosen: a [`multi`](Optimizer::multi) of the two, under the name
    /// of the first.
    ///
    /// ```
    /// use optimizers::Optimizer;
    ///
    /// let weights: [(&str, &[usize]); 2] = [("dense/kernel", &[3, 4]), ("dense/bias", &[4])];
    /// let muon = Optimizer::builder("torch_muon")?.learning_rate(0.02).build_for(weights)?;
    /// assert_eq!((muon.name(), muon.class()), ("torch_muon", "MultiOptimizer"));
    /// assert_eq!(muon.learning_rate_of("dense/bias"), 0.02);
    /// # Ok::<(), optimizers::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`build`](Self::build); [`Error::InvalidOption`](crate::Error::InvalidOption) for a `global_clipnorm` where the weights
    /// go to two optimizers, neither of which knows the norm of all gradients.
    pub fn build_for<'a>(self, weights: impl IntoIterator<Item = (&'a str, &'a [usize])>) -> Result<Optimizer> {
        let refused: Vec<String> = weights
            .into_iter()
            .filter(|(path, shape)| self.algorithm.accept(path, shape).is_err())
            .map(|(path, _)| regex::escape(path))
            .collect();
        let Some(companion) = self.algorithm.companion().filter(|_| !refused.is_empty()) else {
            return self.build();
        };
        self.clone().build()?;
        Check(self.algorithm.class()).that(
            self.options.global_clipnorm.is_none(),
            "global_clipnorm",
            "set",
            "left out where parameters go to two optimizers, each of which knows its own gradients only; use clipnorm",
        )?;
        let Self {
            algorithm,
            mut options,
            execution,
        } = self;
        let name = options.name.clone();
        // The loss is scaled once, around both.
        let (dynamic, factor) = (options.dynamic_loss_scale.take(), options.loss_scale_factor.take());
        let mut beside = options.clone();
        beside.name = companion.class().to_lowercase();
        if options.weight_decay == algorithm.default_weight_decay() {
            beside.weight_decay = companion.default_weight_decay();
        }
        let part = |algorithm, options| {
            Self {
                algorithm,
                options,
                execution,
            }
            .build()
        };
        let beside = part(companion, beside)?;
        let mut optimizer = Optimizer::multi([(refused.join("|"), beside)], part(algorithm, options)?)?;
        optimizer.options.name = name;
        optimizer.options.loss_scale_factor = factor;
        Ok(match dynamic {
            Some(dynamic) => optimizer.with_dynamic_loss_scale(dynamic),
            None => optimizer,
        })
    }
}

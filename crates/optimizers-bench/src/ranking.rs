//! Ranks over tasks, with how sure they are.

use kernels::random::Stream;
use serde::{Deserialize, Serialize};

use crate::statistics::{RESAMPLES, quantiles, resample};

/// The rank of an optimizer, 1 for the best, as a mean over tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rank {
    /// Name of the optimizer.
    pub optimizer: String,
    /// Mean over the tasks of its rank on each.
    pub mean: f64,
    /// Lower end of its 95 % bootstrap interval.
    pub lower: f64,
    /// Upper end of its 95 % bootstrap interval.
    pub upper: f64,
    /// Share of the bootstrap samples in which its mean rank was the best; shared where several were.
    pub first: f64,
}

/// Ranks of `scores[task][optimizer][seed]`, in the order of the optimizers; larger scores are better.
///
/// On each task optimizers are ranked by their mean over the seeds; equal ones share the mean of their places. The
/// interval comes from a bootstrap over tasks and seeds: tasks are drawn with replacement, and for each drawn task its seeds,
/// the same ones for all optimizers, because these share initial weights and batches. With one task only the seeds vary.
///
/// ```
/// let scores = vec![vec![vec![0.9, 0.91, 0.92], vec![0.8, 0.7, 0.9]]]; // one task, two optimizers, three seeds
/// let ranks = optimizers_bench::ranks(&["adam", "sgd"], &scores);
/// assert_eq!((ranks[0].mean, ranks[1].mean), (1.0, 2.0));
/// assert!(ranks[0].first == 1.0);
/// ```
pub fn ranks(optimizers: &[&str], scores: &[Vec<Vec<f64>>]) -> Vec<Rank> {
    let count = optimizers.len();
    let seeds_of = |task: &[Vec<f64>]| task.iter().map(Vec::len).min().unwrap_or(0);
    let places = |task: &[Vec<f64>], seeds: &[usize]| -> Vec<f64> {
        let means = task.iter().map(|runs| {
            let sum: f64 = seeds.iter().map(|&seed| runs[seed]).sum();
            sum / seeds.len().max(1) as f64
        });
        places(&means.collect::<Vec<_>>())
    };
    let mean = |of_tasks: &[Vec<f64>]| -> Vec<f64> {
        let of = |optimizer: usize| of_tasks.iter().map(|places| places[optimizer]).sum::<f64>();
        (0..count).map(|i| of(i) / of_tasks.len().max(1) as f64).collect()
    };
    let observed: Vec<Vec<f64>> = scores
        .iter()
        .map(|task| places(task, &(0..seeds_of(task)).collect::<Vec<_>>()))
        .collect();
    let observed = mean(&observed);
    let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(RESAMPLES); count];
    let mut first = vec![0.0; count];
    let mut draws = Stream::new(0).op("ranks").draws();
    for _ in 0..RESAMPLES {
        let sample: Vec<Vec<f64>> = resample(scores.len(), &mut draws)
            .into_iter()
            .map(|task| places(&scores[task], &resample(seeds_of(&scores[task]), &mut draws)))
            .collect();
        let means = mean(&sample);
        let best = means.iter().copied().fold(f64::INFINITY, f64::min);
        let winners = means.iter().filter(|mean| **mean == best).count() as f64;
        for (optimizer, mean) in means.into_iter().enumerate() {
            drawn[optimizer].push(mean);
            first[optimizer] += if mean == best { 1.0 / winners } else { 0.0 };
        }
    }
    (0..count)
        .map(|i| {
            let (lower, upper) = quantiles(&mut drawn[i], 0.95);
            Rank {
                optimizer: optimizers[i].to_string(),
                mean: observed[i],
                lower,
                upper,
                first: first[i] / RESAMPLES as f64,
            }
        })
        .collect()
}

/// The place of each score, 1 for the largest; equal scores share the mean of their places.
fn places(scores: &[f64]) -> Vec<f64> {
    let place = |score: f64| {
        let better = scores.iter().filter(|other| **other > score).count() as f64;
        let equal = scores.iter().filter(|other| **other == score).count() as f64;
        better + (equal + 1.0) / 2.0
    };
    scores.iter().map(|&score| place(score)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_share_their_places() {
        assert_eq!(places(&[0.5, 0.9, 0.5, 0.1]), [2.5, 1.0, 2.5, 4.0]);
        assert_eq!(places(&[1.0, 1.0, 1.0]), [2.0, 2.0, 2.0]);
        assert!(places(&[]).is_empty());
    }

    /// Scores without any difference but noise: ranks are about the middle, and every optimizer is first about as often.
    #[test]
    fn chance_is_seen_as_chance() {
        let mut draws = Stream::new(3).op("noise").draws();
        let scores: Vec<Vec<Vec<f64>>> = (0..4)
            .map(|_| (0..3).map(|_| (0..10).map(|_| draws.normal()).collect()).collect())
            .collect();
        for rank in ranks(&["a", "b", "c"], &scores) {
            assert!(rank.lower < 2.0 && rank.upper > 2.0, "{rank:?}");
            assert!(rank.lower <= rank.mean && rank.mean <= rank.upper, "{rank:?}");
        }
        let shares: f64 = ranks(&["a", "b", "c"], &scores).iter().map(|rank| rank.first).sum();
        assert!((shares - 1.0).abs() < 1e-9);
    }

    /// Over and above the noise of seeds stands that of tasks: who wins on one of two tasks is not sure to be first.
    #[test]
    fn tasks_are_drawn_as_well() {
        let wins = vec![vec![1.0; 5], vec![0.0; 5]];
        let loses = vec![vec![0.0; 5], vec![1.0; 5]];
        let divided = ranks(&["a", "b"], &[wins.clone(), loses]);
        assert_eq!((divided[0].mean, divided[0].lower, divided[0].upper), (1.5, 1.0, 2.0));
        assert!((divided[0].first - 0.5).abs() < 0.02, "{divided:?}");
        let sure = ranks(&["a", "b"], &[wins.clone(), wins]);
        assert_eq!((sure[0].lower, sure[0].upper, sure[0].first), (1.0, 1.0, 1.0));
    }
}

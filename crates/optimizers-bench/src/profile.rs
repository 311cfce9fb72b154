//! Performance profiles: on how many problems an optimizer is nearly as fast as the fastest.

use serde::{Deserialize, Serialize};

/// The largest ratio that is looked at, as in AlgoPerf: who needs more than four times as long as the fastest counts as late.
pub const PROFILE_LIMIT: f64 = 4.0;

/// The profile of one optimizer: `ρ(τ)`, the share of problems on which it needs at most `τ` times as many steps as the
/// fastest optimizer (Dolan and Moré 2002).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Name of the optimizer.
    pub optimizer: String,
    /// The jumps of `ρ`: `(τ, ρ(τ))` with ascending `τ` from 1, as far as [`PROFILE_LIMIT`].
    pub jumps: Vec<(f64, f64)>,
    /// The mean of `ρ` from 1 to [`PROFILE_LIMIT`]: AlgoPerf's benchmark score, from 0 to 1.
    pub score: f64,
}

impl Profile {
    /// `ρ(τ)`.
    pub fn share(&self, tau: f64) -> f64 {
        let reached = self.jumps.iter().take_while(|(at, _)| *at <= tau).last();
        reached.map_or(0.0, |(_, share)| *share)
    }
}

/// Profiles of `times[problem][optimizer]`; a time is `None` where the target was never reached, which counts as infinite.
///
/// A problem that nobody solved counts as late for all.
///
/// ```
/// let times = [vec![Some(10.0), Some(20.0)], vec![None, Some(5.0)]]; // two problems, two optimizers
/// let profiles = optimizers_bench::profiles(&["a", "b"], &times);
/// assert_eq!(profiles[0].jumps, [(1.0, 0.5)]);
/// assert_eq!(profiles[1].jumps, [(1.0, 0.5), (2.0, 1.0)]);
/// assert_eq!((profiles[1].share(1.5), profiles[1].share(2.0)), (0.5, 1.0));
/// ```
pub fn profiles(optimizers: &[&str], times: &[Vec<Option<f64>>]) -> Vec<Profile> {
    let of = |index: usize| {
        let ratio = |problem: &Vec<Option<f64>>| {
            let fastest = problem.iter().flatten().copied().fold(f64::INFINITY, f64::min);
            problem[index].map(|time| time / fastest)
        };
        let mut ratios: Vec<f64> = times
            .iter()
            .filter_map(ratio)
            .filter(|ratio| *ratio <= PROFILE_LIMIT)
            .collect();
        ratios.sort_by(f64::total_cmp);
        let problems = times.len().max(1) as f64;
        let mut jumps: Vec<(f64, f64)> = vec![(1.0, 0.0)];
        for (before, ratio) in ratios.iter().enumerate() {
            let share = (before + 1) as f64 / problems;
            match jumps.last_mut() {
                Some((at, last)) if at == ratio => *last = share,
                _ => jumps.push((*ratio, share)),
            }
        }
        let ends = jumps.iter().skip(1).map(|(at, _)| *at).chain([PROFILE_LIMIT]);
        let area: f64 = jumps
            .iter()
            .zip(ends)
            .map(|((from, share), to)| share * (to - from))
            .sum();
        Profile {
            optimizer: optimizers[index].to_string(),
            score: area / (PROFILE_LIMIT - 1.0),
            jumps,
        }
    };
    (0..optimizers.len()).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_the_area_under_the_profile() {
        let times = [
            vec![Some(10.0), Some(25.0), Some(50.0), None],
            vec![Some(8.0), Some(4.0), Some(16.0), None],
        ];
        let [a, b, c, d] = profiles(&["a", "b", "c", "d"], &times).try_into().unwrap();
        // a: 1 and 2; b: 2.5 and 1; c: 5 and 4; d: never
        assert!((a.score - (0.5 * 1.0 + 1.0 * 2.0) / 3.0).abs() < 1e-12, "{a:?}");
        assert!((b.score - (0.5 * 1.5 + 1.0 * 1.5) / 3.0).abs() < 1e-12, "{b:?}");
        assert_eq!(c.jumps, [(1.0, 0.0), (4.0, 0.5)]);
        assert_eq!((c.score, d.score), (0.0, 0.0));
        assert_eq!((c.share(3.9), c.share(4.0), d.share(1e9)), (0.0, 0.5, 0.0));
    }

    #[test]
    fn what_nobody_solves_is_late_for_all() {
        let all = profiles(&["a", "b"], &[vec![None, None], vec![Some(1.0), Some(1.0)]]);
        assert!(
            all.iter()
                .all(|profile| profile.score == 0.5 && profile.jumps == [(1.0, 0.5)])
        );
        assert!(profiles(&["a"], &[]).iter().all(|profile| profile.score == 0.0));
    }
}

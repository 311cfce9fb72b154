//! One part of a sweep, for one of several machines.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The part `index` of `count` equal parts, counted from 1 and written `1/3`.
///
/// ```
/// use optimizers_bench::Shard;
///
/// let shard: Shard = "2/3".parse()?;
/// assert_eq!((shard.index(), shard.count()), (2, 3));
/// assert!("0/3".parse::<Shard>().unwrap_err().to_string().contains("1/3, 2/3, 3/3"));
/// # Ok::<(), optimizers_bench::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// All of a sweep: `1/1`.
    pub const WHOLE: Shard = Shard { index: 1, count: 1 };

    /// Which part, from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many parts there are.
    pub fn count(self) -> usize {
        self.count
    }

    /// Which of the things with these costs are this shard's: the costliest first, each to the part that has least to do.
    /// A function of the costs alone, so all machines agree without talking to each other.
    pub(crate) fn share(self, costs: &[f64]) -> Vec<bool> {
        let mut order: Vec<usize> = (0..costs.len()).collect();
        order.sort_by(|&a, &b| costs[b].total_cmp(&costs[a]).then(a.cmp(&b)));
        let mut loads = vec![0.0_f64; self.count.min(costs.len().max(1))];
        let mut mine = vec![false; costs.len()];
        for thing in order {
            let lightest = (0..loads.len())
                .min_by(|&a, &b| loads[a].total_cmp(&loads[b]))
                .unwrap_or(0);
            loads[lightest] += costs[thing];
            mine[thing] = lightest + 1 == self.index;
        }
        mine
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text
            .split_once('/')
            .and_then(|(index, count)| Some((index.trim().parse().ok()?, count.trim().parse().ok()?)));
        match parts {
            Some((index, count)) if index >= 1 && index <= count => Ok(Shard { index, count }),
            _ => Err(Error::Shard {
                text: text.chars().take(100).collect(),
            }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_part_is_refused() {
        for text in ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2", "1.5/2", "/", "1/"] {
            let error = text.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }

    #[test]
    fn every_thing_is_in_exactly_one_part_and_parts_are_alike() {
        let costs: Vec<f64> = (0..23).map(|i| f64::from(i * 7 % 10 + 1)).collect();
        for count in [1, 2, 3, 5, 23, 40] {
            let parts: Vec<Vec<bool>> = (1..=count).map(|index| Shard { index, count }.share(&costs)).collect();
            for thing in 0..costs.len() {
                assert_eq!(parts.iter().filter(|part| part[thing]).count(), 1, "{count} parts");
            }
            let load = |part: &Vec<bool>| -> f64 { (0..23).filter(|&i| part[i]).map(|i| costs[i]).sum() };
            let heaviest = parts.iter().map(load).fold(0.0, f64::max);
            let mean = costs.iter().sum::<f64>() / count as f64;
            assert!(heaviest <= mean + 10.0, "{count} parts: {heaviest} of {mean}");
        }
        assert_eq!(Shard::WHOLE.share(&[]), Vec::<bool>::new());
        // More parts than anyone can count cost nothing.
        let many: Shard = format!("2/{}", usize::MAX).parse().unwrap();
        assert_eq!(many.share(&[1.0, 1.0]), [false, true]);
    }
}

//! The order of boxes and passing edges in their ranks: as few crossings as the means of the neighbours give.

use super::layout::{SWEEPS, Slot};

/// Slots of each rank in the order in which a walk from the beginning meets them.
pub(super) fn first_order(slots: &[Slot]) -> Vec<Vec<usize>> {
    let ranks = slots.iter().map(|slot| slot.rank + 1).max().unwrap_or(0);
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); ranks];
    let mut met = vec![false; slots.len()];
    for root in 0..slots.len() {
        if !slots[root].before.is_empty() {
            continue;
        }
        let mut stack = vec![root];
        while let Some(slot) = stack.pop() {
            if !std::mem::replace(&mut met[slot], true) {
                order[slots[slot].rank].push(slot);
                stack.extend(slots[slot].behind.iter().rev().map(|next| next.0));
            }
        }
    }
    order
}

/// Sorts every rank by the mean place of the neighbours, to and fro, and keeps the order with the fewest crossings.
pub(super) fn reduce_crossings(slots: &[Slot], order: &mut Vec<Vec<usize>>) {
    let mut position = vec![0usize; slots.len()];
    let number = |order: &[Vec<usize>], position: &mut Vec<usize>| {
        for rank in order {
            rank.iter()
                .enumerate()
                .for_each(|(place, &slot)| position[slot] = place);
        }
    };
    number(order, &mut position);
    let mut best = order.clone();
    let mut fewest = crossings(slots, order, &position);
    for sweep in 0..SWEEPS {
        if fewest == 0 {
            break;
        }
        let down = sweep % 2 == 0;
        let ranks = order.len();
        for step in 1..ranks {
            let rank = if down { step } else { ranks - 1 - step };
            let mean = |slot: usize| {
                let neighbours = if down { &slots[slot].before } else { &slots[slot].behind };
                let sum: f64 = neighbours.iter().map(|next| position[next.0] as f64).sum();
                if neighbours.is_empty() {
                    position[slot] as f64
                } else {
                    sum / neighbours.len() as f64
                }
            };
            let mut keyed: Vec<(f64, usize)> = order[rank].iter().map(|&slot| (mean(slot), slot)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            order[rank] = keyed.into_iter().map(|entry| entry.1).collect();
            order[rank]
                .iter()
                .enumerate()
                .for_each(|(place, &slot)| position[slot] = place);
        }
        let found = crossings(slots, order, &position);
        if found < fewest {
            fewest = found;
            best.clone_from(order);
        }
    }
    *order = best;
}

/// Pairs of edges between neighbouring ranks that cross, counted as inversions with a Fenwick tree.
fn crossings(slots: &[Slot], order: &[Vec<usize>], position: &[usize]) -> u64 {
    let mut total = 0;
    for (rank, below) in order.iter().zip(order.iter().skip(1)) {
        let mut tree = vec![0u64; below.len() + 1];
        let mut seen = 0;
        for &slot in rank {
            let mut ends: Vec<usize> = slots[slot].behind.iter().map(|next| position[next.0]).collect();
            ends.sort_unstable();
            for &end in &ends {
                let (mut at, mut not_beyond) = (end + 1, 0);
                while at > 0 {
                    not_beyond += tree[at];
                    at &= at - 1;
                }
                total += seen - not_beyond;
            }
            for &end in &ends {
                let mut at = end + 1;
                while at < tree.len() {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
                seen += 1;
            }
        }
    }
    total
}

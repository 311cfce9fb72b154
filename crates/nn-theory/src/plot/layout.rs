//! Where the boxes of a graph stand and how its edges run: a layered drawing (Sugiyama, Tagawa and Toda, 1981).
//!
//! Every box gets a rank, one more than the largest of the boxes it reads. An edge that passes ranks gets a place of its
//! own in each of them, so that it never runs through a box. The order in a rank comes from the means of the neighbours,
//! the places from a least-squares fit that keeps that order. `along` is the direction of reading (down, or right),
//! `across` the other one.

use super::order::{first_order, reduce_crossings};

/// A point as `[along, across]`.
pub(super) type Point = [f64; 2];

/// What has to be placed.
#[derive(Debug, Default)]
pub(super) struct Task {
    /// Size of each item, `[along, across]`.
    pub(super) sizes: Vec<Point>,
    pub(super) edges: Vec<Edge>,
    /// Items that stand before and behind all others: where edges enter and leave a frame.
    pub(super) first: Vec<usize>,
    pub(super) last: Vec<usize>,
}

/// An edge between two items; the ports are where it leaves and arrives, across, from the middle of the item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) from_port: f64,
    pub(super) to_port: f64,
}

/// Middles of the items, and the way of each edge. Between the points of even and odd number the way is straight through
/// a rank, between those of odd and even number it swings from rank to rank.
#[derive(Debug, Default)]
pub(super) struct Placed {
    pub(super) middles: Vec<Point>,
    pub(super) ways: Vec<Vec<Point>>,
    pub(super) size: Point,
}

/// Distances between ranks, and between neighbours in a rank.
const BETWEEN_RANKS: f64 = 44.0;
const BETWEEN_ITEMS: f64 = 28.0;
const BETWEEN_EDGES: f64 = 14.0;
/// More room between ranks where many edges swing far, up to this.
const MOST_BETWEEN_RANKS: f64 = 120.0;
pub(super) const SWEEPS: usize = 12;
/// Straight edges look better than boxes in the middle of their neighbours.
const WEIGHT_OF_STRAIGHT: f64 = 6.0;

/// An item or a passing edge in a rank.
pub(super) struct Slot {
    pub(super) rank: usize,
    pub(super) size: Point,
    pub(super) passing: bool,
    /// Neighbours before and behind: slot, difference of the ports (what has to be added to the neighbour's place).
    pub(super) before: Vec<(usize, f64)>,
    pub(super) behind: Vec<(usize, f64)>,
    pub(super) place: f64,
}

/// Most places of edges in ranks that they only pass; beyond, there is nothing to see.
const MOST_PASSING: usize = 50_000;

/// `None` when more edges pass more ranks than anybody could follow.
pub(super) fn layout(task: &Task) -> Option<Placed> {
    let count = task.sizes.len();
    let turned = feedback(count, &task.edges);
    let directed: Vec<Edge> = task
        .edges
        .iter()
        .zip(&turned)
        .map(|(edge, &turned)| direction(*edge, turned))
        .collect();
    let ranks = ranks(task, &directed);
    let passed = |edge: &Edge| (ranks[edge.to] - ranks[edge.from]).saturating_sub(1);
    if directed.iter().map(passed).sum::<usize>() > MOST_PASSING {
        return None;
    }
    let mut slots: Vec<Slot> = (0..count)
        .map(|item| Slot::of(ranks[item], task.sizes[item], false))
        .collect();
    // The chain of slots that each edge runs through; none for an edge from an item to itself.
    let mut chains: Vec<Vec<usize>> = Vec::with_capacity(directed.len());
    for edge in &directed {
        let mut chain = vec![edge.from];
        if edge.from != edge.to {
            for rank in ranks[edge.from] + 1..ranks[edge.to] {
                slots.push(Slot::of(rank, [0.0, 0.0], true));
                chain.push(slots.len() - 1);
            }
            chain.push(edge.to);
            for step in 1..chain.len() {
                let from_port = if step == 1 { edge.from_port } else { 0.0 };
                let to_port = if step + 1 == chain.len() { edge.to_port } else { 0.0 };
                let (from, to) = (chain[step - 1], chain[step]);
                slots[from].behind.push((to, to_port - from_port));
                slots[to].before.push((from, from_port - to_port));
            }
        }
        chains.push(chain);
    }
    let mut order = first_order(&slots);
    reduce_crossings(&slots, &mut order);
    place_across(&mut slots, &order);
    Some(finish(task, &slots, &order, &chains, &turned))
}

impl Slot {
    fn of(rank: usize, size: Point, passing: bool) -> Self {
        Self {
            rank,
            size,
            passing,
            before: Vec::new(),
            behind: Vec::new(),
            place: 0.0,
        }
    }
}

fn direction(edge: Edge, turned: bool) -> Edge {
    if turned {
        Edge {
            from: edge.to,
            to: edge.from,
            from_port: edge.to_port,
            to_port: edge.from_port,
        }
    } else {
        edge
    }
}

/// Edges that lead back to something that they come from; without them the graph has no cycle.
fn feedback(count: usize, edges: &[Edge]) -> Vec<bool> {
    let mut leaving: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (index, edge) in edges.iter().enumerate() {
        leaving[edge.from].push(index);
    }
    let mut turned = vec![false; edges.len()];
    // 0: not met, 1: on the way, 2: done
    let mut state = vec![0u8; count];
    for root in 0..count {
        let mut stack = vec![(root, 0)];
        if state[root] != 0 {
            continue;
        }
        state[root] = 1;
        while let Some((item, next)) = stack.last_mut() {
            let item = *item;
            let Some(&edge) = leaving[item].get(*next) else {
                state[item] = 2;
                stack.pop();
                continue;
            };
            *next += 1;
            let to = edges[edge].to;
            match state[to] {
                1 => turned[edge] = to != item,
                0 => {
                    state[to] = 1;
                    stack.push((to, 0));
                }
                _ => {}
            }
        }
    }
    turned
}

/// Rank of each item: behind everything it reads; what reads nothing stands directly before its first reader.
fn ranks(task: &Task, edges: &[Edge]) -> Vec<usize> {
    let count = task.sizes.len();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut waiting = vec![0usize; count];
    for edge in edges.iter().filter(|edge| edge.from != edge.to) {
        readers[edge.from].push(edge.to);
        waiting[edge.to] += 1;
    }
    let base = usize::from(!task.first.is_empty());
    let mut ranks = vec![base; count];
    for &item in &task.first {
        ranks[item] = 0;
    }
    let mut ready: Vec<usize> = (0..count).rev().filter(|&item| waiting[item] == 0).collect();
    let sources = ready.clone();
    while let Some(item) = ready.pop() {
        for &reader in &readers[item] {
            ranks[reader] = ranks[reader].max(ranks[item] + 1);
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.push(reader);
            }
        }
    }
    for item in sources.into_iter().filter(|item| !task.first.contains(item)) {
        let nearest = readers[item].iter().map(|&reader| ranks[reader]).min();
        ranks[item] = nearest.map_or(ranks[item], |nearest| nearest.saturating_sub(1).max(base));
    }
    let deepest = ranks.iter().copied().max().unwrap_or(0);
    let behind_all = |item: usize| !task.last.contains(&item) && ranks[item] == deepest;
    let end = if (0..count).any(behind_all) {
        deepest + 1
    } else {
        deepest
    };
    for &item in &task.last {
        ranks[item] = end;
    }
    ranks
}

/// Places every slot near its neighbours without changing the order in its rank.
fn place_across(slots: &mut [Slot], order: &[Vec<usize>]) {
    for rank in order {
        let wanted = vec![0.0; rank.len()];
        fit(slots, rank, &wanted, &vec![1.0; rank.len()]);
    }
    for sweep in 0..6 * SWEEPS {
        let last = sweep >= SWEEPS;
        let ranks: Vec<usize> = if sweep % 2 == 0 {
            (0..order.len()).collect()
        } else {
            (0..order.len()).rev().collect()
        };
        for rank in ranks {
            let (mut wanted, mut weights) = (Vec::new(), Vec::new());
            for &slot in &order[rank] {
                let slot = &slots[slot];
                let (before, behind) = (slot.before.as_slice(), slot.behind.as_slice());
                let (one, other) = if sweep % 2 == 0 {
                    (before, behind)
                } else {
                    (behind, before)
                };
                let sides = if last || one.is_empty() {
                    [one, other]
                } else {
                    [one, &[]]
                };
                let (mut sum, mut weight) = (0.0, 0.0);
                for &(next, port) in sides.into_iter().flatten() {
                    // A straight line, too, between two boxes that only have each other.
                    let alone = slot.behind.len() == 1 && slots[next].before.len() == 1
                        || slot.before.len() == 1 && slots[next].behind.len() == 1;
                    let strong = alone || slot.passing || slots[next].passing;
                    let pull = if strong { WEIGHT_OF_STRAIGHT } else { 1.0 };
                    // The ports differ by what the neighbour's line is beside the middles.
                    sum += pull * (slots[next].place + port);
                    weight += pull;
                }
                wanted.push(if weight > 0.0 { sum / weight } else { slot.place });
                weights.push(if weight > 0.0 { weight } else { 0.1 });
            }
            fit(slots, &order[rank], &wanted, &weights);
        }
    }
}

/// The least-squares fit of places to wanted ones that keeps the order and the distances (pool adjacent violators).
fn fit(slots: &mut [Slot], rank: &[usize], wanted: &[f64], weights: &[f64]) {
    let mut offsets = Vec::with_capacity(rank.len());
    let mut offset = 0.0;
    for (index, &slot) in rank.iter().enumerate() {
        if index > 0 {
            let before = &slots[rank[index - 1]];
            let gap = if before.passing || slots[slot].passing {
                BETWEEN_EDGES
            } else {
                BETWEEN_ITEMS
            };
            offset += (before.size[1] + slots[slot].size[1]) / 2.0 + gap;
        }
        offsets.push(offset);
    }
    // Runs of slots that touch: mean, weight, length.
    let mut runs: Vec<(f64, f64, usize)> = Vec::new();
    for index in 0..rank.len() {
        let mut run = (wanted[index] - offsets[index], weights[index], 1);
        while let Some(&(mean, weight, length)) = runs.last()
            && mean > run.0
        {
            runs.pop();
            let sum = weight + run.1;
            run = ((mean * weight + run.0 * run.1) / sum, sum, length + run.2);
        }
        runs.push(run);
    }
    let places = runs
        .iter()
        .flat_map(|&(mean, _, length)| std::iter::repeat_n(mean, length));
    for (index, place) in places.enumerate() {
        slots[rank[index]].place = place + offsets[index];
    }
}

/// Ranks below each other, everything moved to positive places, and the ways of the edges.
fn finish(task: &Task, slots: &[Slot], order: &[Vec<usize>], chains: &[Vec<usize>], turned: &[bool]) -> Placed {
    let low = |slot: &Slot| slot.place - slot.size[1] / 2.0;
    let least = slots.iter().map(low).fold(f64::INFINITY, f64::min).min(f64::MAX);
    let least = if least.is_finite() && least < f64::MAX {
        least
    } else {
        0.0
    };
    let across = |slot: usize| slots[slot].place - least;
    let mut bands: Vec<(f64, f64)> = Vec::with_capacity(order.len());
    let mut along = 0.0;
    for (index, rank) in order.iter().enumerate() {
        if index > 0 {
            let swings = order[index - 1].iter().flat_map(|&slot| {
                let of = move |&(next, port): &(usize, f64)| (slots[next].place + port - slots[slot].place).abs();
                slots[slot].behind.iter().map(of)
            });
            let widest = swings.fold(0.0, f64::max);
            along += (BETWEEN_RANKS + widest / 12.0).min(MOST_BETWEEN_RANKS);
        }
        let thickness = rank.iter().map(|&slot| slots[slot].size[0]).fold(0.0, f64::max);
        bands.push((along, along + thickness));
        along += thickness;
    }
    let middle = |slot: usize| {
        let (begin, end) = bands[slots[slot].rank];
        [(begin + end) / 2.0, across(slot)]
    };
    let mut ways = Vec::with_capacity(chains.len());
    for (index, chain) in chains.iter().enumerate() {
        let edge = direction(task.edges[index], turned[index]);
        let mut way: Vec<Point> = Vec::with_capacity(2 * chain.len());
        if chain.len() > 1 {
            for (step, &slot) in chain.iter().enumerate() {
                let (begin, end) = bands[slots[slot].rank];
                let [at, place] = middle(slot);
                let half = slots[slot].size[0] / 2.0;
                if step == 0 {
                    way.push([at + half, place + edge.from_port]);
                    way.push([end, place + edge.from_port]);
                } else if step + 1 == chain.len() {
                    way.push([begin, place + edge.to_port]);
                    way.push([at - half, place + edge.to_port]);
                } else {
                    way.push([begin, place]);
                    way.push([end, place]);
                }
            }
        }
        if turned[index] {
            way.reverse();
        }
        ways.push(way);
    }
    let high = |slot: &Slot| slot.place - least + slot.size[1] / 2.0;
    Placed {
        middles: (0..task.sizes.len()).map(middle).collect(),
        ways,
        size: [along, slots.iter().map(high).fold(0.0, f64::max)],
    }
}

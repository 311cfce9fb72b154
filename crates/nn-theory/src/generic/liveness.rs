//! Which neurons matter: constants, neurons without influence, and parts that have nothing to do with each other.

use super::Network;

/// A neuron: layer 0 are the inputs, `index` counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neuron {
    /// Its layer.
    pub layer: usize,
    /// Its place in the layer, from 1.
    pub index: usize,
}

serialize_fields!(Neuron { layer, index });

/// What the connections say about the neurons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    /// Neurons that no input reaches: their value is the same for every x.
    pub constant: Vec<Neuron>,
    /// Neurons from which no path leads to an output: y does not depend on them.
    pub without_influence: Vec<Neuron>,
    /// Connected components (edges taken as undirected), each in ascending order, ordered by their first neuron.
    pub components: Vec<Vec<Neuron>>,
}

serialize_fields!(Liveness {
    constant,
    without_influence,
    components
});

impl Liveness {
    /// Neurons that carry nothing from x to y: constant or without influence, in ascending order.
    pub fn dead(&self) -> Vec<Neuron> {
        let mut dead: Vec<Neuron> = self.constant.iter().chain(&self.without_influence).copied().collect();
        dead.sort_unstable();
        dead.dedup();
        dead
    }
}

impl Network {
    /// Dead neurons and connected components.
    ///
    /// ```
    /// let alive = nn_theory::generic::lecture_network().liveness();
    /// assert!(alive.dead().is_empty());
    /// assert_eq!(alive.components.len(), 1);
    /// ```
    pub fn liveness(&self) -> Liveness {
        let widths = self.widths();
        let offsets: Vec<usize> = widths
            .iter()
            .scan(0, |sum, &width| {
                *sum += width;
                Some(*sum - width)
            })
            .collect();
        let neurons: Vec<Neuron> = widths
            .iter()
            .enumerate()
            .flat_map(|(layer, &width)| (1..=width).map(move |index| Neuron { layer, index }))
            .collect();
        let pick = |flags: Vec<Vec<bool>>| {
            let missing = neurons.iter().filter(|neuron| !flags[neuron.layer][neuron.index - 1]);
            missing.copied().collect::<Vec<_>>()
        };
        let mut parents: Vec<usize> = (0..neurons.len()).collect();
        for (layer, mask) in self.masks().iter().enumerate() {
            for row in 0..mask.rows() {
                for column in mask.drawn_in_row(row) {
                    let (a, b) = (
                        root(&mut parents, offsets[layer] + column),
                        root(&mut parents, offsets[layer + 1] + row),
                    );
                    let (low, high) = (a.min(b), a.max(b));
                    parents[high] = low;
                }
            }
        }
        let mut components: Vec<Vec<Neuron>> = vec![Vec::new(); neurons.len()];
        for (place, &neuron) in neurons.iter().enumerate() {
            components[root(&mut parents, place)].push(neuron);
        }
        components.retain(|component| !component.is_empty());
        Liveness {
            constant: pick(self.reached_from(0)),
            without_influence: pick(self.reaching_outputs()),
            components,
        }
    }

    /// For each layer, which neurons a path from layer `start` reaches (all of layer `start` itself).
    pub(super) fn reached_from(&self, start: usize) -> Vec<Vec<bool>> {
        let mut flags: Vec<Vec<bool>> = self.widths().into_iter().map(|width| vec![false; width]).collect();
        flags[start].fill(true);
        for layer in start..self.depth() {
            for row in 0..self.masks()[layer].rows() {
                flags[layer + 1][row] = self.masks()[layer].drawn_in_row(row).any(|column| flags[layer][column]);
            }
        }
        flags
    }

    fn reaching_outputs(&self) -> Vec<Vec<bool>> {
        let mut flags: Vec<Vec<bool>> = self.widths().into_iter().map(|width| vec![false; width]).collect();
        flags[self.depth()].fill(true);
        for layer in (0..self.depth()).rev() {
            for row in (0..self.masks()[layer].rows())
                .filter(|&row| flags[layer + 1][row])
                .collect::<Vec<_>>()
            {
                for column in self.masks()[layer].drawn_in_row(row) {
                    flags[layer][column] = true;
                }
            }
        }
        flags
    }
}

fn root(parents: &mut [usize], mut place: usize) -> usize {
    while parents[place] != place {
        parents[place] = parents[parents[place]];
        place = parents[place];
    }
    place
}

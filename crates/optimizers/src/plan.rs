//! What was found out about the parameters of the last step, so that the next step with the same ones need not ask again.
//!
//! A network has a hundred parameters of which many are small; to find the state by name, to compare shapes and to search a path for
//! what is excluded from decay takes longer than to update a bias.

use candle_core::{Tensor, TensorId};
use indexmap::{IndexMap, map::Slice};

use crate::algorithm::Sums;
use crate::error::{Error, Result};
use crate::fused::{BLOCK, fork, threads};
use crate::lending::{Weights, storage_address};
use crate::optimizer::Parameter;
use crate::slot::Scratch;
use crate::state::ParameterState;

/// The parameters of a step, in the order of their states.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) entries: Vec<Entry>,
    /// Where the storages of the variables lie, sorted.
    storages: Vec<usize>,
    /// Elements of all parameters.
    pub(crate) elements: usize,
    /// Whether parameters can be updated side by side: all of them in place on the CPU, and none the storage of another.
    independent: bool,
    /// Working memory that parameters take turns on.
    turns: Vec<Scratch>,
    /// The rate of each group in the last step, and whether it comes from a schedule; kept for its memory.
    pub(crate) rates: Vec<(f64, bool)>,
}

/// One parameter of a step.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its place in the list that was given.
    pub(crate) position: usize,
    /// The place of its state.
    state: usize,
    id: TensorId,
    pub(crate) elements: usize,
    /// The elements, if they are updated in place.
    pub(crate) weights: Option<Weights>,
    /// Its weight decay.
    pub(crate) decay: f64,
    /// The group it belongs to.
    pub(crate) group: Option<usize>,
    /// What an algorithm that looks at all parameters before a step has seen of this one.
    pub(crate) sums: Sums,
    /// Whether this step's gradient is finite.
    pub(crate) finite: bool,
    /// The sum of the squares of this step's gradient, if something is clipped by it.
    pub(crate) sum_of_squares: f64,
    /// This step's gradient, where the given one cannot be read as it lies.
    copy: Option<Tensor>,
    pub(crate) scratch: Scratch,
}

/// What the options say about a parameter.
pub(crate) struct About {
    /// Whether it is updated in place.
    pub(crate) fused: bool,
    pub(crate) decay: f64,
    pub(crate) group: Option<usize>,
}

impl Entry {
    /// Takes the gradient of a step; `storages` are those of all variables, sorted.
    fn admit(&mut self, parameters: &[Parameter<'_>], storages: &[usize]) -> Result<()> {
        let parameter = &parameters[self.position];
        parameter.check()?;
        let gradient = parameter.gradient;
        self.copy = if !gradient.is_contiguous() {
            Some(gradient.contiguous()?)
        } else if storages.binary_search(&storage_address(gradient)).is_ok() {
            // It is a weight itself, and would change while it is read.
            Some(gradient.copy()?)
        } else {
            None
        };
        Ok(())
    }

    /// The gradient as it is read.
    pub(crate) fn gradient<'a>(&'a self, parameters: &[Parameter<'a>]) -> &'a Tensor {
        self.copy.as_ref().unwrap_or(parameters[self.position].gradient)
    }

    /// The gradient as it is read, the elements if they are updated in place, and the working memory.
    pub(crate) fn parts<'a>(
        &'a mut self,
        parameters: &[Parameter<'a>],
    ) -> (&'a Tensor, Option<&'a Weights>, &'a mut Scratch) {
        let gradient = self.copy.as_ref().unwrap_or(parameters[self.position].gradient);
        (gradient, self.weights.as_ref(), &mut self.scratch)
    }
}

impl Plan {
    /// A plan for parameters that all have a state; `about` tells of each what the options say.
    pub(crate) fn new(
        parameters: &[Parameter<'_>],
        states: &IndexMap<String, ParameterState>,
        about: impl Fn(&Parameter<'_>) -> About,
    ) -> Result<Self> {
        let mut entries = Vec::with_capacity(parameters.len());
        for (position, parameter) in parameters.iter().enumerate() {
            let About { fused, decay, group } = about(parameter);
            let elements = parameter.var.elem_count();
            let Some(state) = states.get_index_of(parameter.path) else {
                continue;
            };
            entries.push(Entry {
                position,
                state,
                id: parameter.var.id(),
                elements,
                weights: if fused && elements > 0 {
                    Some(Weights::of(parameter.var)?)
                } else {
                    None
                },
                decay,
                group,
                sums: Sums::default(),
                finite: true,
                sum_of_squares: 0.0,
                copy: None,
                scratch: Scratch::default(),
            });
        }
        entries.sort_unstable_by_key(|entry| entry.state);
        let mut storages: Vec<usize> = parameters.iter().map(|p| storage_address(p.var)).collect();
        storages.sort_unstable();
        let in_place = |entry: &Entry| entry.weights.is_some() || entry.elements == 0;
        Ok(Self {
            elements: entries.iter().map(|entry| entry.elements).sum(),
            independent: entries.iter().all(in_place) && storages.windows(2).all(|pair| pair[0] != pair[1]),
            entries,
            storages,
            turns: Vec::new(),
            rates: Vec::new(),
        })
    }

    /// Whether this is a plan for these parameters: the same variables under the same paths, with the states that were checked.
    pub(crate) fn fits(&self, parameters: &[Parameter<'_>], states: &IndexMap<String, ParameterState>) -> bool {
        self.entries.len() == parameters.len()
            && self.entries.iter().all(|entry| {
                let parameter = &parameters[entry.position];
                parameter.var.id() == entry.id
                    && states
                        .get_index(entry.state)
                        .is_some_and(|(path, state)| path == parameter.path && state.is_settled())
            })
    }

    /// Whether a parameter is one of this plan's: the same variable under the same path, with the state that was checked.
    pub(crate) fn knows(&self, parameter: &Parameter<'_>, states: &IndexMap<String, ParameterState>) -> bool {
        states.get_full(parameter.path).is_some_and(|(index, _, state)| {
            let found = self.entries.binary_search_by_key(&index, |entry| entry.state);
            state.is_settled() && found.is_ok_and(|place| self.entries[place].id == parameter.var.id())
        })
    }

    /// Takes the gradients of a step and calls a function with every entry and the number of threads that share its elements. Each thread
    /// gets the entries that it will update, the last one first: what it has read last is in its cache when the update begins with the first.
    ///
    /// # Errors
    /// If one does not fit its parameter: of several the first.
    pub(crate) fn admit(
        &mut self,
        parameters: &[Parameter<'_>],
        function: impl Fn(&mut Entry, usize) -> Result<()> + Sync,
    ) -> Result<()> {
        let threads = if self.independent { threads() } else { 1 };
        let storages = &self.storages;
        let outcome = backwards(
            &mut self.entries,
            self.elements,
            threads,
            &|entry: &mut Entry, threads: usize| {
                entry.admit(parameters, storages)?;
                function(entry, threads)
            },
        );
        if outcome.is_err() {
            self.entries
                .iter_mut()
                .try_for_each(|entry| entry.admit(parameters, storages))?;
        }
        outcome
    }

    /// Lets go of the gradients of the step.
    pub(crate) fn release(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.copy = None);
    }

    /// Whether the threads of the pool can share the work.
    pub(crate) fn is_shared(&self) -> bool {
        self.independent
    }

    /// Calls a function with every entry and its state, side by side where the parameters do not depend on each other.
    pub(crate) fn for_each(
        &mut self,
        states: &mut IndexMap<String, ParameterState>,
        function: impl Fn(&mut Entry, &mut ParameterState) -> Result<()> + Sync,
    ) -> Result<()> {
        let states = states.as_mut_slice();
        if self.independent {
            side_by_side(&mut self.entries, states, 0, self.elements, &function)
        } else {
            one_by_one(&mut self.entries, states, 0, &function)
        }
    }

    /// The same as [`for_each`](Self::for_each) for updates with much working memory: there is one block of it for each thread, and the parameters of a thread take turns.
    pub(crate) fn for_each_in_turns(
        &mut self,
        states: &mut IndexMap<String, ParameterState>,
        function: impl Fn(&mut Entry, &mut ParameterState) -> Result<()> + Sync,
    ) -> Result<()> {
        let blocks = if self.independent { threads() } else { 1 };
        self.turns.resize_with(blocks, Scratch::default);
        in_turns(
            &mut self.entries,
            states.as_mut_slice(),
            0,
            self.elements,
            &mut self.turns,
            &function,
        )
    }
}

/// Where entries are cut in two halves of about the same number of elements, and the elements before that.
fn halves(entries: &[Entry], elements: usize) -> (usize, usize) {
    let (mut middle, mut above) = (0, 0);
    while middle + 1 < entries.len() && (middle == 0 || above + entries[middle].elements / 2 < elements / 2) {
        above += entries[middle].elements;
        middle += 1;
    }
    (middle, above)
}

fn backwards<F: Fn(&mut Entry, usize) -> Result<()> + Sync>(
    entries: &mut [Entry],
    elements: usize,
    threads: usize,
    function: &F,
) -> Result<()> {
    if entries.len() < 2 || elements <= BLOCK / 2 {
        return entries.iter_mut().rev().try_for_each(|entry| function(entry, threads));
    }
    let (middle, above) = halves(entries, elements);
    let (upper, lower) = entries.split_at_mut(middle);
    let (one, two) = if threads > 1 {
        fork(
            || backwards(upper, above, threads / 2, function),
            || backwards(lower, elements - above, threads - threads / 2, function),
        )
    } else {
        let (two, one) = fork(
            || backwards(lower, elements - above, 1, function),
            || backwards(upper, above, 1, function),
        );
        (one, two)
    };
    one.and(two)
}

/// Cuts the entries in as many parts as there are blocks of working memory.
fn in_turns<F: Fn(&mut Entry, &mut ParameterState) -> Result<()> + Sync>(
    entries: &mut [Entry],
    states: &mut Slice<String, ParameterState>,
    first: usize,
    elements: usize,
    blocks: &mut [Scratch],
    function: &F,
) -> Result<()> {
    if entries.len() < 2 || blocks.len() < 2 {
        let mut unshared = Scratch::default();
        let block = blocks.first_mut().unwrap_or(&mut unshared);
        for entry in entries {
            if let Some((_, state)) = states.get_index_mut(entry.state - first) {
                std::mem::swap(&mut entry.scratch, block);
                let outcome = function(entry, state);
                std::mem::swap(&mut entry.scratch, block);
                outcome?;
            }
        }
        return Ok(());
    }
    let (middle, above) = halves(entries, elements);
    let (upper, lower) = entries.split_at_mut(middle);
    let cut = lower[0].state;
    let (upper_states, lower_states) = states.split_at_mut(cut - first);
    let (upper_blocks, lower_blocks) = blocks.split_at_mut(blocks.len() / 2);
    let (one, two) = fork(
        || in_turns(upper, upper_states, first, above, upper_blocks, function),
        || in_turns(lower, lower_states, cut, elements - above, lower_blocks, function),
    );
    one.and(two)
}

/// Cuts the entries in two halves of about the same number of elements, until they are small. `states` starts at state `first`.
fn side_by_side<F: Fn(&mut Entry, &mut ParameterState) -> Result<()> + Sync>(
    entries: &mut [Entry],
    states: &mut Slice<String, ParameterState>,
    first: usize,
    elements: usize,
    function: &F,
) -> Result<()> {
    if entries.len() < 2 || elements <= BLOCK / 2 {
        return one_by_one(entries, states, first, function);
    }
    let (middle, above) = halves(entries, elements);
    let (upper, lower) = entries.split_at_mut(middle);
    let cut = lower[0].state;
    let (upper_states, lower_states) = states.split_at_mut(cut - first);
    let (one, two) = fork(
        || side_by_side(upper, upper_states, first, above, function),
        || side_by_side(lower, lower_states, cut, elements - above, function),
    );
    one.and(two)
}

fn one_by_one<F: Fn(&mut Entry, &mut ParameterState) -> Result<()>>(
    entries: &mut [Entry],
    states: &mut Slice<String, ParameterState>,
    first: usize,
    function: &F,
) -> Result<()> {
    entries
        .iter_mut()
        .try_for_each(|entry| match states.get_index_mut(entry.state - first) {
            Some((_, state)) => function(entry, state),
            None => Ok(()),
        })
}

impl Parameter<'_> {
    /// Whether the gradient has the shape and the type of the weight.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { path, var, gradient } = self;
        if gradient.dims() != var.dims() {
            return Err(Error::ShapeMismatch {
                what: "the gradient",
                path: (*path).to_owned(),
                expected: var.dims().to_vec(),
                found: gradient.dims().to_vec(),
            });
        }
        if gradient.dtype() != var.dtype() {
            return Err(Error::DTypeMismatch {
                what: "the gradient",
                path: (*path).to_owned(),
                expected: var.dtype().as_str().to_owned(),
                found: gradient.dtype().as_str().to_owned(),
            });
        }
        Ok(())
    }
}

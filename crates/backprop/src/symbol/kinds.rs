//! Which kinds of nodes a tree has, as bits: a rule looks only where it can fit.

/// A set of kinds of nodes. Numbers and symbols are in none: every expression has them, and no rule begins at one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kinds(u16);

impl Kinds {
    pub(crate) const NONE: Kinds = Kinds(0);
    pub(crate) const SIZE: Kinds = Kinds(1);
    pub(crate) const DELTA: Kinds = Kinds(2);
    pub(crate) const FUNCTION: Kinds = Kinds(4);
    pub(crate) const POWER: Kinds = Kinds(8);
    pub(crate) const ADD: Kinds = Kinds(16);
    pub(crate) const PRODUCT: Kinds = Kinds(32);
    pub(crate) const SUM: Kinds = Kinds(64);
    pub(crate) const DERIVATIVE: Kinds = Kinds(128);

    /// Both sets together.
    pub(crate) const fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// Whether one of the other set's kinds is there.
    pub(crate) fn has_any(self, of: Kinds) -> bool {
        self.0 & of.0 != 0
    }

    /// Whether all of the other set's kinds are there.
    pub(crate) fn has_all(self, of: Kinds) -> bool {
        self.0 & of.0 == of.0
    }
}

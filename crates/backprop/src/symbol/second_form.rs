//! The second form of the loss: one class is what the others leave.

use super::exercise::{Derivation, Letters, answer};
use super::expr::Expr;
use super::index::Symbol;
use super::knowledge::Knowledge;
use crate::Result;

/// `−½ Σ y_i log p_i` of two classes is `−½ (y_1 log p_1 + (1 − y_1) log(1 − p_1))`.
pub(super) fn two_classes(s: &Letters) -> Result<Derivation> {
    let (first, second) = (s.classes.element(1), s.classes.element(2));
    let rest = |symbol: Symbol| Expr::integer(1) - symbol.into();
    let known = Knowledge::new()
        .size(&s.classes, 2)
        .condition(s.y(&second).into(), rest(s.y(&first)))
        .condition(s.p(&second).into(), rest(s.p(&first)));
    answer(
        "Two classes: the second form of the loss",
        "With y₁ + y₂ = 1 and p₁ + p₂ = 1, is the loss the binary cross-entropy of the first class?",
        s.loss_of_probabilities(),
        &known,
    )
}

/// For any number of classes, with class n in the place of the second one: the form that never mentions `y_n` and `p_n` is the
/// loss.
pub(super) fn any_classes(s: &Letters) -> Result<Derivation> {
    let (i, n) = (s.classes.index("i"), s.classes.index("n"));
    // Σ over all classes but n.
    let others = |term: Expr| Expr::sum(&i, (Expr::integer(1) - Expr::delta(&i, &n)) * term);
    let left = |term: Expr| Expr::integer(1) - others(term);
    let (y, p) = (Expr::from(s.y(&i)), Expr::from(s.p(&i)));
    let second_form = -(others(y.clone() * p.clone().log()) + left(y) * left(p).log()) / Expr::integer(2);
    let sum = |symbol: Symbol| Expr::sum(&i, symbol.into());
    let known = Knowledge::new()
        .condition(sum(s.y(&i)), Expr::integer(1))
        .condition(sum(s.p(&i)), Expr::integer(1));
    answer(
        "Any number of classes: the second form of the loss",
        "With Σ y = 1 and Σ p = 1, one class n is what the others leave: yₙ = 1 − Σ y of the others, pₙ likewise, and (1 − δᵢₙ) leaves \
         class n out of a sum. Is the form without yₙ and pₙ the same loss?",
        second_form,
        &known,
    )
}

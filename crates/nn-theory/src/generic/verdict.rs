//! The answer in words, derived from the numbers: is the expanded formula a good way to compute y from x?

use super::{Network, Result, Way};
use crate::with_separators;

/// The answer and its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Is the expanded formula, as it is written, cheaper than layer by layer?
    pub good_way: bool,
    /// One sentence.
    pub headline: String,
    /// The reasons, a paragraph each.
    pub reasons: Vec<String>,
}

serialize_fields!(Verdict {
    good_way,
    headline,
    reasons
});

impl Network {
    /// Judges the expanded formula by its cost, by what collapsing buys, and by its numerical properties.
    ///
    /// ```
    /// let verdict = nn_theory::generic::lecture_network().verdict()?;
    /// assert!(!verdict.good_way);
    /// assert!(verdict.headline.contains("222 multiplications"));
    /// # Ok::<(), nn_theory::generic::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`super::Error::Overflow`] of a count.
    pub fn verdict(&self) -> Result<Verdict> {
        let expansion = self.expansion();
        if !expansion.complete {
            let collapse = "For the same reason the layers cannot be collapsed to one map y = A x + b: the functions \
                            between the layers are what lets a network compute more than an affine map.";
            return Ok(Verdict {
                good_way: false,
                headline: "No: with these activations y has no expanded formula; compute it layer by layer.".to_owned(),
                reasons: vec![expansion.reason, collapse.to_owned()],
            });
        }
        let table = self.cost_table(1)?;
        let per_input = |way: Way| {
            table
                .row(way)
                .map_or((0, 0), |row| (row.setup.multiplications, row.per_input.multiplications))
        };
        let (layers, sparse) = (per_input(Way::LayersDense).1, per_input(Way::LayersSparse).1);
        let (products, vectors) = (per_input(Way::ExpandedProducts).1, per_input(Way::ExpandedVectors).1);
        let (scalar, (setup, apply)) = (per_input(Way::ScalarFormula).1, per_input(Way::CollapseDense));
        let good_way = products < layers;
        let ratio = products as f64 / layers.max(1) as f64;
        let headline = if good_way {
            format!("Here yes: the formula takes {products} multiplications for one x, layer by layer {layers}.")
        } else if products == layers {
            format!("It makes no difference: the formula and the layers both take {layers} multiplications.")
        } else {
            format!(
                "No: the formula takes {products} multiplications for one x, {ratio:.1} times the {layers} of \
                 layer by layer."
            )
        };
        let mut reasons = vec![format!(
            "Cost for one x: layer by layer {layers} multiplications ({sparse} if only drawn edges are multiplied); the \
             formula with each product multiplied out {products}, term by term as vectors {vectors}, and as a sum over \
             all paths {}.{}",
            u64::try_from(scalar).map_or_else(|_| scalar.to_string(), with_separators),
            if products > layers {
                " The expanded forms compute again what the nested form computes once."
            } else {
                ""
            }
        )];
        let pattern = self.product_pattern();
        let totals = self.totals();
        reasons.push(format!(
            "Structure: {} of {} weights are zeros of the drawing, but {} of {} entries of the product are zero in \
             structure; what sparsity saves can be lost in the product, and its rank is at most {}.",
            totals.zeros,
            totals.entries,
            pattern.zeros(),
            pattern.rows() * pattern.columns(),
            self.rank_bound()
        ));
        let pays = match table
            .break_even
            .iter()
            .find(|entry| entry.than == Way::LayersDense)
            .map(|entry| entry.inputs)
        {
            Some(Some(n)) => format!("from {n} inputs on that needs fewer multiplications than layer by layer"),
            _ => "that never needs fewer multiplications than layer by layer".to_owned(),
        };
        reasons.push(format!(
            "Many inputs: A and b can be computed once ({setup} multiplications) and then cost {apply} an input; {pays}. \
             That holds for fixed weights: in training they change every step, and the gradient needs the layers."
        ));
        let collapsed = self.outputs() * self.inputs() + self.outputs();
        reasons.push(format!(
            "Memory: the layers store {} weights and {} biases ({} weights if zeros are left out). The formula needs the \
             same numbers, since every matrix stands in it, and room for its products; A and b alone are {collapsed} numbers.",
            totals.entries, totals.biases, totals.edges
        ));
        reasons.push(
            "Numerics: exactly, all ways give the same y. In floating point each product of matrices rounds again, its \
             error bound grows with the product of the absolute values of all matrices, and where paths cancel the collapsed entries are \
             much smaller than the terms they come from. A sum of terms of both signs loses digits for the same reason; \
             over many layers the product can overflow or underflow where the values of the layers would not."
                .to_owned(),
        );
        reasons.push(
            "Use: the formula shows that layers with f(x) = x are together one affine map, whatever their number. With a \
             function f that is not affine there is no such formula, and no collapse."
                .to_owned(),
        );
        Ok(Verdict {
            good_way,
            headline,
            reasons,
        })
    }
}

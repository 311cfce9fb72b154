//! What each family of optimizers changes with respect to SGD: one paragraph and one formula.

use optimizers::{Family, OptimizerInfo, catalogue};
use report::{Answer, Block};

/// A family in words.
struct Telling {
    family: Family,
    title: &'static str,
    text: &'static str,
    latex: &'static str,
    unicode: &'static str,
}

const TELLINGS: [Telling; 4] = [
    Telling {
        family: Family::Sgd,
        title: "The SGD family: one rate for all weights",
        text: "Plain SGD steps down the slope of the last batch, so it is as noisy as that batch, and one rate has to suit the \
               steepest and the flattest direction. Its relatives keep the one rate and change the *direction*: momentum adds up past \
               gradients, so what they agree on grows (up to $1 / (1 - \\beta)$ times, ten times for $\\beta = 0.9$) and what they \
               disagree on cancels; Nesterov looks at the slope where momentum is about to lead; Lion keeps only the sign of such a sum, so every \
               weight moves by exactly $\\eta$.",
        latex: r"\begin{aligned} m_t &= \beta\, m_{t-1} + g_t \\ w_t &= w_{t-1} - \eta\, m_t \end{aligned} \qquad (\beta = 0 \text{ is plain SGD})",
        unicode: "m ← β m + g\nw ← w − η m        (β = 0 is plain SGD: w ← w − η g)",
    },
    Telling {
        family: Family::Ada,
        title: "The Ada family: a rate for each weight",
        text: "The gradient of each weight is divided by how large the gradients of *this weight* have been, so weights that are rarely or \
               weakly moved learn as fast as the others. The members differ in the memory $v$: Adagrad adds up all squares, so its steps \
               shrink for ever; RMSprop and Adadelta forget old ones at the rate $\\rho$ (Adadelta also replaces $\\eta$ by the size of its own past \
               steps, which is why its rate is meant to be 1); Adafactor keeps $v$ of a matrix as one number a row and one a column.",
        latex: r"w_t = w_{t-1} - \eta\, \frac{g_t}{\sqrt{v_t} + \epsilon}, \qquad v_t = v_{t-1} + g_t^2 \;\;\text{or}\;\; v_t = \rho\, v_{t-1} + (1 - \rho)\, g_t^2",
        unicode: "w ← w − η g / (√v + ε)\nv ← v + g²   (Adagrad)   or   v ← ρ v + (1 − ρ) g²   (RMSprop, Adadelta)",
    },
    Telling {
        family: Family::Adam,
        title: "The Adam family: both at once",
        text: "Momentum in the numerator, the rate for each weight in the denominator, both as moving averages that are corrected for having \
               started at zero. A step is then about $\\eta$ per weight, whatever the scale of the loss, which is why $\\eta = 0.001$ so often \
               works. AdamW takes weight decay out of the division, Adamax measures the size by a maximum, Nadam adds Nesterov's look ahead, \
               Lamb scales the step of each layer to the size of its weights.",
        latex: r"\begin{aligned} m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \quad v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2 \\ w_t &= w_{t-1} - \eta\, \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} \end{aligned}",
        unicode: "m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²\nw ← w − η (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)",
    },
    Telling {
        family: Family::Matrix,
        title: "The matrix family: a step for each matrix as a whole",
        text: "All methods above treat a weight as if it had no neighbours. The weights of a layer are a matrix, though, and what its gradients \
               have in common are directions that mix many weights: a few singular values are much larger than all others. Muon replaces the \
               momentum $m = U \\Sigma V^\\top$ by $U V^\\top$, in which every direction counts the same, so that rare ones are learnt as \
               fast as frequent ones. SOAP goes the other way: it collects which rows and columns move together, turns the gradient into \
               the basis of these mixtures, and runs Adam there. Both cost a few matrix products a step; vectors, such as biases, have no such \
               structure and take a step of the Adam family.",
        latex: r"\begin{aligned} m_t &= \beta\, m_{t-1} + g_t = U \Sigma V^\top \\ w_t &= w_{t-1} - \eta\, U V^\top \end{aligned} \qquad \text{(Muon)}",
        unicode: "m ← β m + g = U Σ Vᵀ\nw ← w − η U Vᵀ        (Muon)",
    },
];

/// A paragraph and a formula for each family, and folded away those of every optimizer of the catalogue.
pub(super) fn families(answer: &mut Answer) {
    answer.heading("What each family changes");
    answer.text(
        "All optimizers go downhill along the gradient $g$ of the loss at the weights $w$; $\\eta$ is the learning rate, $t$ the number \
         of the step. Plain SGD takes the step $w \\gets w - \\eta\\, g$, and every other method changes one of its two parts: the \
         direction $g$, or the rate $\\eta$. All operations go number by number.",
    );
    for telling in &TELLINGS {
        answer
            .subheading(telling.title)
            .text(telling.text)
            .formula(telling.latex, telling.unicode);
        members(answer, telling.family);
    }
}

/// Every optimizer of a family with its own formula, folded away.
fn members(answer: &mut Answer, family: Family) {
    let members: Vec<&OptimizerInfo> = catalogue().iter().filter(|info| info.family == family).collect();
    let names: Vec<&str> = members.iter().map(|info| info.name).collect();
    let blocks = members.iter().flat_map(|info| {
        [
            Block::subheading(info.name.replace('_', " with ")),
            Block::formula(info.formula_latex, info.formula_unicode),
            Block::text(format!(
                "{} State: {} bytes for each parameter of a matrix in `f32`. ({})",
                info.what_changes,
                report::format::significant(info.state_bytes_per_parameter, 2),
                info.paper
            )),
        ]
    });
    answer.details(format!("Its members: {}", names.join(", ")), blocks);
}

#[cfg(test)]
mod tests {
    use super::{TELLINGS, catalogue};

    #[test]
    fn every_family_is_told_once() {
        for info in catalogue() {
            let told = TELLINGS.iter().filter(|telling| telling.family == info.family).count();
            assert_eq!(told, 1, "{} belongs to {}", info.name, info.family);
        }
    }
}

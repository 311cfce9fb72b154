//! The closed forms against the tensors that running networks hold.

use models::Network;
use report::format::count;
use report::inline::escape;
use report::{Align, Answer, Block, Table};

use super::{tuple, whole};

/// Whether the closed forms count what was allocated.
pub(super) fn cross_check(answer: &mut Answer, networks: &[Network]) -> bool {
    answer.text(
        "The counts above are formulas; nothing was allocated for them. Here are the tensors that the running networks really \
         hold:",
    );
    let mut table = Table::new("Closed form against tensors");
    table
        .header([
            "model",
            "weights",
            "Param #",
            "elements",
            "bytes by formula",
            "bytes held",
            "agree",
        ])
        .align([
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Left,
        ]);
    let mut all = true;
    for network in networks {
        let counts = network.spec().counts();
        let elements: usize = network.weights().map(|weight| weight.var.elem_count()).sum();
        let bytes: usize = network
            .weights()
            .map(|weight| weight.var.elem_count() * weight.var.dtype().size_in_bytes())
            .sum();
        let agree = elements as u64 == counts.total && bytes as u64 == counts.total_bytes;
        all &= agree;
        table.row([
            format!("`{}`", network.name()),
            count(network.weights().len()),
            whole(counts.total),
            count(elements),
            whole(counts.total_bytes),
            count(bytes),
            (if agree { "yes" } else { "no" }).to_string(),
        ]);
    }
    answer.table(table);
    let weights = networks.iter().map(|network| Block::table(weights(network)));
    answer.details("Weight by weight", weights.collect::<Vec<_>>());
    answer.number("counts_agree", all);
    all
}

fn weights(network: &Network) -> Table {
    let mut table = Table::new(format!("Weights of {}", escape(network.name())));
    table
        .header(["path", "shape", "elements", "bytes"])
        .align([Align::Left, Align::Left, Align::Right, Align::Right]);
    for weight in network.weights() {
        let elements = weight.var.elem_count();
        table.row([
            format!("`{}`", weight.path),
            tuple(weight.var.dims()),
            count(elements),
            count(elements * weight.var.dtype().size_in_bytes()),
        ]);
    }
    table
}

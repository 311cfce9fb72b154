//! What the size in brackets says about the number format.

use anyhow::Result;
use models::Network;
use nn_theory::{DType, memory_size};
use report::format::count;
use report::inline::escape;
use report::{Align, Answer, Table};
use serde_json::json;

use super::whole;

/// What the bytes in brackets say: every format of the weights is tried, all but one ruled out.
pub(super) fn number_format(answer: &mut Answer, network: &Network, classifier: &Network) -> Result<()> {
    let format = network.spec().number_format();
    let printed = memory_size(format.bytes);
    answer.text(format!(
        "The summary ends in `Total params: {} ({printed})`. A KB has 1024 bytes, and the size is rounded to two decimals. \
         Which number of bytes for each parameter gives this text?",
        whole(format.parameters)
    ));
    let mut table = Table::new(format!("Which formats print {printed}?"));
    table
        .header(["bytes a number", "formats", "all parameters", "printed as", "outcome"])
        .align([Align::Right, Align::Left, Align::Right, Align::Right, Align::Left]);
    let mut ruled_out = Vec::new();
    for each in [1, 2, 4, 8] {
        let names: Vec<&str> = DType::of_bytes(each).into_iter().map(|dtype| dtype.name()).collect();
        let bytes = format.parameters.saturating_mul(each);
        let fits = memory_size(bytes) == printed;
        if !fits {
            ruled_out.extend(names.iter().map(|name| name.to_string()));
        }
        table.row([
            each.to_string(),
            names.join(", "),
            format!("{} bytes", whole(bytes)),
            memory_size(bytes),
            (if fits { "fits" } else { "ruled out" }).to_string(),
        ]);
    }
    answer.table(table);
    let candidates: Vec<&str> = format.candidates.iter().map(|dtype| dtype.name()).collect();
    let (fractions, zeros, values) = initial_values(network)?;
    answer.text(format!(
        "Left over: {}. The bytes cannot tell more, the weights can: of the {} values that this network starts with {} are \
         fractions and {} are zeros, and training changes them by fractions. Integers cannot hold these.",
        candidates.join(", "),
        count(values),
        count(fractions),
        count(zeros)
    ));
    answer.result(escape(&format.deduction));
    let of_classifier = classifier.spec().number_format();
    answer.text(format!(
        "The same for `{}`: {}",
        classifier.name(),
        escape(&of_classifier.deduction)
    ));
    let actual: Vec<&str> = format.formats.iter().map(|dtype| dtype.name()).collect();
    answer.text(format!(
        "The description of the lecture's model says of its weights: {}.",
        actual.join(" and ")
    ));
    answer.number(
        "number_format",
        json!({
            "parameters": format.parameters,
            "bytes": format.bytes,
            "printed": printed,
            "bytes_per_parameter": format.bytes_per_parameter,
            "candidates": candidates,
            "ruled_out": ruled_out,
            "fractions": fractions,
        }),
    );
    Ok(())
}

/// How many of the weights are fractions, how many zeros, and how many there are.
fn initial_values(network: &Network) -> Result<(usize, usize, usize)> {
    let (mut fractions, mut zeros, mut values) = (0, 0, 0);
    for weight in network.weights() {
        let numbers = weight.var.flatten_all()?.to_vec1::<f32>()?;
        fractions += numbers.iter().filter(|number| number.fract() != 0.0).count();
        zeros += numbers.iter().filter(|&&number| number == 0.0).count();
        values += numbers.len();
    }
    Ok((fractions, zeros, values))
}

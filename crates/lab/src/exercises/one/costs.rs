//! What each way of computing y costs, for one input and for many.

use anyhow::Result;
use nn_theory::generic::{Network, Way};
use report::format::count;
use report::plot::{BarChart, LineChart};
use report::{Align, Answer, Table};
use serde_json::json;

use super::notation::{plural, whole};

/// The larger of the two numbers of inputs that the costs are listed for.
const MANY: u64 = 1000;

/// Numbers of inputs at which the curves of the costs are evaluated.
const INPUTS: [u64; 15] = [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 35, 65, 150, 400, MANY];

pub(super) fn costs(answer: &mut Answer, network: &Network) -> Result<()> {
    answer.heading("What each way costs");
    let (one, many) = (network.cost_table(1)?, network.cost_table(MANY)?);
    let total = |inputs: u64, ways: usize| format!("{} input{}", count(inputs as usize), plural(ways));
    let mut table = Table::new("Multiplications (and additions)");
    table
        .header([
            "way".to_string(),
            "once".to_string(),
            "for each x".to_string(),
            "additions".to_string(),
            total(1, 1),
            total(MANY, 2),
        ])
        .align([
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
        ]);
    for (row, row_many) in one.rows.iter().zip(&many.rows) {
        table.row([
            row.way.name().to_string(),
            whole(row.setup.multiplications),
            whole(row.per_input.multiplications),
            whole(row.per_input.additions),
            whole(row.total.multiplications),
            whole(row_many.total.multiplications),
        ]);
    }
    table.note("«additions» are those for each x; only multiplications are compared below.");
    if let Some(order) = &one.order {
        table.note(format!(
            "Collapsing joins the factors in the order {order}, which takes the fewest multiplications of all orders."
        ));
    }
    answer.table(table);
    orders(answer, network)?;

    let mut chart = BarChart::new("Multiplications for one input");
    chart.value_axis("multiplications").decimals(0);
    chart.categories(one.rows.iter().map(|row| row.way.short_name()));
    chart.series(
        "multiplications",
        one.rows.iter().map(|row| row.total.multiplications as f64),
    );
    answer.figure(chart.figure("Multiplications for a single x, everything included that has to be done first."));

    let mut chart = LineChart::new("Multiplications for many inputs");
    chart.description("Multiplications of each way against the number of inputs, both axes logarithmic.");
    chart.x_axis("inputs").y_axis("multiplications").log_x().log_y();
    for way in [
        Way::ExpandedProducts,
        Way::LayersDense,
        Way::LayersSparse,
        Way::CollapseDense,
        Way::CollapseSparse,
    ] {
        let mut points = Vec::new();
        for inputs in INPUTS {
            if let Some(row) = network.cost_table(inputs)?.row(way) {
                points.push((inputs as f64, row.total.multiplications as f64));
            }
        }
        chart.series(way.short_name(), points);
    }
    answer.figure(
        chart.figure("Collapsing first costs something once and little for each x: its lines begin high and end low."),
    );
    answer.list(one.break_even.iter().map(|entry| {
        let (collapse, than) = (entry.collapse.name(), entry.than.name());
        match entry.inputs {
            Some(inputs) => format!(
                "*{collapse}* takes fewer multiplications than *{than}* from {} inputs on.",
                whole(inputs)
            ),
            None => format!("*{collapse}* never takes fewer multiplications than *{than}*."),
        }
    }));
    answer
        .number("costs", json!(one.rows))
        .number(format!("costs_{MANY}"), json!(many.rows))
        .number("break_even", json!(one.break_even))
        .number("order", json!(one.order));
    Ok(())
}

/// All orders in which the product of the matrices with the inputs can be evaluated.
fn orders(answer: &mut Answer, network: &Network) -> Result<()> {
    let (one, many) = (network.evaluation_orders(1)?, network.evaluation_orders(MANY)?);
    let mut table = Table::new("Every order of the product");
    let (all, edges) = ("zeros included", "drawn edges only");
    table
        .header([
            "order".to_string(),
            format!("1 input, {all}"),
            format!("1 input, {edges}"),
            format!("{} inputs, {all}", count(MANY as usize)),
            format!("{} inputs, {edges}", count(MANY as usize)),
        ])
        .align([Align::Left, Align::Right, Align::Right, Align::Right, Align::Right]);
    let number = |number: u64| whole(u128::from(number));
    for (order, order_many) in one.all.iter().zip(&many.all) {
        table.row([
            order.text.clone(),
            number(order.dense),
            number(order.sparse),
            number(order_many.dense),
            number(order_many.sparse),
        ]);
    }
    table.note(
        "Multiplications, those of the biases included. X has the inputs as columns: where it is joined first, the network is \
         computed layer by layer, where it comes last, the matrices are collapsed first.",
    );
    table.note(format!(
        "Dynamic programming finds the cheapest without the list: {} for one input, {} for {}.",
        one.best_dense.text,
        many.best_dense.text,
        count(MANY as usize)
    ));
    answer.table(table);
    answer.number("orders", json!({ "one": one, "many": many }));
    Ok(())
}

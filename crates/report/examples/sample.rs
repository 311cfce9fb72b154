//! Writes a page that shows every kind of block and plot: `cargo run -p report --example sample -- sample.html`.
//! Without a file name it prints the answer for the terminal.

#![allow(clippy::print_stdout)]

use report::plot::{BarChart, ConfusionMatrix, Heatmap, ImageGrid, LineChart, MatrixPattern, ScatterChart};
use report::{Align, Answer, Block, Page, Table, format, write_atomically};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = Answer::new(1, "Parameters of the generic network");
    words
        .headline("64 dense weights, of which *52* are drawn; `A1` and `A2` are sparse")
        .text(r"With $f(x) = x$ every layer is affine, so the network is *one* affine map; `x & y < z` stays as it is.")
        .formula(r"y = A_4\left(A_3\left(A_2\left(A_1 x + b_1\right) + b_2\right) + b_3\right) + b_4", "y = A₄(A₃(A₂(A₁ x + b₁) + b₂) + b₃) + b₄")
        .formula(r"\frac{\partial L}{\partial z_i} = p_i \sum_{j=1}^{n} y_j - y_i, \qquad p_i = \frac{e^{z_i}}{\sum_j e^{z_j}}", "∂L/∂zᵢ = pᵢ ∑ⱼ yⱼ − yᵢ,   pᵢ = exp(zᵢ) / ∑ⱼ exp(zⱼ)")
        .heading("Which matrices are sparse");
    let mut pattern = MatrixPattern::new("Zero patterns of A1 to A3");
    pattern
        .matrix(
            "A1",
            ["11111011", "11100011", "10110110", "11111010"].map(|row| row.chars().map(|c| c == '1')),
        )
        .matrix("A2", ["1110", "1011", "1011"].map(|row| row.chars().map(|c| c == '1')))
        .matrix(
            "A3",
            ["111", "111", "111", "111"].map(|row| row.chars().map(|c| c == '1')),
        );
    let mut table = Table::new("Multiplications for one `y`");
    table
        .header(["way", "formula", "count"])
        .align([Align::Left, Align::Left, Align::Right]);
    table.row([
        "layer by layer",
        "$4 \\cdot 8 + 3 \\cdot 4 + 4 \\cdot 3 + 2 \\cdot 4$",
        "64",
    ]);
    table
        .row(["collapsed", "$2 \\cdot 8$", "16"])
        .row(["sparse", "edges that are drawn", "52"])
        .note("Additions are as many.");
    words
        .figure(pattern.figure("An edge that is not drawn is a zero."))
        .table(&table)
        .result("The collapsed map needs a quarter of the multiplications.")
        .warning("With a nonlinear $f$ the layers do not collapse.")
        .note("Sparse storage pays only for much larger matrices.")
        .steps([
            "Multiply the matrices.",
            "Carry the biases through.",
            "Compare with the layers.",
        ])
        .details(
            "The text of a program",
            [Block::code(
                "Total params: 2,056 (8.03 KB)\n Trainable params: 2,056 (8.03 KB)",
            )],
        )
        .number("dense_weights", 64)
        .setting("seed", 6020)
        .timing("seconds", 0.012);
    if std::env::args().nth(1).is_none() {
        print!("{}", words.to_terminal(80, false));
    }

    let mut plots = Answer::new(3, "Optimizers for the training");
    let names = [
        "SGD",
        "SGD with momentum",
        "RMSprop",
        "Adam",
        "AdamW",
        "Adamax",
        "Adagrad",
        "Adadelta",
    ];
    let mut curves = LineChart::new("Validation loss by epoch");
    curves
        .x_axis("epoch")
        .y_axis("validation loss")
        .log_y()
        .level("target 0.1", 0.1);
    for (index, name) in names.iter().enumerate() {
        let loss = move |epoch: f64| 2.3 * (-(0.03 + 0.02 * index as f64) * epoch).exp() + 0.03;
        curves.band(
            *name,
            (1..=40)
                .map(f64::from)
                .map(|epoch| (epoch, loss(epoch), loss(epoch) * 0.85, loss(epoch) * 1.15)),
        );
    }
    let accuracy = |index: usize| 0.88 + 0.012 * index as f64;
    let mut bars = BarChart::new("Test accuracy by optimizer");
    bars.value_axis("test accuracy, mean of 5 seeds with a 95 % interval")
        .categories(names)
        .percent()
        .range(0.0, 1.0);
    bars.series_with_errors(
        "accuracy",
        (0..8).map(|index| (accuracy(index), accuracy(index) - 0.02, accuracy(index) + 0.02)),
    );
    let mut groups = BarChart::new("Clean and shifted images");
    groups
        .value_axis("accuracy")
        .categories(["clean", "shifted", "noisy"])
        .series("plain", [0.97, 0.61, 0.8])
        .series("augmented", [0.968, 0.93, 0.9]);
    let mut scatter = ScatterChart::new("Time and accuracy");
    scatter.x_axis("seconds").y_axis("accuracy").log_x();
    scatter.series(
        "Ada family",
        (0..12).map(|i| (1.0 + f64::from(i), 0.9 + 0.004 * f64::from(i))),
    );
    scatter.series(
        "Adam family",
        (0..12).map(|i| (0.5 + 0.5 * f64::from(i), 0.93 + 0.003 * f64::from(i))),
    );
    let confusion = ConfusionMatrix::new(
        "Confusion of digits",
        0..10,
        (0..10u64).map(|i| (0..10u64).map(move |j| if i == j { 34 } else { (i * j) % 3 })),
    );
    let mut heat = Heatmap::new("The collapsed map");
    heat.values((0..2).map(|i| (0..8).map(move |j| f64::from(i * 8 + j - 6) / 3.0)))
        .row_labels(["y1", "y2"]);
    heat.column_labels((1..=8).map(|j| format!("x{j}"))).show_values(2);
    let mut sheet = ImageGrid::new("Augmented digits", 8, 8, 1);
    sheet
        .column_labels(["original", "flipped", "rotated", "shifted", "noisy"])
        .max_value(16);
    for row in 0..3u8 {
        let image = |seed: u8| {
            (0..64u8)
                .map(move |p| (p / 8 * (seed + row + 1) + p % 8 * (seed + 2)) % 17)
                .collect::<Vec<_>>()
        };
        sheet.row(format!("digit {row}"), (0..5).map(image));
    }
    plots
        .headline(format!(
            "Adadelta reaches {}",
            format::percent_plus_minus(accuracy(7), 0.02, 1)
        ))
        .figure(curves.figure("Mean over seeds; the band is the 95 % interval."))
        .figure(bars.figure("Bars start at zero."))
        .figure(groups.figure("Augmentation pays on *shifted* images."))
        .figure(scatter.figure("Each point is one run."))
        .figure(confusion.figure("Rows are the true classes."))
        .figure(heat.figure("$A = A_4 A_3 A_2 A_1$"))
        .figure(sheet.figure("Eight by eight pixels."))
        .timing("seconds", 41.3);

    let mut page = Page::new("The exercise sheet, answered", "digits · seed 6020 · cpu");
    page.answer(&words).answer(&plots).answer(&Answer::failed(
        4,
        "Model persistence",
        "cannot write model.safetensors: No space left on device",
    ));
    match std::env::args().nth(1) {
        Some(path) => write_atomically(path, page.to_html()?)?,
        None => print!("{}", plots.to_terminal(80, false)),
    }
    Ok(())
}

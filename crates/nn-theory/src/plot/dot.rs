//! The graph in Graphviz' language, with the boxes that `keras.utils.model_to_dot` makes.

use super::{
    PlotOptions,
    graph::{Graph, Item, Label},
    text::escape,
};
use std::fmt::Write;

pub(super) fn write(graph: &Graph, options: &PlotOptions) -> String {
    let mut dot = String::from("digraph G {\n");
    // Writing to a String never fails.
    let _ = writeln!(
        dot,
        "rankdir={};\nconcentrate=true;\ndpi={};\nsplines=ortho;\nnode [shape=record];",
        options.rankdir.name(),
        options.dpi
    );
    body(&mut dot, graph, "");
    dot.push_str("}\n");
    dot
}

fn body(dot: &mut String, graph: &Graph, path: &str) {
    for (place, item) in graph.items.iter().enumerate() {
        match item {
            Item::Box(number, label) => {
                let _ = writeln!(
                    dot,
                    "n{number} [label={}, fontname=Helvetica, border=0, margin=0];",
                    table(label)
                );
            }
            Item::Frame(inner) => {
                let path = format!("{path}_{place}");
                let name = inner.name.replace('\\', "\\\\").replace('"', "\\\"");
                let name: String = name.chars().filter(|c| !c.is_control()).collect();
                let _ = writeln!(
                    dot,
                    "subgraph cluster{path} {{\nstyle=dashed;\nlabel=\"{name}\";\nlabeljust=l;"
                );
                body(dot, inner, &path);
                dot.push_str("}\n");
            }
        }
    }
    for (from, to) in &graph.edges {
        let _ = writeln!(dot, "n{from} -> n{to} [penwidth=2];");
    }
}

/// Keras' table of a box; names are escaped, which Keras leaves out.
fn table(label: &Label) -> String {
    let mut table = String::from("<<table border=\"0\" cellborder=\"1\" bgcolor=\"black\" cellpadding=\"10\">");
    let span = label.columns;
    let title = match &label.name {
        Some(name) => format!("<b>{}</b> ({})", escape(name), escape(&label.class)),
        None => format!("<b>{}</b>", escape(&label.class)),
    };
    let _ = write!(
        table,
        "<tr><td colspan=\"{span}\" bgcolor=\"black\"><font point-size=\"16\" color=\"white\">{title}</font></td></tr>"
    );
    if let Some(activation) = &label.activation {
        let _ = write!(
            table,
            "<tr><td bgcolor=\"white\" colspan=\"{span}\"><font point-size=\"14\">Activation: <b>{}</b></font></td></tr>",
            escape(activation)
        );
    }
    let mut cells = String::new();
    for (name, value) in &label.cells {
        let _ = write!(
            cells,
            "<td bgcolor=\"white\"><font point-size=\"14\">{name}: <b>{}</b></font></td>",
            escape(value)
        );
    }
    if let Some(trainable) = label.trainable {
        let (color, text) = if trainable {
            ("forestgreen", "Trainable")
        } else {
            ("firebrick", "Non-trainable")
        };
        let _ = write!(
            cells,
            "<td bgcolor=\"{color}\"><font point-size=\"14\" color=\"white\"><b>{text}</b></font></td>"
        );
    }
    if !cells.is_empty() {
        let _ = write!(table, "<tr>{cells}</tr>");
    }
    table.push_str("</table>>");
    table
}

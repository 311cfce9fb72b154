//! The confusion matrix of a classifier.

use super::Heatmap;
use crate::Figure;

/// How often each class (row) was taken for each class (column); cells are tinted by their share of the row.
///
/// ```
/// use report::plot::ConfusionMatrix;
///
/// let matrix = ConfusionMatrix::new("Cats and dogs", ["dog", "cat"], [[35, 5], [8, 32]]);
/// assert!(matrix.to_svg().contains("35"));
/// ```
#[derive(Debug, Clone)]
pub struct ConfusionMatrix {
    title: String,
    classes: Vec<String>,
    counts: Vec<Vec<u64>>,
}

impl ConfusionMatrix {
    /// The matrix of `counts[true class][predicted class]`.
    #[must_use]
    pub fn new<S: ToString, R: IntoIterator<Item = u64>>(
        title: impl Into<String>,
        classes: impl IntoIterator<Item = S>,
        counts: impl IntoIterator<Item = R>,
    ) -> Self {
        Self {
            title: title.into(),
            classes: classes.into_iter().map(|class| class.to_string()).collect(),
            counts: counts.into_iter().map(|row| row.into_iter().collect()).collect(),
        }
    }

    /// The matrix as a table of numbers.
    #[must_use]
    pub fn to_terminal(&self, width: usize) -> String {
        let mut table = crate::Table::new(&self.title);
        table.header(
            ["true \\ predicted".to_owned()]
                .into_iter()
                .chain(self.classes.iter().cloned()),
        );
        for (index, row) in self.counts.iter().enumerate() {
            let name = self.classes.get(index).cloned().unwrap_or_else(|| index.to_string());
            table.row(
                [name]
                    .into_iter()
                    .chain(row.iter().map(|count| crate::format::integer(*count))),
            );
        }
        crate::terminal::table(&table, width, false)
    }

    /// The matrix as a figure, with its terminal form.
    #[must_use]
    pub fn figure(&self, caption: impl Into<String>) -> Figure {
        let row = |(index, counts): (usize, &Vec<u64>)| {
            let name = self.classes.get(index).cloned().unwrap_or_else(|| index.to_string());
            crate::Series::new(name, counts.iter().map(|count| [*count as f64])).labelled(&self.classes)
        };
        Figure {
            title: self.title.clone(),
            svg: self.to_svg(),
            caption: caption.into(),
            terminal: Some(self.to_terminal(super::terminal::WIDTH)),
            axes: vec!["count".to_owned()],
            series: self.counts.iter().enumerate().map(row).collect(),
        }
    }

    /// The matrix as an `<svg>` element.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let total: u64 = self
            .counts
            .iter()
            .flatten()
            .fold(0, |sum, count| sum.saturating_add(*count));
        let right = self.counts.iter().enumerate().filter_map(|(index, row)| row.get(index));
        let right: u64 = right.fold(0, |sum, count| sum.saturating_add(*count));
        let mut map = Heatmap::new(&self.title);
        map.axes("true class", "predicted class")
            .row_labels(&self.classes)
            .column_labels(&self.classes);
        map.values(self.counts.iter().map(|row| {
            let sum: u64 = row.iter().fold(0, |sum, count| sum.saturating_add(*count));
            row.iter()
                .map(move |count| *count as f64 / sum.max(1) as f64)
                .collect::<Vec<_>>()
        }));
        let description = format!(
            "Confusion matrix of {} classes: {right} of {total} right.",
            self.counts.len()
        );
        let texts = self
            .counts
            .iter()
            .map(|row| row.iter().map(|count| crate::format::integer(*count)).collect());
        map.draw_with(&description, &texts.collect::<Vec<Vec<String>>>())
    }
}

#[cfg(test)]
mod tests;

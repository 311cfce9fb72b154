//! What an answer shows: drawings with the numbers in them, and figures that move.

use serde::{Deserialize, Serialize};

/// A drawing with its caption, and the numbers that it shows.
///
/// Every plot of [`crate::plot`] has a method that makes one. A drawing from elsewhere needs the first four fields:
///
/// ```
/// use report::Figure;
///
/// let svg = r#"<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="A dot" viewBox="0 0 2 2"><circle r="1"/></svg>"#;
/// let figure = Figure { title: "A dot".into(), svg: svg.into(), caption: "Drawn by hand.".into(), ..Figure::default() };
/// assert!(figure.series.is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is called; may be empty.
    #[serde(default)]
    pub title: String,
    /// A complete `<svg>` element; it is put into the page as it is, so it must come from [`crate::plot`] or be trusted.
    pub svg: String,
    /// What to see in it.
    pub caption: String,
    /// The same in characters, if that makes sense.
    pub terminal: Option<String>,
    /// What the numbers of a point are, such as `epoch`, `accuracy`; empty where the figure is no plot of numbers.
    #[serde(default)]
    pub axes: Vec<String>,
    /// The numbers that are drawn.
    #[serde(default)]
    pub series: Vec<Series>,
}

/// The numbers of one line, one set of bars, one row of cells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// What each point is called, such as the categories of bars; empty where the points have no names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The numbers of each point in the order of [`Figure::axes`]; `None` for what is not finite.
    pub points: Vec<Vec<Option<f64>>>,
}

impl Series {
    /// A series of points, each as many numbers as the figure has axes.
    pub(crate) fn new<P: AsRef<[f64]>>(name: impl Into<String>, points: impl IntoIterator<Item = P>) -> Self {
        let finite = |number: &f64| Some(*number).filter(|number| number.is_finite());
        Self {
            name: name.into(),
            labels: Vec::new(),
            points: points
                .into_iter()
                .map(|point| point.as_ref().iter().map(finite).collect())
                .collect(),
        }
    }

    /// The same with a name for each point.
    pub(crate) fn labelled<S: ToString>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        self.labels = labels.into_iter().map(|label| label.to_string()).collect();
        self
    }
}

/// A figure that the reader can touch: markup that is complete by itself, and a script that lets it move.
///
/// The page holds each style and each script once, however many figures share it, and its Content-Security-Policy allows
/// exactly these scripts by their hashes, and none where there is no such figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interactive {
    /// HTML that is put into the page as it is, so it must be trusted; without ids, for they could stand twice.
    pub markup: String,
    /// CSS for the markup.
    pub style: String,
    /// JavaScript that finds its figures by a class.
    pub script: String,
    /// What to see and to do.
    pub caption: String,
}

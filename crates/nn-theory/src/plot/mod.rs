//! `keras.utils.plot_model`: the graph of a model as a drawing, without Graphviz.

mod boxes;
mod dot;
mod graph;
mod layout;
mod order;
mod scene;
mod svg;
mod text;

pub(crate) use text::escape;

use crate::{Error, ModelSpec, Result};
use graph::Graph;
use std::collections::BTreeSet;

/// Most boxes of a drawing; a larger one is no picture any more. [`Plot::dot`] has no such limit.
pub const MAX_DRAWN_BOXES: usize = 2_000;

/// The direction in which a drawing is read (Graphviz' `rankdir`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RankDir {
    /// From top to bottom.
    #[default]
    TopToBottom,
    /// From left to right.
    LeftToRight,
    /// From bottom to top.
    BottomToTop,
    /// From right to left.
    RightToLeft,
}

impl RankDir {
    const ALL: [Self; 4] = [
        Self::TopToBottom,
        Self::LeftToRight,
        Self::BottomToTop,
        Self::RightToLeft,
    ];

    /// Graphviz' name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TopToBottom => "TB",
            Self::LeftToRight => "LR",
            Self::BottomToTop => "BT",
            Self::RightToLeft => "RL",
        }
    }

    /// The direction with this name, such as `LR`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rankdir| rankdir.name() == name)
    }

    fn is_vertical(self) -> bool {
        matches!(self, Self::TopToBottom | Self::BottomToTop)
    }

    fn is_reversed(self) -> bool {
        matches!(self, Self::BottomToTop | Self::RightToLeft)
    }

    /// From `[vertical, horizontal]` to `[along, across]` and back.
    fn turned(self, [first, second]: [f64; 2]) -> [f64; 2] {
        if self.is_vertical() {
            [first, second]
        } else {
            [second, first]
        }
    }
}

/// The arguments of Keras' `plot_model`, with Keras' defaults for `model_to_dot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlotOptions {
    /// Whether boxes show the shapes of inputs and outputs.
    pub show_shapes: bool,
    /// Whether boxes show the number format of the output.
    pub show_dtype: bool,
    /// Whether boxes show the names of the layers beside their classes.
    pub show_layer_names: bool,
    /// Whether boxes show the activation functions of layers that have one.
    pub show_layer_activations: bool,
    /// Whether boxes show if the weights of a layer are trained.
    pub show_trainable: bool,
    /// Whether nested models are opened.
    pub expand_nested: bool,
    /// Direction of reading.
    pub rankdir: RankDir,
    /// Dots per inch that the DOT text asks Graphviz for.
    pub dpi: u32,
}

impl Default for PlotOptions {
    fn default() -> Self {
        Self {
            show_shapes: false,
            show_dtype: false,
            show_layer_names: true,
            show_layer_activations: false,
            show_trainable: false,
            expand_nested: false,
            rankdir: RankDir::TopToBottom,
            dpi: 200,
        }
    }
}

impl PlotOptions {
    /// `plot_model(show_shapes=True, show_layer_activations=True, show_layer_names=True)`, the call of the lecture.
    pub fn lecture() -> Self {
        Self {
            show_shapes: true,
            show_layer_activations: true,
            ..Self::default()
        }
    }
}

/// A model as a graph of boxes; made by [`ModelSpec::plot`].
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    graph: Graph,
    options: PlotOptions,
}

impl ModelSpec {
    /// The graph that `keras.utils.plot_model` draws: a box a layer (a frame for an opened nested model), an arrow a tensor.
    ///
    /// ```
    /// use nn_theory::{Activation, Dense, ModelSpec, PlotOptions};
    /// let model = ModelSpec::sequential("small").input([4]).layer(Dense::new(2).activation(Activation::Tanh)).build()?;
    /// let plot = model.plot(&PlotOptions::lecture())?;
    /// assert!(plot.dot().contains("Output shape: <b>(None, 2)</b>"));
    /// assert!(plot.svg()?.starts_with("<svg "));
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Plot`] for a model that is not built, as in Keras.
    pub fn plot(&self, options: &PlotOptions) -> Result<Plot> {
        if !self.is_built() {
            let problem = "it is not built; give it an input".to_owned();
            return Err(Error::Plot {
                model: self.name.clone(),
                problem,
            });
        }
        Ok(Plot {
            graph: Graph::of(self, &self.name, options, 0),
            options: options.clone(),
        })
    }
}

impl Plot {
    /// The graph in Graphviz' language: the boxes, frames and edges of `keras.utils.model_to_dot`, with names escaped.
    pub fn dot(&self) -> String {
        dot::write(&self.graph, &self.options)
    }

    /// The drawing, laid out here. Arrows do not cross boxes, texts are measured, lines have the colour of the text around.
    ///
    /// # Errors
    /// [`Error::Plot`] above [`MAX_DRAWN_BOXES`] boxes, or when too many arrows pass too many ranks.
    pub fn svg(&self) -> Result<String> {
        let boxes = self.graph.numbers.len();
        let fail = |problem: String| Error::Plot {
            model: self.graph.name.clone(),
            problem,
        };
        if boxes > MAX_DRAWN_BOXES {
            return Err(fail(format!(
                "it has {boxes} boxes, more than the {MAX_DRAWN_BOXES} that are drawn; plot a part of it, or use DOT"
            )));
        }
        let none = BTreeSet::new();
        let scene = scene::scene(&self.graph, &none, &none, &self.options);
        let scene =
            scene.ok_or_else(|| fail("its arrows pass too many layers to be told apart; use DOT".to_owned()))?;
        Ok(svg::write(&scene, &self.graph.name, &self.options))
    }

    /// Number of boxes.
    pub fn boxes(&self) -> usize {
        self.graph.numbers.len()
    }
}

#[cfg(test)]
mod tests;

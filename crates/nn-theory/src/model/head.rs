//! Parts of models: everything up to a layer, and new layers behind it.

use super::{ModelKind, ModelSpec, Node, auto_name, functional::listing_order, make_node};
use crate::{
    NamedLayer,
    error::{Error, Result},
};
use serde_json::Map;
use std::collections::BTreeMap;

impl ModelSpec {
    /// The model that ends at the layer of this name (its last call), with the layers that it needs; all names, flags and
    /// options stay, so that weights keep their paths.
    ///
    /// ```
    /// use nn_theory::{Dense, ModelSpec};
    /// let model = ModelSpec::sequential("old")
    ///     .input([4])
    ///     .layer(Dense::new(8).name("features"))
    ///     .layer(Dense::new(1000).name("classes"))
    ///     .build()?;
    /// let model = model.up_to("features")?.with_head([Dense::new(2).name("cats_or_dogs")])?;
    /// assert_eq!(model.output_shape().to_string(), "(None, 2)");
    /// assert!(model.layer("classes").is_none());
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Graph`] where no layer has this name, or the model has no shapes yet.
    pub fn up_to(&self, layer: &str) -> Result<ModelSpec> {
        let fail = |problem: String| Error::Graph {
            model: self.name.clone(),
            problem,
        };
        if !self.is_built() {
            return Err(fail("is not built; give it an input".to_owned()));
        }
        let Some(last) = self.nodes.iter().rposition(|node| node.name == layer) else {
            let known: Vec<&str> = self.layers().map(|node| node.name.as_str()).collect();
            return Err(fail(format!("has no layer '{layer}'; it has: {}", known.join(", "))));
        };
        let mut needed = vec![false; self.nodes.len()];
        needed[last] = true;
        for index in (0..=last).rev() {
            if needed[index] {
                self.nodes[index].inputs.iter().for_each(|&from| needed[from] = true);
            }
        }
        let mut place = vec![usize::MAX; self.nodes.len()];
        let mut nodes: Vec<Node> = Vec::new();
        let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate().filter(|(index, _)| needed[*index]) {
            let call = calls.entry(&node.name).or_insert(0);
            if *call != node.call {
                return Err(fail(format!(
                    "calls '{}' once more before '{layer}' for another output; end the model at a later layer",
                    node.name
                )));
            }
            *call += 1;
            let mut node = node.clone();
            node.inputs.iter_mut().for_each(|from| *from = place[*from]);
            place[index] = nodes.len();
            nodes.push(node);
        }
        let inputs = self.inputs.iter().filter(|&&input| needed[input]);
        let inputs = inputs.map(|&input| place[input]).collect();
        self.part(nodes, inputs)
    }

    /// The model with more layers, one after the other, behind its only output.
    ///
    /// A layer without a name gets Keras' next free one.
    ///
    /// # Errors
    /// [`Error::Graph`] for a model of several outputs and for names that are taken; else the error of the first layer that
    /// does not fit.
    pub fn with_head<L: Into<NamedLayer>>(&self, layers: impl IntoIterator<Item = L>) -> Result<ModelSpec> {
        let fail = |problem: String| Error::Graph {
            model: self.name.clone(),
            problem,
        };
        let (&[output], &[tensor]) = (self.outputs.as_slice(), self.output_tensors.as_slice()) else {
            return Err(fail(format!(
                "has {} outputs; a head can be put behind one",
                self.outputs.len()
            )));
        };
        let mut nodes = self.nodes.clone();
        let mut used = BTreeMap::new();
        let mut read = (output, tensor);
        for layer in layers {
            let mut named = layer.into();
            let is_taken = |name: &str| nodes.iter().any(|node| node.name == name);
            let name = match named.name.take() {
                Some(name) if is_taken(&name) => {
                    return Err(fail(format!(
                        "has a layer '{name}' already; give the new one another name"
                    )));
                }
                Some(name) => name,
                None => loop {
                    let name = auto_name(&named.layer, &mut used);
                    if !is_taken(&name) {
                        break name;
                    }
                },
            };
            let node = make_node(&nodes, name, named, &[read], None, None)?;
            nodes.push(node);
            read = (nodes.len() - 1, 0);
        }
        if read == (output, tensor) {
            return Ok(self.clone());
        }
        self.part(nodes, self.inputs.clone())
    }

    /// A model of these nodes that ends at the last of them.
    fn part(&self, nodes: Vec<Node>, inputs: Vec<usize>) -> Result<ModelSpec> {
        let last = nodes.len().saturating_sub(1);
        let rows = match self.kind {
            ModelKind::Sequential => (0..nodes.len()).collect(),
            ModelKind::Functional => listing_order(&nodes, &[last]),
        };
        let count = nodes.last().map_or(1, |node| node.output_shapes.len());
        // A layer of a stack has one output that counts.
        let count = if self.kind == ModelKind::Sequential { 1 } else { count };
        ModelSpec {
            name: self.name.clone(),
            kind: self.kind,
            trainable: self.trainable,
            dtype: self.dtype,
            rows,
            inputs,
            outputs: vec![last; count],
            output_tensors: (0..count).collect(),
            nodes,
            structure: None,
            extra: Map::new(),
        }
        .checked()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Add, Dense, Layer, ModelSpec};

    fn branched() -> ModelSpec {
        let mut graph = ModelSpec::functional("branched");
        let x = graph.input_named("x", [4]).unwrap();
        let y = graph.input_named("y", [4]).unwrap();
        let shared = graph.layer(Dense::new(3).name("shared"), x).unwrap();
        let again = graph.again(shared, y).unwrap();
        let sum = graph.layer(Add::new().name("sum"), [shared, again]).unwrap();
        let one = graph.layer(Dense::new(2).name("one"), sum).unwrap();
        let two = graph.layer(Dense::new(5).name("two"), sum).unwrap();
        graph.build([x, y], [one, two]).unwrap()
    }

    #[test]
    fn a_part_keeps_what_its_end_needs() {
        let model = branched();
        let part = model.up_to("sum").unwrap();
        let names: Vec<&str> = part.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["x", "y", "shared", "shared", "sum"]);
        assert_eq!(part.inputs().len(), 2);
        assert_eq!(part.counts().total, 15);
        let head = part.with_head([Dense::new(7), Dense::new(1)]).unwrap();
        let names: Vec<&str> = head.layers().map(|node| node.name.as_str()).collect();
        assert_eq!(names[names.len() - 2..], ["dense", "dense_1"]);
        assert_eq!(head.output_shape().to_string(), "(None, 1)");
        // What is written can be read again.
        let read = ModelSpec::from_keras_json(&head.to_keras_json()).unwrap();
        assert_eq!(read.counts(), head.counts());
        assert!(matches!(read.layer("shared").unwrap().layer, Layer::Dense(_)));
    }

    #[test]
    fn what_has_no_part_is_refused() {
        let model = branched();
        assert!(model.up_to("three").unwrap_err().to_string().contains("shared"));
        assert!(model.with_head([Dense::new(1)]).is_err(), "two outputs");
        let part = model.up_to("sum").unwrap();
        assert!(
            part.with_head([Dense::new(1).name("shared")]).is_err(),
            "the name is taken"
        );
        let unbuilt = ModelSpec::sequential("unbuilt").layer(Dense::new(2)).build().unwrap();
        assert!(unbuilt.up_to("dense").is_err());
    }
}

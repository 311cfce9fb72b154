//! The messages of an ONNX file that a network needs.

use std::collections::BTreeMap;

use crate::Source;
use crate::fault::{Fault, Result, quoted};
use crate::onnx::protobuf::Message;

/// A model: its graph and the version of its operators.
pub(super) struct ModelProto<'a> {
    pub(super) graph: Message<'a>,
    /// Of ONNX' own operators.
    pub(super) opset: i64,
    /// Texts beside the graph, by key.
    pub(super) properties: BTreeMap<&'a str, &'a str>,
}

/// A graph whose parts were found.
#[derive(Default)]
pub(super) struct GraphProto<'a> {
    pub(super) name: &'a str,
    pub(super) nodes: Vec<NodeProto<'a>>,
    pub(super) initializers: Vec<Message<'a>>,
    pub(super) inputs: Vec<ValueProto<'a>>,
    pub(super) outputs: Vec<ValueProto<'a>>,
}

/// An operator applied to values, all by name.
#[derive(Default)]
pub(super) struct NodeProto<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    pub(super) domain: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    attributes: BTreeMap<&'a str, Message<'a>>,
    pub(super) offset: usize,
}

/// Name, number format and shape of an input or output; `None` for sizes that have no number.
#[derive(Default)]
pub(super) struct ValueProto<'a> {
    pub(super) name: &'a str,
    pub(super) kind: i64,
    pub(super) shape: Option<Vec<Option<u64>>>,
}

impl<'a> ModelProto<'a> {
    pub(super) fn read(source: &'a Source) -> Result<Self> {
        let (mut graph, mut opset) = (None, None);
        let mut properties = BTreeMap::new();
        for field in Message::new(source.bytes()).fields() {
            let field = field?;
            match field.number {
                7 => graph = Some(field.message()?),
                8 => {
                    let (mut domain, mut version) = ("", 0);
                    for field in field.message()?.fields() {
                        let field = field?;
                        match field.number {
                            1 => domain = field.text()?,
                            2 => version = field.int()?,
                            _ => {}
                        }
                    }
                    if matches!(domain, "" | "ai.onnx") {
                        opset = Some(version);
                    }
                }
                14 => {
                    let (key, text) = entry(field.message()?)?;
                    properties.insert(key, text);
                }
                _ => {}
            }
        }
        let missing = |what: &str| {
            Fault::new(
                "the model",
                format!("{what} is missing; no ONNX file, or only a part of one"),
            )
        };
        Ok(ModelProto {
            graph: graph.ok_or_else(|| missing("the graph"))?,
            opset: opset.ok_or_else(|| missing("the version of the operators"))?,
            properties,
        })
    }
}

/// A `StringStringEntryProto`: a key and its text.
pub(super) fn entry<'a>(message: Message<'a>) -> Result<(&'a str, &'a str)> {
    let (mut key, mut value) = ("", "");
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => key = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    Ok((key, value))
}

impl<'a> GraphProto<'a> {
    /// Finds nodes, constants, inputs and outputs, at most `items` of each.
    pub(super) fn read(message: Message<'a>, items: usize) -> Result<Self> {
        let mut graph = GraphProto::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => graph.nodes.push(NodeProto::read(field.message()?)?),
                2 => graph.name = field.text()?,
                5 => graph.initializers.push(field.message()?),
                11 => graph.inputs.push(ValueProto::read(field.message()?)?),
                12 => graph.outputs.push(ValueProto::read(field.message()?)?),
                15 => {
                    return Err(Fault::new(
                        format!("byte {}", field.offset),
                        "sparse constants are not read; export dense ones",
                    ));
                }
                _ => {}
            }
            let most = [
                graph.nodes.len(),
                graph.initializers.len(),
                graph.inputs.len(),
                graph.outputs.len(),
            ];
            if most.iter().any(|&count| count > items) {
                return Err(Fault::new(
                    format!("byte {}", field.offset),
                    format!("more than {items} nodes or constants"),
                ));
            }
        }
        Ok(graph)
    }
}

impl<'a> NodeProto<'a> {
    fn read(message: Message<'a>) -> Result<Self> {
        let mut node = NodeProto {
            offset: message.offset,
            ..NodeProto::default()
        };
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => node.inputs.push(field.text()?),
                2 => node.outputs.push(field.text()?),
                3 => node.name = field.text()?,
                4 => node.kind = field.text()?,
                7 => node.domain = field.text()?,
                5 => {
                    let attribute = field.message()?;
                    let mut name = "";
                    for field in attribute.fields() {
                        let field = field?;
                        if field.number == 1 {
                            name = field.text()?;
                        }
                    }
                    node.attributes.insert(name, attribute);
                }
                _ => {}
            }
        }
        Ok(node)
    }

    /// Where it is, for messages.
    pub(super) fn place(&self) -> String {
        format!(
            "node '{}' ({}, byte {})",
            quoted(self.name),
            quoted(self.kind),
            self.offset
        )
    }

    pub(super) fn wrong(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.place(), reason)
    }

    fn attribute<T>(
        &self,
        name: &str,
        read: impl Fn(&crate::onnx::protobuf::Field<'a>, &mut Option<T>) -> Result<()>,
    ) -> Result<Option<T>> {
        let Some(attribute) = self.attributes.get(name) else {
            return Ok(None);
        };
        let mut value = None;
        for field in attribute.fields() {
            read(&field?, &mut value)?;
        }
        Ok(value)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64> {
        let found = self.attribute(name, |field, value| {
            if field.number == 3 {
                *value = Some(field.int()?);
            }
            Ok(())
        })?;
        Ok(found.unwrap_or(default))
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32> {
        let found = self.attribute(name, |field, value| {
            if field.number == 2 {
                *value = Some(field.float()?);
            }
            Ok(())
        })?;
        Ok(found.unwrap_or(default))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        self.attribute(name, |field, value| {
            if field.number == 4 {
                *value = Some(field.text()?);
            }
            Ok(())
        })
    }

    /// A list of whole numbers; `None` where there is no such attribute.
    pub(super) fn ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        if !self.attributes.contains_key(name) {
            return Ok(None);
        }
        let found = self.attribute(name, |field, value: &mut Option<Vec<i64>>| {
            if field.number == 8 {
                field.ints(value.get_or_insert_default())?;
            }
            Ok(())
        })?;
        Ok(Some(found.unwrap_or_default()))
    }

    /// A list of texts; empty where there is no such attribute.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<&'a str>> {
        let found = self.attribute(name, |field, value: &mut Option<Vec<&'a str>>| {
            if field.number == 9 {
                value.get_or_insert_default().push(field.text()?);
            }
            Ok(())
        })?;
        Ok(found.unwrap_or_default())
    }

    /// The tensor of a `Constant`.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<Message<'a>>> {
        self.attribute(name, |field, value| {
            if field.number == 5 {
                *value = Some(field.message()?);
            }
            Ok(())
        })
    }

    /// The name of an input that may be left out.
    pub(super) fn input(&self, place: usize) -> Option<&'a str> {
        self.inputs.get(place).copied().filter(|name| !name.is_empty())
    }

    /// The first output.
    pub(super) fn output(&self) -> Result<&'a str> {
        self.outputs.first().copied().ok_or_else(|| self.wrong("has no output"))
    }
}

impl<'a> ValueProto<'a> {
    fn read(message: Message<'a>) -> Result<Self> {
        let mut value = ValueProto::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => value.name = field.text()?,
                2 => {
                    for field in field.message()?.fields() {
                        let field = field?;
                        if field.number == 1 {
                            value.tensor(field.message()?)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(value)
    }

    /// `TypeProto.Tensor`
    fn tensor(&mut self, message: Message<'a>) -> Result<()> {
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => self.kind = field.int()?,
                2 => {
                    let mut shape = Vec::new();
                    for field in field.message()?.fields() {
                        let mut size = None;
                        let field = field?;
                        for part in field.message()?.fields() {
                            let part = part?;
                            if part.number == 1 {
                                size = u64::try_from(part.int()?).ok();
                            }
                        }
                        shape.push(size);
                        if shape.len() > 64 {
                            return Err(Fault::new(
                                format!("byte {}", field.offset),
                                "a shape of more than 64 axes",
                            ));
                        }
                    }
                    self.shape = Some(shape);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

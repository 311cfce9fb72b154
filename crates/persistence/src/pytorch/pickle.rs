//! The stack machine of Python's pickles, with a closed list of instructions and of names, and bounds on everything.

use std::collections::BTreeMap;

use super::opcode::{Opcode, refused_name};
use super::storage::{self, Callable, Storage, TensorView};
use crate::fault::{Fault, Result, quoted};
use crate::limits::{MAX_DEPTH, MAX_ITEMS};

/// Instructions of one pickle; a checkpoint needs about 40 a tensor.
const MAX_STEPS: usize = 1 << 21;

/// Values on the stack and in the memo; a list of a million numbers is put on the stack in batches of 1000.
const MAX_STACK: usize = 1 << 20;

/// One object of the pickle.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits: its bytes, little-endian.
    Long(Vec<u8>),
    Float(f64),
    Text(std::rc::Rc<str>),
    Bytes(std::rc::Rc<[u8]>),
    /// The items, and how many tuples lie in each other here.
    Tuple(std::rc::Rc<[Value]>, usize),
    /// A list or set: its place in [`Pickle::lists`].
    List(usize),
    /// A dictionary: its place in [`Pickle::dictionaries`].
    Dict(usize),
    Callable(Callable),
    Storage(std::rc::Rc<Storage>),
    Tensor(std::rc::Rc<TensorView>),
}

impl Value {
    /// What it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Long(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::Bytes(_) => "bytes",
            Value::Tuple(..) => "a tuple",
            Value::List(_) => "a list",
            Value::Dict(_) => "a dictionary",
            Value::Callable(_) => "the name of a function or class",
            Value::Storage(_) => "a storage",
            Value::Tensor(_) => "a tensor",
        }
    }
}

/// What a pickle made: its last value, and the containers that values refer to.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) value: Value,
    pub(super) lists: Vec<Vec<Value>>,
    pub(super) dictionaries: Vec<Vec<(Value, Value)>>,
    /// Bytes that it took.
    pub(super) length: usize,
}

/// Runs a pickle until its STOP.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle> {
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        pickle: Pickle {
            value: Value::None,
            lists: Vec::new(),
            dictionaries: Vec::new(),
            length: 0,
        },
    };
    let mut started = 0;
    for _ in 0..MAX_STEPS {
        started = machine.at;
        match machine.step() {
            Ok(false) => {}
            Ok(true) => {
                machine.pickle.length = machine.at;
                return Ok(machine.pickle);
            }
            Err(reason) => return Err(Fault::new(format!("byte {started} of the pickle"), reason)),
        }
    }
    let reason = format!("the pickle goes on after {MAX_STEPS} instructions, which is more than is read");
    Err(Fault::new(format!("byte {started} of the pickle"), reason))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Heights of the stack at each MARK.
    marks: Vec<usize>,
    memo: BTreeMap<usize, Value>,
    pickle: Pickle,
}

type Step<T> = std::result::Result<T, String>;

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Step<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            let left = self.bytes.len() - self.at;
            return Err(format!("ends here: {count} more bytes were expected, {left} are left"));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut number = [0; N];
        number.copy_from_slice(self.take(N)?);
        Ok(number)
    }

    fn line(&mut self) -> Step<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(4096).position(|&byte| byte == b'\n');
        let Some(end) = end else {
            return Err("a name without an end".to_string());
        };
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| "a name that is not UTF-8".to_string())
    }

    fn text(&mut self, length: usize) -> Step<()> {
        let bytes = self.take(length)?;
        // Protocol 2 of Python 2 wrote names as bytes in ASCII.
        let text = std::str::from_utf8(bytes).map_err(|_| "a text that is not UTF-8".to_string())?;
        self.push(Value::Text(text.into()))
    }

    fn push(&mut self, value: Value) -> Step<()> {
        if self.stack.len() >= MAX_STACK {
            return Err(format!("more than {MAX_STACK} values on the stack"));
        }
        self.stack.push(value);
        Ok(())
    }

    /// The top of the stack; nothing below the last MARK belongs to an instruction.
    fn pop(&mut self) -> Step<Value> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err("takes a value from an empty stack".to_string());
        }
        self.stack
            .pop()
            .ok_or_else(|| "takes a value from an empty stack".to_string())
    }

    fn since_mark(&mut self) -> Step<Vec<Value>> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err("takes values up to a MARK that was not set".to_string()),
        }
    }

    fn remember(&mut self, index: usize) -> Step<()> {
        let Some(value) = self.stack.last().cloned() else {
            return Err("remembers a value of an empty stack".to_string());
        };
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&mut self, index: usize) -> Step<()> {
        match self.memo.get(&index).cloned() {
            Some(value) => self.push(value),
            None => Err(format!("recalls value {index}, which was never remembered")),
        }
    }

    fn tuple(&mut self, count: usize) -> Step<()> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push_tuple(items)
    }

    fn push_tuple(&mut self, items: Vec<Value>) -> Step<()> {
        let inside = items.iter().map(|item| match item {
            Value::Tuple(_, depth) => *depth,
            _ => 0,
        });
        let depth = inside.max().unwrap_or(0) + 1;
        if depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} tuples within each other"));
        }
        self.push(Value::Tuple(items.into(), depth))
    }

    fn count_containers(&self) -> Step<()> {
        if self.pickle.lists.len() + self.pickle.dictionaries.len() < MAX_ITEMS {
            return Ok(());
        }
        Err(format!("makes more than {MAX_ITEMS} lists and dictionaries"))
    }

    fn new_list(&mut self) -> Step<()> {
        self.count_containers()?;
        self.pickle.lists.push(Vec::new());
        self.push(Value::List(self.pickle.lists.len() - 1))
    }

    fn new_dict(&mut self) -> Step<()> {
        self.count_containers()?;
        self.pickle.dictionaries.push(Vec::new());
        self.push(Value::Dict(self.pickle.dictionaries.len() - 1))
    }

    fn extend_list(&mut self, items: Vec<Value>) -> Step<()> {
        match self.stack.last() {
            Some(&Value::List(list)) => self.pickle.lists[list].extend(items),
            other => return Err(format!("adds to a list, found {}", kind_of(other))),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: Vec<Value>) -> Step<()> {
        let Some(&Value::Dict(dictionary)) = self.stack.last() else {
            return Err(format!(
                "sets an item of a dictionary, found {}",
                kind_of(self.stack.last())
            ));
        };
        if items.len() % 2 == 1 {
            return Err("sets a key of a dictionary without a value".to_string());
        }
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            self.pickle.dictionaries[dictionary].push((key, value));
        }
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Step<()> {
        let callable = storage::callable(module, name).ok_or_else(|| {
            format!(
                "names '{}.{}', which is not on the list of what a checkpoint of tensors needs; nothing was run. Save \
                 `model.state_dict()` instead",
                quoted(module),
                quoted(name)
            )
        })?;
        self.push(Value::Callable(callable))
    }

    /// A call; only those of the list are understood, and none of them runs anything.
    fn call(&mut self) -> Step<()> {
        let arguments = self.pop()?;
        let callee = self.pop()?;
        let (Value::Callable(callable), Value::Tuple(arguments, _)) = (&callee, &arguments) else {
            return Err(format!("calls {} with {}", callee.kind(), arguments.kind()));
        };
        match callable {
            Callable::OrderedDict if arguments.is_empty() => self.new_dict(),
            Callable::OrderedDict => match &arguments[..] {
                [Value::List(pairs)] => {
                    let mut items = Vec::new();
                    for pair in self.pickle.lists[*pairs].clone() {
                        match pair {
                            Value::Tuple(pair, _) if pair.len() == 2 => items.extend_from_slice(&pair),
                            other => return Err(format!("makes a dictionary of {}", other.kind())),
                        }
                    }
                    self.new_dict()?;
                    self.extend_dict(items)
                }
                _ => Err("makes a dictionary of something else than a list of pairs".to_string()),
            },
            Callable::Set => match &arguments[..] {
                [Value::List(_)] => self.push(arguments[0].clone()),
                _ => Err("makes a set of something else than a list".to_string()),
            },
            Callable::Size => match &arguments[..] {
                [Value::Tuple(..)] => self.push(arguments[0].clone()),
                _ => Err("makes a size of something else than a tuple".to_string()),
            },
            Callable::Device => match &arguments[..] {
                [Value::Text(_), ..] => self.push(arguments[0].clone()),
                _ => Err("makes a device of something else than a text".to_string()),
            },
            // Bytes in protocol 2: text in which every character is a byte.
            Callable::Encode => match &arguments[..] {
                [Value::Text(text), Value::Text(code)] if &**code == "latin1" => {
                    let bytes: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(letter).ok()).collect();
                    let bytes = bytes.ok_or_else(|| "encodes a text that is not latin1".to_string())?;
                    self.push(Value::Bytes(bytes.into()))
                }
                _ => Err("encodes something else than a text in latin1".to_string()),
            },
            Callable::Parameter => match &arguments[..] {
                [tensor @ Value::Tensor(_), ..] => self.push(tensor.clone()),
                _ => Err("makes a parameter of something else than a tensor".to_string()),
            },
            Callable::TensorV2 | Callable::TensorV1 | Callable::TensorV3 => {
                let tensor = storage::tensor(*callable, arguments)?;
                self.push(Value::Tensor(tensor.into()))
            }
            Callable::Dtype(_) | Callable::StorageClass(_) => Err(format!("calls {}", callable.name())),
        }
    }

    fn step(&mut self) -> Step<bool> {
        let byte = self.take(1)?[0];
        let opcode = Opcode::from_byte(byte)
            .ok_or_else(|| format!("the instruction 0x{byte:02x} ({}) is refused", refused_name(byte)))?;
        match opcode {
            Opcode::Proto => {
                let [protocol] = self.number()?;
                if !(2..=5).contains(&protocol) {
                    return Err(format!("protocol {protocol}; protocols 2 to 5 are read"));
                }
            }
            Opcode::Frame => {
                self.take(8)?;
            }
            Opcode::Stop => {
                if !self.marks.is_empty() || self.stack.len() != 1 {
                    return Err("ends with other than one value".to_string());
                }
                self.pickle.value = self.pop()?;
                return Ok(true);
            }
            Opcode::Mark => {
                if self.marks.len() >= MAX_STACK {
                    return Err(format!("more than {MAX_STACK} marks"));
                }
                self.marks.push(self.stack.len());
            }
            Opcode::Pop => {
                self.pop()?;
            }
            Opcode::None => self.push(Value::None)?,
            Opcode::NewTrue => self.push(Value::Bool(true))?,
            Opcode::NewFalse => self.push(Value::Bool(false))?,
            Opcode::BinInt => {
                let number = i32::from_le_bytes(self.number()?);
                self.push(Value::Int(number.into()))?;
            }
            Opcode::BinInt1 => {
                let [number] = self.number()?;
                self.push(Value::Int(number.into()))?;
            }
            Opcode::BinInt2 => {
                let number = u16::from_le_bytes(self.number()?);
                self.push(Value::Int(number.into()))?;
            }
            Opcode::Long1 => {
                let [length] = self.number()?;
                let bytes = self.take(length.into())?;
                self.push(long(bytes))?;
            }
            Opcode::BinFloat => {
                let number = f64::from_be_bytes(self.number()?);
                self.push(Value::Float(number))?;
            }
            Opcode::BinUnicode | Opcode::BinString => {
                let length = u32::from_le_bytes(self.number()?);
                self.text(length as usize)?;
            }
            Opcode::ShortBinUnicode | Opcode::ShortBinString => {
                let [length] = self.number()?;
                self.text(length.into())?;
            }
            Opcode::BinBytes => {
                let length = u32::from_le_bytes(self.number()?);
                let bytes = self.take(length as usize)?;
                self.push(Value::Bytes(bytes.into()))?;
            }
            Opcode::ShortBinBytes => {
                let [length] = self.number()?;
                let bytes = self.take(length.into())?;
                self.push(Value::Bytes(bytes.into()))?;
            }
            Opcode::EmptyTuple => self.tuple(0)?,
            Opcode::Tuple1 => self.tuple(1)?,
            Opcode::Tuple2 => self.tuple(2)?,
            Opcode::Tuple3 => self.tuple(3)?,
            Opcode::Tuple => {
                let items = self.since_mark()?;
                self.push_tuple(items)?;
            }
            Opcode::EmptyList | Opcode::EmptySet => self.new_list()?,
            Opcode::Append => {
                let item = self.pop()?;
                self.extend_list(vec![item])?;
            }
            Opcode::Appends | Opcode::AddItems => {
                let items = self.since_mark()?;
                self.extend_list(items)?;
            }
            Opcode::EmptyDict => self.new_dict()?,
            Opcode::SetItem => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.extend_dict(vec![key, value])?;
            }
            Opcode::SetItems => {
                let items = self.since_mark()?;
                self.extend_dict(items)?;
            }
            Opcode::Global => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            Opcode::StackGlobal => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&module, &name) {
                    (Value::Text(module), Value::Text(name)) => self.global(module, name)?,
                    _ => return Err(format!("names {} in {}", name.kind(), module.kind())),
                }
            }
            Opcode::BinPut => {
                let [index] = self.number()?;
                self.remember(index.into())?;
            }
            Opcode::LongBinPut => {
                let index = u32::from_le_bytes(self.number()?);
                self.remember(index as usize)?;
            }
            Opcode::Memoize => self.remember(self.memo.len())?,
            Opcode::BinGet => {
                let [index] = self.number()?;
                self.recall(index.into())?;
            }
            Opcode::LongBinGet => {
                let index = u32::from_le_bytes(self.number()?);
                self.recall(index as usize)?;
            }
            Opcode::BinPersId => {
                let reference = self.pop()?;
                let storage = Storage::referred(&reference)?;
                self.push(Value::Storage(storage.into()))?;
            }
            Opcode::Reduce | Opcode::NewObj => self.call()?,
            // Attributes of a dictionary (`_metadata` of a state_dict) say nothing about its tensors.
            Opcode::Build => {
                let state = self.pop()?;
                match self.stack.last() {
                    Some(Value::Dict(_)) if matches!(state, Value::Dict(_)) => {}
                    other => return Err(format!("gives {} to {}", state.kind(), kind_of(other))),
                }
            }
        }
        Ok(false)
    }
}

fn kind_of(value: Option<&Value>) -> &'static str {
    value.map_or("nothing", Value::kind)
}

/// A whole number in two's complement.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Long(bytes.to_vec());
    }
    let sign = bytes.last().is_some_and(|&byte| byte & 0x80 != 0);
    let mut whole = [if sign { 0xff } else { 0 }; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(whole))
}

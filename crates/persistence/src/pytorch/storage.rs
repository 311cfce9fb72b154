//! Storages, and the tensors that look at them: the names that a checkpoint may use, and what they mean.

use std::rc::Rc;

use safetensors::Dtype;

use super::pickle::Value;
use crate::fault::quoted;
use crate::layout::is_countable;

/// The axes that PyTorch itself allows.
const MAX_AXES: usize = 64;

/// A name that a pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callable {
    OrderedDict,
    Set,
    Size,
    Device,
    Encode,
    /// `torch._utils._rebuild_parameter`
    Parameter,
    /// `torch._utils._rebuild_tensor`
    TensorV1,
    /// `torch._utils._rebuild_tensor_v2`
    TensorV2,
    /// `torch._utils._rebuild_tensor_v3`
    TensorV3,
    /// `torch.float32`
    Dtype(Dtype),
    /// `torch.FloatStorage`; `None` for one of bytes
    StorageClass(Option<Dtype>),
}

impl Callable {
    pub(super) fn name(self) -> String {
        match self {
            Callable::Dtype(dtype) => format!("the number format {dtype}"),
            Callable::StorageClass(_) => "the class of a storage".to_string(),
            other => format!("{other:?}"),
        }
    }
}

/// The closed list of names; `None` for every other one.
pub(super) fn callable(module: &str, name: &str) -> Option<Callable> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Callable::OrderedDict,
        ("builtins" | "__builtin__", "set") => Callable::Set,
        ("torch", "Size") => Callable::Size,
        ("torch", "device") => Callable::Device,
        ("_codecs", "encode") => Callable::Encode,
        ("torch._utils", "_rebuild_parameter") => Callable::Parameter,
        ("torch._utils", "_rebuild_tensor") => Callable::TensorV1,
        ("torch._utils", "_rebuild_tensor_v2") => Callable::TensorV2,
        ("torch._utils", "_rebuild_tensor_v3") => Callable::TensorV3,
        ("torch" | "torch.storage", "UntypedStorage") => Callable::StorageClass(None),
        ("torch" | "torch.cuda", class) if class.ends_with("Storage") => {
            let (_, dtype) = STORAGES.iter().find(|(own, _)| *own == class)?;
            Callable::StorageClass(Some(*dtype))
        }
        ("torch", dtype) => Callable::Dtype(DTYPES.iter().find(|(own, _)| *own == dtype)?.1),
        _ => return None,
    })
}

/// The classes of storages and the number format of each.
pub(super) const STORAGES: &[(&str, Dtype)] = &[
    ("FloatStorage", Dtype::F32),
    ("DoubleStorage", Dtype::F64),
    ("HalfStorage", Dtype::F16),
    ("BFloat16Storage", Dtype::BF16),
    ("LongStorage", Dtype::I64),
    ("IntStorage", Dtype::I32),
    ("ShortStorage", Dtype::I16),
    ("CharStorage", Dtype::I8),
    ("ByteStorage", Dtype::U8),
    ("BoolStorage", Dtype::BOOL),
];

const DTYPES: &[(&str, Dtype)] = &[
    ("float32", Dtype::F32),
    ("float64", Dtype::F64),
    ("float16", Dtype::F16),
    ("bfloat16", Dtype::BF16),
    ("int64", Dtype::I64),
    ("int32", Dtype::I32),
    ("int16", Dtype::I16),
    ("int8", Dtype::I8),
    ("uint8", Dtype::U8),
    ("uint16", Dtype::U16),
    ("uint32", Dtype::U32),
    ("uint64", Dtype::U64),
    ("bool", Dtype::BOOL),
    ("float8_e4m3fn", Dtype::F8_E4M3),
    ("float8_e5m2", Dtype::F8_E5M2),
];

/// A block of numbers beside the pickle, which tensors look at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage {
    /// Its name: the member `data/KEY` of the archive.
    pub(super) key: Rc<str>,
    /// `None` for a storage of bytes.
    pub(super) dtype: Option<Dtype>,
    /// How many numbers it has.
    pub(super) count: usize,
}

impl Storage {
    /// `("storage", class, key, device, count)`, and in old files a view on another storage, or None.
    pub(super) fn referred(reference: &Value) -> Result<Self, String> {
        let found = match reference {
            Value::Tuple(parts, _) => match &parts[..] {
                [
                    Value::Text(what),
                    Value::Callable(Callable::StorageClass(dtype)),
                    Value::Text(key),
                    _device,
                    Value::Int(count),
                    rest @ ..,
                ] if &**what == "storage" => {
                    if !matches!(rest, [] | [Value::None]) {
                        return Err(
                            "a storage that is a part of another one; save the file again with torch 1.6 or later"
                                .into(),
                        );
                    }
                    let count = usize::try_from(*count).map_err(|_| format!("a storage of {count} numbers"))?;
                    Some(Storage {
                        key: key.clone(),
                        dtype: *dtype,
                        count,
                    })
                }
                _ => None,
            },
            _ => None,
        };
        found.ok_or_else(|| "refers to something else than ('storage', class, key, device, count)".to_string())
    }
}

/// A tensor: a part of a storage under a shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorView {
    pub(super) storage: Rc<Storage>,
    pub(super) dtype: Dtype,
    /// In numbers.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// In numbers.
    pub(super) strides: Vec<usize>,
}

impl TensorView {
    /// One behind the last number that it looks at; `None` where that leaves the address space.
    pub(super) fn end(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(self.offset);
        }
        let axes = self.shape.iter().zip(&self.strides);
        let last = axes.into_iter().try_fold(self.offset, |last, (&size, &stride)| {
            last.checked_add((size - 1).checked_mul(stride)?)
        })?;
        last.checked_add(1)
    }
}

/// The tensor that `_rebuild_tensor…(storage, offset, size, stride, …)` makes.
pub(super) fn tensor(callable: Callable, arguments: &[Value]) -> Result<TensorView, String> {
    let [
        Value::Storage(storage),
        Value::Int(offset),
        Value::Tuple(size, _),
        Value::Tuple(strides, _),
        rest @ ..,
    ] = arguments
    else {
        let kinds: Vec<&str> = arguments.iter().map(Value::kind).collect();
        return Err(format!("makes a tensor of {}", kinds.join(", ")));
    };
    let dtype = match (callable, rest) {
        (Callable::TensorV3, [_, _, Value::Callable(Callable::Dtype(dtype)), ..]) => *dtype,
        (Callable::TensorV3, _) => return Err("makes a tensor without a number format".to_string()),
        _ => storage
            .dtype
            .ok_or_else(|| "makes a tensor of a storage without a number format".to_string())?,
    };
    let whole = |values: &[Value], what: &str| -> Result<Vec<usize>, String> {
        let one = |value: &Value| match value {
            Value::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        };
        let found: Option<Vec<usize>> = values.iter().map(one).collect();
        found.ok_or_else(|| format!("a tensor whose {what} are not whole numbers of at least 0"))
    };
    let view = TensorView {
        dtype,
        offset: usize::try_from(*offset).map_err(|_| format!("a tensor that begins at number {offset}"))?,
        shape: whole(size, "sizes")?,
        strides: whole(strides, "strides")?,
        storage: storage.clone(),
    };
    if !is_countable(&view.shape) {
        return Err(format!(
            "a tensor of the shape {:?}, which has more numbers than there are addresses",
            view.shape
        ));
    }
    if view.shape.len() != view.strides.len() || view.shape.len() > MAX_AXES {
        return Err(format!(
            "a tensor of {} sizes and {} strides (storage '{}')",
            view.shape.len(),
            view.strides.len(),
            quoted(&view.storage.key)
        ));
    }
    Ok(view)
}

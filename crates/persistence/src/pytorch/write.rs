//! Writing a checkpoint: the smallest pickle that says what a state_dict is, and the numbers beside it.

use std::borrow::Cow;
use std::io::{self, Seek, Write};

use nn_theory::ModelSpec;
use safetensors::Dtype;

use super::checkpoint::MODEL;
use super::mapping;
use super::opcode::Opcode;
use super::storage::STORAGES;
use crate::layout::row_major;
use crate::stored::StoredTensor;
use crate::stored_zip::StoredZip;
use crate::{Error, Format, Model, Result};

/// The folder in the archive; PyTorch takes whatever name it finds.
const FOLDER: &str = "archive";

/// A pickle under construction.
struct Pickle(Vec<u8>);

impl Pickle {
    fn op(&mut self, opcode: Opcode) -> &mut Self {
        self.0.push(opcode.byte());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.op(Opcode::BinUnicode);
        // Names are far shorter than 4 GB.
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    fn global(&mut self, module: &str, name: &str) -> &mut Self {
        self.op(Opcode::Global);
        self.0.extend(format!("{module}\n{name}\n").as_bytes());
        self
    }

    fn number(&mut self, number: usize) -> &mut Self {
        match i32::try_from(number) {
            Ok(number) => {
                self.op(Opcode::BinInt);
                self.0.extend(number.to_le_bytes());
            }
            Err(_) => {
                self.op(Opcode::Long1);
                // Nine bytes, so that the sign is never set.
                self.0.push(9);
                self.0.extend((number as u64).to_le_bytes());
                self.0.push(0);
            }
        }
        self
    }

    fn numbers(&mut self, numbers: &[usize]) -> &mut Self {
        self.op(Opcode::Mark);
        for &number in numbers {
            self.number(number);
        }
        self.op(Opcode::Tuple)
    }

    fn ordered_dict(&mut self) -> &mut Self {
        self.global("collections", "OrderedDict")
            .op(Opcode::EmptyTuple)
            .op(Opcode::Reduce)
    }

    /// `_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`
    fn tensor(&mut self, key: usize, class: &str, tensor: &StoredTensor) {
        self.global("torch._utils", "_rebuild_tensor_v2").op(Opcode::Mark);
        self.op(Opcode::Mark).text("storage").global("torch", class);
        self.text(&key.to_string()).text("cpu").number(tensor.len());
        self.op(Opcode::Tuple).op(Opcode::BinPersId);
        self.number(0)
            .numbers(tensor.shape())
            .numbers(&row_major(tensor.shape()));
        self.op(Opcode::NewFalse).ordered_dict();
        self.op(Opcode::Tuple).op(Opcode::Reduce);
    }
}

/// Writes the weights as a state_dict, as `torch.save` does; `torch.load(path, weights_only=True)` opens it.
///
/// The description of the network, where there is one, goes into a member of its own, which PyTorch does not look at. The same
/// contents give the same bytes. Tensors are turned and written one after the other.
///
/// # Errors
/// [`Error::NotWritten`] for number formats that PyTorch's checkpoints do not have, and for layers whose weights have an order
/// that PyTorch does not have.
pub(crate) fn write(
    model: &Model,
    to: &mut (impl Write + Seek + Send),
    failed: &dyn Fn(io::Error) -> Error,
) -> Result<()> {
    let description = model.spec.as_ref().map(ModelSpec::to_keras_json);
    let state = match &model.spec {
        Some(spec) => {
            let state = mapping::of(spec).and_then(|mapping| mapping.to_torch(&model.weights));
            state.map_err(|fault| Error::NotWritten {
                path: model.path.clone(),
                format: Format::Torch,
                what: fault.place,
                reason: fault.reason,
            })?
        }
        None => model.weights.clone(),
    };
    let mut pickle = Pickle(Vec::new());
    pickle.op(Opcode::Proto).0.push(2);
    pickle.ordered_dict().op(Opcode::Mark);
    for (key, (name, tensor)) in state.iter().enumerate() {
        let class = storage_class(tensor.dtype()).ok_or_else(|| Error::NotWritten {
            path: model.path.clone(),
            format: Format::Torch,
            what: format!("the tensor '{name}' ({})", tensor.dtype()),
            reason: "checkpoints hold bool, u8, i8, i16, i32, i64, f16, bf16, f32 and f64; convert it first"
                .to_string(),
        })?;
        pickle.text(name).tensor(key, class, tensor);
    }
    pickle.op(Opcode::SetItems).op(Opcode::Stop);
    let mut zip = StoredZip::new(to);
    let place = |name: &str| format!("{FOLDER}/{name}");
    let texts: [(&str, Option<&[u8]>); 3] = [
        ("data.pkl", Some(&pickle.0)),
        ("byteorder", Some(b"little")),
        (MODEL, description.as_ref().map(String::as_bytes)),
    ];
    for (name, text) in texts {
        text.map_or(Ok(()), |text| zip.member(&place(name), text))
            .map_err(failed)?;
    }
    for (key, tensor) in state.values().enumerate() {
        let name = place(&format!("data/{key}"));
        zip.numbers(
            &name,
            tensor.byte_len(),
            &[],
            tensor,
            |piece| Cow::Borrowed(piece),
            failed,
        )?;
    }
    zip.member(&place("version"), b"3\n").map_err(failed)?;
    zip.finish().map_err(failed)
}

fn storage_class(dtype: Dtype) -> Option<&'static str> {
    STORAGES.iter().find(|(_, own)| *own == dtype).map(|(class, _)| *class)
}

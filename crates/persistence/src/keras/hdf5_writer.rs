//! Writing HDF5 files tensor by tensor.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use hdf5_pure::{
    AttrValue, Datatype, DatatypeByteOrder, FileBuilder, FixedPointLayout, FormatError, GroupBuilder, Layout,
};
use indexmap::IndexMap;
use safetensors::Dtype;

use super::hdf5::{HALF, join};
use crate::{Error, Format, Result, StoredTensor};

/// Tensors from this size on are put into the finished file; smaller ones are written with it.
const LARGE: usize = 1 << 16;

/// A group that is to be written.
#[derive(Default)]
pub(super) struct Tree {
    attributes: Vec<(String, AttrValue)>,
    groups: IndexMap<String, Tree>,
    datasets: IndexMap<String, StoredTensor>,
}

impl Tree {
    /// The group of a path; groups on the way are made.
    pub(super) fn group(&mut self, path: &str) -> &mut Tree {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.fold(self, |tree, part| tree.groups.entry(part.to_string()).or_default())
    }

    pub(super) fn attribute(&mut self, name: &str, value: AttrValue) {
        self.attributes.push((name.to_string(), value));
    }

    /// Bytes of all tensors.
    pub(super) fn bytes(&self) -> u64 {
        let own = self.datasets.values().map(|tensor| tensor.byte_len() as u64);
        own.chain(self.groups.values().map(Tree::bytes)).sum()
    }

    /// Puts a tensor at a path.
    pub(super) fn insert(&mut self, path: &str, tensor: StoredTensor) {
        let (group, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.group(group).datasets.insert(name.to_string(), tensor);
    }

    /// Writes the file from byte `begin` of `out` on, behind which nothing is; how long it has become.
    ///
    /// The crate wants the numbers of all data sets at once. Large ones are given to it as zeros, which take no memory where the allocator leaves
    /// fresh pages alone (the standard one and `kernels::memory::Recycling` do), and are left out of the file as holes; then the file is
    /// asked where each belongs, and the numbers are written there, tensor by tensor.
    pub(super) fn write(
        &self,
        format: Format,
        out: &mut File,
        begin: u64,
        failed: &dyn Fn(io::Error) -> Error,
    ) -> Result<u64> {
        let wrong = |error: hdf5_pure::Error| match error {
            hdf5_pure::Error::Io(error) => failed(error),
            other => Error::NotWritten {
                path: Default::default(),
                format,
                what: "the file".to_string(),
                reason: other.to_string(),
            },
        };
        let mut builder = FileBuilder::new();
        for (name, value) in &self.attributes {
            builder.set_attr(name, value.clone());
        }
        for (name, tensor) in &self.datasets {
            dataset(builder.create_dataset(name), tensor)?;
        }
        for (name, tree) in &self.groups {
            let group = tree.build(builder.create_group(name))?;
            builder.add_group(group.finish());
        }
        out.seek(SeekFrom::Start(begin)).map_err(failed)?;
        let mut sink = BufWriter::with_capacity(
            LARGE,
            Holes {
                out: &mut *out,
                position: 0,
            },
        );
        builder.finish_to(&mut sink).map_err(wrong)?;
        let holes = sink.into_inner().map_err(|error| failed(error.into_error()))?;
        let length = holes.position;
        out.set_len(begin + length).map_err(failed)?;
        let mut large = Vec::new();
        self.large("", &mut large);
        if large.is_empty() {
            return Ok(length);
        }
        let finished = hdf5_pure::File::from_source(Part {
            file: Mutex::new(out.try_clone().map_err(failed)?),
            begin,
            length,
        });
        let finished = finished.map_err(wrong)?;
        for (path, tensor) in large {
            let place = finished
                .dataset(&path)
                .and_then(|dataset| dataset.layout())
                .map_err(wrong)?;
            let Layout::Contiguous {
                address: Some(address),
                size,
            } = place
            else {
                return Err(failed(io::Error::other(format!(
                    "the data set '{path}' is not in one piece"
                ))));
            };
            let written = tensor.lend(|bytes| {
                if bytes.len() as u64 != size {
                    return Err(io::Error::other(format!(
                        "the data set '{path}' has another size than its tensor"
                    )));
                }
                out.seek(SeekFrom::Start(begin + address))?;
                out.write_all(bytes)
            })?;
            written.map_err(failed)?;
            tensor.release();
        }
        Ok(length)
    }

    fn build(&self, mut builder: GroupBuilder) -> Result<GroupBuilder> {
        for (name, value) in &self.attributes {
            builder.set_attr(name, value.clone());
        }
        for (name, tensor) in &self.datasets {
            dataset(builder.create_dataset(name), tensor)?;
        }
        for (name, tree) in &self.groups {
            let group = tree.build(builder.create_group(name))?;
            builder.add_group(group.finish());
        }
        Ok(builder)
    }

    fn large<'a>(&'a self, path: &str, found: &mut Vec<(String, &'a StoredTensor)>) {
        let here = self.datasets.iter().filter(|(_, tensor)| tensor.byte_len() >= LARGE);
        found.extend(here.map(|(name, tensor)| (join(path, name), tensor)));
        for (name, tree) in &self.groups {
            tree.large(&join(path, name), found);
        }
    }
}

fn dataset(builder: &mut hdf5_pure::DatasetBuilder, tensor: &StoredTensor) -> Result<()> {
    let bytes = if tensor.byte_len() >= LARGE {
        vec![0; tensor.byte_len()]
    } else {
        tensor.bytes()?.into_owned()
    };
    let shape: Vec<u64> = tensor.shape().iter().map(|&size| size as u64).collect();
    builder
        .with_shape(&shape)
        .with_raw_data(datatype(tensor.dtype()), bytes, tensor.len() as u64);
    if tensor.dtype() == Dtype::BF16 {
        builder.set_attr("dtype", AttrValue::VarLenString("bfloat16".to_string()));
    }
    Ok(())
}

/// The type of HDF5 that h5py gives the same numbers.
fn datatype(dtype: Dtype) -> Datatype {
    let whole = |size: u32, signed: bool| Datatype::FixedPoint {
        size,
        byte_order: DatatypeByteOrder::LittleEndian,
        layout: FixedPointLayout {
            signed,
            bit_offset: 0,
            bit_precision: size as u16 * 8,
        },
    };
    match dtype {
        Dtype::F64 => hdf5_pure::make_f64_type(),
        Dtype::F16 => Datatype::FloatingPoint {
            size: 2,
            byte_order: DatatypeByteOrder::LittleEndian,
            layout: HALF,
        },
        // NumPy has no bfloat16; Keras writes its two bytes as they are.
        Dtype::BF16 => Datatype::Opaque {
            size: 2,
            tag: Vec::new(),
        },
        Dtype::I64 => whole(8, true),
        Dtype::U64 => whole(8, false),
        Dtype::I32 => whole(4, true),
        Dtype::U32 => whole(4, false),
        Dtype::I16 => whole(2, true),
        Dtype::U16 => whole(2, false),
        Dtype::I8 => whole(1, true),
        Dtype::U8 | Dtype::BOOL => whole(1, false),
        _ => hdf5_pure::make_f32_type(),
    }
}

/// A part of a file that is an HDF5 file by itself.
struct Part {
    file: Mutex<File>,
    begin: u64,
    length: u64,
}

impl hdf5_pure::Source for Part {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FormatError> {
        let expected = buf.len();
        let mut read = || {
            // A lock that another thread left behind holds a file like any other.
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(self.begin.saturating_add(offset)))?;
            file.read_exact(buf)
        };
        read().map_err(|_: io::Error| FormatError::UnexpectedEof { expected, available: 0 })
    }
}

/// A file in which long runs of zeros are left out.
struct Holes<'a> {
    out: &'a mut File,
    position: u64,
}

impl Write for Holes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = if bytes.len() >= LARGE && bytes.iter().all(|&byte| byte == 0) {
            self.out.seek(SeekFrom::Current(bytes.len() as i64))?;
            bytes.len()
        } else {
            self.out.write(bytes)?
        };
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

//! A tensor of a file: known by number format and shape, its numbers fetched when somebody wants them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use safetensors::Dtype;

use crate::layout::{Band, gathered, inverse, is_whole, item_bytes, row_major};
use crate::source::shorten;
use crate::{Error, Precision, Result, Source};

/// Number format, shape, and where the numbers are. Copies share them.
#[derive(Clone)]
pub struct StoredTensor {
    dtype: Dtype,
    shape: Vec<usize>,
    pub(crate) data: Data,
    asked: Option<Arc<Asked>>,
}

/// Who hears when the numbers are asked for.
struct Asked {
    told: Arc<dyn Fn(u64) + Send + Sync>,
    before: AtomicBool,
}

/// Where the numbers are.
#[derive(Clone)]
pub(crate) enum Data {
    /// In a file, as they are: little-endian, row-major.
    File(Source),
    Memory(Arc<Vec<u8>>),
    Tensor(Tensor),
    /// Those of another tensor in another order, turned when asked for.
    Turned(Arc<Turned>),
    /// Made when asked for: unpacked, put together, rounded.
    Computed(Arc<dyn Fn() -> Result<Vec<u8>> + Send + Sync>),
}

/// A tensor seen along strides.
pub(crate) struct Turned {
    pub(crate) base: StoredTensor,
    /// Bytes of a number.
    pub(crate) item: usize,
    /// Which number of the base is the first one.
    offset: usize,
    /// The sizes of the axes; the tensor that shows them may have another shape with as many numbers.
    sizes: Vec<usize>,
    /// Numbers of the base from one place of an axis to the next.
    strides: Vec<usize>,
}

impl Turned {
    pub(crate) fn bands(&self) -> Vec<Band<'_>> {
        Band::all(self.item, self.offset, &self.sizes, &self.strides)
    }

    /// Whether every number of the base is seen, and once.
    pub(crate) fn is_all_of_base(&self) -> bool {
        let count: usize = self.sizes.iter().product();
        count == self.base.len() && is_whole(&self.sizes, &self.strides)
    }
}

impl StoredTensor {
    /// Numbers that lie in a file as they are wanted: little-endian, row-major, without gaps.
    ///
    /// Returns `None` where the part has another size than the shape needs.
    pub fn in_file(dtype: Dtype, shape: Vec<usize>, part: Source) -> Option<Self> {
        (byte_count(dtype, &shape)? == part.bytes().len()).then_some(StoredTensor {
            dtype,
            shape,
            data: Data::File(part),
            asked: None,
        })
    }

    /// Compares the CRC-32 of the bytes when they are asked for the first time; `name` is for the message.
    pub(crate) fn with_checksum(mut self, name: &str, crc32: u32) -> Self {
        if let Data::File(part) = self.data {
            let (path, name, offset) = (part.path().to_path_buf(), shorten(name), part.offset());
            self.data = Data::File(part.checked(crc32, &[], move |found, crc32| Error::Checksum {
                path: path.clone(),
                place: format!("the tensor '{name}' (from byte {offset})"),
                expected: format!("{crc32:08x}"),
                found: format!("{found:08x}"),
            }));
        }
        self
    }

    /// The numbers of this tensor at `offset + Σ index · stride`, row-major; they are put in order when they are asked for.
    ///
    /// The caller has checked that every one of them is there. Returns `None` where a number is no whole number of bytes.
    pub(crate) fn along(
        self,
        shape: Vec<usize>,
        offset: usize,
        sizes: Vec<usize>,
        strides: Vec<usize>,
    ) -> Option<Self> {
        let turned = Turned {
            item: item_bytes(self.dtype)?,
            base: self,
            offset,
            sizes,
            strides,
        };
        Some(StoredTensor {
            dtype: turned.base.dtype,
            shape,
            data: Data::Turned(Arc::new(turned)),
            asked: None,
        })
    }

    /// The tensor looked at as `view`, with axis `i` being axis `axes[i]` of that, written in another shape of as many numbers.
    ///
    /// Returns `None` where a number is no whole number of bytes, or the view has more or fewer numbers.
    pub(crate) fn permuted(&self, view: &[usize], axes: &[usize], shape: Vec<usize>) -> Option<Self> {
        if byte_count(self.dtype, view)? != self.byte_len() {
            return None;
        }
        let own = row_major(view);
        let sizes: Vec<usize> = axes.iter().map(|&axis| view[axis]).collect();
        let strides: Vec<usize> = axes.iter().map(|&axis| own[axis]).collect();
        // Axes of a single number have a stride that nobody sees.
        let order = sizes.iter().zip(strides.iter().zip(row_major(&sizes)));
        let is_in_order = order
            .into_iter()
            .all(|(&size, (&stride, order))| size == 1 || stride == order);
        if is_in_order {
            return Some(StoredTensor { shape, ..self.clone() });
        }
        self.clone().along(shape, 0, sizes, strides)
    }

    /// What [`StoredTensor::permuted`] makes `self` of.
    pub(crate) fn unpermuted(&self, view: &[usize], axes: &[usize], shape: Vec<usize>) -> Option<Self> {
        let seen: Vec<usize> = axes.iter().map(|&axis| view[axis]).collect();
        self.permuted(&seen, &inverse(axes), shape)
    }

    /// Numbers in memory, in the same order. Returns `None` where there are more or fewer than the shape needs.
    pub fn in_memory(dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Option<Self> {
        (byte_count(dtype, &shape)? == bytes.len()).then_some(StoredTensor {
            dtype,
            shape,
            data: Data::Memory(Arc::new(bytes)),
            asked: None,
        })
    }

    /// Numbers that are made when they are asked for, every time anew.
    pub fn computed(
        dtype: Dtype,
        shape: Vec<usize>,
        bytes: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        StoredTensor {
            dtype,
            shape,
            data: Data::Computed(Arc::new(bytes)),
            asked: None,
        }
    }

    /// The numbers of a tensor of candle.
    ///
    /// # Errors
    /// [`Error::Candle`] for the formats of 4, 6 and 8 bits, which model files do not have.
    pub fn of(tensor: &Tensor) -> Result<Self> {
        Ok(StoredTensor {
            dtype: stored_dtype(tensor.dtype())?,
            shape: tensor.dims().to_vec(),
            data: Data::Tensor(tensor.clone()),
            asked: None,
        })
    }

    /// The same tensor; `told` hears how many bytes it has when they are asked for the first time, as they are when a file is written.
    pub(crate) fn watched(mut self, told: Arc<dyn Fn(u64) + Send + Sync>) -> Self {
        let before = AtomicBool::new(false);
        self.asked = Some(Arc::new(Asked { told, before }));
        self
    }

    pub(crate) fn ask(&self) {
        if let Some(asked) = &self.asked
            && !asked.before.swap(true, Ordering::Relaxed)
        {
            (asked.told)(self.byte_len() as u64);
        }
    }

    /// The number format.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The shape; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the numbers take.
    pub fn byte_len(&self) -> usize {
        self.len() * self.dtype.bitsize() / 8
    }

    /// Whether the numbers are floating-point numbers that weights may be.
    pub fn is_float(&self) -> bool {
        matches!(self.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64)
    }

    /// The numbers: little-endian, row-major. What lies in a file like that is not copied.
    ///
    /// # Errors
    /// What the file or the device says.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>> {
        self.ask();
        match &self.data {
            Data::File(part) => {
                part.verify()?;
                Ok(Cow::Borrowed(part.bytes()))
            }
            Data::Memory(bytes) => Ok(Cow::Borrowed(bytes)),
            Data::Tensor(tensor) => Ok(Cow::Owned(tensor_bytes(tensor)?)),
            Data::Turned(turned) => {
                let Turned {
                    base,
                    item,
                    offset,
                    sizes,
                    strides,
                } = &**turned;
                let bytes = base.lend(|source| gathered(source, *item, *offset, sizes, strides))?;
                base.release();
                Ok(Cow::Owned(bytes))
            }
            Data::Computed(bytes) => {
                let bytes = bytes()?;
                if bytes.len() == self.byte_len() {
                    return Ok(Cow::Owned(bytes));
                }
                Err(Error::Candle(candle_core::Error::Msg(format!(
                    "{} bytes were made for a tensor of {:?} {}",
                    bytes.len(),
                    self.shape,
                    self.dtype
                ))))
            }
        }
    }

    /// Says that the bytes are not needed for now, so that a large file that is gone through never lies in memory as a whole.
    pub fn release(&self) {
        match &self.data {
            Data::File(part) => part.release(),
            Data::Turned(turned) => turned.base.release(),
            _ => {}
        }
    }

    /// Where in their file the numbers lie as they are.
    pub(crate) fn place(&self) -> Option<Range<usize>> {
        match &self.data {
            Data::File(part) => Some(part.offset()..part.offset() + part.bytes().len()),
            _ => None,
        }
    }

    /// Lends the bytes; those of a tensor of candle in the memory of a CPU are not copied either.
    ///
    /// # Errors
    /// As [`StoredTensor::bytes`].
    pub(crate) fn lend<R>(&self, read: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let Data::Tensor(tensor) = &self.data else {
            return Ok(read(&self.bytes()?));
        };
        self.ask();
        if cfg!(target_endian = "little") {
            let (storage, layout) = tensor.storage_and_layout();
            let place = layout.contiguous_offsets();
            if let (Storage::Cpu(storage), Some((start, end))) = (&*storage, place) {
                let bytes = match storage {
                    CpuStorage::F32(values) => values.get(start..end).map(bytemuck::cast_slice),
                    CpuStorage::F64(values) => values.get(start..end).map(bytemuck::cast_slice),
                    _ => None,
                };
                if let Some(bytes) = bytes {
                    return Ok(read(bytes));
                }
            }
        }
        Ok(read(&tensor_bytes(tensor)?))
    }

    /// All numbers as `f64`; integers above 2⁵³ are rounded.
    ///
    /// # Errors
    /// As [`StoredTensor::bytes`], and [`Error::Candle`] for the formats of 4, 6 and 8 bits and complex numbers.
    pub fn to_f64(&self) -> Result<Vec<f64>> {
        let bytes = self.bytes()?;
        fn all<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            bytes.as_chunks::<N>().0.iter().map(|&chunk| number(chunk)).collect()
        }
        Ok(match self.dtype {
            Dtype::F64 => all(&bytes, f64::from_le_bytes),
            Dtype::F32 => all(&bytes, |b| f32::from_le_bytes(b).into()),
            Dtype::F16 => all(&bytes, |b| half::f16::from_le_bytes(b).into()),
            Dtype::BF16 => all(&bytes, |b| half::bf16::from_le_bytes(b).into()),
            Dtype::I64 => all(&bytes, |b| i64::from_le_bytes(b) as f64),
            Dtype::U64 => all(&bytes, |b| u64::from_le_bytes(b) as f64),
            Dtype::I32 => all(&bytes, |b| i32::from_le_bytes(b).into()),
            Dtype::U32 => all(&bytes, |b| u32::from_le_bytes(b).into()),
            Dtype::I16 => all(&bytes, |b| i16::from_le_bytes(b).into()),
            Dtype::U16 => all(&bytes, |b| u16::from_le_bytes(b).into()),
            Dtype::I8 => all(&bytes, |b| i8::from_le_bytes(b).into()),
            Dtype::U8 | Dtype::BOOL => all(&bytes, |[b]| b.into()),
            other => return Err(no_numbers(other)),
        })
    }

    /// The tensor as candle's, in the same number format where candle has it (else in the next larger integers).
    ///
    /// # Errors
    /// As [`StoredTensor::to_f64`].
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        if let Data::Tensor(tensor) = &self.data {
            return Ok(tensor.reshape(self.shape.as_slice())?.to_device(device)?);
        }
        let dtype = match self.dtype {
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
            Dtype::I64 => DType::I64,
            Dtype::I32 => DType::I32,
            Dtype::I16 => DType::I16,
            Dtype::U32 => DType::U32,
            Dtype::U8 | Dtype::BOOL => DType::U8,
            Dtype::I8 | Dtype::U16 | Dtype::U64 => {
                let whole = self.to_f64()?.into_iter().map(|number| number as i64).collect();
                return Ok(Tensor::from_vec::<_, i64>(whole, self.shape.as_slice(), device)?);
            }
            other => return Err(no_numbers(other)),
        };
        Ok(Tensor::from_raw_buffer(&self.bytes()?, dtype, &self.shape, device)?)
    }

    /// The same numbers in another floating-point format, rounded when they are asked for; integers stay as they are.
    ///
    /// `name` is for the message where a finite number has none in the new format.
    pub fn in_precision(&self, name: &str, precision: Precision) -> StoredTensor {
        let target = precision.stored();
        if !self.is_float() || self.dtype == target {
            return self.clone();
        }
        let (source, name) = (self.clone(), name.to_string());
        StoredTensor::computed(target, self.shape.clone(), move || {
            let rounded = precision.round(&name, source.dtype, &source.bytes()?);
            source.release();
            rounded
        })
    }
}

impl fmt::Debug for StoredTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.dtype, self.shape)
    }
}

/// Bytes of so many numbers; `None` where no computer can count them, or a number is no whole number of bytes.
pub(crate) fn byte_count(dtype: Dtype, shape: &[usize]) -> Option<usize> {
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size))?;
    let bits = count.checked_mul(dtype.bitsize())?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

fn no_numbers(dtype: Dtype) -> Error {
    Error::Candle(candle_core::Error::Msg(format!(
        "numbers of the format {dtype} are not read here"
    )))
}

fn stored_dtype(dtype: DType) -> Result<Dtype> {
    Ok(match dtype {
        DType::U8 => Dtype::U8,
        DType::U32 => Dtype::U32,
        DType::I16 => Dtype::I16,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::BF16 => Dtype::BF16,
        DType::F16 => Dtype::F16,
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        other => {
            let message = format!("numbers of the format {} are not written", other.as_str());
            return Err(Error::Candle(candle_core::Error::Msg(message)));
        }
    })
}

/// The numbers of a tensor of candle: little-endian, row-major.
fn tensor_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
    fn bytes<T: Copy, const N: usize>(values: Vec<T>, to: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        let mut bytes = vec![0; values.len() * N];
        for (place, value) in bytes.as_chunks_mut::<N>().0.iter_mut().zip(values) {
            *place = to(value);
        }
        bytes
    }
    Ok(match tensor.dtype() {
        DType::U8 => flat.to_vec1()?,
        DType::F16 => bytes(flat.to_vec1::<half::f16>()?, half::f16::to_le_bytes),
        DType::BF16 => bytes(flat.to_vec1::<half::bf16>()?, half::bf16::to_le_bytes),
        DType::F64 => bytes(flat.to_vec1::<f64>()?, f64::to_le_bytes),
        DType::I64 => bytes(flat.to_vec1::<i64>()?, i64::to_le_bytes),
        DType::I32 => bytes(flat.to_vec1::<i32>()?, i32::to_le_bytes),
        DType::I16 => bytes(flat.to_vec1::<i16>()?, i16::to_le_bytes),
        DType::U32 => bytes(flat.to_vec1::<u32>()?, u32::to_le_bytes),
        _ => bytes(flat.to_vec1::<f32>()?, f32::to_le_bytes),
    })
}

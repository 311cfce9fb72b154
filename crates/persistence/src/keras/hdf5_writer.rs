//! Writing HDF5 files tensor by tensor.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

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

    /// Lays the file out. The crate wants the numbers of all data sets at once; large ones are given to it as zeros, which take no memory
    /// where the allocator leaves fresh pages alone (the standard one and `kernels::memory::Recycling` do), and are not kept. Then the
    /// file is asked where each belongs.
    pub(super) fn laid_out(&self, format: Format) -> Result<LaidOut<'_>> {
        let not_written = |reason: String| Error::NotWritten {
            path: Default::default(),
            format,
            what: "the file".to_string(),
            reason,
        };
        let wrong = |error: hdf5_pure::Error| not_written(error.to_string());
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
        let mut large = Vec::new();
        self.large("", &mut large);
        let mut skeleton = Skeleton {
            sizes: large.iter().map(|(_, tensor)| tensor.byte_len()).collect(),
            ..Skeleton::default()
        };
        builder.finish_to(&mut skeleton).map_err(wrong)?;
        if large.is_empty() {
            let (skeleton, placed) = (Arc::new(skeleton), Vec::new());
            return Ok(LaidOut { skeleton, placed });
        }
        let (skeleton, mut placed) = (Arc::new(skeleton), Vec::with_capacity(large.len()));
        let finished = hdf5_pure::File::from_source(Asked(Arc::clone(&skeleton))).map_err(wrong)?;
        for (path, tensor) in large {
            let layout = finished.dataset(&path).and_then(|dataset| dataset.layout());
            match layout.map_err(wrong)? {
                Layout::Contiguous {
                    address: Some(address),
                    size,
                } if size == tensor.byte_len() as u64 => placed.push((address, tensor)),
                _ => return Err(not_written(format!("the data set '{path}' is not in one piece"))),
            }
        }
        placed.sort_by_key(|&(address, _)| address);
        // What was taken for the zeros of a large tensor is where one belongs, and nothing else was left out.
        let holes = skeleton.holes.iter().map(|hole| (hole.start, hole.end - hole.start));
        let belongs = placed
            .iter()
            .map(|(address, tensor)| (*address, tensor.byte_len() as u64));
        if !holes.eq(belongs) {
            return Err(not_written("its tensors are not where they belong".to_string()));
        }
        drop(finished);
        Ok(LaidOut { skeleton, placed })
    }

    /// Writes the file.
    pub(super) fn write(
        &self,
        format: Format,
        out: &mut (impl Write + Send),
        failed: &dyn Fn(io::Error) -> Error,
    ) -> Result<()> {
        self.laid_out(format)?.write(out, failed)
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

/// A file as it will be: the places of its tensors, and all that is around them.
pub(super) struct LaidOut<'a> {
    skeleton: Arc<Skeleton>,
    /// Large tensors and where they begin, in order.
    placed: Vec<(u64, &'a StoredTensor)>,
}

impl LaidOut<'_> {
    /// How long the parts are that follow each other: what is around the large tensors, and these.
    pub(super) fn lengths(&self) -> impl Iterator<Item = usize> {
        let mut position = 0;
        let placed = self.placed.iter().flat_map(move |(address, tensor)| {
            let before = (address - position) as usize;
            position = address + tensor.byte_len() as u64;
            [before, tensor.byte_len()]
        });
        let last = self.placed.last();
        let rest = self.skeleton.end() - last.map_or(0, |(address, tensor)| address + tensor.byte_len() as u64);
        placed.chain([rest as usize])
    }

    /// Writes it from its first byte to its last, tensor by tensor.
    pub(super) fn write(&self, out: &mut (impl Write + Send), failed: &dyn Fn(io::Error) -> Error) -> Result<()> {
        let mut rest = self.skeleton.kept.as_slice();
        let mut position = 0;
        for (address, tensor) in &self.placed {
            let (before, behind) = rest.split_at((address - position) as usize);
            out.write_all(before).map_err(failed)?;
            tensor.lend_pieces(|piece| out.write_all(piece))?.map_err(failed)?;
            tensor.release();
            (rest, position) = (behind, address + tensor.byte_len() as u64);
        }
        out.write_all(rest).map_err(failed)
    }
}

/// An HDF5 file without the numbers of its large tensors.
#[derive(Default)]
struct Skeleton {
    /// How many bytes the large tensors have.
    sizes: BTreeSet<usize>,
    /// All bytes but those of the holes, in order.
    kept: Vec<u8>,
    /// Where numbers are left out, in order.
    holes: Vec<Range<u64>>,
}

impl Skeleton {
    fn end(&self) -> u64 {
        let left_out: u64 = self.holes.iter().map(|hole| hole.end - hole.start).sum();
        left_out + self.kept.len() as u64
    }
}

impl Write for Skeleton {
    /// The crate hands over each data set in one go. To look at all of its zeros would fetch pages that nobody needs; whoever asked for
    /// the file compares the holes with the places of the tensors.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let edges = [bytes.first_chunk::<EDGE>(), bytes.last_chunk::<EDGE>()];
        if self.sizes.contains(&bytes.len()) && edges == [Some(&[0; EDGE]); 2] {
            let begin = self.end();
            self.holes.push(begin..begin + bytes.len() as u64);
        } else {
            self.kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// So many bytes at both ends of what may be a hole are looked at.
const EDGE: usize = 512;

/// The file that is being asked for its layout; its holes are zeros.
struct Asked(Arc<Skeleton>);

impl hdf5_pure::Source for Asked {
    fn len(&self) -> u64 {
        self.0.end()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FormatError> {
        let expected = buf.len();
        let wanted = offset..offset.saturating_add(expected as u64);
        if wanted.end > self.len() {
            return Err(FormatError::UnexpectedEof { expected, available: 0 });
        }
        buf.fill(0);
        // Runs of kept bytes: in front of each hole, and behind the last one.
        let (mut from, mut position) = (0, 0);
        let end = self.len();
        let ends = self.0.holes.iter().map(|hole| (hole.start, hole.end));
        for (start_of_hole, end_of_hole) in ends.chain([(end, end)]) {
            let (first, last) = (wanted.start.max(position), wanted.end.min(start_of_hole));
            if first < last {
                let kept = from + (first - position) as usize;
                let count = (last - first) as usize;
                let at = (first - offset) as usize;
                buf[at..at + count].copy_from_slice(&self.0.kept[kept..kept + count]);
            }
            from += (start_of_hole - position) as usize;
            position = end_of_hole;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdf5_pure::Source as _;

    #[test]
    fn a_skeleton_reads_as_the_file_that_it_stands_for() {
        let mut skeleton = Skeleton {
            sizes: [600, 700].into(),
            ..Skeleton::default()
        };
        let mut whole = Vec::new();
        // The third part has the size of a tensor, and is none.
        for part in [
            vec![1; 10],
            vec![0; 600],
            vec![2; 700],
            vec![0; 700],
            vec![0; 600],
            vec![3; 5],
        ] {
            whole.extend_from_slice(&part);
            skeleton.write_all(&part).unwrap();
        }
        assert_eq!(skeleton.holes, [10..610, 1310..2010, 2010..2610]);
        assert_eq!(skeleton.kept.len(), 715);
        let asked = Asked(Arc::new(skeleton));
        assert_eq!(asked.len(), whole.len() as u64);
        for range in [0..2615, 5..20, 605..615, 1300..1400, 2005..2015, 2600..2615, 2615..2615] {
            let mut found = vec![9; range.len()];
            asked.read_at(range.start as u64, &mut found).unwrap();
            assert!(found == whole[range.clone()], "{range:?}");
        }
        assert!(asked.read_at(2610, &mut [0; 6]).is_err());
        assert!(asked.read_at(u64::MAX, &mut [0; 6]).is_err());
    }
}

//! One model file into another format: `cargo run -p persistence --example convert -- model.keras model.pt`. Without names it saves a new
//! network in the formats that hold a description, too, reads each back, and compares the weights bit by bit.

use std::io::Write as _;
use std::path::Path;

use candle_core::{DType, Device};
use models::{Network, zoo};
use persistence::{Contents, Metadata, Precision, load, open, save, weight_differences, write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout().lock();
    if let [from, to] = names.as_slice() {
        let bytes = write(Path::new(to), &open(Path::new(from))?)?;
        return Ok(writeln!(out, "{to}: {bytes} bytes")?);
    }
    let network = Network::new(zoo::digits_cnn()?, 6020, &Device::Cpu, DType::F32)?;
    let metadata = Metadata {
        classes: (0..10).map(|digit| digit.to_string()).collect(),
        ..Metadata::default()
    };
    let contents = Contents {
        network: &network,
        optimizer: None,
        metadata: &metadata,
    };
    let folder = tempfile::tempdir()?;
    for ending in ["safetensors", "keras", "h5", "pt"] {
        let path = folder.path().join("digits").with_extension(ending);
        let bytes = save(&path, &contents, Precision::F32)?;
        let back = load(&path, &Device::Cpu)?.network;
        let differences = weight_differences(&network, &back)?;
        let same = differences
            .iter()
            .filter(|(_, difference)| difference.is_none())
            .count();
        writeln!(
            out,
            "{ending:>12}: {bytes} bytes, {same} of {} tensors with the same bits",
            differences.len()
        )?;
    }
    Ok(())
}

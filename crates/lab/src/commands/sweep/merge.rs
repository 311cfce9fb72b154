//! `lab sweep merge`: the records of several machines in one folder.

use anyhow::Result;
use optimizers_bench::Records;
use report::format::count;

use super::outputs::{Finished, incomplete, show};
use crate::cli::MergeArgs;
use crate::comparison::counted;
use crate::progress::say;

pub(super) fn run(args: &MergeArgs) -> Result<()> {
    let folders = args.folders.iter().map(Records::open).collect::<Result<Vec<_>, _>>()?;
    let into = Records::create(args.out.as_ref().unwrap_or(&args.folders[0]))?;
    let (plan, new) = into.merge(&folders)?;
    say(&format!(
        "merged {}: {} records came into {}",
        counted(folders.len(), "folder"),
        count(new),
        into.folder().display()
    ));
    let finished = Finished::gather(plan, &into)?;
    if finished.is_complete() {
        show(&finished, &into, args.json)
    } else {
        incomplete(&finished, &into, args.json)
    }
}

//! `lab report --serve`: a report that is loaded again when a run writes it anew, or the curves of a training's CSV file.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use report::live::{LivePage, reloading};

use super::Server;
use super::curves::Curves;
use crate::context::{Context, listen_for_interrupt};
use crate::progress::say;

/// So often files are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Serves until Ctrl-C: the page of a folder, or the curves of a CSV file where one is named.
pub(crate) fn run(port: u16, folder: &Path, csv: Option<&Path>) -> Result<()> {
    listen_for_interrupt()?;
    let watched = csv.map_or_else(|| folder.join("index.html"), Path::to_path_buf);
    let server = match csv {
        Some(csv) => {
            curves(csv)?;
            let html = LivePage::new(csv.display().to_string()).to_html();
            Server::start(port, Box::new(move || Ok(html.clone())))?
        }
        None => {
            page(&watched)?;
            let file = watched.clone();
            Server::start(port, Box::new(move || Ok(reloading(&page(&file)?))))?
        }
    };
    let mut seen = state(&watched);
    let send = |(curves, epochs): (Curves, usize)| {
        curves.send(server.events());
        server.events().state(&format!("{epochs} epochs"), 1.0);
    };
    if let Some(csv) = csv {
        send(curves(csv)?);
    }
    let name = watched.display();
    say(&format!("{name} is at {} (Ctrl-C ends it)", server.url()));
    while !Context::is_interrupted() {
        std::thread::sleep(LOOK);
        let now = state(&watched);
        if now == seen {
            continue;
        }
        seen = now;
        // A file that is being replaced is looked at again the next time.
        match csv.map(curves).transpose() {
            Ok(Some(found)) => send(found),
            Ok(None) => server.events().changed(),
            Err(_) => {}
        }
    }
    server.events().end("The program was ended.");
    Ok(())
}

/// What tells that a file has changed.
fn state(path: &Path) -> Option<(u64, SystemTime)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.len(), data.modified().ok()?))
}

fn page(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| {
        format!(
            "{} cannot be read; write it with lab exercise all --report DIR",
            path.display()
        )
    })
}

/// The figures of a file that `lab train --csv` writes, and how many epochs it has.
fn curves(path: &Path) -> Result<(Curves, usize)> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read; write it with lab train --csv FILE", path.display()))?;
    let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let epoch = header.iter().position(|name| *name == "epoch");
    let epoch = epoch.with_context(|| {
        format!(
            "{}: the first line names no column 'epoch'; this is no file of lab train --csv",
            path.display()
        )
    })?;
    let mut curves = Curves::default();
    let mut epochs = 0;
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        // The last line may be half written.
        let Some(at) = cells.get(epoch).and_then(|cell| cell.parse::<f64>().ok()) else {
            continue;
        };
        if cells.len() < header.len() {
            continue;
        }
        epochs += 1;
        for (name, cell) in header.iter().zip(&cells) {
            if *name != "epoch" {
                // Keras counts epochs from 0 in such files.
                curves.push(name, at + 1.0, cell.parse().unwrap_or(f64::NAN));
            }
        }
    }
    Ok((curves, epochs))
}

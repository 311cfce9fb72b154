//! The machine that figures belong to, and how much of it other processes took meanwhile.

use std::fs;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

/// Linux counts processor time in hundredths of a second, whatever its own clock does (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Processors that this process may use.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Processor, number of processors and memory, as far as the system says.
pub(crate) fn describe() -> Value {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    let kib = field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    json!({
        "processor": field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_string()),
        "processors": processors(),
        "memory_gib": kib.map(|kib| (kib / 1024.0 / 1024.0).round()),
        "system": std::env::consts::OS,
    })
}

/// Watches, from its making on, how much processor time others take than this process and the children it waited for.
pub(crate) struct Watch {
    started: Instant,
    all: Option<f64>,
    own: Option<f64>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Watch {
            started: Instant::now(),
            all: busy(),
            own: own(),
        }
    }

    /// The share of all processors that others took since, in `[0, 1]`; `None` where the system does not say.
    pub(crate) fn others(&self) -> Option<f64> {
        let available = self.started.elapsed().as_secs_f64() * thread::available_parallelism().ok()?.get() as f64;
        let others = (busy()? - self.all?) - (own()? - self.own?);
        Some((others / available).clamp(0.0, 1.0))
    }
}

/// Seconds that all processors worked since the system started (Linux).
fn busy() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<f64> = text
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .map_while(|n| n.parse().ok())
        .collect();
    // user, nice, system, (idle, waiting for disks), interrupts, soft interrupts, stolen by the host
    let working = [0, 1, 2, 5, 6, 7];
    Some(working.iter().filter_map(|&i| ticks.get(i)).sum::<f64>() / TICKS)
}

/// Seconds of this process and of its children that have ended (Linux).
fn own() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, which may hold spaces.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map_while(|n| n.parse::<f64>().ok());
    Some(ticks.sum::<f64>() / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_others_is_a_share() {
        let watch = Watch::start();
        let sum: u64 = (0..3_000_000u64).map(|i| i.wrapping_mul(i)).fold(0, u64::wrapping_add);
        assert_ne!(sum, 1);
        if let Some(share) = watch.others() {
            assert!((0.0..=1.0).contains(&share));
        }
        assert!(describe()["processors"].as_u64().unwrap() >= 1);
    }
}

//! What every exercise and command shares: data, device, seed, progress, and the wish to stop.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};
use candle_core::Device;
use datasets::{Dataset, FolderOptions};

use crate::cli::{DEFAULT_SEED, DataArgs, ImageSize, PlaceArgs};
use crate::progress::{Progress, Waiting};

/// Set by Ctrl-C; training looks at it after every step.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The settings of one call of the program.
pub(crate) struct Context {
    /// The name or folder after `--data`.
    pub(crate) data: Option<String>,
    /// The folder after `--data-dir`.
    pub(crate) data_dir: Option<PathBuf>,
    /// The size after `--image-size`.
    pub(crate) image_size: Option<ImageSize>,
    /// Where tensors live.
    pub(crate) device: Device,
    /// The seed of every random draw.
    pub(crate) seed: u64,
    /// Whether a small version was asked for.
    pub(crate) quick: bool,
    /// Whether everything was asked for, however long it takes.
    pub(crate) full: bool,
    /// Bars on stderr.
    pub(crate) progress: Progress,
}

impl Context {
    /// Reads the common options.
    pub(crate) fn new(args: &DataArgs, quick: bool) -> Result<Self> {
        Ok(Context {
            seed: args.seed.unwrap_or(DEFAULT_SEED),
            quick,
            ..Context::at(&args.place)?
        })
    }

    /// Reads the options of a command that draws nothing at random.
    pub(crate) fn at(place: &PlaceArgs) -> Result<Self> {
        // Also where the command needs no data in the end: what was typed was meant.
        if let Some(name) = &place.data {
            check_data(name, place.data_dir.as_deref())?;
        }
        Ok(Context {
            data: place.data.clone(),
            data_dir: place.data_dir.clone(),
            image_size: place.size.image_size,
            device: device(&place.device)?,
            seed: DEFAULT_SEED,
            quick: false,
            full: false,
            progress: Progress::new(),
        })
    }

    /// The data set after `--data`, or `default`.
    pub(crate) fn dataset_or(&self, default: &str) -> Result<Dataset> {
        self.dataset(self.data.as_deref().unwrap_or(default))
    }

    /// The data set of this name or folder, whatever `--data` says.
    pub(crate) fn dataset(&self, name: &str) -> Result<Dataset> {
        self.load(name, self.image_size)
    }

    /// The data set of this name as its files have it, also where `--image-size` is meant for another one.
    pub(crate) fn dataset_as_it_is(&self, name: &str) -> Result<Dataset> {
        self.load(name, None)
    }

    fn load(&self, name: &str, size: Option<ImageSize>) -> Result<Dataset> {
        let options = FolderOptions {
            size: size.map(|size| (size.height, size.width)),
            ..FolderOptions::default()
        };
        let mut bars = Downloads::new(&self.progress, Some(format!("reading {name}")));
        let dataset = datasets::load_with(name, self.data_dir.as_deref(), &options, &mut bars)?;
        if let [only] = &dataset.classes[..] {
            bail!(
                "'{name}' has the images of one class, '{only}', alone, and nothing can be told apart; add a sub-folder of images of \
                 another class"
            );
        }
        Ok(dataset)
    }

    /// `full`, or `quick` where the small version was asked for.
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// The flag that Ctrl-C sets.
    pub(crate) fn interrupt(&self) -> &'static AtomicBool {
        &INTERRUPTED
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn is_interrupted() -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }

    /// Fails where Ctrl-C was pressed.
    pub(crate) fn check_interrupt(&self) -> Result<()> {
        if Self::is_interrupted() {
            bail!("interrupted");
        }
        Ok(())
    }
}

/// Refuses a word after `--data` that is neither a known name nor a folder.
fn check_data(name: &str, data_dir: Option<&Path>) -> Result<()> {
    let known = datasets::known(name);
    let below = data_dir.map(|folder| folder.join(name));
    if let Some(path) = below.into_iter().chain([name.into()]).find(|path| path.exists()) {
        if path.is_file() && known.is_err() {
            bail!(
                "--data {name}: this is a file; name a folder with one sub-folder of images a class, or a data set (lab data list)"
            );
        }
        return Ok(());
    }
    let looks_like_a_path = name.contains(['/', '\\']) || name.starts_with('.');
    if known.is_err() && looks_like_a_path {
        bail!("--data {name}: this folder does not exist; check the path, or name a data set (lab data list)");
    }
    known?;
    Ok(())
}

/// Lets the first Ctrl-C end the step in progress and the second one end the program.
pub(crate) fn listen_for_interrupt() -> Result<()> {
    static LISTENING: OnceLock<()> = OnceLock::new();
    if LISTENING.set(()).is_err() {
        return Ok(());
    }
    ctrlc::set_handler(|| {
        if interrupt() {
            crate::live::restore();
            std::process::exit(1);
        }
        crate::progress::say("interrupted: ending the step in progress (press Ctrl-C again to end at once)");
    })
    .context("Ctrl-C cannot be caught")
}

/// Asks for the end of the step in progress; returns whether that was asked for before.
pub(crate) fn interrupt() -> bool {
    INTERRUPTED.swap(true, Ordering::Relaxed)
}

/// The widest that a table becomes.
const WIDEST: usize = 240;

/// Columns of the terminal and whether it shows colours.
///
/// Where the output is no terminal: `COLUMNS`, else 100, and colours only where `CLICOLOR_FORCE` asks for them. `NO_COLOR`
/// switches them off everywhere.
pub(crate) fn terminal() -> (usize, bool) {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let is_terminal = std::io::stdout().is_terminal();
    let color = match (variable("NO_COLOR"), variable("CLICOLOR_FORCE")) {
        (Some(_), _) => false,
        (None, Some(force)) if force != "0" => true,
        _ => is_terminal && console::colors_enabled(),
    };
    let columns = if is_terminal {
        console::Term::stdout()
            .size_checked()
            .map(|(_, columns)| usize::from(columns))
    } else {
        variable("COLUMNS").and_then(|columns| columns.parse().ok())
    };
    (columns.unwrap_or(100).clamp(40, WIDEST), color)
}

/// The processor by its name, where the system tells, else by its kind.
pub(crate) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or(std::env::consts::ARCH, |(_, name)| name.trim())
        .to_string()
}

/// The device of a `--device` option.
pub(crate) fn device(name: &str) -> Result<Device> {
    let (kind, ordinal) = match name.split_once(':') {
        None => (name, 0),
        Some((kind, number)) => (
            kind,
            number
                .parse()
                .with_context(|| format!("--device {name}: '{number}' is no number; write cuda:0, cuda:1, …"))?,
        ),
    };
    let found = match kind {
        "cpu" => Ok(Device::Cpu),
        "cuda" => Device::new_cuda(ordinal),
        "metal" => Device::new_metal(ordinal),
        _ => bail!("--device {name}: expected cpu, cuda, cuda:N or metal"),
    };
    found.with_context(|| {
        format!("--device {name} cannot be used; build with --features {kind} on a machine that has one, or use --device cpu")
    })
}

/// Shows downloads and the images that are read as bars, and between them what else is done.
pub(crate) struct Downloads<'a> {
    progress: &'a Progress,
    bar: Option<indicatif::ProgressBar>,
    /// What is done where nothing is downloaded, such as reading files, and the sign of life meanwhile.
    beside: Option<String>,
    waiting: Option<Waiting>,
}

impl<'a> Downloads<'a> {
    pub(crate) fn new(progress: &'a Progress, beside: Option<String>) -> Self {
        let waiting = beside.as_deref().map(|what| progress.waiting(what));
        Downloads {
            progress,
            bar: None,
            beside,
            waiting,
        }
    }
}

impl Drop for Downloads<'_> {
    /// No bar stays on the terminal where a download or an image fails.
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl datasets::Progress for Downloads<'_> {
    fn started(&mut self, file: &str, done: u64, total: Option<u64>) {
        self.waiting = None;
        let bar = self.progress.bytes(file, total);
        bar.set_position(done);
        self.bar = Some(bar);
    }

    fn advanced(&mut self, done: u64, total: Option<u64>) {
        if let Some(bar) = &self.bar {
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(done);
        }
    }

    fn finished(&mut self, file: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.progress.line(&format!("{file}: complete"));
        self.waiting = self.beside.as_deref().map(|what| self.progress.waiting(what));
    }

    fn images(&mut self, done: usize, of: usize) {
        self.waiting = None;
        let progress = self.progress;
        let bar = self
            .bar
            .get_or_insert_with(|| progress.bar("reading images", of as u64));
        bar.set_position(done as u64);
    }

    fn retrying(&mut self, file: &str, reason: &str) {
        self.progress.line(&format!("{file}: {reason}; trying again"));
    }

    fn cancelled(&mut self) -> bool {
        Context::is_interrupted()
    }
}

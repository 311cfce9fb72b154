//! Runs on disk: a folder with one file a run, named by what was run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sweep::Cell;
use crate::trial::{Configuration, Outcome, Run, Timing, Trial, hexadecimal};
use crate::{Error, Plan, Result};

/// A folder of runs.
///
/// * `study.json` is the [`Plan`];
/// * `records/KEY.json` is one run: its [`Configuration`], whose [`key`](Configuration::key) is the file's name, its
///   [`Outcome`], and a checksum of both. The same run has the same bytes on every machine that rounds alike;
/// * `timings/KEY.json` says how long it took, which is never the same twice.
///
/// Files are written under another name and renamed when they are whole: whatever stops the program leaves complete
/// records, and the next sweep goes on from those.
#[derive(Clone, Debug)]
pub struct Records {
    folder: PathBuf,
}

/// No record is as large: one point of a curve is about 100 bytes.
const LARGEST: u64 = 64 << 20;

/// The first words of every record.
const FORMAT: &str = "candle-lab run 1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: String,
    configuration: Configuration,
    outcome: Outcome,
    checksum: String,
}

/// The runs of a plan as far as they are recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathered {
    /// The cells whose runs are all there.
    pub cells: Vec<Option<Cell>>,
    /// Runs that are there.
    pub recorded: usize,
    /// Runs of the plan.
    pub runs: usize,
}

impl Records {
    /// The records of a folder, which is made where it is not there.
    ///
    /// # Errors
    /// [`Error::Folder`] where nothing can be written there.
    pub fn create(folder: impl Into<PathBuf>) -> Result<Self> {
        let records = Records { folder: folder.into() };
        for part in [records.folder.join("records"), records.folder.join("timings")] {
            let made = fs::create_dir_all(&part).and_then(|()| tempfile::tempfile_in(&part));
            made.map_err(|source| Error::Folder {
                path: records.folder.clone(),
                problem: format!("nothing can be written there: {source}"),
                advice: "choose another folder",
            })?;
        }
        Ok(records)
    }

    /// The records of a folder that is there.
    ///
    /// # Errors
    /// [`Error::Folder`] where it holds no records.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let records = Records { folder: folder.into() };
        let problem = match (records.folder.is_dir(), records.folder.join("study.json").is_file()) {
            (true, true) => return Ok(records),
            (true, false) => "it holds no study.json, so it is not the folder of a sweep",
            (false, _) if records.folder.exists() => "it is no folder",
            (false, _) => "it does not exist",
        };
        Err(Error::Folder {
            path: records.folder,
            problem: problem.to_string(),
            advice: "name a folder that `lab sweep --out` has written",
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the record of a configuration is, or would be.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.join("records").join(format!("{key}.json"))
    }

    fn timing_path(&self, key: &str) -> PathBuf {
        self.folder.join("timings").join(format!("{key}.json"))
    }

    /// The plan of the folder.
    ///
    /// # Errors
    /// [`Error::Damaged`] where it cannot be read.
    pub fn plan(&self) -> Result<Plan> {
        let path = self.folder.join("study.json");
        let plan: Plan = read(&path)?;
        plan.check().map_err(|error| damaged(&path, error.to_string()))?;
        Ok(plan)
    }

    /// Writes the plan, in place of an earlier one.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_plan(&self, plan: &Plan) -> Result<()> {
        let text = serde_json::to_string_pretty(plan).map_err(|error| Error::Json(error.to_string()))?;
        Ok(report::write_atomically(self.folder.join("study.json"), text + "\n")?)
    }

    /// Writes a run: first how long it took, so that a record without its time does not occur.
    pub(crate) fn save(&self, configuration: &Configuration, outcome: &Outcome, timing: &Timing) -> Result<()> {
        let record = Record {
            format: FORMAT.to_string(),
            configuration: configuration.clone(),
            outcome: outcome.clone(),
            checksum: checksum(configuration, outcome)?,
        };
        let key = configuration.key();
        let text = |json: serde_json::Result<String>| json.map_err(|error| Error::Json(error.to_string()));
        let timing = text(serde_json::to_string(timing))? + "\n";
        report::write_atomically(self.timing_path(&key), timing)?;
        let record = text(serde_json::to_string(&record))? + "\n";
        Ok(report::write_atomically(self.path(&key), record)?)
    }

    /// The run of a configuration, where it is recorded.
    pub(crate) fn load(&self, configuration: &Configuration) -> Result<Option<(Outcome, Timing)>> {
        let key = configuration.key();
        let path = self.path(&key);
        if !path.exists() {
            return Ok(None);
        }
        let record = self.record(&key)?;
        if record.configuration != *configuration {
            return Err(damaged(&path, "it is the record of another run".to_string()));
        }
        Ok(Some((record.outcome, read(&self.timing_path(&key))?)))
    }

    /// The record of a key: read, and checked against its name and its checksum.
    fn record(&self, key: &str) -> Result<Record> {
        let path = self.path(key);
        let record: Record = read(&path)?;
        let problem = if record.format != FORMAT {
            format!("its format is '{}', not '{FORMAT}'", record.format)
        } else if record.checksum != checksum(&record.configuration, &record.outcome)? {
            "its checksum does not agree with its contents".to_string()
        } else if record.configuration.key() != key {
            "its name is not the hash of its configuration".to_string()
        } else {
            return Ok(record);
        };
        Err(damaged(&path, problem))
    }

    /// The names of all records, in ascending order.
    ///
    /// # Errors
    /// [`Error::Read`] where the folder cannot be listed.
    pub fn keys(&self) -> Result<Vec<String>> {
        let folder = self.folder.join("records");
        let unread = |source| Error::Read {
            path: folder.clone(),
            source,
        };
        let mut keys = Vec::new();
        for entry in fs::read_dir(&folder).map_err(unread)? {
            let name = entry.map_err(unread)?.file_name().to_string_lossy().into_owned();
            // What begins with a dot was being written when its program was ended.
            if let Some(key) = name.strip_suffix(".json").filter(|key| !key.starts_with('.')) {
                keys.push(key.to_string());
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// Reads every record and names all that are damaged; returns how many there are.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn verify(&self) -> Result<usize> {
        let keys = self.keys()?;
        let mut all = Vec::new();
        for key in &keys {
            let timing = || read::<Timing>(&self.timing_path(key)).map(|_| ());
            match self.record(key).map(|_| ()).and_then(|()| timing()) {
                Err(Error::Damaged { records }) => all.extend(records),
                done => done?,
            }
        }
        if all.is_empty() {
            Ok(keys.len())
        } else {
            Err(Error::Damaged { records: all })
        }
    }

    /// The runs of a plan as far as they are recorded here.
    ///
    /// # Errors
    /// [`Error::Damaged`] for records that cannot be read.
    pub fn gather(&self, plan: &Plan) -> Result<Gathered> {
        let mut gathered = Gathered {
            cells: Vec::with_capacity(plan.cells()),
            recorded: 0,
            runs: plan.cells() * plan.runs_of_a_cell(),
        };
        for cell in 0..plan.cells() {
            let tuning = plan.tuning(cell);
            let found = self.runs(plan, &tuning)?;
            gathered.recorded += found.len();
            if found.len() < tuning.len() {
                gathered.cells.push(None);
                continue;
            }
            let chosen = plan.choose(&found);
            let headline = plan.headline(cell, chosen);
            let last = self.runs(plan, &headline)?;
            let complete = last.len() == headline.len();
            gathered.recorded += if complete { 2 * plan.seeds.len() } else { last.len() };
            gathered
                .cells
                .push(complete.then(|| Cell::of(plan, chosen, found, last)));
        }
        Ok(gathered)
    }

    fn runs(&self, plan: &Plan, trials: &[Trial]) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for trial in trials {
            if let Some((outcome, timing)) = self.load(&plan.configuration(trial)?)? {
                let trial = trial.clone();
                runs.push(Run { trial, outcome, timing });
            }
        }
        Ok(runs)
    }

    /// Brings the records of `others` into this folder and makes the plan of all the one of this folder; returns it, and
    /// how many records came. Nothing is written before everything was read and found to agree.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming every record that cannot be read, [`Error::PlansDiffer`] where the folders hold different
    /// studies, [`Error::RecordsDiffer`] where two folders say different things about one run.
    pub fn merge(&self, others: &[Records]) -> Result<(Plan, usize)> {
        let mut plan: Option<Plan> = None;
        let mut damaged = Vec::new();
        for records in others {
            let part = records.plan()?;
            plan = Some(match plan {
                None => part,
                Some(plan) => plan.union(&part)?,
            });
            match records.verify() {
                Err(Error::Damaged { records }) => damaged.extend(records),
                other => drop(other?),
            }
        }
        if !damaged.is_empty() {
            return Err(Error::Damaged { records: damaged });
        }
        let plan = plan.ok_or(Error::Empty { what: "folder" })?;
        let mut new: BTreeMap<String, &Records> = BTreeMap::new();
        for records in others {
            for key in records.keys()? {
                let known = new.get(&key).copied();
                let known = known.or_else(|| self.path(&key).exists().then_some(self));
                match known {
                    Some(known) if records.record(&key)?.outcome != known.record(&key)?.outcome => {
                        return Err(Error::RecordsDiffer {
                            one: known.path(&key),
                            two: records.path(&key),
                        });
                    }
                    Some(_) => {}
                    None => {
                        new.insert(key, records);
                    }
                }
            }
        }
        for (key, from) in &new {
            let record = from.record(key)?;
            let timing = read(&from.timing_path(key))?;
            self.save(&record.configuration, &record.outcome, &timing)?;
        }
        self.write_plan(&plan)?;
        Ok((plan, new.len()))
    }
}

fn checksum(configuration: &Configuration, outcome: &Outcome) -> Result<String> {
    let text = serde_json::to_string(&(configuration, outcome)).map_err(|error| Error::Json(error.to_string()))?;
    Ok(hexadecimal(&Sha256::digest(text.as_bytes())))
}

fn damaged(path: &Path, problem: String) -> Error {
    Error::Damaged {
        records: vec![(path.to_path_buf(), problem)],
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let unread = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => damaged(path, "it is missing".to_string()),
        _ => Error::Read {
            path: path.to_path_buf(),
            source,
        },
    };
    let mut text = Vec::new();
    let file = fs::File::open(path).map_err(unread)?;
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(unread)?;
    if text.len() as u64 > LARGEST {
        return Err(damaged(path, format!("it is larger than {LARGEST} bytes")));
    }
    serde_json::from_slice(&text).map_err(|error| damaged(path, format!("it is not what was written: {error}")))
}

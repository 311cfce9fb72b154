//! What criterion left on disk: the median time and the work of every bench.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde_json::Value;

use super::results::median;

/// What a bench does in one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Work {
    /// Floating point operations, and the bytes that must be read and written for them, where they were counted.
    Operations(f64, Option<f64>),
    /// Bytes that must be read and written.
    Bytes(f64),
}

/// One bench.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    /// The criterion group: the operation.
    pub(crate) group: String,
    /// The rest of its name: shape and direction.
    pub(crate) name: String,
    /// Median time of a call, in seconds.
    pub(crate) seconds: f64,
    pub(crate) work: Option<Work>,
}

impl Measured {
    /// GFLOP/s or GB/s; `None` for a bench without a count.
    pub(crate) fn rate(&self) -> Option<f64> {
        match self.work? {
            Work::Operations(count, _) | Work::Bytes(count) => Some(count / self.seconds / 1e9),
        }
    }
}

/// The benches below `folder` (`target/criterion`) that were measured since `start`, in the order of their names.
pub(crate) fn since(folder: &Path, start: SystemTime) -> Result<Vec<Measured>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("{} cannot be listed", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if !path.is_dir() {
                continue;
            }
            let (bench, sample) = (path.join("benchmark.json"), path.join("sample.json"));
            if path.file_name().is_some_and(|name| name == "new") && sample.is_file() {
                if fs::metadata(&sample)?.modified()? >= start {
                    found.push(read(&bench, &sample)?);
                }
            } else {
                open.push(path);
            }
        }
    }
    found.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    Ok(found)
}

fn read(bench: &Path, sample: &Path) -> Result<Measured> {
    let json = |path: &Path| -> Result<Value> {
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
    };
    let (bench, sample) = (json(bench)?, json(sample)?);
    measured(&bench, &sample).context("criterion's files do not look as they did")
}

/// From criterion's `benchmark.json` and `sample.json`: `times[i]` nanoseconds for `iters[i]` calls.
fn measured(bench: &Value, sample: &Value) -> Option<Measured> {
    let numbers = |name: &str| -> Option<Vec<f64>> { sample[name].as_array()?.iter().map(Value::as_f64).collect() };
    let times: Vec<f64> = numbers("times")?
        .into_iter()
        .zip(numbers("iters")?)
        .map(|(time, calls)| time / calls)
        .collect();
    let parts = [&bench["function_id"], &bench["value_str"]];
    let name: Vec<&str> = parts.into_iter().filter_map(Value::as_str).collect();
    let work = &bench["throughput"];
    Some(Measured {
        group: bench["group_id"].as_str()?.to_string(),
        name: name.join("/"),
        seconds: median(&times) / 1e9,
        work: if let Some(count) = work["Elements"].as_f64() {
            Some(Work::Operations(count, None))
        } else if let Some(count) = work["ElementsAndBytes"]["elements"].as_f64() {
            Some(Work::Operations(count, work["ElementsAndBytes"]["bytes"].as_f64()))
        } else {
            work["Bytes"].as_f64().map(Work::Bytes)
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_and_work_give_rates() {
        let sample = json!({"iters": [1.0, 2.0, 4.0], "times": [1000.0, 4000.0, 4000.0]});
        let bench = |throughput: Value| json!({"group_id": "linear", "function_id": "8x8/forward", "value_str": null, "throughput": throughput});
        let one = measured(&bench(json!({"Elements": 5000})), &sample).unwrap();
        assert_eq!((one.group.as_str(), one.name.as_str()), ("linear", "8x8/forward"));
        assert_eq!(one.seconds, 1e-6);
        assert_eq!(one.rate(), Some(5.0));
        let product = measured(
            &bench(json!({"ElementsAndBytes": {"elements": 5000, "bytes": 70}})),
            &sample,
        )
        .unwrap();
        assert_eq!(product.work, Some(Work::Operations(5000.0, Some(70.0))));
        let bytes = measured(&bench(json!({"Bytes": 2000})), &sample).unwrap();
        assert_eq!(bytes.work, Some(Work::Bytes(2000.0)));
        assert_eq!(measured(&bench(Value::Null), &sample).unwrap().rate(), None);
        assert_eq!(measured(&json!({}), &sample), None);
    }
}

//! Cases that an installed framework computes now, with hyper-parameters, seeds and lengths that were drawn.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first Python of `$CANDLE_LAB_PYTHON` (a list like `PATH`; else `python3`) that has these modules.
fn python_with(modules: &str) -> Option<PathBuf> {
    let named = std::env::var_os("CANDLE_LAB_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    std::env::split_paths(&named).find(|python| {
        let mut command = Command::new(python);
        // To look for a module is quick; to load one takes seconds.
        command.args([
            "-c",
            "import importlib.util, sys; sys.exit(None in map(importlib.util.find_spec, sys.argv[1:]))",
        ]);
        let found = command.args(modules.split(' ')).output();
        found.is_ok_and(|output| output.status.success())
    })
}

/// A folder with one case of each optimizer of a framework; `None` where no Python has its modules.
pub(crate) fn cases(framework: &str, modules: &str) -> Option<PathBuf> {
    let python = python_with(modules)?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fresh-{framework}"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the cases of the last time go");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/generate.py");
    let output = Command::new(python)
        .arg(script)
        .args([framework, "--seed", "2027", "--count", "1", "--steps", "10", "--out"])
        .arg(&folder)
        .output()
        .expect("Python runs");
    assert!(
        output.status.success(),
        "generate.py {framework}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(folder)
}

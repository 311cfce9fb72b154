//! Files appear whole or not at all.

use std::fs;

use report::{Error, write_atomically};

#[track_caller]
fn check_error(result: report::Result<()>, path: &std::path::Path, advice: &str) {
    let error = result.expect_err("cannot be written");
    let message = error.to_string();
    assert!(matches!(error, Error::Write { .. }));
    assert!(
        message.contains(&path.display().to_string()) && message.contains(advice) && !message.contains(".part"),
        "{message}"
    );
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn a_new_file_replaces_the_old() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.html");
    write_atomically(&path, "old and longer").expect("written");
    write_atomically(&path, "new").expect("written");
    assert_eq!(fs::read(&path).expect("read"), b"new");
    assert_eq!(names(folder.path()), ["index.html"]);
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("missing").join("index.html");
    check_error(write_atomically(&path, "x"), &path, "create its folder first");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_folder_is_not_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    check_error(
        write_atomically(folder.path(), "x"),
        folder.path(),
        "a folder has this name",
    );
    assert!(names(folder.path()).is_empty());
}

#[test]
#[cfg(unix)]
fn a_file_is_not_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "x").expect("written");
    let path = file.join("index.html");
    check_error(write_atomically(&path, "x"), &path, "is a file, not a folder");
}

#[test]
#[cfg(unix)]
fn a_read_only_folder_keeps_the_old_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.html");
    fs::write(&path, "old").expect("written");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).expect("set");
    let result = write_atomically(&path, "new");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
    if result.is_ok() {
        println!("skipped: this user may write anywhere");
        return;
    }
    check_error(result, &path, "choose another folder");
    assert_eq!(fs::read(&path).expect("read"), b"old");
    assert_eq!(names(folder.path()), ["index.html"]);
}

#[test]
#[cfg(target_os = "linux")]
fn kernel_folders_refuse() {
    // /proc takes no files, not even from root.
    let path = std::path::Path::new("/proc/index.html");
    check_error(write_atomically(path, "x"), path, "cannot write /proc/index.html");
}

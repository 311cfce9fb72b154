//! Whole sets: archives, the list of checksums, and the real files of cats vs. dogs.

use crate::test_server::{Reply, Server};
use crate::{Checksum, Error, Fetcher, FileState, KnownFile, Silent, checksum, verify};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A member of a tar archive: path, type, content.
fn tar_gz(members: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    for (path, kind, content) in members {
        let mut header = [0u8; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[156] = *kind;
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        gz.write_all(&header).unwrap();
        gz.write_all(content).unwrap();
        gz.write_all(&vec![0; content.len().next_multiple_of(512) - content.len()])
            .unwrap();
    }
    gz.write_all(&[0; 1024]).unwrap();
    gz.finish().unwrap()
}

fn fetch_archive(archive: Vec<u8>, folder: &Path) -> crate::Result<()> {
    let file = KnownFile {
        name: "set.tar.gz",
        bytes: archive.len() as u64,
        checksum: Checksum::Sha256(checksum::sha256_of_bytes(&archive).leak()),
        urls: &[],
        members: &["one.bin", "two.bin"],
    };
    let server = Server::start(move |request| Reply::file(request, &archive));
    Fetcher::new()
        .base_url(&server.url())
        .tries(1, Duration::ZERO)
        .fetch_file(&file, folder, &mut Silent)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_archive_comes_out_under_our_names_only() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("set");
    std::fs::create_dir(&folder).unwrap();
    let archive = tar_gz(&[
        ("set/readme.html", b'0', b"not wanted"),
        ("set/two.bin", b'2', b""), // a link of a wanted name
        ("../../two.bin", b'0', b"2222"),
        ("../evil.bin", b'0', b"evil"),
        ("set/one.bin", b'0', &[1; 700]),
    ]);
    fetch_archive(archive, &folder).unwrap();
    assert_eq!(names(top.path()), ["set"]);
    assert_eq!(names(&folder), ["SHA256SUMS", "one.bin", "two.bin"]);
    assert_eq!(std::fs::read(folder.join("one.bin")).unwrap(), [1; 700]);
    assert_eq!(std::fs::read(folder.join("two.bin")).unwrap(), b"2222");
    let list = checksum::recorded(&folder).unwrap();
    assert_eq!(list["one.bin"], checksum::sha256_of_bytes(&[1; 700]));
}

#[test]
fn damaged_archives_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let check = |archive: Vec<u8>, words: &str| {
        let _ = std::fs::remove_file(folder.path().join("set.tar.gz"));
        let error = fetch_archive(archive, folder.path()).unwrap_err().to_string();
        assert!(error.contains(words), "'{words}' is not in: {error}");
    };
    check(tar_gz(&[("one.bin", b'0', b"1")]), "no two.bin");
    let whole = tar_gz(&[("one.bin", b'0', b"1"), ("two.bin", b'0', b"2")]);
    check(whole[..whole.len() / 2].to_vec(), "set.tar.gz");
    check(b"<html>".to_vec(), "a tar header (512 bytes)");
    check(vec![b'x'; 2048], "valid checksum");
}

#[test]
fn an_archive_of_another_content_is_not_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("set.tar.gz"), "other").unwrap();
    let archive = tar_gz(&[("one.bin", b'0', b"1"), ("two.bin", b'0', b"2")]);
    let error = fetch_archive(archive, folder.path()).unwrap_err().to_string();
    assert!(error.contains("set.tar.gz") && error.contains("remove it"), "{error}");
    assert_eq!(names(folder.path()), ["set.tar.gz"]);
}

fn real_cats_and_dogs() -> Option<PathBuf> {
    let root = std::env::var_os("CANDLE_LAB_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    Some(root.join("cats-dogs")).filter(|folder| folder.is_dir())
}

#[test]
fn cats_and_dogs_are_fetched_once_and_verified() {
    let Some(source) = real_cats_and_dogs() else {
        println!("skipped: no cats-dogs (set CANDLE_LAB_DATA)");
        return;
    };
    let server = Server::start(
        move |request| match std::fs::read(source.join(request.path.trim_start_matches('/'))) {
            Ok(bytes) => Reply::file(request, &bytes),
            Err(_) => Reply::new(404, b""),
        },
    );
    let top = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new().base_url(&server.url()).tries(1, Duration::ZERO);
    let folder = fetcher.fetch("cats-dogs", top.path(), &mut Silent).unwrap();
    assert_eq!(folder, top.path().join("cats-dogs"));
    assert_eq!(names(&folder), ["SHA256SUMS", "catData_w.mat", "dogData_w.mat"]);
    let report = verify("cats-dogs", top.path()).unwrap();
    assert!(
        report
            .files
            .iter()
            .all(|file| matches!(file.state, FileState::Ok { .. }) && file.records == Some(80))
    );

    assert_eq!(fetcher.fetch("cats_dogs", top.path(), &mut Silent).unwrap(), folder);
    assert_eq!(fetcher.fetch("cats-dogs", &folder, &mut Silent).unwrap(), folder);
    assert_eq!(server.requests().len(), 2, "what is there is not asked for again");

    let mut bytes = std::fs::read(folder.join("catData_w.mat")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(folder.join("catData_w.mat"), bytes).unwrap();
    let report = verify("cats-dogs", top.path()).unwrap();
    assert!(!report.is_sound() && report.is_complete());
}

#[test]
fn what_cannot_be_fetched_says_why() {
    let top = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new().base_url("http://127.0.0.1:9").tries(1, Duration::ZERO);
    let fetch = |name| fetcher.fetch(name, top.path(), &mut Silent).unwrap_err();
    assert!(matches!(fetch("digits"), Error::NothingToFetch { .. }));
    assert!(matches!(fetch("imagenet"), Error::UnknownDataset { .. }));
    let message = fetch("mnist").to_string();
    assert!(
        message.contains("train-images-idx3-ubyte.gz") && message.contains("--data-dir"),
        "{message}"
    );
}

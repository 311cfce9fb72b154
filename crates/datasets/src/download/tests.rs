//! Downloads from a server that behaves, and from servers that do not.

use super::Downloader;
use crate::test_server::{Reply, Request, Server};
use crate::{Checksum, Error, KnownFile, Progress, Silent, checksum};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// 200 kB in which every place is different.
fn content() -> Vec<u8> {
    (0..50_000u32).flat_map(u32::to_be_bytes).collect()
}

fn known_file(bytes: &[u8]) -> KnownFile {
    let sha256: &'static str = checksum::sha256_of_bytes(bytes).leak();
    KnownFile {
        name: "data.bin",
        bytes: bytes.len() as u64,
        checksum: Checksum::Sha256(sha256),
        urls: &[],
        members: &[],
    }
}

fn downloader(base_url: Option<String>) -> Downloader {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    Downloader {
        agent,
        base_url,
        tries: 2,
        pause: Duration::ZERO,
    }
}

struct Try {
    folder: TempDir,
    outcome: crate::Result<()>,
}

impl Try {
    fn target(&self) -> PathBuf {
        self.folder.path().join("data.bin")
    }

    fn part(&self) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join("data.bin.part")).ok()
    }

    #[track_caller]
    fn succeeded(&self) {
        self.outcome.as_ref().unwrap();
        assert_eq!(std::fs::read(self.target()).unwrap(), content());
        assert_eq!(self.part(), None);
    }

    #[track_caller]
    fn failed(&self, words: &[&str]) -> &Error {
        let error = self.outcome.as_ref().unwrap_err();
        let message = error.to_string();
        for word in words {
            assert!(message.contains(word), "'{word}' is not in: {message}");
        }
        assert!(
            !message.contains('\n') && message.contains("data.bin") && message.contains("--data-dir"),
            "{message}"
        );
        assert!(!self.target().exists());
        error
    }
}

/// Downloads from `server`, with `part` there from before.
fn get_from(server: &Server, part: Option<&[u8]>, progress: &mut dyn Progress) -> Try {
    let folder = tempfile::tempdir().unwrap();
    if let Some(part) = part {
        std::fs::write(folder.path().join("data.bin.part"), part).unwrap();
    }
    let target = folder.path().join("data.bin");
    let outcome = downloader(Some(server.url())).download(&known_file(&content()), &target, progress);
    Try { folder, outcome }
}

fn get(answer: impl Fn(&Request) -> Reply + Send + 'static) -> Try {
    get_from(&Server::start(answer), None, &mut Silent)
}

#[derive(Default)]
struct Heard(Vec<String>, u64);

impl Progress for Heard {
    fn started(&mut self, file: &str, done: u64, total: Option<u64>) {
        self.0.push(format!("started {file} {done} {total:?}"));
    }
    fn advanced(&mut self, done: u64, _: Option<u64>) {
        assert!(done > self.1, "progress goes forward");
        self.1 = done;
    }
    fn finished(&mut self, file: &str) {
        self.0.push(format!("finished {file} {}", self.1));
    }
    fn retrying(&mut self, file: &str, _: &str) {
        self.0.push(format!("retrying {file}"));
    }
}

#[test]
fn a_file_arrives_and_progress_is_told() {
    let server = Server::start(|request| Reply::file(request, &content()));
    let mut heard = Heard::default();
    get_from(&server, None, &mut heard).succeeded();
    assert_eq!(heard.0, ["started data.bin 0 Some(200000)", "finished data.bin 200000"]);
    assert_eq!(server.requests()[0].path, "/data.bin");
}

#[test]
fn a_broken_connection_is_continued() {
    let server = Server::start(|request| {
        let reply = Reply::file(request, &content());
        if request.number == 0 {
            reply.breaking_after(70_000)
        } else {
            reply
        }
    });
    let mut heard = Heard::default();
    get_from(&server, None, &mut heard).succeeded();
    let continued = server.requests()[1].range.unwrap();
    assert!(continued > 0 && continued <= 70_000);
    assert_eq!(heard.0[1], "retrying data.bin");
    assert_eq!(heard.0[2], format!("started data.bin {continued} Some(200000)"));
}

#[test]
fn a_part_from_before_is_continued() {
    let server = Server::start(|request| Reply::file(request, &content()));
    get_from(&server, Some(&content()[..123_456]), &mut Silent).succeeded();
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].range, Some(123_456));
}

#[test]
fn a_server_without_ranges_sends_everything_again() {
    let server = Server::start(|_| Reply::new(200, &content()));
    get_from(&server, Some(&content()[..123_456]), &mut Silent).succeeded();
}

#[test]
fn a_part_of_another_version_is_dropped_after_the_checksum() {
    let server = Server::start(|request| Reply::file(request, &content()));
    get_from(&server, Some(&[7; 1000]), &mut Silent).succeeded();
    let ranges: Vec<_> = server.requests().iter().map(|request| request.range).collect();
    assert_eq!(ranges, [Some(1000), None]);
}

#[test]
fn a_part_that_is_complete_only_needs_its_name() {
    let server = Server::start(|request| Reply::file(request, &content()));
    get_from(&server, Some(&content()), &mut Silent).succeeded();
}

#[test]
fn a_part_that_is_too_long_is_dropped() {
    let server = Server::start(|request| Reply::file(request, &content()));
    let long = [content(), vec![0; 10]].concat();
    get_from(&server, Some(&long), &mut Silent).succeeded();
}

#[test]
fn a_wrong_checksum_leaves_nothing() {
    let attempt = get(|_| Reply::new(200, &[1; 200_000]));
    assert!(matches!(
        attempt.failed(&["SHA-256", "http://127.0.0.1"]),
        Error::Checksum { .. }
    ));
    assert_eq!(attempt.part(), None);
}

#[test]
fn a_body_that_ends_early_without_saying_so_fails_the_checksum() {
    let attempt = get(|request| {
        let mut reply = Reply::file(request, &content()).breaking_after(1000);
        reply.headers = vec!["X-No-Length: 1".to_string()];
        reply
    });
    attempt.failed(&["SHA-256"]);
    assert_eq!(attempt.part(), None);
}

#[test]
fn a_server_that_dies_leaves_a_part_to_continue() {
    let attempt = get(|request| match request.number {
        0 => Reply::file(request, &content()).breaking_after(70_000),
        _ => Reply::file(request, &content()).breaking_after(0),
    });
    attempt.failed(&["the connection broke after", "of 200000 bytes", "will be continued"]);
    let part = attempt.part().unwrap();
    assert!(!part.is_empty() && content().starts_with(&part));
}

#[test]
fn not_found_names_file_address_and_way_out() {
    let attempt = get(|_| Reply::new(404, b"<html>no such thing</html>"));
    attempt.failed(&["404", "http://127.0.0.1"]);
    assert_eq!(attempt.part(), None);
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    let server = Server::start(|request| match request.number {
        0 => Reply::new(503, b""),
        _ => Reply::file(request, &content()),
    });
    get_from(&server, None, &mut Silent).succeeded();
    let server = Server::start(|_| Reply::new(503, b""));
    get_from(&server, None, &mut Silent).failed(&["503"]);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_flood_is_refused() {
    let announced = get(|_| {
        let mut reply = Reply::new(200, b"");
        reply.headers = vec!["Content-Length: 99999999999".to_string()];
        reply
    });
    announced.failed(&["99999999999 bytes instead of 200000"]);
    let silent = get(|_| {
        let mut reply = Reply::new(200, &vec![0; 3_000_000]);
        reply.headers = vec!["X-No-Length: 1".to_string()];
        reply
    });
    silent.failed(&["instead of 200000"]);
    assert_eq!(silent.part(), None);
}

#[test]
fn a_cancelled_download_keeps_its_part() {
    struct Impatient(bool);
    impl Progress for Impatient {
        fn advanced(&mut self, _: u64, _: Option<u64>) {
            self.0 = true;
        }
        fn cancelled(&mut self) -> bool {
            self.0
        }
    }
    let server = Server::start(|request| Reply::file(request, &content()));
    let attempt = get_from(&server, None, &mut Impatient(false));
    assert!(matches!(attempt.outcome, Err(Error::Cancelled { .. })));
    assert!(!attempt.part().unwrap().is_empty() && !attempt.target().exists());
}

#[test]
fn nobody_listening_is_a_clear_error() {
    let server = Server::start(|request| Reply::file(request, &content()));
    let url = server.url();
    drop(server);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data.bin");
    let outcome = downloader(Some(url)).download(&known_file(&content()), &target, &mut Silent);
    Try { folder, outcome }.failed(&["no connection", "check the network"]);
}

#[test]
fn the_second_address_helps_when_the_first_lacks_the_file() {
    let empty = Server::start(|_| Reply::new(404, b""));
    let full = Server::start(|request| Reply::file(request, &content()));
    let urls = [
        format!("{}/a", empty.url()).leak() as &str,
        format!("{}/b", full.url()).leak(),
    ];
    let file = KnownFile {
        urls: Box::leak(Box::new(urls)),
        ..known_file(&content())
    };
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data.bin");
    downloader(None).download(&file, &target, &mut Silent).unwrap();
    assert_eq!(std::fs::read(target).unwrap(), content());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let error = downloader(None)
        .download(
            &known_file(&content()),
            Path::new("/no/such/folder/data.bin"),
            &mut Silent,
        )
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("data.bin.part") && error.contains("check the path"),
        "{error}"
    );
}

#[test]
fn two_fetches_of_one_file_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data.bin");
    let other = std::fs::File::create(folder.path().join("data.bin.part")).unwrap();
    other.lock().unwrap();
    let outcome = downloader(Some("http://127.0.0.1:9".into())).download(&known_file(&content()), &target, &mut Silent);
    assert!(
        outcome
            .unwrap_err()
            .to_string()
            .contains("another fetch of this file is running")
    );
}

//! Reports on good, damaged, missing and unknown files.

mod files;
use datasets::{FileState, verify};
use files::{check_message, cifar_records, write_mnist};

#[test]
fn every_file_gets_its_report() {
    let folder = tempfile::tempdir().unwrap();
    write_mnist(folder.path());
    std::fs::remove_file(folder.path().join("t10k-labels-idx1-ubyte")).unwrap();
    std::fs::write(folder.path().join("t10k-images-idx3-ubyte"), "short").unwrap();
    let report = verify("mnist", folder.path()).unwrap();
    assert!(!report.is_complete() && !report.is_sound());
    let states: Vec<_> = report.files.iter().map(|file| &file.state).collect();
    assert!(matches!(states[0], FileState::Mismatch { algorithm, .. } if algorithm.contains("SHA-256")));
    assert!(matches!(states[2], FileState::Unreadable { reason } if reason.contains("at byte 0")));
    assert_eq!(states[3], &FileState::Missing);
    assert_eq!((report.files[0].records, report.files[0].labels), (Some(12), None));
    assert_eq!(
        (report.files[1].records, report.files[1].labels),
        (Some(12), Some((0, 9)))
    );
    assert_eq!(report.files[0].bytes, Some(16 + 72));
}

#[test]
fn what_has_no_published_checksum_is_compared_with_the_list() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data_batch_1.bin"), cifar_records(&[1, 7])).unwrap();
    std::fs::write(folder.path().join("test_batch.bin"), cifar_records(&[3])).unwrap();
    let report = verify("cifar10", folder.path()).unwrap();
    assert!(report.is_sound() && !report.is_complete());
    let FileState::Unchecked { sha256, .. } = &report.files[0].state else {
        panic!("{:?}", report.files[0])
    };
    assert_eq!(
        (report.files[0].records, report.files[0].labels),
        (Some(2), Some((1, 7)))
    );

    std::fs::write(
        folder.path().join("SHA256SUMS"),
        format!("{sha256}  data_batch_1.bin\n{sha256} *test_batch.bin\n# x\n"),
    )
    .unwrap();
    let report = verify("cifar10", folder.path()).unwrap();
    assert!(matches!(report.files[0].state, FileState::Ok { .. }));
    assert!(matches!(report.files[5].state, FileState::Mismatch { .. }));
}

#[test]
fn missing_folders_and_names_are_errors_but_empty_ones_are_reports() {
    let folder = tempfile::tempdir().unwrap();
    let report = verify("cats-dogs", folder.path()).unwrap();
    assert!(report.files.iter().all(|file| file.state == FileState::Missing));
    check_message(verify("cats-dogs", &folder.path().join("gone")), &["does not exist"]);
    check_message(verify("cats", folder.path()), &["unknown data set 'cats'"]);
}

//! Names: known, misspelt, and folders that are none.

mod files;
use files::check_message;

fn load(name: &str) -> datasets::Result<datasets::Dataset> {
    datasets::load(name, None, &mut datasets::Silent)
}

#[test]
fn a_misspelt_name_gets_a_suggestion_and_the_list() {
    let list = "digits, mnist, fashion-mnist, cifar10, cats-dogs, cats-dogs-original";
    check_message(
        load("minst"),
        &["unknown data set 'minst'", "did you mean 'mnist'?", list],
    );
    check_message(load("digts"), &["did you mean 'digits'?"]);
    check_message(load("cats-and-dogs"), &["did you mean 'cats-dogs'?"]);
    let far = load("imagenet").unwrap_err().to_string();
    assert!(far.contains(list) && !far.contains("did you mean"), "{far}");
}

#[test]
fn spelling_is_forgiving() {
    for name in ["digits", "Digits"] {
        assert_eq!(load(name).unwrap().name, "digits");
    }
    for name in ["CIFAR-10", "cifar10", "cifar10-subset", "cifar_10"] {
        assert_eq!(datasets::known(name).unwrap().name, "cifar10");
    }
    assert_eq!(datasets::known("fashion_mnist").unwrap().name, "fashion-mnist");
}

#[test]
fn a_path_that_does_not_exist_is_called_a_path() {
    check_message(load("./no/such/folder"), &["folder './no/such/folder' does not exist"]);
}

#[test]
fn the_catalogue_is_complete() {
    for set in datasets::catalogue() {
        assert!(
            !set.licence.is_empty() && !set.attribution.is_empty() && set.train > set.classes.len(),
            "{}",
            set.name
        );
        for file in set.files {
            let digits = if file.checksum.algorithm() == "MD5" { 32 } else { 64 };
            assert_eq!(file.checksum.digits().len(), digits, "{}", file.name);
            assert!(
                !file.urls.is_empty() && file.urls.iter().all(|url| url.ends_with(file.name)),
                "{}",
                file.name
            );
        }
    }
}

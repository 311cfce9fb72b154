//! Names that are mistyped: the message offers what was probably meant, and says what there is.

use crate::files::write_png;
use crate::program::Lab;

#[test]
fn the_nearest_name_is_offered() {
    let lab = Lab::new();
    lab.succeeds(&["train", "--epochs", "1", "--output", "net.safetensors"]);
    std::fs::write(
        lab.path("dens.json"),
        r#"{"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": "Dens", "config": {"units": 3}}]}}"#,
    )
    .expect("a file");
    write_png(&lab.path("cat.png"), 90);
    for (arguments, meant) in [
        (&["train", "--optimizer", "adm"][..], "'adam'"),
        (&["train", "--model", "lenet"], "'lenet5'"),
        (&["train", "--model", "dens.json"], "'Dense'"),
        (&["train", "--data", "digts"], "'digits'"),
        (&["exercise", "1", "--data", "digts"], "'digits'"),
        (&["train", "--augment", "rotat(0.1)"], "`rotate`"),
        (&["augment", "cat.png", "--pipeline", "flip(horizontl)"], "`horizontal`"),
        (&["augment", "cta.png", "--pipeline", "rotate(0.1)"], "'cat.png'"),
        (&["train", "--metrics", "acuracy"], "'accuracy'"),
        (&["train", "--schedule", "cosin"], "'cosine'"),
        (&["train", "--monitor", "val_los"], "'val_loss'"),
        (&["convert", "net.safetensors", "net.keas"], "'keras'"),
        (&["convert", "nte.safetensors", "net.keras"], "'net.safetensors'"),
        (&["evaluate", "net.safetensor"], "'net.safetensors'"),
        (&["inspect", "ned.safetensors"], "'net.safetensors'"),
        (&["data", "fetch", "mnits"], "'mnist'"),
    ] {
        lab.fails(arguments, &["did you mean", meant]);
    }
    for (arguments, meant) in [
        (&["trian"][..], "'train'"),
        (&["data", "lst"], "'list'"),
        (&["train", "--optimzer", "adam"], "'--optimizer'"),
        (&["summary", "lenet5", "--style", "kers"], "'keras'"),
        (&["sweep", "--optimizers", "adm"], "'adam'"),
    ] {
        lab.run(arguments).check_error(2, &[meant]);
    }
}

#[test]
fn numbers_that_cannot_be_are_said_with_what_can() {
    let lab = Lab::new();
    for (arguments, words) in [
        (&["train", "--learning-rate", "-1"][..], &["'-1'", "above 0"][..]),
        (&["train", "--learning-rate", "0"], &["'0'", "above 0"]),
        (&["train", "--learning-rate", "nan"], &["'nan'", "above 0"]),
        (&["train", "--validation-split", "-0.1"], &["'-0.1'", "below 1"]),
        (&["train", "--seed", "x"], &["'x'", "whole number"]),
        (&["train", "--seed", "-3"], &["'-3'", "whole number"]),
        (&["summary", "lenet5", "--line-length", "x"], &["'x'", "whole number"]),
    ] {
        lab.run(arguments).check_error(2, words);
    }
    lab.fails(&["train", "--weight-decay", "-2"], &["weight_decay", "-2"]);
    lab.fails(&["train", "--clipnorm", "-2"], &["clipnorm", "-2"]);
    for weight in ["-2", "nan", "inf"] {
        let words = ["--class-weight", weight, "'1'", "at least 0"];
        lab.fails(&["train", "--class-weight", &format!("1={weight}")], &words);
    }
    lab.run(&["train", "--prefetch", "99999999"])
        .check_error(2, &["--prefetch", "'99999999'", "1024"]);
}

#[test]
fn data_that_no_network_can_learn_are_said_before_anything_is_trained() {
    let lab = Lab::new();
    for index in 0..6 {
        let path = lab.path(&format!("only/cat/{index}.png"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        write_png(&path, 90 + index);
    }
    for command in [
        &["train"][..],
        &["sweep", "--out", "own"],
        &["exercise", "5", "--quick"],
    ] {
        let with = |data| [command, &["--data", data]].concat();
        lab.fails(&with("only"), &["only", "one class, 'cat'", "another class"]);
        lab.fails(
            &with("only/cat/0.png"),
            &["--data only/cat/0.png", "is a file", "folder"],
        );
        lab.fails(&with("only/cat"), &["only/cat", "sub-folder of its own"]);
    }
}

#[test]
fn places_that_cannot_be_written_to_or_read_are_said_with_their_option() {
    let lab = Lab::new();
    std::fs::write(lab.path("text.txt"), "to be").expect("a file");
    lab.fails(
        &["train", "--csv", "no/x.csv"],
        &["--csv no/x.csv", "there is no folder no"],
    );
    lab.fails(&["train", "--csv", "."], &["--csv .", "is a folder"]);
    lab.fails(
        &["train", "--tensorboard", "text.txt"],
        &["--tensorboard text.txt", "is a file"],
    );
    lab.fails(&["man", "text.txt"], &["text.txt", "is a file", "folder"]);
    let predict = |inputs| {
        [
            "predict",
            "digits_cnn",
            "--inputs",
            inputs,
            "--outputs",
            "y.safetensors",
        ]
    };
    lab.fails(&predict("text.tx"), &["--inputs text.tx", "no such file", "'text.txt'"]);
    lab.fails(&predict("."), &["--inputs .", "is a folder", ".safetensors"]);
}

#[test]
fn files_that_are_something_else_are_named_with_the_way_out() {
    let lab = Lab::new();
    let configuration = lab.succeeds(&["summary", "digits_cnn", "--style", "json"]);
    std::fs::write(lab.path("net.json"), configuration).expect("a file");
    std::fs::create_dir(lab.path("folder")).expect("a folder");
    for command in [&["evaluate"][..], &["inspect"]] {
        let with = |file| [command, &[file]].concat();
        lab.fails(&with("net.json"), &["net.json", "no weights", "lab summary net.json"]);
        lab.fails(
            &with("digits_cnn"),
            &["no trained weights", "lab train --model digits_cnn"],
        );
        lab.fails(&with("folder"), &["folder", ".safetensors"]);
        lab.fails(&with("none.keras"), &["none.keras", "no such file"]);
    }
    lab.succeeds(&["train", "--epochs", "1", "--output", "net.safetensors"]);
    let predict = [
        "predict",
        "net.safetensors",
        "--inputs",
        "net.safetensors",
        "--outputs",
        "no/y.safetensors",
    ];
    lab.fails(&predict, &["--outputs no/y.safetensors", "there is no folder no"]);
    lab.fails(
        &["exercise", "1", "--data", "no/where"],
        &["--data no/where", "does not exist"],
    );
    lab.succeeds(&["convert", "net.safetensors", "net.weights.h5"]);
    for command in ["evaluate", "summary", "gradcheck"] {
        lab.fails(
            &[command, "net.weights.h5"],
            &["lab convert net.weights.h5 model.keras --config"],
        );
    }
    std::fs::write(lab.path("text.txt"), "to be or not to be").expect("a file");
    for command in ["evaluate", "summary", "inspect"] {
        lab.fails(
            &[command, "text.txt"],
            &["text.txt", "a model file is one of .safetensors"],
        );
    }
    // Damage is called damage, not another kind of file.
    let whole = std::fs::read(lab.path("net.safetensors")).expect("a file");
    std::fs::write(lab.path("cut.safetensors"), &whole[..whole.len() / 2]).expect("a file");
    let outcome = lab.fails(
        &["summary", "cut.safetensors"],
        &["cut.safetensors", "not a whole safetensors file"],
    );
    assert!(!outcome.stderr.contains("built-in models"), "{}", outcome.stderr);
    lab.fails(&["convert", "net.safetensors", "folder"], &["folder", "name of a file"]);
    lab.fails(
        &["convert", "net.safetensors", "no/net.keras"],
        &["no/net.keras", "there is no folder no"],
    );
    lab.fails(
        &["augment", "folder", "--pipeline", "rotate(0.1)"],
        &["folder", "PNG or JPEG"],
    );
    lab.fails(&["train", "--class-weight", "1o=2"], &["no class '1o'"]);
}

#[test]
fn a_pipeline_has_a_caret_under_the_word() {
    let lab = Lab::new();
    write_png(&lab.path("cat.png"), 90);
    for (arguments, shown) in [
        (
            &["augment", "cat.png", "--pipeline", "flip(horizontal) | rotat(0.1)"][..],
            "  flip(horizontal) | rotat(0.1)\n                     ^^^^^\n",
        ),
        (
            &["train", "--augment", "rotate(fctor=0.1)"],
            "  rotate(fctor=0.1)\n         ^^^^^\n",
        ),
    ] {
        let outcome = lab.fails(arguments, &["did you mean"]);
        assert!(outcome.stderr.contains(shown), "{}", outcome.stderr);
    }
}

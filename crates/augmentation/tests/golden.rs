//! Walks reference results of Keras' layers: `$GOLDEN_DIR/augmentation`, by default the copies beside this file.
//!
//! A case gives a layer's configuration, an input and, for random layers, the transformation that was drawn; the output
//! must agree within 1e-4 of its largest value.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use augmentation::mix::{CutMix, CutMixParameters, MixUp, MixUpParameters};
use augmentation::{
    AugMix, AugMixParameters, Equalization, ErasingFill, ErasingParameters, Image, ImageShape, Parameters, RandAugment,
    RandAugmentParameters, Transform, find,
};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

const TOLERANCE: f32 = 1e-4;

type Tensors = BTreeMap<String, Tensor>;

#[derive(Clone)]
struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
    boolean: bool,
}

fn folder() -> PathBuf {
    match std::env::var_os("GOLDEN_DIR") {
        Some(root) => Path::new(&root).join("augmentation"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
    }
}

#[test]
fn every_case_agrees_with_keras() {
    let folder = folder();
    let inputs = tensors(&folder.join("images.safetensors"), &[]);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    let (mut cases, mut failures) = (0, String::new());
    for file in files {
        let document: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let Some(list) = document["cases"].as_array().filter(|_| document["quantiles"].is_null()) else {
            continue;
        };
        let booleans: Vec<String> = booleans(&document);
        let tensors = tensors(&file.with_extension("safetensors"), &booleans);
        for case in list {
            cases += 1;
            if let Err(reason) = run(case, &inputs, &tensors) {
                let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                let _ = writeln!(
                    failures,
                    "  {stem}/{} ({}): {reason}",
                    text(&case["name"]),
                    text(&case["class"])
                );
            }
        }
    }
    println!("golden: {cases} cases, {} failed", failures.lines().count());
    assert!(cases > 0, "no cases in {}", folder.display());
    assert!(failures.is_empty(), "cases that differ from Keras:\n{failures}");
}

/// Runs one case; the error says what differs or what is missing.
fn run(case: &Value, inputs: &Tensors, tensors: &Tensors) -> Result<(), String> {
    let class = text(&case["class"]);
    let input = inputs
        .get(text(&case["input"]))
        .ok_or("the input is missing from images.safetensors")?;
    // AutoContrast of Keras reduces axes (1, 2) whatever the data format: it takes columns for channels.
    let first = case["config"]["data_format"] == "channels_first" && class != "AutoContrast";
    let (mut images, labels) = (
        images(input, first)?,
        case["labels"].as_str().and_then(|key| tensors.get(key)),
    );
    let n = images.len();
    match class {
        "Equalization" => {
            let equalization: Equalization =
                serde_json::from_value(config(&case["config"])).map_err(|e| e.to_string())?;
            equalization.apply_batch(&mut images).map_err(|e| e.to_string())?;
        }
        "RandAugment" | "AugMix" => policy(case, class, &mut images, tensors, first)?,
        "MixUp" | "CutMix" => return mix(case, class, images, labels, tensors, first),
        "Pipeline" => {
            for layer in case["config"]["layers"].as_array().ok_or("no layers")? {
                let transform = Transform::from_config(text(&layer["class_name"]), config(&layer["config"]));
                let transform = transform.map_err(|e| e.to_string())?;
                let nothing: Parameters =
                    serde_json::from_value(json!({"class_name": transform.entry().class_name, "parameters": {}}))
                        .map_err(|e| e.to_string())?;
                for image in &mut images {
                    transform.apply(image, &nothing).map_err(|e| e.to_string())?;
                }
            }
        }
        _ => {
            let mut config = config(&case["config"]);
            if class == "Normalization" {
                normalization(case, &mut config, tensors)?;
            }
            let transform = Transform::from_config(class, config).map_err(|e| e.to_string())?;
            for (i, image) in images.iter_mut().enumerate() {
                let parameters = parameters(case, class, (i, n), image.shape(), tensors, first)?;
                transform.apply(image, &parameters).map_err(|e| e.to_string())?;
            }
        }
    }
    compare(case, "output", &images, tensors, first)
}

/// The configuration without what every Keras object has and what has only one value.
fn config(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(map) = config.as_object_mut() {
        for key in ["name", "trainable", "dtype", "data_format", "seed", "axis"] {
            map.remove(key);
        }
        // Resizing pads with constants only, and says so.
        if map.contains_key("pad_to_aspect_ratio") {
            map.remove("fill_mode");
        }
    }
    config
}

/// Layers that choose among others: the whole batch at once, as Keras equalizes it with one histogram.
fn policy(case: &Value, class: &str, images: &mut [Image], tensors: &Tensors, first: bool) -> Result<(), String> {
    let (transformation, n) = (&case["transformation"], images.len());
    let config = config(&case["config"]);
    // What Keras draws for a layer of this name, for image `i`.
    let drawn = |name: &str, value: &Value, i: usize, shape: ImageShape| -> Result<Parameters, String> {
        let class = find(name).ok_or_else(|| format!("no layer {name}"))?.class_name;
        parameters(&json!({"transformation": value}), class, (i, n), shape, tensors, first)
    };
    if class == "RandAugment" {
        let names = case["layer_order"].as_array().ok_or("no layer_order")?;
        let chosen = &tensor(&transformation["layer_idxes"], tensors)?.data;
        let of_image = |(i, image): (usize, &Image)| {
            let transforms = chosen.iter().map(|&at| {
                let name = text(names.get(at as usize).unwrap_or(&Value::Null));
                drawn(name, &transformation["transforms"][name], i, image.shape())
            });
            transforms
                .collect::<Result<_, _>>()
                .map(|transforms| RandAugmentParameters { transforms })
        };
        let parameters: Vec<_> = images.iter().enumerate().map(of_image).collect::<Result<_, _>>()?;
        let layer: RandAugment = serde_json::from_value(config).map_err(|e| e.to_string())?;
        return layer.apply_batch(images, &parameters).map_err(|e| e.to_string());
    }
    let chains = transformation["chain_transforms"].as_array().ok_or("no chains")?;
    let of_image = |(i, image): (usize, &Image)| {
        let chain = |chain: &Value| -> Result<Vec<Parameters>, String> {
            let steps = chain.as_array().ok_or("no chain")?.iter();
            steps
                .map(|step| drawn(text(&step["layer_name"]), &step["transformation"], i, image.shape()))
                .collect()
        };
        Ok::<_, String>(AugMixParameters {
            chain_mixing_weights: tensor(&transformation["chain_mixing_weights"], tensors)?.data.clone(),
            weight_sample: tensor(&transformation["weight_sample"], tensors)?.data[0],
            chain_transforms: chains.iter().map(chain).collect::<Result<_, _>>()?,
        })
    };
    let parameters: Vec<_> = images.iter().enumerate().map(of_image).collect::<Result<_, _>>()?;
    let layer: AugMix = serde_json::from_value(config).map_err(|e| e.to_string())?;
    layer.apply_batch(images, &parameters).map_err(|e| e.to_string())
}

/// Puts the adapted mean and variance into the configuration.
fn normalization(case: &Value, config: &mut Value, tensors: &Tensors) -> Result<(), String> {
    let axes: Vec<i64> = case["config"]["axis"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_i64)
        .collect();
    // From the end, as `-1`, or from the beginning with the batch as axis 0.
    config["axis"] = match axes.as_slice() {
        [] => json!([3]),
        axes => axes.iter().map(|axis| axis.rem_euclid(4)).collect(),
    };
    for key in ["mean", "variance"] {
        if let Some(tensor) = case["adapted"][key].as_str().and_then(|name| tensors.get(name)) {
            config[key] = if axes.is_empty() {
                json!(tensor.data[0])
            } else {
                json!(tensor.data)
            };
        }
    }
    Ok(())
}

/// The parameters of image `i` of `n`, from the transformation of the whole batch.
fn parameters(
    case: &Value,
    class: &str,
    (i, n): (usize, usize),
    shape: ImageShape,
    tensors: &Tensors,
    first: bool,
) -> Result<Parameters, String> {
    let transformation = &case["transformation"];
    let own = match class {
        "RandomCrop" => json!({"h_start": transformation["0"], "w_start": transformation["1"]}),
        "RandomErasing" => {
            let fill = tensor(&transformation["fill_value"], tensors)?;
            let fill = layout(
                &fill.data[i * fill.data.len() / n..][..fill.data.len() / n],
                shape,
                first,
            );
            let corner = |key: &str| case["box_corners"][key][i].as_f64().unwrap_or(f64::NAN);
            let apply = tensor(&transformation["apply_erasing"], tensors)?;
            // The record holds the fill as it was pasted, not the noise that it was made from.
            return Ok(Parameters::RandomErasing(ErasingParameters {
                apply_erasing: apply.data[i] != 0.0,
                x0: corner("x0"),
                x1: corner("x1"),
                y0: corner("y0"),
                y1: corner("y1"),
                fill: ErasingFill::Value(fill),
            }));
        }
        _ => sample(transformation, (i, n), tensors)?,
    };
    serde_json::from_value(json!({"class_name": class, "parameters": own})).map_err(|e| format!("{e} in {own}"))
}

/// The part of a transformation that belongs to image `i`: the row of each tensor that has one, else the value itself.
fn sample(value: &Value, (i, n): (usize, usize), tensors: &Tensors) -> Result<Value, String> {
    let Some(map) = value.as_object() else {
        return Ok(json!({}));
    };
    let mut own = Map::new();
    for (key, value) in map {
        match key.as_str() {
            // What follows from the image or from the other entries.
            "input_shape" | "image_height" | "image_width" | "batch_size" | "rotation_matrix" | "alpha" | "sigma"
            | "kernel_size" => {}
            "noise" => {
                let noise = tensor(value, tensors)?;
                let size = noise.data.len() / n;
                own.insert(key.clone(), json!({"values": noise.data[i * size..][..size]}));
            }
            "blur_factor" => {
                own.insert(key.clone(), json!(tensor(value, tensors)?.data));
            }
            _ if value["tensor"].is_string() => {
                let tensor = tensor(value, tensors)?;
                let size = tensor.data.len() / n;
                let row = &tensor.data[i * size..][..size];
                let integer = value["dtype"].as_str().is_some_and(|d| d.contains("int"));
                own.insert(key.clone(), nested(row, &tensor.shape[1..], tensor.boolean, integer));
            }
            _ if value.is_object() => {
                own.insert(key.clone(), sample(value, (i, n), tensors)?);
            }
            _ => {
                own.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(Value::Object(own))
}

/// Numbers as nested lists of this shape; one number alone where there is only one.
fn nested(data: &[f32], shape: &[usize], boolean: bool, integer: bool) -> Value {
    if let [x] = data {
        return match (boolean, integer) {
            (true, _) => json!(*x != 0.0),
            (_, true) => json!(*x as i64),
            _ => json!(x),
        };
    }
    let rest = shape.get(1..).unwrap_or(&[]);
    let size = rest.iter().product::<usize>().max(1);
    data.chunks(size)
        .map(|chunk| nested(chunk, rest, boolean, integer))
        .collect()
}

fn mix(
    case: &Value,
    class: &str,
    images: Vec<Image>,
    labels: Option<&Tensor>,
    tensors: &Tensors,
    first: bool,
) -> Result<(), String> {
    let transformation = &case["transformation"];
    let order = tensor(&transformation["permutation_order"], tensors)?;
    let permutation_order: Vec<usize> = order.data.iter().map(|&v| v as usize).collect();
    let mix_weight = tensor(&transformation["mix_weight"], tensors)?.data.clone();
    let labels = labels.ok_or("no labels")?;
    let (classes, mut mixed_labels) = (labels.shape[1], labels.data.clone());
    let shape = images[0].shape();
    let size = shape.height * shape.width * shape.channels;
    let mut values: Vec<f32> = images.iter().flat_map(|image| image.data.iter().copied()).collect();
    if class == "MixUp" {
        let parameters = MixUpParameters {
            permutation_order,
            mix_weight,
        };
        MixUp::default().apply(&mut values, size, &mut mixed_labels, classes, &parameters)
    } else {
        let corner = |key: &str, i: usize| case["box_corners"][key][i].as_f64().unwrap_or(f64::NAN);
        let boxes = (0..images.len())
            .map(|i| ["x0", "x1", "y0", "y1"].map(|key| corner(key, i)))
            .collect();
        let parameters = CutMixParameters {
            permutation_order,
            boxes,
            mix_weight,
        };
        CutMix::default().apply(&mut values, shape, &mut mixed_labels, classes, &parameters)
    }
    .map_err(|e| e.to_string())?;
    let images: Vec<Image> = values
        .chunks(size)
        .map(|data| Image {
            data: data.to_vec(),
            ..images[0].clone()
        })
        .collect();
    let key = text(&case["labels_output"]);
    close(
        "labels",
        &mixed_labels,
        &tensors.get(key).ok_or("no labels_output")?.data,
    )?;
    compare(case, "output", &images, tensors, first)
}

/// The images of a batch, channels last.
fn images(batch: &Tensor, first: bool) -> Result<Vec<Image>, String> {
    let [n, a, b, c] = batch.shape[..] else {
        return Err(format!("input of shape {:?}", batch.shape));
    };
    let (height, width, channels) = if first { (b, c, a) } else { (a, b, c) };
    let shape = ImageShape {
        height,
        width,
        channels,
    };
    let image =
        |data: &[f32]| Image::new(height, width, channels, layout(data, shape, first)).map_err(|e| e.to_string());
    batch.data.chunks(batch.data.len() / n).map(image).collect()
}

/// Values of an image, channels last, from either layout.
fn layout(data: &[f32], shape: ImageShape, first: bool) -> Vec<f32> {
    let pixels = shape.height * shape.width;
    if !first {
        return data.to_vec();
    }
    (0..data.len())
        .map(|i| data[i % shape.channels * pixels + i / shape.channels])
        .collect()
}

fn compare(case: &Value, key: &str, images: &[Image], tensors: &Tensors, first: bool) -> Result<(), String> {
    let expected = tensors.get(text(&case[key])).ok_or("the output is missing")?;
    let found: Vec<f32> = images
        .iter()
        .flat_map(|image| {
            let pixels = image.height * image.width;
            let channels = image.channels;
            let value = move |i: usize| {
                if first {
                    image.data[i % pixels * channels + i / pixels]
                } else {
                    image.data[i]
                }
            };
            (0..image.data.len()).map(value)
        })
        .collect();
    close("output", &found, &expected.data)
}

fn close(what: &str, found: &[f32], expected: &[f32]) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("{what} of {} values, expected {}", found.len(), expected.len()));
    }
    let scale = expected.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
    let mut worst = (0, 0f32);
    let mut wrong = 0;
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let difference = if a == b || (a.is_nan() && b.is_nan()) {
            0.0
        } else {
            (a - b).abs() / scale
        };
        wrong += usize::from(difference.is_nan() || difference > TOLERANCE);
        if difference.is_nan() || difference > worst.1 {
            worst = (i, difference);
        }
    }
    if wrong == 0 {
        return Ok(());
    }
    let i = worst.0;
    Err(format!(
        "{wrong} of {} values of the {what} differ, most at {i}: {} for {}",
        found.len(),
        found[i],
        expected[i]
    ))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn tensor<'a>(value: &Value, tensors: &'a Tensors) -> Result<&'a Tensor, String> {
    tensors
        .get(text(&value["tensor"]))
        .ok_or_else(|| format!("no tensor {value}"))
}

/// Names of the tensors whose original dtype was bool.
fn booleans(document: &Value) -> Vec<String> {
    match document {
        Value::Object(map) if map.get("dtype").is_some_and(|d| d == "bool") => map
            .get("tensor")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .into_iter()
            .collect(),
        Value::Object(map) => map.values().flat_map(booleans).collect(),
        Value::Array(items) => items.iter().flat_map(booleans).collect(),
        _ => Vec::new(),
    }
}

fn tensors(path: &Path, booleans: &[String]) -> Tensors {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let read = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let data = view.data();
        let data: Vec<f32> = match view.dtype() {
            Dtype::F32 => data
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            Dtype::I64 => {
                let long = |b: &[u8]| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
                data.chunks_exact(8).map(|b| long(b) as f32).collect()
            }
            Dtype::U8 => data.iter().map(|&b| f32::from(b)).collect(),
            other => panic!("{}: {name} is {other:?}", path.display()),
        };
        let boolean = booleans.contains(&name);
        (
            name,
            Tensor {
                shape: view.shape().to_vec(),
                data,
                boolean,
            },
        )
    };
    file.tensors().into_iter().map(read).collect()
}

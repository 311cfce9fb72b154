//! The interactive figure in a real browser: its numbers are those of the program. Skipped, with a line that says so, where
//! no Chromium is found (`CANDLE_LAB_CHROMIUM` names one).

use std::path::PathBuf;
use std::process::Command;

use backprop::Matrix;
use backprop::by_hand::{Network, gradient_by_probabilities};
use backprop::interactive::interactive;
use serde_json::{Value, json};

fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CANDLE_LAB_CHROMIUM") {
        return Some(named.into());
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let places = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|path| path.is_file())
}

/// The page after its scripts have run; `None` where there is no browser.
fn after_scripts(html: &str) -> Option<String> {
    let chromium = chromium()?;
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    std::fs::write(&page, html).unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Numbers of −3 to 3 with one decimal, as the sliders have them.
fn decimals(start: u32, count: usize) -> Vec<f64> {
    let mut n = start;
    (0..count)
        .map(|_| {
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from((n >> 16) % 61) / 10.0 - 3.0
        })
        .map(|x| (x * 10.0).round() / 10.0)
        .collect()
}

struct Setting {
    network: Network,
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Setting {
    fn new(seed: u32) -> Self {
        let numbers = decimals(seed, 18);
        let a = Matrix::new(2, 3, numbers[..6].to_vec()).unwrap();
        let b = Matrix::new(3, 2, numbers[6..12].to_vec()).unwrap();
        // A one-hot target, then shares that need not add up to 1.
        let y = if seed.is_multiple_of(2) {
            vec![0.0, 1.0, 0.0]
        } else {
            numbers[15..]
                .iter()
                .map(|y| (y.abs() / 3.0 * 10.0).round() / 10.0)
                .collect()
        };
        Setting {
            network: Network::new(a, b).unwrap(),
            x: numbers[12..15].to_vec(),
            y,
        }
    }

    fn as_json(&self) -> Value {
        let (a, b) = (self.network.a(), self.network.b());
        json!({"A": a.data(), "B": b.data(), "x": self.x, "y": self.y})
    }

    /// Every value and gradient in the order of the figure's quantities.
    fn expected(&self) -> Vec<(String, Vec<f64>, Vec<f64>)> {
        let (forward, back) = (
            self.network.forward(&self.x).unwrap(),
            self.network.gradients(&self.x, &self.y).unwrap(),
        );
        let dp = gradient_by_probabilities(&forward.p, &self.y).unwrap();
        let a = self.network.a();
        let dx = (0..3)
            .map(|j| {
                (0..2)
                    .map(|i| back.v[i] * (1.0 - forward.v[i] * forward.v[i]) * a.at(i, j))
                    .sum()
            })
            .collect();
        vec![
            ("x".into(), self.x.clone(), dx),
            ("A".into(), a.data().to_vec(), back.a.data().to_vec()),
            ("v".into(), forward.v.clone(), back.v.clone()),
            ("B".into(), self.network.b().data().to_vec(), back.b.data().to_vec()),
            ("z".into(), forward.z.clone(), back.z.clone()),
            ("p".into(), forward.p.clone(), dp),
            ("L".into(), vec![back.loss], vec![]),
        ]
    }
}

/// Moves the sliders to each setting and reads every number; then goes through the steps and reads what is shown.
const DRIVER: &str = r#"
const figure = document.querySelector(".backprop-live");
const found = settings.map((setting) => {
  const next = { A: 0, B: 0, x: 0, y: 0 };
  for (const input of figure.querySelectorAll("input")) {
    const quantity = input.dataset.quantity;
    input.value = String(setting[quantity][next[quantity]++]);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  const all = (quantity, kind) => [...figure.querySelectorAll(`output[data-quantity="${quantity}"][data-${kind}]`)].map((o) => o.dataset[kind]);
  return ["x", "A", "v", "B", "z", "p", "L"].map((q) => [q, all(q, "value"), all(q, "gradient")]);
});
const shown = () => ["p", "z", "B", "v", "A", "x"].filter((q) => figure.querySelector(`output[data-quantity="${q}"][data-gradient]`).textContent !== "·");
const press = (name) => figure.querySelector(`button[data-go="${name}"]`).click();
const steps = [];
press("forward"); steps.push(shown());
for (let n = 0; n < 6; n++) { press("next"); steps.push(shown()); }
press("back"); steps.push(shown());
press("all"); steps.push(shown());
const said = [...figure.querySelectorAll("li output")].map((o) => o.textContent);
press("reset");
const reset = [...figure.querySelectorAll("input")].map((i) => i.value);
const result = document.createElement("pre");
result.textContent = "RESULT" + JSON.stringify({ found, steps, said, reset }) + "END";
document.body.append(result);
"#;

#[test]
fn the_figure_computes_what_the_program_computes() {
    let settings: Vec<Setting> = (1..=12).map(Setting::new).collect();
    let first = &settings[0];
    let figure = interactive(&first.network, &first.x, &first.y).unwrap();
    let listed: Vec<Value> = settings.iter().map(Setting::as_json).collect();
    let html = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><style>{}</style></head><body>{}<script>{}</script><script>const settings = {};{DRIVER}</script></body></html>",
        figure.style,
        figure.markup,
        figure.script,
        json!(listed)
    );
    let Some(page) = after_scripts(&html) else {
        println!("skipped: no Chromium found; name one with CANDLE_LAB_CHROMIUM");
        return;
    };
    let start = page.rfind("RESULT").expect("the scripts ran") + "RESULT".len();
    let end = start + page[start..].find("END").unwrap();
    let result: Value = serde_json::from_str(
        &page[start..end]
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
    .unwrap();
    let numbers = |list: &Value| -> Vec<f64> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().parse().unwrap())
            .collect()
    };
    let mut compared = 0;
    for (setting, found) in settings.iter().zip(result["found"].as_array().unwrap()) {
        for ((name, values, gradients), found) in setting.expected().iter().zip(found.as_array().unwrap()) {
            assert_eq!(found[0], json!(name));
            for (expected, found) in [(values, numbers(&found[1])), (gradients, numbers(&found[2]))] {
                assert_eq!(expected.len(), found.len(), "{name}");
                let scale = expected.iter().fold(1e-3_f64, |m, x| m.max(x.abs()));
                for (expected, found) in expected.iter().zip(&found) {
                    assert!(
                        (expected - found).abs() <= 1e-12 * scale,
                        "{name}: {expected} here, {found} in the browser"
                    );
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 12 * 40, "{compared}");
    let order = ["p", "z", "B", "v", "A", "x"];
    let steps: Vec<Vec<&str>> = (0..=6)
        .map(|n| order[..n].to_vec())
        .chain([order[..5].to_vec(), order.to_vec()])
        .collect();
    assert_eq!(result["steps"], json!(steps));
    assert!(
        result["said"]
            .as_array()
            .unwrap()
            .iter()
            .all(|said| said.as_str().is_some_and(|said| said.contains('=')))
    );
    // Back to the first numbers, in the order of the figure: x, A, B, y.
    let start = [
        &first.x[..],
        first.network.a().data(),
        first.network.b().data(),
        &first.y,
    ]
    .concat();
    let reset: Vec<f64> = numbers(&result["reset"]);
    assert_eq!(reset, start);
}

#[test]
fn the_figure_is_complete_without_its_script() {
    let setting = Setting::new(2);
    let figure = interactive(&setting.network, &setting.x, &setting.y).unwrap();
    let document = roxmltree::Document::parse(&figure.markup).unwrap_or_else(|error| panic!("{error}"));
    for (name, values, gradients) in setting.expected() {
        for (kind, expected) in [("data-value", values), ("data-gradient", gradients)] {
            let outputs = document.descendants().filter(|node| {
                node.tag_name().name() == "output"
                    && node.attribute("data-quantity") == Some(&name)
                    && node.attribute(kind).is_some()
            });
            let found: Vec<f64> = outputs
                .map(|node| node.attribute(kind).unwrap().parse().unwrap())
                .collect();
            assert_eq!(found, expected, "{kind} of {name}");
        }
    }
    assert!(document.descendants().all(|node| node.attribute("id").is_none()));
    // Every input has a name for those who do not see it.
    let inputs = document.descendants().filter(|node| node.tag_name().name() == "input");
    assert!(inputs.clone().count() == 18 && inputs.into_iter().all(|input| input.attribute("aria-label").is_some()));
}

#[test]
fn numbers_beyond_the_sliders_are_refused() {
    let network = Network::new(Matrix::column(&[0.25]), Matrix::column(&[1.0, -1.0])).unwrap();
    let error = interactive(&network, &[1.0], &[1.0, 0.0]).unwrap_err().to_string();
    assert!(
        error.contains('A') && error.contains("0.25") && error.contains("one decimal"),
        "{error}"
    );
    let network = Network::new(Matrix::column(&[0.5]), Matrix::column(&[1.0, -1.0])).unwrap();
    let error = interactive(&network, &[4.0], &[1.0, 0.0]).unwrap_err().to_string();
    assert!(error.contains("x") && error.contains("-3 to 3"), "{error}");
}

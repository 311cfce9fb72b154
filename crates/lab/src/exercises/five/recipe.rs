//! Which augmentation fits which pictures, and why.

use anyhow::Result;
use augmentation::corrupt::Corruption;
use augmentation::{Pipeline, ValueRange};
use report::format::{number, percent};
use report::{Align, Answer, Table};

/// Part of a full turn, either way.
const TURN: f64 = 0.04;
/// Part of the height and of the width, either way.
const SHIFT: f64 = 0.1;
/// Part of the size, either way.
const ZOOM: f64 = 0.1;
/// Part of the contrast, either way.
const CONTRAST: f64 = 0.3;

/// Probability of a step on images of few pixels.
const SOMETIMES: f64 = 0.5;

/// A step of the pipeline, how much it may change, and why the label survives it.
struct Step {
    text: String,
    amount: String,
    why: &'static str,
}

/// An augmentation for a kind of pictures.
pub(super) struct Recipe {
    steps: Vec<Step>,
    /// What is left out on purpose, and why.
    left_out: &'static str,
    /// The corruptions whose kind of change the pipeline shows to the network.
    covers: Vec<Corruption>,
}

impl Recipe {
    /// The recipe for a data set by its name.
    pub(super) fn of(dataset: &str, [height, width, _]: [usize; 3]) -> Self {
        let shift = format!(
            "up to ±{} rows and ±{} columns",
            number(SHIFT * height as f64, 1),
            number(SHIFT * width as f64, 1)
        );
        let turn = format!("up to ±{}°", number(360.0 * TURN, 1));
        let zoom = format!("{} to {} of the size", percent(1.0 - ZOOM, 0), percent(1.0 + ZOOM, 0));
        let step = |text: String, amount: &String, why| Step {
            text,
            amount: amount.clone(),
            why,
        };
        let flip = |why| step("flip(horizontal)".to_string(), &"half of the images".to_string(), why);
        match dataset {
            "digits" | "mnist" => Recipe {
                steps: vec![
                    step(
                        format!("rotate({TURN}, fill_mode=constant) @ {SOMETIMES}"),
                        &turn,
                        "nobody writes quite upright; the angle stays small, because a digit that lies on its side is no \
                         longer that digit",
                    ),
                    step(
                        format!("translate({SHIFT}, {SHIFT}, fill_mode=constant) @ {SOMETIMES}"),
                        &shift,
                        "where a digit sits in its frame says nothing about which digit it is",
                    ),
                    step(
                        format!("zoom({ZOOM}, fill_mode=constant) @ {SOMETIMES}"),
                        &zoom,
                        "some people write large and some small",
                    ),
                ],
                left_out: "*No flips*: the mirror image of a 2, a 3 or a 7 is another character or none, and a 6 upside down \
                           is a 9, so a flip would change the picture and keep the wrong label. What moves in at the border \
                           is black (`fill_mode=constant`), as the paper of these images is. Each step happens to half of the \
                           images (`@ 0.5`), because reading between pixels blurs, which matters where there are few of \
                           them: some images have to stay as sharp as those of the test.",
                covers: vec![Corruption::Rotation, Corruption::Shift],
            },
            "fashion-mnist" => Recipe {
                steps: vec![
                    flip("a shoe that points to the left is a shoe that points to the right, seen from the other side"),
                    step(
                        format!("rotate({TURN}, fill_mode=constant)"),
                        &turn,
                        "clothes are laid down by hand",
                    ),
                    step(
                        format!("translate({SHIFT}, {SHIFT}, fill_mode=constant)"),
                        &shift,
                        "where a piece lies in its frame says nothing about what it is",
                    ),
                    step(
                        format!("zoom({ZOOM}, fill_mode=constant)"),
                        &zoom,
                        "there are sizes from XS to XL",
                    ),
                ],
                left_out: "*No vertical flip*: trousers do not hang upside down in the test images either. What moves in at \
                           the border is black (`fill_mode=constant`), as the background is.",
                covers: vec![Corruption::Rotation, Corruption::Shift],
            },
            _ => Recipe {
                steps: vec![
                    flip("the mirror image of an animal or a thing shows an animal or a thing of the same class"),
                    step(
                        format!("translate({SHIFT}, {SHIFT})"),
                        &shift,
                        "the photographer does not aim at the same point each time",
                    ),
                    step(format!("rotate({TURN})"), &turn, "nor is the camera held quite level"),
                    step(
                        format!("contrast({CONTRAST})"),
                        &format!(
                            "{} to {} of the contrast",
                            percent(1.0 - CONTRAST, 0),
                            percent(1.0 + CONTRAST, 0)
                        ),
                        "the light changes from picture to picture",
                    ),
                ],
                left_out: "*No vertical flip*: the test images do not stand on their heads. What moves in at the border is \
                           the mirrored image (`fill_mode=reflect`, the default), so that no black edges appear which no \
                           photo has. Pictures in which left and right mean something (letters, say) need another pipeline.",
                covers: vec![Corruption::Rotation, Corruption::Shift, Corruption::Contrast],
            },
        }
    }

    /// The steps, for values of `[0, 1]`.
    pub(super) fn pipeline(&self) -> Result<Pipeline> {
        let steps: Vec<&str> = self.steps.iter().map(|step| step.text.as_str()).collect();
        Ok(Pipeline::parse_for(&steps.join(" | "), ValueRange::UNIT)?)
    }

    /// Each step as a pipeline of its own, which always happens, with its text.
    pub(super) fn singles(&self) -> Result<Vec<(String, Pipeline)>> {
        let single = |step: &Step| {
            let text = step.text.split(" @ ").next().unwrap_or_default().to_string();
            let pipeline = Pipeline::parse_for(&text, ValueRange::UNIT)?;
            Ok((text, pipeline))
        };
        self.steps.iter().map(single).collect()
    }

    /// Whether the pipeline shows changes of this kind to the network.
    pub(super) fn covers(&self, corruption: Corruption) -> bool {
        self.covers.contains(&corruption)
    }

    /// Says what the pipeline is and why.
    pub(super) fn describe(&self, pipeline: &Pipeline, answer: &mut Answer) {
        answer.heading("The augmentation");
        answer.text(
            "An augmentation fits where it changes the picture and not the label: it tells the network which differences do \
             not matter. Each image gets new draws in each epoch, so what a network sees of it differs from epoch to epoch. \
             The pipeline, in the form that `lab train --augment` reads:",
        );
        // One step a line; blanks of any kind may stand between steps.
        answer.code(pipeline.to_string().replace(" | ", "\n| "));
        let mut table = Table::new("The steps");
        table
            .header(["step", "how much", "why the label stays"])
            .align([Align::Left; 3]);
        for step in &self.steps {
            let name = step.text.split('(').next().unwrap_or_default();
            table.row([&format!("`{name}`"), &step.amount, step.why]);
        }
        answer.table(table);
        answer.text(self.left_out);
        answer.setting("pipeline", pipeline.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_is_a_pipeline_and_flips_no_digit() {
        for (dataset, flips) in [
            ("digits", false),
            ("mnist", false),
            ("fashion-mnist", true),
            ("cifar10", true),
        ] {
            let text = Recipe::of(dataset, [8, 8, 1]).pipeline().unwrap().to_string();
            assert_eq!(text.contains("flip"), flips, "{dataset}: {text}");
            assert_eq!(
                Pipeline::parse_for(&text.replace(" | ", "\n| "), ValueRange::UNIT)
                    .unwrap()
                    .to_string(),
                text
            );
        }
    }
}

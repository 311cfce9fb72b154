//! Figures of a training while it runs: what was measured epoch by epoch, and the loss step by step.

use report::plot::LineChart;

use super::Events;

/// The figures of epochs, in the order in which they came.
#[derive(Default)]
pub(crate) struct Curves {
    columns: Vec<(String, Vec<(f64, f64)>)>,
}

impl Curves {
    /// A figure of an epoch. One that is no number is drawn as a gap.
    pub(crate) fn push(&mut self, name: &str, epoch: f64, value: f64) {
        match self.columns.iter_mut().find(|(known, _)| known == name) {
            Some((_, points)) => points.push((epoch, value)),
            None => self.columns.push((name.to_string(), vec![(epoch, value)])),
        }
    }

    /// Sends a chart for each figure, together with that of the validation samples.
    pub(crate) fn send(&self, events: &Events) {
        for (name, points) in &self.columns {
            if name.starts_with("val_") && self.columns.iter().any(|(other, _)| *other == name["val_".len()..]) {
                continue;
            }
            let mut chart = LineChart::new(format!("{name} by epoch"));
            chart
                .x_axis("epoch")
                .y_axis(name.as_str())
                .series(name.as_str(), points.iter().copied());
            let validation = format!("val_{name}");
            if let Some((_, points)) = self.columns.iter().find(|(other, _)| *other == validation) {
                chart.series(validation.as_str(), points.iter().copied());
            }
            let caption = format!("{name} after every epoch");
            events.figure(name, &caption, &chart.to_svg());
        }
    }
}

/// The points that a curve of steps may have: twice as many are thinned out to half.
const MOST: usize = 400;

/// The mean loss of the steps since the last point, over the whole training.
pub(crate) struct Steps {
    points: Vec<(f64, f64)>,
    /// Steps of one point.
    stride: usize,
    sum: f64,
    count: usize,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Steps {
            points: Vec::new(),
            stride: 1,
            sum: 0.0,
            count: 0,
        }
    }

    /// The loss of a step at a place of the training, in epochs.
    pub(crate) fn push(&mut self, epoch: f64, loss: f64) {
        self.sum += loss;
        self.count += 1;
        if self.count < self.stride {
            return;
        }
        self.points.push((epoch, self.sum / self.count as f64));
        (self.sum, self.count) = (0.0, 0);
        if self.points.len() >= 2 * MOST {
            self.stride *= 2;
            self.points = self
                .points
                .chunks(2)
                .map(|pair| {
                    (
                        pair[pair.len() - 1].0,
                        pair.iter().map(|(_, loss)| loss).sum::<f64>() / pair.len() as f64,
                    )
                })
                .collect();
        }
    }

    pub(crate) fn send(&self, events: &Events) {
        let mut chart = LineChart::new("Loss by step");
        chart
            .x_axis("epoch")
            .y_axis("loss")
            .series("loss of a step", self.points.iter().copied());
        let caption = match self.stride {
            1 => "The loss of every step".to_string(),
            stride => format!("The mean loss of every {stride} steps"),
        };
        events.figure("steps", &caption, &chart.to_svg());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_curves_keep_their_means() {
        let mut steps = Steps::new();
        let total = 16 * MOST;
        for n in 0..total {
            steps.push(n as f64, (n % 10) as f64);
        }
        assert!(
            steps.points.len() < 2 * MOST && steps.points.len() >= MOST,
            "{}",
            steps.points.len()
        );
        assert!(steps.points.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let mean = steps.points.iter().map(|(_, loss)| loss).sum::<f64>() / steps.points.len() as f64;
        assert!((mean - 4.5).abs() < 0.05, "{mean}");
        assert_eq!(steps.points.last().map(|(epoch, _)| *epoch), Some((total - 1) as f64));
    }
}

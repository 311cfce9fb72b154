//! The ways of the optimizers over two landscapes, one small picture each.

use anyhow::Result;
use optimizers_bench::{Surface, best_trajectory};
use report::Answer;
use report::format::significant;
use report::plot::TrajectoryGrid;

use super::score::rate;

/// Places along each side of a picture at which the landscape is looked at.
const PLACES: usize = 41;
/// How much steeper the steepest direction of the quadratic is than the flattest.
const CONDITION: f64 = 30.0;

struct View {
    title: &'static str,
    surface: Surface,
    start: [f64; 2],
    x: (f64, f64),
    y: (f64, f64),
    steps: u64,
    caption: String,
}

fn views() -> [View; 2] {
    [
        View {
            title: "Down Rosenbrock's valley",
            surface: Surface::Rosenbrock { dimension: 2 },
            start: [-1.2, 1.0],
            x: (-2.4, 2.4),
            y: (-1.4, 2.44),
            steps: 300,
            caption: "The floor of the valley is curved and nearly flat: reaching it is easy, walking along it is not. Momentum keeps the \
                      direction, methods with a rate for each weight make both coordinates move alike."
                .to_string(),
        },
        View {
            title: "Down a narrow valley across the coordinates",
            surface: Surface::Quadratic {
                condition: CONDITION,
                rotated: true,
                dimension: 2,
            },
            start: [-1.5, 2.5],
            x: (-3.0, 4.0),
            y: (-1.8, 3.8),
            steps: 60,
            caption: format!(
                "A quadratic with condition number {CONDITION} whose axes are not those of the coordinates, so that no rate for each \
                 coordinate makes the valley round. A rate that the steep direction bears is small for the flat one."
            ),
        },
    ]
}

/// Pictures of each landscape with a path for each optimizer, at the rate of the grid that gets lowest.
pub(crate) fn paths(answer: &mut Answer, optimizers: &[&str], rates: &[f64]) -> Result<()> {
    for view in views() {
        let mut grid = TrajectoryGrid::new(view.title);
        grid.surface(view.x, view.y, PLACES, |x, y| view.surface.value(&[x, y]))
            .lowest(1.0, 1.0);
        for name in optimizers {
            let (best, path) = best_trajectory(&view.surface, name, rates, &view.start, view.steps)?;
            let end = path.points.last().map_or(f64::NAN, |end| view.surface.value(end));
            let note = if path.diverged {
                "diverges at every rate".to_string()
            } else {
                format!("rate {}, ends at {}", rate(best), significant(end, 1))
            };
            grid.path(*name, note, path.points.iter().map(|point| (point[0], point[1])));
        }
        answer.figure(grid.figure(format!(
            "{} {} steps each, without noise, from the open circle; × is the lowest point (value 0), a dot each of the first {} steps. Each \
             optimizer has the rate of the grid with which it ends lowest.",
            view.caption,
            view.steps,
            view.steps.min(TrajectoryGrid::MARKED as u64)
        )));
    }
    Ok(())
}

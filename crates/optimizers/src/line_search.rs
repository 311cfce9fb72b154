//! The strong Wolfe conditions: a step that is long enough, and not too long.
//!
//! Nocedal and Wright, *Numerical Optimization*, 2006, algorithms 3.5 and 3.6, with the safeguards of PyTorch (which are minFunc's).

use crate::error::Error;

/// Loss, gradient and slope at one step length along the direction.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) length: f64,
    pub(crate) loss: f64,
    pub(crate) gradient: Vec<f64>,
    /// The gradient along the direction.
    pub(crate) slope: f64,
}

/// Sufficient decrease.
const DECREASE: f64 = 1e-4;
/// How much of the slope may be left.
const CURVATURE: f64 = 0.9;
/// Brackets shorter than this are not cut further.
const SHORTEST: f64 = 1e-9;

/// The best point found along a direction whose largest entry is `largest`, from a first length; after `most` steps the search
/// ends where it is. Also returns how often `measure` was called.
///
/// The search follows PyTorch to the last comparison, so that it makes the same steps, also where that loses the bracket that the book keeps:
/// of two points the one with the lower loss counts as the better one, whether it decreases enough or not. A point that lowers the loss by
/// less than the first condition asks for then becomes the better end, and there need not be a point between the two ends that fulfils both
/// conditions any more; and where `most` is reached on the way outward, the better of start and last point is the result, the last one not
/// being checked. What comes out never raises the loss, but from a first length hundreds of times too long it may only lower it.
pub(crate) fn strong_wolfe<E: From<Error>>(
    start: &Point,
    first: f64,
    largest: f64,
    most: usize,
    mut measure: impl FnMut(f64) -> Result<Point, E>,
) -> Result<(Point, usize), E> {
    let decreases = |point: &Point| point.loss <= start.loss + DECREASE * point.length * start.slope;
    let flat = |point: &Point| point.slope.abs() <= -CURVATURE * start.slope;
    let mut previous = start.clone();
    let mut new = measure(first)?;
    let mut steps = 0;
    // Outward, until a minimum lies between the last two points.
    let mut bracket = loop {
        if steps == most {
            break [start.clone(), new];
        }
        if !decreases(&new) || (steps > 1 && new.loss >= previous.loss) {
            break [previous, new];
        }
        if flat(&new) {
            return Ok((new, steps + 1));
        }
        if new.slope >= 0.0 {
            break [previous, new];
        }
        let least = new.length + 0.01 * (new.length - previous.length);
        let next = interpolate(&previous, &new, Some((least, new.length * 10.0)));
        previous = new;
        new = measure(next)?;
        steps += 1;
    };
    // Inward, until it is found.
    let order = |bracket: &[Point; 2]| {
        // A loss that is no number is not below another one.
        if bracket[1].loss < bracket[0].loss {
            (1, 0)
        } else {
            (0, 1)
        }
    };
    let (mut low, mut high) = order(&bracket);
    let (mut insufficient, mut done) = (false, false);
    while !done && steps < most {
        let (near, far) = (
            bracket[0].length.min(bracket[1].length),
            bracket[0].length.max(bracket[1].length),
        );
        if (far - near) * largest < SHORTEST {
            break;
        }
        let mut length = interpolate(&bracket[0], &bracket[1], None);
        let margin = 0.1 * (far - near);
        if (far - length).min(length - near) < margin {
            if insufficient || length >= far || length <= near {
                length = if (length - far).abs() < (length - near).abs() {
                    far - margin
                } else {
                    near + margin
                };
                insufficient = false;
            } else {
                insufficient = true;
            }
        } else {
            insufficient = false;
        }
        let point = measure(length)?;
        steps += 1;
        if !decreases(&point) || point.loss >= bracket[low].loss {
            bracket[high] = point;
            (low, high) = order(&bracket);
        } else {
            if flat(&point) {
                done = true;
            } else if point.slope * (bracket[high].length - bracket[low].length) >= 0.0 {
                bracket[high] = bracket[low].clone();
            }
            bracket[low] = point;
        }
    }
    let [zero, one] = bracket;
    Ok((if low == 0 { zero } else { one }, steps + 1))
}

/// The minimum of the cubic through two points with their slopes, within bounds; their middle if it has none.
fn interpolate(a: &Point, b: &Point, bounds: Option<(f64, f64)>) -> f64 {
    let (left, right) = if a.length <= b.length { (a, b) } else { (b, a) };
    let (least, largest) = bounds.unwrap_or((left.length, right.length));
    let d1 = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.length - b.length);
    let square = d1 * d1 - a.slope * b.slope;
    if square < 0.0 || square.is_nan() {
        return (least + largest) / 2.0;
    }
    let d2 = square.sqrt();
    let share = (right.slope + d2 - d1) / (right.slope - left.slope + 2.0 * d2);
    (right.length - (right.length - left.length) * share)
        .max(least)
        .min(largest)
}

#[cfg(test)]
mod tests {
    use super::{CURVATURE, DECREASE, Point, strong_wolfe};
    use crate::error::Error;

    fn point(f: fn(f64) -> (f64, f64), length: f64) -> Point {
        let (loss, slope) = f(length);
        Point {
            length,
            loss,
            gradient: vec![slope],
            slope,
        }
    }

    /// `-ln(1 - x) - 3 x`, which is not defined from 1 on, is lowest at 2 / 3.
    #[test]
    fn a_loss_that_is_no_number_is_stepped_back_from() {
        let f = |x: f64| (-(1.0 - x).ln() - 3.0 * x, 1.0 / (1.0 - x) - 3.0);
        for (first, most) in [(10.0, 25), (1.5, 25), (10.0, 0), (10.0, 1)] {
            let measure = |length| Ok::<_, Error>(point(f, length));
            let (found, _) = strong_wolfe(&point(f, 0.0), first, 1.0, most, measure).unwrap();
            assert!(found.loss <= 0.0 && found.length < 1.0, "{found:?}");
            assert!(most < 25 || (found.length - 2.0 / 3.0).abs() < 0.5, "{found:?}");
        }
    }

    #[test]
    fn both_conditions_hold_from_any_first_length() {
        let functions: [fn(f64) -> (f64, f64); 3] = [
            |x| ((x - 3.0).powi(2), 2.0 * (x - 3.0)),
            |x| (-x / (x * x + 2.0), (x * x - 2.0) / (x * x + 2.0).powi(2)),
            |x| ((x - 1.0).powi(4) - x, 4.0 * (x - 1.0).powi(3) - 1.0),
        ];
        for f in functions {
            for first in [1e-3, 0.1, 1.0, 10.0] {
                let start = point(f, 0.0);
                let mut calls = 0;
                let (found, counted) = strong_wolfe(&start, first, 1.0, 25, |length| {
                    calls += 1;
                    Ok::<_, Error>(point(f, length))
                })
                .unwrap();
                assert_eq!(counted, calls);
                assert!(
                    found.loss <= start.loss + DECREASE * found.length * start.slope,
                    "{found:?}"
                );
                assert!(found.slope.abs() <= -CURVATURE * start.slope, "{found:?} from {first}");
            }
        }
    }
}

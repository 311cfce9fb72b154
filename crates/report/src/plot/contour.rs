//! Lines of equal height of a function that is known on a grid (marching squares).

use std::collections::BTreeMap;

/// The lines on which `values[row][column]`, taken to be linear between neighbours, is `level`; places are `(column, row)`.
///
/// Each line is as long as it can be; a closed one ends where it begins. Cells with a corner that is not finite have none.
pub(super) fn lines(values: &[Vec<f64>], level: f64) -> Vec<Vec<(f64, f64)>> {
    let mut crossings = Crossings::default();
    for row in 0..values.len().saturating_sub(1) {
        let columns = values[row].len().min(values[row + 1].len());
        for column in 0..columns.saturating_sub(1) {
            cell(values, level, row, column, &mut crossings);
        }
    }
    crossings.joined()
}

/// A side between two neighbours of the grid: row, column, and whether it runs along the row.
type Side = (usize, usize, bool);

/// Which sides are joined by a piece of a line, and where each is crossed.
#[derive(Default)]
struct Crossings {
    places: BTreeMap<Side, (f64, f64)>,
    neighbours: BTreeMap<Side, Vec<Side>>,
}

impl Crossings {
    fn join(&mut self, one: (Side, (f64, f64)), two: (Side, (f64, f64))) {
        for (side, place) in [one, two] {
            self.places.insert(side, place);
        }
        self.neighbours.entry(one.0).or_default().push(two.0);
        self.neighbours.entry(two.0).or_default().push(one.0);
    }

    /// The pieces as lines: first those with ends (at the edge of the grid), then the closed ones.
    fn joined(mut self) -> Vec<Vec<(f64, f64)>> {
        let ends = self.neighbours.iter().filter(|(_, next)| next.len() == 1);
        let starts: Vec<Side> = ends
            .map(|(side, _)| *side)
            .chain(self.neighbours.keys().copied())
            .collect();
        let mut lines = Vec::new();
        for start in starts {
            let mut line = Vec::new();
            let mut at = start;
            while let Some(next) = self.leave(at) {
                if line.is_empty() {
                    line.extend(self.places.get(&at));
                }
                line.extend(self.places.get(&next));
                at = next;
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        lines
    }

    /// Follows a piece from a side and removes it.
    fn leave(&mut self, side: Side) -> Option<Side> {
        let next = self.neighbours.get_mut(&side)?.pop()?;
        if let Some(back) = self.neighbours.get_mut(&next)
            && let Some(index) = back.iter().position(|other| *other == side)
        {
            back.swap_remove(index);
        }
        Some(next)
    }
}

fn cell(values: &[Vec<f64>], level: f64, row: usize, column: usize, crossings: &mut Crossings) {
    let corner = |down: usize, right: usize| values[row + down][column + right];
    let corners = [corner(0, 0), corner(0, 1), corner(1, 1), corner(1, 0)];
    if corners.iter().any(|value| !value.is_finite()) {
        return;
    }
    let share = |from: f64, to: f64| ((level - from) / (to - from)).clamp(0.0, 1.0);
    let (x, y) = (column as f64, row as f64);
    // The sides in the order top, right, bottom, left; each between a corner and the next one.
    let sides = [
        ((row, column, true), (x + share(corners[0], corners[1]), y)),
        ((row, column + 1, false), (x + 1.0, y + share(corners[1], corners[2]))),
        ((row + 1, column, true), (x + share(corners[3], corners[2]), y + 1.0)),
        ((row, column, false), (x, y + share(corners[0], corners[3]))),
    ];
    let above = corners.map(|value| value >= level);
    let crossed: Vec<usize> = (0..4).filter(|&side| above[side] != above[(side + 1) % 4]).collect();
    match crossed.as_slice() {
        [one, two] => crossings.join(sides[*one], sides[*two]),
        [_, _, _, _] => {
            // A saddle: the middle tells which corners belong together.
            let middle = corners.iter().sum::<f64>() / 4.0 >= level;
            let pairs = if middle == above[0] {
                [(0, 1), (2, 3)]
            } else {
                [(3, 0), (1, 2)]
            };
            for (one, two) in pairs {
                crossings.join(sides[one], sides[two]);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bowl(size: usize) -> Vec<Vec<f64>> {
        let middle = (size - 1) as f64 / 2.0;
        let at = |row: usize, column: usize| (row as f64 - middle).hypot(column as f64 - middle);
        (0..size)
            .map(|row| (0..size).map(|column| at(row, column)).collect())
            .collect()
    }

    #[test]
    fn the_lines_of_a_bowl_are_circles() {
        let lines = lines(&bowl(41), 12.5);
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert_eq!(line.first(), line.last(), "a circle is closed");
        assert!(line.len() > 50);
        assert!(
            line.iter()
                .all(|(x, y)| ((x - 20.0).hypot(y - 20.0) - 12.5).abs() < 0.05)
        );
    }

    #[test]
    fn lines_end_at_the_edge() {
        let slope: Vec<Vec<f64>> = (0..3).map(|_| vec![0.0, 1.0, 2.0]).collect();
        assert_eq!(lines(&slope, 0.5), [[(0.5, 0.0), (0.5, 1.0), (0.5, 2.0)]]);
        assert!(lines(&slope, 5.0).is_empty() && lines(&[], 0.0).is_empty() && lines(&[vec![1.0]], 1.0).is_empty());
        // a circle that is wider than the grid is cut into four arcs
        assert_eq!(lines(&bowl(21), 12.0).len(), 4);
    }

    #[test]
    fn saddles_are_parted_by_their_middle() {
        for (values, level) in [
            (vec![vec![1.0, 0.0], vec![0.0, 1.0]], 0.4),
            (vec![vec![1.0, 0.0], vec![0.0, 1.0]], 0.6),
            (vec![vec![0.0, 1.0], vec![1.0, 0.0]], 0.4),
            (vec![vec![0.0, 1.0], vec![1.0, 0.0]], 0.6),
        ] {
            let found = lines(&values, level);
            assert_eq!(found.len(), 2, "{values:?} at {level}");
            // The pieces cut off the corners that differ from the middle.
            let middle = 0.5 >= level;
            for line in &found {
                let (x, y) = ((line[0].0 + line[1].0) / 2.0, (line[0].1 + line[1].1) / 2.0);
                let corner = values[y.round() as usize][x.round() as usize];
                assert_ne!(corner >= level, middle, "{values:?} at {level}: {line:?}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_has_no_lines() {
        let mut values = bowl(5);
        values[2][2] = f64::NAN;
        assert!(lines(&values, 0.5).is_empty());
        assert!(lines(&[vec![f64::INFINITY; 3], vec![0.0; 3]], 1.0).is_empty());
    }
}

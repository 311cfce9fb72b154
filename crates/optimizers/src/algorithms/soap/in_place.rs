//! SOAP's step for a matrix on slices: the same as by tensor operations, in working memory that is kept.

use kernels::{MatmulPrecision, TileMemory};

use super::{Moments, Soap};
use crate::eigenvectors::eigenvectors;
use crate::linear_algebra::{self, Square};
use crate::number::Scalar;
use crate::passes::change;
use crate::products::{Factor, Matrix, Workspace};
use crate::slot::{Exact, Stored};
use crate::{Result, Step, Target};

/// The slices of a matrix and of its state.
struct Parts<'a, T> {
    sides: [usize; 2],
    w: &'a mut [T],
    m: &'a mut [T],
    v: &'a mut [T],
    products: [&'a mut [T]; 2],
    bases: [&'a mut [T]; 2],
}

/// Working memory: the gradient, two matrices of its shape, one as large as the largest basis, and what products need.
struct Memory<'a, T> {
    g: &'a mut [T],
    one: &'a mut [T],
    two: &'a mut [T],
    square: &'a mut [T],
    rest: Workspace<'a, T>,
}

impl Soap {
    pub(super) fn matrix_step_in_place<T: Stored + Factor>(
        &self,
        step: &Step<'_>,
        target: &mut Target<'_>,
        sides: [usize; 2],
    ) -> Result<()> {
        let preparation = target.preparation;
        let [rows, columns] = sides;
        let largest = sides.map(|side| self.rotated(side)).into_iter().max().unwrap_or(0);
        let memory = 3 * rows * columns + largest * largest + self.memory_of_products::<T>(sides);
        let mut exact = std::mem::take(&mut target.scratch.exact);
        let mut tiles = std::mem::take(&mut target.scratch.tiles);
        let outcome = target.with_scratch::<T, (), 6>(memory, |w, gradient, slots, scratch| {
            let [m, v, product_left, product_right, basis_left, basis_right] = slots;
            let mut parts = Parts {
                sides,
                w,
                m,
                v,
                products: [product_left, product_right],
                bases: [basis_left, basis_right],
            };
            let (g, scratch) = scratch.split_at_mut(rows * columns);
            let (one, scratch) = scratch.split_at_mut(rows * columns);
            let (two, scratch) = scratch.split_at_mut(rows * columns);
            let (square, numbers) = scratch.split_at_mut(largest * largest);
            let mut memory = Memory {
                g,
                one,
                two,
                square,
                rest: Workspace {
                    numbers,
                    tiles: &mut tiles,
                    precision: MatmulPrecision::Highest,
                },
            };
            change(memory.g, gradient, move |_, g| preparation.gradient(Scalar(g)).0);
            if step.t > 1.0 {
                parts.walk(self.moments(step), &mut memory);
            }
            self.precondition_in_place(step.t, &mut parts, &mut memory, &mut exact);
        });
        target.scratch.exact = exact;
        target.scratch.tiles = tiles;
        outcome
    }

    fn memory_of_products<T: Factor>(&self, [rows, columns]: [usize; 2]) -> usize {
        let (left, right) = (self.rotated(rows), self.rotated(columns));
        let products = [
            (left, left, columns),
            (rows, right, right),
            (left, columns, left),
            (right, rows, right),
            (left, left, left),
            (right, right, right),
        ];
        let memory = products.map(|(rows, inner, columns)| T::working_memory(rows, inner, columns));
        memory.into_iter().max().unwrap_or(0)
    }

    /// Brings products and bases up to date.
    fn precondition_in_place<T: Stored + Factor>(
        &self,
        t: f64,
        parts: &mut Parts<'_, T>,
        memory: &mut Memory<'_, T>,
        exact: &mut Exact,
    ) {
        let share = T::from_f64(1.0 - self.shampoo_beta.unwrap_or(self.beta_2));
        let [rows, columns] = parts.sides;
        for axis in 0..2 {
            let size = self.rotated(parts.sides[axis]);
            if size == 0 {
                continue;
            }
            let g = Matrix::new(memory.g, rows, columns);
            let product = &mut memory.square[..size * size];
            if axis == 0 {
                T::multiply(g, g.transposed(), product, &mut memory.rest);
            } else {
                T::multiply(g.transposed(), g, product, &mut memory.rest);
            }
            change(parts.products[axis], product, move |mean, product| {
                mean + (product - mean) * share
            });
            if t == 1.0 {
                let values = parts.products[axis].iter().map(|value| value.to_f64()).collect();
                let basis = eigenvectors(&Square { size, values });
                for (to, from) in parts.bases[axis].iter_mut().zip(basis.values) {
                    *to = T::from_f64(from);
                }
            } else if (t - 1.0) % self.precondition_frequency as f64 == 0.0 {
                parts.turn(axis, size, memory, exact);
            }
        }
    }
}

impl<T: Stored + Factor> Parts<'_, T> {
    /// Adam's step in the bases.
    fn walk(&mut self, moments: Moments, memory: &mut Memory<'_, T>) {
        change(self.m, memory.g, move |m, g| moments.mean(Scalar(m), Scalar(g)).0);
        memory.two.copy_from_slice(memory.g);
        self.rotate(Direction::Into, memory);
        change(self.v, memory.two, move |v, g| {
            moments.mean_square(Scalar(v), Scalar(g)).0
        });
        memory.two.copy_from_slice(self.m);
        self.rotate(Direction::Into, memory);
        change(memory.two, self.v, move |u, v| moments.quotient(Scalar(u), Scalar(v)).0);
        self.rotate(Direction::OutOf, memory);
        change(self.w, memory.two, move |w, u| moments.walk(Scalar(w), Scalar(u)).0);
    }

    /// Turns the second matrix of the memory into the bases, or out of them.
    fn rotate(&self, direction: Direction, memory: &mut Memory<'_, T>) {
        let [rows, columns] = self.sides;
        let [left, right] = &self.bases;
        if !left.is_empty() {
            let basis = Matrix::new(left, rows, rows);
            let basis = match direction {
                Direction::Into => basis.transposed(),
                Direction::OutOf => basis,
            };
            T::multiply(
                basis,
                Matrix::new(memory.two, rows, columns),
                memory.one,
                &mut memory.rest,
            );
            std::mem::swap(&mut memory.one, &mut memory.two);
        }
        if !right.is_empty() {
            let basis = Matrix::new(right, columns, columns);
            let basis = match direction {
                Direction::Into => basis,
                Direction::OutOf => basis.transposed(),
            };
            T::multiply(
                Matrix::new(memory.two, rows, columns),
                basis,
                memory.one,
                &mut memory.rest,
            );
            std::mem::swap(&mut memory.one, &mut memory.two);
        }
    }

    /// One step of power iteration for a basis; the second moments follow the order in which it takes the old one's columns.
    fn turn(&mut self, axis: usize, size: usize, memory: &mut Memory<'_, T>, exact: &mut Exact) {
        let (product, basis) = (&*self.products[axis], &mut *self.bases[axis]);
        let turned = &mut memory.square[..size * size];
        let [of_product, of_basis] = [product, &*basis].map(|square| Matrix::new(square, size, size));
        T::multiply(of_product, of_basis, turned, &mut memory.rest);
        let Exact { numbers, order } = exact;
        let squares = size * size;
        // Only ever longer, as the parameters take turns.
        let length = 3 * squares + working_memory(size);
        numbers.resize(numbers.len().max(length), 0.0);
        let (exact_basis, numbers) = numbers.split_at_mut(squares);
        let (exact_product, numbers) = numbers.split_at_mut(squares);
        let (powered, rest) = numbers.split_at_mut(squares);
        // The estimates of the eigenvalues, the diagonal of `Q' P Q`.
        let estimates = &mut rest[..size];
        estimates.fill(0.0);
        for (basis, turned) in basis.chunks_exact(size).zip(turned.chunks_exact(size)) {
            for ((estimate, basis), turned) in estimates.iter_mut().zip(basis).zip(turned) {
                *estimate += basis.to_f64() * turned.to_f64();
            }
        }
        order.clear();
        order.extend(0..size);
        // A sort that keeps the order of equal ones would allocate.
        order.sort_unstable_by(|&i, &j| estimates[j].total_cmp(&estimates[i]).then(i.cmp(&j)));
        for (to, from) in exact_basis.chunks_exact_mut(size).zip(basis.chunks_exact(size)) {
            for (to, &column) in to.iter_mut().zip(&*order) {
                *to = from[column].to_f64();
            }
        }
        for (to, from) in exact_product.iter_mut().zip(product) {
            *to = from.to_f64();
        }
        let [of_product, of_basis] = [&*exact_product, &*exact_basis].map(|square| Matrix::new(square, size, size));
        let mut workspace = Workspace {
            numbers: &mut *rest,
            tiles: &mut TileMemory::default(),
            precision: MatmulPrecision::Highest,
        };
        f64::multiply(of_product, of_basis, powered, &mut workspace);
        linear_algebra::orthogonalize(powered, size, rest);
        for (to, &from) in basis.iter_mut().zip(&*powered) {
            *to = T::from_f64(from);
        }
        self.reorder(axis, order, memory.one);
    }

    /// Puts the rows or columns of the second moments into another order.
    fn reorder(&mut self, axis: usize, order: &[usize], old: &mut [T]) {
        let columns = self.sides[1];
        old.copy_from_slice(self.v);
        for (row, to) in self.v.chunks_exact_mut(columns).enumerate() {
            let from = if axis == 0 { order[row] } else { row };
            let from = &old[from * columns..][..columns];
            for (column, to) in to.iter_mut().enumerate() {
                *to = from[if axis == 1 { order[column] } else { column }];
            }
        }
    }
}

/// Whether a matrix is turned into the bases or back.
#[derive(Clone, Copy)]
enum Direction {
    Into,
    OutOf,
}

/// Numbers of working memory for a basis of this size, beside three squares.
fn working_memory(size: usize) -> usize {
    f64::working_memory(size, size, size).max(linear_algebra::working_memory(size))
}

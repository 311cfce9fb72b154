//! The program from outside: what is typed, what comes back, what is left on the disk.

mod augment;
mod checkpoints;
mod data;
mod doctor;
mod exercise;
mod files;
mod gradcheck;
mod interrupt;
mod models;
mod program;
mod summary;
mod sweep;
mod train;
mod usage;

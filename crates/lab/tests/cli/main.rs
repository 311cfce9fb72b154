//! The program from outside: what is typed, what comes back, what is left on the disk.

mod against;
mod augment;
mod checkpoints;
mod data;
mod doctor;
mod examples;
mod exercise;
mod files;
mod gradcheck;
mod image_size;
mod interrupt;
mod live;
mod mistakes;
mod models;
mod program;
mod progress;
mod report;
mod serve;
mod sessions;
mod summary;
mod sweep;
mod train;
mod usage;

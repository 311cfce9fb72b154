//! What is drawn for a given training.

use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::Buffer;
use ratatui_core::style::Color;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use training::{EpochRecord, StepEnd};

use super::{State, Wish, view, wish};

fn record(epoch: usize, loss: f64, accuracy: f64) -> EpochRecord {
    EpochRecord {
        epoch,
        loss,
        accuracy,
        val_loss: Some(loss + 0.5),
        val_accuracy: Some(accuracy - 0.125),
        learning_rate: 0.001,
        metrics: Default::default(),
    }
}

fn step(epoch: usize, step: usize) -> StepEnd {
    StepEnd {
        epoch,
        step,
        steps: 40,
        samples: step * 32,
        of_samples: 40 * 32,
        loss: 1.5,
        seconds: step as f64 * 0.1,
    }
}

/// A training of 10 epochs that falls from loss 4 to 1 in 4 of them, each of 5 seconds, and stands in the middle of the fifth.
fn fifth_epoch() -> State {
    let mut state = State {
        title: "digits_cnn (1,234 parameters) on digits".to_string(),
        saved_in: Some("net.safetensors".to_string()),
        epochs: 10,
        color: true,
        ..State::default()
    };
    for epoch in 1..=4 {
        state.stepped(&step(epoch, 40));
        state.epoch_done(&record(epoch, 5.0 - epoch as f64, 0.5 + 0.1 * epoch as f64), 5.0);
    }
    state.stepped(&step(5, 20));
    state
}

fn drawn(state: &State, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| view::draw(frame, state)).expect("a picture");
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width).max(1);
    let rows = buffer.content.chunks(width);
    rows.map(|row| row.iter().map(|cell| cell.symbol()).collect()).collect()
}

/// The columns and rows of the dots of a curve, of braille or of bullets, in the left half of the picture.
fn dots(buffer: &Buffer, color: Color, is_dot: fn(char) -> bool) -> Vec<(u16, u16)> {
    let area = buffer.area;
    let cells = (0..area.height).flat_map(|row| (0..area.width / 2).map(move |column| (column, row)));
    cells
        .filter(|&(column, row)| {
            let cell = &buffer[(column, row)];
            cell.fg == color && cell.symbol().chars().all(is_dot)
        })
        .collect()
}

fn is_braille(letter: char) -> bool {
    ('\u{2801}'..='\u{28ff}').contains(&letter)
}

#[test]
fn the_figures_of_a_training_are_on_the_picture() {
    let lines = lines(&drawn(&fifth_epoch(), 120, 30));
    let text = lines.join("\n");
    for words in [
        "digits_cnn (1,234 parameters) on digits",
        "loss 1.50  val 1.50  best 1.50 (epoch 4)",
        "accuracy 90.0\u{a0}%  val 77.5\u{a0}%  best 77.5\u{a0}% (epoch 4)",
        "epoch 4: learning rate 0.00100",
        // 20 of 40 steps in 2 seconds.
        "epoch 5/10  step 20/40  loss 1.5000  320 images/s",
        // 2 seconds for this epoch, 5 each for five more; 4.5 epochs of 10 are done.
        "45\u{a0}% of the training, 27.0 s left",
        "q stops and saves in net.safetensors",
    ] {
        assert!(text.contains(words), "'{words}' is not in:\n{text}");
    }
}

#[test]
fn a_falling_loss_falls_on_the_picture() {
    let buffer = drawn(&fifth_epoch(), 120, 30);
    let training = dots(&buffer, Color::Cyan, is_braille);
    let validation = dots(&buffer, Color::Yellow, |letter| letter == '•');
    for curve in [&training, &validation] {
        let first = curve.iter().min_by_key(|(column, _)| *column).expect("a curve");
        let last = curve.iter().max_by_key(|(column, _)| *column).expect("a curve");
        assert!(last.0 > first.0 + 20 && last.1 > first.1 + 5, "{curve:?}");
    }
    // The validation stays above, and ends half an epoch before the steps of training.
    let height = |curve: &[(u16, u16)]| curve.iter().map(|(_, row)| *row).min();
    assert!(height(&validation) < height(&training));
    let end = |curve: &[(u16, u16)]| curve.iter().map(|(column, _)| *column).max();
    assert!(end(&training) > end(&validation));
}

#[test]
fn without_colours_signs_tell_the_curves_apart() {
    let state = State {
        color: false,
        ..fifth_epoch()
    };
    let buffer = drawn(&state, 120, 30);
    assert!(
        buffer
            .content
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    assert!(!dots(&buffer, Color::Reset, is_braille).is_empty());
    assert!(!dots(&buffer, Color::Reset, |letter| letter == '•').is_empty());
}

#[test]
fn before_the_first_epoch_the_steps_are_a_curve() {
    let mut state = State {
        epochs: 3,
        color: true,
        ..State::default()
    };
    let text = lines(&drawn(&state, 100, 24)).join("\n");
    assert!(text.contains("the first step is computed"), "{text}");
    assert!(text.contains("time left is not known yet"), "{text}");
    for number in 1..=10 {
        state.stepped(&step(1, number));
    }
    let buffer = drawn(&state, 100, 24);
    assert!(!dots(&buffer, Color::Cyan, is_braille).is_empty());
    let text = lines(&buffer).join("\n");
    assert!(text.contains("after the first epoch"), "the accuracy: {text}");
    assert!(text.contains("q stops; nothing is kept"), "{text}");
    // A quarter of the first epoch took 1 second: 3 for its rest, 4 each for two more.
    assert!(text.contains("11.0 s left"), "{text}");
}

#[test]
fn every_size_of_window_is_drawn() {
    let state = fifth_epoch();
    for width in [1, 2, 10, 40, 79, 80, 300] {
        for height in [1, 2, 5, 11, 12, 19, 20, 80] {
            let lines = lines(&drawn(&state, width, height));
            assert_eq!(lines.len(), usize::from(height));
        }
    }
    // Narrow and tall: one chart above the other; narrow and low: the loss alone; very low: what matters most.
    let narrow = lines(&drawn(&state, 60, 30)).join("\n");
    assert!(
        narrow.contains(" loss 1.50") && narrow.contains(" accuracy 90.0"),
        "{narrow}"
    );
    let low = lines(&drawn(&state, 60, 14)).join("\n");
    assert!(low.contains(" loss 1.50") && !low.contains(" accuracy 90.0"), "{low}");
    let lowest = lines(&drawn(&state, 100, 5)).join("\n");
    assert!(!lowest.contains("best") && lowest.contains("step 20/40"), "{lowest}");
}

#[test]
fn values_that_are_none_are_left_out() {
    let mut state = fifth_epoch();
    state.epoch_done(&record(5, f64::NAN, f64::NAN), 5.0);
    let text = lines(&drawn(&state, 120, 30)).join("\n");
    assert!(!text.contains("NaN"), "{text}");
}

#[test]
fn a_long_history_is_thinned_out_and_ends_with_the_newest() {
    let mut state = State {
        epochs: 5000,
        ..State::default()
    };
    for epoch in 1..=5000 {
        state.epoch_done(&record(epoch, 1.0 / epoch as f64, 0.5), 0.1);
    }
    let curve = state.curve(100, |record| Some(record.loss));
    assert!(curve.len() <= 100, "{}", curve.len());
    assert_eq!(curve.last(), Some(&(5000.0, 1.0 / 5000.0)));
    assert_eq!(
        state.best(|record| Some(record.loss), |new, old| new < old),
        Some((5000, 1.0 / 5000.0))
    );
}

#[test]
fn q_and_ctrl_c_are_understood() {
    let key = |letter, modifiers| Event::Key(KeyEvent::new(KeyCode::Char(letter), modifiers));
    assert_eq!(wish(&key('q', KeyModifiers::NONE)), Some(Wish::End));
    assert_eq!(wish(&key('c', KeyModifiers::CONTROL)), Some(Wish::EndAtOnce));
    assert_eq!(wish(&key('c', KeyModifiers::NONE)), None);
    assert_eq!(wish(&Event::Resize(80, 24)), None);
}

//! The picture of a training in a terminal: curves, how far it is, and what can be pressed.

use ratatui_core::layout::{Constraint, Layout, Rect};
use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::symbols::Marker;
use ratatui_core::terminal::Frame;
use ratatui_core::text::{Line, Span};
use ratatui_widgets::block::Block;
use ratatui_widgets::chart::{Axis, Chart, Dataset, GraphType, LegendPosition};
use ratatui_widgets::gauge::LineGauge;
use ratatui_widgets::paragraph::Paragraph;
use report::format::{count, number, percent, seconds, significant};
use training::EpochRecord;

use super::state::State;

const TRAINING: Color = Color::Cyan;
const VALIDATION: Color = Color::Yellow;

/// Below it two charts stand one above the other, or only one is shown.
const WIDE: u16 = 80;

/// Lines that a chart needs to say anything.
const CHART_LINES: u16 = 7;

/// Draws the state; whatever the size, as much as fits.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State) {
    let [title, charts, figures, epoch, all, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Paragraph::new(state.title.as_str()).style(bold), title);
    draw_charts(frame, charts, state);
    frame.render_widget(Paragraph::new(figures_of(state)), figures);
    draw_epoch(frame, epoch, state);
    draw_all(frame, all, state);
    frame.render_widget(Paragraph::new(footer(state)), foot);
}

fn draw_charts(frame: &mut Frame<'_>, area: Rect, state: &State) {
    if area.height < CHART_LINES {
        return;
    }
    let halves = [Constraint::Ratio(1, 2); 2];
    let [loss, accuracy] = if area.width >= WIDE {
        Layout::horizontal(halves).areas(area)
    } else if area.height >= 2 * CHART_LINES {
        Layout::vertical(halves).areas(area)
    } else {
        [area, Rect::ZERO]
    };
    let most = usize::from(area.width);
    let validation = |record: &EpochRecord| record.val_loss;
    let best = state.best(validation, |new, old| new < old);
    draw_chart(
        frame,
        loss,
        state,
        &Curves {
            name: "loss",
            training: state.losses(most),
            validation: state.curve(most, validation),
            best,
            text: |value| significant(value, 3),
            limits: [0.0, f64::INFINITY],
            legend: LegendPosition::TopRight,
        },
    );
    if accuracy.height == 0 {
        return;
    }
    let validation = |record: &EpochRecord| record.val_accuracy;
    let best = state.best(validation, |new, old| new > old);
    draw_chart(
        frame,
        accuracy,
        state,
        &Curves {
            name: "accuracy",
            training: state.curve(most, |record| Some(record.accuracy)),
            validation: state.curve(most, validation),
            best,
            text: |value| percent(value, 1),
            limits: [0.0, 1.0],
            legend: LegendPosition::BottomRight,
        },
    );
}

/// A figure of training and of validation over epochs.
struct Curves {
    name: &'static str,
    training: Vec<(f64, f64)>,
    validation: Vec<(f64, f64)>,
    /// Epoch and value of the best validation.
    best: Option<(usize, f64)>,
    text: fn(f64) -> String,
    /// What the figure cannot be below and above, where it is within.
    limits: [f64; 2],
    /// Where a curve that goes well does not run.
    legend: LegendPosition,
}

fn draw_chart(frame: &mut Frame<'_>, area: Rect, state: &State, curves: &Curves) {
    let block = Block::bordered().title(heading(curves));
    let Some(y) = range(curves) else {
        let waiting = Paragraph::new("after the first epoch").block(block);
        frame.render_widget(waiting, area);
        return;
    };
    let last = (state.records.len() + usize::from(state.current().is_some())).max(2);
    let style = |color| {
        if state.color {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    };
    let curve = |name, marker, color, data| {
        Dataset::default()
            .name(name)
            .marker(marker)
            .graph_type(GraphType::Line)
            .style(style(color))
            .data(data)
    };
    let mut sets = vec![curve("training", Marker::Braille, TRAINING, &curves.training[..])];
    if !curves.validation.is_empty() {
        sets.push(curve("validation", Marker::Dot, VALIDATION, &curves.validation[..]));
    }
    let label = |value: f64| Span::raw((curves.text)(value));
    let chart = Chart::new(sets)
        .block(block)
        .legend_position(Some(curves.legend))
        .hidden_legend_constraints((Constraint::Ratio(1, 2), Constraint::Ratio(1, 2)))
        .x_axis(Axis::default().bounds([0.0, last as f64]).labels([
            Span::raw("0"),
            Span::raw("epoch"),
            Span::raw(count(last)),
        ]))
        .y_axis(
            Axis::default()
                .bounds(y)
                .labels([label(y[0]), label((y[0] + y[1]) / 2.0), label(y[1])]),
        );
    frame.render_widget(chart, area);
}

/// The newest values in words: they can be read where a curve can only be seen.
fn heading(curves: &Curves) -> String {
    let mut text = format!(" {}", curves.name);
    if let Some(&(_, value)) = curves.training.last() {
        text += &format!(" {}", (curves.text)(value));
    }
    if let Some(&(_, value)) = curves.validation.last() {
        text += &format!("  val {}", (curves.text)(value));
    }
    if let Some((epoch, value)) = curves.best {
        text += &format!("  best {} (epoch {epoch})", (curves.text)(value));
    }
    text + " "
}

/// The values of both curves with a margin; `None` where there are none.
fn range(curves: &Curves) -> Option<[f64; 2]> {
    let values = || {
        let points = curves.training.iter().chain(&curves.validation);
        points.map(|&(_, value)| value)
    };
    values().next()?;
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(f64::NEG_INFINITY, f64::max),
    );
    let margin = if high > low {
        (high - low) * 0.05
    } else {
        high.abs().max(1e-3) * 0.1
    };
    let [least, most] = curves.limits;
    // A margin must not show values that the figure cannot have, such as an accuracy of 103 %.
    let bottom = if low >= least {
        (low - margin).max(least)
    } else {
        low - margin
    };
    let top = if high <= most {
        (high + margin).min(most)
    } else {
        high + margin
    };
    Some([bottom, top])
}

/// The figures that no curve shows.
fn figures_of(state: &State) -> String {
    let Some(record) = state.records.last() else {
        return String::new();
    };
    let mut text = format!(
        "epoch {}: learning rate {}",
        record.epoch,
        significant(record.learning_rate, 3)
    );
    for (name, value) in &record.metrics {
        text += &format!("  {name} {}", significant(*value, 4));
    }
    text
}

fn draw_epoch(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(step) = &state.step else {
        frame.render_widget(Paragraph::new("the first step is computed …"), area);
        return;
    };
    let text = format!(
        "epoch {}/{}  step {}/{}  loss {}  {} images/s",
        count(step.epoch),
        count(state.epochs),
        count(step.step),
        count(step.steps),
        number(step.loss, 4),
        count(step.samples_per_second() as usize)
    );
    gauge(frame, area, text, step.step as f64 / step.steps.max(1) as f64, state);
}

fn draw_all(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let left = match state.seconds_left() {
        Some(left) => format!("{} left", seconds(left)),
        None => "time left is not known yet".to_string(),
    };
    gauge(
        frame,
        area,
        format!("{} of the training, {left}", percent(state.done(), 0)),
        state.done(),
        state,
    );
}

fn gauge(frame: &mut Frame<'_>, area: Rect, text: String, ratio: f64, state: &State) {
    let mut gauge = LineGauge::default()
        .label(Line::raw(text))
        .ratio(ratio.clamp(0.0, 1.0))
        .filled_symbol("━")
        .unfilled_symbol("╌");
    if state.color {
        gauge = gauge
            .filled_style(Style::new().fg(TRAINING))
            .unfilled_style(Style::new().fg(Color::DarkGray));
    }
    frame.render_widget(gauge, area);
}

fn footer(state: &State) -> String {
    if state.stopping {
        return "stopping after the step in progress (Ctrl-C ends at once)".to_string();
    }
    match &state.saved_in {
        Some(file) => format!("q stops and saves in {file}"),
        None => "q stops; nothing is kept (--output FILE would keep it)".to_string(),
    }
}

//! What the numbers of a task say, in words.

use optimizers_bench::{Standing, TaskResult};
use report::Answer;
use report::format::number;

use super::Study;
use super::score::{counted, rate, score, with_interval};
use super::tables::ranked;

/// The optimizers that these runs do not tell from the best: those whose interval reaches into its interval.
fn close<'a>(ranked: &[&'a Standing]) -> Vec<&'a str> {
    let Some(best) = ranked.first() else {
        return Vec::new();
    };
    ranked
        .iter()
        .filter(|standing| standing.test.upper >= best.test.lower)
        .map(|standing| standing.optimizer.as_str())
        .collect()
}

/// The result of a task in some sentences.
pub(crate) fn verdict(answer: &mut Answer, task: &TaskResult) {
    let ranked = ranked(task);
    let (Some(best), Some(worst)) = (ranked.first(), ranked.last()) else {
        return;
    };
    let close = close(&ranked);
    let measure = task.measure;
    let apart = match close.as_slice() {
        [_] => "no other interval reaches into its own".to_string(),
        close => format!(
            "the intervals of {} of {} optimizers reach into its own, so these runs do not separate them: {}",
            close.len(),
            ranked.len(),
            close.join(", ")
        ),
    };
    let mut text = format!(
        "On {} {} has the best mean, {}; {apart}. The last is {} with {}.",
        task.task,
        best.optimizer,
        with_interval(measure, &best.test),
        worst.optimizer,
        with_interval(measure, &worst.test)
    );
    let epochs = ranked.iter().filter_map(|standing| standing.epochs_to_target);
    let least = epochs.fold(f64::INFINITY, f64::min);
    let fastest: Vec<&str> = ranked
        .iter()
        .filter(|standing| standing.epochs_to_target == Some(least))
        .map(|standing| standing.optimizer.as_str())
        .collect();
    if !fastest.is_empty() {
        let decimals = usize::from(least.fract() != 0.0);
        text += &format!(
            " First to reach the target: {}, after {} epochs (median).",
            fastest.join(", "),
            number(least, decimals)
        );
    }
    let gap = |standing: &&&Standing| standing.test.mean - standing.default_test.mean;
    if let Some(standing) = ranked.iter().max_by(|a, b| gap(a).total_cmp(&gap(b))) {
        text += &format!(
            " Tuning matters most for {}: {} with Keras' default rate of {}, {} with {}.",
            standing.optimizer,
            score(measure, standing.default_test.mean),
            rate(standing.default_learning_rate),
            score(measure, standing.test.mean),
            rate(standing.learning_rate)
        );
    }
    answer.result(text);
}

/// The best optimizer of a task.
pub(crate) struct Chosen {
    /// With its rate, as `lab train` takes them.
    pub(crate) options: String,
    /// The mean on the test samples with its interval.
    pub(crate) score: String,
}

/// The optimizer with the best mean of a task.
pub(crate) fn chosen(task: &TaskResult) -> Option<Chosen> {
    let ranked = ranked(task);
    let best = ranked.first()?;
    Some(Chosen {
        options: format!("--optimizer {} --learning-rate {}", best.optimizer, best.learning_rate),
        score: with_interval(task.measure, &best.test),
    })
}

/// The result of a task in one sentence.
pub(crate) fn headline(study: &Study<'_>, index: usize) -> String {
    let task = &study.results.tasks[index];
    let ranked = ranked(task);
    let Some(best) = ranked.first() else {
        return String::new();
    };
    format!(
        "{}: {} is first with {}, {} of {} optimizers cannot be told from it ({} on {})",
        task.task,
        best.optimizer,
        with_interval(task.measure, &best.test),
        close(&ranked).len().saturating_sub(1),
        ranked.len() - 1,
        counted(study.results.runs, "run"),
        counted(study.results.tasks.len(), "task")
    )
}

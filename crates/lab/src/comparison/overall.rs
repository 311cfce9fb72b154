//! All tasks together: ranks, performance profiles, the check that the search was large enough.

use optimizers_bench::{PROFILE_LIMIT, RESAMPLES, Rank, Results};
use report::format::{count, number, percent};
use report::plot::{IntervalChart, LineChart};
use report::{Align, Answer, Table};

use super::Study;
use super::score::{counted, score, with_interval};

/// Ranks, profiles and the inclusion check.
pub(crate) fn overall(answer: &mut Answer, study: &Study<'_>) {
    let results = study.results;
    answer.table(ranks(study));
    let mut chart = IntervalChart::new("Mean rank over the tasks");
    chart.value_axis("rank (1 is the best)").decimals(1);
    for rank in sorted(results) {
        chart.row(&rank.optimizer, rank.mean, rank.lower, rank.upper);
    }
    answer.figure(chart.figure(format!(
        "Rank by the test score, mean over {}, with its 95 % interval from a bootstrap over tasks and seeds. Optimizers \
         whose intervals overlap widely cannot be put in order by these runs.",
        counted(results.tasks.len(), "task")
    )));
    profiles(answer, study);
    inclusion(answer, results);
}

fn sorted(results: &Results) -> Vec<&Rank> {
    let mut ranks: Vec<&Rank> = results.ranks.iter().collect();
    ranks.sort_by(|a, b| a.mean.total_cmp(&b.mean));
    ranks
}

/// One row an optimizer, best first.
pub(crate) fn ranks(study: &Study<'_>) -> Table {
    let results = study.results;
    let mut table = Table::new(format!("{} together", counted(results.tasks.len(), "task")));
    table
        .header(["optimizer", "mean rank", "95 % interval", "first in", "profile score"])
        .align([Align::Left, Align::Right, Align::Right, Align::Right, Align::Right]);
    for rank in sorted(results) {
        let profile = results
            .profiles
            .iter()
            .find(|profile| profile.optimizer == rank.optimizer);
        table.row([
            rank.optimizer.clone(),
            number(rank.mean, 1),
            format!("{} to {}", number(rank.lower, 1), number(rank.upper, 1)),
            percent(rank.first, 0),
            profile.map_or_else(String::new, |profile| number(profile.score, 2)),
        ]);
    }
    table.note(format!(
        "First in: the share of {} bootstrap samples (tasks and seeds drawn anew) in which the optimizer has the best mean \
         rank. Profile score: on what share of the problems (task and seed) it needs at most τ times as many steps to the target \
         as the fastest, averaged over τ from 1 to {}.",
        count(RESAMPLES),
        number(PROFILE_LIMIT, 0)
    ));
    table
}

fn profiles(answer: &mut Answer, study: &Study<'_>) {
    let mut chart = LineChart::new("Performance profile: steps to the target");
    chart
        .x_axis("times as many steps as the fastest (τ)")
        .y_axis("share of problems");
    chart.x_range(1.0, PROFILE_LIMIT).y_range(0.0, 1.0);
    chart.description(
        "For each optimizer, the share of problems on which it is at most τ times as slow as the fastest.",
    );
    for profile in &study.results.profiles {
        let mut steps = Vec::new();
        let mut share = 0.0;
        for &(tau, next) in &profile.jumps {
            steps.extend([(tau, share), (tau, next)]);
            share = next;
        }
        steps.push((PROFILE_LIMIT, share));
        chart.series(&profile.optimizer, steps);
    }
    answer.figure(chart.figure(format!(
        "How often an optimizer is nearly as fast as the fastest: at τ = 1 the share of the {} problems (a task with a seed) that it \
         solves first, further right those where it needs at most τ times as many steps. What never reaches its target never counts.",
        study.results.tasks.len() * study.plan.seeds.len()
    )));
}

/// Whether the search was large enough to find that Adam contains momentum.
fn inclusion(answer: &mut Answer, results: &Results) {
    let checks: Vec<_> = results
        .tasks
        .iter()
        .filter_map(|task| task.inclusion.as_ref().map(|check| (task, check)))
        .collect();
    if checks.is_empty() {
        return;
    }
    let mut table = Table::new("Was the search large enough? Tuned Adam must not lose against tuned momentum");
    table
        .header(["task", "Adam − momentum", "holds"])
        .align([Align::Left, Align::Right, Align::Left]);
    for (task, check) in &checks {
        let verdict = match (check.holds(), check.is_violated()) {
            (true, _) => "yes",
            (false, false) => "not refuted: the interval reaches 0",
            (false, true) => "**no**: too few trials to say which is better",
        };
        table.row([
            task.task.clone(),
            with_interval(task.measure, &check.difference),
            verdict.to_string(),
        ]);
    }
    table.note(
        "With a large ε Adam is SGD with momentum, so with enough tuning it is never worse (Choi et al. 2019). Here only the \
         learning rate is tuned; where the check fails, conclusions about that task need a larger search.",
    );
    answer.table(table);
    let violated: Vec<String> = checks
        .iter()
        .filter(|(_, check)| check.is_violated())
        .map(|(task, check)| format!("{} ({})", task.task, score(task.measure, check.difference.mean)))
        .collect();
    if !violated.is_empty() {
        answer.warning(format!(
            "The inclusion check fails on {}: tuning the learning rate alone does not bring Adam up to momentum there.",
            violated.join(", ")
        ));
    }
}

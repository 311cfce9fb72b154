//! Exercise 5: the same networks trained with and without augmentation, on clean and on damaged test images.

mod damage;
mod effect;
mod fitting;
mod inference;
mod recipe;
mod results;
mod sheets;
mod study;
mod trial;

use anyhow::Result;
use nn_theory::SummaryOptions;
use report::format::{count, significant};
use report::{Align, Answer, Block, Table};

use super::data::describe;
use crate::context::Context;
use recipe::Recipe;
use trial::Plan;

pub(super) fn answer(context: &Context, answer: &mut Answer) -> Result<()> {
    let mut dataset = context.dataset_or("digits")?;
    answer.text(
        "The question: a training set can be made larger by changing its images in ways that keep their class. Does a network \
         that learns from such versions do better on images that it has not seen, and does it stand more when they are \
         shifted, turned or noisy?",
    );
    let available = (dataset.train.len(), dataset.test.len());
    let recipe = Recipe::of(&dataset.name, dataset.shape());
    let plan = Plan::new(context, &mut dataset, recipe.pipeline()?)?;
    describe(&dataset, answer);
    if available != (dataset.train.len(), dataset.test.len()) {
        answer.note(format!(
            "To stay short, this study uses {} of the {} images to train on and {} of the {} test images, drawn at random.",
            count(dataset.train.len()),
            count(available.0),
            count(dataset.test.len()),
            count(available.1)
        ));
    }
    recipe.describe(&plan.pipeline, answer);
    sheets::augmented(answer, &plan, &dataset.classes)?;
    sheets::steps(answer, &plan, &recipe)?;
    sheets::catalogue(answer, context.seed)?;
    sheets::damaged(answer, &plan, &recipe)?;
    protocol(answer, &plan);
    let outcomes = plan.run(context)?;
    results::tell(answer, context, &plan, &recipe, &dataset.classes, &outcomes)
}

/// What is the same for the networks with and without augmentation.
fn protocol(answer: &mut Answer, plan: &Plan) {
    answer.heading("The comparison");
    if let Ok(summary) = plan.network.summary(&SummaryOptions {
        line_length: Some(80),
        ..Default::default()
    }) {
        answer.details("The network", [Block::code(summary)]);
    }
    let amounts: Vec<String> = plan
        .amounts
        .iter()
        .map(|amount| format!("{} images, {} epochs", count(amount.train.len()), amount.epochs))
        .collect();
    answer.table(
        Table::new("What a pair of networks shares")
            .header(["what", "how"])
            .align([Align::Left, Align::Left])
            .row([
                "start and order".to_string(),
                "the seed decides initial weights, order of the batches and dropout: a pair differs in the augmentation \
                 alone"
                    .to_string(),
            ])
            .row(["to learn from".to_string(), amounts.join("; or ")])
            .row([
                "to watch and to report on".to_string(),
                format!(
                    "{} validation images (learning curves), {} test images",
                    count(plan.validation.len()),
                    count(plan.test.len())
                ),
            ])
            .row([
                "training".to_string(),
                format!(
                    "{} with a learning rate of {}, batches of {}, the same for both",
                    plan.optimizer,
                    significant(plan.learning_rate, 1),
                    plan.batch_size
                ),
            ])
            .row([
                "report".to_string(),
                format!(
                    "mean over {} seeds with its 95 % interval (Student); differences are taken seed by seed",
                    plan.seeds.len()
                ),
            ]),
    );
    if plan.amounts.len() > 1 {
        answer.text(
            "Few images are where augmentation should matter most, so the comparison is made twice: with all images and with \
             a few of them, drawn at random, for about as many steps.",
        );
    }
    answer
        .setting("optimizer", plan.optimizer)
        .setting("learning_rate", plan.learning_rate)
        .setting("batch_size", plan.batch_size)
        .setting("seeds", plan.seeds.clone())
        .setting("copies_at_inference", plan.copies);
}

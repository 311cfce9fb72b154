//! Jobs side by side, with the same results for any number of threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::{Error, Result};

/// Progress of a study: jobs that are done, jobs in all.
pub type OnTrial<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// Runs `job(0)`, …, `job(jobs - 1)` on `workers` threads and returns their results in order.
///
/// Each thread has a rayon pool of its own, of one thread: candle and gemm split large products over the current pool,
/// but here the jobs are what is split. Where a job is a function of its number (and of seeds that it keeps to itself),
/// the results are therefore the same bits for any number of `workers`.
///
/// ```
/// use std::sync::atomic::AtomicBool;
/// use optimizers_bench::{Error, side_by_side};
///
/// let squares = side_by_side(4, 2, &AtomicBool::new(false), &|_, _| (), |i| Ok::<_, Error>(i * i))?;
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
/// That of the first job (by number) that failed, after which no other is begun; [`Error::Interrupted`] where the flag was set before all jobs had
/// begun, [`Error::Threads`] where no thread could be started.
pub fn side_by_side<T, E, F>(
    jobs: usize,
    workers: usize,
    interrupt: &AtomicBool,
    on_done: &OnTrial<'_>,
    job: F,
) -> Result<Vec<T>, E>
where
    T: Send,
    E: From<Error> + Send,
    F: Fn(usize) -> Result<T, E> + Sync,
{
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let results: Mutex<Vec<Option<Result<T, E>>>> = Mutex::new((0..jobs).map(|_| None).collect());
    let work = || -> Result<()> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= jobs || interrupt.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let result = pool.install(|| job(index));
            if result.is_ok() {
                on_done(done.fetch_add(1, Ordering::Relaxed) + 1, jobs);
            } else {
                failed.store(true, Ordering::Relaxed);
            }
            if let Ok(mut slots) = results.lock() {
                slots[index] = Some(result);
            }
        }
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..workers.clamp(1, jobs.max(1))).map(|_| scope.spawn(work)).collect();
        // A thread that panicked has left an empty slot, which is reported below.
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .collect::<Result<Vec<()>>>()
    })?;
    let interrupted = || Error::Interrupted {
        done: done.load(Ordering::Relaxed),
        runs: jobs,
    };
    // Jobs are begun in their order, so the first that failed comes before all that were not begun because of it.
    results
        .into_inner()
        .unwrap_or_default()
        .into_iter()
        .map(|slot| slot.unwrap_or_else(|| Err(interrupted().into())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        for workers in [0, 1, 3, 100] {
            let numbers = side_by_side(7, workers, &AtomicBool::new(false), &|_, _| (), Ok::<_, Error>);
            assert_eq!(numbers.unwrap(), (0..7).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_jobs_have_no_results() {
        let none = side_by_side(0, 2, &AtomicBool::new(false), &|_, _| (), Ok::<_, Error>);
        assert!(none.unwrap().is_empty());
    }

    #[test]
    fn the_first_failure_is_reported() {
        let job = |i| {
            if i < 2 { Ok(i) } else { Err(Error::TooFew { found: i }) }
        };
        let error = side_by_side(5, 2, &AtomicBool::new(false), &|_, _| (), job).unwrap_err();
        assert!(matches!(error, Error::TooFew { found: 2 }), "{error}");
    }

    #[test]
    fn a_flag_ends_it() {
        let flag = AtomicBool::new(false);
        let stop = |done: usize, _: usize| flag.store(done == 2, Ordering::Relaxed);
        let error = side_by_side(9, 1, &flag, &stop, Ok::<_, Error>).unwrap_err();
        assert!(matches!(error, Error::Interrupted { done: 2, runs: 9 }), "{error}");
    }
}

//! An allocator that keeps large blocks for the next step instead of giving them back to the system.
//!
//! A training step allocates and frees the same feature maps and gradients every time. The C library hands blocks of megabytes back to
//! the system, which then has to find, clear and map each page again when it is touched: measured on a small convolutional network
//! that was two thirds of the time of a step. A program that trains puts [`Recycling`] in place once:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: kernels::memory::Recycling = kernels::memory::Recycling::new();
//!
//! let first = vec![1.0f32; 1 << 20];
//! let address = first.as_ptr();
//! drop(first);
//! assert_eq!(vec![2.0f32; 1 << 20].as_ptr(), address);
//! ```

mod counting;

pub use counting::Counting;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

/// Smaller blocks are the C library's, which keeps them itself.
const SMALLEST: usize = 1 << 16;
/// Blocks are aligned to the cache lines (and so to the widest vectors) of the processors.
const ALIGNMENT: usize = 64;
/// Blocks start at different places of a page. Otherwise all large arrays would start at the same, and an operation that reads some
/// and writes another would wait for stores that only look as if they were to the address it loads from.
const PAGE: usize = 4096;
/// Distance between the places; not a divisor of the page, so that many blocks share none.
const SHIFT: usize = 9 * ALIGNMENT;
/// Sizes between two powers of two: a block is at most a quarter larger than asked for.
const STEPS: usize = 4;
const CLASSES: usize = STEPS * 32;
/// How often a size must be asked for in vain before blocks of a size that nobody asked for meanwhile make room for it. Steps of a
/// training ask for each of their sizes again and again; a window of many requests does not take one of them for forgotten.
const PATIENCE: u32 = 32;

/// Gives blocks of 64 KiB and more from a list of those that were freed before; smaller ones come from [`System`].
///
/// Kept blocks never amount to more than were in use at one time, so that a program needs at most twice its largest demand. Where a
/// program goes on to other sizes (the next network, another batch), the blocks of the former ones make room. Memory that
/// [`GlobalAlloc::alloc_zeroed`] asks for is cleared when it is a kept block.
pub struct Recycling {
    locked: AtomicBool,
    shelves: UnsafeCell<Shelves>,
}

/// Freed blocks by their size; each holds the address of the next one in its first bytes.
struct Shelves {
    first: [*mut u8; CLASSES],
    kept: usize,
    used: usize,
    most_used: usize,
    /// Where in its page the next new block starts.
    shift: usize,
    /// Requests so far, and for each size the last one.
    requests: u64,
    last: [u64; CLASSES],
    /// For each size the requests that found no block, since which one they are counted, and how many they are.
    missed: [(u64, u32); CLASSES],
}

impl Shelves {
    /// The next request for a size.
    fn request(&mut self, index: usize) -> *mut u8 {
        self.requests += 1;
        self.last[index] = self.requests;
        let block = self.first[index];
        if block.is_null() {
            let (since, count) = &mut self.missed[index];
            if *count == 0 {
                *since = self.requests;
            }
            *count = count.saturating_add(1);
        } else {
            // SAFETY: a block on a shelf is ours, aligned to 64 bytes, and starts with the address of the next one.
            self.first[index] = unsafe { block.cast::<*mut u8>().read() };
        }
        block
    }

    /// Takes a block from the shelf of a size that was not asked for while the size of `index` was missed for long.
    fn forgotten(&mut self, index: usize) -> Option<(*mut u8, Class)> {
        let (since, count) = self.missed[index];
        if count < PATIENCE {
            return None;
        }
        let found = (0..CLASSES).find(|other| !self.first[*other].is_null() && self.last[*other] < since);
        let Some(other) = found else {
            self.missed[index].1 = 0;
            return None;
        };
        let (block, class) = (self.first[other], Class::at(other));
        self.kept -= class.size;
        // SAFETY: as in `request`.
        self.first[other] = unsafe { block.cast::<*mut u8>().read() };
        Some((block, class))
    }
}

/// What became of a freed block.
enum Fate {
    Kept,
    /// There is no room for it.
    Refused,
    /// Another one, of this size, goes instead of it.
    Instead(*mut u8, Class),
}

// SAFETY: `shelves` is reached only through `with_shelves`, which lets in one thread at a time.
unsafe impl Sync for Recycling {}

impl Default for Recycling {
    fn default() -> Self {
        Self::new()
    }
}

impl Recycling {
    /// An allocator that has nothing yet.
    pub const fn new() -> Self {
        Self {
            locked: AtomicBool::new(false),
            shelves: UnsafeCell::new(Shelves {
                first: [null_mut(); CLASSES],
                kept: 0,
                used: 0,
                most_used: 0,
                shift: 0,
                requests: 0,
                last: [0; CLASSES],
                missed: [(0, 0); CLASSES],
            }),
        }
    }

    fn with_shelves<R>(&self, function: impl FnOnce(&mut Shelves) -> R) -> R {
        // What happens inside takes nanoseconds, and a lock of the standard library might allocate.
        while self
            .locked
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            std::hint::spin_loop();
        }
        // SAFETY: only the thread that set `locked` is here, and it does not come back before it has cleared it: `function` neither
        // allocates nor panics.
        let result = function(unsafe { &mut *self.shelves.get() });
        self.locked.store(false, Ordering::Release);
        result
    }

    /// A new block; null where the system has none.
    fn fresh(&self, class: Class) -> *mut u8 {
        // Asked for with no more than the C library's own alignment, cleared memory is that of new pages, which nobody has touched.
        // SAFETY: the size of a class is not 0.
        let start = unsafe { System.alloc_zeroed(class.layout()) };
        let shift = self.with_shelves(|shelves| {
            if start.is_null() {
                shelves.used -= class.size;
            }
            shelves.shift = (shelves.shift + SHIFT) % PAGE;
            shelves.shift
        });
        if start.is_null() {
            return start;
        }
        let distance = start.addr().next_multiple_of(ALIGNMENT) - start.addr() + shift + ALIGNMENT;
        // SAFETY: the block starts at a multiple of 64, after room for the distance, and ends inside of what `Class::layout` asks for:
        // the way to the alignment, the shift and the alignment before the block are less than what that is in excess of it.
        unsafe {
            let block = start.add(distance);
            block.sub(ALIGNMENT).cast::<usize>().write(distance);
            block
        }
    }

    /// Gives a block back to the system.
    ///
    /// # Safety
    /// The block must come from [`Self::fresh`] with this class and belong to nobody.
    unsafe fn discard(block: *mut u8, class: Class) {
        // SAFETY: `fresh` wrote the distance to the start there, and nobody else writes before the block.
        unsafe {
            let distance = block.sub(ALIGNMENT).cast::<usize>().read();
            System.dealloc(block.sub(distance), class.layout());
        }
    }

    /// A kept block of this class, which is then in use.
    fn take(&self, class: Class) -> *mut u8 {
        self.with_shelves(|shelves| {
            shelves.used += class.size;
            shelves.most_used = shelves.most_used.max(shelves.used);
            let block = shelves.request(class.index);
            if !block.is_null() {
                shelves.kept -= class.size;
            }
            block
        })
    }

    /// Takes back a block that is no longer in use, and keeps it if there is room for it.
    ///
    /// # Safety
    /// The block must have this class's size and belong to nobody.
    unsafe fn give_back(&self, block: *mut u8, class: Class) {
        self.with_shelves(|shelves| shelves.used -= class.size);
        loop {
            // SAFETY: the caller's promise; a block that is to go belongs to nobody, and came from `fresh` with its class.
            unsafe {
                match self.keep(block, class) {
                    Fate::Kept => return,
                    Fate::Refused => return Self::discard(block, class),
                    Fate::Instead(other, its) => Self::discard(other, its),
                }
            }
        }
    }

    /// Keeps a block if there is room for it.
    ///
    /// # Safety
    /// The block must have this class's size and belong to nobody.
    unsafe fn keep(&self, block: *mut u8, class: Class) -> Fate {
        self.with_shelves(|shelves| {
            if shelves.kept + class.size > shelves.most_used {
                return match shelves.forgotten(class.index) {
                    Some((other, its)) => Fate::Instead(other, its),
                    None => Fate::Refused,
                };
            }
            shelves.kept += class.size;
            // SAFETY: the block is ours now, large enough and aligned.
            unsafe { block.cast::<*mut u8>().write(shelves.first[class.index]) };
            shelves.first[class.index] = block;
            Fate::Kept
        })
    }
}

/// The blocks that a request is served with.
#[derive(Clone, Copy)]
struct Class {
    index: usize,
    size: usize,
}

impl Class {
    /// `None` for what is left to the system: small blocks, rare alignments, absurd sizes.
    fn of(layout: Layout) -> Option<Self> {
        let size = layout.size();
        if size < SMALLEST || layout.align() > ALIGNMENT {
            return None;
        }
        let power = size.ilog2();
        let step = 1usize << (power - STEPS.ilog2());
        let size = size.checked_next_multiple_of(step)?;
        let power = size.ilog2();
        let within = (size >> (power - STEPS.ilog2())) - STEPS;
        let index = (power - SMALLEST.ilog2()) as usize * STEPS + within;
        (index < CLASSES && size <= isize::MAX as usize / 2).then_some(Self { index, size })
    }

    /// The blocks of a shelf: [`Self::of`] backwards.
    fn at(index: usize) -> Self {
        let power = SMALLEST.ilog2() as usize + index / STEPS;
        let size = (STEPS + index % STEPS) << (power - STEPS.ilog2() as usize);
        Self { index, size }
    }

    /// Of what is asked from the system: room for the alignment, for the shift and, before the block, for the distance to the start.
    fn layout(self) -> Layout {
        // SAFETY: the alignment is a power of two and the size was checked to be far below `isize::MAX`.
        unsafe { Layout::from_size_align_unchecked(self.size + PAGE + 2 * ALIGNMENT, align_of::<usize>()) }
    }
}

// SAFETY: a block is either the system's, asked for and given back with the same layout, or it comes from a shelf of its class, where
// only blocks are that were given back by their owners; `Class::of` gives the same class for a layout every time.
unsafe impl GlobalAlloc for Recycling {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = Class::of(layout) else {
            // SAFETY: the caller's promise is the system's condition.
            return unsafe { System.alloc(layout) };
        };
        let block = self.take(class);
        if block.is_null() {
            return self.fresh(class);
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = Class::of(layout) else {
            // SAFETY: the caller's promise is the system's condition.
            return unsafe { System.alloc_zeroed(layout) };
        };
        let block = self.take(class);
        if block.is_null() {
            return self.fresh(class);
        }
        // SAFETY: the block has at least this many bytes.
        unsafe { block.write_bytes(0, layout.size()) };
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = Class::of(layout) else {
            // SAFETY: a block of such a layout came from the system.
            return unsafe { System.dealloc(block, layout) };
        };
        // SAFETY: the caller gives up the block, which was allocated with this layout and so has the size of its class.
        unsafe { self.give_back(block, class) };
    }
}

/// Asks the processor to bring numbers into its L2 cache while it does something else.
pub fn fetch<T>(numbers: &[T]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        let bytes = std::mem::size_of_val(numbers);
        for line in (0..bytes).step_by(64) {
            // SAFETY: SSE is part of every x86-64 processor, and a prefetch touches nothing that a program could see.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(numbers.as_ptr().cast::<i8>().wrapping_add(line)) }
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = numbers;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(size: usize) -> Option<Class> {
        Class::of(Layout::from_size_align(size, 4).unwrap())
    }

    #[test]
    fn classes_hold_what_is_asked_for_and_little_more() {
        assert!(class(SMALLEST - 1).is_none());
        assert!(Class::of(Layout::from_size_align(1 << 20, 4096).unwrap()).is_none());
        let mut former = (usize::MAX, 0);
        for size in (SMALLEST..1 << 20).step_by(997) {
            let class = class(size).unwrap();
            assert!(
                class.size >= size && class.size * 4 <= size * 5,
                "{size} -> {}",
                class.size
            );
            // One size for each index, and the other way round.
            assert_eq!(former.0 == class.index, former.1 == class.size, "{size}");
            assert_eq!(Class::at(class.index).size, class.size, "{size}");
            former = (class.index, class.size);
        }
    }

    #[test]
    fn freed_blocks_come_back_and_no_more_are_kept_than_were_used() {
        let allocator = Recycling::new();
        let layout = Layout::from_size_align(100_000, 8).unwrap();
        // SAFETY: each block is given back once, with its layout, and written inside its size.
        unsafe {
            let first = allocator.alloc(layout);
            first.write_bytes(7, 100_000);
            allocator.dealloc(first, layout);
            assert_eq!(
                allocator.with_shelves(|shelves| shelves.kept),
                class(100_000).unwrap().size
            );
            let again = allocator.alloc_zeroed(layout);
            assert_eq!(again, first);
            assert!(std::slice::from_raw_parts(again, 100_000).iter().all(|byte| *byte == 0));
            // A larger one while the smaller is kept: together they would be more than was ever in use.
            allocator.dealloc(again, layout);
            let large = Layout::from_size_align(1 << 20, 8).unwrap();
            let block = allocator.alloc(large);
            allocator.dealloc(block, large);
            let (kept, most_used) = allocator.with_shelves(|shelves| (shelves.kept, shelves.most_used));
            assert!(kept <= most_used, "{kept} {most_used}");
        }
    }

    #[test]
    fn sizes_that_nobody_asks_for_any_more_make_room() {
        let allocator = Recycling::new();
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        let once = |size| {
            // SAFETY: the block is written inside its size, and given back once, with its layout.
            unsafe {
                let block = allocator.alloc(layout(size));
                block.write_bytes(7, size);
                allocator.dealloc(block, layout(size));
            }
        };
        let kept = |size| allocator.with_shelves(|shelves| !shelves.first[class(size).unwrap().index].is_null());
        once(1 << 18);
        // Less than was in use, but together with what is kept it would be more.
        for _ in 1..PATIENCE {
            once(1 << 17);
            assert!(kept(1 << 18) && !kept(1 << 17));
        }
        once(1 << 17);
        assert!(kept(1 << 17) && !kept(1 << 18));
        // Two sizes in turns are both remembered: neither is thrown away for the other.
        let allocator = Recycling::new();
        let mut misses = 0;
        for _ in 0..10 * PATIENCE {
            for size in [1 << 18, 1 << 17] {
                let class = class(size).unwrap();
                misses += usize::from(allocator.with_shelves(|shelves| shelves.first[class.index].is_null()));
                // SAFETY: as above.
                unsafe { allocator.dealloc(allocator.alloc(layout(size)), layout(size)) };
            }
        }
        let (kept, most_used) = allocator.with_shelves(|shelves| (shelves.kept, shelves.most_used));
        assert!(kept <= most_used, "{kept} {most_used}");
        assert_eq!(misses as u32, 10 * PATIENCE + 1, "the one that is kept is always found");
    }

    #[test]
    fn threads_never_share_a_block() {
        let allocator = Recycling::new();
        std::thread::scope(|scope| {
            for mark in 0..4u8 {
                let allocator = &allocator;
                scope.spawn(move || {
                    let layout = Layout::from_size_align(70_000, 8).unwrap();
                    for _ in 0..200 {
                        // SAFETY: as above.
                        unsafe {
                            let block = allocator.alloc(layout);
                            block.write_bytes(mark, 70_000);
                            std::thread::yield_now();
                            assert!(
                                std::slice::from_raw_parts(block, 70_000)
                                    .iter()
                                    .all(|byte| *byte == mark)
                            );
                            allocator.dealloc(block, layout);
                        }
                    }
                });
            }
        });
    }
}

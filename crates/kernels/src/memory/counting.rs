//! An allocator that counts, for tests of functions that must not allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, with a count of what was asked of it by all threads.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: kernels::memory::Counting = kernels::memory::Counting::new();
///
/// let before = ALLOCATOR.allocations();
/// let numbers = vec![1.0f32; 10];
/// assert_eq!(ALLOCATOR.allocations() - before, 1);
/// drop(numbers);
/// assert_eq!(ALLOCATOR.allocations() - before, 1);
/// ```
#[derive(Debug, Default)]
pub struct Counting {
    allocations: AtomicUsize,
}

impl Counting {
    /// An allocator that was asked for nothing yet.
    pub const fn new() -> Self {
        Self {
            allocations: AtomicUsize::new(0),
        }
    }

    /// How often a block was asked for so far; one that grows or shrinks is asked for again.
    pub fn allocations(&self) -> usize {
        self.allocations.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.allocations.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count();
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is the same here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count();
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.count();
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

//! Counts what a test's thread asks of the heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted.
struct Counted;

#[global_allocator]
static COUNTED: Counted = Counted;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// How often this thread has asked for memory.
pub(crate) fn count() -> u64 {
    COUNT.with(Cell::get)
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe by its nature; this one hands everything on"
)]
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: what is promised to us is promised to the system.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: it came from the system.
        unsafe { System.dealloc(at, layout) }
    }
}

//! What threads hold of the heap: how much, and in tests how often they ask.
//!
//! The heap is the system's; this only counts. What one thread asks for and another gives back leaves the first holding
//! it for ever: whoever compares two readings says what was handed over between them.

use std::alloc::{GlobalAlloc, Layout, System as Heap};
use std::cell::Cell;

struct Counted;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// Octets that this thread has asked for and not given back.
pub(crate) fn held() -> i64 {
    HELD.get()
}

fn note(octets: i64) {
    HELD.set(HELD.get().wrapping_add(octets));
    #[cfg(test)]
    asking::note();
}

#[cfg(test)]
pub(crate) use asking::{asked, asked_by, watch};

#[cfg(test)]
mod asking {
    //! For the tests of what must never ask.
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

    use nix::libc;

    static WATCHING: AtomicBool = AtomicBool::new(false);
    static NAME: OnceLock<&str> = OnceLock::new();
    static ASKED: AtomicU64 = AtomicU64::new(0);

    thread_local! {
        /// What this thread has asked for, while somebody counts.
        static ASKED_HERE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From now on whatever threads of that name ask is counted. There is one such name.
    pub fn watch(name: &'static str) {
        assert_eq!(*NAME.get_or_init(|| name), name);
        WATCHING.store(true, SeqCst);
    }

    /// What they have asked for; no more is counted.
    pub fn asked() -> u64 {
        WATCHING.store(false, SeqCst);
        ASKED.load(SeqCst)
    }

    /// What this thread asks of the heap for a deed.
    pub fn asked_by(deed: impl FnOnce()) -> u64 {
        ASKED_HERE.set(Some(0));
        deed();
        ASKED_HERE.take().expect("it was set before the deed")
    }

    pub(super) fn note() {
        if WATCHING.load(SeqCst) && NAME.get().is_some_and(|name| is_called(name)) {
            ASKED.fetch_add(1, SeqCst);
        }
        ASKED_HERE.set(ASKED_HERE.get().map(|asked| asked + 1));
    }

    #[expect(unsafe_code, reason = "only the kernel can be asked for a name without the heap")]
    fn is_called(name: &str) -> bool {
        let mut own = [0_u8; 16];
        // SAFETY: the kernel writes sixteen octets at most.
        unsafe { libc::prctl(libc::PR_GET_NAME, own.as_mut_ptr()) };
        own.starts_with(name.as_bytes()) && own[name.len()] == 0
    }
}

#[expect(unsafe_code, reason = "the heap's contract is the system's own, which is called")]
// SAFETY: every call goes on to the system's heap unchanged.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(octets(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { Heap.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(octets(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { Heap.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(octets(size) - octets(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { Heap.realloc(at, layout, size) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(-octets(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { Heap.dealloc(at, layout) }
    }
}

fn octets(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[global_allocator]
static HEAP: Counted = Counted;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_holds_is_what_it_asked_for_and_has_not_given_back() {
        let before = held();
        let mut kept = vec![0_u8; 1_000];
        assert_eq!(held() - before, 1_000);
        kept.reserve_exact(2_000);
        assert_eq!(held() - before, 3_000);
        drop(kept);
        assert_eq!(held(), before);
    }
}

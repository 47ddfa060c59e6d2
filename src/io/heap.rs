//! Counts what threads ask of the heap, for the tests of what must never do so.

use std::alloc::{GlobalAlloc, Layout, System as Heap};
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use nix::libc;

struct Watched;

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

fn note() {
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

#[expect(unsafe_code, reason = "the heap's contract is the system's own, which is called")]
// SAFETY: every call goes on to the system's heap unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as the caller promised.
        unsafe { Heap.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note();
        // SAFETY: as the caller promised.
        unsafe { Heap.dealloc(at, layout) }
    }
}

#[global_allocator]
static HEAP: Watched = Watched;

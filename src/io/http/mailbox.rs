//! A queue from one task to another that takes no room while it is empty: there are thousands in which nothing waits.
//! tokio's own begin with a block of thirty-two places.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A queue, empty.
pub(super) fn mailbox<T>() -> (Slot<T>, Mailbox<T>) {
    let shared = Arc::new(Shared { post: Mutex::default(), came: Notify::new() });
    (Slot(shared.clone()), Mailbox(shared))
}

/// Where things are left; the mailbox ends with it.
#[derive(Debug)]
pub(super) struct Slot<T>(Arc<Shared<T>>);

/// Where they are found.
#[derive(Debug)]
pub(super) struct Mailbox<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    post: Mutex<Post<T>>,
    came: Notify,
}

#[derive(Debug)]
struct Post<T> {
    waiting: VecDeque<T>,
    is_over: bool,
}

impl<T> Default for Post<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), is_over: false }
    }
}

impl<T> Slot<T> {
    /// Whether there was a place: where `most` wait there is none.
    pub(super) fn put(&self, thing: T, most: usize) -> bool {
        let mut post = self.0.post();
        let has_place = post.waiting.len() < most;
        if has_place {
            post.waiting.push_back(thing);
            self.0.came.notify_one();
        }
        has_place
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        self.0.post().is_over = true;
        self.0.came.notify_one();
    }
}

impl<T> Mailbox<T> {
    /// The next, in the order of their coming; none when nobody can leave one any more.
    pub(super) async fn next(&mut self) -> Option<T> {
        loop {
            {
                let mut post = self.0.post();
                if let Some(thing) = post.waiting.pop_front() {
                    if post.waiting.is_empty() {
                        post.waiting = VecDeque::new();
                    }
                    return Some(thing);
                }
                if post.is_over {
                    return None;
                }
            }
            self.0.came.notified().await;
        }
    }
}

impl<T> Shared<T> {
    fn post(&self) -> MutexGuard<'_, Post<T>> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_left_is_found_in_its_order_and_what_had_no_place_is_not() {
        let (slot, mut mailbox) = mailbox();
        assert_eq!([1, 2, 3].map(|it| slot.put(it, 2)), [true, true, false]);
        assert_eq!(mailbox.next().await, Some(1));
        assert!(slot.put(4, 2), "there is room again");
        drop(slot);
        assert_eq!([mailbox.next().await, mailbox.next().await], [Some(2), Some(4)]);
        assert_eq!(mailbox.next().await, None);
    }

    #[tokio::test]
    async fn who_waits_hears_of_what_comes_and_of_the_end() {
        let (slot, mut mailbox) = mailbox();
        let waits = async { [mailbox.next().await, mailbox.next().await] };
        let leaves = async {
            tokio::task::yield_now().await;
            assert!(slot.put(1, 1));
            drop(slot);
        };
        assert_eq!(tokio::join!(waits, leaves).0, [Some(1), None]);
    }
}

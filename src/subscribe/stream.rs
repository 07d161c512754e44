//! A subscriber as a stream of changes, for programs that are built of streams.
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_core::Stream;

use crate::hash::RandomState;
use crate::subscribe::{Change, Closed, Subscriber};

/// The changes that a [`Subscriber`] sees, one at a time; made by [`Subscriber::into_stream`].
///
/// Whenever it has handed out all changes of a drain it waits and drains again, so it holds at most
/// one change for each node, and each was the latest state when it drained. It ends once no tracker is
/// left and everything was handed out.
#[doc(alias = "Changes")]
pub struct ChangeStream<K = SocketAddr, D = (), S = RandomState> {
    subscriber: Subscriber<K, D, S>,
    drained: VecDeque<(K, Change)>,
}

impl<K, D, S> ChangeStream<K, D, S> {
    pub(super) fn new(subscriber: Subscriber<K, D, S>) -> Self {
        Self {
            subscriber,
            drained: VecDeque::new(),
        }
    }
}

// Nothing in it is ever pinned, whatever the keys are.
impl<K, D, S> Unpin for ChangeStream<K, D, S> {}

impl<K, D, S> Stream for ChangeStream<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    type Item = (K, Change);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<(K, Change)>> {
        let Self {
            subscriber,
            drained,
        } = &mut *self;
        loop {
            if let Some(change) = drained.pop_front() {
                return Poll::Ready(Some(change));
            }
            if let Err(Closed) = ready!(subscriber.poll_changed(context)) {
                return Poll::Ready(None);
            }
            subscriber.drain(|node, change| drained.push_back((node.clone(), change)));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.drained.len(), None)
    }
}

impl<K, D, S> fmt::Debug for ChangeStream<K, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeStream")
            .field("subscriber", &self.subscriber)
            .field("drained", &self.drained.len())
            .finish()
    }
}

//! Push-pull: whole states from node to node, in as many datagrams as it takes. What gossip missed,
//! because it had stopped before a node came or while one was cut off, is made up for here.
//!
//! The dead are part of it, for peers that still take them for alive, and for newcomers. The unconfirmed are not: no node
//! vouches for them.

use std::net::SocketAddr;

use incarnation::{NodeState, Status, Timestamp};

use crate::numbers::Purpose;
use crate::protocol::{Datagram, Protocol, lock};
use crate::requests::Request;
use crate::wire::{Item, Message};

impl Protocol {
    /// Sends all that is known to a member, and asks for the same.
    pub(crate) fn exchange_states(
        &self,
        with: SocketAddr,
        now: Timestamp,
        out: &mut Vec<Datagram>,
    ) {
        let pull = Some(self.numbers.of(Purpose::Pull, with, now));
        self.send_state(
            with,
            Message::Sync { pull },
            Message::Sync { pull: None },
            out,
        );
    }

    /// Sends the whole state on request, but only so often in a period.
    pub(crate) fn send_state_on_request(
        &self,
        request: Request,
        to: SocketAddr,
        answer: Message,
        out: &mut Vec<Datagram>,
    ) {
        if lock(&self.requests).allow(request, to) {
            self.send_state(to, answer, answer, out);
        }
    }

    /// The first datagram has the message `first`, the others `next`: only one asks, or each part would be answered with
    /// the whole.
    fn send_state(&self, to: SocketAddr, first: Message, next: Message, out: &mut Vec<Datagram>) {
        let mut writer = self.writer(first);
        for (node, state) in self.tracker.pin().iter() {
            if !is_told(to, *node, state) {
                continue;
            }
            let item = self.item(*node, state);
            if !writer.push(&item) {
                let next = self.writer(next);
                self.post(to, core::mem::replace(&mut writer, next), out);
                let bare = Item::new(item.node, item.claim);
                let fits = writer.push(&item) || writer.push(&bare);
                debug_assert!(fits, "the shortest datagram has room for a claim");
            }
        }
        self.post(to, writer, out);
    }
}

/// Whether a state is part of what `to` is told.
fn is_told(to: SocketAddr, node: SocketAddr, state: NodeState) -> bool {
    // It knows that it is alive.
    let needless = node == to && state.status == Status::Alive;
    state.status != Status::Unconfirmed && !needless
}

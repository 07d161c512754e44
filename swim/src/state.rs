//! Push-pull: whole states from node to node, in as many datagrams as it takes. What gossip missed,
//! because it had stopped before a node came or while one was cut off, is made up for here.
//!
//! The dead are part of it, for whoever still takes them for alive, and for those that are new;
//! whoever has buried them takes no notice. The unconfirmed are not: nobody vouches for them.

use std::net::SocketAddr;

use incarnation::{Claim, Status};

use crate::protocol::{Datagram, Protocol};
use crate::wire::{Item, Message};

impl Protocol {
    /// Sends all that is known; `pull` asks for the same.
    pub(crate) fn send_state(&self, to: SocketAddr, pull: bool, out: &mut Vec<Datagram>) {
        let mut writer = self.writer(Message::Sync { pull });
        for (node, state) in self.tracker.pin().iter() {
            if !is_told(to, *node, state.claim()) {
                continue;
            }
            let item = Item {
                node: *node,
                claim: state.claim(),
            };
            if !writer.push(item) {
                // Only the first asks, or each part would be answered with the whole.
                let next = self.writer(Message::Sync { pull: false });
                self.post(to, core::mem::replace(&mut writer, next), out);
                let fits = writer.push(item);
                debug_assert!(fits, "the shortest datagram has room for a claim");
            }
        }
        self.post(to, writer, out);
    }

    /// Sends one datagram of it, chosen at random.
    pub(crate) fn send_some_state(&self, to: SocketAddr, out: &mut Vec<Datagram>) {
        let mut writer = self.writer(Message::Sync { pull: false });
        let room = self.config.max_datagram / 8;
        for (node, claim) in self.sample(room, |_, status| status != Status::Unconfirmed) {
            if is_told(to, node, claim) && !writer.push(Item { node, claim }) {
                break;
            }
        }
        self.post(to, writer, out);
    }
}

/// Whether a claim is part of what `to` is told.
fn is_told(to: SocketAddr, node: SocketAddr, claim: Claim) -> bool {
    // It knows that it is alive.
    let needless = node == to && claim.status() == Status::Alive;
    claim.status() != Status::Unconfirmed && !needless
}

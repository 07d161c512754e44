//! foca's own member list, for updates: a list that is searched, behind a lock since it is one
//! thread's. It keeps 16-bit incarnations and no last update, so it does less than the others.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use foca::{Codec, Config, Foca, Header, Member, NoCustomBroadcast, Notification, Runtime, Timer};
use incarnation::{Claim, Status};
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::{Session, State, Subject, Task, Verb, digest};

type Members = Foca<SocketAddr, Silent, SmallRng, NoCustomBroadcast>;

pub struct FocaMembers(Mutex<Members>);

impl Subject for FocaMembers {
    const ID: &'static str = "foca";
    // Its incarnations end at 65,535.
    const MOST_CHANGES: u64 = 250;
    type Session<'s> = &'s Self;

    fn with_capacity(_nodes: usize) -> Self {
        let me = SocketAddr::from(([127, 0, 0, 1], 1));
        let random = SmallRng::seed_from_u64(1);
        Self(Mutex::new(Foca::new(me, Config::simple(), random, Silent)))
    }

    #[inline(always)]
    fn session(&self) -> &Self {
        self
    }

    fn can(task: Task) -> bool {
        matches!(task.verb, Verb::Claim | Verb::Change)
    }
}

fn member(node: &SocketAddr, claim: Claim) -> Member<SocketAddr> {
    let state = match claim.status() {
        Status::Suspect => foca::State::Suspect,
        Status::Dead | Status::Left => foca::State::Down,
        _ => foca::State::Alive,
    };
    let incarnation = u16::try_from(claim.incarnation().get());
    Member::new(*node, incarnation.expect("within its range"), state)
}

impl Session for &FocaMembers {
    fn lookup(&self, node: &SocketAddr) -> Option<State> {
        let members = self.0.lock();
        let found = members
            .iter_membership_state()
            .find(|member| member.id() == node)?;
        Some(state(found))
    }

    fn claim(&self, node: &SocketAddr, claim: Claim, _last_update: u64) -> Result<(), u64> {
        let mut members = self.0.lock();
        // It does not say what became of the update.
        members
            .apply_many(std::iter::once(member(node, claim)), false, Silent)
            .map_err(|_| 0)
    }

    fn remove(&self, _node: &SocketAddr, _last_update: u64) -> bool {
        false
    }

    fn iterate(&self) -> u64 {
        let members = self.0.lock();
        members.iter_membership_state().fold(0, |sum: u64, member| {
            sum.wrapping_add(digest(member.id(), state(member)))
        })
    }
}

fn state(member: &Member<SocketAddr>) -> State {
    State {
        status: match member.state() {
            foca::State::Alive => Status::Alive,
            foca::State::Suspect => Status::Suspect,
            foca::State::Down => Status::Dead,
        },
        incarnation: member.incarnation().into(),
        last_update: 0,
    }
}

/// Neither sends nor receives.
struct Silent;

impl Runtime<SocketAddr> for Silent {
    fn notify(&mut self, _notification: Notification<'_, SocketAddr>) {}
    fn send_to(&mut self, _to: SocketAddr, _data: &[u8]) {}
    fn submit_after(&mut self, _event: Timer<SocketAddr>, _after: Duration) {}
}

impl Codec<SocketAddr> for Silent {
    type Error = Infallible;

    fn encode_header(
        &mut self,
        _header: &Header<SocketAddr>,
        _buf: impl bytes::BufMut,
    ) -> Result<(), Infallible> {
        Ok(())
    }

    fn decode_header(&mut self, _buf: impl bytes::Buf) -> Result<Header<SocketAddr>, Infallible> {
        unreachable!("nothing is received")
    }

    fn encode_member(
        &mut self,
        _member: &Member<SocketAddr>,
        _buf: impl bytes::BufMut,
    ) -> Result<(), Infallible> {
        Ok(())
    }

    fn decode_member(&mut self, _buf: impl bytes::Buf) -> Result<Member<SocketAddr>, Infallible> {
        unreachable!("nothing is received")
    }
}

//! Leaving, and being forgotten.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use incarnation::{Claim, Incarnation, Status};
use incarnation_swim::test_datagrams;
use tokio::net::UdpSocket;

use super::{Outcome, Stage, answer, refused, role};
use crate::cast::RETENTION;
use crate::options::CLUSTER;

/// A node leaves on purpose. Its process goes on until the others have heard of it.
pub async fn leave(stage: &Stage) -> Outcome {
    let cast = &stage.cast;
    // Suspicions are the machine's doing, where it starves the node. A death would be ours.
    let (mut suspicious, mut accusers) = (BTreeSet::new(), BTreeSet::new());
    let mut informed = BTreeSet::new();
    let mut look = || {
        let views = cast.views_of(role::LEAVES);
        for (observer, seen) in &views {
            let seen_as = match seen.map(|state| state.status) {
                Some(Status::Suspect) => &mut suspicious,
                Some(Status::Dead) => &mut accusers,
                Some(Status::Left) => &mut informed,
                _ => continue,
            };
            seen_as.insert(*observer);
        }
        views
            .iter()
            .all(|(observer, _)| informed.contains(observer))
    };
    let leaving = cast.leave(role::LEAVES).await;
    let left = stage.until(30, &mut look).await;
    if let Some(node) = leaving {
        node.kill().await;
    }
    match (left, accusers.len(), suspicious.len()) {
        (true, 0, 0) => Ok("Left everywhere, never suspected".into()),
        (true, 0, suspicious) => Ok(format!("Left everywhere; {suspicious} had suspected it")),
        (_, accusers, suspicious) => Err(format!(
            "Left everywhere: {left}, seen as Dead by {accusers} and as Suspect by {suspicious}"
        )),
    }
}

/// The dead and the departed are evicted in time; then a newcomer that missed it all says that they live. Each node that
/// remembers one of them refuses that.
pub async fn sweep(stage: &Stage) -> Outcome {
    let cast = &stage.cast;
    let gone = [role::LEAVES, role::ZOMBIE];
    // All have heard of the departure. Where the acts before took long, the node that joined last may have missed the death:
    // it joined after the others had evicted the dead node.
    let remember = gone.map(|player| cast.remembering(player));
    let unknown = || {
        gone.iter().zip(&remember).all(|(player, remember)| {
            let views = cast.views_of(*player).into_iter();
            let mut of_these = views.filter(|(observer, _)| remember.contains(observer));
            of_these.all(|(_, seen)| seen.is_none())
        })
    };
    let evicted = stage.until(RETENTION + 40, unknown).await;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(refused)?;
    let old = Incarnation::ZERO;
    let claims = gone.map(|player| (cast.address(player), Claim::alive(old)));
    let rejected = cast.total(|stats| stats.rejected);
    let mut risen = 0;
    for (player, _) in cast.trackers() {
        let join = test_datagrams::join(CLUSTER, old);
        socket
            .send_to(&join, cast.address(player))
            .await
            .map_err(refused)?;
    }
    for _ in 0..3 {
        stage.watch(1, || {}).await;
        answer(&socket, None).await;
        for (player, _) in cast.trackers() {
            let bytes = test_datagrams::gossip(CLUSTER, old, &claims);
            socket
                .send_to(&bytes, cast.address(player))
                .await
                .map_err(refused)?;
        }
        stage.watch(1, || risen += usize::from(!unknown())).await;
    }
    let refused = || cast.total(|stats| stats.rejected) - rejected;
    stage.until(30, || refused() > 0).await;
    let rejected = refused();
    let tombstones: usize = cast
        .trackers()
        .iter()
        .map(|(_, tracker)| tracker.tombstones())
        .sum();
    let all_remember = remember
        .iter()
        .all(|by| by.len() + 1 >= cast.len() - gone.len());
    if evicted && risen == 0 && rejected > 0 && all_remember {
        Ok(format!(
            "evicted everywhere; old gossip refused {rejected} times by {tombstones} tombstones"
        ))
    } else {
        Err(format!(
            "evicted: {evicted}, came back: {risen} times, refused: {rejected}, remembered by all: {all_remember}"
        ))
    }
}

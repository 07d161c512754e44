//! Leaving, and being forgotten.

use std::net::Ipv4Addr;

use incarnation::{Claim, Incarnation, Status};
use incarnation_swim::test_datagrams;
use tokio::net::UdpSocket;

use super::{Outcome, Stage, answer, refused, role};
use crate::cast::RETENTION;
use crate::options::CLUSTER;

/// A node leaves on purpose.
pub async fn leave(stage: &Stage) -> Outcome {
    let cast = &stage.cast;
    let mut accused = 0;
    let mut look = || {
        let views = cast.views_of(role::LEAVES);
        let status = |seen: crate::cast::Seen| seen.map(|state| state.status);
        let accusing = [Some(Status::Suspect), Some(Status::Dead)];
        accused += views
            .iter()
            .filter(|(_, seen)| accusing.contains(&status(*seen)))
            .count();
        views
            .iter()
            .all(|(_, seen)| status(*seen) == Some(Status::Left))
    };
    let leaving = cast.leave(role::LEAVES);
    let (left, ()) = tokio::join!(stage.until(30, &mut look), leaving);
    if left && accused == 0 {
        Ok("Left everywhere, never suspected".into())
    } else {
        Err(format!(
            "Left everywhere: {left}, seen as Suspect or Dead {accused} times"
        ))
    }
}

/// The dead and the departed are evicted in time; then a newcomer that missed it all says that they live.
pub async fn sweep(stage: &Stage) -> Outcome {
    let cast = &stage.cast;
    let gone = [role::LEAVES, role::ZOMBIE];
    let unknown = || {
        gone.iter()
            .all(|player| cast.all_see(*player, |seen| seen.is_none()))
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
    let rejected = cast.total(|stats| stats.rejected) - rejected;
    let tombstones: usize = cast
        .trackers()
        .iter()
        .map(|(_, tracker)| tracker.tombstones())
        .sum();
    if evicted && risen == 0 && rejected > 0 {
        Ok(format!(
            "evicted everywhere; old gossip refused {rejected} times by {tombstones} tombstones"
        ))
    } else {
        Err(format!(
            "evicted: {evicted}, came back: {risen} times, refused: {rejected}"
        ))
    }
}

//! What must not be believed: a node of the past, and nodes that never were. An outsider on a raw
//! socket sends datagrams made by hand.

use std::net::{Ipv4Addr, SocketAddr};

use incarnation::{Claim, Incarnation};
use incarnation_swim::test_datagrams;
use tokio::net::UdpSocket;

use super::{Outcome, Stage, refused, role};
use crate::cast::{HARD_LIMIT, UNCONFIRMED};
use crate::options::CLUSTER;

/// How many nodes are invented.
const INVENTED: u16 = 20_000;

/// A dead node's address speaks again, at the incarnation it died at.
pub async fn zombie(stage: &Stage) -> Outcome {
    let cast = &stage.cast;
    let me = cast.address(role::ZOMBIE);
    let socket = UdpSocket::bind(me).await.map_err(refused)?;
    let old = Incarnation::ZERO;
    let rejected = cast.total(|stats| stats.rejected);
    let mut risen = 0;
    for _ in 0..3 {
        for (observer, _) in cast.trackers() {
            let to = cast.address(observer);
            let gossip = test_datagrams::gossip(CLUSTER, old, &[(me, Claim::alive(old))]);
            for bytes in [
                test_datagrams::join(CLUSTER, old),
                test_datagrams::ping(CLUSTER, old),
                gossip,
            ] {
                socket.send_to(&bytes, to).await.map_err(refused)?;
            }
        }
        stage
            .watch(1, || {
                let views = cast.views_of(role::ZOMBIE).into_iter();
                risen += views
                    .filter(|(_, seen)| seen.is_some_and(|state| !state.status.is_gone()))
                    .count();
            })
            .await;
    }
    let rejected = cast.total(|stats| stats.rejected) - rejected;
    if risen == 0 && rejected > 0 {
        Ok(format!("refused {rejected} times, nowhere alive"))
    } else {
        Err(format!(
            "seen as other than Dead {risen} times, refused {rejected} times"
        ))
    }
}

/// A flood of gossip about nodes that do not exist; a newcomer knocks meanwhile.
pub async fn flood(stage: &Stage) -> Outcome {
    let cast = &stage.cast;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(refused)?;
    let living: Vec<_> = cast
        .trackers()
        .into_iter()
        .map(|(player, _)| player)
        .collect();
    let (mut fullest, mut lost) = (0, 0);
    let mut look = || {
        for (_, tracker) in cast.trackers() {
            fullest = fullest.max(tracker.len());
        }
        for player in &living {
            lost += cast
                .views_of(*player)
                .iter()
                .filter(|(by, seen)| living.contains(by) && seen.is_none())
                .count();
        }
    };
    let mut next = 0;
    let mut knocked = false;
    for _ in 0..60 {
        let claims: Vec<_> = (0..100)
            .map(|n| (invented(next + n), Claim::alive(1)))
            .collect();
        next = (next + 100) % INVENTED;
        let bytes = test_datagrams::gossip(CLUSTER, Incarnation::ZERO, &claims);
        for player in &living {
            socket
                .send_to(&bytes, cast.address(*player))
                .await
                .map_err(refused)?;
        }
        if next > INVENTED / 10 && !knocked {
            knocked = true;
            cast.start(cast.len()).await.map_err(refused)?;
        }
        look();
        tokio::time::sleep(cast.period() / 10).await;
    }
    let everybody: Vec<_> = living.iter().copied().chain([cast.len()]).collect();
    let mut gone = || {
        look();
        let trackers = cast.trackers();
        trackers
            .iter()
            .all(|(_, tracker)| tracker.counts().unconfirmed == 0)
    };
    let over = stage.until(UNCONFIRMED + 40, &mut gone).await;
    let peace = stage.until(40, || stage.in_peace(&everybody)).await;
    let full = fullest == HARD_LIMIT;
    if full && lost == 0 && over && peace {
        Ok(format!(
            "{next} invented, at most {fullest} held; all live ones and the newcomer in"
        ))
    } else {
        let in_table = cast
            .trackers()
            .iter()
            .map(|(_, tracker)| tracker.len())
            .max();
        Err(format!(
            "fullest {fullest} of {HARD_LIMIT}, live ones missed {lost} times, flood over: {over} \
             ({in_table:?} held), all in: {peace}"
        ))
    }
}

/// An address where nobody is; on the loopback, so that what is sent there troubles nobody.
fn invented(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::new(Ipv4Addr::new(127, 99, high, low).into(), 9)
}

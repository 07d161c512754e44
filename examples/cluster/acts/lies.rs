//! Lies: of a node of the past, of nodes that never were, and of a stranger. A raw socket sends datagrams made by hand.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use incarnation::{Claim, Incarnation, Status};
use incarnation_swim::test_datagrams;
use tokio::net::UdpSocket;

use super::{Outcome, Stage, answer, refused, role};
use crate::cast::{HARD_LIMIT, UNCONFIRMED};
use crate::options::CLUSTER;

/// How many nodes are invented.
const INVENTED: u16 = 20_000;
/// For how many periods the stranger lies.
const PERIODS_OF_LIES: u32 = 5;

/// A dead node's address speaks again, at the incarnation it died at: it gossips, pings, and asks to be let in.
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
        let mut look = || {
            let views = cast.views_of(role::ZOMBIE).into_iter();
            risen += views
                .filter(|(_, seen)| seen.is_some_and(|state| !state.status.is_gone()))
                .count();
        };
        for _ in 0..10 {
            answer(&socket, Some(1)).await;
            look();
            tokio::time::sleep(cast.period() / 10).await;
        }
    }
    let refused = || cast.total(|stats| stats.rejected) - rejected;
    stage.until(30, || refused() > 0).await;
    let rejected = refused();
    if risen == 0 && rejected > 0 {
        Ok(format!("refused {rejected} times, nowhere alive"))
    } else {
        Err(format!(
            "seen as other than Dead {risen} times, refused {rejected} times"
        ))
    }
}

/// A flood of gossip about nodes that do not exist, by a node that was let in; a newcomer asks to join meanwhile.
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
    let mut joining = false;
    for round in 0..60 {
        if round % 10 == 0 {
            // It answers what it is asked, so it is a member.
            for player in &living {
                let join = test_datagrams::join(CLUSTER, Incarnation::ZERO);
                let to = cast.address(*player);
                socket.send_to(&join, to).await.map_err(refused)?;
            }
        }
        answer(&socket, None).await;
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
        if next > INVENTED / 10 && !joining {
            joining = true;
            cast.start(cast.len()).await.map_err(refused)?;
        }
        look();
        tokio::time::sleep(cast.period() / 10).await;
    }
    drop(socket);
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
    let entered = fullest > living.len() + 2;
    if entered && fullest <= HARD_LIMIT && lost == 0 && over && peace {
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

/// A socket that is no member, and never answers, lies about all members and floods with joins.
pub async fn stranger(stage: &Stage) -> Outcome {
    let cast = &stage.cast;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(refused)?;
    let me = socket.local_addr().map_err(refused)?;
    let living: Vec<_> = cast
        .trackers()
        .into_iter()
        .map(|(player, _)| player)
        .collect();
    let deaths = cast.total(|stats| stats.deaths);
    let mut phantoms = BTreeSet::new();
    let mut lied = 0_u64;
    let mut back = 0_u64;
    let mut buffer = [0; 2048];
    for _ in 0..PERIODS_OF_LIES {
        for player in &living {
            let others = living.iter().filter(|other| *other != player);
            let claims: Vec<_> = others
                .flat_map(|other| {
                    let other = cast.address(*other);
                    [(other, Claim::alive(1000)), (other, Claim::dead(2000))]
                })
                .chain((0..20).map(|n| (invented(n), Claim::alive(1))))
                .collect();
            let target = cast.address(living[0]);
            let mut lies =
                test_datagrams::all_kinds(CLUSTER, Incarnation::ZERO, lied, target, &claims);
            // Its own death, as high as it likes.
            let accused = [(cast.address(*player), Claim::dead(1 << 40))];
            lies.push(test_datagrams::gossip(CLUSTER, Incarnation::ZERO, &accused));
            lies.extend(vec![test_datagrams::join(CLUSTER, Incarnation::ZERO); 50]);
            for lie in lies {
                lied += 1;
                let to = cast.address(*player);
                socket.send_to(&lie, to).await.map_err(refused)?;
            }
        }
        stage
            .watch(1, || {
                while socket.try_recv_from(&mut buffer).is_ok() {
                    back += 1;
                }
                for (_, tracker) in cast.trackers() {
                    let known = tracker.pin();
                    let invented = (0..20).map(invented).chain([me]);
                    phantoms.extend(invented.filter(|node| {
                        known
                            .get(node)
                            .is_some_and(|state| state.status != Status::Unconfirmed)
                    }));
                }
            })
            .await;
    }
    let peace = stage.until(40, || stage.in_peace(&living)).await;
    let died = cast.total(|stats| stats.deaths) - deaths;
    if phantoms.is_empty() && died == 0 && peace && back <= lied {
        Ok(format!(
            "{lied} datagrams believed nowhere, {back} came back, no node Dead"
        ))
    } else {
        Err(format!(
            "{lied} datagrams, {back} came back; phantoms {phantoms:?}, deaths: {died}, all well: {peace}"
        ))
    }
}

/// An address without a node; on the loopback, so that what is sent there troubles no host.
fn invented(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::new(Ipv4Addr::new(127, 99, high, low).into(), 9)
}

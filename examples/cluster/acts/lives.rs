//! Births, deaths and what only looked like them.

use std::sync::atomic::Ordering;

use incarnation::{Status, Timestamp};

use super::{Outcome, Stage, refused, role};

/// All nodes start at the same moment.
pub async fn start(stage: &Stage) -> Outcome {
    let cast = &stage.cast;
    for player in 0..cast.len() {
        cast.start(player).await.map_err(refused)?;
    }
    let all: Vec<_> = (0..cast.len()).collect();
    let began = std::time::Instant::now();
    let alive = stage.until(60, || stage.in_peace(&all)).await;
    let took = began.elapsed().as_secs_f64() / cast.period().as_secs_f64();
    stage.watch(4, || {}).await;
    let (suspicions, deaths) = (cast.total(|s| s.suspicions), cast.total(|s| s.deaths));
    let peace = stage.until(10, || stage.in_peace(&all)).await;
    match (alive, peace, deaths) {
        (true, true, 0) => Ok(format!(
            "all Alive after {took:.1} periods, {suspicions} suspicions"
        )),
        _ => Err(format!(
            "all Alive: {alive}, still: {peace}, deaths: {deaths}"
        )),
    }
}

/// Two nodes die without a word.
pub async fn kill(stage: &Stage) -> Outcome {
    let cast = &stage.cast;
    let victims = [role::RETURNS, role::ZOMBIE];
    let died = cast.surroundings.clock.now();
    for victim in victims {
        cast.kill(victim).await;
    }
    // By victim and observer: the tracker's last update of the suspicion.
    let mut suspected = vec![vec![None; cast.len() + 1]; victims.len()];
    let mut dead_at = vec![vec![false; cast.len() + 1]; victims.len()];
    let mut look = || {
        let mut all = true;
        for ((victim, suspected), dead_at) in victims.iter().zip(&mut suspected).zip(&mut dead_at) {
            for (observer, seen) in cast.views_of(*victim) {
                match seen {
                    Some(state) if state.status == Status::Suspect => {
                        suspected[observer].get_or_insert(state.last_update);
                    }
                    Some(state) => dead_at[observer] |= state.status == Status::Dead,
                    None => {}
                }
                all &= dead_at[observer];
            }
        }
        all
    };
    let dead = stage.until(40, &mut look).await;
    let period = cast.period().as_secs_f64();
    let periods = |from: Timestamp, to: Timestamp| to.since(from).as_secs_f64() / period;
    // Gossip of a death may overtake that of the suspicion, but never at all observers.
    let was_suspected = suspected.iter().all(|by| by.iter().any(Option::is_some));
    let mut progress = stage.edit();
    for suspected in &suspected {
        let last_updates = suspected.iter().flatten();
        if let (Some(first), Some(last)) = (last_updates.clone().min(), last_updates.max()) {
            progress.detections.push(periods(died, *first));
            progress.disseminations.push(periods(*first, *last));
        }
    }
    let all_dead = periods(died, cast.surroundings.clock.now());
    if dead && was_suspected {
        Ok(format!(
            "Dead at all {} after {all_dead:.1} periods",
            cast.len() - victims.len()
        ))
    } else {
        Err(format!(
            "Dead at all: {dead}; suspected first: {was_suspected}"
        ))
    }
}

/// A part of all datagrams is lost, and a node freezes until it is suspected.
pub async fn freeze(stage: &Stage) -> Outcome {
    let cast = &stage.cast;
    let deaths = cast.total(|stats| stats.deaths);
    let before = cast.incarnation(role::FREEZES);
    cast.surroundings.loss.store(cast.loss(), Ordering::Relaxed);
    cast.freeze(role::FREEZES, true);
    let is_suspected =
        |seen: crate::cast::Seen| seen.is_some_and(|state| state.status == Status::Suspect);
    let suspected = stage
        .until(25, || {
            cast.views_of(role::FREEZES)
                .into_iter()
                .any(|(_, seen)| is_suspected(seen))
        })
        .await;
    // Let it spread, but not end.
    stage.watch(1, || {}).await;
    cast.freeze(role::FREEZES, false);
    let refuted = stage.until(30, || {
        cast.incarnation(role::FREEZES) > before && stage.in_peace(&[role::FREEZES])
    });
    let refuted = refuted.await;
    cast.surroundings.loss.store(0, Ordering::Relaxed);
    let living: Vec<_> = (0..cast.len())
        .filter(|player| *player != role::ZOMBIE)
        .collect();
    let peace = stage.until(40, || stage.in_peace(&living)).await;
    let after = cast.incarnation(role::FREEZES);
    let died = cast.total(|stats| stats.deaths) - deaths;
    let (from, to) = (before.unwrap_or_default(), after.unwrap_or_default());
    if suspected && refuted && peace && died == 0 {
        Ok(format!(
            "suspected@{from}, refuted with {to}, at {} % loss",
            cast.loss()
        ))
    } else {
        Err(format!(
            "suspected: {suspected}, refuted: {refuted} ({from} to {to}), all well: {peace}, deaths: {died}"
        ))
    }
}

/// One of the dead starts again; its incarnation was on disk.
pub async fn restart(stage: &Stage) -> Outcome {
    let cast = &stage.cast;
    cast.start(role::RETURNS).await.map_err(refused)?;
    let back = stage.until(40, || stage.in_peace(&[role::RETURNS])).await;
    let incarnation = cast.incarnation(role::RETURNS).unwrap_or_default();
    let refused = cast.total(|stats| stats.zombies);
    if back && refused == 0 {
        Ok(format!("back at incarnation {incarnation}, let in at once"))
    } else {
        Err(format!(
            "back: {back} at {incarnation}, refusals: {refused}"
        ))
    }
}

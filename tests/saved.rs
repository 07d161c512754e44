//! Snapshots as bytes, files and text: a snapshot is read as it was written, and bytes that are not exactly what was
//! written are a typed error.
#![cfg(feature = "persist")]

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::time::Duration;

use incarnation::persist::{DurableIncarnation, FormatError, PersistError};
use incarnation::{Claim, Digest, IncarnationTracker, Loaded, Record, Snapshot, Status, Timestamp};
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);

fn record<K>(node: K, claim: Claim) -> Record<K> {
    Record::new(node, claim, SECOND * 3).unwrap()
}

fn small() -> Snapshot<u32> {
    let nodes = vec![
        record(300, Claim::suspect(7)),
        record(2, Claim::alive(1 << 60)),
    ];
    Snapshot::new(nodes, vec![record(9, Claim::left(4))]).unwrap()
}

/// By the layout documented in `src/persist/envelope.rs`, written down a second time here.
fn file(content: u16, version: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89INC\r\n\x1a\n".to_vec();
    bytes.extend(content.to_le_bytes());
    bytes.extend(version.to_le_bytes());
    bytes.extend((payload.len() as u64).to_le_bytes());
    bytes.extend(payload);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn place() -> (TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("members");
    (directory, path)
}

/// Why a file with these bytes is refused; it must stay as it is.
fn refusal_of(path: &Path, bytes: &[u8]) -> FormatError {
    fs::write(path, bytes).unwrap();
    let PersistError::Format { path: named, error } = Snapshot::<u32>::load(path).unwrap_err()
    else {
        panic!("another error");
    };
    assert_eq!(named, path);
    assert_eq!(fs::read(path).unwrap(), bytes, "untouched");
    assert_eq!(Snapshot::<u32>::decode(bytes), Err(error));
    error
}

#[test]
fn the_bytes_are_laid_out_as_documented() {
    // Two rows in the order of keys, a tombstone: key, rank, incarnation, seconds, nanoseconds, as LEB128.
    let mut payload = vec![2, 2, 2];
    payload.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
    payload.extend([3, 0]);
    payload.extend([0xac, 0x02, 3, 7, 3, 0]);
    payload.extend([1, 9, 5, 4, 3, 0]);
    assert_eq!(small().encode().unwrap(), file(2, 1, &payload));
    assert_eq!(Snapshot::decode(&file(2, 1, &payload)), Ok(small()));
}

#[test]
fn a_saved_snapshot_is_loaded_as_it_was_and_can_be_aged() {
    let (_directory, path) = place();
    assert_eq!(
        Snapshot::<u32>::load(&path).unwrap(),
        None,
        "nothing there yet"
    );
    let tracker: IncarnationTracker = IncarnationTracker::builder().build().unwrap();
    let now = Timestamp::from_millis(1_000_000);
    for port in 1..=1_000_u16 {
        let claim = [Claim::alive(3), Claim::suspect(4), Claim::dead(5)][usize::from(port % 3)];
        let _ = tracker.update(&SocketAddr::from(([10, 0, 0, 1], port)), claim, now);
    }
    assert!(
        tracker
            .remove(&SocketAddr::from(([10, 0, 0, 1], 2)), now)
            .is_some()
    );
    let snapshot = tracker.snapshot(now + SECOND);
    for _ in 0..2 {
        // The second replaces the first.
        snapshot.save(&path).unwrap();
        assert_eq!(Snapshot::load(&path).unwrap().as_ref(), Some(&snapshot));
    }
    let bytes = fs::metadata(&path).unwrap().len();
    assert!(
        (10_000..20_000).contains(&bytes),
        "{bytes} bytes of a thousand nodes"
    );
    // After a restart, a minute later, by a clock that begins an hour after its origin.
    let again: IncarnationTracker = IncarnationTracker::builder().build().unwrap();
    let start = Timestamp::ZERO + SECOND * 3_600;
    let loaded = Snapshot::load(&path).unwrap().unwrap().aged(SECOND * 60);
    let report = again.merge(&loaded, start);
    assert_eq!(
        (report.joined, report.tombstones_written, again.len()),
        (999, 1, 999)
    );
    let state = again.get(&SocketAddr::from(([10, 0, 0, 1], 3))).unwrap();
    assert_eq!(
        (state.claim(), state.last_update),
        (Claim::alive(3), Timestamp::ZERO + SECOND * 3_539)
    );
    assert!(again.can_suspect(&SocketAddr::from(([10, 0, 0, 1], 3))));
}

#[test]
fn truncated_flipped_extended_or_foreign_bytes_are_refused_and_stay() {
    let (_directory, path) = place();
    let good = small().encode().unwrap();
    for end in 0..good.len() {
        let error = refusal_of(&path, &good[..end]);
        assert!(
            matches!(error, FormatError::Truncated { .. }),
            "{end}: {error}"
        );
    }
    for bit in 0..good.len() * 8 {
        let mut damaged = good.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        refusal_of(&path, &damaged);
    }
    let longer = [&good[..], b"\0"].concat();
    assert!(matches!(
        refusal_of(&path, &longer),
        FormatError::TrailingBytes { .. }
    ));
    assert_eq!(refusal_of(&path, b"members:\n - a"), FormatError::Foreign);
    let payload = &good[20..good.len() - 4];
    assert_eq!(
        refusal_of(&path, &file(2, 2, payload)),
        FormatError::Version {
            found: 2,
            supported: 1
        }
    );
    assert_eq!(
        refusal_of(&path, &file(1, 1, payload)),
        FormatError::OtherContent { found: 1 }
    );
}

#[test]
fn undamaged_bytes_with_impossible_content_are_refused() {
    let (_directory, path) = place();
    let alive = [1, 2, 1, 0, 0];
    let dead = [1, 4, 1, 0, 0];
    let impossible: [&[u8]; 9] = [
        &[],
        &[0],
        &[0, 0, 0],
        // A row twice, a tombstone of the living, a status that is none.
        &[&[2], &alive[..], &alive, &[0]].concat(),
        &[&[0, 1], &alive[..]].concat(),
        &[1, 1, 6, 1, 0, 0, 0],
        // 2^61, and more rows than there can be.
        &[
            1, 1, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0, 0, 0,
        ],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[&[1], &alive[..4]].concat(),
    ];
    for payload in impossible {
        let error = refusal_of(&path, &file(2, 1, payload));
        assert_eq!(error, FormatError::Payload, "{payload:?}");
    }
    // These are possible, so it was not something else that was refused above.
    for payload in [&[0, 0][..], &[&[1], &alive[..], &[1], &dead].concat()] {
        assert!(
            Snapshot::<u32>::decode(&file(2, 1, payload)).is_ok(),
            "{payload:?}"
        );
    }
}

#[test]
fn neither_a_directory_nor_a_durable_incarnation_is_overwritten() {
    let (_directory, path) = place();
    fs::create_dir(&path).unwrap();
    assert!(matches!(
        small().save(&path),
        Err(PersistError::NotAFile { .. })
    ));
    assert!(matches!(
        Snapshot::<u32>::load(&path),
        Err(PersistError::NotAFile { .. })
    ));
    fs::remove_dir(&path).unwrap();
    let durable = DurableIncarnation::open(&path).unwrap();
    assert!(matches!(
        small().save(&path),
        Err(PersistError::Locked { .. })
    ));
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .local_durable(durable)
        .build()
        .unwrap();
    drop(tracker);
    let there = fs::read(&path).unwrap();
    // Nor a damaged one, or one of a version to come: it may be all that is left of what was announced.
    for damage in [10, 22, there.len() - 1] {
        let mut damaged = there.clone();
        damaged[damage] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(small().save(&path).is_err(), "byte {damage}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
    fs::write(&path, &there).unwrap();
    let Err(PersistError::Format { error, .. }) = small().save(&path) else {
        panic!("it was overwritten");
    };
    assert_eq!(error, FormatError::OtherContent { found: 1 });
    assert_eq!(fs::read(&path).unwrap(), there);
}

#[test]
fn a_directory_that_is_gone_is_an_error_and_nothing_is_written() {
    let (directory, path) = place();
    drop(directory);
    assert!(matches!(small().save(&path), Err(PersistError::Io { .. })));
    assert!(!path.exists());
}

#[test]
fn text_names_statuses_and_reading_it_checks_everything() {
    let text = serde_json::to_string(&small()).unwrap();
    assert!(
        text.contains(r#""node":300,"status":"suspect","incarnation":7"#),
        "{text}"
    );
    assert_eq!(
        serde_json::from_str::<Snapshot<u32>>(&text).unwrap(),
        small()
    );
    let digest = small().digest();
    let text = serde_json::to_string(&digest).unwrap();
    assert_eq!(serde_json::from_str::<Digest<u32>>(&text).unwrap(), digest);
    for status in Status::ALL {
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(text, format!("\"{}\"", status.as_str()));
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
    }
    // Trust does not travel.
    let text = serde_json::to_string(&Claim::dead(5).trusted()).unwrap();
    assert_eq!(
        serde_json::from_str::<Claim>(&text).unwrap(),
        Claim::dead(5)
    );
    let tombstone = r#"{"node":1,"status":"alive","incarnation":1,"age":{"secs":0,"nanos":0}}"#;
    let wrong = [
        format!(r#"{{"nodes":[],"tombstones":[{tombstone}]}}"#),
        format!(r#"{{"nodes":[{tombstone},{tombstone}],"tombstones":[]}}"#),
        r#"{"nodes":[]}"#.to_owned(),
    ];
    for text in wrong {
        assert!(
            serde_json::from_str::<Snapshot<u32>>(&text).is_err(),
            "{text}"
        );
    }
    let digests = [
        r#"[{"node":1,"state":null,"tombstone":{"status":"alive","incarnation":1}}]"#,
        r#"[{"node":1,"state":null,"tombstone":null},{"node":1,"state":null,"tombstone":null}]"#,
        r#"[{"node":1,"state":{"status":"alive","incarnation":2305843009213693952},"tombstone":null}]"#,
    ];
    for text in digests {
        assert!(serde_json::from_str::<Digest<u32>>(text).is_err(), "{text}");
    }
}

fn alive_at<K: Ord>(keys: impl IntoIterator<Item = K>) -> Snapshot<K> {
    let rows = keys.into_iter().map(|key| record(key, Claim::alive(1)));
    Snapshot::new(rows.collect(), Vec::new()).unwrap()
}

fn link_local(flow: u32, scope: u32) -> SocketAddrV6 {
    let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    SocketAddrV6::new(address, 7946, flow, scope)
}

#[test]
fn scopes_and_flow_information_of_socket_addresses_survive() {
    let (_directory, path) = place();
    let addresses =
        [(0, 2), (0, 3), (5, 0), (0, 0), (7, 9)].map(|(flow, scope)| link_local(flow, scope));
    for some in [&addresses[..1], &addresses[..2], &addresses] {
        let snapshot = alive_at(some.iter().copied().map(SocketAddr::V6));
        snapshot.save(&path).unwrap();
        assert_eq!(Snapshot::load(&path).unwrap(), Some(snapshot.clone()));
        let snapshot = alive_at(some.iter().copied());
        snapshot.save(&path).unwrap();
        assert_eq!(Snapshot::load(&path).unwrap(), Some(snapshot.clone()));
        // In any other binary format, too, and digests as well.
        let digest = snapshot.digest();
        let bytes = postcard::to_allocvec(&(snapshot.clone(), digest.clone())).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok((snapshot, digest)));
    }
}

#[test]
fn socket_addresses_without_scopes_are_laid_out_as_serde_does() {
    let addresses =
        ["10.0.0.1:80", "[fe80::1]:7946"].map(|text| text.parse::<SocketAddr>().unwrap());
    let snapshot = alive_at(addresses);
    let rows = addresses.map(|address| (address, 2_u8, 1_u64, SECOND * 3));
    let payload = postcard::to_allocvec(&(rows.to_vec(), [0_u8; 0].to_vec())).unwrap();
    assert_eq!(snapshot.encode().unwrap(), file(2, 1, &payload));
}

#[test]
fn text_keeps_scopes_and_refuses_flow_information() {
    let scoped = alive_at([2, 3].map(|scope| SocketAddr::V6(link_local(0, scope))));
    let text = serde_json::to_string(&scoped).unwrap();
    assert!(text.contains("[fe80::1%2]:7946"), "{text}");
    assert_eq!(
        serde_json::from_str::<Snapshot<SocketAddr>>(&text).unwrap(),
        scoped
    );
    let flow = alive_at([SocketAddr::V6(link_local(5, 0))]);
    assert!(serde_json::to_string(&flow).is_err());
}

#[test]
fn a_key_that_reads_back_as_another_is_refused_and_the_file_stays() {
    let (_directory, path) = place();
    let key = |name: &str, scope| (name.to_owned(), SocketAddr::V6(link_local(0, scope)));
    let good = alive_at([key("a", 0), key("b", 0)]);
    good.save(&path).unwrap();
    let lost = alive_at([key("a", 0), key("b", 2)]);
    assert_eq!(lost.encode(), Err(PersistError::LossyKey { row: 1 }));
    assert_eq!(lost.save(&path), Err(PersistError::LossyKey { row: 1 }));
    // Two keys that become one, and a tombstone's key.
    let one = alive_at([key("b", 2), key("b", 3)]);
    assert_eq!(one.encode(), Err(PersistError::LossyKey { row: 0 }));
    let tombstone = record(key("c", 4), Claim::dead(1));
    let of_tombstone = Snapshot::new(good.nodes().to_vec(), vec![tombstone]).unwrap();
    assert_eq!(
        of_tombstone.encode(),
        Err(PersistError::LossyKey { row: 2 })
    );
    assert_eq!(Snapshot::load(&path).unwrap(), Some(good));
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_never_deleted() {
    let (directory, path) = place();
    assert_eq!(
        Snapshot::<u32>::load_or_set_aside(&path),
        Ok(Loaded::Missing)
    );
    small().save(&path).unwrap();
    assert_eq!(
        Snapshot::load_or_set_aside(&path),
        Ok(Loaded::Snapshot(small()))
    );
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[30] ^= 1;
    let newer = file(2, 2, &good[20..good.len() - 4]);
    let damaged: [&[u8]; 5] = [&flipped, b"", &[0; 5000], &newer, &good[..40]];
    for (number, bytes) in (1..).zip(damaged) {
        fs::write(&path, bytes).unwrap();
        let Loaded::SetAside { error, moved_to } =
            Snapshot::<u32>::load_or_set_aside(&path).unwrap()
        else {
            panic!("{bytes:?}");
        };
        assert_eq!(Snapshot::<u32>::decode(bytes), Err(error));
        let expected = directory.path().canonicalize().unwrap();
        assert_eq!(moved_to, expected.join(format!("members.damaged-{number}")));
        assert_eq!(fs::read(&moved_to).unwrap(), bytes);
        assert!(!path.exists());
        // The program goes on: it begins anew, and saves where it did before.
        assert_eq!(
            Snapshot::<u32>::load_or_set_aside(&path),
            Ok(Loaded::Missing)
        );
        small().save(&path).unwrap();
    }
}

#[test]
fn setting_aside_takes_the_first_name_that_no_file_has() {
    let (directory, path) = place();
    for number in [1, 2, 4] {
        fs::write(
            directory.path().join(format!("members.damaged-{number}")),
            "kept",
        )
        .unwrap();
    }
    fs::write(&path, "bad").unwrap();
    let loaded = Snapshot::<u32>::load_or_set_aside(&path).unwrap();
    assert!(
        matches!(&loaded, Loaded::SetAside { moved_to, .. } if moved_to.ends_with("members.damaged-3")),
        "{loaded:?}"
    );
    let kept = |number: u32| fs::read(directory.path().join(format!("members.damaged-{number}")));
    assert!(
        [1, 2, 4]
            .into_iter()
            .all(|number| kept(number).unwrap() == b"kept")
    );
}

#[test]
fn a_durable_incarnation_is_not_set_aside_even_if_damaged() {
    let (directory, path) = place();
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .local_durable(DurableIncarnation::open(&path).unwrap())
        .build()
        .unwrap();
    let whole = fs::read(&path).unwrap();
    // While it is in use, nobody else touches it.
    let locked = Snapshot::<u32>::load_or_set_aside(&path);
    assert!(
        matches!(locked, Err(PersistError::Locked { .. })),
        "{locked:?}"
    );
    drop(tracker);
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for bytes in [whole, damaged] {
        fs::write(&path, &bytes).unwrap();
        let error = Snapshot::<u32>::load_or_set_aside(&path).unwrap_err();
        assert!(matches!(error, PersistError::Format { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        2,
        "file and lock"
    );
}

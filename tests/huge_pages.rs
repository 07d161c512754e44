//! A large table lies on huge pages unless it is told not to; a small one never does.
#![cfg(target_os = "linux")]

use std::fs;

use incarnation::{Claim, IncarnationTracker, Timestamp};

/// KiB of mappings that huge pages were asked for, and KiB that lie on huge pages, by the kernel's own account.
fn huge() -> (usize, usize) {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut size, mut asked, mut had) = (0, 0, 0);
    for line in maps.lines() {
        let kib = || {
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<usize>()
                .unwrap()
        };
        if line.starts_with("Size:") {
            size = kib();
        } else if line.starts_with("AnonHugePages:") {
            had += kib();
        } else if line.starts_with("VmFlags:") && line.split_whitespace().any(|flag| flag == "hg") {
            asked += size;
        }
    }
    (asked, had)
}

/// What a table with so many nodes in it adds to both.
fn added(nodes: u64, huge_pages: Option<bool>) -> (usize, usize) {
    let before = huge();
    let mut builder = IncarnationTracker::<u64>::builder().max_nodes(nodes as usize);
    if let Some(yes) = huge_pages {
        builder = builder.huge_pages(yes);
    }
    let tracker = builder.build().unwrap();
    for node in 0..nodes {
        assert!(
            tracker
                .update(&node, Claim::alive(1), Timestamp::ZERO)
                .accepted()
        );
    }
    let after = huge();
    assert!((0..nodes).all(|node| tracker.get(&node).is_some()));
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn large_tables_get_huge_pages_unless_told_otherwise_and_small_ones_never() {
    let setting = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    if setting
        .as_ref()
        .map_or(true, |setting| setting.contains("[never]"))
    {
        eprintln!("nothing to see here: this kernel gives no huge pages ({setting:?})");
        return;
    }
    // 500,000 entries of 64 bytes, of which 200,000 are used.
    const LARGE: u64 = 200_000;
    const MIB: usize = 1024;
    let (asked, had) = added(LARGE, None);
    assert!(asked >= 28 * MIB, "huge pages were asked for {asked} KiB");
    assert!(had >= 2 * MIB, "of {asked} KiB, {had} lie on huge pages");
    // The kernel may use huge pages by itself; but nobody asked.
    assert_eq!(added(LARGE, Some(false)).0, 0, "told not to ask");
    assert_eq!(added(10_000, None).0, 0, "a small table");
    assert_eq!(added(10_000, Some(true)).0, 0, "a small table, told to ask");
}

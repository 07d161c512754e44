//! How much memory this process uses, for tests and examples that show it bounded.
#![forbid(unsafe_code)]

/// The resident memory in bytes; `None` where the system does not tell (anywhere but on Linux).
#[must_use]
pub fn bytes() -> Option<usize> {
    // Unlike `statm`, this one is exact on kernels that count a core's pages in batches.
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn touched_memory_is_resident() {
        const SIZE: usize = 32 << 20;
        let before = super::bytes().unwrap();
        let touched = std::hint::black_box(vec![1_u8; SIZE]);
        let after = super::bytes().unwrap();
        assert!(after >= before + SIZE / 2, "{before} -> {after}");
        drop(touched);
    }
}

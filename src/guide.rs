//! Chapters for people who use the library. Begin with [`getting_started`].
//!
//! | chapter | answers |
//! |---|---|
//! | [`getting_started`] | how to build a tracker, feed it and read it |
//! | [`the_rule`] | which claim wins, and what each refusal means |
//! | [`consistency`] | what a reader may and may not see |
//! | [`patterns`] | what operations cost; views, batches, handles, data of the program's own |
//! | [`async_code`] | what may be called from async code, and how to wait for changes |
//! | [`subscribing`] | what a subscriber is told, beside `tokio::sync::watch` and `broadcast` |
//! | [`sweeping`] | expiry, eviction, and the threads that do it |
//! | [`snapshots`] | push-pull with peers, files, restarts |
//! | [`limits`] | memory, and what a hostile gossiper can do |
//! | [`migrating`] | from a queue, from a map behind a lock, from foca, from the original tracker (a single-threaded Python class that this crate replaces) |
//! | [`python`] | the package for Python programs |
//! | [`glossary`] | one word for one thing |
//!
//! The source distribution also has `docs/design.md` (how it works inside, and why), `docs/verification.md` (how it is
//! checked) and `docs/performance.md` (what was measured).

macro_rules! chapters {
    ($($name:ident $file:literal $before:literal $after:literal;)*) => {$(
        // Definitions that come first win: links lead to items here, and to files in the file.
        #[doc = include_str!("guide_links.md")]
        #[doc = ""]
        #[doc = include_str!(concat!("../docs/guide/", $file, ".md"))]
        #[doc = ""]
        #[doc = concat!("---\n", $before, $after)]
        pub mod $name {}
    )*};
}

chapters! {
    getting_started "getting-started" "" "Next: [the rule](crate::guide::the_rule)";
    the_rule "rule" "Previous: [getting started](crate::guide::getting_started). " "Next: [consistency](crate::guide::consistency)";
    consistency "consistency" "Previous: [the rule](crate::guide::the_rule). " "Next: [patterns](crate::guide::patterns)";
    patterns "patterns" "Previous: [consistency](crate::guide::consistency). " "Next: [async](crate::guide::async_code)";
    async_code "async" "Previous: [patterns](crate::guide::patterns). " "Next: [subscribing](crate::guide::subscribing)";
    subscribing "subscribing" "Previous: [async](crate::guide::async_code). " "Next: [sweeping](crate::guide::sweeping)";
    sweeping "sweeping" "Previous: [subscribing](crate::guide::subscribing). " "Next: [snapshots](crate::guide::snapshots)";
    snapshots "snapshots" "Previous: [sweeping](crate::guide::sweeping). " "Next: [limits](crate::guide::limits)";
    limits "limits" "Previous: [snapshots](crate::guide::snapshots). " "Next: [migrating](crate::guide::migrating)";
    migrating "migrating" "Previous: [limits](crate::guide::limits). " "Next: [Python](crate::guide::python)";
    python "python" "Previous: [migrating](crate::guide::migrating). " "Next: [glossary](crate::guide::glossary)";
    glossary "glossary" "Previous: [Python](crate::guide::python)" "";
}

//! Chapters for people who use the library. Begin with [`getting_started`].
//!
//! | chapter | answers |
//! |---|---|
//! | [`getting_started`] | how to build a tracker, feed it and read it |
//! | [`the_rule`] | which claim wins, and what each refusal means |
//! | [`consistency`] | what a reader may and may not see |
//! | [`patterns`] | what operations cost; views, batches, handles, data of the program's own |
//! | [`async_code`] | what may be called from async code, and how to wait for changes |
//! | [`sweeping`] | expiry, eviction, and the threads that do it |
//! | [`snapshots`] | push-pull with peers, files, restarts |
//! | [`limits`] | memory, and what a hostile gossiper can do |
//! | [`migrating`] | from a queue, from a map behind a lock, from foca, from the original tracker |
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
    getting_started "getting-started" "" "Next: [the rule](super::the_rule)";
    the_rule "rule" "Previous: [getting started](super::getting_started). " "Next: [consistency](super::consistency)";
    consistency "consistency" "Previous: [the rule](super::the_rule). " "Next: [patterns](super::patterns)";
    patterns "patterns" "Previous: [consistency](super::consistency). " "Next: [async](super::async_code)";
    async_code "async" "Previous: [patterns](super::patterns). " "Next: [sweeping](super::sweeping)";
    sweeping "sweeping" "Previous: [async](super::async_code). " "Next: [snapshots](super::snapshots)";
    snapshots "snapshots" "Previous: [sweeping](super::sweeping). " "Next: [limits](super::limits)";
    limits "limits" "Previous: [snapshots](super::snapshots). " "Next: [migrating](super::migrating)";
    migrating "migrating" "Previous: [limits](super::limits). " "Next: [Python](super::python)";
    python "python" "Previous: [migrating](super::migrating). " "Next: [glossary](super::glossary)";
    glossary "glossary" "Previous: [Python](super::python)" "";
}

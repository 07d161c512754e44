//! Any bytes as datagrams: a node drops what it does not understand, and sends only what a peer does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| incarnation_swim::fuzz::datagram(bytes));

//! The envelope of each file that this crate writes: kind of content, version, length, and a checksum over all of that.
//! Pure functions over byte slices; the durable incarnation and saved snapshots both use them, and fuzzing calls [`open`]
//! with arbitrary bytes.
//!
//! ```text
//! magic 8 | content u16 | version u16 | payload length u64 | payload | CRC-32 of all before it u32
//! ```
//!
//! All numbers are little-endian. The magic stands for this layout. Content and version are those of the payload: they
//! are believed only if the checksum matches, so damage is never mistaken for a newer version.

use core::fmt;

/// As with PNG: a file that was transferred as text has lost the high bit or the line ends.
const MAGIC: [u8; 8] = *b"\x89INC\r\n\x1a\n";
/// Bytes before the payload.
const HEADER: usize = 20;
/// Bytes after the payload.
const TRAILER: usize = 4;

/// Bytes of an envelope without its payload.
pub(crate) const OVERHEAD: usize = HEADER + TRAILER;

/// The kind of a payload, and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// Never used for anything else again.
    pub(crate) id: u16,
    /// Raised when the payload's layout changes.
    pub(crate) version: u16,
}

/// Why bytes are not what this crate would have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// They end too early; an empty file, for one.
    Truncated {
        /// How many bytes there are.
        len: u64,
        /// How many there should be at least.
        expected: u64,
    },
    /// They go on where they should end.
    TrailingBytes {
        /// How many bytes there should be.
        expected: u64,
    },
    /// They don't begin as this crate's files do: another program wrote them.
    Foreign,
    /// Checksum and content disagree: the bytes are damaged.
    Checksum,
    /// A file of this crate, undamaged, but with something else in it.
    OtherContent {
        /// The content's number: 1 is a node's incarnation, 2 a snapshot.
        found: u16,
    },
    /// Written by a version of this crate that lays out this content differently.
    Version {
        /// The version found.
        found: u16,
        /// The version this build reads.
        supported: u16,
    },
    /// Undamaged and of a known version, but the content is impossible (a node with two rows, an incarnation above the
    /// range), or was saved with another type of keys.
    Payload,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { len, expected } => {
                write!(
                    f,
                    "truncated: {len} bytes, and at least {expected} are expected"
                )
            }
            Self::TrailingBytes { expected } => {
                write!(f, "too long: more bytes follow its {expected}")
            }
            Self::Foreign => f.write_str("not written by `incarnation`"),
            Self::Checksum => f.write_str("damaged: the checksum does not match"),
            Self::OtherContent { found } => write!(
                f,
                "holds another kind of content: {found} (1 is a node's incarnation, 2 a snapshot)"
            ),
            Self::Version { found, supported } => {
                write!(
                    f,
                    "written in version {found}; this build reads version {supported}"
                )
            }
            Self::Payload => f.write_str(
                "undamaged, but with impossible content, or saved with another type of keys",
            ),
        }
    }
}

impl core::error::Error for FormatError {}

/// Puts a payload into its envelope.
pub(crate) fn seal(content: Content, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(OVERHEAD + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&content.id.to_le_bytes());
    bytes.extend_from_slice(&content.version.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(payload);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Whether bytes, damaged or not, begin as an envelope of this content does, of whatever version.
pub(crate) fn begins_as(content: Content, bytes: &[u8]) -> bool {
    bytes
        .strip_prefix(&MAGIC)
        .is_some_and(|rest| rest.starts_with(&content.id.to_le_bytes()))
}

/// Bytes that [`check_head`] looks at.
pub(crate) const HEAD: usize = HEADER;

/// Whether the first [`HEAD`] bytes of a file of `len` bytes can be those of an envelope. Bytes of another program, and
/// lengths that can't be right, are refused before the rest is read.
pub(crate) fn check_head(head: &[u8], len: u64) -> Result<(), FormatError> {
    let magic = head.len().min(MAGIC.len());
    if head[..magic] != MAGIC[..magic] {
        return Err(FormatError::Foreign);
    }
    let truncated = |expected| FormatError::Truncated { len, expected };
    let Some((header, _)) = head.split_at_checked(HEADER) else {
        return Err(truncated(OVERHEAD as u64));
    };
    let payload_len = u64::from_le_bytes(array(header, 12));
    let expected = payload_len.saturating_add(OVERHEAD as u64);
    if len < expected {
        return Err(truncated(expected));
    }
    if len > expected {
        return Err(FormatError::TrailingBytes { expected });
    }
    Ok(())
}

/// Takes a payload out of its envelope. Never panics, allocates nothing.
pub(crate) fn open(content: Content, bytes: &[u8]) -> Result<&[u8], FormatError> {
    check_head(bytes, bytes.len() as u64)?;
    let (header, rest) = bytes.split_at(HEADER);
    // The length is right, so `rest` is payload and checksum.
    let (payload, _) = rest.split_at(rest.len() - TRAILER);
    let (covered, checksum) = bytes.split_at(bytes.len() - TRAILER);
    if crc32fast::hash(covered) != u32::from_le_bytes(array(checksum, 0)) {
        return Err(FormatError::Checksum);
    }
    let found = Content {
        id: u16::from_le_bytes(array(header, 8)),
        version: u16::from_le_bytes(array(header, 10)),
    };
    if found.id != content.id {
        return Err(FormatError::OtherContent { found: found.id });
    }
    if found.version != content.version {
        return Err(FormatError::Version {
            found: found.version,
            supported: content.version,
        });
    }
    Ok(payload)
}

/// `N` bytes of `bytes` from `at` on, which the caller has made sure are there.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: Content = Content { id: 7, version: 3 };

    #[test]
    fn a_sealed_payload_opens_to_the_same_bytes() {
        for payload in [&b""[..], b"x", &[0; 1000]] {
            let bytes = seal(CONTENT, payload);
            assert_eq!(bytes.len(), OVERHEAD + payload.len());
            assert_eq!(open(CONTENT, &bytes), Ok(payload));
        }
    }

    #[test]
    fn each_prefix_is_truncated_and_each_extension_has_trailing_bytes() {
        let bytes = seal(CONTENT, b"payload");
        for end in 0..bytes.len() {
            assert!(
                matches!(
                    open(CONTENT, &bytes[..end]),
                    Err(FormatError::Truncated { .. })
                ),
                "{end}"
            );
        }
        let longer = [&bytes[..], b"\0"].concat();
        assert_eq!(
            open(CONTENT, &longer),
            Err(FormatError::TrailingBytes { expected: 31 })
        );
    }

    #[test]
    fn damage_is_not_mistaken_for_another_version_or_content() {
        let bytes = seal(CONTENT, b"payload");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = open(CONTENT, &damaged).unwrap_err();
            let expected = match bit / 8 {
                0..8 => matches!(error, FormatError::Foreign),
                12..20 => matches!(
                    error,
                    FormatError::Truncated { .. } | FormatError::TrailingBytes { .. }
                ),
                _ => error == FormatError::Checksum,
            };
            assert!(expected, "bit {bit}: {error}");
        }
    }

    #[test]
    fn other_content_and_other_versions_are_different_errors() {
        let version = Content { id: 7, version: 4 };
        assert_eq!(
            open(CONTENT, &seal(version, b"")),
            Err(FormatError::Version {
                found: 4,
                supported: 3
            })
        );
        let other = Content { id: 8, version: 4 };
        assert_eq!(
            open(CONTENT, &seal(other, b"")),
            Err(FormatError::OtherContent { found: 8 })
        );
    }

    #[test]
    fn a_length_beyond_all_memory_is_truncated() {
        let mut bytes = seal(CONTENT, b"");
        bytes[12..20].fill(0xff);
        assert!(matches!(
            open(CONTENT, &bytes),
            Err(FormatError::Truncated { .. })
        ));
    }
}

//! Find, pin, apply, find again, pin again, unpin: only slots change, and in the way that they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_fuzz::{format_and_sample, properties};

fuzz_target!(|data: &[u8]| {
    if let Some((format, sample)) = format_and_sample(data) {
        properties::splice(format, &sample);
    }
});

//! One reader: whatever the bytes are, it does not panic or hang, and what it says of them is true.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_fuzz::{format_and_sample, properties};

fuzz_target!(|data: &[u8]| {
    if let Some((format, sample)) = format_and_sample(data) {
        properties::find(format, &sample);
    }
});

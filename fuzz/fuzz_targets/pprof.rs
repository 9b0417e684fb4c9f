//! Any bytes are either no profile or one whose parts fit together, and can be drawn.
#![no_main]

use forebay_load::pprof::{decode, flame_svg};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(profile) = decode(bytes) else { return };
    assert!(profile.shown < profile.kinds.len().max(1));
    for sample in &profile.samples {
        assert!(sample.stack.iter().all(|name| (*name as usize) < profile.names.len()));
        assert!(sample.values.len() <= profile.kinds.len());
    }
    assert!(profile.names.is_sorted_by(|a, b| a < b), "each name once");
    let svg = flame_svg(&profile, "<a & b>");
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    assert!(!svg.contains("<a &"), "what comes from outside is escaped");
    assert_eq!(decode(bytes), Ok(profile));
});

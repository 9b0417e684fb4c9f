//! Metrics of certificates.

use super::{Family, Kind};

pub(super) const CERTIFICATES: &[Family] = &[
    Family {
        name: "forebay_certificate_expiry_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Until when a certificate is good, in seconds since 1970; by its first name, and the file or ACME server it comes from.",
        labels: &["name", "source"],
        samples: |page, seen| {
            for certificate in &seen.certificates.shown {
                page.sample(&[&certificate.name, &certificate.source], certificate.expires);
            }
        },
    },
    Family {
        name: "forebay_certificate_fetches_total",
        kind: Kind::Counter,
        help: "How often this process has asked an ACME server for a certificate: it was issued, or that failed.",
        labels: &["result"],
        samples: |page, seen| {
            let Some((issued, failed)) = seen.certificates.fetches else { return };
            page.sample(&["issued"], issued);
            page.sample(&["failed"], failed);
        },
    },
];

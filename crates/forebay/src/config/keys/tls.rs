//! The keys of `tls`, for clients and for services.

use std::time::Duration;

use super::super::schema::{Choice, Choose, Key, Shape, Table};
use super::texts::{ACME_URL, DOMAIN, EMAIL, FILE, FOLDER, NEW_HOST};
use super::{ON_OFF, SECOND};

/// As long as anybody remembers: ten years.
const MAX_AGE: Shape = Shape::Time { min: SECOND, max: Duration::from_secs(3_650 * 86_400) };

pub(super) static TLS: Table = Table {
    name: "tls",
    doc: "How connections to `https://` addresses are secured. Files are PEM, read when the settings are, and watched: settings are loaded again when one of them changes. Relative paths begin at the settings file.",
    keys: &[
        Key::new("cert", Shape::Text(&FILE))
            .doc("The certificate, followed by those it was issued by.")
            .example("certs/shop.test.pem"),
        Key::new("key", Shape::Text(&FILE))
            .doc("Its private key. Default: it stands in the file of `cert`.")
            .example("certs/shop.test.key"),
        Key::new("certificates", Shape::List { min: 1, item: &Shape::Table(&CERTIFICATE) })
            .doc("Several certificates: a client gets the one for the name it asks for, an exact name before a wildcard.")
            .example("[{cert: certs/shop.test.pem, key: certs/shop.test.key}]"),
        Key::new("domains", Shape::OneOrMore(&Shape::Text(&DOMAIN)))
            .doc("Get a certificate for these names by ACME, and renew it. At most 100; no wildcards.")
            .example("[shop.example.com, www.example.com]"),
        Key::new("email", Shape::Text(&EMAIL))
            .doc("Who is told of trouble with the certificate for `domains`.")
            .example("ops@example.com"),
        Key::new("acme", Shape::Table(&ACME))
            .doc("How the certificate for `domains` is got.")
            .example("{directory: staging}"),
        Key::new("unknown_name", Shape::Either(&[Shape::Word("first"), Shape::Word("refuse")]))
            .default("first")
            .doc("What a client gets that asks for a name without a certificate, or for none: the first one, or the alert `unrecognized_name`.")
            .example("refuse"),
        Key::new("min_version", Shape::Either(&[Shape::Word("1.2"), Shape::Word("1.3")]))
            .default("1.2")
            .doc("Oldest version of TLS that is spoken.")
            .example("1.3"),
        Key::new("client_ca", Shape::Text(&FILE))
            .doc("Certificates of those who vouch for clients; clients are asked for theirs.")
            .example("certs/ca.pem"),
        Key::new("client_auth", Shape::Either(&[Shape::Word("require"), Shape::Word("request")]))
            .default("require")
            .doc("With `client_ca`: refuse clients without a certificate, or serve them too. A certificate that is shown must be good in any case.")
            .example("request"),
        Key::new("tickets", ON_OFF)
            .default("on")
            .doc("Let clients resume their sessions, with tickets whose keys change and stay in memory.")
            .example("off"),
        Key::new(
            "redirect",
            Shape::Either(&[Shape::Word("on"), Shape::Word("off"), Shape::Count { min: 1, max: 65_535 }]),
        )
        .doc("Redirect requests that come in without TLS to `https://`: at the port of the first such address, or at this one. Default: `on` if all addresses without TLS are at port 80, else `off`. What an ACME server asks for while a certificate for `domains` is fetched is not redirected.")
        .example("8443"),
        Key::new("hsts", Shape::Either(&[Shape::Word("on"), Shape::Word("off"), MAX_AGE, Shape::Table(&HSTS)]))
            .default("off")
            .doc("Tell browsers to come with TLS only (`Strict-Transport-Security`, RFC 6797): for a year, or so long. They remember it, so begin with a short time.")
            .example("on"),
    ],
    later: &[],
    choices: &[
        Choice { keys: &["cert", "certificates"], how: Choose::AtMostOne },
        Choice { keys: &["key", "certificates"], how: Choose::AtMostOne },
        Choice { keys: &["cert", "certificates", "domains"], how: Choose::AtLeastOne },
    ],
};

pub(super) static CERTIFICATE: Table = Table {
    name: "certificate",
    doc: "An item of `certificates`.",
    keys: &[
        Key::new("cert", Shape::Text(&FILE))
            .required()
            .doc("The certificate, followed by those it was issued by.")
            .example("certs/shop.test.pem"),
        Key::new("key", Shape::Text(&FILE))
            .doc("Its private key. Default: it stands in the file of `cert`.")
            .example("certs/shop.test.key"),
    ],
    later: &[],
    choices: &[],
};

pub(super) static ACME: Table = Table {
    name: "acme",
    doc: "How the certificate for `domains` is got (RFC 8555). It is renewed when two thirds of its life are over.",
    keys: &[
        Key::new(
            "directory",
            Shape::Either(&[Shape::Word("production"), Shape::Word("staging"), Shape::Text(&ACME_URL)]),
        )
        .default("production")
        .doc("Who issues it: Let's Encrypt; its staging side, whose certificates nobody believes, for trying; or the URL of another server's directory. By using it you agree to its terms of service.")
        .example("staging"),
        Key::new("ca", Shape::Text(&FILE))
            .doc("Certificates of those who vouch for that server. Default: the system's.")
            .example("certs/ca.pem"),
        Key::new("storage", Shape::Text(&FOLDER))
            .doc("The folder where account and certificates are kept; replicas that share it get one certificate together. Default: `acme` in `$STATE_DIRECTORY`, which systemd sets, in `$XDG_DATA_HOME/forebay`, in `$HOME/.local/share/forebay`, or in `/var/lib/forebay`, the first of these that is known.")
            .example("certificates"),
        Key::new("challenge", Shape::Either(&[Shape::Word("http-01"), Shape::Word("tls-alpn-01")]))
            .doc("How the server sees that the names are ours: by a request to port 80, or by a connection to port 443. Default: `http-01` if an address without TLS is listened on, else `tls-alpn-01`.")
            .example("tls-alpn-01"),
    ],
    later: &[],
    choices: &[],
};

pub(super) static HSTS: Table = Table {
    name: "hsts",
    doc: "The long form of `hsts`.",
    keys: &[
        Key::new("max_age", MAX_AGE)
            .default("365d")
            .doc("How long browsers remember it. Whole seconds.")
            .example("1d"),
        Key::new("include_subdomains", Shape::Switch)
            .default("false")
            .doc("It holds for all names below as well.")
            .example("true"),
        Key::new("preload", Shape::Switch)
            .default("false")
            .doc("Consent to lists in browsers, which is hard to take back. Brings `include_subdomains` along, and needs at least a year.")
            .example("true"),
    ],
    later: &[],
    choices: &[],
};

pub(super) static SERVICE_TLS: Table = Table {
    name: "service_tls",
    doc: "The long form of `tls` in a service: how connections to its endpoints are secured. Files as in [tls](#tls).",
    keys: &[
        Key::new("ca", Shape::Text(&FILE))
            .doc("Certificates of those who vouch for the endpoints. Default: the system's.")
            .example("certs/ca.pem"),
        Key::new("cert", Shape::Text(&FILE))
            .doc("Our certificate, for endpoints that ask for it.")
            .example("certs/gateway.pem"),
        Key::new("key", Shape::Text(&FILE))
            .doc("Its private key. Default: it stands in the file of `cert`.")
            .example("certs/gateway.key"),
        Key::new("name", Shape::Text(&NEW_HOST))
            .doc("The name to ask for, which the certificate must be for. Default: the endpoint's name or address, as written.")
            .example("app.internal"),
    ],
    later: &[],
    choices: &[],
};

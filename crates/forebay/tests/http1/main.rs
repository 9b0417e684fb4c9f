//! HTTP/1 as it should be, through the real gateway: connections, bodies, interim answers, fields for one hop.

mod bodies;
mod connections;
mod fields;
mod interim;

use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::message::Response;
use forebay_testkit::origin::Origin;
use forebay_testkit::settings::in_front_of;
use forebay_testkit::wire::Client;

/// A gateway with default settings in front of `origin`.
fn in_front(origin: &Origin) -> Gateway {
    gateway!("{}", in_front_of(origin.address(), ""))
}

/// Sends these bytes and reads one whole answer.
fn ask(client: &mut Client, bytes: impl AsRef<[u8]>) -> Response {
    client.ask(bytes).unwrap_or_else(|failed| panic!("{failed}"))
}

/// Reads one whole answer to a GET.
fn answer(client: &mut Client) -> Response {
    client.response("GET").unwrap_or_else(|failed| panic!("{failed}"))
}

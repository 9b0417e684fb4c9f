//! Which endpoint a request goes to, as far as the request has a say in it, and waiting for one.

use std::net::IpAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::h1::Field;
use forebay_net::link::Ended;
use forebay_policy::balance::stable_hash;

use super::{Call, Fault, Times};
use crate::cookie;
use crate::exchange::Scratch;
use crate::pipeline::Turn;
use crate::plan::{Balance, HalfClose, HashBy};
use crate::refusal::Refusal;
use crate::upstream::{Endpoint, InFlight, Key, Picked, QueueError, Upstream};

/// The first wait for an endpoint that has refused to look at a request; each further one is twice as long.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// What the request brings along for picking an endpoint.
#[inline]
pub(super) fn key(turn: &Turn<'_>, upstream: &Upstream) -> Key {
    match &upstream.balance {
        Balance::LeastLoaded | Balance::RoundRobin | Balance::PeakEwma => Key::None,
        Balance::Hash(by) => Key::Hash(hash(turn, by)),
        Balance::Sticky(sticky) => {
            let head = &turn.input.filled()[..turn.head_len];
            let value = cookie::find(&turn.scratch.request, head, &sticky.cookie);
            let hash = value.and_then(|value| std::str::from_utf8(value).ok());
            hash.and_then(|hash| u64::from_str_radix(hash, 16).ok()).map_or(Key::None, Key::Sticky)
        }
    }
}

fn hash(turn: &Turn<'_>, by: &HashBy) -> u64 {
    let Scratch { request, target, .. } = &*turn.scratch;
    let head = &turn.input.filled()[..turn.head_len];
    let found = match by {
        HashBy::Header(name) => {
            let is_it = |field: &&Field| field.name.of_head(head).eq_ignore_ascii_case(name.as_bytes());
            request.fields.iter().find(is_it).map(|field| field.value.of_head(head))
        }
        HashBy::Cookie(name) => cookie::find(request, head, name),
        HashBy::Path => Some(target.path().as_bytes()),
        HashBy::Client => None,
    };
    match (found, turn.record.address.get()) {
        (Some(bytes), _) => stable_hash(bytes),
        (None, IpAddr::V4(address)) => stable_hash(&address.octets()),
        (None, IpAddr::V6(address)) => stable_hash(&address.octets()),
    }
}

/// Gives the client the cookie that leads it back to this endpoint, if it has another one or none.
pub(super) fn remember(call: &Call<'_>, upstream: &Upstream, key: Key) {
    if let Balance::Sticky(sticky) = &upstream.balance
        && upstream.needs_cookie(key, call.endpoint)
    {
        let value = format!("{:016x}", call.endpoint.shared.hash);
        // Only the last attempt's counts.
        call.record.give_cookie(|lines| {
            cookie::take_back(lines, &sticky.cookie);
            cookie::set(lines, &sticky.cookie, &value, sticky.ttl);
        });
    }
}

/// Waits a moment before the only endpoint is asked again that has refused to look at the request so many times before:
/// the room that it had is taken for now.
pub(super) async fn pause(turn: &Turn<'_>, times: &Times, before: u32) -> Result<(), Refusal> {
    let until = Instant::now() + REFUSED_PAUSE * (1 << before.min(8));
    if until >= times.total {
        return Err(Refusal::RequestTimeout);
    }
    std::future::poll_fn(|cx| turn.client.alarm.poll(cx, until)).await;
    Ok(())
}

/// Waits until an endpoint can take one more request. `None`: there is none left to wait for.
pub(super) async fn wait_for_room(
    turn: &Turn<'_>,
    upstream: &Upstream,
    key: Key,
    times: &Times,
    tried: &[Rc<Endpoint>],
) -> Result<Option<InFlight>, Fault> {
    let finish = turn.record.limits().half_close == HalfClose::Finish;
    let watches = turn.body.is_done();
    let gone = |cx: &mut std::task::Context<'_>| match turn.client.poll_ended(cx) {
        _ if !watches => false,
        Poll::Ready(Ended::Reset) => true,
        Poll::Ready(Ended::Closed) => !finish,
        Poll::Ready(Ended::Sending) | Poll::Pending => false,
    };
    match upstream.wait_for_room(key, &turn.client.alarm, times.total, tried, gone).await {
        Ok(Picked::Endpoint(in_flight)) => Ok(Some(in_flight)),
        Ok(Picked::Full | Picked::None) => Ok(None),
        Err(QueueError::None) => Err(Fault::Refuse(Refusal::PoolFull)),
        Err(QueueError::Full) => Err(Fault::Refuse(Refusal::QueueFull)),
        Err(QueueError::TimedOut) if Instant::now() >= times.total => {
            Err(Fault::Refuse(Refusal::RequestTimeout))
        }
        Err(QueueError::TimedOut) => Err(Fault::Refuse(Refusal::QueueTimeout)),
        Err(QueueError::ClientGone) => Err(Fault::ClientGone),
    }
}

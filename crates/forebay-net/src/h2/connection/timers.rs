//! What a connection does when time has passed, and how it takes its leave (RFC 9113 §6.8).

use std::time::Duration;

use forebay_base::time::Instant;

use super::{Connection, Leaving, Role};
use crate::h2::frame::{ErrorCode, WINDOW_MAX, write};
use crate::stream::StreamError;

/// The PING behind the first GOAWAY: once it is answered the other side knows.
pub(super) const PING_LEAVING: [u8; 8] = *b"leaving?";
/// The PING that asks whether the other side is still there.
pub(super) const PING_THERE: [u8; 8] = *b"present?";

/// Longest time between the two GOAWAYs.
const GOAWAY_WAIT: Duration = Duration::from_secs(1);

/// Silence after which a client asks whether the server is there, if it waits for something; and the time that the
/// answer may take.
const SILENCE: Duration = Duration::from_secs(10);

/// When it asks again if nothing but the answer has come since. Servers of gRPC take pings that come more often than
/// every five minutes, without anything else, for an attack.
const ASK_AGAIN: Duration = Duration::from_secs(310);

impl Connection {
    /// When `tick` is to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let due = &self.due;
        [due.settings, due.block, due.frame, due.goaway, due.windows, due.pong, self.next_ping()]
            .into_iter()
            .min()
            .unwrap_or(Instant::NEVER)
    }

    /// When a client that waits for something asks whether the server is there.
    fn next_ping(&self) -> Instant {
        let due = &self.due;
        if self.role == Role::Server || self.streams.counted() == 0 || due.pong != Instant::NEVER {
            Instant::NEVER
        } else if due.heard > due.asked || due.asked == Instant::NEVER {
            due.heard + SILENCE
        } else {
            due.asked + ASK_AGAIN
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        if self.dead.is_some() {
            return;
        }
        if self.due.settings <= now {
            self.fail(ErrorCode::SETTINGS_TIMEOUT, "settings not acknowledged");
        } else if self.due.block <= now || self.due.frame <= now {
            self.fail(ErrorCode::ENHANCE_YOUR_CALM, "the rest of a frame or head did not come");
        } else if self.due.pong <= now {
            self.fail(ErrorCode::NO_ERROR, "no answer to a ping");
        } else {
            self.tick_on(now);
        }
    }

    fn tick_on(&mut self, now: Instant) {
        if self.due.goaway <= now {
            self.tell();
        }
        if self.due.windows <= now {
            self.reset_stalled(now);
        }
        if self.next_ping() <= now {
            write::ping(&mut self.out, PING_THERE);
            self.due.asked = now;
            self.due.pong = now + SILENCE;
        }
    }

    /// Resets streams whose window was shut for too long with something to send.
    fn reset_stalled(&mut self, now: Instant) {
        self.due.windows = Instant::NEVER;
        for slot in self.streams.live().collect::<Vec<_>>() {
            // One whose window has opened meanwhile has nothing to send yet.
            if self.room(slot) > 0 || self.streams.at(slot).shut_since == Instant::NEVER {
                continue;
            }
            let since = self.streams.at(slot).shut_since;
            let due = since + self.limits.stall;
            if due > now {
                self.due.windows = self.due.windows.min(due);
                continue;
            }
            self.abandon(slot, ErrorCode::CANCEL, StreamError::Closed);
            if self.glitch(now).is_err() {
                self.fail(ErrorCode::ENHANCE_YOUR_CALM, "too much for nothing");
                return;
            }
        }
    }

    /// The stream in `slot` has something to send, and its window or the connection's is shut. For a client that does
    /// not last too long: how long a service may take is up to whoever asked it.
    pub fn blocked(&mut self, slot: u32, now: Instant) {
        if self.role == Role::Client {
            return;
        }
        let stream = self.streams.at(slot);
        if stream.shut_since == Instant::NEVER {
            stream.shut_since = now;
            self.due.windows = self.due.windows.min(now + self.limits.stall);
        }
    }

    /// No more streams, and the end once those that are open are done. A server says so twice: what is under way when
    /// the other side hears it for the first time is still answered.
    pub fn leave(&mut self, now: Instant) {
        if self.leaving != Leaving::No || self.dead.is_some() {
            return;
        }
        if self.role == Role::Client {
            self.leaving = Leaving::Announced;
            self.tell();
            return;
        }
        write::goaway(&mut self.out, WINDOW_MAX, ErrorCode::NO_ERROR, &[]);
        write::ping(&mut self.out, PING_LEAVING);
        self.leaving = Leaving::Announced;
        self.due.goaway = now + GOAWAY_WAIT;
    }

    /// Says up to which stream we answer.
    pub(super) fn tell(&mut self) {
        self.due.goaway = Instant::NEVER;
        self.leaving = Leaving::Told { last: self.last_peer_id };
        write::goaway(&mut self.out, self.last_peer_id, ErrorCode::NO_ERROR, &[]);
        self.counters.goaway_sent = Some(ErrorCode::NO_ERROR.0);
    }

    /// Whether `leave` was called, or the budget is nearly used up.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving != Leaving::No
    }
}

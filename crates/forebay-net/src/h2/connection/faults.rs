//! What becomes of faults: streams are reset, the connection ends, and all of it counts.

use forebay_base::time::Instant;

use super::budget::Verdict;
use super::{Connection, Event, Role};
use crate::h2::frame::{ErrorCode, FrameError, write};
use crate::stream::StreamError;

impl Connection {
    /// Ends the connection with an error of the other side's, or of ours.
    pub(super) fn fail(&mut self, code: ErrorCode, reason: &'static str) {
        if self.dead.is_none() {
            write::goaway(&mut self.out, self.last_peer_id, code, reason.as_bytes());
            self.counters.goaway_sent = Some(code.0);
            self.end(code);
        }
    }

    /// Ends the connection for what the last frame was. The answer it belongs to is malformed, or all of them if it
    /// belongs to none; others are only lost.
    pub(super) fn fail_by_frame(&mut self, error: &FrameError) {
        let to_blame = self.role == Role::Client && error.code != ErrorCode::ENHANCE_YOUR_CALM;
        if to_blame && self.dead.is_none() {
            let own = self.streams.find(self.at_stream);
            let slots = own.map_or_else(|| self.streams.live().collect(), |own| vec![own]);
            for slot in slots {
                self.streams.give_up(slot, true);
                self.gone.push_back((slot, StreamError::Malformed));
            }
        }
        self.fail(error.code, error.reason);
    }

    /// Nothing more will come, or go.
    pub(super) fn end(&mut self, code: ErrorCode) {
        self.dead = Some(code);
        self.block = None;
        self.incoming = None;
        for slot in self.streams.used() {
            if !self.streams.at(slot).is_over() {
                self.streams.give_up(slot, true);
                self.gone.push_back((slot, StreamError::Closed));
            }
        }
    }

    /// The other side has closed the connection, or it broke.
    pub fn closed(&mut self) {
        if self.dead.is_none() {
            self.end(ErrorCode::NO_ERROR);
        }
    }

    /// A frame that traffic brings along, in proportion.
    pub(super) fn small(&mut self, now: Instant) -> Result<Event, FrameError> {
        let verdict = self.budget.small(now);
        self.heed(verdict, now)
    }

    /// A frame that made work and brought nothing.
    pub(super) fn glitch(&mut self, now: Instant) -> Result<Event, FrameError> {
        let verdict = self.budget.glitch(now);
        self.heed(verdict, now)
    }

    pub(super) fn heed(&mut self, verdict: Verdict, now: Instant) -> Result<Event, FrameError> {
        match verdict {
            Verdict::Fine => {}
            Verdict::Leave => self.leave(now),
            Verdict::Close => {
                return Err(FrameError::connection(ErrorCode::ENHANCE_YOUR_CALM, "too much for nothing"));
            }
        }
        Ok(Event::Nothing)
    }

    /// Resets a stream for the other side's fault, which counts against it.
    pub(super) fn provoked(&mut self, id: u32, code: ErrorCode, now: Instant) -> Result<(), FrameError> {
        if self.is_idle(id) {
            // A reset of what was never opened would be a fault of ours.
            return Err(FrameError::connection(code, "fault on a stream that is not open"));
        }
        match self.streams.find(id) {
            Some(slot) => self.abandon(slot, code, StreamError::Malformed),
            None => {
                write::rst_stream(&mut self.out, id, code);
                self.counters.resets_sent += 1;
                if self.streams.given_up(id).is_none() {
                    self.streams.remember(id, true, self.window_of_new());
                }
            }
        }
        self.glitch(now).map(drop)
    }

    /// Resets a stream and tells its user.
    pub(super) fn abandon(&mut self, slot: u32, code: ErrorCode, error: StreamError) {
        let id = self.streams.at(slot).id;
        write::rst_stream(&mut self.out, id, code);
        self.counters.resets_sent += 1;
        self.streams.give_up(slot, true);
        self.gone.push_back((slot, error));
    }
}

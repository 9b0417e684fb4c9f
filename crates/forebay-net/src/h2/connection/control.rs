//! Frames about streams and the connection: priorities, resets, settings, pings, goodbyes and windows
//! (RFC 9113 §6.3 to §6.9).

use forebay_base::time::Instant;

use super::timers::{PING_LEAVING, PING_THERE};
use super::{Connection, Event, Leaving, Phase, Role, protocol};
use crate::h2::frame::{self, ACK, ErrorCode, FrameError, Header, Setting, WINDOW_MAX, write};
use crate::stream::StreamError;

impl Connection {
    pub(super) fn receive_priority(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Instant,
    ) -> Result<Event, FrameError> {
        let priority = frame::priority(header, payload)?;
        if priority.depends_on == header.stream {
            return Err(FrameError::stream(ErrorCode::PROTOCOL_ERROR, "a stream cannot depend on itself"));
        }
        self.small(now)
    }

    pub(super) fn receive_reset(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Instant,
    ) -> Result<Event, FrameError> {
        let code = frame::rst_stream(header, payload)?;
        if self.is_idle(header.stream) {
            return Err(protocol("RST_STREAM on a stream that is not open"));
        }
        // Where the stream is over already the two have crossed.
        let Some(slot) = self.streams.find(header.stream) else { return self.small(now) };
        self.counters.resets_received += 1;
        let answered = self.streams.at(slot).head_sent;
        let refused = self.role == Role::Client && code == ErrorCode::REFUSED_STREAM;
        let error = if refused { StreamError::Refused } else { StreamError::Reset(code.0) };
        self.streams.give_up(slot, false);
        self.gone.push_back((slot, error));
        if self.role == Role::Server && !answered {
            // Work was asked for and then not wanted (Rapid Reset).
            self.glitch(now)?;
        }
        Ok(Event::Nothing)
    }

    pub(super) fn receive_settings(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Instant,
    ) -> Result<Event, FrameError> {
        let settings = frame::settings(header, payload)?;
        if header.has(ACK) {
            return self.receive_settings_ack(now);
        }
        let mut window = self.peer.initial_window;
        for setting in settings {
            match setting? {
                Setting::InitialWindowSize(value) => window = value,
                other => self.apply(other)?,
            }
        }
        self.change_initial_window(window)?;
        write::settings_ack(&mut self.out);
        if self.phase == Phase::Settings {
            self.phase = Phase::Open;
        } else {
            self.glitch(now)?;
        }
        Ok(Event::Windows)
    }

    fn apply(&mut self, setting: Setting) -> Result<(), FrameError> {
        match setting {
            Setting::HeaderTableSize(bytes) => self.encoder.set_table_bytes_max(bytes),
            Setting::EnablePush(true) if self.role == Role::Client => {
                return Err(protocol("a server cannot ask for pushes"));
            }
            Setting::MaxConcurrentStreams(streams) => self.peer.streams_max = streams,
            Setting::MaxFrameSize(bytes) => self.peer.payload_max = bytes,
            Setting::EnableConnectProtocol(on) => {
                if self.peer.connect && !on {
                    return Err(protocol("extended CONNECT cannot be taken back"));
                }
                self.peer.connect = on;
            }
            _ => {}
        }
        Ok(())
    }

    /// Windows of open streams change with the setting (§6.9.2), and may become negative.
    fn change_initial_window(&mut self, window: u32) -> Result<(), FrameError> {
        let change = i64::from(window) - i64::from(self.peer.initial_window);
        if change == 0 {
            return Ok(());
        }
        self.peer.initial_window = window;
        for slot in self.streams.used() {
            let stream = self.streams.at(slot);
            stream.send_window += change;
            if stream.send_window > i64::from(WINDOW_MAX) {
                return Err(FrameError::connection(
                    ErrorCode::FLOW_CONTROL_ERROR,
                    "window beyond its largest",
                ));
            }
        }
        Ok(())
    }

    fn receive_settings_ack(&mut self, now: Instant) -> Result<Event, FrameError> {
        if self.peer.acknowledged {
            return self.glitch(now);
        }
        // Streams opened before were given the larger one of the default and our setting.
        let before = self.window_of_new();
        self.peer.acknowledged = true;
        self.due.settings = Instant::NEVER;
        let change = self.window_of_new() - before;
        for slot in self.streams.used() {
            self.streams.at(slot).receive_window += change;
        }
        Ok(Event::Nothing)
    }

    pub(super) fn receive_ping(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Instant,
    ) -> Result<Event, FrameError> {
        let bytes = frame::ping(header, payload)?;
        if !header.has(ACK) {
            write::ping_ack(&mut self.out, bytes);
        } else if bytes == PING_LEAVING && self.leaving == Leaving::Announced {
            self.tell();
            return Ok(Event::Nothing);
        } else if bytes == PING_THERE && self.due.pong != Instant::NEVER {
            self.due.pong = Instant::NEVER;
            return Ok(Event::Nothing);
        }
        self.small(now)
    }

    pub(super) fn receive_goaway(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Instant,
    ) -> Result<Event, FrameError> {
        let goaway = frame::goaway(header, payload)?;
        self.counters.goaway_received = Some(goaway.code.0);
        if self.peer.left.is_some_and(|before| goaway.last_stream > before) {
            return Err(protocol("GOAWAY takes back what it has refused"));
        }
        self.peer.left = Some(goaway.last_stream);
        if self.role == Role::Client {
            let streams = self.streams.live().collect::<Vec<_>>();
            for slot in streams.into_iter().rev() {
                if self.streams.at(slot).id > goaway.last_stream {
                    self.streams.give_up(slot, true);
                    self.gone.push_back((slot, StreamError::Refused));
                }
            }
        }
        self.small(now)
    }

    pub(super) fn receive_window_update(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Instant,
    ) -> Result<Event, FrameError> {
        if header.stream != 0 && self.is_idle(header.stream) {
            return Err(protocol("WINDOW_UPDATE on a stream that is not open"));
        }
        let increment = i64::from(frame::window_update(header, payload)?);
        self.small(now)?;
        if header.stream == 0 {
            self.send_window += increment;
            if self.send_window > i64::from(WINDOW_MAX) {
                return Err(FrameError::connection(
                    ErrorCode::FLOW_CONTROL_ERROR,
                    "window beyond its largest",
                ));
            }
            return Ok(Event::Windows);
        }
        let Some(slot) = self.streams.find(header.stream) else { return Ok(Event::Nothing) };
        let stream = self.streams.at(slot);
        stream.send_window += increment;
        if stream.send_window > i64::from(WINDOW_MAX) {
            return Err(FrameError::stream(ErrorCode::FLOW_CONTROL_ERROR, "window beyond its largest"));
        }
        Ok(Event::Window(slot))
    }
}

//! Streams that stay open: a byte goes to the origin in a chunk every so often, and comes back in one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::bench::machine::Pinning;

/// Between two bytes of a stream.
const EVERY: Duration = Duration::from_secs(1);
/// A byte that has not come back by then is lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// Streams are opened with so much between them: a thousand at once would wait in the queue of the listener.
const OPENING: Duration = Duration::from_millis(1);
/// Longest head.
const HEAD_MAX: usize = 16 << 10;

/// Streams that are open.
pub(super) struct Streams {
    stop: watch::Sender<bool>,
    thread: JoinHandle<Result<Outcome>>,
}

/// What became of them.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// All of them.
    pub(super) opened: usize,
    /// Those that did not come to their proper end.
    pub(super) dropped: usize,
    /// Bytes that went and came back.
    pub(super) bytes: u64,
    /// What happened to the first one that was dropped.
    pub(super) first: Option<String>,
}

/// A listener for the origin of streams.
pub(super) fn listen() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Streams {
    /// Opens so many through the proxy at `address`, to the origin behind `listener`; returns once each has had
    /// its first byte back.
    pub(super) fn open(
        address: SocketAddr,
        listener: TcpListener,
        count: usize,
        pinning: &Pinning,
    ) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (ready, mut opened) = mpsc::channel(count.max(1));
        let pinning = pinning.clone();
        let thread = std::thread::spawn(move || {
            pinning.join_rest()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                tokio::spawn(serve(tokio::net::TcpListener::from_std(listener)?));
                Ok(hold(address, count, &stopped, &ready).await)
            })
        });
        for number in 0..count {
            if opened.blocking_recv().is_none() {
                bail!("only {number} of {count} streams could be opened");
            }
        }
        Ok(Self { stop, thread })
    }

    /// Ends every stream as it should, and says what became of them.
    pub(super) fn end(self) -> Result<Outcome> {
        self.stop.send_replace(true);
        self.thread.join().ok().context("the streams' thread panicked")?
    }
}

async fn hold(
    address: SocketAddr,
    count: usize,
    stopped: &watch::Receiver<bool>,
    ready: &mpsc::Sender<()>,
) -> Outcome {
    let mut tasks = Vec::new();
    for _ in 0..count {
        tasks.push(tokio::spawn(stream(address, stopped.clone(), ready.clone())));
        sleep(OPENING).await;
    }
    let mut outcome = Outcome { opened: count, ..Outcome::default() };
    for task in tasks {
        match task.await.context("a stream's task panicked").and_then(|done| done) {
            Ok(bytes) => outcome.bytes += bytes,
            Err(error) => {
                outcome.dropped += 1;
                outcome.first.get_or_insert(format!("{error:#}"));
            }
        }
    }
    outcome
}

/// One stream from its first byte to its proper end; gives the number of its bytes.
async fn stream(
    address: SocketAddr,
    mut stopped: watch::Receiver<bool>,
    ready: mpsc::Sender<()>,
) -> Result<u64> {
    let mut stream = TcpStream::connect(address).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream
        .write_all(b"POST /stream HTTP/1.1\r\nHost: bench.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await?;
    let (mut chunks, mut bytes, mut head) = (Chunks::default(), 0, Vec::new());
    loop {
        stream.write_all(b"1\r\nx\r\n").await.context("cannot send a byte")?;
        if bytes == 0 {
            let rest = read_head(&mut stream, &mut head).await?;
            if !head.starts_with(b"HTTP/1.1 200 ") {
                bail!(
                    "answered {}",
                    String::from_utf8_lossy(head.split(|b| *b == b'\r').next().unwrap_or(b""))
                );
            }
            chunks.take(&rest)?;
        }
        bytes += 1;
        while chunks.data < bytes {
            receive(&mut stream, &mut chunks).await.with_context(|| format!("at byte {bytes}"))?;
        }
        if bytes == 1 {
            let _ = ready.send(()).await;
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
    }
    stream.write_all(b"0\r\n\r\n").await.context("cannot send the end")?;
    while !chunks.ended {
        receive(&mut stream, &mut chunks).await.context("at the end")?;
    }
    Ok(bytes)
}

async fn receive(stream: &mut TcpStream, chunks: &mut Chunks) -> Result<()> {
    let mut piece = [0; 1024];
    let read = timeout(PATIENCE, stream.read(&mut piece)).await.context("nothing came back")??;
    if read == 0 {
        bail!("closed");
    }
    chunks.take(&piece[..read])
}

/// Accepts and answers for as long as the runtime lives.
async fn serve(listener: tokio::net::TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        // Whoever is cut off notices at the other end.
        tokio::spawn(async { drop(echo(stream).await) });
    }
}

/// Sends every byte of a chunked body back as it comes.
async fn echo(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut head = Vec::new();
        let rest = read_head(&mut stream, &mut head).await?;
        let (mut chunks, mut sent) = (Chunks::default(), 0);
        chunks.take(&rest)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
        loop {
            for _ in sent..chunks.data {
                stream.write_all(b"1\r\nx\r\n").await?;
            }
            sent = chunks.data;
            if chunks.ended {
                break;
            }
            let mut piece = [0; 1024];
            let read = stream.read(&mut piece).await?;
            if read == 0 {
                return Ok(());
            }
            chunks.take(&piece[..read])?;
        }
        stream.write_all(b"0\r\n\r\n").await?;
    }
}

/// Reads to the end of a head; gives what came behind it.
async fn read_head(stream: &mut TcpStream, head: &mut Vec<u8>) -> Result<Vec<u8>> {
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = memmem::find(head, b"\r\n\r\n") {
            return Ok(head.split_off(end + 4));
        }
        let read = stream.read(&mut piece).await?;
        if read == 0 || head.len() > HEAD_MAX {
            bail!("no head");
        }
        head.extend_from_slice(&piece[..read]);
    }
}

/// Counts the bytes of a chunked body.
#[derive(Debug, Default)]
struct Chunks {
    data: u64,
    ended: bool,
    /// Bytes of the chunk that are still to come.
    left: u64,
    /// A line of which the end has not come.
    line: Vec<u8>,
    /// The next line is empty: it ends a chunk, or the body.
    closing: bool,
    last: bool,
}

impl Chunks {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        for &byte in bytes {
            if self.left > 0 {
                self.left -= 1;
                self.data += 1;
                self.closing = self.left == 0;
                continue;
            }
            self.line.push(byte);
            if byte == b'\n' {
                self.end_line()?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<()> {
        let line = std::mem::take(&mut self.line);
        let text = std::str::from_utf8(&line).context("a chunk's line")?.trim_end();
        if self.closing || self.last {
            if !text.is_empty() {
                bail!("{text:?} where a chunk ends");
            }
            self.ended = self.last;
            self.closing = false;
            return Ok(());
        }
        self.left = u64::from_str_radix(text, 16).with_context(|| format!("a chunk of {text:?} bytes"))?;
        self.last = self.left == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_counted_however_they_are_cut() {
        let body = b"1\r\nx\r\na\r\n0123456789\r\n0\r\n\r\n";
        for step in 1..body.len() {
            let mut chunks = Chunks::default();
            body.chunks(step).for_each(|piece| chunks.take(piece).expect("it is well formed"));
            assert_eq!((chunks.data, chunks.ended), (11, true), "{step}");
        }
        assert!(Chunks::default().take(b"zz\r\n").is_err());
        assert!(Chunks::default().take(b"1\r\nxy\r\n").is_err());
    }
}

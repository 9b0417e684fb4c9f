//! An origin that behaves as the first segment of the path says.

use forebay_testkit::message::{Body, Broken, Request};
use forebay_testkit::origin::Conn;

use crate::Ledger;

/// Ways to behave (poison that comes a moment after an answer is not among them: HTTP/1 cannot tell it from the
/// next answer), and whether a client may be told 502, or see an answer cut short, because of it.
pub(crate) const MANNERS: &[(&str, bool)] = &[
    ("echo", false),
    ("chunked", false),
    ("pieces", false),
    ("interim", false),
    ("empty", false),
    ("close", false),
    ("until-close", false),
    ("early", false),
    ("extra", false),
    ("early-close", true),
    ("no-answer", true),
    ("cut", true),
    ("cut-chunk", true),
    ("reset", true),
    ("nonsense", true),
];

/// What a poisoner would like others to see.
const POISON: &str = "HTTP/1.1 200 OK\r\nx-id: poison\r\nContent-Length: 6\r\n\r\npoison";

/// What the client calls the request.
pub(crate) fn id_of(request: &Request) -> String {
    request.target.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The sum by which a body is known again.
pub(crate) fn sum_of(body: &[u8]) -> u64 {
    body.iter().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

/// Serves one connection, checking everything that comes.
pub(crate) fn serve(conn: &mut Conn, ledger: &Ledger) {
    while let Ok((index, request)) = conn.request_head() {
        let Ok(body) = conn.body_of(&request) else { return };
        let manner = request.target.split('/').nth(1).unwrap_or_default().to_owned();
        let early = matches!(manner.as_str(), "early" | "early-close");
        if early {
            answer(conn, &request, &manner);
            if manner == "early-close" {
                return conn.half_close();
            }
        }
        match read(conn, body) {
            Ok(content) => {
                conn.complete(index);
                let wanted = request.headers.get("x-sum").unwrap_or("nothing");
                if wanted != sum_of(&content).to_string() && request.headers.get("x-sum").is_some() {
                    let length = content.len();
                    ledger.went_wrong(format!("{}: another body of {length} bytes", request.target));
                }
            }
            Err(Broken::Malformed(what)) => return ledger.went_wrong(format!("{}: {what}", request.target)),
            Err(_) => return,
        }
        if !early && !answer(conn, &request, &manner) {
            return;
        }
    }
}

fn read(conn: &mut Conn, mut body: Body) -> Result<Vec<u8>, Broken> {
    let mut content = Vec::new();
    while let Some(piece) = conn.piece(&mut body)? {
        content.extend_from_slice(&piece);
    }
    Ok(content)
}

/// Answers in this manner; `false`: the connection ends.
fn answer(conn: &mut Conn, request: &Request, manner: &str) -> bool {
    let id = id_of(request);
    let head = |lines: &str| format!("HTTP/1.1 200 OK\r\nx-id: {id}\r\n{lines}\r\n");
    let to_head = request.method == "HEAD";
    let whole = |body: &str| {
        let head = head(&format!("Content-Length: {}\r\n", body.len()));
        if to_head { head } else { format!("{head}{body}") }
    };
    let chunked = |body: &str| {
        let head = head("Transfer-Encoding: chunked\r\n");
        if to_head { head } else { format!("{head}{body}") }
    };
    match manner {
        "chunked" => conn.send(chunked(&format!("1\r\n{}\r\n{:x}\r\n{id}\r\n0\r\n\r\n", '=', id.len()))),
        "pieces" => {
            let bytes = whole(&id);
            bytes.as_bytes().chunks(7).for_each(|piece| conn.send(piece));
        }
        "interim" => conn.send(format!("HTTP/1.1 103 Early Hints\r\nLink: </{id}>\r\n\r\n{}", whole(&id))),
        "empty" => conn.send(format!("HTTP/1.1 204 No Content\r\nx-id: {id}\r\n\r\n")),
        "extra" => conn.send(format!("{}{POISON}", whole(&id))),
        "close" | "early-close" => {
            let length = id.len();
            let head = head(&format!("Connection: close\r\nContent-Length: {length}\r\n"));
            conn.send(if to_head { head } else { format!("{head}{id}") });
            return false;
        }
        "until-close" => {
            // To HEAD it would look like a connection that goes on, and the next request would be lost with it.
            let lines = if to_head { "Connection: close\r\n" } else { "" };
            conn.send(format!("{}{}", head(lines), if to_head { "" } else { &id }));
            return false;
        }
        "no-answer" => return false,
        "cut" => {
            conn.send(head("Content-Length: 100\r\n") + &id);
            return false;
        }
        "cut-chunk" => {
            conn.send(head("Transfer-Encoding: chunked\r\n") + "5\r\nhel");
            return false;
        }
        "reset" => {
            conn.send(head("Content-Length: 100\r\n") + &id);
            conn.reset();
            return false;
        }
        "nonsense" => {
            conn.send("nonsense\r\n\r\n");
            return false;
        }
        _ => conn.send(whole(&id)),
    }
    true
}

//! What is said about mistakes, word for word.

use super::*;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(problems(text), expected, "{text}");
}

/// `added` stands after the right file, in line 6.
#[track_caller]
fn check_added(added: &str, expected: &[&str]) {
    check(&format!("{BASE}{added}\n"), expected);
}

/// A route that stands in line 5.
#[track_caller]
fn check_route(route: &str, expected: &[&str]) {
    let start = BASE.rsplit_once("  - ").map(|(start, _)| start).unwrap_or_default();
    check(&format!("{start}  - {route}\n  - {{match: /used, to: app}}\n"), expected);
}

#[test]
fn five_mistakes_are_told_at_once_with_their_places() {
    let text = "\
lisen: 127.0.0.1:8080
services:
  app:
    endpoints: [127.0.0.1:3000, 127.0.0.1]
    timeout: 10 seconds
routes:
  - match: /*
    to: ap
    body_max: 16M
";
    check(
        text,
        &[
            "1:1: error: unknown key `lisen`; did you mean `listen`?",
            "4:33: error: `127.0.0.1`: the port is missing; write, for example, `127.0.0.1:80`",
            "5:14: error: `timeout` cannot be `10 seconds`: unknown unit ` seconds`; \
             write a whole number with a unit (ns us ms s m h d), such as `250ms` or `1m30s`",
            "8:9: error: there is no service `ap`; did you mean `app`?",
            "9:15: error: `body_max` cannot be `16M`: unknown unit `M`; write bytes, or a whole number with a unit \
             (B kB MB GB TB, KiB MiB GiB TiB), such as `512` or `16MiB`",
        ],
    );
}

#[test]
fn keys_are_checked_everywhere() {
    check_added("stores: {}", &["6:1: error: `stores` is not available in this version; remove it"]);
    check_added(
        "upstreams: {}",
        &[
            "6:1: error: unknown key `upstreams`; known here: `listen`, `tls`, `services`, `routes`, `defaults`, `limits`, `dns`, `trusted_proxies`, `admin`, `workers`, `logs` and `record`",
        ],
    );
    check_added(
        "timeout: 3s",
        &[
            "6:1: error: unknown key `timeout`; it is a key of `service`, `health`, `route`, `defaults` and `dns`",
        ],
    );
    check_added("logs: {acces: json}", &["6:8: error: unknown key `acces`; did you mean `access`?"]);
    check_route(
        "{match: /a, to: app, cache: on}",
        &["5:26: error: `cache` is not available in this version; remove it"],
    );
    check_route(
        "{match: /a, to: app, match: /b}",
        &["5:26: error: `match` is written twice, first in line 5; keep one of them"],
    );
}

#[test]
fn kinds_and_ranges_are_checked() {
    check_added(
        "workers: many",
        &["6:10: error: `workers` must be `auto` or a whole number from 1 to 256, not `many`"],
    );
    check_added("workers: 300", &["6:10: error: `workers` must be a whole number from 1 to 256, not `300`"]);
    check_added(
        "workers: \"4\"",
        &[
            "6:10: error: `workers` must be `auto` or a whole number from 1 to 256, not the text \"4\"; remove the quotes",
        ],
    );
    check_added(
        "workers: [4]",
        &["6:10: error: `workers` must be `auto` or a whole number from 1 to 256, not a list"],
    );
    check_added(
        "workers:",
        &["6:1: error: `workers` must be `auto` or a whole number from 1 to 256, not empty"],
    );
    check_added(
        "limits: {merge_slashes: yes}",
        &["6:25: error: `merge_slashes` must be `true` or `false`, not `yes`; did you mean `true`?"],
    );
    check_added("limits: {idle: 2d}", &["6:16: error: `idle` must be a duration from 1ms to 1d, not `2d`"]);
    check_added("limits: {idle: 0ms}", &["6:16: error: `idle` must be a duration from 1ms to 1d, not `0ms`"]);
    check_added(
        "limits: {head_bytes: 2MiB}",
        &["6:22: error: `head_bytes` must be a size from 1KiB to 1MiB, not `2MiB`"],
    );
    check_added(
        "limits: {body_rate_min: 1KiB}",
        &[
            "6:25: error: `body_rate_min` cannot be `1KiB`: the unit is missing; write a size per second, such as `1KiB/s`",
        ],
    );
    check_added(
        "limits: {body_rate_min: none}",
        &[
            "6:25: error: `body_rate_min` must be `off` or a size per second, at most 1GiB/s, not `none`; did you mean `off`?",
        ],
    );
    check_added(
        "limits: {header_underscores: drp}",
        &[
            "6:30: error: `header_underscores` must be `drop`, `allow` or `refuse`, not `drp`; did you mean `drop`?",
        ],
    );
    check_added(
        "limits: []",
        &[
            "6:9: error: `limits` must be a map with `head_bytes`, `headers`, `uri_bytes` and the like, not a list",
        ],
    );
    check_added(
        "limits: {uri_bytes: 16KiB, head_bytes: 8KiB}",
        &[
            "6:21: error: a target of 16384 bytes does not fit into a head of 8192 bytes; keep `uri_bytes` at most as large as `head_bytes`",
        ],
    );
    check_added(
        "admin: no",
        &[
            "6:8: error: `admin` must be `off`, an address to listen on, such as `127.0.0.1:9900` or `:9900` or a map with `listen` and `token`, not `no`; did you mean `off`?",
        ],
    );
    check_added(
        "logs: {access: false}",
        &["6:16: error: `access` must be `off`, `json`, `text` or `auto`, not `false`; did you mean `off`?"],
    );
    check(
        "- a\n",
        &["1:1: error: the file must be a map with `listen`, `tls`, `services` and the like, not a list"],
    );
    check(
        "listen: []\nroutes: []\n",
        &[
            "1:9: error: `listen` must have at least one item",
            "2:9: error: `routes` must have at least one item",
        ],
    );
}

#[test]
fn addresses_are_checked() {
    check_added(
        "admin: 0.0.0.0:9900",
        &[
            "6:8: error: the admin side would be open to anyone who can reach 0.0.0.0:9900; write `admin: {listen: ..., token: ...}`, or a loopback address such as `127.0.0.1:9900`",
        ],
    );
    check_added(
        "admin: {listen: \":9900\", token: short}",
        &[
            "6:33: error: a token has at least 16 characters, and only visible ones of ASCII; make one with `openssl rand -hex 24`",
        ],
    );
    check_added(
        "admin: {token: {file: token}}",
        &["6:23: error: cannot read the secret in `token`: there are no files here"],
    );
    check_added(
        "admin: 127.0.0.1:8080",
        &["6:8: error: `admin` and `listen` both want 127.0.0.1:8080; give one of them another port"],
    );
    check_added(
        "trusted_proxies: [10.0.0.0/33]",
        &[
            "6:19: error: `10.0.0.0/33` is no block of addresses: the length after `/` must be a number from 0 to 32; write, for example, `10.0.0.0/8` or `192.0.2.7`",
        ],
    );
    check(
        "listen: https://0.0.0.0:443\nroutes: [{match: /*, respond: 200}]\n",
        &[
            "1:9: error: `https://` needs a certificate; write `tls: {cert: shop.pem, key: shop.key}`, or, to have one from Let's Encrypt, `tls: {domains: shop.example.com, email: you@example.com}`",
        ],
    );
    check(
        "listen: [:80, :80]\nroutes: [{match: /*, respond: 200}]\n",
        &["1:15: error: 0.0.0.0:80 is listened on twice; keep one of them"],
    );
    check(
        "listen: [::1]:80\nroutes: [{match: /*, respond: 200}]\n",
        &[
            "1:14: error: this is not valid YAML: while parsing a block mapping, did not find expected key; put a value that begins with `[:` in quotes",
        ],
    );
}

#[test]
fn services_are_checked() {
    let service = |service: &str| {
        format!("listen: :80\nroutes: [{{match: /*, to: app}}]\nservices: {{app: {service}}}\n")
    };
    check(
        &service("{}"),
        &[
            "3:17: error: `endpoints` or `endpoints_file` is missing in this service; write, for example, `endpoints: [127.0.0.1:3001, {address: app.test:3002, weight: 3}]`",
        ],
    );
    check(&service("{endpoints: []}"), &["3:29: error: `endpoints` must have at least one item"]);
    check(&service("{endpoints: a:1}"), &["3:29: error: `endpoints` must be a list, not `a:1`"]);
    check(
        &service("{endpoints: [a:1, a:1]}"),
        &["3:35: error: `a:1` stands twice in this service; keep one, with a `weight` if it is to get more"],
    );
    check(
        &service("{endpoints: [http://a:1/]}"),
        &["3:30: error: `http://a:1/`: an endpoint is `host:port`, without `http://`; write `a:1`"],
    );
    check(
        &service("{endpoints: [{address: a:1, weight: 0}]}"),
        &["3:53: error: `weight` must be a whole number from 1 to 1000000, not `0`"],
    );
    check(
        &service("{endpoints: [{weight: 1}]}"),
        &[
            "3:30: error: `address` is missing in this endpoint; write, for example, `address: 127.0.0.1:3001`",
        ],
    );
    check(
        &service("{endpoints: [a:1], balance: random}"),
        &[
            "3:45: error: `balance` must be `least_loaded`, `round_robin`, `peak_ewma`, `sticky` or a map with `hash` and `sticky`, not `random`",
        ],
    );
    check(
        &service("{endpoints: [a:1], timeout: {conect: 1s}}"),
        &["3:46: error: unknown key `conect`; did you mean `connect`?"],
    );
    check_added("", &[]);
    check(
        "listen: :80\nroutes: [{match: /*, respond: 200}]\nservices: {a b: {endpoints: [a:1]}}\n",
        &[
            "3:12: error: `a b` cannot be the name of a service; use letters, digits, `-`, `_` and `.`",
            "3:12: warning: no route leads to the service `a b`; add a route with it as `to`, or remove it",
        ],
    );
}

#[test]
fn routes_are_checked() {
    check_route(
        "{match: /a}",
        &["5:5: error: this route does nothing yet; write one of `to`, `redirect` and `respond`"],
    );
    check_route(
        "{match: /a, to: app, respond: 200}",
        &["5:26: error: `respond` cannot stand beside `to`; keep one of `to`, `redirect` and `respond`"],
    );
    check_route(
        "{match: a.test, to: app}",
        &["5:13: error: `a.test` is no match: no path; add `/*` for every path of the host"],
    );
    check_route(
        "{match: {path: a, hots: b}, to: app}",
        &[
            "5:20: error: this is no match: a path begins with `/`",
            "5:23: error: unknown key `hots`; did you mean `host`?",
        ],
    );
    check_route(
        "{match: {path: /a, header: {x y: 1}}, to: app}",
        &["5:33: error: this is no match: `x y` is not the name of a header"],
    );
    check_route(
        "{match: {method: [GET, get]}, to: app}",
        &["5:23: error: this is no match: `get` is not a method; methods are upper case, as in `GET`"],
    );
    check_route(
        "{match: *.a.test/*, to: app}",
        &[
            "5:13: error: this is not valid YAML: while parsing node, found unknown anchor; put a value that begins with `*` in quotes",
        ],
    );
    check_route(
        "{match: /used, to: app}",
        &["6:13: error: `/used` matches the same requests as route `/used` in line 5; remove one of the two"],
    );
    check_route(
        "{match: [/a, /b, /a], to: app}",
        &["5:22: error: `/a` matches the same requests as route `/a` in line 5; remove one of the two"],
    );
    check_route(
        "{match: \"/{a}\", redirect: \"/{b}\"}",
        &["5:31: error: `/{b}` is no target of a redirect: the path of this route has no parameter `{b}`"],
    );
    check_route(
        "{match: /a, redirect: {to: /b, status: 305}}",
        &["5:44: error: `status` must be 301, 302, 303, 307 or 308, not `305`"],
    );
    check_route(
        "{match: /a, redirect: /b, rewrite: {path: /c}, timeout: 1s}",
        &[
            "5:31: error: `rewrite` does nothing here: nothing is forwarded by a route with `redirect`; remove it",
            "5:52: error: `timeout` does nothing here: nothing is forwarded by a route with `redirect`; remove it",
        ],
    );
    check_route(
        "{match: /a, respond: 999}",
        &["5:26: error: `respond` must be a whole number from 200 to 599, not `999`"],
    );
    check_route(
        "{match: /a, respond: {status: 204, body: x}}",
        &["5:46: error: a response with status 204 has no body; remove one of the two"],
    );
    check_route(
        "{match: /a, to: {app: 0}}",
        &["5:21: error: no service gets any requests; give one of them a weight above 0"],
    );
    check_route(
        "{match: /a, to: {app: 1, ap: 2}}",
        &["5:30: error: there is no service `ap`; did you mean `app`?"],
    );
    check_route("{match: /a, to: {}}", &["5:21: error: `to` must have at least one key"]);
    check_route("{match: /a, to: app, rewrite: {}}", &["5:35: error: this `rewrite` changes nothing"]);
    check_route(
        "{match: /a, to: app, rewrite: {strip_prefix: /a, path: /b}}",
        &[
            "5:54: error: `path` cannot stand beside `strip_prefix`; keep one of `strip_prefix`, `replace_prefix`, `regex` and `path`",
        ],
    );
    check_route("{match: /a, to: app, rewrite: {path: b}}", &["5:42: error: a path begins with `/`"]);
    check_route(
        "{match: /a, to: app, rewrite: {strip_prefix: a}}",
        &["5:50: error: this is no `rewrite`: a prefix begins with `/` and has more in it, as in `/api`"],
    );
    check_route(
        "{match: /a, to: app, rewrite: {regex: {pattern: \"(\", to: b}}}",
        &["5:53: error: this is no regular expression: unclosed group"],
    );
    check_route(
        "{match: /a, to: app, rewrite: {regex: {pattern: \"a\", to: $1}}}",
        &[
            "5:62: error: this is no `rewrite`: the expression has no group `1`; write `${1}x` for `$1` before `x`",
        ],
    );
    check_route(
        "{match: /a, to: app, rewrite: {host: a b}}",
        &["5:42: error: this is no `rewrite`: character not allowed in host"],
    );
    check_route(
        "{match: /a, to: app, headers: {request: {set: {host: a}}}}",
        &["5:52: error: header `host` is changed by `rewrite`, not by `headers`"],
    );
    check_route(
        "{match: /a, to: app, headers: {request: {add: {\"x y\": a}}}}",
        &["5:52: error: `x y` is not the name of a header"],
    );
    check_route(
        "{match: /a, to: app, headers: {response: {set: {x: \"a\\nb\"}}}}",
        &["5:56: error: the value of `x` has control characters in it or blanks around it, or is too long"],
    );
    check_route(
        "{match: /a, to: app, headers: {response: {set: {x: a, X: b}}}}",
        &["5:59: error: header `X` is set twice; `add` appends several"],
    );
    check_route(
        "{match: /a, name: n, to: app}\n  - {match: /b, name: n, to: app}",
        &["6:23: error: the route in line 5 has the name `n` too; give each its own name"],
    );
    check_route("{match: /a*c, to: app}\n  - {match: /b*c, to: app}", &[]);
    check_route(
        "{match: \"/{x}\", to: app}\n  - {match: \"/{y}\", to: app}",
        &[
            "6:13: warning: some requests match this route and route `/{x}` in line 5, neither is the more specific, and `/{x}` wins by its text alone; make one of them more specific",
        ],
    );
}

#[test]
fn recordings_are_checked() {
    check_added(
        "record: {sample: 1%}",
        &["6:9: error: `file` is missing in this record; write, for example, `file: traffic.jsonl`"],
    );
    for sample in ["0%", "101%", "1", "0.00001%", "some"] {
        let what = format!(
            "6:27: error: `sample` must be more than 0 and at most 100%, with up to four digits behind the point, not `{sample}`; write, for example, `1%`"
        );
        check_added(&format!("record: {{file: a, sample: {sample}}}"), &[&what]);
    }
    check_added(
        "record: {file: a, body_max: 9MiB, bytes_max: 100}",
        &[
            "6:29: error: `body_max` must be a size from 0B to 8MiB, not `9MiB`",
            "6:46: error: `bytes_max` must be a size from 1KiB to 1TiB, not `100`",
        ],
    );
    check_added(
        "record: {file: a, routes: [/*, /x]}",
        &["6:32: error: `/x` is neither the name nor the match of a route; did you mean `/*`?"],
    );
    check_added(
        "record: {file: a, redact: [authorization, a b]}",
        &[
            "6:27: warning: `redact` does not name `cookie`: what clients send in it will be in the recording; name it, unless that is what you want",
            "6:43: error: `a b` is not the name of a header",
        ],
    );
    check_added(
        "record: false",
        &[
            "6:9: error: `record` must be `off`, the path of a file or a map with `file`, `sample`, `routes` and the like, not `false`; did you mean `off`?",
        ],
    );
}

#[test]
fn variables_are_filled_in_before_values_are_read() {
    let env = |name: &str| (name == "PORT").then(|| "3000".to_owned());
    let around = Surroundings { env: &env, base: None };
    let text = "listen: 127.0.0.1:${PORT}\nworkers: ${WORKERS:-3}\nroutes: [{match: /*, respond: 200}]\n";
    let settings = load_text("f", text, around).unwrap().server;
    assert_eq!(settings.listen[0].to_string(), "127.0.0.1:3000");
    assert_eq!(settings.workers.count().get(), 3);
    check(
        text,
        &[
            "1:19: error: the environment variable `PORT` is not set; set it, or give a default: `${PORT:-...}`",
        ],
    );
}

//! The admin server over real sockets.

use std::net::Ipv4Addr;

use forebay_net::address::Address;
use forebay_proxy::supervisor::{EndpointView, Out, Reason, Source};
use forebay_telemetry::access::{Format, Target};
use forebay_telemetry::log::{Level, Settings};
use forebay_telemetry::stats::Class;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;

/// Longest any test waits for a byte; reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

struct Plugged(Reload);

impl Control for Plugged {
    fn routes(&self) -> Value {
        json!([{ "name": "shop" }])
    }

    fn services(&self) -> Vec<ServiceView> {
        vec![shop()]
    }

    fn service(&self, name: &str) -> Option<ServiceView> {
        Some(shop()).filter(|service| *service.name == *name)
    }

    fn change(&self, service: &str, endpoint: &Address, wish: Change) -> Result<(), SteerError> {
        let shop = self.service(service).ok_or_else(|| SteerError::NoService(vec!["shop".into()]))?;
        let known: Vec<Address> = shop.endpoints.iter().map(|endpoint| endpoint.address.clone()).collect();
        match (known.contains(endpoint), wish) {
            (true, Change::Add { .. }) => Err(SteerError::AlreadyThere),
            (true, Change::Remove) => Err(SteerError::NotAdded(Source::Settings)),
            (true, Change::Steer(_)) => Ok(()),
            (false, Change::Add { .. }) if endpoint.is_of([0, 0, 0, 0].into()) => Err(SteerError::Denied),
            (false, _) => Err(SteerError::NoEndpoint(known)),
        }
    }

    fn listen(&self) -> Vec<String> {
        vec!["127.0.0.1:8080".to_owned()]
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Reload> + Send + '_>> {
        let outcome = self.0.clone();
        Box::pin(async move { outcome })
    }

    fn upgrade(&self) -> Pin<Box<dyn Future<Output = Upgrade> + Send + '_>> {
        Box::pin(async { Upgrade::Refused { reason: "a.yaml:1:1: no\n\na.yaml:2:1: no\n".to_owned() } })
    }
}

/// A service with an endpoint that is well, and one that was drained.
fn shop() -> ServiceView {
    let endpoint = |address: &str, outs: Vec<Out>| EndpointView {
        address: address.parse().expect("it is an address"),
        source: Source::Settings,
        weight: 1,
        priority: 0,
        share: outs.is_empty().then_some(1_000),
        outs,
        ramp: None,
        in_flight: 0,
        connections: 0,
        check: None,
        ejections: [0; 4],
    };
    let drained =
        Out { reason: Reason::Drained, since: Instant::from_nanos(1), until: None, detail: "by hand".into() };
    ServiceView {
        name: "shop".into(),
        balance: "least_loaded",
        panic: false,
        priority: 0,
        waiting: 0,
        sources: Vec::new(),
        endpoints: vec![endpoint("10.0.0.1:80", Vec::new()), endpoint("[::1]:80", vec![drained])],
    }
}

struct Admin {
    address: SocketAddr,
    state: Arc<AdminState>,
    stop: oneshot::Sender<Stop>,
    server: tokio::task::JoinHandle<()>,
}

fn done(generation: u64) -> Reload {
    Reload::Done { generation, changes: Box::default() }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Admin {
    async fn start(token: Option<&str>, reload: Reload) -> Self {
        let telemetry = Telemetry::new(1, &["no_route"]);
        let log = Log::start(&Settings {
            level: Level::Error,
            format: Format::Json,
            colour: false,
            target: Target::Stderr,
        })
        .unwrap();
        let state = Arc::new(AdminState::new(telemetry, Arc::new(Plugged(reload)), log, Vec::new()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let token = token.map(str::to_owned);
        let serving = Arc::clone(&state);
        let server = tokio::spawn(async move {
            let stop = async { stopped.await.expect("nobody drops it") };
            serve(listener, serving, token, stop).await;
        });
        Self { address, state, stop, server }
    }

    async fn open() -> Self {
        Self::start(None, Reload::Unavailable).await
    }

    /// Sends a request as it is and reads to the end of the connection.
    async fn exchange(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head["HTTP/1.1 ".len()..][..3].parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let host = self.address;
        self.exchange(&format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n"
        ))
        .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    #[track_caller]
    fn check(&self, status: u16, reason: &str) {
        assert_eq!((self.status, self.json()["reason"].as_str()), (status, Some(reason)), "{}", self.body);
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
    }
}

#[tokio::test]
async fn readiness_follows_the_phase_and_liveness_does_not() {
    let admin = Admin::open().await;
    for (phase, status, word) in [
        (Phase::Starting, 503, "starting\n"),
        (Phase::Ready, 200, "ready\n"),
        (Phase::Draining, 503, "draining\n"),
    ] {
        admin.state.set_phase(phase);
        let answer = admin.get("/readyz").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, word));
        assert_eq!(admin.get("/livez").await.status, 200);
    }
}

#[tokio::test]
async fn metrics_come_in_both_formats() {
    let admin = Admin::open().await;
    admin.state.telemetry.worker(0).route("shop").requests.count(Class::Success);
    let answer = admin.get("/metrics").await;
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    assert!(answer.body.contains("forebay_requests_total{route=\"shop\",class=\"2xx\"} 1\n"));
    let answer = admin.ask("GET", "/metrics", "accept: application/openmetrics-text\r\n").await;
    assert!(answer.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_status_says_what_the_page_needs() {
    let admin = Admin::open().await;
    admin.state.set_phase(Phase::Ready);
    admin.state.telemetry.worker(0).route("shop").requests.count(Class::Success);
    admin.state.tick();
    let status = admin.get("/api/v1/status").await.json();
    assert_eq!(status["phase"], "ready");
    assert_eq!(status["routes"][0]["name"], "shop");
    for member in ["recent", "history", "total", "endpoints", "refusals", "connections", "process", "version"]
    {
        assert!(status.get(member).is_some(), "{member}");
    }
    assert_eq!(admin.get("/api/v1/routes").await.json(), json!([{ "name": "shop" }]));
}

/// The same without what the clock says: between two questions it goes on.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            let is_time =
                |name: &str| name.contains("since") || name.contains("until") || name.contains("seconds");
            members.retain(|name, _| !is_time(name));
            members.values_mut().for_each(|member| *member = timeless(member.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    value
}

#[tokio::test]
async fn services_and_endpoints_are_shown_in_every_grain() {
    let admin = Admin::open().await;
    let services = admin.get("/api/v1/services").await.json();
    assert_eq!(services.as_array().map(Vec::len), Some(1));
    assert_eq!(services[0]["states"], json!({ "up": 1, "drained": 1 }));
    let one = admin.get("/api/v1/services/shop").await.json();
    assert_eq!(timeless(services[0].clone()), timeless(one));
    let flat = admin.get("/api/v1/endpoints").await.json();
    assert_eq!((&flat["total"], &flat["endpoints"][0]["service"]), (&json!(2), &json!("shop")));
    let out = admin.get("/api/v1/endpoints?state=out").await.json();
    assert_eq!((&out["total"], &out["endpoints"][0]["address"]), (&json!(1), &json!("[::1]:80")));
    let cut = admin.get("/api/v1/endpoints?limit=1").await.json();
    assert_eq!((&cut["total"], &cut["endpoints"][0]["address"]), (&json!(2), &json!("[::1]:80")));
    let one = admin.get("/api/v1/services/shop/endpoints/%5b::1%5d%3a80").await.json();
    assert_eq!((&one["state"], &one["outs"][0]["detail"]), (&json!("drained"), &json!("by hand")));
    admin.get("/api/v1/services/shap").await.check(404, "no_service");
    admin.get("/api/v1/endpoints?service=shap").await.check(404, "no_service");
    admin.get("/api/v1/endpoints?stat=up").await.check(400, "bad_query");
    admin.get("/api/v1/services/shop/endpoints/10.0.0.9:80").await.check(404, "no_endpoint");
    admin.get("/api/v1/services/shop/endpoints/10.0.0.1:80/more/of/it").await.check(404, "not_found");
}

#[tokio::test]
async fn endpoints_are_steered_by_path_and_added_by_body() {
    const ENDPOINTS: &str = "/api/v1/services/shop/endpoints";
    let admin = Admin::open().await;
    let post = |path: String, body: &str| {
        let headers = format!("content-length: {}\r\n\r\n{body}", body.len());
        let request = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}");
        let admin = &admin;
        async move { admin.exchange(&request).await }
    };
    for action in ["drain", "disable", "enable"] {
        let answer = post(format!("{ENDPOINTS}/10.0.0.1:80/{action}"), "").await;
        assert_eq!((answer.status, &answer.json()["address"]), (200, &json!("10.0.0.1:80")), "{action}");
    }
    post(format!("{ENDPOINTS}/10.0.0.1:80/drain"), "{\"for\":\"60s\"}").await.check(422, "bad_body");
    post(format!("{ENDPOINTS}/10.0.0.1:80/dran"), "").await.check(404, "not_found");
    post(format!("{ENDPOINTS}/10.0.0.9:80/drain"), "").await.check(404, "no_endpoint");
    post(format!("{ENDPOINTS}/shop.test:80/drain"), "").await.check(404, "no_endpoint");
    post("/api/v1/services/shap/endpoints/10.0.0.1:80/drain".to_owned(), "").await.check(404, "no_service");
    post(ENDPOINTS.to_owned(), r#"{"address":"10.0.0.1:80"}"#).await.check(409, "already_there");
    post(ENDPOINTS.to_owned(), r#"{"address":"0.0.0.0:80"}"#).await.check(422, "address_denied");
    let answer = post(ENDPOINTS.to_owned(), r#"{"address":"10.0.0.1:80","wieght":1}"#).await;
    answer.check(422, "bad_body");
    assert_eq!(answer.json()["problems"], json!(["`wieght` is unknown; did you mean `weight`?"]));
    admin.ask("DELETE", &format!("{ENDPOINTS}/10.0.0.1:80"), "").await.check(409, "not_added");
    let answer = admin.get(&format!("{ENDPOINTS}/10.0.0.1:80/drain")).await;
    answer.check(405, "method_not_allowed");
    let answer = admin.ask("PUT", ENDPOINTS, "content-length: 0\r\n").await;
    answer.check(405, "method_not_allowed");
    assert!(answer.head.contains("allow: get, head, post"), "{}", answer.head);
}

#[tokio::test]
async fn endpoints_are_guarded_like_reloads() {
    let path = "/api/v1/services/shop/endpoints/10.0.0.1:80";
    let admin = Admin::open().await;
    for (method, path) in [("POST", format!("{path}/drain")), ("DELETE", path.to_owned())] {
        admin.ask(method, &path, "origin: http://evil.test\r\n").await.check(403, "cross_origin");
    }
    let admin = Admin::start(Some("s3cret"), done(2)).await;
    for (method, path) in [("POST", format!("{path}/drain")), ("DELETE", path.to_owned())] {
        admin.ask(method, &path, "").await.check(401, "unauthorized");
    }
    for path in ["/api/v1/services", "/api/v1/services/shop", "/api/v1/endpoints", path] {
        admin.get(path).await.check(401, "unauthorized");
    }
}

#[tokio::test]
async fn the_page_carries_its_policy_and_nothing_from_elsewhere() {
    let admin = Admin::open().await;
    let (first, second) = (admin.get("/").await, admin.get("/").await);
    let nonce = |answer: &Answer| {
        let (_, rest) = answer.head.split_once("script-src 'nonce-").expect("a policy with a nonce");
        rest.split_once('\'').map(|(nonce, _)| nonce.to_owned())
    };
    assert_ne!(nonce(&first), nonce(&second));
    assert!(first.body.contains(&format!("<script nonce=\"{}\">", nonce(&first).unwrap())));
    for foreign in ["http://", "https://", "src=", "@import", "url(", "innerHTML", "insertAdjacentHTML", "{{"]
    {
        let body = first.body.replace("http://www.w3.org/2000/svg", "");
        assert!(!body.contains(foreign), "{foreign}");
    }
    for header in ["x-content-type-options: nosniff", "cache-control: no-store", "x-frame-options: deny"] {
        assert!(first.head.contains(header), "{header}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let admin = Admin::open().await;
    let (get, head) = (admin.get("/api/v1/routes").await, admin.ask("HEAD", "/api/v1/routes", "").await);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.contains(&format!("content-length: {}", get.body.len())), "{}", head.head);
}

#[tokio::test]
async fn methods_and_paths_that_do_not_exist_are_refused_by_name() {
    let admin = Admin::open().await;
    admin.get("/nothing/here").await.check(404, "not_found");
    let answer = admin.ask("POST", "/metrics", "content-length: 0\r\n").await;
    answer.check(405, "method_not_allowed");
    assert!(answer.head.contains("allow: get, head"), "{}", answer.head);
    let answer = admin.get("/api/v1/reload").await;
    answer.check(405, "method_not_allowed");
    assert!(answer.head.contains("allow: post"), "{}", answer.head);
}

#[tokio::test]
async fn a_reload_says_what_became_of_it() {
    let reload =
        |outcome| async { Admin::start(None, outcome).await.ask("POST", "/api/v1/reload", "").await };
    let answer = reload(done(7)).await;
    assert_eq!((answer.status, &answer.json()["generation"]), (200, &json!(7)));
    assert_eq!((&answer.json()["changed"], &answer.json()["summary"]), (&json!(false), &json!([])));
    let problems = vec!["forebay.yaml:3:1: unknown key".to_owned()];
    let answer = reload(Reload::Refused { problems }).await;
    answer.check(422, "reload_refused");
    assert_eq!(answer.json()["problems"], json!(["forebay.yaml:3:1: unknown key"]));
    reload(Reload::Unavailable).await.check(409, "no_settings_file");
}

#[tokio::test]
async fn pages_from_elsewhere_are_kept_out() {
    let admin = Admin::start(None, done(2)).await;
    let rebound = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: evil.test\r\nconnection: close\r\n\r\n");
    for path in ["/", "/metrics", "/api/v1/status", "/nothing"] {
        admin.exchange(&rebound(path)).await.check(421, "host_unknown");
    }
    // Probes come by all kinds of names, and one word harms nobody.
    assert_eq!(admin.exchange(&rebound("/livez")).await.status, 200);
    admin.ask("POST", "/api/v1/reload", "origin: http://evil.test\r\n").await.check(403, "cross_origin");
    admin.exchange("GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.check(400, "host_missing");
}

#[tokio::test]
async fn with_a_token_only_its_holder_sees_numbers() {
    let admin = Admin::start(Some("s3cret"), done(2)).await;
    for path in ["/metrics", "/api/v1/status", "/api/v1/routes", "/nothing"] {
        let answer = admin.get(path).await;
        answer.check(401, "unauthorized");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
    }
    for path in ["/", "/livez"] {
        assert_eq!(admin.get(path).await.status, 200, "{path}");
    }
    let header = "authorization: Bearer s3cret\r\n";
    assert_eq!(admin.ask("GET", "/metrics", header).await.status, 200);
    assert_eq!(admin.ask("POST", "/api/v1/reload", header).await.status, 200);
    admin.ask("POST", "/api/v1/reload", "authorization: Bearer guess\r\n").await.check(401, "unauthorized");
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused() {
    let admin = Admin::start(None, done(2)).await;
    let post = |length: usize| {
        let headers = format!("content-length: {length}\r\n\r\n{}", "x".repeat(length));
        let request =
            format!("POST /api/v1/reload HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}");
        let admin = &admin;
        async move { admin.exchange(&request).await }
    };
    assert_eq!(post(64 << 10).await.status, 200);
    post((64 << 10) + 1).await.check(413, "body_too_large");
}

#[tokio::test]
async fn a_head_beyond_the_bound_is_refused() {
    let admin = Admin::open().await;
    let answer = admin.ask("GET", "/livez", &format!("x: {}\r\n", "x".repeat(20_000))).await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_the_server() {
    let admin = Admin::open().await;
    let mut idle = TcpStream::connect(admin.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    admin.stop.send(Stop::Ended).unwrap();
    tokio::time::timeout(PATIENCE, admin.server).await.unwrap().unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, idle.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(TcpStream::connect(admin.address).await.is_err());
}

/// Reads one answer of a connection that goes on, and gives its head.
async fn one_answer(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let read_head_and_body = async {
        loop {
            let mut piece = [0; 1024];
            let length = stream.read(&mut piece).await.unwrap();
            assert!(length > 0, "it broke off");
            read.extend_from_slice(&piece[..length]);
            let text = std::str::from_utf8(&read).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let (_, rest) = head.split_once("content-length: ").expect("it has a length");
            if rest.lines().next().unwrap().parse() == Ok(body.len()) {
                return head;
            }
        }
    };
    tokio::time::timeout(PATIENCE, read_head_and_body).await.unwrap()
}

#[tokio::test]
async fn after_a_change_of_processes_each_connection_is_answered_once_more() {
    const PROBE: &[u8] = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let admin = Admin::open().await;
    admin.state.set_phase(Phase::Ready);
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(PROBE).await.unwrap();
        assert!(!one_answer(&mut stream).await.contains("connection: close"));
        open.push(stream);
    }
    // One is in the middle of a head.
    open[1].write_all(&PROBE[..20]).await.unwrap();
    admin.stop.send(Stop::Succeeded).unwrap();
    while TcpStream::connect(admin.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    open[0].write_all(PROBE).await.unwrap();
    open[1].write_all(&PROBE[20..]).await.unwrap();
    // What the other process has to do is not done here.
    let change = b"POST /api/v1/reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    open[2].write_all(change).await.unwrap();
    for (stream, status) in open.iter_mut().zip(["200", "200", "503"]) {
        let head = one_answer(stream).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
    tokio::time::timeout(PATIENCE, admin.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn every_problem_of_an_upgrade_is_an_element_of_its_own() {
    let admin = Admin::open().await;
    let answer = admin.ask("POST", "/api/v1/upgrade", "").await;
    answer.check(409, "upgrade_refused");
    assert_eq!(answer.json()["problems"], json!(["a.yaml:1:1: no", "a.yaml:2:1: no"]));
}

/// Sends half a head and waits to be thrown out, again and again; counts how often.
async fn hold_a_place(address: SocketAddr, thrown_out: Arc<std::sync::atomic::AtomicUsize>) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost").await;
            let _ = stream.read(&mut [0]).await;
        }
        thrown_out.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn connections_that_ask_nothing_keep_nobody_out() {
    let admin = Admin::open().await;
    let (thrown_out, mut attack) = (Arc::default(), JoinSet::new());
    for _ in 0..CONNECTIONS_MAX * 2 {
        attack.spawn(hold_a_place(admin.address, Arc::clone(&thrown_out)));
    }
    let all_taken = async {
        while thrown_out.load(Ordering::Relaxed) < CONNECTIONS_MAX {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all_taken).await.unwrap();
    for _ in 0..100 {
        let answer = tokio::time::timeout(PATIENCE, admin.get("/livez")).await.unwrap();
        assert_eq!(answer.status, 200);
    }
}

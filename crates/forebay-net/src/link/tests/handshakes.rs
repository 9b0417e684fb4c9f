//! Handshakes that come about, and those that do not.

use std::io::Write;

use forebay_testkit::tls::Wish;
use rustls::version::{TLS12, TLS13};
use tokio::net::UnixStream;

use super::*;
use crate::tls::{Alpn, ClientAuth, Offer, UnknownName, Version};

#[test]
fn both_sides_agree() {
    run(async |stage| {
        let (server, client) = stage.shake(&stage.server(), &stage.client(), "www.shop.test").await;
        let (server, client) = (server.unwrap(), client.unwrap());
        assert_eq!(server.1.sni.as_deref(), Some("www.shop.test"));
        assert_eq!((server.1.alpn, server.1.version), (Alpn::H1, Version::V1_3));
        assert_eq!((client.1.alpn, client.1.version), (Alpn::H1, Version::V1_3));
        assert_eq!(server.1.cipher, client.1.cipher);
        assert!(server.1.cipher.starts_with("TLS13_"), "{}", server.1.cipher);
        assert!(!server.1.resumed && server.1.client.is_none());
        assert_eq!(stage.read(&server.0, 1).await.unwrap(), b"x");
        stage.write(&server.0, b"hello").await;
        assert_eq!(stage.read(&client.0, 5).await.unwrap(), b"hello");
    });
}

#[test]
fn a_socket_of_this_machine_is_secured_as_well() {
    run(async |stage| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (server, client) = (stage.server(), stage.client());
        let accept = stage.accept(Link::unix(ours), &server);
        let connect = async {
            let (link, _) = stage.connect(Link::unix(theirs), &client, "shop.test").await.unwrap();
            stage.write(&link, b"hello").await;
            link
        };
        let (server, _client) = tokio::join!(accept, connect);
        assert_eq!(stage.read(&server.unwrap().0, 5).await.unwrap(), b"hello");
    });
}

#[test]
fn versions_below_the_oldest_allowed_are_refused() {
    let check = |min_version, versions: &[&'static SupportedProtocolVersion], expected: &str| {
        run(async |stage| {
            let server = Server::new(ServerSettings { min_version, ..stage.settings() }, None).unwrap();
            let (ours, theirs) = sockets().await;
            let mut client = plain(theirs, &stage.config(versions, |_| ()));
            let other = beside(move || client.write_all(b"x").map(|()| client));
            let (server, _client) = tokio::join!(stage.accept(Link::new(ours), &server), other);
            let shown =
                server.map_or_else(|failure| failure.why.word(), |(_, handshake)| handshake.version.text());
            assert_eq!(shown, expected);
        });
    };
    check(Version::V1_2, &[&TLS12], "TLSv1.2");
    check(Version::V1_2, &[&TLS13], "TLSv1.3");
    check(Version::V1_2, &[&TLS12, &TLS13], "TLSv1.3");
    check(Version::V1_3, &[&TLS12], "version");
    check(Version::V1_3, &[&TLS12, &TLS13], "TLSv1.3");
}

#[test]
fn suites_are_ours_to_choose_unless_the_client_has_no_hardware_for_aes() {
    use rustls::crypto::aws_lc_rs::{cipher_suite as suites, default_provider};
    let check = |offered: &[rustls::SupportedCipherSuite], expected: &str| {
        run(async |stage| {
            let mut provider = default_provider();
            provider.cipher_suites = offered.to_vec();
            let builder = ClientConfig::builder_with_provider(Arc::new(provider));
            let builder = builder.with_safe_default_protocol_versions().unwrap().dangerous();
            let config = builder.with_custom_certificate_verifier(Arc::new(Anything)).with_no_client_auth();
            let (server, (ours, theirs)) = (stage.server(), sockets().await);
            let mut client = plain(theirs, &Arc::new(config));
            let other = beside(move || client.write_all(b"x").map(|()| client));
            let (server, _client) = tokio::join!(stage.accept(Link::new(ours), &server), other);
            assert_eq!(server.unwrap().1.cipher, expected);
        });
    };
    let (small, large) = (suites::TLS13_AES_128_GCM_SHA256, suites::TLS13_AES_256_GCM_SHA384);
    let chacha = suites::TLS13_CHACHA20_POLY1305_SHA256;
    check(&[large, small, chacha], "TLS13_AES_128_GCM_SHA256");
    check(&[large, chacha], "TLS13_AES_256_GCM_SHA384");
    check(&[chacha, large, small], "TLS13_CHACHA20_POLY1305_SHA256");
    let old = [
        suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ];
    check(&old, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
    check(&[old[2], old[1]], "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
}

#[test]
fn names_pick_certificates_and_a_wildcard_stands_for_one_label() {
    let check = |unknown_name, name: &str, expected: [&str; 2]| {
        run(async |stage| {
            let names: [&[&str]; 3] = [&["first.test"], &["shop.test", "*.shop.test"], &["exact.shop.test"]];
            let certificates =
                names.map(|names| certificate(&stage.authority.issue(names), names[0])).to_vec();
            let settings = ServerSettings { certificates, unknown_name, ..ServerSettings::default() };
            let server = Server::new(settings, None).unwrap();
            let (server, client) = stage.shake(&server, &stage.client(), name).await;
            assert_eq!([word(&server), word(&client)], expected, "{name}");
        });
    };
    let agreed = ["agreed", "agreed"];
    for name in ["first.test", "shop.test", "SHOP.test", "www.shop.test", "exact.shop.test"] {
        check(UnknownName::First, name, agreed);
        check(UnknownName::Refuse, name, agreed);
    }
    for name in ["a.b.shop.test", "other.test", "test"] {
        check(UnknownName::First, name, ["refused", "wrong_name"]);
        check(UnknownName::Refuse, name, ["unknown_name", "unknown_name"]);
    }
    // An address is no name to ask for: the first certificate is shown, which is not for it.
    check(UnknownName::First, "127.0.0.1", ["refused", "wrong_name"]);
    check(UnknownName::Refuse, "127.0.0.1", ["unknown_name", "unknown_name"]);
}

#[test]
fn of_several_certificates_for_a_name_one_that_is_valid_is_shown() {
    let check = |wishes: &[Wish<'_>], unknown_name, name: &str, expected: &str| {
        run(async |stage| {
            let certificates =
                wishes.iter().map(|wish| certificate(&stage.authority.grant(wish), "it")).collect();
            let settings = ServerSettings { certificates, unknown_name, ..ServerSettings::default() };
            let server = Server::new(settings, None).unwrap();
            let (_server, client) = stage.shake(&server, &stage.client(), name).await;
            assert_eq!(word(&client), expected, "{name}: {wishes:?}");
        });
    };
    let good = Wish { names: &["a.test", "127.0.0.1"], ..Wish::default() };
    let old = Wish { expired: true, ..good.clone() };
    check(&[old.clone(), good.clone(), good.clone()], UnknownName::Refuse, "a.test", "agreed");
    check(&[old.clone(), old.clone(), good.clone()], UnknownName::First, "127.0.0.1", "agreed");
    check(&[good, old.clone()], UnknownName::Refuse, "a.test", "agreed");
    check(&[old.clone(), old], UnknownName::Refuse, "a.test", "certificate_expired");
}

#[test]
fn a_wildcard_may_stand_right_below_the_top() {
    run(async |stage| {
        let settings = ServerSettings {
            certificates: vec![certificate(&stage.authority.issue(&["*.test"]), "it")],
            unknown_name: UnknownName::Refuse,
            ..ServerSettings::default()
        };
        let server = Server::new(settings, None).unwrap();
        for (name, expected) in
            [("shop.test", "refused"), ("a.shop.test", "unknown_name"), ("test", "unknown_name")]
        {
            // It is shown. This client is one of those that do not believe it.
            let (server, _client) = stage.shake(&server, &stage.client(), name).await;
            assert_eq!(word(&server), expected, "{name}");
        }
    });
}

#[test]
fn an_address_can_be_in_a_certificate_and_another_name_can_be_asked_for() {
    run(async |stage| {
        let (server, client) = stage.shake(&stage.server(), &stage.client(), "127.0.0.1").await;
        assert_eq!((word(&client), server.unwrap().1.sni), ("agreed", None));
        let settings = ClientSettings { name: Some("shop.test".into()), ..stage.client_settings() };
        let client = Client::new(settings).unwrap();
        let (server, client) = stage.shake(&stage.server(), &client, "10.0.0.1").await;
        assert_eq!((word(&client), server.unwrap().1.sni.as_deref()), ("agreed", Some("shop.test")));
    });
}

#[test]
fn protocols_are_agreed_on_or_there_is_no_connection() {
    let check = |offer, http2, expected: Result<Alpn, &str>| {
        run(async |stage| {
            let (server, (ours, theirs)) = (stage.server(), pair().await);
            let client = Client::new(ClientSettings { offer, ..stage.client_settings() }).unwrap();
            let alarm = stage.wheel.alarm();
            let accept = ours.accept_tls(&server, http2, &[], &alarm, soon());
            let connect = async {
                let (link, handshake) = stage.connect(theirs, &client, "shop.test").await?;
                stage.write(&link, b"x").await;
                Ok((link, handshake))
            };
            let (server, client): (Shaken, Shaken) = tokio::join!(accept, connect);
            let alpn =
                |shaken: Shaken| shaken.map(|shaken| shaken.1.alpn).map_err(|failure| failure.why.word());
            assert_eq!((alpn(server), alpn(client)), (expected, expected));
        });
    };
    check(Offer::Http1, true, Ok(Alpn::H1));
    check(Offer::Http2, true, Ok(Alpn::H2));
    check(Offer::Both, true, Ok(Alpn::H2));
    check(Offer::Both, false, Ok(Alpn::H1));
    check(Offer::Http2, false, Err("protocol"));
}

#[test]
fn clients_without_protocols_go_on() {
    run(async |stage| {
        let (server, (ours, theirs)) = (stage.server(), sockets().await);
        let mut client = plain(theirs, &stage.config(&[&TLS13], |_| ()));
        let other = beside(move || client.write_all(b"x").map(|()| client));
        let (server, _client) = tokio::join!(stage.accept(Link::new(ours), &server), other);
        assert_eq!(server.unwrap().1.alpn, Alpn::None);
    });
}

/// What becomes of a handshake in which the client shows what `shown` makes.
fn check_client_auth(required: bool, shown: impl Fn(&Stage) -> Option<Issued>, expected: [&str; 2]) {
    run(async |stage| {
        let ca = stage.authority.pem().into_bytes().into();
        let client_auth = Some(ClientAuth { ca, origin: "clients.pem".into(), required });
        let server = Server::new(ServerSettings { client_auth, ..stage.settings() }, None).unwrap();
        let certificate = shown(&stage).map(|issued| certificate(&issued, "client.pem"));
        let client = Client::new(ClientSettings { certificate, ..stage.client_settings() }).unwrap();
        let (server, client) = stage.shake(&server, &client, "shop.test").await;
        let subject = match &server {
            Ok((_, handshake)) => {
                handshake.client.as_ref().map_or("nobody", |client| &*client.subject).to_owned()
            }
            Err(failure) => failure.why.word().to_owned(),
        };
        // The client is told with the first thing it reads: its handshake is over before the server's.
        let client = client.unwrap().0;
        if let Ok((link, _)) = &server {
            stage.write(link, b"welcome").await;
        }
        let told = stage.read(&client, 7).await.map_or("refused", |_| "welcome");
        assert_eq!([&*subject, told], expected);
    });
}

#[test]
fn clients_show_who_they_are() {
    let alice = |stage: &Stage| Some(stage.authority.issue_client("Alice, the first"));
    let expired = |stage: &Stage| {
        Some(stage.authority.grant(&Wish { subject: "Bob", client: true, expired: true, ..Wish::default() }))
    };
    let stranger = |_: &Stage| Some(Authority::new("another root").issue_client("Eve"));
    let for_servers = |stage: &Stage| Some(stage.authority.issue(&["alice.test"]));
    for required in [true, false] {
        check_client_auth(required, alice, ["CN=Alice\\, the first", "welcome"]);
        check_client_auth(required, expired, ["certificate_expired", "refused"]);
        check_client_auth(required, stranger, ["unknown_authority", "refused"]);
        check_client_auth(required, for_servers, ["bad_certificate", "refused"]);
    }
    check_client_auth(true, |_| None, ["certificate_required", "refused"]);
    check_client_auth(false, |_| None, ["nobody", "welcome"]);
}

#[test]
fn a_clients_names_and_fingerprint_are_known() {
    run(async |stage| {
        let ca = stage.authority.pem().into_bytes().into();
        let client_auth = Some(ClientAuth { ca, origin: "clients.pem".into(), required: true });
        let server = Server::new(ServerSettings { client_auth, ..stage.settings() }, None).unwrap();
        let issued = stage.authority.grant(&Wish {
            names: &["a.test", "::1"],
            uris: &["spiffe://shop.test/a,b"],
            client: true,
            ..Wish::default()
        });
        let shown = Some(certificate(&issued, "client.pem"));
        let client = Client::new(ClientSettings { certificate: shown, ..stage.client_settings() }).unwrap();
        let (server, _client) = stage.shake(&server, &client, "shop.test").await;
        let who = server.unwrap().1.client.unwrap();
        assert_eq!(*who.sans, ["DNS:a.test", "IP:::1", "URI:spiffe://shop.test/a%2Cb"].map(Into::into));
        assert!(who.fingerprint.len() == 64 && who.der.len() > 100);
    });
}

#[test]
fn servers_are_checked() {
    let check = |wish: &Wish<'_>, expected: &str| {
        run(async |stage| {
            let certificates = vec![certificate(&stage.authority.grant(wish), "server.pem")];
            let server =
                Server::new(ServerSettings { certificates, ..ServerSettings::default() }, None).unwrap();
            let (_server, client) = stage.shake(&server, &stage.client(), "shop.test").await;
            assert_eq!(word(&client), expected);
        });
    };
    let good = Wish { names: &["shop.test"], ..Wish::default() };
    check(&good, "agreed");
    check(&Wish { ed25519: true, ..good.clone() }, "agreed");
    check(&Wish { expired: true, ..good.clone() }, "certificate_expired");
    check(&Wish { names: &["other.test"], ..good }, "wrong_name");
    run(async |stage| {
        let settings = ClientSettings {
            ca: Some(Authority::new("another root").pem().into_bytes().into()),
            ..stage.client_settings()
        };
        let (server, client) =
            stage.shake(&stage.server(), &Client::new(settings).unwrap(), "shop.test").await;
        assert_eq!([word(&server), word(&client)], ["refused", "unknown_authority"]);
    });
}

#[test]
fn a_certificate_that_a_server_made_for_itself_is_believed_if_it_is_named() {
    let check = |wish: &Wish<'_>, listed: bool, expected: &str| {
        run(async |stage| {
            let own = Issued::self_signed(wish);
            let certificates = vec![certificate(&own, "server.pem")];
            let server =
                Server::new(ServerSettings { certificates, ..ServerSettings::default() }, None).unwrap();
            let other = Issued::self_signed(&Wish { authority: true, ..Wish::default() }).certificate;
            let ca = if listed { other + &own.certificate } else { other };
            let settings = ClientSettings { ca: Some(ca.into_bytes().into()), ..stage.client_settings() };
            let (_server, client) = stage.shake(&server, &Client::new(settings).unwrap(), "shop.test").await;
            assert_eq!(word(&client), expected, "{wish:?}");
        });
    };
    for authority in [true, false] {
        let good = Wish { names: &["shop.test"], subject: "itself", authority, ..Wish::default() };
        check(&good, true, "agreed");
        check(&Wish { expired: true, ..good.clone() }, true, "certificate_expired");
        check(&Wish { names: &["other.test"], ..good.clone() }, true, "wrong_name");
        check(&good, false, if authority { "bad_certificate" } else { "unknown_authority" });
    }
}

#[test]
fn a_certificate_of_an_authority_is_believed_if_it_is_named_itself() {
    let check = |wish: &Wish<'_>, listed: bool, expected: &str| {
        run(async |stage| {
            let (own, other) = (stage.authority.grant(wish), stage.authority.grant(wish));
            let certificates = vec![certificate(&own, "server.pem")];
            let server =
                Server::new(ServerSettings { certificates, ..ServerSettings::default() }, None).unwrap();
            let ca = if listed { own.certificate } else { other.certificate };
            let settings = ClientSettings { ca: Some(ca.into_bytes().into()), ..stage.client_settings() };
            let (_server, client) = stage.shake(&server, &Client::new(settings).unwrap(), "shop.test").await;
            assert_eq!(word(&client), expected, "{wish:?}");
        });
    };
    let good = Wish { names: &["shop.test"], ..Wish::default() };
    check(&good, true, "agreed");
    check(&good, false, "unknown_authority");
    check(&Wish { expired: true, ..good.clone() }, true, "certificate_expired");
    check(&Wish { names: &["other.test"], ..good }, true, "wrong_name");
}

#[test]
fn sessions_go_on_until_the_rules_change() {
    run(async |stage| {
        let settings = stage.settings();
        let client = Client::new(stage.client_settings()).unwrap();
        let resumed = async |server: &Server, name: &str| {
            let (server, client) = stage.shake(server, &client, name).await;
            let ((server, handshake), (client, _)) = (server.unwrap(), client.unwrap());
            // The ticket goes with the first answer.
            stage.write(&server, b"y").await;
            stage.read(&client, 1).await.unwrap();
            assert_eq!(handshake.sni.as_deref(), Some(name));
            handshake.resumed
        };
        let first = Server::new(settings.clone(), None).unwrap();
        assert!(!resumed(&first, "shop.test").await);
        assert!(resumed(&first, "shop.test").await);
        assert!(!resumed(&first, "www.shop.test").await, "another name, another session");

        let reloaded = Server::new(settings.clone(), Some(&first)).unwrap();
        assert!(resumed(&reloaded, "shop.test").await);

        let ca = stage.authority.pem().into_bytes().into();
        let client_auth = Some(ClientAuth { ca, origin: "clients.pem".into(), required: false });
        let asking =
            Server::new(ServerSettings { client_auth, ..settings.clone() }, Some(&reloaded)).unwrap();
        assert!(!resumed(&asking, "shop.test").await);
        assert!(resumed(&asking, "shop.test").await);

        let without = Server::new(ServerSettings { tickets: false, ..settings }, Some(&asking)).unwrap();
        assert!(!resumed(&without, "shop.test").await);
        assert!(!resumed(&without, "shop.test").await);
    });
}

#[test]
fn sessions_of_the_older_version_go_on_too() {
    run(async |stage| {
        let server = stage.server();
        let config = stage.config(&[&TLS12], |_| ());
        for expected in [false, true] {
            let (ours, theirs) = sockets().await;
            let mut client = plain(theirs, &config);
            let other = beside(move || client.write_all(b"x").map(|()| client));
            let (server, _client) = tokio::join!(stage.accept(Link::new(ours), &server), other);
            assert_eq!(server.unwrap().1.resumed, expected);
        }
    });
}

#[test]
fn certificates_come_and_go_while_it_runs() {
    run(async |stage| {
        let server = Server::new(ServerSettings::default(), None).unwrap();
        let shake = async |server: &Server, name: &str| {
            let (server, client) = stage.shake(server, &stage.client(), name).await;
            [word(&server), word(&client)]
        };
        assert_eq!(shake(&server, "a.test").await, ["unknown_name", "unknown_name"]);
        server.install(&certificate(&stage.authority.issue(&["a.test"]), "acme")).unwrap();
        assert_eq!(shake(&server, "a.test").await, ["agreed", "agreed"]);
        server.install(&certificate(&stage.authority.issue(&["b.test"]), "acme")).unwrap();
        assert_eq!(shake(&server, "a.test").await, ["refused", "wrong_name"]);
        assert_eq!(shake(&server, "b.test").await, ["agreed", "agreed"]);
        // What is installed stays across new settings, and whoever holds the old server goes on installing.
        let reloaded = Server::new(stage.settings(), Some(&server)).unwrap();
        server.install(&certificate(&stage.authority.issue(&["c.test"]), "acme c")).unwrap();
        assert_eq!(shake(&reloaded, "c.test").await, ["agreed", "agreed"]);
        let names: Vec<_> = reloaded.certificates().iter().map(|info| info.names[0].clone()).collect();
        assert_eq!(*names, ["shop.test", "b.test", "c.test"].map(Into::into));
        reloaded.uninstall("acme");
        assert_eq!(shake(&reloaded, "b.test").await, ["refused", "wrong_name"]);
    });
}

#[test]
fn a_challenge_is_shown_to_those_who_ask_for_it_only() {
    run(async |stage| {
        let server = stage.server();
        let wish = Wish { names: &["shop.test"], challenge: Some([7; 32]), ..Wish::default() };
        let challenge = certificate(&Issued::self_signed(&wish), "challenge");
        let acme = async |server: &Server| {
            let (ours, theirs) = sockets().await;
            let config = stage.config(&[&TLS13], |config| {
                config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
                config.dangerous().set_certificate_verifier(Arc::new(Anything));
            });
            let mut client = plain(theirs, &config);
            let other = beside(move || {
                let _ = client.conn.complete_io(&mut client.sock);
                client.conn.peer_certificates().map(|chain| chain[0].to_vec())
            });
            let (server, shown) = tokio::join!(stage.accept(Link::new(ours), server), other);
            (server.map(|shaken| shaken.1.alpn).map_err(|failure| failure.why.word()), shown)
        };
        assert_eq!(acme(&server).await, (Err("unknown_name"), None));
        server.set_challenge("Shop.test", Some(&challenge)).unwrap();
        let der = CertificateDer::from_pem_slice(&challenge.chain).unwrap().to_vec();
        assert_eq!(acme(&server).await, (Ok(Alpn::AcmeTls), Some(der)));
        let (_, usual) = stage.shake(&server, &stage.client(), "shop.test").await;
        assert_eq!(word(&usual), "agreed");
        server.set_challenge("shop.test", None).unwrap();
        assert_eq!(acme(&server).await, (Err("unknown_name"), None));
    });
}

#[test]
fn what_is_no_tls_can_be_answered_in_plain_text() {
    let check = |bytes: &'static [u8], early: &'static [u8], word: &str, http: bool| {
        run(async |stage| {
            let (server, (ours, theirs)) = (stage.server(), pair().await);
            stage.write(&theirs, bytes).await;
            let alarm = stage.wheel.alarm();
            let failure = ours.accept_tls(&server, true, early, &alarm, soon()).await.unwrap_err();
            assert_eq!(failure.why.word(), word);
            assert_eq!(matches!(failure.why, Failure::NotTls { http: true }), http);
            if http {
                stage.write(&failure.link.unwrap(), b"400").await;
                assert_eq!(stage.read(&theirs, 3).await.unwrap(), b"400");
            }
        });
    };
    check(b"GET / HTTP/1.1\r\n\r\n", b"", "not_tls", true);
    check(b"T / HTTP/1.1\r\n\r\n", b"GE", "not_tls", true);
    check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"", "not_tls", true);
    check(b"\x80\x2e\x01\x03\x01", b"", "not_tls", false);
    check(b"\0", b"", "not_tls", false);
    check(b"\x16\x03\x01\xff\xff", b"", "malformed", false);
    check(b"\x03\x01\x00\x02\x01\x00\x00", b"\x16", "malformed", false);
}

#[test]
fn a_handshake_is_bounded_in_time_and_bytes() {
    run(async |stage| {
        let (server, client) = (stage.server(), stage.client());
        let check = async |sent: &[u8], deadline: Instant, expected: &str| {
            let (ours, theirs) = pair().await;
            stage.write(&theirs, sent).await;
            let accepted = ours.accept_tls(&server, true, &[], &stage.wheel.alarm(), deadline).await;
            assert_eq!(word(&accepted), expected);
        };
        check(b"", Instant::now(), "timeout").await;
        check(b"\x16\x03\x01\x02\x00\x01", Instant::now(), "timeout").await;
        // The beginning of a hello of 60,000 bytes, in records of 1,000.
        let mut endless = Vec::new();
        for index in 0..30 {
            endless.extend_from_slice(&[22, 3, 1, 0x03, 0xe8]);
            let mut piece = [0; 1000];
            if index == 0 {
                piece[..4].copy_from_slice(&[1, 0, 0xea, 0x60]);
            }
            endless.extend_from_slice(&piece);
        }
        check(&endless, soon(), "too_large").await;

        let (ours, theirs) = pair().await;
        drop(theirs);
        assert_eq!(word(&stage.accept(ours, &server).await), "closed");
        let (ours, theirs) = pair().await;
        drop(theirs);
        assert_eq!(word(&stage.connect(ours, &client, "shop.test").await), "closed");
        let (ours, _theirs) = pair().await;
        let connected = ours.connect_tls(&client, "shop.test", &stage.wheel.alarm(), Instant::now()).await;
        assert_eq!(word(&connected), "timeout");
    });
}

#[test]
fn nothing_counts_that_a_server_says_before_the_handshake_is_over() {
    run(async |stage| {
        let (ours, theirs) = pair().await;
        stage.write(&theirs, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        let connected = stage.connect(ours, &stage.client(), "shop.test").await;
        assert_eq!(word(&connected), "not_tls");
    });
}

#[test]
fn a_client_that_breaks_the_rules_is_told() {
    run(async |stage| {
        let (ours, theirs) = pair().await;
        stage.write(&theirs, b"\x16\x03\x01\x00\x04\x02\x00\x00\x00").await;
        assert_eq!(word(&stage.accept(ours, &stage.server()).await), "malformed");
        // An alert, fatal, decode_error.
        assert_eq!(stage.read(&theirs, 7).await.unwrap(), b"\x15\x03\x03\x00\x02\x02\x32");
    });
}

/// What `openssl x509 -req -CA …` makes without a file of extensions.
const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBGjCBwQIUAiLeHmj5zz3vQbifAcLqSHb67iQwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCY2EwIBcNMjYxMTIxMjE1OTE0WhgPMjEyNjEwMjgyMTU5MTRaMBExDzAN
BgNVBAMMBmEudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIKBMq480fra
hOXDz4W9ojt53pYuVrCogvzEjnd0JVq7LdmIH6kdB4zs9cP6vqj9cULxFFBOtFCt
MzXeqqSGmagwCgYIKoZIzj0EAwIDSAAwRQIgceeTQdKj8rmxchEhBCC8pgnU15hj
DSWjPabZeI4b24UCIQCbz+Zl7x6SjVixMnAN2x6p8Z+Mi5DL47xo/uGaKx1TQg==
-----END CERTIFICATE-----
";
const VERSION_1_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgSlyAC0qYIF6XkKFk
q/E5vQ9C6U9h/EI3uTpJoLG9NtShRANCAASCgTKuPNH62oTlw8+FvaI7ed6WLlaw
qIL8xI53dCVauy3ZiB+pHQeM7PXD+r6o/XFC8RRQTrRQrTM13qqkhpmo
-----END PRIVATE KEY-----
";

#[test]
fn settings_that_cannot_work_say_which_file_and_what_to_do() {
    let stage = Stage { authority: Authority::new("test root"), wheel: Wheel::default() };
    let (one, other) = (stage.authority.issue(&["a.test"]), stage.authority.issue(&["a.test"]));
    let check = |chain: &str, key: &str, expected: &str| {
        let issued = Issued { certificate: chain.into(), key: key.into() };
        let certificates = vec![certificate(&issued, "shop.pem")];
        let error =
            Server::new(ServerSettings { certificates, ..ServerSettings::default() }, None).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        &one.certificate,
        &other.key,
        "the private key for shop.pem is not that of the certificate; give the key it was issued for",
    );
    check(
        "",
        &one.key,
        "there is no certificate in shop.pem; it must be in PEM, `-----BEGIN CERTIFICATE-----`",
    );
    check(
        &one.certificate,
        "",
        "there is no private key for shop.pem; give one in PEM: PKCS #8, PKCS #1 or SEC 1",
    );
    for sign in
        ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED"]
    {
        check(
            &one.certificate,
            &format!("{sign}\nAAAA\n"),
            "the private key for shop.pem is encrypted; decrypt it, with `openssl pkey -in FILE -out FILE`",
        );
    }
    check(
        &one.certificate,
        "-----BEGIN PRIVATE KEY-----\nAAAA\n",
        "there is no private key for shop.pem (`-----END PRIVATE KEY-----` is missing, as if it were cut off); \
         give one in PEM: PKCS #8, PKCS #1 or SEC 1",
    );
    check(
        &format!("{}-----BEGIN CERTIFICATE\n", one.certificate),
        &one.key,
        "the certificates in shop.pem are not valid PEM: the line `-----BEGIN CERTIFICATE` begins nothing",
    );
    check(
        &format!("{}{}", stage.authority.pem(), one.certificate),
        &one.key,
        "the private key for shop.pem is that of certificate 2 in it; put that first, and after it those it was \
         issued by",
    );
    check(
        &one.certificate.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        &one.key,
        "the certificate in shop.pem is in a form of OpenSSL's own; convert it, with `openssl x509 -in FILE -out FILE`",
    );
    check(
        VERSION_1,
        VERSION_1_KEY,
        "the certificate in shop.pem is X.509 version 1, without the names it is for; issue it anew with the \
         extension subjectAltName",
    );
    check(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        &one.key,
        "the certificate in shop.pem cannot be understood; is it X.509 in PEM?",
    );
}

#[test]
fn the_mark_of_an_editor_in_front_of_a_certificate_does_no_harm() {
    let stage = Stage { authority: Authority::new("test root"), wheel: Wheel::default() };
    let issued = stage.authority.issue(&["a.test"]);
    let issued = Issued {
        certificate: format!("\u{feff}{}", issued.certificate),
        key: format!("\u{feff}{}", issued.key),
    };
    let certificates = vec![certificate(&issued, "shop.pem")];
    assert!(Server::new(ServerSettings { certificates, ..ServerSettings::default() }, None).is_ok());
}

#[test]
fn a_certificate_tells_of_itself() {
    let stage = Stage { authority: Authority::new("test root"), wheel: Wheel::default() };
    let wish =
        Wish { names: &["Shop.test", "*.shop.test"], subject: "shop", expired: true, ..Wish::default() };
    let issued = stage.authority.grant(&wish);
    let info = crate::tls::CertificateInfo::of_pem(issued.certificate.as_bytes(), "shop.pem").unwrap();
    assert_eq!(*info.names, ["shop.test", "*.shop.test"].map(Into::into));
    assert_eq!((info.not_before, info.not_after), (946_684_800, 978_220_800));
    assert_eq!(&*info.subject, "CN=shop");
    assert!(info.issuer.contains("CN=test root"), "{}", info.issuer);
    assert!(!info.serial.is_empty() && &*info.origin == "shop.pem");
}

#[test]
fn a_resumed_client_is_still_who_it_was() {
    run(async |stage| {
        let ca = stage.authority.pem().into_bytes().into();
        let client_auth = Some(ClientAuth { ca, origin: "clients.pem".into(), required: true });
        let server = Server::new(ServerSettings { client_auth, ..stage.settings() }, None).unwrap();
        let shown = Some(certificate(&stage.authority.issue_client("Alice"), "client.pem"));
        let client = Client::new(ClientSettings { certificate: shown, ..stage.client_settings() }).unwrap();
        for expected in [false, true] {
            let (server, client) = stage.shake(&server, &client, "shop.test").await;
            let ((server, handshake), (client, _)) = (server.unwrap(), client.unwrap());
            assert_eq!((handshake.resumed, &*handshake.client.unwrap().subject), (expected, "CN=Alice"));
            stage.write(&server, b"y").await;
            stage.read(&client, 1).await.unwrap();
        }
    });
}

/// Believes everything.
#[derive(Debug)]
struct Anything;

impl rustls::client::danger::ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

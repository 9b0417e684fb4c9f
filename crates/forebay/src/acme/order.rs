//! Get a certificate: an account, an order, a proof for each name, a request for a key of ours, the chain.

use std::sync::Arc;
use std::time::Duration;

use forebay_net::tls::{self, CertificateInfo};
use forebay_proxy::challenge::{Challenges, is_token};
use forebay_proxy::plan::{Acme, Challenge};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};

use super::attempts::Failure;
use super::https::Https;
use super::storage::{Bundle, Storage};
use super::{certificate_of, on_disk};

/// Longest wait for the server to look at all proofs.
const VALIDATION_TIMEOUT: Duration = Duration::from_secs(180);
/// Longest wait for the certificate after that.
const ISSUANCE_TIMEOUT: Duration = Duration::from_secs(120);
/// Between two questions how far it is, at first; later ones are further apart.
const POLL_FIRST: Duration = Duration::from_millis(250);
/// Longest chain, in bytes.
const CHAIN_BYTES_MAX: usize = 128 << 10;

const GONE: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
const RATE_LIMITED: &str = "urn:ietf:params:acme:error:rateLimited";
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";
const INTERNAL: &str = "urn:ietf:params:acme:error:serverInternal";

/// What is needed to get a certificate.
pub(super) struct Issuer<'a> {
    pub(super) acme: &'a Acme,
    pub(super) storage: &'a Arc<Storage>,
    pub(super) challenges: &'a Arc<Challenges>,
    pub(super) server: &'a Arc<tls::Server>,
    /// How long other replicas may take to find what they are to show; `None`: there are no others.
    pub(super) settle: Option<Duration>,
}

impl Issuer<'_> {
    /// Gets one. What comes back has been checked: key and chain belong together, and it is for all the names.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn issue(&self) -> Result<Bundle, Failure> {
        let https = Https::new(self.acme.ca.as_deref()).map_err(Failure::unreachable)?;
        let issued = Box::pin(self.issue_by(&https)).await;
        issued.map_err(|failure| Failure {
            retry_after: failure.retry_after.or(https.retry_after()),
            ..failure
        })
    }

    async fn issue_by(&self, https: &Https) -> Result<Bundle, Failure> {
        let names: Vec<_> = self.acme.domains.iter().map(|name| Identifier::Dns(name.to_string())).collect();
        let account = self.account(https).await?;
        let mut order = match account.new_order(&NewOrder::new(&names)).await {
            // The server has forgotten us, as test servers do: begin anew, once.
            Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(GONE) => {
                on_disk(self.storage, |storage| storage.retire_account()).await?;
                let account = self.account(https).await?;
                account.new_order(&NewOrder::new(&names)).await?
            }
            order => order?,
        };
        // They are taken back when it is over, however it ends.
        let mut proofs = Proofs { issuer: self, tokens: Vec::new(), domains: Vec::new() };
        self.prove(&mut order, &mut proofs).await?;
        drop(proofs);
        let key = KeyPair::generate()
            .map_err(|error| Failure::unreachable(format!("cannot make a key: {error}")))?;
        order.finalize_csr(&request(&self.acme.domains, &key)?).await?;
        let policy = RetryPolicy::new().initial_delay(POLL_FIRST).timeout(ISSUANCE_TIMEOUT);
        let chain = order.poll_certificate(&policy).await?;
        let bundle = format!("{}{chain}", key.serialize_pem());
        check(self.acme, &chain, &bundle)?;
        Ok(bundle)
    }

    /// The account we have, or a new one.
    async fn account(&self, https: &Https) -> Result<Account, Failure> {
        let kept = on_disk(self.storage, |storage| storage.load_account()).await?;
        let builder = || Account::builder_with_http(Box::new(https.clone()));
        // What cannot be understood is as good as none: accounts cost nothing.
        if let Some(credentials) =
            kept.and_then(|text| serde_json::from_str::<AccountCredentials>(&text).ok())
        {
            return Ok(builder().from_credentials(credentials).await?);
        }
        let contact = self.acme.email.as_ref().map(|email| format!("mailto:{email}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let wanted =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder().create(&wanted, self.acme.directory.to_string(), None).await?;
        let text = serde_json::to_string(&credentials)
            .map_err(|error| Failure::unreachable(format!("cannot write down the account: {error}")))?;
        on_disk(self.storage, move |storage| storage.save_account(&text)).await?;
        Ok(account)
    }

    /// Shows that all names are ours.
    async fn prove(&self, order: &mut Order, proofs: &mut Proofs<'_>) -> Result<(), Failure> {
        let (kind, label) = match self.acme.challenge {
            Challenge::Http01 => (ChallengeType::Http01, "http-01"),
            Challenge::TlsAlpn01 => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
        };
        if order.state().authorizations.len() > self.acme.domains.len() {
            return Err(Failure::unreachable("the server wants more proofs than there are names"));
        }
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let name = authorization.identifier().to_string();
            let challenge = authorization.challenge(kind.clone()).ok_or_else(|| {
                Failure::refused(format!(
                    "the server does not offer {label} for {name}; choose another `challenge`"
                ))
            })?;
            let answer = challenge.key_authorization();
            match self.acme.challenge {
                Challenge::Http01 => proofs.put_http(&challenge.token, answer.as_str()).await?,
                Challenge::TlsAlpn01 => proofs.put_tls(&name, answer.digest().as_ref()).await?,
            }
        }
        if let Some(settle) = self.settle {
            tokio::time::sleep(settle).await;
        }
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            if let Some(mut challenge) = authorization.challenge(kind.clone()) {
                challenge.set_ready().await?;
            }
        }
        let policy = RetryPolicy::new().initial_delay(POLL_FIRST).timeout(VALIDATION_TIMEOUT);
        let status = order.poll_ready(&policy).await;
        match status {
            Ok(OrderStatus::Invalid) => Err(refused(order).await),
            Ok(_) => Ok(()),
            Err(Error::Api(problem)) => Err(worse(refused(order).await, &problem)),
            Err(error) => Err(error.into()),
        }
    }
}

/// What others can ask for while an order is going on.
struct Proofs<'a> {
    issuer: &'a Issuer<'a>,
    tokens: Vec<String>,
    domains: Vec<String>,
}

impl Proofs<'_> {
    async fn put_http(&mut self, token: &str, answer: &str) -> Result<(), Failure> {
        if !is_token(token) {
            return Err(Failure::unreachable("the server's token is none by RFC 8555"));
        }
        self.tokens.push(token.to_owned());
        self.issuer.challenges.put(token, answer);
        let (token, answer) = (token.to_owned(), answer.to_owned());
        on_disk(self.issuer.storage, move |storage| storage.put_http(&token, &answer)).await
    }

    async fn put_tls(&mut self, domain: &str, digest: &[u8]) -> Result<(), Failure> {
        let bundle = proof(domain, digest).map_err(|error| {
            Failure::unreachable(format!("cannot make the certificate that proves {domain}: {error}"))
        })?;
        self.domains.push(domain.to_owned());
        let certificate = certificate_of(&bundle, "challenge");
        let shown = self.issuer.server.set_challenge(domain, Some(&certificate));
        shown.map_err(|error| Failure::unreachable(error.to_string()))?;
        let domain = domain.to_owned();
        on_disk(self.issuer.storage, move |storage| storage.put_tls(&domain, &bundle)).await
    }
}

impl Drop for Proofs<'_> {
    fn drop(&mut self) {
        for token in &self.tokens {
            self.issuer.challenges.remove(token);
            self.issuer.storage.remove_challenge(Some(token), None);
        }
        for domain in &self.domains {
            // Taking one away cannot fail.
            let _ = self.issuer.server.set_challenge(domain, None);
            self.issuer.storage.remove_challenge(None, Some(domain));
        }
    }
}

/// The certificate that is shown to prove a name (RFC 8737 §3), with its key.
fn proof(domain: &str, digest: &[u8]) -> Result<Bundle, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([domain.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
}

/// The request for a certificate (RFC 2986).
fn request(domains: &[Box<str>], key: &KeyPair) -> Result<Vec<u8>, Failure> {
    let names: Vec<String> = domains.iter().map(ToString::to_string).collect();
    let made = CertificateParams::new(names).and_then(|mut params| {
        // Names belong among the alternative ones; a common name is optional and limited to 64 characters.
        params.distinguished_name = DistinguishedName::new();
        params.serialize_request(key)
    });
    let made = made.map_err(|error| Failure::unreachable(format!("cannot ask for these names: {error}")))?;
    Ok(made.der().to_vec())
}

/// Whether the server gave us what we asked for.
fn check(acme: &Acme, chain: &str, bundle: &str) -> Result<(), Failure> {
    let wrong =
        |what: String| Failure::refused(format!("the certificate from the server is of no use: {what}"));
    if chain.len() > CHAIN_BYTES_MAX {
        return Err(wrong(format!("it has {} bytes", chain.len())));
    }
    let info = CertificateInfo::of_pem(chain.as_bytes(), "it").map_err(|error| wrong(error.to_string()))?;
    let certificates = vec![certificate_of(bundle, "it")];
    let settings = tls::ServerSettings { certificates, ..tls::ServerSettings::default() };
    tls::Server::new(settings, None).map_err(|error| wrong(error.to_string()))?;
    match acme.domains.iter().find(|domain| !info.names.iter().any(|name| name.eq_ignore_ascii_case(domain)))
    {
        Some(missing) => Err(wrong(format!("it is not for {missing}"))),
        None => Ok(()),
    }
}

/// Why the names were not proved, as the server tells it for each.
async fn refused(order: &mut Order) -> Failure {
    let mut told = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        // What we know of it is how it was at the beginning.
        if authorization.refresh().await.is_err() {
            continue;
        }
        let name = authorization.identifier().to_string();
        for problem in authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref()) {
            told.push(format!("{name}: {}", describe(problem)));
        }
    }
    match told.is_empty() {
        true => Failure::refused(
            "the server did not accept the proof that the names are ours, and does not say why",
        ),
        false => Failure::refused(format!("the names could not be proved to be ours: {}", told.join("; "))),
    }
}

/// What is known of the names, and what the server says of the order as a whole.
fn worse(failure: Failure, problem: &Problem) -> Failure {
    Failure { text: format!("{} ({})", failure.text, describe(problem)), ..failure }
}

/// In one line.
fn describe(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().map(|kind| kind.rsplit(':').next().unwrap_or(kind));
    let details = problem.subproblems.iter().filter_map(|sub| sub.detail.as_deref());
    let details: Vec<&str> = problem.detail.as_deref().into_iter().chain(details).collect();
    match (kind, details.is_empty()) {
        (Some(kind), true) => kind.to_owned(),
        (Some(kind), false) => format!("{kind}: {}", details.join("; ")),
        (None, _) => details.join("; "),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(problem) => {
                let text = format!("the ACME server said no: {}", describe(&problem));
                match problem.r#type.as_deref() {
                    Some(BAD_NONCE | INTERNAL) => Self::unreachable(text),
                    Some(RATE_LIMITED) => {
                        Self::refused(format!("{text}; it counts requests and has had too many"))
                    }
                    _ => Self::refused(text),
                }
            }
            Error::Timeout(_) => Self::refused("the ACME server took too long to decide"),
            Error::Json(error) => {
                Self::unreachable(format!("what the ACME server says is not what RFC 8555 says: {error}"))
            }
            error => Self::unreachable(error.to_string()),
        }
    }
}

//! One HTTP request to a witness, bounded in time and size.

use std::time::Duration;

use ureq::Agent;

use super::error::AskError;
use crate::model::text::forbidden;

/// No connection within this time: it is not reached.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// No whole answer within this time.
const TOTAL_MAX: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes: some signature lines, of whatever algorithm.
const ANSWER_LEN_MAX: u64 = 32_768;
/// What is told of a refusal, in characters.
const SAID_MAX: usize = 120;

/// Asks witnesses; cheap to clone, and used from any number of threads.
#[derive(Clone, Debug)]
pub(super) struct Client(Agent);

/// What a witness answers.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

impl Client {
    pub(super) fn new() -> Self {
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_global(Some(TOTAL_MAX))
            // Whoever is at the new place is not who stands in the policy.
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("giftproof/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(config.into())
    }

    /// Posts a request for a cosignature [C2SP tlog-witness, add-checkpoint].
    pub(super) fn add_checkpoint(&self, url: &str, body: &str) -> Result<Answer, AskError> {
        let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
        let mut response = self.0.post(url).send(body).map_err(failed)?;
        let status = response.status().as_u16();
        let content_type = response.body().mime_type().unwrap_or_default().to_owned();
        let body = response.body_mut().with_config().limit(ANSWER_LEN_MAX).read_to_vec();
        Ok(Answer { status, content_type, body: body.map_err(failed)? })
    }
}

fn failed(error: ureq::Error) -> AskError {
    match error {
        ureq::Error::Timeout(_) => AskError::TimedOut,
        ureq::Error::BodyExceedsLimit(_) => AskError::Answer { why: "it is too long" },
        error => AskError::Unreachable { why: error.to_string() },
    }
}

impl Answer {
    /// The body, if it is text.
    pub(super) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }

    /// The size that a 409 states: `<size>` and a line feed, as `text/x.tlog.size`.
    pub(super) fn size(&self) -> Option<u64> {
        let decimal = self.text()?.strip_suffix('\n')?;
        let size: u64 = decimal.parse().ok()?;
        let stated = self.content_type == "text/x.tlog.size" && size.to_string() == decimal;
        stated.then_some(size)
    }

    /// What a refusal says, for people: the first line, without what could steer a terminal.
    pub(super) fn said(&self) -> String {
        let said = String::from_utf8_lossy(&self.body);
        let line = said.lines().next().unwrap_or_default();
        line.chars().filter(|c| forbidden(*c).is_none()).take(SAID_MAX).collect()
    }
}

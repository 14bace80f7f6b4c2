//! What an account may do, asked of the API server itself.

use std::time::Duration;

use kube::Client;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::Timing;
use super::access::{Access, AccessError, build};
use super::request::{group, resource};
use super::trouble::chain;
use crate::store::change::Kind;

/// Whether one thing may be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Review {
    /// What: `list` or `watch`.
    pub verb: &'static str,
    /// The API group; empty for the core one.
    pub group: &'static str,
    /// The resource.
    pub resource: &'static str,
    /// Whether it may be done.
    pub allowed: bool,
}

/// Why nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The API server cannot be reached.
    #[error("{0}")]
    Access(String, #[source] AccessError),
    /// It did not answer, or not with a review.
    #[error("asking the API server what we may do: {0}")]
    Answer(String),
    /// No event loop.
    #[error("starting an event loop")]
    Start(#[source] std::io::Error),
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The answer to a SelfSubjectAccessReview, as far as it is of interest.
#[derive(Deserialize)]
struct Answer {
    /// Its status.
    status: Status,
}

/// What it says.
#[derive(Deserialize)]
struct Status {
    /// Whether it may be done.
    #[serde(default)]
    allowed: bool,
}

/// Asks whether these kinds may be listed and watched in all namespaces. Every account may ask that about itself.
///
/// Errors: nobody could be asked. Cost: a connection and two requests a kind; waits for them.
/// Source: Kubernetes API authorization.k8s.io/v1 SelfSubjectAccessReview.
pub fn review(access: &Access, kinds: &[Kind]) -> Result<Vec<Review>, ReviewError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    runtime.map_err(ReviewError::Start)?.block_on(async {
        let config = access.config().await.map_err(|error| ReviewError::Access(chain(&error), error))?;
        let client = build(&config, Timing::default()).map_err(|error| ReviewError::Answer(chain(&error)))?;
        let mut reviews = Vec::new();
        for kind in kinds {
            for verb in ["list", "watch"] {
                let (group, resource) = (group(*kind), resource(*kind));
                let allowed = allowed(&client, verb, group, resource).await?;
                reviews.push(Review { verb, group, resource, allowed });
            }
        }
        Ok(reviews)
    })
}

/// Asks about one thing.
async fn allowed(client: &Client, verb: &str, group: &str, resource: &str) -> Result<bool, ReviewError> {
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource}},
    });
    let request = http::Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| ReviewError::Answer(chain(&error)))?;
    let answer = timeout(PATIENCE, client.request_text(request)).await;
    let text = answer
        .map_err(|_| ReviewError::Answer(format!("no answer within {PATIENCE:?}")))?
        .map_err(|error| ReviewError::Answer(chain(&error)))?;
    let answer: Answer = serde_json::from_str(&text).map_err(|error| ReviewError::Answer(chain(&error)))?;
    Ok(answer.status.allowed)
}

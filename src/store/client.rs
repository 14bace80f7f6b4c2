//! Pods as clients: who asks from an address; kept only where `metadata` wants it (rule K-250).

use super::change::PodObject;

/// A pod that may ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientPod {
    /// Its namespace.
    namespace: Box<str>,
    /// Its name.
    name: Box<str>,
    /// Its labels, sorted by key.
    labels: Box<[(Box<str>, Box<str>)]>,
}

impl ClientPod {
    /// Cuts a pod down.
    pub(super) fn build(pod: &PodObject) -> Self {
        Self {
            namespace: pod.key.namespace.clone(),
            name: pod.key.name.clone(),
            labels: pod.labels.clone().into(),
        }
    }

    /// A pod as a snapshot has it.
    pub(super) fn restored(key: &super::ObjectKey, labels: Vec<(Box<str>, Box<str>)>) -> Self {
        Self { namespace: key.namespace.clone(), name: key.name.clone(), labels: labels.into() }
    }

    /// Its labels, sorted by key.
    pub(super) fn labels(&self) -> &[(Box<str>, Box<str>)] {
        &self.labels
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of one of its labels.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        let at = self.labels.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        self.labels.get(at).map(|(_, value)| value.as_ref())
    }
}

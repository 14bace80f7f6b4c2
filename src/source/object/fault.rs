//! What is wrong inside an object, field by field.

/// One harm found while an object was cut down; the smallest part that could be left out was left out.
///
/// Values are shown with at most 80 characters, escaped: a fault is always one line.
#[derive(thiserror::Error, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// A field that must be there is not.
    #[error("{field} is missing")]
    Missing {
        /// Path of the field, as in `spec.ports[0].port`.
        field: String,
    },
    /// A field holds a value of another type.
    #[error("{field} is not {wanted}")]
    Type {
        /// Path of the field.
        field: String,
        /// The type it should have.
        wanted: &'static str,
    },
    /// A field holds a value that cannot be right.
    #[error("{field}: {value} is not {wanted}")]
    Value {
        /// Path of the field.
        field: String,
        /// The value, quoted and clipped.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// An EndpointSlice that belongs to no Service (rule K-177).
    #[error("label kubernetes.io/service-name is missing, so its endpoints belong to no Service")]
    NoService,
    /// An EndpointSlice of host names instead of addresses (rule K-121).
    #[error("addressType FQDN is not supported: its endpoints are left out")]
    HostNames,
}

impl Fault {
    /// A missing field.
    pub(crate) fn missing(field: impl Into<String>) -> Self {
        Self::Missing { field: field.into() }
    }

    /// A field of a wrong type.
    pub(crate) fn wrong_type(field: impl Into<String>, wanted: &'static str) -> Self {
        Self::Type { field: field.into(), wanted }
    }

    /// A wrong value.
    pub(crate) fn value(field: impl Into<String>, value: &str, wanted: &'static str) -> Self {
        let mut clipped: String = value.chars().take(80).collect();
        if clipped.len() < value.len() {
            clipped.push('…');
        }
        Self::Value { field: field.into(), value: format!("{clipped:?}"), wanted }
    }

    /// A wrong number.
    pub(crate) fn number(field: impl Into<String>, number: i64, wanted: &'static str) -> Self {
        Self::Value { field: field.into(), value: number.to_string(), wanted }
    }
}

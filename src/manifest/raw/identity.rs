//! In whose name the agent acts, and with which credentials.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Hook;
use crate::units::Span;

/// The agent's own identity.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// OIDC issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The `sub` that logs of other systems show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// In whose name it acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acts_as: Option<ActsAs>,
    /// Why in that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acts_as_reason: Option<String>,
    /// What every credential of `systems` takes unless it says otherwise.
    pub credential_defaults: CredentialDefaults,
    /// Export of the secret manager: names of secrets and the days they were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<String>,
    /// Revokes every credential of the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Hook>,
}

words! {
    /// In whose name something is done.
    pub enum ActsAs {
        /// In the name of the user who asked.
        User = "user",
        /// In the agent's own name.
        ServiceAccount = "service-account",
        /// Both; then each tool says which.
        Both = "both",
    }
}

words! {
    /// How a credential is obtained.
    pub enum Grant {
        /// From the platform's identity of the workload.
        WorkloadIdentity = "workload-identity",
        /// By exchanging another token.
        TokenExchange = "token-exchange",
        /// With a client id and secret.
        ClientCredentials = "client_credentials",
        /// After a user consented.
        AuthorizationCode = "authorization_code",
        /// A key that stays the same.
        StaticKey = "static-key",
    }
}

words! {
    /// How a credential reaches the agent.
    pub enum Delivery {
        /// Added outside the process.
        Proxy = "proxy",
        /// One short-lived token in a file.
        Mounted = "mounted",
        /// In an environment variable.
        Env = "env",
        /// Read from a credential store by the agent.
        Store = "store",
    }
}

/// What credentials have in common.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialDefaults {
    /// How it is obtained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
    /// How long one token lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
    /// How often secrets and signing keys change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate_every: Option<Span>,
    /// How it reaches the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
}

/// One credential of a system.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Credential {
    /// OAuth scopes.
    pub scopes: Vec<String>,
    /// Role, for databases and clouds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How it is obtained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
    /// How long one token lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
    /// How often secrets and signing keys change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate_every: Option<Span>,
    /// How it reaches the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Whose it is; `identity.subject` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Where the secret comes from, as `env:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

//! What a certificate lets its holder be, and the names that go into it.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use synod_common::ids::SiteName;

/// The DNS name in every coordinator certificate, and the only one that [`tls::client`](crate::tls::client) asks for.
///
/// It is fixed so that a coordinator's address can change without a new certificate: what a client trusts is the authority and
/// the role, never an address. `internal` is the top-level domain reserved for private use, so the name can belong to nobody.
pub const SERVER_NAME: &str = "coordinator.synod.internal";

/// What the holder of a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes part in runs with its own data.
    Site,
    /// Serves runs; the only role whose certificate works as a server's.
    Coordinator,
    /// Gives admin commands from another machine.
    Operator,
    /// May look, and do nothing else.
    Observer,
}

/// Why a text is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role: use site, coordinator, operator or observer")]
pub struct RoleError(String);

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Site, Self::Coordinator, Self::Operator, Self::Observer];

    /// The role as it stands in certificates and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Coordinator => "coordinator",
            Self::Operator => "operator",
            Self::Observer => "observer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| RoleError(text.chars().take(40).collect()))
    }
}

/// Whom a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    role: Role,
    name: SiteName,
    hosts: Vec<ServerName<'static>>,
}

impl Subject {
    /// A site.
    #[must_use]
    pub fn site(name: SiteName) -> Self {
        Self { role: Role::Site, name, hosts: Vec::new() }
    }

    /// A coordinator. Synod's clients need no `hosts`, they ask for [`SERVER_NAME`]; give the DNS names and addresses that other
    /// programs, a browser for one, will use to reach this coordinator.
    #[must_use]
    pub fn coordinator(name: SiteName, hosts: Vec<ServerName<'static>>) -> Self {
        Self { role: Role::Coordinator, name, hosts }
    }

    /// An operator.
    #[must_use]
    pub fn operator(name: SiteName) -> Self {
        Self { role: Role::Operator, name, hosts: Vec::new() }
    }

    /// An observer.
    #[must_use]
    pub fn observer(name: SiteName) -> Self {
        Self { role: Role::Observer, name, hosts: Vec::new() }
    }

    /// What the subject is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// What the subject is called.
    #[must_use]
    pub fn name(&self) -> &SiteName {
        &self.name
    }

    /// The DNS names and addresses for programs that ask for them; empty for every role but [`Role::Coordinator`].
    pub(crate) fn hosts(&self) -> &[ServerName<'static>] {
        &self.hosts
    }

    /// Role and name as the certificate carries them: `synod:site:st-vincent`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("{URI_PREFIX}{}:{}", self.role, self.name)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}

/// How the name that Synod reads in a certificate begins.
pub(crate) const URI_PREFIX: &str = "synod:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_round_trip_as_text() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        assert!("Site".parse::<Role>().is_err());
    }

    #[test]
    fn the_uri_names_role_and_subject() {
        let subject = Subject::site(SiteName::new("st-vincent").unwrap());
        assert_eq!(subject.uri(), "synod:site:st-vincent");
        assert_eq!(subject.to_string(), "site st-vincent");
    }
}

//! A whole federation's identities at once, for a demonstration or a test on one machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls::pki_types::{DnsName, ServerName};
use synod_common::ids::{SiteName, SiteNameError};

use crate::authority::{Authority, AuthorityError};
use crate::files::Overwrite;
use crate::identity::{Identity, IdentityError, IdentityProblem};
use crate::role::Subject;

/// How long a throwaway federation is valid: a day, the longest that a demonstration may be left running.
const VALIDITY: Duration = Duration::from_secs(86_400);

/// Where [`throwaway`] put the identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throwaway {
    /// The authority's folder.
    pub authority: PathBuf,
    /// The coordinator's identity folder.
    pub coordinator: PathBuf,
    /// Each site's identity folder.
    pub sites: BTreeMap<SiteName, PathBuf>,
}

/// Why a throwaway federation could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ThrowawayError {
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// An identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What the authority signed does not pass the check of an identity.
    #[error("could not use a certificate just made: {0}; this is unexpected, please report it")]
    Problem(#[from] IdentityProblem),
    /// A built-in name is none.
    #[error(transparent)]
    Name(#[from] SiteNameError),
}

/// Writes an authority, a coordinator's identity and one identity per site below `folder`, valid for a day from `now`:
/// `authority/`, `coordinator/`, `sites/NAME/`.
///
/// All private keys are made here, on one machine, which is what makes it unfit for anything but a demonstration or a test.
///
/// # Errors
/// When a file is there already (also when a site is named twice) or cannot be written, or `now` is out of range.
pub fn throwaway(sites: &[SiteName], folder: &Path, now: SystemTime) -> Result<Throwaway, ThrowawayError> {
    let places = Throwaway {
        authority: folder.join("authority"),
        coordinator: folder.join("coordinator"),
        sites: sites.iter().map(|site| (site.clone(), folder.join("sites").join(site.as_str()))).collect(),
    };
    let authority = Authority::generate(&SiteName::new("throwaway")?, now, VALIDITY)?;
    authority.save(&places.authority, Overwrite::Refuse)?;
    let coordinator = Subject::coordinator(SiteName::new("coordinator")?, loopback());
    identity(&authority, &coordinator, now)?.save(&places.coordinator, Overwrite::Refuse)?;
    for site in sites {
        let folder = folder.join("sites").join(site.as_str());
        identity(&authority, &Subject::site(site.clone()), now)?.save(&folder, Overwrite::Refuse)?;
    }
    Ok(places)
}

fn identity(authority: &Authority, subject: &Subject, now: SystemTime) -> Result<Identity, ThrowawayError> {
    let pending = Identity::generate()?;
    let certificate = authority.issue(pending.request(), subject, now, VALIDITY)?;
    Ok(pending.accept(authority.certificate().clone(), certificate, now)?)
}

fn loopback() -> Vec<ServerName<'static>> {
    let name = DnsName::try_from("localhost").ok().map(ServerName::DnsName);
    let addresses = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    name.into_iter().chain(addresses.map(|address| ServerName::IpAddress(address.into()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;

    #[test]
    fn every_folder_holds_the_identity_it_is_named_for() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_502_530);
        let sites = ["north", "south"].map(|name| SiteName::new(name).unwrap());
        let places = throwaway(&sites, folder.path(), now).unwrap();

        let authority = Authority::load(&places.authority).unwrap();
        assert_eq!(Identity::load(&places.coordinator, now).unwrap().role(), Role::Coordinator);
        for site in &sites {
            let identity = Identity::load(&places.sites[site], now).unwrap();
            assert_eq!((identity.role(), identity.name()), (Role::Site, site));
            assert_eq!(identity.authorities(), [authority.certificate().clone()]);
        }
        assert!(throwaway(&sites, folder.path(), now).is_err(), "nothing is overwritten");
    }

    #[test]
    fn a_site_named_twice_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_502_530);
        let twice = ["north", "north"].map(|name| SiteName::new(name).unwrap());
        assert!(throwaway(&twice, folder.path(), now).is_err());
    }
}

//! The operator's commands.

use std::time::SystemTime;

use synod_certs::{Authority, KeyFingerprint, Role, Token, authority_key};
use synod_common::ids::SiteName;
use synod_common::wire::{AdminAnswer, AdminRequest, MemberRole, MemberRow};

use super::error::{HomeError, RegistryError};
use super::member::{Approval, Member, Standing, UnixSeconds};
use super::office::Desk;

/// Longest time that an invitation may hold: 30 days. An invitation that lies around is a password.
const TTL_MAX: u64 = 30 * 86_400;
/// A warning comes when less than a quarter of a certificate's life is left: it should have been renewed at a third.
const WARN_BELOW: u64 = 4;

/// What a command means for connections that are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Somebody whose connections end now.
    pub expelled: Option<Expelled>,
    /// The coordinator's identity is another one.
    pub is_new_identity: bool,
}

/// Somebody who may not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expelled {
    /// Who, by the name that its connections know.
    pub name: SiteName,
    /// Why, for it and for the round's report.
    pub reason: String,
    /// Whether it should come back at once: it only changed its name.
    pub returns: bool,
}

impl Desk {
    pub(super) fn command(
        &mut self,
        request: &AdminRequest,
        now: UnixSeconds,
    ) -> Result<(AdminAnswer, Effects), HomeError> {
        let mut expelled = None;
        let mut expel = |name: &SiteName, reason: &str| {
            expelled = Some(Expelled { name: name.clone(), reason: reason.to_owned(), returns: false });
        };
        let done = match request {
            AdminRequest::Members => {
                let life = self.settings.certificate_seconds;
                let rows = self.registry.members().map(|(name, member)| row(name, member, life, now)).collect();
                return Ok((AdminAnswer::Members(rows), Effects::default()));
            }
            AdminRequest::Invite { name, role, ttl_seconds, approve } => {
                return Ok((self.invite(name, *role, *ttl_seconds, *approve, now)?, Effects::default()));
            }
            AdminRequest::RotateAuthority { window_seconds } => {
                let what = self.rotate(*window_seconds, now)?;
                return Ok((AdminAnswer::Done(what), Effects { is_new_identity: true, ..Effects::default() }));
            }
            AdminRequest::Approve { name, key } => {
                self.registry.approve(name, KeyFingerprint(*key), now)?;
                format!("the key of {name} is approved; it gets its certificate when it asks next")
            }
            AdminRequest::Suspend(name) => {
                self.spare_last_operator(name)?;
                self.registry.suspend(name, now)?;
                expel(name, "suspended by the operator");
                format!("{name} is suspended")
            }
            AdminRequest::Resume(name) => {
                self.registry.resume(name, now)?;
                format!("{name} may take part again")
            }
            AdminRequest::Revoke(name) => {
                self.spare_last_operator(name)?;
                self.registry.revoke(name)?;
                expel(name, "revoked by the operator");
                format!("{name} is revoked")
            }
            AdminRequest::Remove(name) => {
                self.spare_last_operator(name)?;
                self.registry.remove(name)?;
                expel(name, "removed by the operator");
                format!("{name} is removed")
            }
            AdminRequest::Rename { from, to } => {
                self.registry.rename(from, to)?;
                let reason = "renamed by the operator".to_owned();
                expelled = Some(Expelled { name: from.clone(), reason, returns: true });
                format!("{from} is called {to} now; its certificate will say so from its next renewal on")
            }
        };
        self.save()?;
        Ok((AdminAnswer::Done(done), Effects { expelled, is_new_identity: false }))
    }

    fn invite(
        &mut self,
        name: &SiteName,
        role: MemberRole,
        ttl: u64,
        approve: bool,
        now: UnixSeconds,
    ) -> Result<AdminAnswer, HomeError> {
        let role = match role {
            MemberRole::Site => Role::Site,
            MemberRole::Operator => Role::Operator,
            MemberRole::Observer => Role::Observer,
        };
        let approval = if approve { Approval::ByOperator } else { self.settings.approval };
        let (token, ttl) = (Token::generate()?, ttl.clamp(1, TTL_MAX));
        self.registry.invite(name, role, token.digest(), ttl, approval, now)?;
        self.save()?;
        Ok(AdminAnswer::Invited {
            token: token.to_bytes(),
            pin: self.pin()?.0,
            address: self.settings.address.clone(),
            expires_unix_seconds: now.plus(ttl).0,
        })
    }

    /// Without an operator nobody could give commands over the network any more.
    fn spare_last_operator(&self, name: &SiteName) -> Result<(), HomeError> {
        let is_active = |member: &Member| member.role == Role::Operator && member.standing == Standing::Active;
        let others = self.registry.members().any(|(other, member)| other != name && is_active(member));
        if self.registry.member(name).is_some_and(is_active) && !others {
            return Err(RegistryError::LastOperator(name.clone()).into());
        }
        Ok(())
    }

    pub(super) fn pin(&self) -> Result<KeyFingerprint, HomeError> {
        let folder = self.home.authority();
        let certificate = Authority::load_certificate(&folder)?;
        Ok(authority_key(&certificate).ok_or(synod_certs::AuthorityError::NotAnAuthority { folder })?)
    }

    fn rotate(&mut self, window: u64, now: UnixSeconds) -> Result<String, HomeError> {
        let time: SystemTime = now.to_system_time()?;
        let fingerprint = super::rotation::rotate(self, window, now)?;
        self.after_rotation(time)?;
        Ok(format!(
            "the authority's key is {fingerprint} now; members go over to it when they renew, and the older authority is good for {} more hours",
            window / 3600
        ))
    }
}

fn row(name: &SiteName, member: &Member, life: u64, now: UnixSeconds) -> MemberRow {
    let state = member.state(now);
    let invitation = member.invitation.as_ref();
    let waits = member.standing == Standing::Pending;
    let key = if waits { invitation.and_then(|i| i.claim).map(|claim| claim.key) } else { member.key };
    let expires = match member.standing {
        Standing::Invited => invitation.map(|i| i.expires),
        _ => member.expires,
    };
    let left = member.expires.map(|end| end.since(now));
    let warning = match (state, left) {
        ("pending", _) => Some("its key waits for `synod coordinator approve`".to_owned()),
        ("active", Some(left)) if member.role == Role::Site && left < life / WARN_BELOW => {
            Some(format!("its certificate ends in {} h and was not renewed", left / 3600))
        }
        ("expired", _) if member.standing == Standing::Active => {
            Some("it renews by itself within the grace time, or needs an invitation".to_owned())
        }
        _ if member.refused > 0 => Some(format!("its invitation was refused {} times", member.refused)),
        _ => None,
    };
    let seen = member.seen.as_ref();
    MemberRow {
        name: name.clone(),
        role: member.role.to_string(),
        state: state.to_owned(),
        key: key.map(|key| key.to_string()),
        expires_unix_seconds: expires.map(|end| end.0),
        last_seen_unix_seconds: seen.map(|seen| seen.at.0),
        address: seen.map(|seen| seen.address.clone()),
        release: seen.and_then(|seen| seen.release.clone()),
        rounds: member.rounds,
        refused: member.refused,
        warning,
    }
}

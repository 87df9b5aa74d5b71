//! The members as a state machine: pure, told the time, and never in doubt.
//!
//! ```text
//!   (none) ── invite ──► Invited ── claim ──► Active ◄── resume ── Suspended
//!                           │                  │  ▲ └── suspend ──────┘ │
//!                     claim │ (by operator)    │  │ claim              │ revoke
//!                           ▼                  ▼  │                    ▼
//!                        Pending ── approve, claim ─   revoke ──► Revoked ── invite, claim ──► Active
//! ```
//!
//! What holds after every operation: names are unique and so are keys; a key that was revoked is never accepted again, so a revoked
//! member comes back with a new invitation and a new key or not at all; an invitation certifies one key; an operation changes the
//! member it names and no other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use synod_certs::{KeyFingerprint, Role, TokenDigest};
use synod_common::ids::SiteName;
use synod_common::wire::MEMBERS_MAX;

use super::error::{JoinRefusal, RegistryError};
use super::member::{Approval, Claim, Invitation, Member, Seen, Standing, UnixSeconds};

/// For how many seconds after the first certificate the same key may ask again with the same token: the answer may have been
/// lost. Nobody but the holder of the key can use what is answered, so a replayed request gains nothing.
pub const CLAIM_RETRY_MAX: u64 = 60;
/// For how many seconds after its end an invitation is remembered, so that who shows it hears why it is refused.
const MEMORY_MAX: u64 = 7 * 86_400;

/// Every member by its name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Registry {
    members: BTreeMap<SiteName, Member>,
}

/// What showing a good invitation leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Certify the key, then say [`Registry::certified`].
    Certify {
        /// For whom.
        name: SiteName,
        /// What it will be.
        role: Role,
    },
    /// The operator has to approve the key.
    Waiting {
        /// Whose.
        name: SiteName,
    },
}

impl Registry {
    /// The members, ordered by name.
    pub fn members(&self) -> impl Iterator<Item = (&SiteName, &Member)> {
        self.members.iter()
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &SiteName) -> Option<&Member> {
        self.members.get(name)
    }

    /// The member that holds `key`.
    #[must_use]
    pub fn holder(&self, key: KeyFingerprint) -> Option<(&SiteName, &Member)> {
        self.members.iter().find(|(_, member)| member.holds(key))
    }

    /// Adds a member that has its certificate already: the operator of the folder itself.
    ///
    /// # Errors
    /// When the name is taken or there are too many.
    pub fn add(
        &mut self,
        name: SiteName,
        role: Role,
        key: KeyFingerprint,
        expires: UnixSeconds,
    ) -> Result<(), RegistryError> {
        if self.members.contains_key(&name) {
            return Err(RegistryError::Taken(name));
        }
        let invitation = None;
        let standing = Standing::Active;
        let member = Member {
            role,
            standing,
            key: Some(key),
            next_key: None,
            revoked_keys: Vec::new(),
            expires: Some(expires),
            invitation,
            seen: None,
            rounds: 0,
            refused: 0,
        };
        self.insert(name, member)
    }

    fn insert(&mut self, name: SiteName, member: Member) -> Result<(), RegistryError> {
        if self.members.len() >= MEMBERS_MAX {
            return Err(RegistryError::Full);
        }
        self.members.insert(name, member);
        Ok(())
    }

    /// Invites `name`, who may show `token` until `ttl` seconds from now. An earlier invitation of the same name is void.
    ///
    /// # Errors
    /// When the member stands in a way that needs no invitation, has another role, or there are too many.
    pub fn invite(
        &mut self,
        name: &SiteName,
        role: Role,
        token: TokenDigest,
        ttl: u64,
        approval: Approval,
        now: UnixSeconds,
    ) -> Result<(), RegistryError> {
        self.forget_old(now);
        let invitation = Invitation { token, expires: now.plus(ttl), approval, claim: None };
        let Some(member) = self.members.get_mut(name) else {
            return self.insert(name.clone(), Member::invited(role, invitation));
        };
        if member.role != role {
            return Err(RegistryError::Role(name.clone()));
        }
        let help = match member.standing {
            Standing::Invited | Standing::Revoked => None,
            Standing::Active if member.is_expired(now) => None,
            Standing::Active => Some("revoke it first if its key is lost"),
            Standing::Pending => Some("approve its key, or remove it first"),
            Standing::Suspended => Some("resume or revoke it first"),
        };
        if let Some(help) = help {
            return Err(standing(name, member, "invited", help, now));
        }
        member.invitation = Some(invitation);
        Ok(())
    }

    /// Takes an invitation that somebody shows with `key`. `name` is what they believe to be called.
    ///
    /// # Errors
    /// When no certificate will come of it. What is refused changes nothing but the count of refusals.
    pub fn claim(
        &mut self,
        token: &TokenDigest,
        name: Option<&SiteName>,
        key: KeyFingerprint,
        now: UnixSeconds,
    ) -> Result<Claimed, JoinRefusal> {
        // All of them are compared, so that the time tells nothing about which one it is.
        let mut found = None;
        for (candidate, member) in &self.members {
            if member.invitation.as_ref().is_some_and(|invitation| invitation.token.matches(token)) {
                found = Some(candidate.clone());
            }
        }
        let found = found.ok_or(JoinRefusal::Unknown)?;
        let is_known = self
            .members
            .iter()
            .any(|(other, member)| member.revoked_keys.contains(&key) || (member.holds(key) && *other != found));
        let Some(member) = self.members.get_mut(&found) else { return Err(JoinRefusal::Unknown) };
        let claimed = match name {
            Some(name) if *name != found => Err(JoinRefusal::Name),
            _ if is_known => Err(JoinRefusal::Key),
            _ => claim(member, key, now),
        };
        match claimed {
            Ok(true) => Ok(Claimed::Certify { name: found, role: member.role }),
            Ok(false) => Ok(Claimed::Waiting { name: found }),
            Err(refusal) => {
                member.refused = member.refused.saturating_add(1);
                Err(refusal)
            }
        }
    }

    /// Notes that the claimed key of `name` was certified until `expires`: the member is active from now on.
    pub fn certified(&mut self, name: &SiteName, key: KeyFingerprint, expires: UnixSeconds, now: UnixSeconds) {
        let Some(member) = self.members.get_mut(name) else { return };
        let Some(claim) = member.invitation.as_mut().and_then(|i| i.claim.as_mut()).filter(|claim| claim.key == key)
        else {
            return;
        };
        claim.certified = claim.certified.or(Some(now));
        member.standing = Standing::Active;
        (member.key, member.next_key, member.expires) = (Some(key), None, Some(expires));
    }

    /// Approves the key that waits.
    ///
    /// # Errors
    /// When none waits, or another one.
    pub fn approve(&mut self, name: &SiteName, key: KeyFingerprint, now: UnixSeconds) -> Result<(), RegistryError> {
        let member = self.get(name)?;
        let Some(claim) = member
            .invitation
            .as_mut()
            .and_then(|invitation| invitation.claim.as_mut())
            .filter(|_| member.standing == Standing::Pending)
        else {
            return Err(standing(name, member, "approved", "no key waits; the site has to join first", now));
        };
        if claim.key != key {
            return Err(RegistryError::Key(name.clone()));
        }
        claim.approved = true;
        Ok(())
    }

    /// Takes a request of whoever holds `key` to certify `wanted`, the same key or a new one; then say
    /// [`renewed`](Self::renewed).
    ///
    /// # Errors
    /// When the holder may not, or somebody else has the wanted key.
    pub fn renew(&self, key: KeyFingerprint, wanted: KeyFingerprint) -> Result<(SiteName, Role), JoinRefusal> {
        let (name, member) = self.holder(key).ok_or(JoinRefusal::Unknown)?;
        let is_known = self
            .members
            .iter()
            .any(|(other, m)| m.revoked_keys.contains(&wanted) || (m.holds(wanted) && other != name));
        match member.standing {
            Standing::Active if !is_known => Ok((name.clone(), member.role)),
            Standing::Active => Err(JoinRefusal::Key),
            Standing::Invited | Standing::Pending | Standing::Suspended | Standing::Revoked => {
                Err(JoinRefusal::Unknown)
            }
        }
    }

    /// Notes that `key` of `name` was certified until `expires`. A new key replaces the old one once it is [seen](Self::seen).
    pub fn renewed(&mut self, name: &SiteName, key: KeyFingerprint, expires: UnixSeconds) {
        let Some(member) = self.members.get_mut(name).filter(|m| m.standing == Standing::Active) else { return };
        if member.key != Some(key) {
            member.next_key = Some(key);
        }
        member.expires = member.expires.max(Some(expires));
    }

    /// Notes that the holder of `key` was there.
    pub fn seen(&mut self, key: KeyFingerprint, seen: Seen) {
        let Some(member) = self.members.values_mut().find(|member| member.holds(key)) else { return };
        if member.next_key == Some(key) {
            (member.key, member.next_key) = (Some(key), None);
        }
        let release = member.seen.take().and_then(|before| before.release);
        member.seen = Some(Seen { release: seen.release.or(release), ..seen });
    }

    /// Counts a round for each of `sites`.
    pub fn took_part(&mut self, sites: &[SiteName]) {
        for site in sites {
            if let Some(member) = self.members.get_mut(site) {
                member.rounds = member.rounds.saturating_add(1);
            }
        }
    }

    /// Lets an active member in no more.
    ///
    /// # Errors
    /// When it is not active.
    pub fn suspend(&mut self, name: &SiteName, now: UnixSeconds) -> Result<(), RegistryError> {
        self.change(name, "suspended", Standing::Active, Standing::Suspended, now)
    }

    /// Lets a suspended member in again.
    ///
    /// # Errors
    /// When it is not suspended.
    pub fn resume(&mut self, name: &SiteName, now: UnixSeconds) -> Result<(), RegistryError> {
        self.change(name, "resumed", Standing::Suspended, Standing::Active, now)
    }

    /// Never accepts the keys of a member again, and voids its invitation.
    ///
    /// # Errors
    /// When nobody has the name.
    pub fn revoke(&mut self, name: &SiteName) -> Result<(), RegistryError> {
        let member = self.get(name)?;
        let claimed = member.invitation.take().and_then(|invitation| invitation.claim).map(|claim| claim.key);
        for key in [member.key.take(), member.next_key.take(), claimed].into_iter().flatten() {
            if !member.revoked_keys.contains(&key) {
                member.revoked_keys.push(key);
            }
        }
        (member.standing, member.expires) = (Standing::Revoked, None);
        Ok(())
    }

    /// Forgets a member, its invitation with it. Its key is nobody's then, and is refused.
    ///
    /// # Errors
    /// When nobody has the name.
    pub fn remove(&mut self, name: &SiteName) -> Result<Member, RegistryError> {
        self.members.remove(name).ok_or_else(|| RegistryError::Unknown(name.clone()))
    }

    /// Calls a member something else. Its certificate says so from its next renewal on; until then its key speaks for it.
    ///
    /// # Errors
    /// When nobody has the one name or somebody has the other.
    pub fn rename(&mut self, from: &SiteName, to: &SiteName) -> Result<(), RegistryError> {
        if self.members.contains_key(to) {
            return Err(RegistryError::Taken(to.clone()));
        }
        let member = self.remove(from)?;
        self.members.insert(to.clone(), member);
        Ok(())
    }

    fn get(&mut self, name: &SiteName) -> Result<&mut Member, RegistryError> {
        self.members.get_mut(name).ok_or_else(|| RegistryError::Unknown(name.clone()))
    }

    fn change(
        &mut self,
        name: &SiteName,
        what: &'static str,
        from: Standing,
        to: Standing,
        now: UnixSeconds,
    ) -> Result<(), RegistryError> {
        let member = self.get(name)?;
        if member.standing != from {
            return Err(standing(name, member, what, "nothing was changed", now));
        }
        member.standing = to;
        Ok(())
    }

    /// Drops invitations that are long over, and with them who was invited and never came.
    fn forget_old(&mut self, now: UnixSeconds) {
        let is_old = |member: &Member| {
            member.invitation.as_ref().is_some_and(|i| now.since(i.expires) > MEMORY_MAX)
                && member.standing != Standing::Pending
        };
        self.members.retain(|_, member| !(is_old(member) && member.standing == Standing::Invited));
        for member in self.members.values_mut().filter(|member| is_old(member)) {
            member.invitation = None;
        }
    }
}

/// Whether the key may be certified now (rather than wait).
fn claim(member: &mut Member, key: KeyFingerprint, now: UnixSeconds) -> Result<bool, JoinRefusal> {
    let invitation = member.invitation.as_mut().ok_or(JoinRefusal::Unknown)?;
    match invitation.claim {
        Some(claim) if claim.key != key => Err(JoinRefusal::Used),
        Some(Claim { certified: Some(at), .. }) if now.since(at) > CLAIM_RETRY_MAX => Err(JoinRefusal::Used),
        // Certified and not active any more: suspended since.
        Some(Claim { certified: Some(_), .. }) if member.standing != Standing::Active => Err(JoinRefusal::Used),
        Some(claim) => Ok(claim.approved),
        None if now > invitation.expires => Err(JoinRefusal::Expired(now.since(invitation.expires))),
        None => {
            let approved = invitation.approval == Approval::Automatic;
            invitation.claim = Some(Claim { key, approved, certified: None });
            if !approved {
                member.standing = Standing::Pending;
            }
            Ok(approved)
        }
    }
}

fn standing(
    name: &SiteName,
    member: &Member,
    what: &'static str,
    help: &'static str,
    now: UnixSeconds,
) -> RegistryError {
    RegistryError::Standing { name: name.clone(), state: member.state(now), what, help }
}

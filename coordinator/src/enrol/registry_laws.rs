//! Laws of the registry, under every sequence of operations.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use synod_certs::{KeyFingerprint, Role, Token, TokenDigest};
use synod_common::ids::SiteName;

use super::{Approval, CLAIM_RETRY_MAX, Claimed, JoinRefusal, Registry, Seen, Standing, UnixSeconds};

const NAMES: [&str; 3] = ["a", "b", "c"];
const KEYS: u8 = 5;

#[derive(Clone, Debug)]
enum Op {
    Invite {
        name: usize,
        ttl: u64,
        by_operator: bool,
    },
    /// Shows the invitation given out at this place, with a key.
    Claim {
        token: prop::sample::Index,
        key: u8,
        as_name: Option<usize>,
    },
    Renew {
        key: u8,
        next: u8,
    },
    See {
        key: u8,
    },
    Approve {
        name: usize,
        key: u8,
    },
    Suspend(usize),
    Resume(usize),
    Revoke(usize),
    Remove(usize),
    Rename {
        from: usize,
        to: usize,
    },
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let name = 0..NAMES.len();
    let key = 0..KEYS;
    prop_oneof![
        4 => (name.clone(), 1..200_u64, any::<bool>())
            .prop_map(|(name, ttl, by_operator)| Op::Invite { name, ttl, by_operator }),
        6 => (any::<prop::sample::Index>(), key.clone(), prop::option::of(name.clone()))
            .prop_map(|(token, key, as_name)| Op::Claim { token, key, as_name }),
        2 => (key.clone(), key.clone()).prop_map(|(key, next)| Op::Renew { key, next }),
        1 => key.clone().prop_map(|key| Op::See { key }),
        2 => (name.clone(), key).prop_map(|(name, key)| Op::Approve { name, key }),
        1 => name.clone().prop_map(Op::Suspend),
        1 => name.clone().prop_map(Op::Resume),
        2 => name.clone().prop_map(Op::Revoke),
        1 => name.clone().prop_map(Op::Remove),
        1 => (name.clone(), name).prop_map(|(from, to)| Op::Rename { from, to }),
        2 => (0..150_u64).prop_map(Op::Wait),
    ]
}

fn name(index: usize) -> SiteName {
    SiteName::new(NAMES[index]).unwrap()
}

fn key(byte: u8) -> KeyFingerprint {
    KeyFingerprint([byte; 32])
}

/// What the laws need to remember beside the registry.
#[derive(Default)]
struct Model {
    registry: Registry,
    now: UnixSeconds,
    /// Invitations that were given out, and the key that each was first certified for, and when.
    tokens: Vec<TokenDigest>,
    certified: BTreeMap<usize, (u8, UnixSeconds)>,
    /// Members that were revoked and have shown no newer invitation.
    out: BTreeSet<SiteName>,
}

impl Model {
    fn do_one(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let before = self.registry.clone();
        let mut touched = BTreeSet::new();
        match op {
            Op::Invite { name: who, ttl, by_operator } => {
                let token = Token::generate().unwrap().digest();
                let approval = if *by_operator { Approval::ByOperator } else { Approval::Automatic };
                if self.registry.invite(&name(*who), Role::Site, token, *ttl, approval, self.now).is_ok() {
                    self.tokens.push(token);
                }
                touched.insert(name(*who));
            }
            Op::Claim { token, key: with, as_name } if !self.tokens.is_empty() => {
                let at = token.index(self.tokens.len());
                let as_name = as_name.map(name);
                let claimed = self.registry.claim(&self.tokens[at], as_name.as_ref(), key(*with), self.now);
                match claimed {
                    Ok(Claimed::Certify { name: who, role }) => {
                        prop_assert_eq!(role, Role::Site);
                        prop_assert!(as_name.is_none_or(|asked| asked == who));
                        let (first, when) = *self.certified.entry(at).or_insert((*with, self.now));
                        prop_assert_eq!(first, *with, "an invitation certifies one key");
                        prop_assert!(self.now.since(when) <= CLAIM_RETRY_MAX, "and no later than for a lost answer");
                        self.registry.certified(&who, key(*with), self.now.plus(500), self.now);
                        self.out.remove(&who);
                        touched.insert(who);
                    }
                    Ok(Claimed::Waiting { name: who }) => {
                        touched.insert(who);
                    }
                    Err(JoinRefusal::Unknown) => {}
                    // The count of refusals of the one who was invited.
                    Err(_) => touched.extend(NAMES.iter().enumerate().map(|(index, _)| name(index)).filter(|who| {
                        let refused = |registry: &Registry| registry.member(who).map(|member| member.refused);
                        refused(&before) != refused(&self.registry)
                    })),
                }
            }
            Op::Claim { .. } => {}
            Op::Renew { key: with, next } => {
                if let Ok((who, _)) = self.registry.renew(key(*with), key(*next)) {
                    prop_assert!(!self.out.contains(&who), "a revoked member renews nothing");
                    self.registry.renewed(&who, key(*next), self.now.plus(500));
                    touched.insert(who);
                }
            }
            Op::See { key: with } => {
                touched.extend(self.registry.holder(key(*with)).map(|(who, _)| who.clone()));
                let seen = Seen { at: self.now, address: "x".to_owned(), release: None };
                self.registry.seen(key(*with), seen);
            }
            Op::Approve { name: who, key: with } => {
                let _ = self.registry.approve(&name(*who), key(*with), self.now);
                touched.insert(name(*who));
            }
            Op::Suspend(who) => {
                let _ = self.registry.suspend(&name(*who), self.now);
                touched.insert(name(*who));
            }
            Op::Resume(who) => {
                let _ = self.registry.resume(&name(*who), self.now);
                touched.insert(name(*who));
            }
            Op::Revoke(who) => {
                if self.registry.revoke(&name(*who)).is_ok() {
                    self.out.insert(name(*who));
                }
                touched.insert(name(*who));
            }
            Op::Remove(who) => {
                let _ = self.registry.remove(&name(*who));
                self.out.remove(&name(*who));
                touched.insert(name(*who));
            }
            Op::Rename { from, to } => {
                if self.registry.rename(&name(*from), &name(*to)).is_ok() && self.out.remove(&name(*from)) {
                    self.out.insert(name(*to));
                }
                touched.extend([name(*from), name(*to)]);
            }
            Op::Wait(seconds) => self.now = self.now.plus(*seconds),
        }
        self.laws()?;
        for who in NAMES.map(|text| SiteName::new(text).unwrap()).iter().filter(|who| !touched.contains(who)) {
            let text = |registry: &Registry| serde_json::to_string(&registry.member(who)).unwrap();
            prop_assert_eq!(text(&before), text(&self.registry), "{} is nobody's business", who);
        }
        Ok(())
    }

    fn laws(&self) -> Result<(), TestCaseError> {
        let mut keys = BTreeSet::new();
        for (who, member) in self.registry.members() {
            for held in [member.key, member.next_key].into_iter().flatten() {
                prop_assert!(keys.insert(held), "two members hold one key");
                prop_assert!(!member.revoked_keys.contains(&held), "a revoked key is held");
            }
            if self.out.contains(who) {
                prop_assert_ne!(member.standing, Standing::Active, "a revoked member is back without an invitation");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_sequence_of_operations_breaks_the_laws(ops in prop::collection::vec(op(), 1..60)) {
        let mut model = Model::default();
        for op in &ops {
            model.do_one(op)?;
        }
        let text = serde_json::to_string(&model.registry).unwrap();
        let again: Registry = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), text);
    }
}

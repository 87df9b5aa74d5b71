//! How often strangers may ask.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::member::UnixSeconds;

/// Questions of one address in a minute: a site that waits for its approval asks every few seconds.
const PER_ADDRESS_MAX: u32 = 60;
/// Questions of all strangers in a minute. It bounds the signatures to check and the addresses to remember.
const IN_ALL_MAX: u32 = 600;
/// The length of a window, in seconds.
const WINDOW: u64 = 60;

/// Counts questions in windows of a minute.
#[derive(Debug, Default)]
pub struct Limiter {
    window: u64,
    in_all: u32,
    by_address: BTreeMap<IpAddr, u32>,
}

impl Limiter {
    /// Whether `address` may ask once more at `now`; if so, this counts.
    pub fn admit(&mut self, address: IpAddr, now: UnixSeconds) -> bool {
        if self.window != now.0 / WINDOW {
            *self = Self { window: now.0 / WINDOW, ..Self::default() };
        }
        if self.in_all >= IN_ALL_MAX {
            return false;
        }
        let asked = self.by_address.entry(network(address)).or_default();
        if *asked >= PER_ADDRESS_MAX {
            return false;
        }
        *asked += 1;
        self.in_all += 1;
        true
    }
}

/// The address itself, or the network of an IPv6 address that is one customer's (64 bits).
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => IpAddr::V6((u128::from(six) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_use_up_what_others_need_and_a_minute_later_it_may_again() {
        let mut limiter = Limiter::default();
        let (noisy, quiet): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let now = UnixSeconds(6_000);
        let admitted = (0..1_000).filter(|_| limiter.admit(noisy, now)).count();
        assert_eq!(admitted, 60);
        assert!(limiter.admit(quiet, now));
        assert!(limiter.admit(noisy, now.plus(60)));
    }

    #[test]
    fn addresses_of_one_network_are_one_and_all_together_have_a_limit() {
        let mut limiter = Limiter::default();
        let now = UnixSeconds(6_000);
        let of = |network: u32, host: u32| -> IpAddr { format!("2001:db8:0:{network:x}::{host:x}").parse().unwrap() };
        assert_eq!((0..100).filter(|host| limiter.admit(of(1, *host), now)).count(), 60);
        let all = (2..1_000).filter(|network| limiter.admit(of(*network, 1), now)).count();
        assert_eq!(all, 540);
        assert!(limiter.by_address.len() <= 601, "what is remembered is bounded");
    }
}

//! The secret in an invitation: shown once, kept as a digest, compared in constant time.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Random bytes of a token: 160 bits, which are 32 characters without a remainder.
const TOKEN_BYTES: usize = 20;

/// What whoever is invited has to show. `Debug` does not show it; [`expose`](Self::expose) does.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<[u8; TOKEN_BYTES]>);

/// The digest of a token, which is all that is stored of it. A plain SHA-256 will do: 160 random bits cannot be guessed.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct TokenDigest([u8; 32]);

/// Why a text is no token. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It has another form.
    #[error("the token is not 32 letters and digits; copy the whole line that the operator sent")]
    Shape,
    /// The system gave no random bytes.
    #[error("could not make a token: the system gave no random bytes; this is unexpected, please report it")]
    Random,
}

impl Token {
    /// A new token.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, TokenError> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| TokenError::Random)?;
        Ok(Self(bytes))
    }

    /// The token as text, for the one line to paste.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&*self.0).to_ascii_lowercase())
    }

    /// The token as it travels.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; TOKEN_BYTES] {
        *self.0
    }

    /// The token that came.
    #[must_use]
    pub fn from_bytes(bytes: [u8; TOKEN_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// What is stored of it.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, &*self.0).as_ref());
        TokenDigest(out)
    }
}

impl TokenDigest {
    /// Whether both are of the same token, in a time that does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl FromStr for Token {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let decoded = BASE32_NOPAD.decode(text.trim().to_ascii_uppercase().as_bytes());
        let bytes: [u8; TOKEN_BYTES] =
            decoded.ok().and_then(|bytes| Zeroizing::new(bytes).as_slice().try_into().ok()).ok_or(TokenError::Shape)?;
        Ok(Self::from_bytes(bytes))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_form_and_no_two_are_alike() {
        let (token, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        let text = token.expose();
        assert_eq!(text.len(), 32);
        assert_eq!(text.parse::<Token>().unwrap(), token);
        assert_eq!(text.to_ascii_uppercase().parse::<Token>().unwrap(), token);
        assert!(token.digest().matches(&Token::from_bytes(token.to_bytes()).digest()));
        assert!(!token.digest().matches(&other.digest()));
    }

    #[test]
    fn other_texts_are_refused_without_being_repeated() {
        for text in ["", "short", "0189!", &"a".repeat(31), &"a".repeat(33), &"a".repeat(100_000)] {
            let refused = text.parse::<Token>().unwrap_err();
            assert_eq!(refused, TokenError::Shape);
            assert!(text.is_empty() || !refused.to_string().contains(text));
        }
    }
}

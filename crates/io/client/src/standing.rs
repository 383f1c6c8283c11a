//! Where those stand who sign something together.

/// How far a signer is of something that several sign: a draft, or the genesis of a ceremony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It issues the entry: its signature seals it, after all others.
    Seals,
    /// It has signed what is there.
    Signed,
    /// It has not signed.
    Missing,
    /// Its signature is not one of what is there.
    Void,
    /// There is a signature, and nobody here has its key.
    Unchecked,
}

impl Standing {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Seals => "seals",
            Self::Signed => "signed",
            Self::Missing => "missing",
            Self::Void => "void",
            Self::Unchecked => "unchecked",
        }
    }
}

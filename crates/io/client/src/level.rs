//! How far an entry must have come before the node answers: `accepted`, `ordered`, `replicated` or `replicated:K`.

use std::fmt;
use std::str::FromStr;

use ledger_proto::v1::Finality;

/// A step of the finality ladder (docs/API.md). The default is what a certificate shows: `replicated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The step.
    pub finality: Finality,
    /// With [`Finality::Replicated`], validators that must have reported the block durable; 0: the certificate is enough.
    pub replicas: u32,
}

impl Default for Level {
    fn default() -> Self {
        Self { finality: Finality::Replicated, replicas: 0 }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = |finality| Ok(Self { finality, replicas: 0 });
        match text {
            "accepted" => at(Finality::Accepted),
            "ordered" => at(Finality::Ordered),
            "replicated" => at(Finality::Replicated),
            other => {
                let count = other.strip_prefix("replicated:").and_then(|count| count.parse().ok());
                let replicas = count.filter(|count| *count > 0).ok_or_else(|| {
                    format!(
                        "expected accepted, ordered, replicated or replicated:K, found {other:?}"
                    )
                })?;
                Ok(Self { finality: Finality::Replicated, replicas })
            }
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match self.finality {
            Finality::Unspecified => "unknown",
            Finality::Accepted => "accepted",
            Finality::Ordered => "ordered",
            Finality::Replicated if self.replicas > 0 => {
                return write!(f, "replicated:{}", self.replicas);
            }
            Finality::Replicated => "replicated",
        };
        f.write_str(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_written_as_it_is_read() {
        for text in ["accepted", "ordered", "replicated", "replicated:1", "replicated:32"] {
            assert_eq!(text.parse::<Level>().unwrap().to_string(), text);
        }
        for text in ["", "Ordered", "replicated:", "replicated:0", "replicated:-1", "ordered:2"] {
            assert!(text.parse::<Level>().is_err(), "{text}");
        }
    }
}

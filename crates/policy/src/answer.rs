//! Yes, no, or unknown: Kleene's three values, in the order that makes *and* the lesser and *or* the greater.

/// What a selector says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// It does not hold.
    No,
    /// The fact it asks about is not known.
    Unknown,
    /// It holds.
    Yes,
}

impl Answer {
    /// Unknown stays unknown.
    pub(crate) fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }

    /// Whether any of `answers` holds; nothing holds in an empty list.
    pub(crate) fn any(answers: impl IntoIterator<Item = Self>) -> Self {
        let mut best = Self::No;
        for answer in answers {
            best = best.max(answer);
            if best == Self::Yes {
                break;
            }
        }
        best
    }

    /// Whether all of `answers` hold; in an empty list all do.
    pub(crate) fn all(answers: impl IntoIterator<Item = Self>) -> Self {
        let mut worst = Self::Yes;
        for answer in answers {
            worst = worst.min(answer);
            if worst == Self::No {
                break;
            }
        }
        worst
    }
}

impl From<bool> for Answer {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use super::Answer::{self, No, Unknown, Yes};

    #[test]
    fn the_tables_of_kleene() {
        for (a, b, and, or) in [
            (Yes, Yes, Yes, Yes),
            (Yes, Unknown, Unknown, Yes),
            (Yes, No, No, Yes),
            (Unknown, Unknown, Unknown, Unknown),
            (Unknown, No, No, Unknown),
            (No, No, No, No),
        ] {
            for pair in [[a, b], [b, a]] {
                assert_eq!(Answer::all(pair), and, "{pair:?}");
                assert_eq!(Answer::any(pair), or, "{pair:?}");
            }
        }
        assert_eq!((Answer::any([]), Answer::all([])), (No, Yes));
        assert_eq!((Yes.not(), Unknown.not(), No.not()), (No, Unknown, Yes));
    }
}

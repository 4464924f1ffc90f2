//! Why a decision was what it was, for the person, the operator and the record.

use narthex_model::PolicyId;

/// The reason for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The policy that decided; on a refusal because nothing matched, the one that came nearest.
    pub policy: Option<PolicyId>,
    /// Its name; empty without a policy.
    pub policy_name: String,
    /// The rule that decided, such as `include[0] {"everyone":{}}`; empty when no single rule did.
    /// For the operator and the record: it may name other people.
    pub rule: String,
    /// The fact that the rule was asked about, such as `country is DE`. For the operator and the record.
    pub fact: String,
    /// For the person: what happened and what would help. Names nobody but the person.
    pub sentence: String,
    /// Whether the rule asks who somebody is, so that another login could change the outcome; otherwise it asks
    /// about the connection (access-protocol §3.8: which denial page is shown).
    pub about_identity: bool,
}

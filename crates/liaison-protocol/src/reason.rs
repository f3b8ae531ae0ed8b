//! The one catalogue of refusals: what a caller can meet, whose move it is, and what to do next.

use std::fmt;

/// Who can act, as the gRPC status says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Malformed, whatever the state: the sender must change what it sends.
    InvalidArgument,
    /// Who signed or called is not proven.
    Unauthenticated,
    /// Proven, and not allowed.
    PermissionDenied,
    /// Right in itself, but not in this state.
    FailedPrecondition,
    /// Same name, other bytes.
    AlreadyExists,
    /// Not there, or not the caller's.
    NotFound,
    /// Outside what exists.
    OutOfRange,
    /// A limit or quota; the same call may pass later.
    ResourceExhausted,
    /// Try again with the same bytes.
    Unavailable,
    /// Stored bytes fail their hash.
    DataLoss,
    /// A defect of the node.
    Internal,
    /// Nothing of that kind is served or spoken here.
    Unimplemented,
}

macro_rules! reasons {
    ($($name:ident $word:literal $class:ident $meaning:literal $next:literal;)*) => {
        /// Why something was refused. The word is stable: clients may branch on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $meaning] $name,)*
        }

        impl Reason {
            /// All of them, in the catalogue's order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable word, as in `google.rpc.ErrorInfo`.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Who can act.
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// What the caller does next, in a sentence.
            pub fn next(self) -> &'static str {
                match self { $(Self::$name => $next,)* }
            }
        }
    };
}

reasons! {
    Malformed "MALFORMED" InvalidArgument
        "The bytes are not the message they should be."
        "Encode the message as the protos say, each field once.";
    FieldInvalid "FIELD_INVALID" InvalidArgument
        "A field is absent, unknown or out of its bounds."
        "Correct the field named in the answer.";
    UnknownPayloadType "UNKNOWN_PAYLOAD_TYPE" InvalidArgument
        "The signature is right, but the payload type is not the one this call takes."
        "Use the payload type that docs/PROTOCOL.md gives for this call.";
    SignatureCount "SIGNATURE_COUNT" InvalidArgument
        "An envelope carries exactly one signature."
        "Send one signature in the envelope.";
    SignatureShape "SIGNATURE_SHAPE" InvalidArgument
        "The signature has not the length or the DER form of its algorithm."
        "Ed25519 signatures have 64 bytes; ECDSA P-256 signatures are strict DER.";
    FutureDated "FUTURE_DATED" InvalidArgument
        "issued_at lies more than five minutes ahead of the node's clock."
        "Set the clock of the signing system, and sign again.";
    PartMismatch "PART_MISMATCH" InvalidArgument
        "A part does not open the commitment in the manifest."
        "Send the parts, salts and order that were signed.";
    TooLarge "TOO_LARGE" ResourceExhausted
        "The message is larger than its limit."
        "Send less in one message; the limit is in the answer.";
    UnknownMethod "UNKNOWN_METHOD" Unimplemented
        "No service here has this method."
        "Call a method of docs/PROTOCOL.md; reflection lists what is served.";
    NotSpoken "NOT_SPOKEN" Unimplemented
        "The request is compressed, or is no gRPC in protobuf."
        "POST with content-type application/grpc and without compression.";
    SignatureMissing "SIGNATURE_MISSING" Unauthenticated
        "The envelope carries an empty signature."
        "Sign the envelope.";
    BadSignature "BAD_SIGNATURE" Unauthenticated
        "No key that the directory lists for the caller and this use made this signature over these bytes."
        "Sign with a listed key of the right usage, over the DSSE pre-authentication encoding.";
    KeyNotInForce "KEY_NOT_IN_FORCE" Unauthenticated
        "The key that signed is denied, or outside its window now."
        "Sign with a key that the directory head in force allows.";
    Revoked "REVOKED" Unauthenticated
        "The certificate of this line is not believed any more: revoked, denied or ended."
        "Connect with a certificate that is; ask your authority or the node's operator why this one is not.";
    OtherNetwork "OTHER_NETWORK" Unauthenticated
        "The payload does not begin with this network's name."
        "Sign for the network that the node's directory head names.";
    Unregistered "UNREGISTERED" PermissionDenied
        "The certificate is valid, but the directory lists no such partner."
        "Ask the authority to enrol you.";
    Suspended "SUSPENDED" PermissionDenied
        "The directory lists the caller as suspended."
        "Ask the authority.";
    WrongRole "WRONG_ROLE" PermissionDenied
        "This service is not for the role in the caller's certificate."
        "Call with a partner's certificate.";
    SenderMismatch "SENDER_MISMATCH" PermissionDenied
        "The payload names another partner than the one who called."
        "Submit as the originator, and acknowledge as the recipient, that the payload names.";
    NotHome "NOT_HOME" FailedPrecondition
        "This node is not the originator's home."
        "Submit at the node named in the answer.";
    NotCovered "NOT_COVERED" PermissionDenied
        "No agreement in force lets you send this kind, with this handling and precedence, to a partner or group you named."
        "Leave out the recipient named in the answer, or conclude an agreement.";
    NoRoute "NO_ROUTE" FailedPrecondition
        "A recipient's home is another node, and this node has no link to it."
        "Leave out the recipient named in the answer, or ask the operators to link the nodes.";
    NobodyToReach "NOBODY_TO_REACH" PermissionDenied
        "No recipient remains after groups and exemptions are resolved."
        "Name a recipient that your agreements cover.";
    TooOld "TOO_OLD" FailedPrecondition
        "issued_at lies more than 72 hours back, and the node has not seen the notice before."
        "Issue the notice anew.";
    Expired "EXPIRED" FailedPrecondition
        "expires_at has passed."
        "Issue the notice anew with a later expires_at.";
    ReferenceConflict "REFERENCE_CONFLICT" AlreadyExists
        "Another notice of yours already has this reference."
        "Give the new notice a reference of its own.";
    RelatedUnknown "RELATED_UNKNOWN" NotFound
        "The notice to amend or cancel is not known here as yours."
        "Submit the earlier notice first, or correct the relation.";
    NotFound "NOT_FOUND" NotFound
        "No such notice, or it is not yours to see."
        "Check the reference or leaf index.";
    NotConsigned "NOT_CONSIGNED" NotFound
        "This notice was never put into your mailbox under that leaf index."
        "Acknowledge what Collect delivered, with its leaf index and NoticeId.";
    AlreadyDecided "ALREADY_DECIDED" FailedPrecondition
        "You have already decided on this notice, or its time is over."
        "The first decision stands; send an answer if more is to be said.";
    IndexOutOfRange "INDEX_OUT_OF_RANGE" OutOfRange
        "The log has no such leaf or size yet."
        "Ask for an index below the size of the newest checkpoint.";
    UnknownHead "UNKNOWN_HEAD" NotFound
        "The node has no directory head of that version."
        "Ask for the head in force with version 0.";
    Busy "BUSY" ResourceExhausted
        "The node has more work under way than it takes."
        "Send the same bytes again after the time in RetryInfo.";
    StoreFull "STORE_FULL" ResourceExhausted
        "The node's store has no room for new notices."
        "Send the same bytes again later; the node's operator must make room.";
    EvidenceUnavailable "EVIDENCE_UNAVAILABLE" Unavailable
        "It is not known whether the notice was taken, or the log cannot be signed now."
        "Send the same bytes again: a notice is never taken twice.";
    ShuttingDown "SHUTTING_DOWN" Unavailable
        "The node is stopping."
        "Send the same bytes again after the time in RetryInfo.";
    StoreUnavailable "STORE_UNAVAILABLE" Unavailable
        "The node's store cannot be reached now; nothing was taken."
        "Try again after the time in RetryInfo.";
    Recovering "RECOVERING" Unavailable
        "The node's store is older than what it signed, or damaged: it serves what is whole and takes nothing new."
        "Keep what you have and send the same bytes again once the node's operator has brought the log back.";
    StoredDamage "STORED_DAMAGE" DataLoss
        "Stored bytes fail their hash."
        "Tell the node's operator; nothing else of yours is affected.";
    Defect "DEFECT" Internal
        "A defect of the node."
        "Tell the node's operator, with the time and the reason's metadata.";
}

impl Reason {
    /// Finds a reason by its word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.word() == word)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One refusal: the catalogue's reason, what it is about, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Refusal {
    /// From the catalogue.
    pub reason: Reason,
    /// One sentence that names the field, file or rule. Never a key, a payload or a person.
    pub message: String,
    /// What clients may branch on: at most eight, e.g. `field` and its path.
    pub metadata: Vec<(&'static str, String)>,
    /// When the same bytes may pass, milliseconds. Absent: time alone changes nothing.
    pub retry_after_ms: Option<u32>,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), metadata: Vec::new(), retry_after_ms: None }
    }

    /// A field that is not as it must be.
    pub fn field(path: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::new(Reason::FieldInvalid, format!("{path}: {problem}")).with("field", path)
    }

    /// Adds something to branch on.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.metadata.push((key, value.to_string()));
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after_ms(mut self, after: u32) -> Self {
        self.retry_after_ms = Some(after);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_word_and_says_what_to_do() {
        for reason in Reason::ALL {
            assert_eq!(Reason::find(reason.word()), Some(*reason));
            assert!(reason.meaning().ends_with('.') && reason.next().ends_with('.'), "{reason}");
        }
    }
}

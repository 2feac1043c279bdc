//! What the local part of a recipient asks the inbox to do.

/// A behaviour. The local part that asks for it is given with each; a `+tag` after it does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Any other name: accepts.
    Accept,
    /// `reject`: 550 5.1.1 to `RCPT`.
    Reject,
    /// `tempfail`: 451 4.3.0 to `RCPT`, always.
    TempFail,
    /// `greylist`: 451 4.7.1 to the first `RCPT` of the address, then accepts.
    Greylist,
    /// `full`: 452 4.2.2 to `RCPT`.
    Full,
    /// `data-reject`: 554 5.7.1 to `DATA`.
    DataReject,
    /// `dot-reject`: 554 5.7.1 to the final dot.
    DotReject,
    /// `dot-tempfail`: 451 4.3.0 to the final dot.
    DotTempFail,
    /// `dot-354`: 354 to the final dot, which is no answer to it. The mail is not kept.
    Dot354,
    /// `drop-rcpt`: closes without an answer to `RCPT`.
    DropRcpt,
    /// `drop-data`: closes in the middle of the body.
    DropData,
    /// `drop-dot`: takes the mail, closes without an answer.
    DropDot,
    /// `drop-dot-once`: so the first time, then accepts.
    DropDotOnce,
    /// `cut-dot`: takes the mail, answers `250 2.0.0 que` without a line's end and closes.
    CutDot,
    /// `hang-dot`: reads the mail, never answers and does not keep it.
    HangDot,
    /// `hang-rcpt`: never answers `RCPT`.
    HangRcpt,
    /// `close-421`: 421 4.3.2 to `RCPT`, then closes.
    Close421,
    /// `slow`: accepts, every answer from `RCPT` to the dot 50 ms late.
    Slow,
}

impl Behaviour {
    const NAMED: [(&'static str, Self); 17] = [
        ("reject", Self::Reject),
        ("tempfail", Self::TempFail),
        ("greylist", Self::Greylist),
        ("full", Self::Full),
        ("data-reject", Self::DataReject),
        ("dot-reject", Self::DotReject),
        ("dot-tempfail", Self::DotTempFail),
        ("dot-354", Self::Dot354),
        ("drop-rcpt", Self::DropRcpt),
        ("drop-data", Self::DropData),
        ("drop-dot", Self::DropDot),
        ("drop-dot-once", Self::DropDotOnce),
        ("cut-dot", Self::CutDot),
        ("hang-dot", Self::HangDot),
        ("hang-rcpt", Self::HangRcpt),
        ("close-421", Self::Close421),
        ("slow", Self::Slow),
    ];

    /// The behaviour that an address asks for.
    #[must_use]
    pub fn of(address: &str) -> Self {
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        let name = local.split_once('+').map_or(local, |(name, _)| name);
        let named = Self::NAMED.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map_or(Self::Accept, |(_, behaviour)| behaviour)
    }
}

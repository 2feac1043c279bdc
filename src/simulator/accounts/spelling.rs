//! How the domain's enumerations are spelled in an accounts file.

/// `mca`, `mpa`, `mosp`, `ea`.
pub(super) mod agreement {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::billing::Agreement;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(in super::super) fn serialize<S: Serializer>(agreement: &Agreement, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(agreement.as_str())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Agreement, D::Error> {
        let text = String::deserialize(from)?;
        let known = [Agreement::Mca, Agreement::Mpa, Agreement::Mosp, Agreement::Ea];
        known.into_iter().find(|agreement| agreement.as_str() == text).ok_or_else(|| {
            serde::de::Error::custom(format_args!("unknown agreement {text:?}: expected mca, mpa, mosp or ea"))
        })
    }
}

/// Azure's words (`TaxReceipt`); any other word is kept.
pub(super) mod kind {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::document::DocumentKind;

    pub(in super::super) fn serialize<S: Serializer>(kind: &DocumentKind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.as_azure())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DocumentKind, D::Error> {
        Ok(DocumentKind::from_azure(&String::deserialize(from)?))
    }
}

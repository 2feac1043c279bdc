//! Amounts as exact decimals with their currency.

use std::fmt;

use iso_currency::Currency;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// An amount of money exactly as Azure gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// The exact decimal value; negative for credits.
    pub amount: Decimal,
    /// The currency's code as Azure gave it, normally ISO 4217 (`EUR`).
    pub currency: String,
}

impl Money {
    /// The amount with at least as many decimals as the currency has minor digits (ISO 4217; two where unknown).
    ///
    /// Digits beyond those are kept: an amount is never rounded.
    #[must_use]
    pub fn decimal(&self) -> String {
        let minor = Currency::from_code(&self.currency).and_then(Currency::exponent).unwrap_or(2);
        let mut amount = self.amount.normalize();
        if amount.scale() < u32::from(minor) {
            amount.rescale(u32::from(minor));
        }
        amount.to_string()
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_minor_digits_and_never_rounds() {
        for (amount, currency, shown) in [
            ("8.5", "USD", "8.50 USD"),
            ("0", "EUR", "0.00 EUR"),
            ("1200", "JPY", "1200 JPY"),
            ("-25.460", "EUR", "-25.46 EUR"),
            ("1.23456", "EUR", "1.23456 EUR"),
            ("7", "KWD", "7.000 KWD"),
            ("7", "???", "7.00 ???"),
        ] {
            let money = Money { amount: amount.parse().unwrap(), currency: currency.into() };
            assert_eq!(money.to_string(), shown);
        }
    }
}

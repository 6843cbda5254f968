//! Checks that several documents share.

use super::error::suggestion;
use crate::rule::built_in::built_in;
use crate::rule::setting::{At, SettingError};
use crate::rule::table::{RULES, kind};

/// A text that says something; `key` is its name.
pub(super) fn not_empty(text: &At<String>, key: &str) -> Result<(), SettingError> {
    if text.value.trim().is_empty() {
        return Err(SettingError::new(text.span, format!("`{key}` is empty"), "write a text, or leave the key away"));
    }
    Ok(())
}

/// The id of a rule that may be excepted or ignored: known, and no built-in.
pub(super) fn rule_id(text: &At<String>) -> Result<&'static str, SettingError> {
    if built_in(&text.value).is_some() {
        let message = format!("`{}` is built in; it can't be excepted or ignored", text.value);
        return Err(SettingError::new(text.span, message, "mend the reference, or see `spec.built-in`"));
    }
    kind(&text.value).map(|kind| kind.id).ok_or_else(|| {
        let ids: Vec<&str> = RULES.iter().map(|kind| kind.id).collect();
        SettingError::new(text.span, format!("no rule `{}`", text.value), suggestion(&text.value, &ids))
    })
}

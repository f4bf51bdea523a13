//! Microsoft's own description of the types that its recovery API answers with.
//!
//! It lies with the shared data; where that is not on this machine, nothing is checked,
//! and the run says so.

use serde_json::{Map, Value};

use crate::shared;

/// The types by name.
pub(crate) struct Schema(Option<Map<String, Value>>);

impl Schema {
    /// Reads the description, where there is one.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let Some(data) = shared::data() else {
            return Ok(Self(None));
        };
        let text = std::fs::read(data.join("graph-schema/entra-recovery-beta.json"))?;
        let schema: Value = serde_json::from_slice(&text)?;
        let types = schema["types"].as_object().cloned().unwrap_or_default();
        anyhow::ensure!(types.len() > 8, "only {} types", types.len());
        Ok(Self(Some(types)))
    }

    /// Checks an object that is answered where one of this type is expected.
    pub(crate) fn check(&self, expected: &str, value: &Value) -> anyhow::Result<()> {
        let Some(types) = &self.0 else { return Ok(()) };
        let Some(object) = value.as_object() else {
            anyhow::bail!("{value} is no {expected}")
        };
        let told = object.get("@odata.type").and_then(Value::as_str);
        let name = told.map_or(expected, |told| bare(told.trim_start_matches('#')));
        let mut base = Some(name);
        let (mut is_expected, mut known, mut open) = (false, vec!["id".to_owned()], false);
        while let Some(name) = base {
            let Some(spec) = types.get(name) else {
                anyhow::bail!("there is no type {name}")
            };
            is_expected |= name == expected;
            open |= spec["openType"] == true;
            for (property, shape) in spec["properties"].as_object().into_iter().flatten() {
                let value = object.get(property);
                let fits = self.fits(shape, value.unwrap_or(&Value::Null))?;
                anyhow::ensure!(
                    fits && value.is_some(),
                    "{name}.{property}: {value:?} is no {shape}"
                );
                known.push(property.clone());
            }
            let above = spec["base"].as_str().map(bare);
            base = above.filter(|base| *base != "entity");
        }
        anyhow::ensure!(is_expected, "{name} is no {expected}");
        for property in object.keys() {
            let named = property.contains('@') || known.contains(property);
            anyhow::ensure!(named || open, "{name} has no {property}");
        }
        Ok(())
    }

    fn fits(&self, shape: &Value, value: &Value) -> anyhow::Result<bool> {
        if value.is_null() {
            return Ok(shape["nullable"] == true);
        }
        let kind = shape["type"].as_str().unwrap_or_default();
        if shape["collection"] == true {
            let Some(items) = value.as_array() else {
                return Ok(false);
            };
            for item in items {
                if !self.is_of(kind, item)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        self.is_of(kind, value)
    }

    fn is_of(&self, kind: &str, value: &Value) -> anyhow::Result<bool> {
        let text = value.as_str();
        Ok(match kind {
            "Edm.String" => text.is_some(),
            "Edm.Int32" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            "Edm.DateTimeOffset" => {
                let time = text.map(chrono::DateTime::parse_from_rfc3339);
                matches!(time, Some(Ok(_)))
            }
            _ => {
                let name = bare(kind);
                let spec = self.0.as_ref().and_then(|types| types.get(name));
                match spec.and_then(|spec| spec["members"].as_object()) {
                    Some(members) => text.is_some_and(|text| members.contains_key(text)),
                    None => {
                        self.check(name, value)?;
                        true
                    }
                }
            }
        })
    }
}

/// A name without its namespace.
fn bare(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

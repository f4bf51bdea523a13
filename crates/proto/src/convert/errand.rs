//! What a client wants done without it.

use super::InvalidMessage;
use crate::v1::Errand;

/// The longest note, in bytes.
const LONGEST: usize = 64 * 1024;

/// The errand that a request's note makes of what it asks for; `None` where there is
/// no note.
///
/// # Errors
/// [`InvalidMessage`] where the note is too long.
pub fn model_errand(note: &str) -> Result<Option<Errand>, InvalidMessage> {
    if note.len() > LONGEST {
        let problem = format!("at most {LONGEST} bytes are expected");
        return Err(InvalidMessage::new("errand_note", problem));
    }
    Ok((!note.is_empty()).then(|| Errand {
        note: note.to_owned(),
        ..Errand::default()
    }))
}

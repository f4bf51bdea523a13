//! A reader of Rust text that is just good enough to tell code from words.
//!
//! Must never grow into a parser: what needs one belongs in clippy.

/// The text with comments, strings and character literals replaced by blanks; lines stay where they are.
pub(super) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = ' ';
    while let Some(first) = rest.chars().next() {
        let words = words_at(rest, previous);
        if words == 0 {
            code.push(first);
            previous = first;
            rest = &rest[first.len_utf8()..];
        } else {
            let (blanked, after) = rest.split_at(words);
            code.extend(blanked.chars().map(|c| if c == '\n' { c } else { ' ' }));
            previous = ' ';
            rest = after;
        }
    }
    code
}

/// The length of the comment or literal that begins here; zero where code does.
fn words_at(rest: &str, previous: char) -> usize {
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment(rest)
    } else if rest.starts_with('"') {
        quoted(rest, '"')
    } else if rest.starts_with('\'') {
        character(rest)
    } else if rest.starts_with('r') && !continues_name(previous) {
        raw_string(rest)
    } else if rest.starts_with("br") && !continues_name(previous) {
        match raw_string(&rest[1..]) {
            0 => 0,
            length => length + 1,
        }
    } else {
        0
    }
}

fn continues_name(previous: char) -> bool {
    previous.is_alphanumeric() || previous == '_'
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            match here.chars().next() {
                Some(other) => at += other.len_utf8(),
                None => return at,
            }
        }
        if depth == 0 {
            return at;
        }
    }
}

/// A literal up to its closing quote, minding backslashes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// A character literal; zero for a lifetime.
fn character(rest: &str) -> usize {
    let mut after = rest.chars().skip(1);
    match (after.next(), after.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 0,
    }
}

/// A raw string; zero for a name that begins with `r`.
fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
    let open = 1 + hashes;
    if !rest[open..].starts_with('"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    match rest[open + 1..].find(&close) {
        Some(length) => open + 1 + length + close.len(),
        None => rest.len(),
    }
}

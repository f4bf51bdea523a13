//! Style and script of the pages.
//!
//! Owns the few files that every page loads, compiled in. Their names carry a hash of
//! their content, so that browsers may keep them for ever and still get new ones.

use super::Shared;
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use std::sync::LazyLock;

/// A file that pages load.
struct Asset {
    stem: &'static str,
    ending: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const STYLE: Asset = Asset {
    stem: "console",
    ending: "css",
    media_type: "text/css; charset=utf-8",
    content: include_str!("../../assets/console.css"),
};
const SCRIPT: Asset = Asset {
    stem: "console",
    ending: "js",
    media_type: "text/javascript; charset=utf-8",
    content: include_str!("../../assets/console.js"),
};
const ICON: Asset = Asset {
    stem: "icon",
    ending: "svg",
    media_type: "image/svg+xml",
    content: include_str!("../../assets/icon.svg"),
};

impl Asset {
    fn file_name(&self) -> String {
        let hash = blake3::hash(self.content.as_bytes()).to_hex();
        format!("{}-{}.{}", self.stem, &hash[..12], self.ending)
    }
}

/// Where the files are served.
#[derive(Debug)]
pub(crate) struct Paths {
    pub(crate) style: String,
    pub(crate) script: String,
    pub(crate) icon: String,
}

static PATHS: LazyLock<Paths> = LazyLock::new(|| {
    let path = |asset: Asset| format!("/assets/{}", asset.file_name());
    Paths {
        style: path(STYLE),
        script: path(SCRIPT),
        icon: path(ICON),
    }
});

/// Where pages find style and script.
pub(crate) fn paths() -> &'static Paths {
    &PATHS
}

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/assets/{file}", get(file))
}

async fn file(Path(file): Path<String>) -> Response {
    let found = [STYLE, SCRIPT, ICON]
        .into_iter()
        .find(|asset| asset.file_name() == file);
    match found {
        Some(asset) => serve(&asset),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn serve(asset: &Asset) -> Response {
    let headers = [
        (CONTENT_TYPE, asset.media_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, asset.content).into_response()
}

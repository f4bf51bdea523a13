//! Which resource a path names.
//!
//! Owns the paths of the API, and which method each takes.

use http::Method;

use super::criteria::NAMESPACE;
use super::errors::Refusal;
use super::ids::Kind;

/// A resource or an operation on one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The service itself.
    Root,
    Snapshots(Shape),
    Snapshot(String),
    Jobs(Place, Shape),
    /// Makes a job of a kind from a snapshot.
    Make(String, Kind),
    Job(Place, String),
    /// `getChanges` of a preview, `getFailedChanges` of a recovery.
    Changes(Place, String, Kind),
    Cancel(Place, String),
}

/// A collection or its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    List,
    Count,
}

/// Where a job is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Among all of the tenant.
    Anywhere,
    /// Among those of one kind of a snapshot.
    Of(String, Kind),
}

impl Target {
    /// Reads a path below the version, and the method.
    ///
    /// # Errors
    /// [`Refusal`] where there is no such resource, or it does not take the method.
    pub(super) fn read(path: &str, method: &Method) -> Result<Self, Refusal> {
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let target = match parts[..] {
            ["directory", "recovery"] => Some(Self::Root),
            ["directory", "recovery", "snapshots", ref rest @ ..] => of_snapshots(rest, method),
            ["directory", "recovery", "jobs", ref rest @ ..] => of_jobs(Place::Anywhere, rest),
            _ => None,
        };
        let nothing = || Refusal::not_found(format!("there is no resource {path:?}"));
        let target = target.ok_or_else(nothing)?;
        let (fits, allow) = match target {
            Self::Make(..) => (method == Method::POST, "GET, POST"),
            Self::Cancel(..) => (method == Method::POST, "POST"),
            Self::Jobs(Place::Of(..), Shape::List) => (method == Method::GET, "GET, POST"),
            _ => (method == Method::GET, "GET"),
        };
        fits.then_some(target).ok_or_else(|| Refusal::method(allow))
    }
}

fn of_snapshots(rest: &[&str], method: &Method) -> Option<Target> {
    Some(match rest {
        [] => Target::Snapshots(Shape::List),
        ["$count"] => Target::Snapshots(Shape::Count),
        [id] => Target::Snapshot((*id).to_owned()),
        [id, collection, rest @ ..] => {
            let kinds = [Kind::Preview, Kind::Recovery];
            let kind = kinds
                .into_iter()
                .find(|kind| kind.collection() == *collection)?;
            if rest.is_empty() && method == Method::POST {
                return Some(Target::Make((*id).to_owned(), kind));
            }
            return of_jobs(Place::Of((*id).to_owned(), kind), rest);
        }
    })
}

fn of_jobs(place: Place, rest: &[&str]) -> Option<Target> {
    Some(match rest {
        [] => Target::Jobs(place, Shape::List),
        ["$count"] => Target::Jobs(place, Shape::Count),
        [id] => Target::Job(place, (*id).to_owned()),
        [id, operation] => {
            let id = (*id).to_owned();
            let bare = operation.strip_suffix("()").unwrap_or(operation);
            let bare = bare
                .strip_prefix(NAMESPACE)
                .and_then(|bare| bare.strip_prefix('.'))
                .unwrap_or(bare);
            match bare {
                "getChanges" => Target::Changes(place, id, Kind::Preview),
                "getFailedChanges" => Target::Changes(place, id, Kind::Recovery),
                "cancel" => Target::Cancel(place, id),
                _ => return None,
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Method = Method::GET;
    const POST: Method = Method::POST;

    #[test]
    fn paths_name_resources() {
        let of = |kind| Place::Of("S=".to_owned(), kind);
        let job = || "J".to_owned();
        for (method, path, expected) in [
            (GET, "directory/recovery", Target::Root),
            (GET, "directory/recovery/", Target::Root),
            (
                GET,
                "directory/recovery/snapshots",
                Target::Snapshots(Shape::List),
            ),
            (
                GET,
                "directory/recovery/snapshots/$count",
                Target::Snapshots(Shape::Count),
            ),
            (
                GET,
                "directory/recovery/snapshots/S=",
                Target::Snapshot("S=".to_owned()),
            ),
            (
                POST,
                "directory/recovery/snapshots/S=/recoveryPreviewJobs",
                Target::Make("S=".to_owned(), Kind::Preview),
            ),
            (
                GET,
                "directory/recovery/snapshots/S=/recoveryJobs",
                Target::Jobs(of(Kind::Recovery), Shape::List),
            ),
            (
                GET,
                "directory/recovery/snapshots/S=/recoveryJobs/$count",
                Target::Jobs(of(Kind::Recovery), Shape::Count),
            ),
            (
                GET,
                "directory/recovery/snapshots/S=/recoveryJobs/J",
                Target::Job(of(Kind::Recovery), job()),
            ),
            (
                GET,
                "directory/recovery/snapshots/S=/recoveryPreviewJobs/J/getChanges",
                Target::Changes(of(Kind::Preview), job(), Kind::Preview),
            ),
            (
                GET,
                "directory/recovery/snapshots/S=/recoveryJobs/J/microsoft.graph.entraRecoveryServices.getFailedChanges()",
                Target::Changes(of(Kind::Recovery), job(), Kind::Recovery),
            ),
            (
                GET,
                "directory/recovery/jobs",
                Target::Jobs(Place::Anywhere, Shape::List),
            ),
            (
                GET,
                "directory/recovery/jobs/J",
                Target::Job(Place::Anywhere, job()),
            ),
            (
                POST,
                "directory/recovery/jobs/J/microsoft.graph.entraRecoveryServices.cancel",
                Target::Cancel(Place::Anywhere, job()),
            ),
        ] {
            assert_eq!(Target::read(path, &method), Ok(expected), "{method} {path}");
        }
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        for (method, path, status) in [
            (GET, "", 404),
            (GET, "users", 404),
            (GET, "directory/recovery/else", 404),
            (GET, "directory/recovery/snapshots/S/else", 404),
            (GET, "directory/recovery/jobs/J/else", 404),
            (GET, "directory/recovery/jobs/J/cancel", 405),
            (GET, "directory/recovery/jobs/J/cancel/more", 404),
            (POST, "directory/recovery/jobs", 405),
            (POST, "directory/recovery/snapshots", 405),
            (Method::DELETE, "directory/recovery/snapshots/S", 405),
            (
                Method::PATCH,
                "directory/recovery/snapshots/S/recoveryJobs",
                405,
            ),
            (
                POST,
                "directory/recovery/snapshots/S/recoveryPreviewJobs/J/getChanges",
                405,
            ),
        ] {
            let refusal = Target::read(path, &method).expect_err(path);
            assert_eq!(refusal.status.as_u16(), status, "{method} {path}");
        }
    }
}

//! What `cargo xtask bench vault` runs: days of a made-up tenant through the
//! vault's own commit, and reads of single objects.
//!
//! ```text
//! vault day STORE FILES NUMBER USERS MOVES   commits one day and writes its files
//! vault points STORE USERS SAMPLES           reads objects of the newest snapshot, cold
//! ```
//! Of MOVES memberships one changes each day: one link goes and one comes.
//! Each prints one line of JSON.

#![expect(
    clippy::print_stdout,
    reason = "its result is a line on standard output"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use model::snapshot::{Change, Completeness, Kind, Method};
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType, SnapshotId};
use serde_json::json;
use store::{Draft, Kek, Taken, TenantVault, Vault};
use testkit::store::{meta, moment, record, tenant};
use tokio::time::Instant;

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Of a hundred users one changes each day.
const DAILY: u64 = 100;
/// Members of groups, for each user.
const MEMBERSHIPS: u64 = 3;
/// Members of a group.
const GROUP: u64 = 300;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["day", store, files, day, users, moves] => {
            let tenant = Tenant {
                users: users.parse()?,
                moves: moves.parse()?,
                day: day.parse()?,
            };
            tenant.commit(Path::new(store), Path::new(files)).await
        }
        ["points", store, users, samples] => {
            points(Path::new(store), users.parse()?, samples.parse()?).await
        }
        _ => Err("unknown arguments".into()),
    }
}

async fn open(store: &Path) -> Outcome<TenantVault> {
    std::fs::create_dir_all(store)?;
    let url = format!("file://{}", store.canonicalize()?.display());
    let vault = Vault::open(&url, &|_| None, Arc::new(Kek::from_bytes([0; 32])))?;
    let id = tenant(1);
    if vault.tenant_record(&id).await?.is_none() {
        vault.create_tenant(&record(&id)).await?;
    }
    Ok(vault.tenant(&id).await?)
}

/// A made-up tenant on one of its days, counted from 1.
struct Tenant {
    users: u64,
    moves: u64,
    day: u64,
}

impl Tenant {
    /// On how many days up to this one something changed.
    fn version(&self, kind: u64, n: u64, one_in: u64) -> u64 {
        let changed = |day: &u64| chance(&[kind, n, *day]).is_multiple_of(one_in);
        (2..=self.day).filter(changed).count() as u64
    }

    fn yesterday(&self) -> Self {
        Self {
            day: self.day - 1,
            ..*self
        }
    }

    fn user(&self, n: u64) -> Outcome<Object> {
        let version = self.version(1, n, DAILY);
        let pick = |what: u64, from: &'static [&'static str]| {
            let place = chance(&[what, n]) % from.len() as u64;
            from[usize::try_from(place).unwrap_or_default()]
        };
        let (given, surname) = (pick(2, GIVEN), pick(3, SURNAMES));
        let mail = format!("{given}.{surname}{n}@contoso.example").to_lowercase();
        let more = chance(&[4, n]);
        let body = json!({
            "id": id(1, n),
            "accountEnabled": !more.is_multiple_of(20),
            "businessPhones": [format!("+49 30 {:07}", more % 10_000_000)],
            "city": pick(5, CITIES),
            "companyName": "Contoso",
            "createdDateTime": format!("20{:02}-{:02}-{:02}T08:{:02}:00Z", 10 + more % 16, 1 + more % 12, 1 + more % 28, more % 60),
            "department": format!("{} {}", pick(6, DEPARTMENTS), chance(&[7, n, version]) % 40),
            "displayName": format!("{given} {surname}"),
            "employeeId": format!("E{n:07}"),
            "givenName": given,
            "jobTitle": pick(8, TITLES),
            "mail": mail,
            "mailNickname": format!("{given}{n}").to_lowercase(),
            "mobilePhone": null,
            "officeLocation": format!("{}/{}", more % 12, more % 400),
            "onPremisesImmutableId": format!("{:016x}{:016x}", chance(&[9, n]), chance(&[10, n])),
            "onPremisesSyncEnabled": null,
            "proxyAddresses": [format!("SMTP:{mail}"), format!("smtp:{n}@contoso.example")],
            "securityIdentifier": format!("S-1-12-1-{}-{}-{}-{}", more % 4_294_967_296, chance(&[11, n]) % 4_294_967_296, chance(&[12, n]) % 4_294_967_296, chance(&[13, n]) % 4_294_967_296),
            "surname": surname,
            "usageLocation": "DE",
            "userPrincipalName": mail,
            "userType": "Member",
        });
        let text = body.to_string();
        Ok(Object::from_json(
            ObjectType::User,
            ObjectState::Live,
            &text,
        )?)
    }

    fn groups(&self) -> u64 {
        (self.users * MEMBERSHIPS).div_ceil(GROUP)
    }

    fn group(&self, n: u64) -> Outcome<Object> {
        let body = json!({
            "id": id(2, n),
            "displayName": format!("Group {n}"),
            "mailEnabled": false,
            "mailNickname": format!("group{n}"),
            "securityEnabled": true,
        });
        let text = body.to_string();
        Ok(Object::from_json(
            ObjectType::Group,
            ObjectState::Live,
            &text,
        )?)
    }

    /// Whom a membership makes a member.
    fn member(&self, place: u64) -> u64 {
        let version = self.version(20, place, self.moves);
        chance(&[21, place, version]) % self.users
    }

    fn link(&self, place: u64) -> Outcome<Link> {
        Ok(Link {
            kind: LinkKind::GroupMembers,
            source: ObjectId::parse(&id(2, place / GROUP))?,
            target: ObjectId::parse(&id(1, self.member(place)))?,
        })
    }

    /// What is different from the day before; on the first day everything.
    fn changes(&self) -> Outcome<Vec<Change>> {
        let first = self.day == 1;
        let before = if first { None } else { Some(self.yesterday()) };
        let mut changes = Vec::new();
        for n in 0..self.users {
            let is_new = |before: &Self| before.version(1, n, DAILY) != self.version(1, n, DAILY);
            if before.as_ref().is_none_or(is_new) {
                changes.push(Change::Put(self.user(n)?));
            }
        }
        if first {
            for n in 0..self.groups() {
                changes.push(Change::Put(self.group(n)?));
            }
        }
        let mut gone = Vec::new();
        let mut come = Vec::new();
        for place in 0..self.users * MEMBERSHIPS {
            match &before {
                None => come.push(self.link(place)?),
                Some(before) if before.member(place) != self.member(place) => {
                    gone.push(before.link(place)?);
                    come.push(self.link(place)?);
                }
                Some(_) => {}
            }
        }
        changes.extend(gone.into_iter().map(Change::Unlinked));
        changes.extend(come.into_iter().map(Change::Linked));
        Ok(changes)
    }

    async fn commit(&self, store: &Path, files: &Path) -> Outcome<()> {
        let vault = open(store).await?;
        let changes = self.changes()?;
        if files != Path::new("-") {
            self.write_files(files, &changes)?;
            // What was written for others is not to be paid for by this commit.
            rustix::fs::sync();
        }
        let mut meta = meta("20261120-daily", "a", i64::try_from(self.day)? * 86_400);
        meta.id = SnapshotId::parse(&format!("day-{:03}", self.day))?;
        let kinds = [
            Kind::Objects(ObjectType::User),
            Kind::Objects(ObjectType::Group),
            Kind::Links(LinkKind::GroupMembers),
        ];
        let taken = Taken {
            completeness: kinds
                .map(|kind| Completeness::begun(kind, Method::Delta, moment(0)))
                .to_vec(),
            ..Taken::default()
        };
        let counts = (
            changes
                .iter()
                .filter(|change| matches!(change, Change::Put(_)))
                .count(),
            changes
                .iter()
                .filter(|change| !matches!(change, Change::Put(_)))
                .count(),
        );
        let start = Instant::now();
        let base = match self.day {
            1 => None,
            day => Some(
                vault
                    .manifest(&SnapshotId::parse(&format!("day-{:03}", day - 1))?)
                    .await?,
            ),
        };
        let draft = Draft::default();
        changes.into_iter().for_each(|change| draft.apply(change));
        vault
            .commit(&meta, draft, taken, base.as_ref(), &|| meta.finished)
            .await?;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{}",
            json!({"seconds": seconds, "objects": counts.0, "links": counts.1})
        );
        Ok(())
    }

    /// One file per object; the members of a group are part of its file.
    fn write_files(&self, folder: &Path, changes: &[Change]) -> Outcome<()> {
        for change in changes {
            let Change::Put(object) = change else {
                continue;
            };
            if object.object_type == ObjectType::User {
                write_file(folder, "users", object.id.as_str(), &object.json)?;
            }
        }
        for n in 0..self.groups() {
            let places = n * GROUP..((n + 1) * GROUP).min(self.users * MEMBERSHIPS);
            let mut members: Vec<u64> = places.map(|place| self.member(place)).collect();
            members.sort_unstable();
            members.dedup();
            let mut text = self.group(n)?.json.trim_end_matches('}').to_owned();
            text.push_str(",\"members\":[");
            for (index, member) in members.into_iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                write!(text, "{comma}\"{}\"", id(1, member))?;
            }
            text.push_str("]}");
            write_file(folder, "groups", &id(2, n), &text)?;
        }
        Ok(())
    }
}

/// Writes a file unless it holds the text already.
fn write_file(folder: &Path, kind: &str, id: &str, text: &str) -> Outcome<()> {
    let folder = folder.join(kind).join(&id[id.len() - 2..]);
    let path = folder.join(format!("{id}.json"));
    if std::fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(());
    }
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(path, text)?)
}

async fn points(store: &Path, users: u64, samples: u64) -> Outcome<()> {
    let vault = open(store).await?;
    let (manifests, _) = vault.manifests().await?;
    let newest = manifests.first().ok_or("no snapshot")?.id().clone();
    let mut files = Vec::new();
    collect(store, &mut files)?;
    let mut times = Vec::new();
    for sample in 0..samples {
        let wanted = ObjectId::parse(&id(1, chance(&[30, sample]) % users))?;
        for file in &files {
            forget(file)?;
        }
        let start = Instant::now();
        let manifest = vault.manifest(&newest).await?;
        let found = vault.object(&manifest, ObjectType::User, &wanted).await?;
        times.push(start.elapsed().as_secs_f64() * 1_000.0);
        if found.is_none_or(|object| object.id != wanted) {
            return Err(format!("{wanted} was not found").into());
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100);
    println!("{}", json!({"p50": at(50), "p99": at(99)}));
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => collect(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

/// Lets Linux forget what it has cached of a file; `dd` knows the call for that.
fn forget(file: &Path) -> Outcome<()> {
    let mut target = std::ffi::OsString::from("if=");
    target.push(file);
    let dd = Command::new("dd")
        .arg(target)
        .args(["iflag=nocache", "count=0", "status=none"])
        .status()?;
    match dd.success() {
        true => Ok(()),
        false => Err("the cache cannot be emptied".into()),
    }
}

fn id(family: u64, n: u64) -> String {
    let (a, b) = (chance(&[family, n, 100]), chance(&[family, n, 101]));
    let text = format!("{a:016x}{b:016x}");
    format!(
        "{}-{}-4{}-8{}-{}",
        &text[..8],
        &text[8..12],
        &text[13..16],
        &text[17..20],
        &text[20..]
    )
}

/// The same number for the same words in every run: splitmix64 over them.
fn chance(words: &[u64]) -> u64 {
    words.iter().fold(0, |state, word| {
        let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

const GIVEN: &[&str] = &[
    "Adele",
    "Alex",
    "Amara",
    "Ben",
    "Chen",
    "Diego",
    "Emily",
    "Fatima",
    "Grady",
    "Henrietta",
    "Isaiah",
    "Johanna",
    "Kofi",
    "Lee",
    "Lidia",
    "Megan",
    "Miriam",
    "Nestor",
    "Patti",
    "Zoe",
];
const SURNAMES: &[&str] = &[
    "Adler", "Bowen", "Cornish", "Diaz", "Ek", "Fischer", "Graham", "Hance", "Ito", "Jansen",
    "Kowalski", "Langer", "Mueller", "Nowak", "Okafor", "Park", "Rossi", "Sato", "Vance", "Wilber",
];
const CITIES: &[&str] = &[
    "Berlin", "Cairo", "Lagos", "Lima", "London", "Osaka", "Pune", "Rome",
];
const DEPARTMENTS: &[&str] = &[
    "Engineering",
    "Finance",
    "Legal",
    "Marketing",
    "Research",
    "Sales",
];
const TITLES: &[&str] = &[
    "Analyst", "Clerk", "Director", "Engineer", "Lead", "Manager",
];

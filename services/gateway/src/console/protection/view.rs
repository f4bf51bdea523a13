//! What the page of protection says, as plain data.
//!
//! Owns the picture of the layers, which of them hold, and the chart of the score. Pure.

use super::super::parts::{Badge, Tone};
use super::super::signals::severity;
use super::super::told::count;
use prost_types::Timestamp;
use proto::v1::{self, PostureLayer, PostureStatus};
use show::text::utc;

/// A layer of the defence.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) name: &'static str,
    /// What it is for.
    pub(super) purpose: &'static str,
    pub(super) badge: Badge,
    /// The class of the style sheet for how it stands.
    pub(super) class: &'static str,
    /// What was found of it.
    pub(super) sentences: Vec<String>,
}

/// The chain: each layer rests on the one before.
const CHAIN: [(PostureLayer, &str, &str); 5] = [
    (
        PostureLayer::Action,
        "Protected action",
        "Deleting for good asks for more than a role.",
    ),
    (
        PostureLayer::Context,
        "Authentication context",
        "It says what the action asks for, and is published.",
    ),
    (
        PostureLayer::Policy,
        "Conditional Access policy",
        "It is enabled for the context, for everybody who could delete.",
    ),
    (
        PostureLayer::Strength,
        "Strong sign-in",
        "Phishing-resistant MFA is required.",
    ),
    (
        PostureLayer::Device,
        "Managed device",
        "A compliant device, and an administrators' workstation.",
    ),
];

/// What stands beside the chain.
const BESIDE: [(PostureLayer, &str, &str); 3] = [
    (
        PostureLayer::BreakGlass,
        "Break-glass accounts",
        "They are there, and stay out of the policies.",
    ),
    (
        PostureLayer::OtherActions,
        "Ways round it",
        "The actions that could take the defence apart are protected too.",
    ),
    (
        PostureLayer::Reach,
        "Who could",
        "Few people and no other applications may delete for good.",
    ),
];

/// How graves a status is for its layer: the greatest counts.
fn weight(status: PostureStatus) -> u8 {
    match status {
        PostureStatus::Good => 0,
        PostureStatus::NotReached | PostureStatus::Unspecified => 1,
        PostureStatus::NotKnown => 2,
        PostureStatus::Finding => 3,
    }
}

fn standing(status: PostureStatus) -> (Tone, &'static str, &'static str) {
    match status {
        PostureStatus::Good => (Tone::Good, "Holds", "good"),
        PostureStatus::Finding => (Tone::Bad, "Open", "bad"),
        PostureStatus::NotKnown => (Tone::Warn, "Not known", "warn"),
        PostureStatus::NotReached | PostureStatus::Unspecified => {
            (Tone::Plain, "Nothing to judge yet", "plain")
        }
    }
}

fn layer(posture: &v1::Posture, of: &(PostureLayer, &'static str, &'static str)) -> Layer {
    let (layer, name, purpose) = *of;
    let checks = || posture.checks.iter().filter(|it| it.layer() == layer);
    let worst = checks().map(|it| it.status()).max_by_key(|it| weight(*it));
    let (tone, word, class) = standing(worst.unwrap_or_default());
    Layer {
        name,
        purpose,
        badge: Badge::new(tone, word),
        class,
        sentences: checks()
            .filter(|it| it.status() != PostureStatus::NotReached)
            .map(|it| it.sentence.clone())
            .collect(),
    }
}

/// One check.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) id: String,
    pub(super) badge: Badge,
    pub(super) sentence: String,
    pub(super) evidence: Vec<String>,
    pub(super) remedy: String,
    pub(super) points: i32,
}

impl Check {
    fn of(check: &v1::PostureCheck) -> Self {
        let badge = match check.status() {
            PostureStatus::Finding => severity(check.severity()),
            status => {
                let (tone, word, _) = standing(status);
                Badge::new(tone, word)
            }
        };
        Self {
            id: check.id.clone(),
            badge,
            sentence: check.sentence.clone(),
            evidence: check.evidence.clone(),
            remedy: check.remedy.clone(),
            points: check.points,
        }
    }
}

/// A role or application that allows to delete for good.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) name: String,
    pub(super) by: String,
    pub(super) holders: String,
}

/// How well a tenant is guarded.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) score: i32,
    pub(super) unknown: i32,
    pub(super) tone: Tone,
    pub(super) read: Option<Timestamp>,
    /// Whether it was read just now.
    pub(super) is_fresh: bool,
    pub(super) chain: Vec<Layer>,
    pub(super) beside: Vec<Layer>,
    pub(super) findings: Vec<Check>,
    pub(super) unknowns: Vec<Check>,
    pub(super) others: Vec<Check>,
    pub(super) roles: Vec<Reach>,
    pub(super) applications: Vec<Reach>,
}

impl Standing {
    pub(super) fn of(posture: &v1::Posture) -> Self {
        let mut findings: Vec<&v1::PostureCheck> = with(posture, PostureStatus::Finding).collect();
        findings.sort_by_key(|check| std::cmp::Reverse((check.severity(), check.points)));
        let others = posture.checks.iter().filter(|check| {
            !matches!(
                check.status(),
                PostureStatus::Finding | PostureStatus::NotKnown
            )
        });
        Self {
            score: posture.score,
            unknown: posture.unknown_points,
            tone: match posture.score {
                90.. => Tone::Good,
                60..=89 => Tone::Warn,
                _ => Tone::Bad,
            },
            read: posture.read_time,
            is_fresh: posture.snapshot.is_empty(),
            chain: CHAIN.iter().map(|of| layer(posture, of)).collect(),
            beside: BESIDE.iter().map(|of| layer(posture, of)).collect(),
            findings: findings.into_iter().map(Check::of).collect(),
            unknowns: with(posture, PostureStatus::NotKnown)
                .map(Check::of)
                .collect(),
            others: others.map(Check::of).collect(),
            roles: posture.roles.iter().map(role).collect(),
            applications: posture
                .applications
                .iter()
                .map(|application| Reach {
                    name: application.display_name.clone(),
                    by: application.permissions.join(", "),
                    holders: String::new(),
                })
                .collect(),
        }
    }
}

fn with(posture: &v1::Posture, status: PostureStatus) -> impl Iterator<Item = &v1::PostureCheck> {
    posture
        .checks
        .iter()
        .filter(move |check| check.status() == status)
}

fn role(role: &v1::HardDeleteRole) -> Reach {
    let holders = [
        (role.user_count, "user", "users"),
        (role.group_count, "group", "groups"),
        (
            role.service_principal_count,
            "service principal",
            "service principals",
        ),
        (role.unknown_count, "other", "others"),
    ];
    let holders: Vec<String> = holders
        .into_iter()
        .filter(|(number, _, _)| *number > 0)
        .map(|(number, one, many)| count(number, one, many))
        .collect();
    Reach {
        name: role.display_name.clone(),
        by: role.actions.join(", "),
        holders: holders.join(", "),
    }
}

/// The score over time.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    /// In the chart's own units; its height is that of a score of 100.
    pub(super) width: i32,
    /// The same in a sentence.
    pub(super) sentence: String,
}

/// One posture of the chart.
#[derive(Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) day: String,
    pub(super) score: i32,
    pub(super) findings: usize,
    pub(super) read: Option<Timestamp>,
}

/// The greatest width of the chart, in its own units,
const WIDTH: i32 = 600;
/// and the least, so that a few days are no wall.
const LEAST: i32 = 360;

impl Chart {
    /// Of postures, newest first as they come; nothing where there are fewer than two.
    pub(super) fn of(postures: &[v1::Posture]) -> Option<Self> {
        if postures.len() < 2 {
            return None;
        }
        let number = i32::try_from(postures.len()).ok()?;
        let step = (WIDTH / number).clamp(4, 40);
        let bars: Vec<Bar> = (0..)
            .zip(postures.iter().rev())
            .map(|(at, posture)| {
                let score = posture.score.clamp(0, 100);
                let day = utc(posture.read_time.as_ref());
                Bar {
                    x: at * step,
                    y: 100 - score,
                    width: (step - 2).max(2),
                    height: score,
                    day: day.map_or_else(String::new, |day| day.format("%-d %b %Y").to_string()),
                    score,
                    findings: with(posture, PostureStatus::Finding).count(),
                    read: posture.read_time,
                }
            })
            .collect();
        let (first, last) = (bars.first()?, bars.last()?);
        let sentence = format!(
            "The score went from {} on {} to {} on {}.",
            first.score, first.day, last.score, last.day
        );
        Some(Self {
            width: (number * step).max(LEAST),
            bars,
            sentence,
        })
    }
}

#[cfg(test)]
mod tests;

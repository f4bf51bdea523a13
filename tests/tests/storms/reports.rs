//! Reports in a storm: right, or refused; and after it, the same request gives
//! the right one.

use graph::{Mode, Request, collect_content};
use model::diff::{Scope, diff};
use model::retention::Policy;
use model::snapshot::Content;
use model::{Object, ObjectState, ObjectType};
use proto::v1::{Change, Report, ReportState};
use runtime::Clock;
use store::Manifest;
use testkit::store::{Lag, Struck, Weather, meta};
use tonic::Status;

use crate::house::{Differ, House};
use crate::{Dice, all_run, seeds};

/// What the flows did.
#[derive(Debug, Default)]
struct Counted {
    made: usize,
    refused: usize,
    killed: usize,
}

impl std::ops::AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.made += other.made;
        self.refused += other.refused;
        self.killed += other.killed;
    }
}

async fn read(house: &House) -> Content {
    let tick = || house.clock.now();
    let request = Request::all(Mode::Whole);
    let content = collect_content(house.directory.as_ref(), &request, &tick, &|_| {}).await;
    content.unwrap()
}

/// A snapshot of the tenant as it is.
pub(crate) async fn snapshot(house: &House, id: &str) -> Manifest {
    let content = read(house).await;
    let start = (house.clock.now() - testkit::store::moment(0)).num_seconds();
    let meta = meta(id, "a", start);
    house.vault.commit_content(&meta, &content).await.unwrap()
}

/// Gives some users another department.
fn change(house: &House, dice: &mut Dice, department: &str) {
    for object in house.directory.content().objects {
        if object.object_type != ObjectType::User || dice.roll(3) > 0 {
            continue;
        }
        let mut body = object.body();
        body.insert("department".to_owned(), department.into());
        let state = match dice.roll(4) {
            0 => ObjectState::Deleted,
            _ => object.state,
        };
        let object = Object::from_body(ObjectType::User, state, &body);
        house.directory.put(object.unwrap());
    }
}

/// A report that is asked for, and what it has to say.
struct Question {
    base: String,
    target: &'static str,
    request_id: String,
    expected: Vec<Change>,
}

impl Question {
    /// Whether there was an answer, which must be right.
    fn is_answered(&self, answer: Result<(Report, Vec<Change>), Status>) -> bool {
        let Ok((report, changes)) = answer else {
            return false;
        };
        assert_eq!(report.state(), ReportState::Succeeded);
        assert_eq!(report.not_compared, Vec::<String>::new());
        assert_eq!(changes, self.expected, "{}", self.request_id);
        true
    }
}

/// Asks for reports of what changed between two snapshots and since, again and
/// again, of processes that are killed meanwhile.
async fn ask(seed: u64) -> (Counted, Struck) {
    let weather = Weather::of(25, Lag::OfAll);
    let house = House::new(seed, weather, Policy::default()).await;
    let (mut dice, mut counted) = (Dice::new(seed), Counted::default());
    let (one, two) = ("20261120-daily", "20261121-daily");
    let first = snapshot(&house, one).await;
    house.clock.next_day();
    change(&house, &mut dice, "Second");
    let second = snapshot(&house, two).await;
    house.clock.next_day();
    change(&house, &mut dice, "Third");

    let first = house.vault.read(&first).await.unwrap();
    let second = house.vault.read(&second).await.unwrap();
    let live = read(&house).await;
    let expected = |target: &Content| {
        let difference = diff(&first, target, &Scope::default());
        let changes = difference.changes.iter();
        changes.map(proto::convert::change).collect::<Vec<_>>()
    };
    let base = proto::name::snapshot(house.tenant(), &model::SnapshotId::parse(one).unwrap());
    let questions = [(two, &second), ("live", &live)].map(|(target, content)| Question {
        base: base.clone(),
        target,
        request_id: format!("{seed}-{target}"),
        expected: expected(content),
    });

    let mut differ = house.differ().await;
    for _ in 0..3 {
        if differ.store.is_severed() {
            counted.killed += 1;
            differ = house.differ().await;
        }
        if dice.roll(4) == 0 {
            differ.store.sever_after(dice.roll(25));
        }
        let [one, two] = &questions;
        let answers = futures::join!(answer(&differ, one), answer(&differ, two));
        for (question, answer) in questions.iter().zip([answers.0, answers.1]) {
            match question.is_answered(answer) {
                true => counted.made += 1,
                false => counted.refused += 1,
            }
        }
    }
    house.storm.calm().await;
    let differ = match differ.store.is_doomed() {
        true => house.differ().await,
        false => differ,
    };
    for question in &questions {
        let answered = answer(&differ, question).await;
        assert!(answered.is_ok(), "{answered:?}");
        assert!(question.is_answered(answered));
    }
    (counted, house.storm.struck())
}

async fn answer(differ: &Differ, question: &Question) -> Result<(Report, Vec<Change>), Status> {
    let target = match question.target {
        "live" => "live".to_owned(),
        id => question.base.replace("20261120-daily", id),
    };
    differ
        .report(&question.base, &target, &question.request_id)
        .await
}

fn check(range: std::ops::Range<u64>) {
    let counted = seeds(range, ask);
    println!("{counted:?}");
    if all_run() {
        assert!(counted.made > 1000, "{counted:?}");
        assert!(counted.refused > 100, "{counted:?}");
        assert!(counted.killed > 50, "{counted:?}");
    }
}

#[test]
fn reports_are_right_or_refused() {
    check(0..500);
}

#[test]
fn reports_are_right_or_refused_in_five_hundred_more() {
    check(500..1000);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_was_cut_short_is_made_in_the_same_second() {
    let mut whole = 0;
    for operations in 0..60 {
        let house = House::new(operations, Weather::of(0, Lag::OfAll), Policy::default()).await;
        let first = snapshot(&house, "20261120-daily").await;
        for seed in 1..4 {
            change(&house, &mut Dice::new(seed), "Changed");
        }
        let second = snapshot(&house, "20261121-daily").await;
        let base = house.vault.read(&first).await.unwrap();
        let target = house.vault.read(&second).await.unwrap();
        let difference = diff(&base, &target, &Scope::default());
        assert!(!difference.changes.is_empty());
        let question = Question {
            base: proto::name::snapshot(house.tenant(), first.id()),
            target: "20261121-daily",
            request_id: "asked twice".to_owned(),
            expected: difference
                .changes
                .iter()
                .map(proto::convert::change)
                .collect(),
        };
        let differ = house.differ().await;
        differ.store.sever_after(operations);
        whole += usize::from(question.is_answered(answer(&differ, &question).await));
        let differ = house.differ().await;
        let answered = answer(&differ, &question).await;
        assert!(answered.is_ok(), "{operations}: {answered:?}");
        assert!(question.is_answered(answered));
    }
    assert!((10..50).contains(&whole), "{whole} were not cut short");
}

use super::*;

const CPU: Figure = Figure::time("server_cpu_ns", "CPU");
const RATE: Figure = Figure::rate("per_second", "rate");

fn entrant(name: &str, role: Role, rounds: &[f64]) -> EntrantResults {
    let rounds: Vec<BTreeMap<String, f64>> = rounds
        .iter()
        .map(|&value| {
            BTreeMap::from([(CPU.id.to_string(), value), (RATE.id.to_string(), 1e3 / value)])
        })
        .collect();
    let mut one = EntrantResults {
        name: name.to_owned(),
        role,
        medians: BTreeMap::new(),
        rounds,
        latency: Vec::new(),
        failure: None,
    };
    for figure in [CPU, RATE] {
        one.medians.insert(figure.id.to_string(), median(one.values(&figure.id)).unwrap());
    }
    one
}

fn scenario(entrants: Vec<EntrantResults>, targets: Vec<Target>) -> ScenarioResults {
    ScenarioResults {
        id: "s".to_owned(),
        title: "S".to_owned(),
        group: None,
        figures: vec![CPU, RATE],
        base: Some("floor".to_owned()),
        entrants,
        targets,
        doubt: None,
    }
}

fn rounds_of(engine: &[f64], again: &[f64], peer: &[f64]) -> ScenarioResults {
    scenario(
        vec![
            entrant("eventwire", Role::Engine, engine),
            entrant("again", Role::Again, again),
            entrant("floor", Role::Floor, &[10.0, 10.0, 10.0]),
            entrant("peer", Role::Peer, peer),
        ],
        Vec::new(),
    )
}

fn name(entrant: Option<&EntrantResults>) -> Option<&str> {
    entrant.map(|entrant| entrant.name.as_str())
}

#[test]
fn the_best_figure_is_first_beyond_the_noise() {
    let clear = rounds_of(&[11.0, 11.0, 11.0], &[11.2, 11.0, 11.1], &[12.0, 13.0, 12.0]);
    assert_eq!(name(clear.first(&CPU)), Some("eventwire"));
    // Of rates more is better.
    assert_eq!(name(clear.first(&RATE)), Some("eventwire"));
    assert_eq!(name(clear.best_peer(&RATE)), Some("peer"));
    let noisy = rounds_of(&[11.0, 11.0, 11.0], &[13.0, 13.0, 13.0], &[12.0, 13.0, 12.0]);
    assert_eq!(name(noisy.first(&CPU)), None);
    let doubted = ScenarioResults { doubt: Some("noise".to_owned()), ..clear };
    assert_eq!(name(doubted.first(&CPU)), None);
}

#[test]
fn a_better_ratio_belongs_to_a_better_figure() {
    let scenario = rounds_of(&[11.0, 30.0, 10.0], &[11.0, 30.0, 10.0], &[12.0, 10.0, 13.0]);
    let ratio = |name| scenario.ratio_to_base(scenario.entrant(name).unwrap(), &CPU.id).unwrap();
    assert_eq!(ratio("eventwire"), 1.1);
    assert_eq!(ratio("peer"), 1.2);
}

#[test]
fn targets_are_judged_by_all_rounds() {
    let floor = || To::Entrant("floor".to_owned());
    let outcome = |to, bound, engine: &[f64]| {
        let mut scenario = rounds_of(engine, engine, &[20.0, 20.0, 20.0]);
        scenario.targets = vec![Target::new("eventwire", &CPU, to, bound)];
        let verdict = scenario.verdicts().remove(0);
        (verdict.outcome, verdict.value.median, verdict.unit)
    };
    let steady = [11.0, 12.0, 11.0];
    let reached = outcome(floor(), Bound::AtMost(1.2), &steady);
    assert_eq!(reached, (Outcome::Reached, 1.1, Unit::Ratio));
    assert_eq!(outcome(floor(), Bound::AtMost(1.0), &steady).0, Outcome::Missed);
    assert_eq!(outcome(floor(), Bound::AtMost(1.1), &steady).0, Outcome::Uncertain);
    assert_eq!(outcome(To::BestPeer, Bound::AtMost(0.6), &steady).0, Outcome::Reached);
    let more = outcome(To::MoreThan("floor".to_owned()), Bound::AtMost(2.0), &steady);
    assert_eq!(more, (Outcome::Reached, 1.0, Unit::Nanoseconds));
    let itself = outcome(To::Itself, Bound::AtLeast(11.0), &steady);
    assert_eq!(itself, (Outcome::Reached, 11.0, Unit::Nanoseconds));
}

#[test]
fn a_target_without_its_entrants_is_not_judged() {
    let target = Target::new("eventwire", &CPU, To::BestPeer, Bound::AtMost(1.0));
    let alone = vec![entrant("eventwire", Role::Engine, &[1.0])];
    assert_eq!(scenario(alone, vec![target]).verdicts(), []);
}

#[test]
fn results_survive_their_json_form() {
    let results = Results {
        format: FORMAT,
        program: "p".to_owned(),
        title: "t".to_owned(),
        command: "c".to_owned(),
        machine: Machine {
            cpu: "x".to_owned(),
            cpus: 2,
            kernel: "k".to_owned(),
            virtual_machine: true,
            load_average: None,
        },
        conditions: vec!["quiet".to_owned()],
        scenarios: vec![rounds_of(&[1.0], &[1.0], &[2.0])],
        notes: Vec::new(),
    };
    let text = serde_json::to_string(&results).unwrap();
    assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results);
}

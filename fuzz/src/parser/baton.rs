//! Batons as any sender may bring them: a doubt ends by no check-in, and what was answered is answered alike.
use domain::continuity::{Brought, Continuity, Doubt, Sender};
use domain::time::Time;

pub fn seeds() -> Vec<Vec<u8>> {
    super::bytes([
        // A number brings a baton that was handed out; then comes the attempt.
        " a\n0 b\n0 b\n1 c\n1 d\n-",
        "x a\n0 b\n0 c\n0 d\n2 e",
        r#"{"baton":"1.x","attempt":"a"}"#,
        r#"{"issued":2,"lines":[{"baton":"2.r1","before":"1.r0","attempt":"b","address":"192.0.2.1","seen_at":1}]}"#,
    ])
}

pub fn check(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (mut known, mut doubt) = (Continuity::default(), Doubt::None);
    let mut handed: Vec<String> = Vec::new();
    for (at, part) in (0..).zip(text.split('\n').take(64)) {
        let (baton, attempt) = part.split_once(' ').unwrap_or((part, ""));
        let baton = baton.parse::<usize>().ok().and_then(|it| handed.get(it).cloned()).unwrap_or_else(|| baton.into());
        let brought = Brought { baton: (!baton.is_empty()).then_some(baton), attempt: attempt.to_owned() };
        let brought = serde_json::from_str::<Brought>(&serde_json::to_string(&brought).unwrap()).unwrap();
        let now = Time::from_millis(at);
        let sender = Sender { brought: (part != "-").then_some(&brought), address: "192.0.2.1", now };

        let step = known.step(doubt, sender, &format!("r{at}"));

        assert!(!doubt.stands() || step.doubt.stands(), "only an enrolment ends a doubt");
        assert!(step.continuity.lines.len() <= 4 && step.continuity.lines[0].seen_at == now);
        if !brought.attempt.is_empty() {
            let again = step.continuity.step(step.doubt, sender, "another");
            assert_eq!((&again.baton, again.doubt), (&step.baton, step.doubt), "a copy of a request");
        }
        handed.extend(step.baton);
        (known, doubt) = (step.continuity, step.doubt);
    }
    let kept = serde_json::to_string(&known).unwrap();
    assert_eq!(serde_json::from_str::<Continuity>(&kept).unwrap(), known);
    let _ = serde_json::from_slice::<Continuity>(bytes);
    let _ = serde_json::from_slice::<Brought>(bytes);
    true
}

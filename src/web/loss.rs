//! What would be lost, as pages show it: colour, icon and the words of [`Loss`] in the reader's zone.
use crate::web::device::Answer;
use crate::web::layout::Layout;
use domain::device::DeviceState;
use domain::loss::{Loss, Verdict};

/// The answer to "If you wipe now".
pub fn shown(loss: &Loss, layout: &Layout) -> Answer {
    let say = |at| layout.zone.short(at);
    let (tone, icon) = match loss.verdict {
        Verdict::Nothing => ("t-proven", "shield-check"),
        Verdict::Everything => ("t-lost", "triangle-alert"),
        Verdict::Unknown => ("", "circle-help"),
        Verdict::NoData => ("", "circle-dashed"),
        Verdict::Some if loss.lost().is_none_or(|it| it.files > 0) => ("t-lost", "triangle-alert"),
        Verdict::Some => ("t-dated", "triangle-alert"),
        Verdict::Ended(DeviceState::WipeFailed | DeviceState::RemovalFailed) => ("t-lost", "circle-x"),
        Verdict::Ended(DeviceState::Removed) => ("", "ban"),
        Verdict::Ended(_) => ("", "eraser"),
    };
    Answer { tone, icon, headline: loss.headline(&say), lines: loss.lines(&say) }
}

//! Date in another form, or none where the time of the signature says what it was.

use mail_parser::DateTime;

use super::Task;
use super::draft::{Draft, Edit, is, revalued, unfolded};
use super::moves::{Move, Moves};
use crate::explain::kind::Kind;

pub(super) fn moves(task: &Task<'_>, draft: &Draft, moves: &mut Moves<'_>) {
    let fields = moves.fields.clone();
    let there: Vec<_> = fields.iter().filter(|(_, raw)| is(raw, "Date")).collect();
    for (at, raw) in &there {
        let text = String::from_utf8_lossy(&unfolded(raw)).into_owned();
        let mut push = |cost, value: String| {
            moves.push(Move::replace(
                Kind::DateRewritten,
                cost,
                *at,
                revalued(raw, value.as_bytes()),
            ));
        };
        let bare = text.split('(').next().unwrap_or_default().trim().to_owned();
        push(1, bare.clone());
        for zone in ["+0000", "-0000", "GMT", "UT", "UTC", "Z"] {
            if let Some((before, _)) = bare.rsplit_once(' ') {
                push(1, format!("{before} {zone}"));
            }
        }
        let Some(date) = DateTime::parse_rfc822(&bare) else {
            continue;
        };
        let comments = [
            "", " (UTC)", " (GMT)", " (CET)", " (CEST)", " (EST)", " (EDT)", " (PST)", " (PDT)",
            " (BST)",
        ];
        let comment = text.find('(').map(|at| text[at..].trim().to_owned());
        for form in forms(&date) {
            comments
                .iter()
                .for_each(|comment| push(1, format!("{form}{comment}")));
        }
        // The same moment in another zone.
        for minutes in zones() {
            let other = DateTime::from_timestamp(date.to_timestamp()).in_zone(minutes);
            for form in forms(&other) {
                if let Some(comment) = &comment {
                    push(3, format!("{form} {comment}"));
                }
                push(3, form);
            }
        }
    }
    let signed = task.signature.signed_headers.names().count("Date");
    let Some(time) = task
        .signature
        .timestamp
        .filter(|_| there.len() <= 1 && signed > 0)
    else {
        return;
    };
    // A signer that says when it signed was given the message in the same minute.
    for before in -5..=60i64 {
        let moment = i64::try_from(time.0)
            .unwrap_or(i64::MAX)
            .saturating_sub(before);
        for minutes in zones() {
            let date = DateTime::from_timestamp(moment).in_zone(minutes);
            for form in &forms(&date)[..2] {
                let made = match there.first() {
                    Some((at, raw)) => {
                        Move::replace(Kind::DateRewritten, 5, *at, revalued(raw, form.as_bytes()))
                    }
                    None => {
                        let raw = format!("Date: {form}").into_bytes().into();
                        Move::new(Kind::FieldRemoved, 5, vec![Edit::Insert(draft.len(), raw)])
                    }
                };
                moves.push(made);
            }
        }
    }
}

/// The moment of a date that is written as programs write it, with the right day of the week and no more than a zone
/// as its comment.
pub(super) fn moment(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (bare, comment) = text.split_once('(').unwrap_or((text, "UTC)"));
    let zone = comment.trim().strip_suffix(')')?;
    let is_zone = (1..=5).contains(&zone.len()) && zone.bytes().all(|b| b.is_ascii_uppercase());
    let bare = bare.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let date = DateTime::parse_rfc822(&bare)?;
    let cut = |text: &str| match text.split_once(", ") {
        Some((week, rest)) => (week.to_owned(), rest.to_owned()),
        None => (String::new(), text.to_owned()),
    };
    let (week, rest) = cut(&bare.to_ascii_lowercase());
    let is = |form: &String| {
        let (known_week, known) = cut(&form.to_ascii_lowercase().replace("  ", " "));
        known == rest && (week.is_empty() || week == known_week)
    };
    (is_zone && forms(&date).iter().any(is)).then(|| date.to_timestamp())
}

/// A moment in a zone of so many minutes.
trait InZone {
    fn in_zone(self, minutes: i64) -> Self;
}

impl InZone for DateTime {
    fn in_zone(self, minutes: i64) -> DateTime {
        let moment = self.to_timestamp().saturating_add(minutes * 60);
        let shifted = DateTime::from_timestamp(moment.clamp(0, 4_102_444_800));
        DateTime {
            tz_before_gmt: minutes < 0,
            tz_hour: (minutes.unsigned_abs() / 60) as u8,
            tz_minute: (minutes.unsigned_abs() % 60) as u8,
            ..shifted
        }
    }
}

/// The zones that people live in.
fn zones() -> impl Iterator<Item = i64> {
    let hours = (-11..=13).map(|hour| hour * 60);
    hours.chain([330, 345, 570, 210, 270, -210, 840])
}

/// The ways to write a date.
fn forms(date: &DateTime) -> Vec<String> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    let month = MONTHS[usize::from(date.month.clamp(1, 12)) - 1];
    let week = DAYS[usize::from(date.day_of_week()) % 7];
    let sign = if date.tz_before_gmt { '-' } else { '+' };
    let zone = format!("{sign}{:02}{:02}", date.tz_hour, date.tz_minute);
    let time = format!("{:02}:{:02}:{:02}", date.hour, date.minute, date.second);
    let short = format!("{:02}:{:02}", date.hour, date.minute);
    let (day, year) = (date.day, date.year);
    let mut out = vec![
        format!("{week}, {day:02} {month} {year} {time} {zone}"),
        format!("{week}, {day} {month} {year} {time} {zone}"),
        format!("{day:02} {month} {year} {time} {zone}"),
        format!("{day} {month} {year} {time} {zone}"),
        format!("{week}, {day:2} {month} {year} {time} {zone}"),
        format!("{week}, {day:02} {month} {year} {short} {zone}"),
    ];
    if date.tz_hour == 0 && date.tz_minute == 0 {
        for zone in ["GMT", "UT", "UTC", "Z", "-0000"] {
            out.push(format!("{week}, {day:02} {month} {year} {time} {zone}"));
            out.push(format!("{week}, {day} {month} {year} {time} {zone}"));
        }
    }
    out
}

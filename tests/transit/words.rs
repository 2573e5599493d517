//! What people write, made up of a few words.

use crate::random::Random;

pub(crate) const ENGLISH: [&str; 16] = [
    "The delivery arrives on Thursday, but two of the boxes are still in customs.",
    "Could you look at the second table before we send it out?",
    "I have put the figures of the last quarter into the shared folder.",
    "As we said on the phone, the contract ends in March and is not renewed.",
    "Please bring the old badge with you; the gate will not open without it.",
    "From what I hear, the new printer is slower than the one it replaced.",
    "Nobody has touched the configuration since the upgrade in May.",
    "We meet at half past nine in the small room on the third floor.",
    "The test passes here, and fails on the build machine one time in ten.",
    "Thank you for the quick answer, that was exactly what we needed.",
    "Our train is late, so start without us and keep two seats free.",
    "The invoice is wrong: it lists twelve units where we ordered ten.",
    "See https://www.test.example/docs/setup?lang=en&step=2 for the details.",
    "If the light is red, wait a minute and press the button again.",
    "It costs 3.50 more per piece, which is fine for small numbers.",
    "I will be out of the office until the 14th and read no mail there.",
];

pub(crate) const LATIN: [&str; 12] = [
    "Die Lieferung kommt am Donnerstag, zwei Kisten hängen noch beim Zoll.",
    "Können Sie bitte die zweite Tabelle prüfen, bevor wir sie verschicken?",
    "Der Vertrag läuft im März aus und wird nicht verlängert.",
    "Grüße aus Köln, und einen schönen Gruß an die Kollegen in Fürth.",
    "Le café est prêt, la réunion commence à dix heures précises.",
    "Nous avons reçu votre lettre du 3 février et vous en remercions très sincèrement.",
    "L’été dernier, on s’était déjà posé cette question à l’hôtel.",
    "La dirección nueva está en la página; mañana cambiamos el teléfono también.",
    "¿Podría usted enviarnos el informe antes del miércoles próximo?",
    "Vi ses på måndag, då går vi igenom hela listan en gång till.",
    "Største delen af æskerne står stadig i kælderen på Østerbro.",
    "A reunião foi adiada; não há salas livres antes de sexta-feira.",
];

pub(crate) const WIDE: [&str; 5] = [
    "Заседание переносится на среду, повестка остаётся прежней.",
    "来週の会議は水曜日に変更になりました。よろしくお願いいたします。",
    "Η συνάντηση μεταφέρεται για την Τετάρτη στις δέκα.",
    "Das kostet 12 € – „ungefähr“, sagte er … und lachte.",
    "Smacznego 🥐 i do zobaczenia w środę w Łodzi!",
];

const FIRST: [&str; 8] = [
    "Anna", "Bob", "Carla", "David", "Erik", "Fiona", "Ivo", "Nadia",
];
const LAST: [&str; 8] = [
    "Archer", "Baker", "Cook", "Dyer", "Fowler", "Mason", "Potter", "Weaver",
];
const ACCENTED: [&str; 6] = [
    "Jürgen Müller",
    "Zoë Lindström",
    "François Lefèvre",
    "Søren Kjær",
    "José Núñez",
    "Łukasz Żak",
];

pub(crate) const SUBJECTS: [&str; 12] = [
    "Lunch on Friday",
    "Re: minutes of the last meeting",
    "Invoice 2026-0815",
    "Your order has been shipped",
    "Re: Re: build fails on the new machine",
    "AW: Angebot",
    "Question about the second table in the quarterly report and the numbers that do not add up",
    "Fwd: holiday plans",
    "hello",
    "New release 2.4.1: what changes for those who run it on older systems, and what to do before the upgrade",
    "RE: Contract (draft 3)",
    "[ticket #4711] printer on the third floor",
];

pub(crate) const SUBJECTS_WIDE: [&str; 6] = [
    "Grüße aus Köln",
    "Réunion à dix heures",
    "Überweisung für März",
    "Перенос заседания",
    "来週の会議",
    "Łódź – środa",
];

pub(crate) fn name(rng: &mut Random) -> String {
    match rng.below(8) {
        0 => format!("{}, {}", rng.pick(&LAST), rng.pick(&FIRST)),
        1 => format!(
            "{} {}. {}",
            rng.pick(&FIRST),
            rng.pick(&["J", "M", "von"]),
            rng.pick(&LAST)
        ),
        _ => format!("{} {}", rng.pick(&FIRST), rng.pick(&LAST)),
    }
}

pub(crate) fn accented(rng: &mut Random) -> &'static str {
    ACCENTED[rng.below(ACCENTED.len())]
}

pub(crate) fn local_part(rng: &mut Random) -> String {
    let first = rng.pick(&FIRST).to_ascii_lowercase();
    match rng.below(3) {
        0 => first,
        1 => format!("{first}.{}", rng.pick(&LAST).to_ascii_lowercase()),
        _ => format!("{first}{}", rng.below(90) + 10),
    }
}

/// Letters and digits as they stand in identifiers.
pub(crate) fn token(rng: &mut Random, len: usize) -> String {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz";
    (0..len).map(|_| char::from(*rng.pick(LETTERS))).collect()
}

/// Some sentences in one line.
pub(crate) fn paragraph(rng: &mut Random, from: &[&str], sentences: usize) -> String {
    let all: Vec<&str> = (0..sentences).map(|_| *rng.pick(from)).collect();
    all.join(" ")
}

/// `text` in lines of up to `width` characters.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}

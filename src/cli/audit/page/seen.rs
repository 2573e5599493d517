//! Facts on a page: whatever a check has seen, as lists of names and values.

use serde_json::{Map, Value};

use super::{TEXT, word};
use crate::cli::audit::{grade, is_short};
use crate::cli::page::Html;

/// So many things of a list are shown.
const THINGS: usize = 200;
/// Things within things are shown so deep.
const DEPTH: usize = 8;

/// Names and values.
pub(super) fn seen(html: &mut Html, facts: &Map<String, Value>) {
    object(html, facts, DEPTH);
}

fn object(html: &mut Html, facts: &Map<String, Value>, depth: usize) {
    html.element("dl", "", |html| {
        for (name, fact) in facts.iter().take(THINGS) {
            html.element("dt", "", |html| html.brief(&name.replace('_', " "), 100));
            html.element("dd", "", |html| match (name.as_str(), grade(fact)) {
                ("result", Some(grade)) => word(html, grade),
                _ => value(html, fact, depth),
            });
        }
    });
    more(html, facts.len());
}

fn value(html: &mut Html, fact: &Value, depth: usize) {
    match fact {
        Value::Null => html.text("–"),
        Value::Bool(true) => html.text("yes"),
        Value::Bool(false) => html.text("no"),
        Value::Number(number) => html.text(&number.to_string()),
        Value::String(text) => lines(html, text),
        Value::Array(list) if list.is_empty() => html.text("none"),
        Value::Object(facts) if facts.is_empty() => html.text("none"),
        Value::Array(list) if is_short(list) => {
            for (at, fact) in list.iter().take(THINGS).enumerate() {
                html.text(if at == 0 { "" } else { ", " });
                value(html, fact, 0);
            }
            more(html, list.len());
        }
        _ if depth == 0 => html.say("span", "gap", "…"),
        Value::Array(list) => {
            html.element("ul", "", |html| {
                for fact in list.iter().take(THINGS) {
                    html.element("li", "", |html| value(html, fact, depth - 1));
                }
            });
            more(html, list.len());
        }
        Value::Object(facts) => object(html, facts, depth - 1),
    }
}

/// A text of several lines keeps them, and what stands before each.
fn lines(html: &mut Html, text: &str) {
    if !text.contains('\n') {
        return html.element("bdi", "", |html| html.brief(text, TEXT));
    }
    let count = text.lines().count();
    html.element("div", "lines text", |html| {
        for line in text.lines().take(THINGS) {
            html.element("div", "", |html| html.brief(line, TEXT));
        }
    });
    more(html, count);
}

fn more(html: &mut Html, count: usize) {
    if count > THINGS {
        html.say("p", "gap", &format!("… {} more", count - THINGS));
    }
}

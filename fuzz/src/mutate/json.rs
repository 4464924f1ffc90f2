//! Damage to JSON that leaves it JSON.

use super::Random;
use serde_json::{Value, json};

/// The document with one member or element changed; `None` when it is no JSON.
pub(super) fn damage(random: &mut Random, words: &[&str], document: &[u8]) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(document).ok()?;
    let donors = pieces(&value);
    let donor = random.pick(&donors).clone();
    let places = donors.len();
    change(random, words, &mut value, donor, places);
    serde_json::to_vec(&value).ok()
}

/// Every value within `value`, itself included.
fn pieces(value: &Value) -> Vec<Value> {
    let mut all = vec![value.clone()];
    match value {
        Value::Object(members) => all.extend(members.values().flat_map(pieces)),
        Value::Array(elements) => all.extend(elements.iter().flat_map(pieces)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    all
}

/// Changes one place of the document; each of its `places` has about the same chance.
fn change(random: &mut Random, words: &[&str], value: &mut Value, donor: Value, places: usize) {
    let here = random.below(places.max(2)) == 0;
    match value {
        Value::Object(members) if !members.is_empty() && !here => {
            let at = random.below(members.len());
            let name = members.keys().nth(at).unwrap().clone();
            match random.below(6) {
                0 => drop(members.remove(&name)),
                1 => drop(members.insert(word(random, words), donor)),
                2 => {
                    let moved = members.remove(&name).unwrap();
                    members.insert(word(random, words), moved);
                }
                _ => change(random, words, members.get_mut(&name).unwrap(), donor, places / 2),
            }
        }
        Value::Array(elements) if !elements.is_empty() && !here => {
            let at = random.below(elements.len());
            match random.below(6) {
                0 => drop(elements.remove(at)),
                1 => elements.push(donor),
                2 => {
                    let copy = elements[at].clone();
                    elements.extend(std::iter::repeat_n(copy, random.below(40)));
                }
                _ => change(random, words, &mut elements[at], donor, places / 2),
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => *value = replacement(random, words, value, donor),
    }
}

fn replacement(random: &mut Random, words: &[&str], old: &Value, donor: Value) -> Value {
    let numbers = [
        json!(0),
        json!(-1),
        json!(1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1.5),
        json!(1e300),
    ];
    match random.below(9) {
        0 => Value::Null,
        1 => json!(random.percent(50)),
        2 => random.pick(&numbers).clone(),
        3 => json!([old]),
        4 => json!({word(random, words): old}),
        5 => donor,
        6 => json!(old.as_str().unwrap_or("a").repeat(1 + random.below(300))),
        7 => {
            let mut text = old.as_str().unwrap_or("").to_owned();
            let at = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect::<Vec<_>>();
            text.insert_str(*random.pick(&at), &word(random, words));
            json!(text)
        }
        _ => json!(word(random, words)),
    }
}

fn word(random: &mut Random, words: &[&str]) -> String {
    let common = ["", " ", "\u{0}", "\u{202e}", "é", "😀", "<b>\"'&", "\r\n", "%00", "../", "x"];
    let all: &[&str] = if words.is_empty() || random.percent(15) { &common } else { words };
    (*random.pick(all)).to_owned()
}

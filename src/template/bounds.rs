//! Bounds of what a template may build, where the engine has none: how long a list grows by `+`,
//! and how deep a value nests.
//!
//! Two filters that give back what they get. Templates do not name them: `tame.rs` puts them in.

use minijinja::{
    Environment, Error, ErrorKind, State, Value,
    value::{DynObject, ObjectRepr, ValueKind},
};

use super::{tree::Branch, trouble::Trouble};

/// The filter for each term beside a `+`.
pub(super) const SUM: &str = "_sum";
/// The filter for what a `set` assigns.
pub(super) const SET: &str = "_set";

/// The engine joins lists without a charge, and copies them when many were joined.
const ITEMS: usize = 1_000_000;
/// Items of a list for one fuel, each time it is joined to another or assigned.
const ITEMS_A_FUEL: usize = 16;
/// How deep lists and maps may nest. They are freed, printed and compared by recursion.
const DEPTH: usize = 128;

/// Adds the filters.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_filter(SUM, sum);
    environment.add_filter(SET, set);
}

fn refuse(what: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, "").with_source(Trouble(what))
}

fn sum(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        charge(state, value.len().unwrap_or_default())?;
    }
    Ok(value)
}

fn charge(state: &State<'_, '_>, items: usize) -> Result<(), Error> {
    if items > ITEMS {
        return Err(refuse(format!("a list of more than {ITEMS} items")));
    }
    state.consume_fuel((items / ITEMS_A_FUEL) as u64)
}

fn set(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    // One iterator for each level, instead of recursion.
    let mut levels: Vec<Box<dyn Iterator<Item = Value>>> = Vec::new();
    levels.extend(inside(state, &value)?);
    let mut seen = 0_usize;
    while let Some(level) = levels.last_mut() {
        let Some(item) = level.next() else {
            levels.pop();
            continue;
        };
        seen += 1;
        if seen.is_multiple_of(ITEMS_A_FUEL) {
            state.consume_fuel(1)?;
        }
        levels.extend(inside(state, &item)?);
        if levels.len() > DEPTH {
            return Err(refuse(format!("lists and maps more than {DEPTH} deep in each other")));
        }
    }
    Ok(value)
}

/// What is in a list or a map; nothing for a source, whose look would count as a read.
fn inside(
    state: &State<'_, '_>,
    value: &Value,
) -> Result<Option<Box<dyn Iterator<Item = Value>>>, Error> {
    let Some(object) = value.as_object().filter(|object| !object.is::<Branch>()) else {
        return Ok(None);
    };
    Ok(match object.repr() {
        ObjectRepr::Plain => None,
        ObjectRepr::Map => pairs(object),
        _ => {
            charge(state, object.enumerator_len().unwrap_or_default())?;
            object.try_iter().map(|items| Box::new(items) as Box<dyn Iterator<Item = Value>>)
        }
    })
}

fn pairs(object: &DynObject) -> Option<Box<dyn Iterator<Item = Value>>> {
    let pairs = object.try_iter_pairs()?;
    Some(Box::new(pairs.flat_map(|(key, value)| [key, value])))
}

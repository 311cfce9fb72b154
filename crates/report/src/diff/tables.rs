//! Tables: rows by their first cells, columns by their names.

use serde_json::Value;

use super::{Found, Kind, join, paired, text};
use crate::Table;

pub(super) fn compare(found: &mut Found, before: Option<&Value>, after: Option<&Value>) {
    let (before, after) = (read(before), read(after));
    let mut unnamed = 0;
    for (title, before, after) in paired(&before, &after, |table| table.title.clone()) {
        let title = if title.is_empty() {
            unnamed += 1;
            format!("table {unnamed} without a title")
        } else {
            title
        };
        match (before, after) {
            (Some(before), Some(after)) => compare_tables(found, &title, before, after),
            (before, after) => {
                found.comparison.compared += 1;
                let rows = |table: &Table| format!("{} rows", table.rows.len());
                found.changed(Kind::Table, &title, before.map(rows), after.map(rows), None);
            }
        }
    }
}

/// What a record holds of its tables; what is no table is left out.
fn read(tables: Option<&Value>) -> Vec<Table> {
    let list = tables.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    list.iter()
        .filter_map(|table| serde_json::from_value(table.clone()).ok())
        .collect()
}

fn compare_tables(found: &mut Found, title: &str, before: &Table, after: &Table) {
    let first = |row: &Vec<String>| row.first().cloned().unwrap_or_default();
    for (name, old, new) in paired(&before.rows, &after.rows, first) {
        let place = join(title, &name);
        let (Some(old), Some(new)) = (old, new) else {
            found.comparison.compared += 1;
            let cells = |row: &Vec<String>| row.join(" | ");
            found.changed(Kind::Table, &place, old.map(cells), new.map(cells), None);
            continue;
        };
        let columns = |table: &Table| {
            let count = table.columns();
            (1..count).map(|at| (at, column(table, at))).collect::<Vec<_>>()
        };
        for (name, old_at, new_at) in paired(&columns(before), &columns(after), |(_, name)| name.clone()) {
            let cell =
                |row: &'_ Vec<String>, at: Option<&(usize, String)>| at.and_then(|(at, _)| row.get(*at)).cloned();
            let (old, new) = (cell(old, old_at), cell(new, new_at));
            let timed = [&old, &new].into_iter().flatten().any(|cell| text::is_a_time(cell));
            let name_of_kind = if timed { "seconds" } else { &name };
            if let Some(kind) = found.kind(Kind::Table, name_of_kind) {
                found.text(kind, &join(&place, &name), old.as_deref(), new.as_deref());
            }
        }
    }
}

fn column(table: &Table, at: usize) -> String {
    match table.header.get(at) {
        Some(name) if !name.is_empty() => name.clone(),
        _ => format!("column {}", at + 1),
    }
}

//! YAML, as far as inventories go: one document, with anchors, aliases and merge keys; bounded in depth and in what
//! aliases multiply.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::InventoryError;
use super::node::Node;

/// Most values, those that aliases repeat among them.
const MAX_NODES: usize = 16_000_000;
/// Most that aliases add.
const MAX_REPEATED: usize = 1_000_000;
/// How deep values may lie within each other.
const MAX_DEPTH: usize = 64;

/// Something that has begun.
enum Open {
    List(usize, Vec<Node>),
    /// With the name that waits for its value.
    Map(usize, Vec<(String, Node)>, Option<String>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    /// What was named by `&`, and how many values are in it.
    anchors: HashMap<usize, (Node, usize)>,
    root: Option<Node>,
    count: usize,
    repeated: usize,
}

impl Node {
    /// From YAML.
    pub fn from_yaml(text: &str) -> Result<Self, InventoryError> {
        let mut builder = Builder::default();
        let mut parser = Parser::new_from_str(text);
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|e| InventoryError::Form(format!("it is no YAML: {e}")))?;
            let line = span.start.line();
            let bad = |why: &str| InventoryError::Line(line, why.to_owned());
            match event {
                Event::DocumentStart(_) => documents += 1,
                Event::MappingStart(anchor, _) => {
                    builder.open.push(Open::Map(anchor, Vec::new(), None));
                }
                Event::SequenceStart(anchor, _) => builder.open.push(Open::List(anchor, Vec::new())),
                Event::MappingEnd | Event::SequenceEnd => builder.close().map_err(bad)?,
                Event::Scalar(text, style, anchor, tag) => {
                    if tag.as_ref().is_some_and(|tag| !tag.is_yaml_core_schema()) {
                        return Err(bad("a value that only Ansible can read, such as !vault"));
                    }
                    let is_null =
                        style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                    let node = if is_null { Node::Null } else { Node::Text(text.into_owned()) };
                    builder.take(node, anchor).map_err(bad)?;
                }
                Event::Alias(anchor) => builder.repeat(anchor).map_err(bad)?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
            if builder.open.len() > MAX_DEPTH {
                return Err(bad("values within values without an end"));
            }
            if documents > 1 {
                return Err(bad("a second document"));
            }
        }
        Ok(builder.root.unwrap_or(Node::Null))
    }
}

/// How many values there are in one.
fn size(node: &Node) -> usize {
    1 + match node {
        Node::Null | Node::Text(_) => 0,
        Node::List(nodes) => nodes.iter().map(size).sum(),
        Node::Map(entries) => entries.iter().map(|(_, node)| size(node)).sum(),
    }
}

impl Builder {
    fn close(&mut self) -> Result<(), &'static str> {
        match self.open.pop() {
            Some(Open::List(anchor, nodes)) => self.take(Node::List(nodes), anchor),
            Some(Open::Map(anchor, entries, None)) => self.take(Node::Map(entries), anchor),
            Some(Open::Map(_, _, Some(_))) | None => Err("a name without a value"),
        }
    }

    fn repeat(&mut self, anchor: usize) -> Result<(), &'static str> {
        let (node, size) = self.anchors.get(&anchor).ok_or("an alias of nothing")?;
        self.repeated = self.repeated.saturating_add(*size);
        // Counted before it is copied.
        if self.repeated > MAX_REPEATED {
            return Err("aliases of aliases without an end");
        }
        let node = node.clone();
        self.take(node, 0)
    }

    /// A value that is whole.
    fn take(&mut self, node: Node, anchor: usize) -> Result<(), &'static str> {
        self.count += 1;
        if self.count > MAX_NODES {
            return Err("too many values");
        }
        if anchor > 0 {
            let size = size(&node);
            self.repeated = self.repeated.saturating_add(size);
            if self.repeated > MAX_REPEATED {
                return Err("aliases of aliases without an end");
            }
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None if self.root.is_none() => self.root = Some(node),
            None => return Err("a second document"),
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Map(_, entries, name)) => match name.take() {
                Some(merge) if merge == "<<" => merge_into(entries, node)?,
                Some(name) => entries.push((name, node)),
                None => match node {
                    Node::Text(text) => *name = Some(text),
                    Node::Null => *name = Some(String::new()),
                    Node::List(_) | Node::Map(_) => return Err("a name that is no text"),
                },
            },
        }
        Ok(())
    }
}

/// `<<: *other`: what is not said here is as it is there.
fn merge_into(entries: &mut Vec<(String, Node)>, other: Node) -> Result<(), &'static str> {
    let maps = match other {
        Node::Map(_) => vec![other],
        Node::List(maps) => maps,
        Node::Null | Node::Text(_) => return Err("<< wants values by their names"),
    };
    for map in maps.into_iter().rev() {
        let Node::Map(more) = map else { return Err("<< wants values by their names") };
        // What stands here itself comes behind, or counts for more as the last of its name.
        entries.splice(0..0, more);
    }
    Ok(())
}

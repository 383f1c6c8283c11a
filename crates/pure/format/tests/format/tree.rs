//! CBOR as a tree whose every head can be written in a way that a canonical encoder would not.

/// One data item, and how its head is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) what: What,
    /// How many sizes wider than necessary the head's argument is.
    pub(crate) wider: u8,
    /// Written with an indefinite length and a break.
    pub(crate) indefinite: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Unsigned(u64),
    Negative(u64),
    Bytes(Vec<u8>),
    /// A byte string that holds CBOR, so that its inside can be changed as well.
    Wrapped(Box<Node>),
    Text(String),
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Tagged(u64, Box<Node>),
    Null,
}

pub(crate) fn node(what: What) -> Node {
    Node { what, wider: 0, indefinite: false }
}

pub(crate) fn int(value: i64) -> Node {
    match u64::try_from(value) {
        Ok(value) => node(What::Unsigned(value)),
        Err(_) => node(What::Negative((-1 - value).unsigned_abs())),
    }
}

pub(crate) fn bytes(value: &[u8]) -> Node {
    node(What::Bytes(value.to_vec()))
}

pub(crate) fn text(value: &str) -> Node {
    node(What::Text(value.to_owned()))
}

impl Node {
    /// Reads one item that fills all of `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let node = parse(&mut rest);
        assert!(rest.is_empty());
        node
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// This item and all below it, in the order of their heads.
    pub(crate) fn visit(&mut self, see: &mut impl FnMut(&mut Self)) {
        see(self);
        match &mut self.what {
            What::Array(items) => items.iter_mut().for_each(|item| item.visit(see)),
            What::Map(pairs) => pairs.iter_mut().for_each(|(key, value)| {
                key.visit(see);
                value.visit(see);
            }),
            What::Tagged(_, inner) | What::Wrapped(inner) => inner.visit(see),
            _ => {}
        }
    }

    /// How many items there are.
    pub(crate) fn count(&self) -> usize {
        let mut count = 0;
        self.clone().visit(&mut |_| count += 1);
        count
    }

    /// A copy with a change to item number `at`.
    pub(crate) fn with(&self, at: usize, change: impl Fn(&mut Self)) -> Self {
        let mut copy = self.clone();
        let mut number = 0;
        copy.visit(&mut |node| {
            if number == at {
                change(node);
            }
            number += 1;
        });
        copy
    }

    /// The items of an array.
    pub(crate) fn items(&mut self) -> &mut Vec<Self> {
        match &mut self.what {
            What::Array(items) => items,
            What::Tagged(_, inner) | What::Wrapped(inner) => inner.items(),
            other => unreachable!("no array: {other:?}"),
        }
    }

    /// The pairs of a map.
    pub(crate) fn pairs(&mut self) -> &mut Vec<(Self, Self)> {
        match &mut self.what {
            What::Map(pairs) => pairs,
            What::Wrapped(inner) => inner.pairs(),
            other => unreachable!("no map: {other:?}"),
        }
    }

    /// Reads the inside of a byte string as CBOR.
    pub(crate) fn unwrap_bytes(&mut self) {
        if let What::Bytes(inside) = &self.what {
            self.what = What::Wrapped(Box::new(Self::parse(inside)));
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match &self.what {
            What::Unsigned(value) => self.head(0, *value, out),
            What::Negative(value) => self.head(1, *value, out),
            What::Bytes(value) => self.string(2, value, out),
            What::Wrapped(inner) => self.string(2, &inner.encode(), out),
            What::Text(value) => self.string(3, value.as_bytes(), out),
            What::Array(items) => {
                self.start(4, items.len(), out);
                for item in items {
                    item.write(out);
                }
                self.stop(out);
            }
            What::Map(pairs) => {
                self.start(5, pairs.len(), out);
                for (key, value) in pairs {
                    key.write(out);
                    value.write(out);
                }
                self.stop(out);
            }
            What::Tagged(tag, inner) => {
                self.head(6, *tag, out);
                inner.write(out);
            }
            What::Null => out.push(0xf6),
        }
    }

    fn string(&self, major: u8, value: &[u8], out: &mut Vec<u8>) {
        if !self.indefinite {
            self.head(major, u64::try_from(value.len()).unwrap(), out);
            out.extend(value);
            return;
        }
        // One chunk of everything.
        out.push(major << 5 | 31);
        Self { indefinite: false, ..self.clone() }.string(major, value, out);
        out.push(0xff);
    }

    fn start(&self, major: u8, length: usize, out: &mut Vec<u8>) {
        if self.indefinite {
            out.push(major << 5 | 31);
        } else {
            self.head(major, u64::try_from(length).unwrap(), out);
        }
    }

    fn stop(&self, out: &mut Vec<u8>) {
        if self.indefinite {
            out.push(0xff);
        }
    }

    fn head(&self, major: u8, value: u64, out: &mut Vec<u8>) {
        let shortest = match value {
            0..24 => 0,
            24..0x100 => 1,
            0x100..0x1_0000 => 2,
            0x1_0000..0x1_0000_0000 => 3,
            _ => 4,
        };
        let size = (shortest + self.wider).min(4);
        let value = value.to_be_bytes();
        match size {
            0 => out.push(major << 5 | value[7]),
            size => {
                out.push(major << 5 | (23 + size));
                out.extend(&value[8 - (1 << (size - 1))..]);
            }
        }
    }
}

fn parse(rest: &mut &[u8]) -> Node {
    let first = take(rest, 1)[0];
    let (major, low) = (first >> 5, first & 31);
    if first == 0xf6 {
        return node(What::Null);
    }
    let value = match low {
        0..24 => u64::from(low),
        24..28 => take(rest, 1 << (low - 24)).iter().fold(0, |n, byte| n << 8 | u64::from(*byte)),
        _ => unreachable!("no canonical head: {first:#x}"),
    };
    let length = usize::try_from(value).unwrap();
    node(match major {
        0 => What::Unsigned(value),
        1 => What::Negative(value),
        2 => What::Bytes(take(rest, length).to_vec()),
        3 => What::Text(String::from_utf8(take(rest, length).to_vec()).unwrap()),
        4 => What::Array((0..length).map(|_| parse(rest)).collect()),
        5 => What::Map((0..length).map(|_| (parse(rest), parse(rest))).collect()),
        6 => What::Tagged(value, Box::new(parse(rest))),
        _ => unreachable!("no item of ours: {first:#x}"),
    })
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

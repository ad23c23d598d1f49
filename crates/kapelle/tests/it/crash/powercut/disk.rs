//! What is on the disk for certain, and what may be: the model of a file system that is cut off.
//!
//! Two manners of file systems. **Strict** is what POSIX promises: a synced file has its content, a name is there when its
//! folder was synced, and everything else may or may not have reached the disk, in any order. **Ordered** is what ext4 does:
//! names change in the order in which they were changed, and a sync of any file takes all changes of names before it along;
//! contents are as in strict.
//!
//! A content that was not synced is kept, lost, or torn at the borders of sectors. A change of names is whole: a rename
//! never loses the file, which every file system with a log of its own sees to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use super::content::{Bytes, Content};
use super::trace::{Change, Record};
use crate::crash::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Strict,
    Ordered,
    /// Strict, and nothing more than what was promised is there.
    Promised,
}

impl Manner {
    pub(crate) fn any(random: &mut Random) -> Self {
        match random.below(100) {
            0..40 => Self::Strict,
            40..80 => Self::Ordered,
            _ => Self::Promised,
        }
    }
}

/// What a cut took away, and what it could have taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cut {
    /// Changes of contents that were not synced; of these, how many are not there at all, and how many in part.
    pub(crate) writes: u64,
    pub(crate) lost_writes: u64,
    pub(crate) torn_writes: u64,
    /// Changes of names that were not synced, and how many of them are gone.
    pub(crate) names: u64,
    pub(crate) lost_names: u64,
}

impl Cut {
    pub(crate) fn add(&mut self, other: &Self) {
        self.writes += other.writes;
        self.lost_writes += other.lost_writes;
        self.torn_writes += other.torn_writes;
        self.names += other.names;
        self.lost_names += other.lost_names;
    }
}

type Id = usize;
const ROOT: Id = 0;

#[derive(Clone, Debug)]
enum Node {
    Folder(Folder),
    Leaf(Leaf),
}

#[derive(Clone, Debug, Default)]
struct Folder {
    /// As processes see it.
    now: BTreeMap<String, Id>,
    /// As it is on the disk for certain.
    durable: BTreeMap<String, Id>,
}

#[derive(Clone, Debug, Default)]
struct Leaf {
    durable: Content,
    unsynced: Vec<Edit>,
    /// Written through memory too, so its content is unknown: SQLite's `-shm`.
    is_mapped: bool,
}

#[derive(Clone, Debug)]
enum Edit {
    Write(u64, Bytes),
    Length(u64),
    /// At least this length.
    Allocated(u64),
}

impl Edit {
    fn apply(&self, content: &mut Content) {
        match self {
            Self::Write(offset, bytes) => content.write(*offset, bytes),
            Self::Length(length) => content.set_length(*length),
            Self::Allocated(length) => content.set_length(content.length().max(*length)),
        }
    }
}

impl Leaf {
    fn now(&self) -> Content {
        let mut content = self.durable.clone();
        self.unsynced
            .iter()
            .for_each(|edit| edit.apply(&mut content));
        content
    }
}

/// Names that changed together.
#[derive(Clone, Debug)]
struct Names {
    edits: Vec<(Id, String, Option<Id>)>,
    /// A sync came after it: for ordered file systems it is durable.
    is_ordered: bool,
}

impl Names {
    fn touches(&self, folder: Id) -> bool {
        self.edits.iter().any(|(other, _, _)| *other == folder)
    }

    fn shares_a_name_with(&self, other: &Self) -> bool {
        self.edits.iter().any(|(folder, name, _)| {
            let same = |(f, n, _): &(Id, String, Option<Id>)| f == folder && n == name;
            other.edits.iter().any(same)
        })
    }
}

/// A folder and all below it, as it is now and as it is on the disk for certain.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    nodes: Vec<Node>,
    /// Numbers of open files in the present life.
    inodes: HashMap<u64, Id>,
    names: Vec<Names>,
}

impl Default for Disk {
    /// Empty, and all of it durable.
    fn default() -> Self {
        Self {
            nodes: vec![Node::Folder(Folder::default())],
            inodes: HashMap::new(),
            names: Vec::new(),
        }
    }
}

impl Disk {
    /// Another process begins: the numbers of files may be others.
    pub(crate) fn begin_life(&mut self) {
        self.inodes.clear();
    }

    pub(crate) fn absorb(&mut self, record: &Record) {
        match &record.change {
            Change::Opened {
                path,
                ino,
                created,
                emptied,
            } => self.open(path, *ino, *created, *emptied),
            Change::Write { ino, offset, bytes } => {
                self.edit(*ino, Edit::Write(*offset, bytes.clone()));
            }
            Change::Length { ino, length } => self.edit(*ino, Edit::Length(*length)),
            Change::Allocated { ino, length } => self.edit(*ino, Edit::Allocated(*length)),
            Change::Rename { from, to } => {
                let (from, to) = (self.place(from), self.place(to));
                let id = self.at(&from).expect("what is renamed is there");
                self.rename(vec![(from.0, from.1, None), (to.0, to.1, Some(id))]);
            }
            Change::Remove { path } => {
                let place = self.place(path);
                self.rename(vec![(place.0, place.1, None)]);
            }
            Change::Link { from, to } => {
                let (from, to) = (self.place(from), self.place(to));
                let id = self.at(&from).expect("what is linked is there");
                self.rename(vec![(to.0, to.1, Some(id))]);
            }
            Change::MakeFolder { path } => self.make(path, Node::Folder(Folder::default())),
            Change::Sync { ino, data_only } if record.is_done => self.sync(*ino, *data_only),
            Change::Sync { .. } => {}
            Change::Mapped { ino } => {
                let Node::Leaf(leaf) = &mut self.nodes[self.inodes[ino]] else {
                    panic!("only files are mapped");
                };
                leaf.is_mapped = true;
            }
        }
    }

    fn folder(&self, id: Id) -> &Folder {
        match &self.nodes[id] {
            Node::Folder(folder) => folder,
            Node::Leaf(_) => panic!("a file has nothing below it"),
        }
    }

    fn folder_mut(&mut self, id: Id) -> &mut Folder {
        match &mut self.nodes[id] {
            Node::Folder(folder) => folder,
            Node::Leaf(_) => panic!("a file has nothing below it"),
        }
    }

    /// The folder that a path leads into, and the last name.
    fn place(&self, path: &str) -> (Id, String) {
        let names: Vec<&str> = path
            .split('/')
            .filter(|name| !name.is_empty() && *name != ".")
            .collect();
        let (last, before) = names.split_last().expect("the root itself never changes");
        let mut folder = ROOT;
        for name in before {
            folder = self.folder(folder).now[*name];
        }
        (folder, (*last).to_owned())
    }

    fn at(&self, (folder, name): &(Id, String)) -> Option<Id> {
        self.folder(*folder).now.get(name).copied()
    }

    fn make(&mut self, path: &str, node: Node) {
        let (folder, name) = self.place(path);
        self.nodes.push(node);
        self.rename(vec![(folder, name, Some(self.nodes.len() - 1))]);
    }

    fn rename(&mut self, edits: Vec<(Id, String, Option<Id>)>) {
        for (folder, name, id) in &edits {
            let names = &mut self.folder_mut(*folder).now;
            set(names, name, *id);
        }
        self.names.push(Names {
            edits,
            is_ordered: false,
        });
    }

    fn open(&mut self, path: &str, ino: u64, created: bool, emptied: bool) {
        if path.is_empty() {
            self.inodes.insert(ino, ROOT);
            return;
        }
        if created {
            self.make(path, Node::Leaf(Leaf::default()));
        }
        let place = self.place(path);
        let id = self
            .at(&place)
            .unwrap_or_else(|| panic!("{path} was opened, which is not there"));
        self.inodes.insert(ino, id);
        if emptied && !created {
            self.edit(ino, Edit::Length(0));
        }
    }

    fn edit(&mut self, ino: u64, edit: Edit) {
        match &mut self.nodes[self.inodes[&ino]] {
            Node::Leaf(leaf) => leaf.unsynced.push(edit),
            Node::Folder(_) => panic!("folders are not written to"),
        }
    }

    fn sync(&mut self, ino: u64, data_only: bool) {
        let id = self.inodes[&ino];
        let takes_names = match &mut self.nodes[id] {
            Node::Leaf(leaf) => {
                let before = leaf.durable.length();
                for edit in std::mem::take(&mut leaf.unsynced) {
                    edit.apply(&mut leaf.durable);
                }
                let grows = leaf.durable.length() != before;
                // ext4 commits its log when there is something about this file in it.
                let is_new = self
                    .names
                    .iter()
                    .any(|names| names.edits.iter().any(|(_, _, to)| *to == Some(id)));
                !data_only || grows || is_new
            }
            Node::Folder(_) => {
                self.make_names_durable(id);
                true
            }
        };
        if takes_names {
            self.names
                .iter_mut()
                .for_each(|names| names.is_ordered = true);
        }
    }

    /// All changes of names in a folder, and what they rest on.
    fn make_names_durable(&mut self, folder: Id) {
        let mut chosen: Vec<bool> = self
            .names
            .iter()
            .map(|names| names.touches(folder))
            .collect();
        for later in (0..self.names.len()).rev() {
            for earlier in 0..later {
                if chosen[later] && self.names[earlier].shares_a_name_with(&self.names[later]) {
                    chosen[earlier] = true;
                }
            }
        }
        let mut chosen = chosen.into_iter();
        let (now, later): (Vec<Names>, Vec<Names>) = std::mem::take(&mut self.names)
            .into_iter()
            .partition(|_| chosen.next() == Some(true));
        self.names = later;
        for (folder, name, id) in now.into_iter().flat_map(|names| names.edits) {
            set(&mut self.folder_mut(folder).durable, &name, id);
        }
    }

    /// What a write that was under way when the process was killed has really done.
    pub(crate) fn settle(&mut self, record: &Record, root: &Path) {
        let ino = match &record.change {
            Change::Write { ino, .. }
            | Change::Length { ino, .. }
            | Change::Allocated { ino, .. } => *ino,
            _ => return,
        };
        let id = self.inodes[&ino];
        let path = self.path_of(id);
        let Some(path) = path else {
            // Removed already: nobody will ever see it.
            return;
        };
        let file = File::open(root.join(path)).unwrap();
        let length = file.metadata().unwrap().len();
        let Node::Leaf(leaf) = &mut self.nodes[id] else {
            return;
        };
        leaf.unsynced.pop();
        if let Change::Write { offset, bytes, .. } = &record.change {
            let count = bytes.length().min(length.saturating_sub(*offset));
            let mut found = vec![0; count as usize];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut found, *offset).unwrap();
            leaf.unsynced
                .push(Edit::Write(*offset, Bytes::Data(found.into())));
        }
        leaf.unsynced.push(Edit::Length(length));
    }

    fn path_of(&self, wanted: Id) -> Option<PathBuf> {
        let mut open = vec![(ROOT, PathBuf::new())];
        while let Some((id, path)) = open.pop() {
            if id == wanted {
                return Some(path);
            }
            if let Node::Folder(folder) = &self.nodes[id] {
                open.extend(folder.now.iter().map(|(name, id)| (*id, path.join(name))));
            }
        }
        None
    }

    /// Where a real folder is not as processes must see it.
    pub(crate) fn differences(&self, root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        self.compare(ROOT, root, &mut found);
        found
    }

    fn compare(&self, id: Id, path: &Path, found: &mut Vec<String>) {
        match &self.nodes[id] {
            Node::Folder(folder) => {
                let entries = std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap());
                let real: BTreeSet<String> = entries.collect();
                let known: BTreeSet<String> = folder.now.keys().cloned().collect();
                for name in real.symmetric_difference(&known) {
                    let word = if known.contains(name) {
                        "is missing"
                    } else {
                        "is there"
                    };
                    found.push(format!("{} {word}", path.join(name).display()));
                }
                for name in real.intersection(&known) {
                    self.compare(folder.now[name], &path.join(name), found);
                }
            }
            Node::Leaf(leaf) if leaf.is_mapped => {
                let name = path.display().to_string();
                if !name.ends_with("-shm") {
                    found.push(format!("{name} is written through a memory map"));
                }
            }
            Node::Leaf(leaf) => {
                let difference = leaf.now().difference(&File::open(path).unwrap());
                found.extend(difference.map(|what| format!("{} {what}", path.display())));
            }
        }
    }

    /// The power goes now: what the disk holds afterwards.
    pub(crate) fn cut(&self, manner: Manner, random: &mut Random) -> (Self, Cut) {
        let mut cut = Cut::default();
        let folders = self.cut_names(manner, random, &mut cut);
        let mut after = Self::default();
        let mut lose = |leaf: &Leaf| match manner {
            Manner::Promised => {
                cut.writes += leaf.unsynced.len() as u64;
                cut.lost_writes += leaf.unsynced.len() as u64;
                leaf.durable.clone()
            }
            Manner::Strict | Manner::Ordered => cut_content(leaf, random, &mut cut),
        };
        self.copy(ROOT, ROOT, &folders, &mut after, &mut lose);
        (after, cut)
    }

    /// The names of each folder after a cut.
    fn cut_names(
        &self,
        manner: Manner,
        random: &mut Random,
        cut: &mut Cut,
    ) -> BTreeMap<Id, BTreeMap<String, Id>> {
        let folder = |(id, node): (Id, &Node)| match node {
            Node::Folder(folder) => Some((id, folder.durable.clone())),
            Node::Leaf(_) => None,
        };
        let mut folders: BTreeMap<Id, BTreeMap<String, Id>> =
            self.nodes.iter().enumerate().filter_map(folder).collect();
        let is_safe = |names: &Names| manner == Manner::Ordered && names.is_ordered;
        let open = self.names.iter().filter(|names| !is_safe(names)).count() as u64;
        // In order: so many of them. Else each by its own chance, which may be none or all.
        let mut in_order = random.below(open + 1);
        let chance = [0, 50, 50, 90, 100][random.below(5) as usize];
        for names in &self.names {
            let is_kept = if is_safe(names) {
                true
            } else {
                cut.names += 1;
                let by_order = in_order > 0;
                in_order = in_order.saturating_sub(1);
                match manner {
                    Manner::Ordered => by_order,
                    Manner::Strict => random.percent(chance),
                    Manner::Promised => false,
                }
            };
            if !is_kept {
                cut.lost_names += 1;
                continue;
            }
            for (folder, name, id) in &names.edits {
                set(folders.entry(*folder).or_default(), name, *id);
            }
        }
        folders
    }

    /// Copies what is reachable below `from` into `after`.
    fn copy(
        &self,
        from: Id,
        to: Id,
        folders: &BTreeMap<Id, BTreeMap<String, Id>>,
        after: &mut Self,
        lose: &mut dyn FnMut(&Leaf) -> Content,
    ) {
        // Hard links stay links only as far as content goes: nothing of ours writes to a linked file.
        let mut copied = Folder::default();
        for (name, id) in &folders[&from] {
            let node = match &self.nodes[*id] {
                Node::Folder(_) => Node::Folder(Folder::default()),
                Node::Leaf(leaf) if leaf.is_mapped => continue,
                Node::Leaf(leaf) => Node::Leaf(Leaf {
                    durable: lose(leaf),
                    ..Leaf::default()
                }),
            };
            let is_folder = matches!(node, Node::Folder(_));
            after.nodes.push(node);
            let new = after.nodes.len() - 1;
            copied.now.insert(name.clone(), new);
            copied.durable.insert(name.clone(), new);
            if is_folder {
                self.copy(*id, new, folders, after, lose);
            }
        }
        after.nodes[to] = Node::Folder(copied);
    }

    /// Puts it in the place of whatever `root` holds.
    pub(crate) fn write_to(&self, root: &Path) {
        std::fs::remove_dir_all(root).ok();
        std::fs::create_dir_all(root).unwrap();
        self.write_folder(ROOT, root);
    }

    fn write_folder(&self, id: Id, path: &Path) {
        for (name, id) in &self.folder(id).now {
            let path = path.join(name);
            match &self.nodes[*id] {
                Node::Folder(_) => {
                    std::fs::create_dir(&path).unwrap();
                    self.write_folder(*id, &path);
                }
                Node::Leaf(leaf) => leaf.now().write_to(&File::create(&path).unwrap()),
            }
        }
    }
}

fn set(names: &mut BTreeMap<String, Id>, name: &str, id: Option<Id>) {
    match id {
        Some(id) => _ = names.insert(name.to_owned(), id),
        None => _ = names.remove(name),
    }
}

/// What is left of a file.
fn cut_content(leaf: &Leaf, random: &mut Random, cut: &mut Cut) -> Content {
    let mut content = leaf.durable.clone();
    if leaf.unsynced.is_empty() {
        return content;
    }
    cut.writes += leaf.unsynced.len() as u64;
    let sector = if random.percent(50) { 512 } else { 4096 };
    // Of a hundred changes, or of a hundred sectors of each, so many reached the disk.
    let (of_changes, of_sectors) = [
        (100, 100),
        (0, 0),
        (50, 100),
        (90, 100),
        (100, 50),
        (80, 80),
    ][random.below(6) as usize];
    for edit in &leaf.unsynced {
        if !random.percent(of_changes) {
            cut.lost_writes += 1;
        } else if let (Edit::Write(offset, bytes), 0..100) = (edit, of_sectors) {
            let end = offset + bytes.length();
            let (mut at, mut is_torn) = (*offset, false);
            while at < end {
                let border = ((at / sector + 1) * sector).min(end);
                if random.percent(of_sectors) {
                    content.write_part(*offset, bytes, at - offset, border - offset);
                } else {
                    is_torn = true;
                }
                at = border;
            }
            cut.torn_writes += u64::from(is_torn);
        } else {
            edit.apply(&mut content);
        }
    }
    // The length may be there without what was written.
    if random.percent(30) {
        let length = leaf.now().length();
        content.set_length(content.length().max(length));
    }
    content
}

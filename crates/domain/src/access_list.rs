//! POSIX access lists, as the system keeps them in two extended attributes.
//!
//! Only arithmetic: which rights a list grants, and which are left if a list or its owner cannot be set.
//! Changes made here may take rights away but never add any.
use std::ffi::CStr;

/// The attribute with the list of the entry itself.
pub const ACCESS: &CStr = c"system.posix_acl_access";
/// The attribute with the default list for new entries in a folder.
pub const DEFAULT: &CStr = c"system.posix_acl_default";

const VERSION: u32 = 2;
/// More than any file system accepts.
const MOST: usize = 8192;

/// Whose rights an entry of a list sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Owner,
    User,
    OwningGroup,
    Group,
    Mask,
    Other,
}

impl Tag {
    const ALL: [(Self, u16); 6] = [
        (Self::Owner, 0x01),
        (Self::User, 0x02),
        (Self::OwningGroup, 0x04),
        (Self::Group, 0x08),
        (Self::Mask, 0x10),
        (Self::Other, 0x20),
    ];
}

/// A well-formed list: it sets the rights of the owner, the owning group and all others exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessList {
    entries: Vec<(Tag, u32, u32)>,
}

impl AccessList {
    /// Reads an attribute's value; none if it is not a list.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<4>()?;
        let (entries, []) = rest.as_chunks::<8>() else { return None };
        if u32::from_le_bytes(*version) != VERSION || entries.len() > MOST {
            return None;
        }
        let entries: Vec<_> = entries.iter().map(entry).collect::<Option<_>>()?;
        let list = Self { entries };
        let once = [Tag::Owner, Tag::OwningGroup, Tag::Other].iter().all(|tag| list.count(*tag) == 1);
        let named = list.count(Tag::User) + list.count(Tag::Group) > 0;
        let masked = list.count(Tag::Mask);
        (once && masked <= 1 && (masked == 1 || !named)).then_some(list)
    }

    /// The attribute's value.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (tag, rights, id) in &self.entries {
            let raw = Tag::ALL.iter().find(|it| it.0 == *tag).map_or(0, |it| it.1);
            bytes.extend(raw.to_le_bytes());
            bytes.extend(u16::try_from(*rights).unwrap_or(0).to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    /// Takes rights from everybody.
    pub fn take(&mut self, rights: u32) {
        self.entries.iter_mut().for_each(|it| it.1 &= !rights);
    }

    /// Narrows the list for an entry that will belong to somebody else: the former owner is then just anybody,
    /// and the owning group has other members.
    pub fn narrow(&mut self, owner_is_other: bool, group_is_other: bool) {
        let owners = self.of(Tag::Owner);
        for (tag, rights, _) in &mut self.entries {
            match tag {
                Tag::Owner | Tag::Mask => {}
                Tag::User | Tag::OwningGroup | Tag::Group | Tag::Other if owner_is_other => *rights &= owners,
                Tag::User | Tag::OwningGroup | Tag::Group | Tag::Other => {}
            }
        }
        if group_is_other {
            let common = self.of(Tag::OwningGroup) & self.mask() & self.of(Tag::Other) & self.least(Tag::Group);
            for (tag, rights, _) in &mut self.entries {
                match tag {
                    Tag::OwningGroup | Tag::Other => *rights &= common,
                    Tag::Owner | Tag::User | Tag::Group | Tag::Mask => {}
                }
            }
        }
    }

    /// The widest permission bits by which, without the list, nobody may do more than with it.
    pub fn mode_without(&self) -> u32 {
        let users = self.least(Tag::User);
        let group = self.of(Tag::OwningGroup) & self.mask() & users;
        let other = self.of(Tag::Other) & users & self.least(Tag::Group);
        self.of(Tag::Owner) << 6 | group << 3 | other
    }

    fn count(&self, tag: Tag) -> usize {
        self.entries.iter().filter(|it| it.0 == tag).count()
    }

    fn of(&self, tag: Tag) -> u32 {
        self.entries.iter().filter(|it| it.0 == tag).fold(7, |all, it| all & it.1)
    }

    fn mask(&self) -> u32 {
        self.of(Tag::Mask)
    }

    /// What each of these named may do; everything if nobody is named.
    fn least(&self, tag: Tag) -> u32 {
        let mask = self.mask();
        self.entries.iter().filter(|it| it.0 == tag).fold(7, |all, it| all & it.1 & mask)
    }
}

fn entry(bytes: &[u8; 8]) -> Option<(Tag, u32, u32)> {
    let [tag0, tag1, rights0, rights1, id @ ..] = *bytes;
    let raw = u16::from_le_bytes([tag0, tag1]);
    let rights = u16::from_le_bytes([rights0, rights1]);
    let tag = Tag::ALL.iter().find(|it| it.1 == raw)?.0;
    (rights <= 7).then(|| (tag, rights.into(), u32::from_le_bytes(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16, u32)]) -> AccessList {
        AccessList::parse(&bytes(entries)).unwrap()
    }

    fn bytes(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = 2u32.to_le_bytes().to_vec();
        for (tag, rights, id) in entries {
            bytes.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    const NOBODY: u32 = u32::MAX;

    #[test]
    fn a_list_that_cannot_be_set_leaves_nobody_more_than_it_gave() {
        // The mask in the mode's group bits is rw; the owning group itself may do nothing.
        let masked = [(1, 6, NOBODY), (2, 6, 1000), (4, 0, NOBODY), (16, 6, NOBODY), (32, 0, NOBODY)];
        assert_eq!(list(&masked).mode_without(), 0o600);
        // One person is shut out of what everybody else can read.
        let shut = [(1, 6, NOBODY), (2, 0, 1000), (4, 4, NOBODY), (16, 7, NOBODY), (32, 4, NOBODY)];
        assert_eq!(list(&shut).mode_without(), 0o600);
        // One group is shut out: the owning group may still read, others may be in the group that is shut out.
        let group = [(1, 7, NOBODY), (4, 5, NOBODY), (8, 0, 50), (16, 7, NOBODY), (32, 5, NOBODY)];
        assert_eq!(list(&group).mode_without(), 0o750);
        // Nothing beyond what the mode says.
        assert_eq!(list(&[(1, 6, NOBODY), (4, 4, NOBODY), (32, 4, NOBODY)]).mode_without(), 0o644);
    }

    #[test]
    fn a_list_is_narrowed_where_owner_or_group_are_others() {
        let entries = [(1, 4, NOBODY), (2, 6, 1000), (4, 6, NOBODY), (16, 6, NOBODY), (32, 2, NOBODY)];
        let mut owner = list(&entries);
        owner.narrow(true, false);
        assert_eq!(owner, list(&[(1, 4, NOBODY), (2, 4, 1000), (4, 4, NOBODY), (16, 6, NOBODY), (32, 0, NOBODY)]));
        let mut group = list(&entries);
        group.narrow(false, true);
        assert_eq!(group, list(&[(1, 4, NOBODY), (2, 6, 1000), (4, 2, NOBODY), (16, 6, NOBODY), (32, 2, NOBODY)]));
        let mut common = list(&[(1, 7, NOBODY), (4, 4, NOBODY), (8, 6, 50), (16, 7, NOBODY), (32, 6, NOBODY)]);
        common.narrow(false, true);
        assert_eq!(common, list(&[(1, 7, NOBODY), (4, 4, NOBODY), (8, 6, 50), (16, 7, NOBODY), (32, 4, NOBODY)]));
        let mut plain = list(&entries);
        plain.take(2);
        assert_eq!(
            plain.encode(),
            bytes(&[(1, 4, NOBODY), (2, 4, 1000), (4, 4, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY)])
        );
    }

    #[test]
    fn what_is_not_a_list_is_refused() {
        let good = [(1, 7, NOBODY), (4, 7, NOBODY), (32, 7, NOBODY)];
        assert_eq!(AccessList::parse(&bytes(&good)).unwrap().encode(), bytes(&good));
        for bad in [
            &[][..],
            &[(1, 7, NOBODY), (4, 7, NOBODY)],
            &[(1, 8, NOBODY), (4, 7, NOBODY), (32, 7, NOBODY)],
            &[(1, 7, NOBODY), (1, 0, NOBODY), (4, 7, NOBODY), (32, 7, NOBODY)],
            &[(1, 7, NOBODY), (2, 7, 5), (4, 7, NOBODY), (32, 7, NOBODY)],
            &[(1, 7, NOBODY), (4, 7, NOBODY), (32, 7, NOBODY), (64, 7, NOBODY)],
        ] {
            assert_eq!(AccessList::parse(&bytes(bad)), None, "{bad:?}");
        }
        let mut long = bytes(&good);
        long.push(0);
        assert_eq!(AccessList::parse(&long), None);
        assert_eq!(AccessList::parse(&[1, 0, 0, 0]), None);
        let of = |people| (0..people).map(|it| (2, 7, it)).chain(good).chain([(16, 7, NOBODY)]).collect::<Vec<_>>();
        assert_eq!(AccessList::parse(&bytes(&of(8189))), None);
        assert!(AccessList::parse(&bytes(&of(8188))).is_some(), "the most there can be");
    }

    #[test]
    fn what_is_taken_is_taken_from_everybody_and_nothing_else() {
        let mut list =
            list(&[(0x01, 7, NOBODY), (0x02, 5, 1000), (0x04, 6, NOBODY), (0x10, 7, NOBODY), (0x20, 4, NOBODY)]);
        list.take(0o2);
        let rights: Vec<_> = list.entries.iter().map(|it| it.1).collect();
        assert_eq!(rights, [5, 5, 4, 5, 4]);
    }
}

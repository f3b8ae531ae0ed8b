//! Enrolling: a partner, or many at once, written into directory.toml, each with its certificate, keys and context.

use std::path::PathBuf;

use liaison_protocol::directory::Node;
use liaison_protocol::id::{Micros, NodeId, PartnerId, SystemId};
use liaison_protocol::proto::PartnerCategory;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::{BACKDATED_US, Changing, LEAF_DAYS, day, failed, new_key, output, read, validity, write_pair};
use crate::authority::pki::Authority;
use crate::authority::{directory_file, files, words};
use crate::cli::context::{self, ContextFile};
use crate::cli::{Exit, Failure};

/// Who is enrolled.
pub(in crate::cli) struct Enrolment {
    /// Its identifier.
    pub(in crate::cli) partner: PartnerId,
    /// Its name for people.
    pub(in crate::cli) name: String,
    /// national-central-bureau, international-entity or private-entity.
    pub(in crate::cli) category: String,
    /// Its first system.
    pub(in crate::cli) system: SystemId,
    /// The groups it joins; each must be in directory.toml.
    pub(in crate::cli) groups: Vec<PartnerId>,
    /// The node that holds its mailbox; None where there is only one.
    pub(in crate::cli) home: Option<NodeId>,
}

impl Changing {
    /// Enrols a partner in directory.toml, and makes its certificate, keys and context.
    pub(in crate::cli) fn add_partner(
        &self,
        partner: &PartnerId,
        name: &str,
        category: &str,
        system: &SystemId,
        group: &PartnerId,
    ) -> Result<PathBuf, Failure> {
        let enrolment = Enrolment {
            partner: partner.clone(),
            name: name.into(),
            category: category.into(),
            system: system.clone(),
            groups: vec![group.clone()],
            home: None,
        };
        Ok(self.enrol(&[enrolment])?.remove(0))
    }

    /// Enrols all of these in directory.toml at once, so that one signature brings them all; gives their contexts' folders.
    pub(in crate::cli) fn enrol(&self, enrolments: &[Enrolment]) -> Result<Vec<PathBuf>, Failure> {
        let file = self.path.join("directory.toml");
        let bad = failed(&file);
        let mut document = self.document()?;
        // Everything that can be wrong with the request is looked at before the first file is made.
        for enrolment in enrolments {
            self.judge(enrolment, &mut document)?;
        }
        let pki = Authority::from_pem(
            &String::from_utf8_lossy(&read(&self.path.join("pki/ca.pem"))?),
            &String::from_utf8_lossy(&read(&self.path.join("pki/ca.key"))?),
        )
        .map_err(|error| failed(&self.path.join("pki"))(&error))?;
        let mut contexts = Vec::with_capacity(enrolments.len());
        for (number, enrolment) in (self.next_number(&document)..).zip(enrolments) {
            let node = self.home_of(enrolment)?;
            let (folder, keys) = self.equip(enrolment, &pki, node)?;
            let mut record = Table::new();
            record["number"] = value(i64::from(number));
            record["id"] = value(enrolment.partner.as_str());
            record["name"] = value(&enrolment.name);
            record["category"] = value(&enrolment.category);
            record["home"] = value(node.id.as_str());
            record["tls_authorities"] = value(toml_edit::Array::from_iter(["pki/ca.pem"]));
            record["key"] = Item::ArrayOfTables(keys);
            let partners = document.entry("partner").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
            partners.as_array_of_tables_mut().ok_or_else(|| bad(&"partner is no array of tables"))?.push(record);
            for group in &enrolment.groups {
                if let Some(members) = members_of(&mut document, group) {
                    members.push(enrolment.partner.as_str());
                }
            }
            contexts.push(folder);
        }
        self.write(&document)?;
        Ok(contexts)
    }

    /// Adds a group without members to directory.toml.
    pub(in crate::cli) fn add_group(&self, group: &PartnerId) -> Result<(), Failure> {
        let file = self.path.join("directory.toml");
        let mut document = self.document()?;
        let mut record = Table::new();
        record["id"] = value(group.as_str());
        record["members"] = value(toml_edit::Array::new());
        let groups = document.entry("group").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        groups.as_array_of_tables_mut().ok_or_else(|| failed(&file)(&"group is no array of tables"))?.push(record);
        self.write(&document)
    }

    /// Nobody is given a home by chance: where there are several nodes, one has to be named.
    fn home_of(&self, enrolment: &Enrolment) -> Result<&Node, Failure> {
        let nodes: Vec<_> = self.newest().nodes().collect();
        let ids = words::list(nodes.iter().map(|node| &node.id));
        match (&enrolment.home, nodes.as_slice()) {
            (Some(home), _) => self.newest().node(home).ok_or_else(|| {
                Failure::new(Exit::NotFound, format!("there is no node {home}; there are {ids}"))
                    .next("liaison directory sign, if directory.toml lists it already")
            }),
            (None, [only]) => Ok(only),
            (None, _) => {
                let text = format!("which node is the home of {}? There are {ids}", enrolment.partner);
                Err(Failure::new(Exit::Usage, text).next("--home NODE"))
            }
        }
    }

    fn judge(&self, enrolment: &Enrolment, document: &mut DocumentMut) -> Result<(), Failure> {
        let Enrolment { partner, category, groups, .. } = enrolment;
        if self.newest().partner(partner).is_some() {
            return Err(Failure::new(Exit::Conflict, format!("{partner} is enrolled already")));
        }
        let tables = document.get("partner").and_then(Item::as_array_of_tables);
        let written = |table: &Table| table.get("id").and_then(Item::as_str) == Some(partner.as_str());
        if tables.is_some_and(|tables| tables.iter().any(written)) {
            let text = format!("{partner} is in directory.toml already, and not signed yet");
            return Err(Failure::new(Exit::Conflict, text).next("liaison directory sign"));
        }
        directory_file::value("PARTNER_CATEGORY", category, PartnerCategory::from_str_name, "category")
            .map_err(|problem| Failure::new(Exit::Usage, problem))?;
        self.home_of(enrolment)?;
        match groups.iter().find(|group| members_of(document, group).is_none()) {
            Some(group) => {
                let file = self.path.join("directory.toml");
                Err(Failure::new(Exit::NotFound, format!("{}: there is no group {group}", file.display())))
            }
            None => Ok(()),
        }
    }

    /// One that no directory has given and the file does not give yet.
    fn next_number(&self, document: &DocumentMut) -> u32 {
        let tables = document.get("partner").and_then(Item::as_array_of_tables).into_iter().flatten();
        let written = tables
            .filter_map(|table| table.get("number").and_then(Item::as_integer))
            .filter_map(|number| u32::try_from(number).ok());
        written.max().unwrap_or(0).saturating_add(1).max(self.newest().head().next_number().0)
    }

    fn write(&self, document: &DocumentMut) -> Result<(), Failure> {
        let file = self.path.join("directory.toml");
        files::replace_keeping_rights(&file, document.to_string().as_bytes()).map_err(|error| failed(&file)(&error))
    }

    fn document(&self) -> Result<DocumentMut, Failure> {
        let file = self.path.join("directory.toml");
        let text = String::from_utf8_lossy(&read(&file)?).into_owned();
        text.parse().map_err(|error: toml_edit::TomlError| failed(&file)(&error))
    }

    /// A partner's folder with certificate, keys and context; gives it with the keys' records.
    fn equip(
        &self,
        enrolment: &Enrolment,
        pki: &Authority,
        node: &Node,
    ) -> Result<(PathBuf, ArrayOfTables), Failure> {
        let folder = self.path.join("partners").join(enrolment.partner.as_str());
        std::fs::create_dir_all(&folder).map_err(|error| failed(&folder)(&error))?;
        let issued = pki
            .issue_partner(self.name(), &enrolment.partner, &enrolment.system, validity(LEAF_DAYS))
            .map_err(|error| failed(&folder)(&error))?;
        write_pair(&folder.join("tls"), issued.certificate_pem(), issued.key_pem())?;
        let mut keys = ArrayOfTables::new();
        for usage in ["notice", "acknowledgement"] {
            let mut key = Table::new();
            key["usage"] = value(usage);
            key["ed25519"] = value(new_key(&folder.join(usage).with_extension("key"))?);
            key["not_before"] = value(day(output::now().plus(-BACKDATED_US)));
            key["not_after"] = value(day(output::now().plus(2 * LEAF_DAYS * Micros::DAY)));
            keys.push(key);
        }
        let context = ContextFile {
            partner: enrolment.partner.to_string(),
            system: enrolment.system.to_string(),
            node: node.addresses.first().cloned().unwrap_or_default(),
            server_name: Some(node.id.to_string()),
            node_id: Some(node.id.to_string()),
            authority: "authority.pem".into(),
            certificate: "tls.pem".into(),
            key: "tls.key".into(),
            notice_key: "notice.key".into(),
            acknowledgement_key: "acknowledgement.key".into(),
            trust: "network.trust".into(),
        };
        let context = toml_edit::ser::to_string_pretty(&context).map_err(|error| failed(&folder)(&error))?;
        let files = [
            (context::FILE, context),
            ("authority.pem", pki.certificate_pem().to_string()),
            ("network.trust", self.trust_text()),
        ];
        for (name, text) in files {
            let path = folder.join(name);
            files::replace(&path, text.as_bytes(), files::PUBLIC).map_err(|error| failed(&path)(&error))?;
        }
        Ok((folder, keys))
    }
}

/// The members of a group, as directory.toml lists them.
fn members_of<'d>(document: &'d mut DocumentMut, group: &PartnerId) -> Option<&'d mut toml_edit::Array> {
    let mut groups = document.get_mut("group").and_then(Item::as_array_of_tables_mut)?.iter_mut();
    let group = groups.find(|table| table.get("id").and_then(Item::as_str) == Some(group.as_str()))?;
    group.get_mut("members").and_then(Item::as_array_mut)
}

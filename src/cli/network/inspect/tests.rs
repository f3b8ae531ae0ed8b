//! What `explain` proposes is enough: whoever writes it into directory.toml gets what was refused.

use liaison_protocol::id::{Micros, PartnerId};
use liaison_protocol::manifest::AudienceNames;
use liaison_protocol::proto::{HandlingCode, Kind, Precedence, Tlp};
use liaison_protocol::reason::Reason;
use tempfile::TempDir;
use toml_edit::{DocumentMut, Item, Table, value};

use super::super::folder::{Changing, DRAFT, Enrolment, NetworkFolder};
use crate::authority::explain::{Question, Remedy, Step, explain};
use crate::cli::{Exit, output};

struct Stage {
    folder: TempDir,
    network: Changing,
    text: String,
}

fn id(text: &str) -> PartnerId {
    text.parse().unwrap()
}

fn enrolment(partner: &str, group: &str) -> Enrolment {
    Enrolment {
        partner: id(partner),
        name: format!("Bureau {partner}"),
        category: "national-central-bureau".into(),
        system: "ops-1".parse().unwrap(),
        groups: vec![id(group)],
        home: None,
    }
}

impl Stage {
    /// FR and KE under a narrow agreement; BR in a group of its own, which no agreement names.
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n");
        let (network, node) = ("a.example".parse().unwrap(), "hub-1".parse().unwrap());
        let network = NetworkFolder::create(&path, &network, &node, "127.0.0.1:7443", &[]).unwrap();
        network.add_group(&id("EAST")).unwrap();
        network.add_group(&id("NOBODY")).unwrap();
        network.enrol(&[enrolment("FR", "MEMBERS"), enrolment("KE", "MEMBERS"), enrolment("BR", "EAST")]).unwrap();
        let mut stage = Self { network, folder, text: String::new() };
        let mut document: DocumentMut = std::fs::read_to_string(stage.file()).unwrap().parse().unwrap();
        let agreement = find(&mut document, "agreement", "members");
        agreement["kinds"] = value(toml_edit::Array::from_iter(["blue"]));
        agreement["highest_handling"] = value("h1");
        agreement["highest_tlp"] = value("green");
        agreement["highest_precedence"] = value("routine");
        agreement["until"] = value("2040-01-01");
        stage.text = document.to_string();
        stage.restore();
        stage
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("n/directory.toml")
    }

    fn restore(&self) {
        std::fs::write(self.file(), &self.text).unwrap();
    }

    fn ask(&self, question: &Question) -> (Result<(), Reason>, Vec<Remedy>) {
        let edition = self.network.edition(DRAFT).unwrap();
        let answer = explain(&edition, question).unwrap();
        (answer.decision.map(|_| ()).map_err(|refusal| refusal.reason), answer.remedies)
    }

    fn follow(&self, Remedy(steps): &Remedy) {
        for step in steps {
            let mut text = std::fs::read_to_string(self.file()).unwrap();
            match step {
                Step::Amend { agreement, set, .. } => {
                    let mut document: DocumentMut = text.parse().unwrap();
                    for (key, value) in set {
                        find(&mut document, "agreement", agreement)[key] = value.parse().unwrap();
                    }
                    text = document.to_string();
                }
                Step::Agree(further) => text += further,
                Step::Form(group) => text += &group.replace("[]", "[\"KE\"]"),
                Step::Fill(group) => {
                    let mut document: DocumentMut = text.parse().unwrap();
                    find(&mut document, "group", group.as_str())["members"] =
                        value(toml_edit::Array::from_iter(["FR", "KE"]));
                    text = document.to_string();
                }
                Step::Enrol(partner) => {
                    self.network.enrol(&[enrolment(partner.as_str(), "EAST")]).unwrap();
                    continue;
                }
                Step::Reinstate(partner) => {
                    let mut document: DocumentMut = text.parse().unwrap();
                    find(&mut document, "partner", partner.as_str())["status"] = value("active");
                    text = document.to_string();
                }
                Step::NoticeKey(partner) => {
                    let mut document: DocumentMut = text.parse().unwrap();
                    let keys =
                        find(&mut document, "partner", partner.as_str())["key"].as_array_of_tables_mut().unwrap();
                    keys.get_mut(0).unwrap()["not_after"] = value("2040-01-01");
                    text = document.to_string();
                }
            }
            std::fs::write(self.file(), text).unwrap();
        }
    }
}

fn find<'d>(document: &'d mut DocumentMut, what: &str, id: &str) -> &'d mut Table {
    let tables = document.get_mut(what).and_then(Item::as_array_of_tables_mut).unwrap();
    tables.iter_mut().find(|table| table.get("id").and_then(Item::as_str) == Some(id)).unwrap()
}

/// What the narrow agreement allows.
fn question(to: &[&str], groups: &[&str]) -> Question {
    let ids = |names: &[&str]| names.iter().map(|name| id(name)).collect();
    Question {
        from: id("FR"),
        audience: AudienceNames { partners: ids(to), groups: ids(groups), exempted: Vec::new() },
        kind: Kind::Blue,
        handling: HandlingCode::H1,
        tlp: Tlp::Green,
        precedence: Precedence::Routine,
        at: output::now(),
    }
}

#[test]
fn every_remedy_is_enough() {
    let stage = Stage::set();
    assert_eq!(stage.ask(&question(&["KE"], &[])), (Ok(()), vec![]));
    let with = |to: &[&str], groups: &[&str], change: &dyn Fn(&mut Question)| {
        let mut question = question(to, groups);
        change(&mut question);
        question
    };
    let year = 366 * Micros::DAY;
    // What is asked, why it is refused, and how many ways out there are.
    let rows = [
        (with(&["KE"], &[], &|asked| asked.kind = Kind::Red), Reason::NotCovered, 2),
        (with(&["KE"], &[], &|asked| asked.handling = HandlingCode::H3), Reason::NotCovered, 2),
        (with(&["KE"], &[], &|asked| asked.tlp = Tlp::AmberStrict), Reason::NotCovered, 2),
        (with(&["KE"], &[], &|asked| asked.precedence = Precedence::Flash), Reason::NotCovered, 2),
        (with(&["KE"], &["MEMBERS"], &|asked| asked.precedence = Precedence::Flash), Reason::NotCovered, 2),
        (
            with(&["KE"], &[], &|asked| {
                (asked.kind, asked.handling, asked.tlp) = (Kind::UnSpecial, HandlingCode::H2, Tlp::Red);
            }),
            Reason::NotCovered,
            2,
        ),
        (with(&["BR"], &[], &|_| {}), Reason::NotCovered, 1),
        (with(&["KE", "BR"], &[], &|_| {}), Reason::NotCovered, 1),
        (with(&["KE"], &["EAST"], &|_| {}), Reason::NotCovered, 1),
        (with(&[], &["EAST", "WEST"], &|_| {}), Reason::NotCovered, 1),
        (with(&["US"], &[], &|_| {}), Reason::NotCovered, 1),
        (with(&[], &["NOBODY"], &|_| {}), Reason::NotCovered, 1),
        (with(&["KE"], &[], &|asked| asked.at = asked.at.plus(4 * year)), Reason::KeyNotInForce, 1),
    ];
    for (nth, (asked, reason, ways)) in rows.iter().enumerate() {
        stage.restore();
        let (refused, remedies) = stage.ask(asked);
        assert_eq!((refused, remedies.len()), (Err(*reason), *ways), "row {nth}: {remedies:#?}");
        for remedy in &remedies {
            stage.restore();
            stage.follow(remedy);
            let (decision, _) = stage.ask(asked);
            assert_eq!(decision, Ok(()), "row {nth}: {remedy:#?}");
        }
    }
}

#[test]
fn a_suspended_partner_is_told_from_one_that_lacks_an_agreement() {
    let stage = Stage::set();
    let suspended = stage.text.replacen("id = \"FR\"", "id = \"FR\"\nstatus = \"suspended\"", 1);
    std::fs::write(stage.file(), suspended).unwrap();
    let (refused, remedies) = stage.ask(&question(&["KE"], &[]));
    assert_eq!(refused, Err(Reason::Suspended));
    stage.follow(&remedies[0]);
    assert_eq!(stage.ask(&question(&["KE"], &[])).0, Ok(()));
}

#[test]
fn what_no_change_to_the_directory_could_allow_has_no_remedy() {
    let stage = Stage::set();
    let nobody = AudienceNames { partners: vec![], groups: vec![id("MEMBERS")], exempted: vec![id("KE")] };
    let rows = [
        (question(&["FR"], &[]), Reason::NotCovered),
        (Question { audience: nobody, ..question(&[], &[]) }, Reason::NobodyToReach),
    ];
    for (asked, reason) in rows {
        assert_eq!(stage.ask(&asked), (Err(reason), vec![]));
    }
    let stranger = Question { from: id("US"), ..question(&["KE"], &[]) };
    assert!(explain(&stage.network.edition(DRAFT).unwrap(), &stranger).is_err());
}

#[test]
fn a_sealed_directory_that_somebody_edited_is_refused_whichever_byte_it_was() {
    let mut stage = Stage::set();
    for _ in 0..2 {
        stage.network.sign().unwrap();
    }
    let path = stage.folder.path().join("n");
    let published = path.join("directory/directory-000003.sealed");
    let elsewhere = stage.folder.path().join("sent-by-mail.sealed");
    std::fs::rename(&published, &elsewhere).unwrap();
    let network = NetworkFolder::open(&path).unwrap();
    let name = elsewhere.to_str().unwrap();
    assert_eq!(network.edition(name).unwrap().version().map(|version| version.0), Some(3));
    let sealed = std::fs::read(&elsewhere).unwrap();
    for nth in 0..sealed.len() {
        let mut edited = sealed.clone();
        edited[nth] ^= 1;
        std::fs::write(&elsewhere, edited).unwrap();
        let Err(refused) = network.edition(name) else { panic!("byte {nth} does not count") };
        assert_eq!(refused.exit, Exit::Unverified, "byte {nth}: {}", refused.message);
        assert!(refused.next.unwrap().contains("never edited by hand"));
    }
    // In the folder itself nothing works until it is put back; and nobody believes a version without the one before it.
    std::fs::copy(&elsewhere, &published).unwrap();
    let Err(refused) = NetworkFolder::open(&path) else { panic!("an edited directory was believed") };
    assert_eq!(refused.exit, Exit::Unverified);
    std::fs::remove_file(&published).unwrap();
    std::fs::write(&elsewhere, sealed).unwrap();
    std::fs::remove_file(path.join("directory/directory-000002.sealed")).unwrap();
    let Err(refused) = NetworkFolder::open(&path).unwrap().edition(name) else { panic!("it follows nothing") };
    assert!(refused.message.contains("the version before it is needed"), "{}", refused.message);
}

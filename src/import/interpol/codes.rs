//! Countries in two letters. INTERPOL has codes of its own beside those of ISO 3166-1, for organisations and for states that are
//! gone; those stay words.

use liaison_protocol::proto::Country;

/// The code as text, and as a code where ISO 3166-1 has it.
pub(super) fn country(code: String) -> Country {
    let known = code.len() == 2 && ISO_3166_1.split(' ').any(|known| known == code);
    Country { code: if known { code.clone() } else { String::new() }, text: code }
}

const ISO_3166_1: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV \
    BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR \
    GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG \
    KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX \
    MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG \
    SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG \
    VI VN VU WF WS YE YT ZA ZM ZW";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_its_own_stays_a_word() {
        assert_eq!(ISO_3166_1.split(' ').count(), 249, "as many as ISO 3166-1 has");
        for (code, known) in
            [("KE", true), ("GW", true), ("914", false), ("XK", false), ("ke", false), ("E S", false)]
        {
            let found = country(code.to_owned());
            assert_eq!((found.text.as_str(), !found.code.is_empty()), (code, known));
        }
    }
}

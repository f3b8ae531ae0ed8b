//! Countries in words, and their codes where the words certainly mean one country. A condition, a region, two countries in one
//! text or a people gets no code; the words are always kept.

use liaison_protocol::proto::Country;

/// A text with its code, if it is in the table; `None` for no text.
pub(super) fn country(text: String) -> Option<Country> {
    if text.is_empty() {
        return None;
    }
    let plain = text.to_lowercase().replace(['\u{2018}', '\u{2019}'], "'");
    let plain = plain.strip_prefix("the ").unwrap_or(&plain);
    let code = CODES.binary_search_by_key(&plain, |(name, _)| name).map(|place| CODES[place].1);
    Some(Country { code: code.unwrap_or_default().to_owned(), text })
}

/// Names and adjectives in small letters, ascending by their bytes, and ISO 3166-1 alpha-2 codes. Left out on purpose: "congo"
/// and "congolese" (two countries), "palestinian" (an origin), states that are gone.
#[rustfmt::skip]
const CODES: &[(&str, &str)] = &[
    ("afghan", "AF"), ("afghanistan", "AF"), ("albania", "AL"), ("albanian", "AL"), ("algeria", "DZ"), ("algerian", "DZ"),
    ("angola", "AO"), ("angolan", "AO"), ("argentina", "AR"), ("armenia", "AM"), ("armenian", "AM"), ("australia", "AU"),
    ("australian", "AU"), ("austria", "AT"), ("austrian", "AT"), ("azerbaijan", "AZ"), ("azerbaijani", "AZ"),
    ("bahrain", "BH"), ("bahraini", "BH"), ("bangladesh", "BD"), ("bangladeshi", "BD"), ("belarus", "BY"),
    ("belarusian", "BY"), ("belgian", "BE"), ("belgium", "BE"), ("benin", "BJ"), ("bosnia and herzegovina", "BA"),
    ("brazil", "BR"), ("brazilian", "BR"), ("british", "GB"), ("british virgin islands", "VG"), ("bulgaria", "BG"),
    ("bulgarian", "BG"), ("burkina faso", "BF"), ("burundi", "BI"), ("burundian", "BI"), ("cambodia", "KH"),
    ("cameroon", "CM"), ("cameroonian", "CM"), ("canada", "CA"), ("canadian", "CA"), ("central african republic", "CF"),
    ("chad", "TD"), ("chadian", "TD"), ("chile", "CL"), ("china", "CN"),
    ("china, hong kong special administrative region", "HK"), ("china, macao special administrative region", "MO"),
    ("chinese", "CN"), ("colombia", "CO"), ("colombian", "CO"), ("comoros", "KM"), ("croatia", "HR"), ("croatian", "HR"),
    ("cuba", "CU"), ("cuban", "CU"), ("cypriot", "CY"), ("cyprus", "CY"), ("czech republic", "CZ"), ("czechia", "CZ"),
    ("côte d'ivoire", "CI"), ("danish", "DK"), ("democratic people's republic of korea", "KP"),
    ("democratic republic of the congo", "CD"), ("denmark", "DK"), ("djibouti", "DJ"), ("djiboutian", "DJ"), ("dprk", "KP"),
    ("drc", "CD"), ("egypt", "EG"), ("egyptian", "EG"), ("equatorial guinea", "GQ"), ("eritrea", "ER"), ("eritrean", "ER"),
    ("estonia", "EE"), ("estonian", "EE"), ("ethiopia", "ET"), ("ethiopian", "ET"), ("filipino", "PH"), ("finland", "FI"),
    ("finnish", "FI"), ("france", "FR"), ("french", "FR"), ("gabon", "GA"), ("gabonese", "GA"), ("gambia", "GM"),
    ("georgia", "GE"), ("german", "DE"), ("germany", "DE"), ("ghana", "GH"), ("ghanaian", "GH"), ("greece", "GR"),
    ("greek", "GR"), ("guatemala", "GT"), ("guinea", "GN"), ("guinea-bissau", "GW"), ("haiti", "HT"), ("haitian", "HT"),
    ("hong kong special administrative region", "HK"), ("hungarian", "HU"), ("hungary", "HU"), ("india", "IN"),
    ("indian", "IN"), ("indonesia", "ID"), ("indonesian", "ID"), ("iran", "IR"), ("iran (islamic republic of)", "IR"),
    ("iranian", "IR"), ("iraq", "IQ"), ("iraqi", "IQ"), ("ireland", "IE"), ("irish", "IE"), ("israel", "IL"),
    ("israeli", "IL"), ("italian", "IT"), ("italy", "IT"), ("ivorian", "CI"), ("ivory coast", "CI"), ("japan", "JP"),
    ("japanese", "JP"), ("jordan", "JO"), ("jordanian", "JO"), ("kazakh", "KZ"), ("kazakhstan", "KZ"), ("kenya", "KE"),
    ("kenyan", "KE"), ("khazakhstan", "KZ"), ("kuwait", "KW"), ("kuwaiti", "KW"), ("kyrgyz", "KG"), ("kyrgyzstan", "KG"),
    ("lao people's democratic republic", "LA"), ("latvia", "LV"), ("lebanese", "LB"), ("lebanon", "LB"), ("liberia", "LR"),
    ("liberian", "LR"), ("libya", "LY"), ("libyan", "LY"), ("libyan arab jamahiriya", "LY"), ("liechtenstein", "LI"),
    ("lithuania", "LT"), ("luxembourg", "LU"), ("malaysia", "MY"), ("malaysian", "MY"), ("maldives", "MV"),
    ("maldivian", "MV"), ("mali", "ML"), ("malian", "ML"), ("malta", "MT"), ("maltese", "MT"), ("marshall islands", "MH"),
    ("mauritania", "MR"), ("mauritanian", "MR"), ("mauritius", "MU"), ("mexican", "MX"), ("mexico", "MX"), ("moldova", "MD"),
    ("mongolia", "MN"), ("montenegro", "ME"), ("moroccan", "MA"), ("morocco", "MA"), ("mozambique", "MZ"), ("myanmar", "MM"),
    ("namibia", "NA"), ("nepal", "NP"), ("netherlands", "NL"), ("netherlands (kingdom of the)", "NL"), ("new zealand", "NZ"),
    ("niger", "NE"), ("nigeria", "NG"), ("nigerian", "NG"), ("north macedonia", "MK"), ("norway", "NO"), ("norwegian", "NO"),
    ("oman", "OM"), ("omani", "OM"), ("pakistan", "PK"), ("pakistani", "PK"), ("panama", "PA"), ("peru", "PE"),
    ("philippines", "PH"), ("poland", "PL"), ("polish", "PL"), ("portugal", "PT"), ("portuguese", "PT"), ("qatar", "QA"),
    ("qatari", "QA"), ("republic of korea", "KR"), ("republic of moldova", "MD"), ("romania", "RO"), ("romanian", "RO"),
    ("rpdc", "KP"), ("russian", "RU"), ("russian federation", "RU"), ("rwanda", "RW"), ("rwandan", "RW"),
    ("saudi arabia", "SA"), ("saudi arabian", "SA"), ("senegal", "SN"), ("senegalese", "SN"), ("serbia", "RS"),
    ("serbian", "RS"), ("sierra leone", "SL"), ("singapore", "SG"), ("slovakia", "SK"), ("slovenia", "SI"), ("somali", "SO"),
    ("somalia", "SO"), ("south africa", "ZA"), ("south african", "ZA"), ("south sudan", "SS"), ("south sudanese", "SS"),
    ("spain", "ES"), ("spanish", "ES"), ("sri lanka", "LK"), ("state of palestine", "PS"), ("sudan", "SD"),
    ("sudanese", "SD"), ("sultanate of oman", "OM"), ("sweden", "SE"), ("swedish", "SE"), ("swiss", "CH"),
    ("switzerland", "CH"), ("syria", "SY"), ("syrian", "SY"), ("syrian arab republic", "SY"), ("tajik", "TJ"),
    ("tajikistan", "TJ"), ("tanzania", "TZ"), ("tanzanian", "TZ"), ("thai", "TH"), ("thailand", "TH"), ("togo", "TG"),
    ("trinidad and tobago", "TT"), ("tunisia", "TN"), ("tunisian", "TN"), ("turkey", "TR"), ("turkish", "TR"),
    ("turkmenistan", "TM"), ("türkiye", "TR"), ("uae", "AE"), ("uganda", "UG"), ("ugandan", "UG"), ("uk", "GB"),
    ("ukraine", "UA"), ("ukrainian", "UA"), ("union of the comoros", "KM"), ("united arab emirates", "AE"),
    ("united kingdom", "GB"), ("united kingdom of great britain and northern ireland", "GB"),
    ("united republic of tanzania", "TZ"), ("united states", "US"), ("united states of america", "US"), ("us", "US"),
    ("usa", "US"), ("uzbek", "UZ"), ("uzbekistan", "UZ"), ("venezuela (bolivarian republic of)", "VE"), ("viet nam", "VN"),
    ("vietnam", "VN"), ("vietnamese", "VN"), ("yemen", "YE"), ("yemeni", "YE"), ("zambia", "ZM"), ("zimbabwe", "ZW"),
    ("zimbabwean", "ZW"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_searched() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0), "names ascend and none stands twice");
        for (name, code) in CODES {
            assert_eq!(*name, name.to_lowercase());
            assert!(code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()), "{code}");
        }
    }

    #[test]
    fn words_get_a_code_only_where_they_certainly_mean_one_country() {
        for (text, code) in [
            ("Guinea-Bissau", "GW"),
            ("Guinea", "GN"),
            ("Niger", "NE"),
            ("Nigeria", "NG"),
            ("IRAN", "IR"),
            ("the Philippines", "PH"),
            ("Côte d’Ivoire", "CI"),
            ("Côte d'Ivoire", "CI"),
            ("Türkiye", "TR"),
            ("Congolese", ""),
            ("Sudan/South Sudan", ""),
            ("United Arab Emirates (possibly)", ""),
            ("In prison", ""),
            ("na", ""),
        ] {
            let found = country(text.to_owned()).expect("there is text");
            assert_eq!((found.text.as_str(), found.code.as_str()), (text, code));
        }
        assert_eq!(country(String::new()), None);
    }
}

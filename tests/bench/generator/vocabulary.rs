//! The words of generated events: those of the published lists in `fixtures`, so that events are as
//! long, and as much alike, as real ones.

use std::error::Error;
use std::path::Path;

use giftproof::model::event::{Pack, Value, ValueBasis};
use giftproof::model::text::Text;

/// One row of a list: goods as they were written down.
pub struct Goods {
    pub item: Text<200>,
    pub category: Text<40>,
    pub unit: Text<24>,
    pub pack: Option<Pack>,
    pub quantity: u64,
    pub maker: Text<120>,
    pub specification: Text<200>,
    pub value: Option<Value>,
}

/// What the lists say.
pub struct Vocabulary {
    /// Deliveries of a purchasing project, and donations that a charity published.
    pub goods: Vec<Goods>,
    /// Who gave, as published.
    pub donors: Vec<Text<200>>,
}

impl Vocabulary {
    /// Reads every fourth row: more than enough to choose from.
    pub fn read() -> Result<Self, Box<dyn Error>> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let mut goods = Vec::new();
        for row in rows(&fixtures.join("scms-deliveries/deliveries.csv"), 4)? {
            let column = |name: &str| row.get(name).map_or("", |text| text.as_str());
            let content = column("unit_per_pack").parse().unwrap_or(1);
            let unit = Text::new("unit").expect("a short word is a text");
            let cents = (column("line_value_usd").parse::<f64>()? * 100.0) as u64;
            goods.push(Goods {
                item: cut(column("item")),
                category: cut(column("sub_class")),
                unit: cut("pack"),
                pack: Some(Pack { content, unit }),
                quantity: column("quantity").parse().unwrap_or(1),
                maker: cut(column("manufacturing_site")),
                specification: cut(column("dosage_form")),
                value: Some(Value { cents, currency: cut("USD"), basis: ValueBasis::Published }),
            });
        }
        let mut donors = Vec::new();
        for row in rows(&fixtures.join("wuhan-2020/received.csv"), 4)? {
            let column = |name: &str| row.get(name).map_or("", |text| text.as_str());
            donors.push(cut(column("donor")));
            if column("item").is_empty() || column("unit").is_empty() {
                continue;
            }
            goods.push(Goods {
                item: cut(column("item")),
                category: Text::default(),
                unit: cut(column("unit")),
                pack: None,
                quantity: column("quantity").parse().unwrap_or(1),
                maker: Text::default(),
                specification: Text::default(),
                value: None,
            });
        }
        Ok(Self { goods, donors })
    }
}

/// Every so manieth row of a table, by the names of its columns.
fn rows(
    path: &Path,
    step: usize,
) -> Result<Vec<std::collections::HashMap<String, String>>, csv::Error> {
    csv::Reader::from_path(path)?.into_deserialize().step_by(step).collect()
}

/// As much of a text as fits.
fn cut<const MAX: usize>(text: &str) -> Text<MAX> {
    let end = (0..=text.len().min(MAX)).rev().find(|end| text.is_char_boundary(*end));
    let text = text[..end.expect("0 is a boundary")].trim();
    Text::new(text).expect("the published lists keep the rules of texts")
}

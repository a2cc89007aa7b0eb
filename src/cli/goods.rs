//! Which goods a command is about: by gift, or by item with the oldest gifts first.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::failure::Failure;
use super::words::{GiftLine, GiftPortion, text};
use crate::model::event::{Goods, Line, Portion, UnitChoice};
use crate::model::ident::{GiftId, Handle};
use crate::model::state::{Account, Book, Gift, State};
use crate::model::text::Text;
use crate::model::violation::{Code, Violation};

/// The most items that are named where there is none of the one asked for.
const NAMED_MAX: usize = 5;

/// How goods are named on the command line.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct GoodsArgs {
    #[arg(long = "gift", value_name = "GIFT[:LINE][=N]")]
    pub gifts: Vec<GiftPortion>,
    #[arg(long, value_name = "GIFT[:LINE]")]
    pub all_of: Vec<GiftLine>,
    #[arg(long, value_name = "TEXT", value_parser = text::<200>, requires = "quantity")]
    pub item: Option<Text<200>>,
    #[arg(long, value_name = "N", value_parser = super::words::parse_quantity, allow_negative_numbers = true)]
    pub quantity: Option<u64>,
    #[arg(long, value_name = "TEXT", value_parser = text::<24>)]
    pub unit: Option<Text<24>>,
    #[arg(long = "for", value_name = "HANDLE", conflicts_with = "undesignated")]
    pub meant_for: Option<Handle>,
    #[arg(long)]
    pub undesignated: bool,
}

/// Where goods may be taken from.
pub struct Stock<'a> {
    /// The ledger now.
    pub state: &'a State,
    /// The accounts to take from, of a gift.
    pub place: &'a dyn Fn(&Gift, &Account) -> bool,
    /// Whom the goods must be meant for where the command line does not say.
    pub meant_for: Option<&'a Handle>,
}

/// What there is of some goods, in the unit of its account.
struct Pile {
    item: Text<200>,
    goods: Goods,
    /// How many units of the account one unit of the portion is.
    factor: u64,
    /// In the unit of the portion.
    there: u64,
}

impl GoodsArgs {
    /// Whether any goods are named.
    pub fn is_empty(&self) -> bool {
        self.gifts.is_empty() && self.all_of.is_empty() && self.item.is_none()
    }

    /// The portions, as far as possible within what is there. What is not there is asked for all
    /// the same where a gift is named: the rules then say how much there is.
    ///
    /// # Errors
    /// `usage/no-goods`, `gift/unknown`, `line/unknown`, `unit/unknown`, `goods/ambiguous`,
    /// `goods/no-such-item`, `goods/no-such-unit`, `balance/exceeded`.
    pub fn choose(&self, stock: &Stock) -> Result<Vec<Portion>, Failure> {
        let mut portions = Vec::new();
        for wanted in &self.gifts {
            let alone = self.gifts.len() == 1;
            let quantity = wanted.quantity.or(self.quantity.filter(|_| alone));
            let quantity = quantity.ok_or_else(|| Failure::new("usage/no-quantity"))?;
            self.of_gift(stock, &wanted.of, quantity, &mut portions)?;
        }
        for all in &self.all_of {
            let piles = self.piles(stock, all)?;
            portions.extend(piles.into_iter().map(|pile| Portion::new(pile.goods, pile.there)));
        }
        if let (Some(item), Some(quantity)) = (&self.item, self.quantity) {
            self.of_item(stock, item, quantity, &mut portions)?;
        }
        if portions.is_empty() {
            return Err(Failure::new("usage/no-goods"));
        }
        Ok(portions)
    }

    fn of_gift(
        &self,
        stock: &Stock,
        of: &GiftLine,
        quantity: u64,
        portions: &mut Vec<Portion>,
    ) -> Result<(), Failure> {
        let gift = &*known(stock, of)?;
        let number = match (of.line, &gift.donation.lines[..]) {
            (Some(number), _) => number,
            (None, [line]) => line.number,
            (None, _) => return Err(Failure::new("usage/no-line").with("gift", of.gift)),
        };
        let line = line_of(gift, number)?;
        let of = GiftLine { gift: of.gift, line: Some(number) };
        let mut piles = self.piles(stock, &of)?;
        piles.sort_by_key(|pile| pile.goods.meant_for.is_none());
        let there: u64 = piles.iter().map(|pile| pile.there).sum();
        if piles.len() > 1 && quantity < there {
            return Err(Failure::new("goods/ambiguous").with("gift", of.gift));
        }
        let Some(last) = piles.len().checked_sub(1) else {
            // Nothing there at all; the rules are to say so.
            let unit = self.unit_of(gift, line, Book::Smallest)?;
            let unit = unit.map_or(UnitChoice::Stated, |(unit, _)| unit);
            let meant_for = self.wanted(stock).cloned();
            let goods = Goods { gift: gift.id, line: line.number, unit, meant_for };
            portions.push(Portion::new(goods, quantity));
            return Ok(());
        };
        let mut left = quantity;
        for (at, pile) in piles.into_iter().enumerate() {
            let part = if at == last { left } else { left.min(pile.there) };
            left -= part;
            if part > 0 || quantity == 0 {
                portions.push(Portion::new(pile.goods, part));
            }
        }
        Ok(())
    }

    /// The oldest gifts first.
    fn of_item(
        &self,
        stock: &Stock,
        item: &Text<200>,
        quantity: u64,
        portions: &mut Vec<Portion>,
    ) -> Result<(), Failure> {
        let has = |gift: &Arc<Gift>| gift.donation.lines.iter().any(|line| line.item == *item);
        let holding = stock.state.gifts.iter().filter(has);
        let mut gifts: Vec<(u64, GiftId)> =
            holding.map(|gift| (gift.entries[0], (&gift.id).into())).collect();
        gifts.sort_unstable();
        let mut left = quantity;
        let mut found = false;
        for (_, gift) in gifts {
            let of = GiftLine { gift, line: None };
            for pile in self.piles(stock, &of)? {
                if pile.item != *item || left == 0 {
                    continue;
                }
                let part = left.min(pile.there);
                left -= part;
                found = true;
                portions.push(Portion::new(pile.goods, part));
            }
        }
        let there = if found { BTreeSet::new() } else { there(stock) };
        if !there.is_empty() {
            let mut names: Vec<String> = there.iter().take(NAMED_MAX).cloned().collect();
            if there.len() > NAMED_MAX {
                names.push("...".to_owned());
            }
            let failure = match &self.unit {
                None => Failure::refused("goods/no-such-item"),
                Some(unit) => Failure::refused("goods/no-such-unit").with("unit", unit),
            };
            return Err(failure.with("item", item).with("there", names.join(", ")));
        }
        if left > 0 {
            return Err(Violation::new(Code::BalanceExceeded, quantity - left, quantity).into());
        }
        Ok(())
    }

    fn wanted<'a>(&'a self, stock: &Stock<'a>) -> Option<&'a Handle> {
        self.meant_for.as_ref().or(stock.meant_for.filter(|_| !self.undesignated))
    }

    fn piles(&self, stock: &Stock, of: &GiftLine) -> Result<Vec<Pile>, Failure> {
        let gift = &*known(stock, of)?;
        if let Some(number) = of.line {
            line_of(gift, number)?;
        }
        let mut piles: Vec<Pile> = Vec::new();
        for (account, quantity) in gift.accounts.iter() {
            let meant = match self.wanted(stock) {
                Some(wanted) => account.meant_for.as_ref() == Some(wanted),
                None => !self.undesignated || account.meant_for.is_none(),
            };
            let line = of.line.is_none_or(|number| number == account.line);
            if !meant || !line || quantity == 0 || !(stock.place)(gift, account) {
                continue;
            }
            let line = line_of(gift, account.line)?;
            let Some((unit, factor)) = self.unit_of(gift, line, account.book)? else { continue };
            // Only where the whole is asked for does a broken pack make the unit smaller.
            let whole = quantity.is_multiple_of(factor) || self.unit.is_some();
            let (unit, factor) = if whole { (unit, factor) } else { (UnitChoice::Inner, 1) };
            let meant_for = account.meant_for.clone();
            let goods = Goods { gift: gift.id, line: line.number, unit, meant_for };
            match piles.iter_mut().find(|pile| pile.goods == goods) {
                Some(pile) => pile.there += quantity / pile.factor,
                None => {
                    let (item, there) = (line.item.clone(), quantity / factor);
                    piles.push(Pile { item, goods, factor, there });
                }
            }
        }
        Ok(piles)
    }

    /// The unit that quantities are in; none where this book is not asked for.
    fn unit_of(
        &self,
        gift: &Gift,
        line: &Line,
        book: Book,
    ) -> Result<Option<(UnitChoice, u64)>, Failure> {
        let loose = gift.loose_units.get(&line.number);
        let Some(unit) = &self.unit else {
            return Ok(Some(match book {
                Book::Loose => (UnitChoice::Loose, 1),
                Book::Smallest => (UnitChoice::Stated, line.content()),
            }));
        };
        if *unit == line.unit {
            return Ok((book == Book::Smallest).then_some((UnitChoice::Stated, line.content())));
        }
        if line.pack.as_ref().is_some_and(|pack| pack.unit == *unit) {
            return Ok((book == Book::Smallest).then_some((UnitChoice::Inner, 1)));
        }
        if loose == Some(unit) {
            return Ok((book == Book::Loose).then_some((UnitChoice::Loose, 1)));
        }
        // Another line of the item may know it.
        if self.item.is_some() {
            return Ok(None);
        }
        Err(Failure::from(Code::UnitUnknown).with("expected", &line.unit).with("found", unit))
    }
}

/// The items of which there is anything, each with its unit.
fn there(stock: &Stock) -> BTreeSet<String> {
    let item = |gift: &Gift, account: &Account| {
        let line = gift.donation.line(account.line)?;
        let loose = gift.loose_units.get(&line.number).filter(|_| account.book == Book::Loose);
        Some(format!("{} ({})", line.item, loose.unwrap_or(&line.unit)))
    };
    let of = |gift: Arc<Gift>| -> Vec<String> {
        let here = gift
            .accounts
            .iter()
            .filter(|(account, quantity)| *quantity > 0 && (stock.place)(&gift, account));
        here.filter_map(|(account, _)| item(&gift, account)).collect()
    };
    stock.state.gifts.iter().flat_map(of).collect()
}

/// The line's unit in which a portion is counted, for people.
pub fn unit_name(gift: &Gift, line: &Line, unit: UnitChoice) -> String {
    match unit {
        UnitChoice::Stated => line.unit.to_string(),
        UnitChoice::Inner => line.smallest_unit().to_string(),
        UnitChoice::Loose => {
            gift.loose_units.get(&line.number).map(Text::to_string).unwrap_or_default()
        }
    }
}

/// What stands on an account as a quantity that people would say: whole packs where it can be.
pub fn spoken(line: &Line, book: Book, quantity: u64) -> (UnitChoice, u64) {
    let content = line.content();
    match book {
        Book::Loose => (UnitChoice::Loose, quantity),
        Book::Smallest if quantity.is_multiple_of(content) => {
            (UnitChoice::Stated, quantity / content)
        }
        Book::Smallest => (UnitChoice::Inner, quantity),
    }
}

fn known(stock: &Stock, of: &GiftLine) -> Result<Arc<Gift>, Failure> {
    let gift = stock.state.gift_by_id(&of.gift);
    gift.ok_or_else(|| Failure::from(Code::GiftUnknown).with("found", of.gift))
}

fn line_of(gift: &Gift, number: u16) -> Result<&Line, Failure> {
    let unknown = || Failure::from(Code::LineUnknown).with("found", number);
    gift.donation.line(number).ok_or_else(unknown)
}

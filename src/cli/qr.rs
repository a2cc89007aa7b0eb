//! A gift's id as a QR code, for slips of paper: on a terminal, or as an SVG image.

use anstyle::AnsiColor;
use qrcode::render::{svg, unicode::Dense1x2};
use qrcode::{EcLevel, QrCode};

use super::phrases::styled;
use crate::model::ident::GiftId;

/// The QR code of a gift's id, in upper case: so it takes the mode for digits and capitals, and is
/// smaller. Every reader of ids accepts that (spec section 2.4).
fn code(gift: &GiftId) -> QrCode {
    let id = gift.to_string().to_ascii_uppercase();
    QrCode::with_error_correction_level(id, EcLevel::M).expect("an id is far below what fits")
}

/// For a terminal: two squares in a character. The light ones are drawn, so that it also reads on
/// a dark terminal without colours.
pub fn terminal(gift: &GiftId) -> String {
    let drawn = code(gift)
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    let style = AnsiColor::BrightWhite.on(AnsiColor::Black);
    drawn.lines().map(|line| styled(style, line) + "\n").collect()
}

/// An image of some 300 pixels, which prints at any size.
pub fn image(gift: &GiftId) -> String {
    code(gift).render::<svg::Color>().build()
}

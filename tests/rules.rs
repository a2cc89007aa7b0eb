//! The rules, walked through with whole journeys and single mistakes.

use giftproof::model::event::*;

use crate::util::*;

/// Walk-in to pooled stock to headquarters' order to hospital.
#[test]
fn a_recorded_gift_goes_from_pooled_stock_to_a_hospital() {
    let mut world = World::new();
    let donation = recorded("red-cross", vec![line(1, "N95口罩", 500, "个", &[])]);
    let gift = world.accept(world.draft(donation, &[(Capacity::Taker, "red-cross")]));
    let order = Order {
        number: text("HQ-7"),
        holder: handle("red-cross"),
        item: text("N95口罩"),
        unit: text("个"),
        quantity: 300,
        recipient: handle("hospital-a"),
    };
    let order = world.accept(world.draft(order, &[(Capacity::Coordinator, "headquarters")]));
    let designation = |quantity| Designation {
        holder: handle("red-cross"),
        order: Some(order),
        decided_by: text("headquarters"),
        decision: text("HQ-7"),
        consent: Consent::NotNeeded,
        assignments: giftproof::model::encoding::List::new(vec![Assignment {
            goods: goods(gift, 1, None),
            recipient: handle("hospital-a"),
            quantity,
        }])
        .unwrap(),
    };
    let by_holder = [(Capacity::Holder, "red-cross")];
    assert_eq!(world.refuse(world.draft(designation(301), &by_holder)), "designation/order");
    world.accept(world.draft(designation(300), &by_holder));
    let id = shipment("red-cross", "S-1");
    let sent = portions(&[(gift, 1, Some("hospital-a"), 300)]);
    let statement = dispatch(id.clone(), "hospital-a", Purpose::Issue, sent);
    world.accept(world.draft(statement, &by_holder));
    let arrived = vec![arrival(goods(gift, 1, Some("hospital-a")), [290, 0, 4, 1, 0])];
    let statement = receipt(id, true, arrived);
    world.accept(world.draft(statement, &[(Capacity::Taker, "hospital-a")]));
    let expected = [
        ("hospital-a damaged", 4),
        ("hospital-a good", 290),
        ("red-cross good", 201),
        ("unaccounted red-cross", 5),
    ];
    let expected = expected.map(|(place, quantity)| (place.to_owned(), quantity)).into();
    assert_eq!(places(&world, gift), expected);
}

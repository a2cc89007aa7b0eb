// Random logs, half sensible and half wrong: their entries are refused under many codes, and
// whatever is accepted goes on. The same seed makes the same log.

import { Forge, keyOf } from './forge.mjs';

const ENTRIES = 60;
const ORIGIN = 'ledger.example/random';

/** Numbers that follow from a seed (mulberry32). */
export class Dice {
  constructor(seed) {
    this.state = seed >>> 0;
  }

  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(count) {
    return Math.floor(this.next() * count);
  }

  chance(percent) {
    return this.below(100) < percent;
  }

  of(items) {
    return items[this.below(items.length)];
  }
}

const PARTIES = {
  'red-cross': ['charity'],
  'warehouse': ['warehouse', 'carrier'],
  'hospital-a': ['recipient'],
  'hospital-b': ['recipient', 'donor'],
  'tent': ['recipient'],
  'carrier-c': ['carrier'],
  'donor-d': ['donor'],
  'donor-e': ['donor', 'charity'],
  'headquarters': ['coordinator'],
  'maker-m': ['maker'],
};
const PROVISIONAL = new Set(['tent']);
const RECIPIENTS = ['hospital-a', 'hospital-b', 'tent'];
const KEEPERS = ['red-cross', 'warehouse', 'hospital-a', 'hospital-b', 'tent', 'donor-e'];
const ANY = Object.keys(PARTIES);

const identity = (handle) => ({ handle, name: '', key: keyOf(handle).hex });
const particulars = (name) => ({ name, identifier: '', place: '' });

/** One random log, entry by entry. */
export class Story {
  /** In a clean story what would be refused is taken back. */
  constructor(seed, clean = false, length = ENTRIES) {
    this.length = length;
    this.clean = clean;
    this.dice = new Dice(seed);
    this.forge = new Forge(ORIGIN);
    this.names = 0;
    /** In every other log there are seals, with this weight among the events. */
    this.seals = this.dice.chance(50) ? 8 : 0;
    /** In one of ten logs there are events of unknown kinds, in percent. */
    this.unknown = this.dice.chance(10) ? 2 : 0;
    this.keys = Object.fromEntries(ANY.map((handle) => [handle, [handle]]));
  }

  get state() {
    return this.forge.replay.state;
  }

  async write() {
    const { dice } = this;
    await this.found();
    while (this.forge.entries.length < this.length) {
      if (dice.chance(20)) this.forge.recordedAt += BigInt(dice.below(20 * 86_400_000));
      const events = [
        [this.donation, 12],
        [this.withdrawal, 3],
        [this.takeOver, 2],
        [this.order, 2],
        [this.designation, 10],
        [this.dispatch, 18],
        [this.delivery, 5],
        [this.receipt, 22],
        [this.byHand, 8],
        [this.count, 14],
        [this.use, 4],
        [this.disposal, 5],
        [this.hold, 3],
        [this.release, 2],
        [this.dispute, 3],
        [this.answer, 3],
        [this.correction, 18],
        [this.recall, 2],
        [this.attestation, 4],
        [this.party, 4],
        [this.seal, this.seals],
      ];
      let at = dice.below(events.reduce((sum, [, weight]) => sum + weight, 0));
      const [event] = events.find(([, weight]) => (at -= weight) < 0);
      await event.call(this);
    }
    return this.forge.vector('operator');
  }

  async seal() {
    await this.forge.seal('operator');
  }

  async found() {
    const registrars = ['registrar-1', 'registrar-2', 'registrar-3'];
    const rules = {
      offsetMinutes: 480,
      inclusionSeconds: 0,
      sealEntries: this.seals > 0 ? this.dice.of([0, 20]) : 0,
      sealSeconds: this.seals > 0 ? this.dice.of([0, 5_000_000]) : 0,
      clocks: [
        { kind: 'disclosure', days: 5, basis: '' },
        { kind: 'filing', days: 3, basis: '' },
        { kind: 'receipt', days: 10, basis: '' },
        { kind: 'report', days: 90, basis: '' },
      ],
    };
    await this.forge.add(
      'ledger-created',
      {
        origin: ORIGIN,
        operator: identity('operator'),
        registrars: registrars.map(identity),
        threshold: 2,
        rules,
      },
      [
        { capacity: 'operator', party: 'operator', name: 'operator' },
        ...registrars.map((name) => ({ capacity: 'registrar', party: name, name })),
      ],
    );
    for (const [handle, roles] of Object.entries(PARTIES)) {
      const vouching = PROVISIONAL.has(handle) ? ['registrar-1'] : ['registrar-1', 'registrar-2'];
      await this.forge.add(
        'party-enrolled',
        {
          handle,
          kind: 'organisation',
          roles,
          particulars: particulars(handle),
          key: keyOf(handle).hex,
        },
        [...vouching.map((name) => this.as('registrar', name)), this.as('new-key', handle)],
      );
    }
  }

  // Signers, sometimes wrong ones

  as(capacity, party, name = party) {
    return { capacity, party, name };
  }

  by(capacity, party) {
    return this.as(capacity, party, this.dice.of(this.keys[party] ?? [party]));
  }

  registrars(count) {
    return ['registrar-1', 'registrar-2', 'registrar-3']
      .slice(0, count)
      .map((name) => this.as('registrar', name));
  }

  async add(name, statement, signers, head = {}) {
    const { dice } = this;
    let signing = signers;
    if (dice.chance(3)) signing = signing.slice(1);
    if (dice.chance(2)) signing = [...signing, this.by('taker', dice.of(ANY))];
    if (dice.chance(1)) signing = [...signing, this.as('donor', null, 'stranger')];
    const unique = new Map(signing.map((signer) => [signer.name, signer]));
    if (unique.size === 0) unique.set('stranger', this.as('holder', 'red-cross', 'red-cross'));
    const occurredOn = dice.chance(60)
      ? Number(this.forge.recordedAt / 86_400_000n) - dice.below(12)
      : null;
    const { entries } = this.forge;
    if (!this.clean && dice.chance(1) && entries.length > 12) {
      await this.forge.append(this.frameOf(dice.of(entries.slice(12))));
    }
    if (!this.clean && dice.chance(this.unknown)) await this.addUnknown();
    const anchor = dice.chance(20) ? this.anchor() : null;
    const added = await this.forge.add(
      name,
      statement,
      [...unique.values()],
      { occurredOn, anchor, ...head },
      !this.clean && dice.chance(4) ? this.tamper() : {},
    );
    if (this.clean && added.failure) await this.forge.undo();
    return added;
  }

  /** The frame of an entry: what follows its links. */
  frameOf(entry) {
    const links = entry.readUInt16BE(48);
    let at = 50;
    for (let i = 0; i < links; i++) at += entry[at + 36] === 1 ? 77 : 37;
    return entry.subarray(at);
  }

  anchor() {
    const { leaves } = this.forge.replay;
    const index = this.dice.below(leaves.length + (this.dice.chance(5) ? 2 : 0));
    return { index, leaf: this.dice.chance(95) ? (leaves[index] ?? leaves[0]) : leaves[0] };
  }

  /** One wrong thing about an entry. */
  tamper() {
    const { dice } = this;
    const flip = (bytes) => {
      const changed = Buffer.from(bytes);
      changed[dice.below(changed.length)] ^= 1 << dice.below(8);
      return changed;
    };
    return dice.of([
      { index: (index) => index + 1 },
      { previous: () => '11'.repeat(32) },
      { recordedAt: (moment) => moment - BigInt(dice.below(3_000_000_000)) },
      { recordedAt: (moment) => moment + BigInt(dice.below(3_000_000_000)) },
      { links: (links) => links.slice(1) },
      { links: (links) => links.map((link) => ({ ...link, number: link.number + 1 })) },
      { frame: flip },
      { frame: flip },
      { bytes: flip },
      { bytes: (bytes) => bytes.subarray(0, dice.below(bytes.length)) },
      { bytes: (bytes) => Buffer.concat([bytes, Buffer.from([0])]) },
    ]);
  }

  async addUnknown() {
    const { dice } = this;
    const gifts = [...this.state.gifts.values()].map(({ subject }) => subject);
    const subjects = dice.chance(60) && gifts.length > 0 ? [dice.of(gifts)] : [];
    const [kind, version] = dice.of([
      [999, 1],
      [37, 2],
      [1, 2],
      [9, 7],
    ]);
    await this.forge.addUnknown(
      kind,
      version,
      Buffer.from('not known'),
      this.as('holder', 'red-cross'),
      subjects,
    );
  }

  // What there is

  gift() {
    const gifts = [...this.state.gifts.values()];
    return gifts.length > 0 ? this.dice.of(gifts) : null;
  }

  quantity(most) {
    const { dice } = this;
    if (dice.chance(3)) return most + 1n;
    if (dice.chance(30) || most <= 1n) return most > 0n ? most : 1n;
    return 1n + BigInt(dice.below(Number(most < 1000n ? most : 1000n)));
  }

  /** Up to `count` goods at places that `wanted` accepts: { goods, quantity, place }. */
  some(wanted, count = 3) {
    const { dice } = this;
    const found = [];
    for (const gift of this.state.gifts.values()) {
      for (const { line, book, meantFor, place, marks } of gift.eachAccount()) {
        const total = marks.reduce((sum, each) => sum + each, 0n);
        if (!wanted(place) || (total === 0n && place[0] !== 'moving')) continue;
        const { pack } = gift.lines.get(line) ?? {};
        const whole = pack && total % pack.content === 0n && dice.chance(60);
        const unit = book === 'loose' ? 'loose' : whole || !pack ? 'stated' : 'inner';
        const most = whole ? total / pack.content : total;
        found.push({ goods: { gift: gift.hash, line, unit, meantFor }, most, place });
      }
    }
    const chosen = [];
    while (found.length > 0 && chosen.length < 1 + dice.below(count)) {
      const [item] = found.splice(dice.below(found.length), 1);
      if (dice.chance(1)) item.goods.line += 1;
      if (dice.chance(1)) item.goods.unit = dice.of(['stated', 'inner', 'loose']);
      if (dice.chance(2)) item.goods.meantFor = dice.of([null, ...RECIPIENTS]);
      const { gift, line, unit, meantFor } = item.goods;
      const key = JSON.stringify([gift, line, unit, meantFor]);
      if (!chosen.some((each) => each.key === key)) {
        chosen.push({ ...item, key, quantity: this.quantity(item.most) });
      }
    }
    return chosen;
  }

  portions(chosen) {
    return chosen.map(({ goods, quantity }) => ({ goods, quantity }));
  }

  holders(condition) {
    const holders = new Set();
    for (const gift of this.state.gifts.values()) {
      for (const { place } of gift.eachAccount()) {
        if (place[0] === 'rest' && place[2] === condition) holders.add(place[1]);
      }
    }
    return holders.size > 0 ? this.dice.of([...holders]) : this.dice.of(KEEPERS);
  }

  // Events

  line(number) {
    const { dice } = this;
    const quantity = BigInt(1 + dice.below(40));
    const shares = [];
    let rest = quantity;
    for (const recipient of RECIPIENTS) {
      if (rest === 0n || !dice.chance(30)) continue;
      const share = 1n + BigInt(dice.below(Number(rest)));
      shares.push({ recipient: dice.chance(2) ? 'red-cross' : recipient, quantity: share });
      rest -= share;
    }
    const unique = new Map(shares.map((share) => [share.recipient, share]));
    return {
      number,
      item: dice.of(['mask', 'gown']),
      category: '',
      unit: 'box',
      pack: dice.chance(30) ? { content: BigInt(2 + dice.below(9)), unit: 'piece' } : null,
      quantity,
      shares: [...unique.values()],
      lots: dice.chance(20) ? [{ number: 'L-1', expiresOn: null }] : [],
      maker: '',
      productCode: '',
      registration: '',
      standard: '',
      serials: [],
      storage: '',
      specification: '',
      value: null,
    };
  }

  donor(taker) {
    const { dice } = this;
    const kind = dice.of(['enrolled', 'enrolled', 'one-time-key', 'slip', 'recorded']);
    this.names += 1;
    const name = `gift-key-${this.names}`;
    const donors = ['donor-d', 'donor-d', 'hospital-b', 'donor-e', 'warehouse'];
    const party =
      {
        enrolled: dice.of(donors.filter((each) => each !== taker)),
        slip: dice.of(['red-cross', 'warehouse']),
      }[kind] ?? null;
    const key = kind === 'slip' || kind === 'one-time-key' ? keyOf(name).hex : null;
    return { donor: { kind, party, key, name: '' }, name };
  }

  async donation() {
    const { dice } = this;
    const taker = dice.of([...KEEPERS, 'red-cross', 'warehouse']);
    const { donor, name } = this.donor(taker);
    const signers = [];
    if (donor.kind === 'enrolled') signers.push(this.by('donor', donor.party));
    else if (donor.key) signers.push(this.as('donor', null, name));
    if (donor.kind !== 'enrolled' || dice.chance(40)) signers.push(this.by('taker', taker));
    const lines = Array.from({ length: 1 + dice.below(2) }, (_, i) => this.line(i + 1));
    const historic = dice.chance(10);
    const { hash } = await this.add(
      'donation',
      {
        donor,
        mark: null,
        taker: donor.kind === 'enrolled' && dice.chance(30) ? null : taker,
        lines,
        standingConsent: dice.chance(40),
        purpose: '',
        channel: '',
        campaign: dice.chance(30) ? 'C-1' : '',
        part: null,
        deadline: dice.chance(30)
          ? Number(this.forge.recordedAt / 86_400_000n) + dice.below(60)
          : null,
        historic,
        restates: dice.chance(5) ? 'list of January' : '',
        commitments: [],
      },
      signers,
    );
    this.giftKeys ??= new Map();
    this.giftKeys.set(hash, name);
  }

  async withdrawal() {
    const chosen = this.some(([sort]) => sort === 'announced' || this.dice.chance(2));
    if (chosen.length === 0) return;
    const gift = this.state.gifts.get(chosen[0].goods.gift);
    const taker = gift?.donation.taker;
    const signer =
      taker && this.dice.chance(50)
        ? this.by('taker', taker)
        : this.by('donor', gift?.donor.party ?? 'donor-d');
    await this.add('withdrawal', { portions: this.portions(chosen) }, [signer]);
  }

  async takeOver() {
    const gift = this.gift();
    if (!gift || (gift.donor.kind !== 'slip' && this.dice.chance(80))) return;
    const slip = this.as('donor', null, this.giftKeys.get(gift.hash));
    const { donor, name } = this.donor(null);
    const signer =
      donor.kind === 'enrolled' ? this.by('self', donor.party) : this.as('new-key', null, name);
    const { failure } = await this.add('gift-taken-over', { gift: gift.hash, donor }, [
      slip,
      signer,
    ]);
    if (!failure && donor.key) this.giftKeys.set(gift.hash, name);
  }

  async order() {
    const { dice } = this;
    await this.add(
      'order',
      {
        number: '',
        holder: dice.of(KEEPERS),
        item: dice.of(['mask', 'gown']),
        unit: 'box',
        quantity: BigInt(1 + dice.below(30)),
        recipient: dice.of(RECIPIENTS),
      },
      [this.by('coordinator', 'headquarters')],
    );
  }

  async designation() {
    const { dice } = this;
    const orders = [...this.state.orders];
    const order = orders.length > 0 && dice.chance(40) ? dice.of(orders) : null;
    const announced = dice.chance(30);
    const holder =
      order && dice.chance(90) ? order[1].holder : announced ? 'donor-d' : this.holders('good');
    const recipient = order && dice.chance(95) ? order[1].recipient : dice.of(RECIPIENTS);
    let chosen = this.some(
      ([sort, who, what]) =>
        (sort === 'rest' && who === holder && what === 'good') ||
        (announced && sort === 'announced'),
    );
    if (order && dice.chance(90)) chosen = chosen.filter(({ goods }) => goods.meantFor === null);
    chosen = chosen.filter(({ goods }) => goods.meantFor !== recipient);
    if (chosen.length === 0) return;
    const consent = dice.of(['none', 'none', 'signed', 'standing', 'paper', 'not-needed']);
    const signers = [
      dice.chance(70) ? this.by('holder', holder) : this.by('coordinator', 'headquarters'),
    ];
    if (consent === 'signed') {
      const gift = this.state.gifts.get(chosen[0].goods.gift);
      if (gift?.donor.key) signers.push(this.as('donor', null, this.giftKeys.get(gift.hash)));
      else if (gift?.donor.party) signers.push(this.by('donor', gift.donor.party));
    }
    const documents =
      consent === 'paper' && dice.chance(80)
        ? [{ kind: 'consent', number: '', digest: '11'.repeat(32) }]
        : [];
    await this.add(
      'designation',
      {
        holder,
        order: order ? order[0] : null,
        decidedBy: '',
        decision: '',
        consent,
        assignments: chosen.map(({ goods, quantity }) => ({ goods, quantity, recipient })),
      },
      signers,
      { documents },
    );
  }

  async dispatch() {
    const { dice } = this;
    const giver = dice.chance(25)
      ? dice.of(['donor-d', 'hospital-b', 'donor-e'])
      : this.holders('good');
    const chosen = this.some(
      ([sort, who, what]) =>
        (sort === 'rest' && who === giver && what === 'good') || sort === 'announced',
    );
    if (chosen.length === 0) return;
    const meant = chosen[0].goods.meantFor;
    const taker =
      meant && meant !== giver && dice.chance(60)
        ? meant
        : dice.of(KEEPERS.filter((each) => each !== giver));
    const carriers = ['carrier-c', 'warehouse'].filter((each) => each !== giver && each !== taker);
    const carrier = dice.chance(40) ? dice.of(carriers) : null;
    const signers = [this.by('holder', giver)];
    if (carrier && dice.chance(60)) signers.push(this.by('carrier', carrier));
    await this.add(
      'dispatch',
      {
        shipment: { sender: giver, number: `S-${dice.below(4)}` },
        taker,
        purpose: dice.of(['issue', 'issue', 'transfer', 'return', 'loan']),
        carrier,
        carrierName: '',
        waybill: '',
        packageCount: null,
        packages: [],
        expectedOn: null,
        portions: this.portions(chosen),
      },
      signers,
    );
  }

  shipment() {
    const shipments = [...this.state.shipments.values()];
    return shipments.length > 0 ? this.dice.of(shipments) : null;
  }

  async delivery() {
    const shipment = this.shipment();
    if (!shipment) return;
    const { sender, number, carrier } = shipment;
    const signer =
      carrier && this.dice.chance(60) ? this.by('carrier', carrier) : this.by('holder', sender);
    await this.add('delivery', { shipment: { sender, number }, place: '', waybill: '', time: '' }, [
      signer,
    ]);
  }

  /** A quantity in parts, by name. */
  split(quantity, names) {
    const parts = Object.fromEntries(names.map((name) => [name, 0n]));
    let rest = quantity;
    while (rest > 0n) {
      const part = this.dice.chance(50) ? rest : 1n + BigInt(this.dice.below(Number(rest)));
      parts[this.dice.of(names)] += part;
      rest -= part;
    }
    return parts;
  }

  arrival({ goods, quantity }, closing) {
    const { dice } = this;
    const nothing = { accepted: 0n, pending: 0n, damaged: 0n, rejected: 0n, surplus: 0n };
    const names = dice.chance(50) ? ['accepted'] : ['accepted', 'pending', 'damaged', 'rejected'];
    const parts = closing && dice.chance(20) ? {} : this.split(quantity, names);
    const surplus = dice.chance(10) ? BigInt(1 + dice.below(3)) : 0n;
    const actual = dice.chance(10) ? { item: 'gown', lot: 'L-1', expiresOn: null } : null;
    return { goods, ...nothing, ...parts, surplus, actual };
  }

  async receipt() {
    const { dice } = this;
    const shipment = this.shipment();
    if (!shipment) return;
    const { sender, number } = dice.chance(3) ? { sender: 'red-cross', number: 'S-99' } : shipment;
    const taker = dice.chance(4) ? dice.of(KEEPERS) : shipment.taker;
    const chosen = this.some(
      (place) => place[0] === 'moving' && place[1] === sender && place[2] === number,
      4,
    ).filter(({ most, quantity }) => (most > 0n && quantity > 0n) || dice.chance(20));
    if (chosen.length === 0) return;
    const closing = dice.chance(30);
    await this.add(
      'receipt',
      {
        shipment: { sender, number },
        giver: null,
        purpose: null,
        closing,
        packageCount: null,
        temperature: '',
        arrivals: chosen.map((each) => this.arrival(each, closing)),
      },
      [this.by('taker', taker)],
    );
  }

  async byHand() {
    const { dice } = this;
    const giver = dice.chance(30) ? dice.of(['donor-d', 'hospital-b']) : this.holders('good');
    const taker = dice.of(KEEPERS.filter((each) => each !== giver || dice.chance(5)));
    const chosen = this.some(
      ([sort, who, what]) =>
        (sort === 'rest' && who === giver && what === 'good') ||
        (sort === 'announced' && dice.chance(50)),
    );
    if (chosen.length === 0) return;
    await this.add(
      'receipt',
      {
        shipment: null,
        giver,
        purpose: dice.of(['issue', 'transfer', 'return', 'loan']),
        closing: false,
        packageCount: null,
        temperature: '',
        arrivals: chosen.map((each) => this.arrival(each, false)),
      },
      [this.by('taker', taker), this.by('holder', giver)],
    );
  }

  async count() {
    const { dice } = this;
    const holder = this.holders('good');
    const chosen = this.some(
      (place) =>
        (place[0] === 'rest' && place[1] === holder && place[2] === 'good') ||
        (place[0] === 'inspected' && place[1] === holder) ||
        (place[0] === 'unaccounted' && (place[1] === holder || place[2] === holder)),
    );
    if (chosen.length === 0) return;
    const nothing = {
      opened: 0n,
      loose: 0n,
      passed: 0n,
      failed: 0n,
      shortage: 0n,
      surplus: 0n,
      found: 0n,
    };
    const findings = chosen.map(({ goods, quantity, place }) => {
      if (dice.chance(8)) return { goods, ...nothing, surplus: quantity };
      if (place[0] === 'inspected')
        return { goods, ...nothing, ...this.split(quantity, ['passed', 'failed']) };
      if (place[0] === 'unaccounted') return { goods, ...nothing, found: quantity };
      if (dice.chance(40)) return { goods, ...nothing, shortage: quantity };
      return { goods, ...nothing, opened: quantity, loose: quantity * BigInt(dice.below(20)) };
    });
    const looseUnit = dice.of(['piece', 'piece', 'piece', 'box', 'pair']);
    await this.add('count', { looseUnit, findings }, [this.by('holder', holder)]);
  }

  async use() {
    const holder = this.holders('good');
    const chosen = this.some(
      ([sort, who, what]) => sort === 'rest' && who === holder && what === 'good',
    );
    if (chosen.length === 0) return;
    await this.add('use', { ward: '', purpose: '', portions: this.portions(chosen) }, [
      this.by('holder', holder),
    ]);
  }

  async disposal() {
    const { dice } = this;
    const condition = dice.of(['good', 'good', 'pending', 'damaged', 'on-hold']);
    const holder = this.holders(condition === 'pending' ? 'good' : condition);
    const chosen = this.some(([sort, who, what]) =>
      condition === 'pending'
        ? sort === 'inspected' && who === holder
        : sort === 'rest' && who === holder && what === condition,
    );
    if (chosen.length === 0) return;
    const fate = dice.of(['lost', 'destroyed', 'expired', 'sold', 'lent']);
    await this.add(
      'disposal',
      { fate, condition, to: '', proceeds: null, portions: this.portions(chosen) },
      [this.by('holder', holder)],
    );
  }

  async hold() {
    const holder = this.holders('good');
    const chosen = this.some(
      ([sort, who, what]) => sort === 'rest' && who === holder && what === 'good',
    );
    if (chosen.length === 0) return;
    await this.add(
      'hold',
      { cause: 'quarantine', authority: '', portions: this.portions(chosen) },
      [this.by('holder', holder)],
    );
  }

  async release() {
    const holder = this.holders('on-hold');
    const chosen = this.some(
      ([sort, who, what]) => sort === 'rest' && who === holder && what === 'on-hold',
    );
    if (chosen.length === 0) return;
    await this.add('release', { portions: this.portions(chosen) }, [this.by('holder', holder)]);
  }

  /** The gift's own key, a party of its journey (or not), or a registrar. */
  speaker(gift) {
    const { dice } = this;
    if (gift.donor.key && dice.chance(50))
      return [this.as('donor', null, this.giftKeys.get(gift.hash))];
    if (dice.chance(15)) return this.registrars(dice.chance(80) ? 1 : 2);
    const journey = [...gift.journey];
    return [
      this.by('speaker', dice.chance(85) && journey.length > 0 ? dice.of(journey) : dice.of(ANY)),
    ];
  }

  async dispute() {
    const gift = this.gift();
    if (!gift) return;
    const claim = this.dice.of(['not-received', 'quantity', 'item', 'other']);
    await this.add('dispute', { gift: gift.hash, claim, text: '' }, this.speaker(gift));
  }

  async answer() {
    const gifts = [...this.state.gifts.values()].filter(({ disputes }) => disputes.size > 0);
    if (gifts.length === 0) return;
    const gift = this.dice.of(gifts);
    const dispute = this.dice.of([...gift.disputes.keys()]);
    const name = this.dice.of(['answer', 'dispute-closed']);
    await this.add(name, { gift: gift.hash, dispute, text: '' }, this.speaker(gift));
  }

  async correction() {
    const { dice } = this;
    const kinds = ['donation', 'dispatch', 'delivery', 'receipt', 'count', 'use', 'disposal'];
    const records = [...this.state.records.values()].filter(({ name }) => kinds.includes(name));
    if (records.length === 0) return;
    const target = dice.of(records);
    const now = this.state.held(target) ?? target.statement;
    const replacement = dice.chance(25) ? null : this.changed(target.name, structuredClone(now));
    let signers = target.head.signers.map(({ capacity, party, key }) => ({
      capacity,
      party,
      name: party ? dice.of(this.keys[party] ?? [party]) : this.nameOf(key, target.hash),
    }));
    const gift = this.state.gifts.get(target.hash);
    if (
      gift &&
      gift.donor.kind === 'enrolled' &&
      gift.donation.donor.kind === 'slip' &&
      dice.chance(90)
    ) {
      signers = signers.map((signer) =>
        signer.party ? signer : this.by('donor', gift.donor.party),
      );
    }
    await this.add(
      'correction',
      {
        targetIndex: dice.chance(2) ? target.index + 1 : target.index,
        target: target.hash,
        kind: target.name,
        replacement,
      },
      signers,
      { reason: { code: 'typing', text: '' } },
    );
  }

  nameOf(key, hash) {
    return this.dice.chance(90) ? (this.giftKeys.get(hash) ?? 'stranger') : 'stranger';
  }

  changed(name, statement) {
    const { dice } = this;
    const nudge = (value) => {
      const moved = value + BigInt(dice.below(5) - 2);
      return moved > 0n ? moved : 1n;
    };
    const items = statement.portions ?? statement.arrivals ?? statement.findings;
    if (items) {
      if (dice.chance(20) && items.length > 1) items.splice(dice.below(items.length), 1);
      if (dice.chance(20)) {
        const extra = this.some(() => true, 1)[0];
        const same = (each) => JSON.stringify(each.goods) === JSON.stringify(extra.goods);
        if (extra && !items.some(same)) items.push({ ...items[0], goods: extra.goods });
      }
      const item = dice.of(items);
      for (const [field, value] of Object.entries(item)) {
        if (typeof value === 'bigint' && (value > 0n || dice.chance(10)))
          item[field] = nudge(value);
      }
    }
    if (name === 'donation') {
      const line = dice.of(statement.lines);
      if (dice.chance(70)) line.quantity = nudge(line.quantity);
      if (dice.chance(30) && line.shares.length > 0)
        line.shares[0].quantity = nudge(line.shares[0].quantity);
      if (dice.chance(20)) line.item = 'respirator';
      if (dice.chance(10)) line.unit = 'crate';
      if (dice.chance(10)) line.pack = { content: 3n, unit: 'piece' };
      if (dice.chance(10) && statement.lines.length > 1) statement.lines.pop();
      if (dice.chance(5)) statement.historic = !statement.historic;
      const shared = line.shares.reduce((sum, each) => sum + each.quantity, 0n);
      if (shared > line.quantity) line.quantity = shared;
    }
    if (name === 'receipt' && dice.chance(20) && statement.shipment) statement.closing = true;
    if (name === 'receipt') {
      for (const each of statement.arrivals) {
        const total = each.accepted + each.pending + each.damaged + each.rejected + each.surplus;
        if (total === 0n && !statement.closing) each.accepted = 1n;
      }
    }
    if (name === 'count' && statement.looseUnit === '') statement.looseUnit = 'piece';
    if (name === 'dispatch' && dice.chance(10)) statement.carrierName = 'a lorry';
    return statement;
  }

  async recall() {
    const { dice } = this;
    const open = [...this.state.recalls].filter(([, recall]) => recall.open);
    if (open.length > 0 && dice.chance(50)) {
      const [recall, { item, lot, by }] = dice.of(open);
      const [sort, handle] = by.split(' ');
      const signers =
        sort === 'party' ? [this.by('speaker', handle)] : this.registrars(1 + dice.below(2));
      await this.add('recall-lifted', { recall, item, lot }, signers);
      return;
    }
    const signers = dice.chance(60) ? [this.by('speaker', 'maker-m')] : this.registrars(1);
    const lot = dice.of(['', 'L-1', 'L-2']);
    await this.add(
      'recall',
      { item: dice.of(['mask', 'gown']), lot, number: '', text: '' },
      signers,
    );
  }

  async attestation() {
    const { dice } = this;
    const chosen = dice.chance(80) ? this.some(() => true) : [];
    const shipment = this.shipment();
    await this.add(
      'attestation',
      {
        evidence: dice.of(['paper-receipt', 'paper-receipt', 'photo', 'report']),
        text: '',
        url: '',
        from: null,
        until: null,
        heldBy: dice.chance(30) ? dice.of(ANY) : null,
        recipientName: '',
        shipment:
          shipment && dice.chance(30) ? { sender: shipment.sender, number: shipment.number } : null,
        goods: this.portions(chosen),
        listed: [],
      },
      [this.by('speaker', dice.of(ANY))],
    );
  }

  async party() {
    const { dice } = this;
    const handle = dice.of(ANY);
    this.names += 1;
    const name = `${handle}-${this.names}`;
    const key = keyOf(name).hex;
    const mine = this.keys[handle];
    const old = dice.of(mine);
    switch (dice.below(5)) {
      case 0: {
        const self = dice.chance(50) ? [this.as('self', handle, old)] : this.registrars(2);
        const { failure } = await this.add('key-added', { handle, key }, [
          this.as('new-key', handle, name),
          ...self,
        ]);
        if (!failure) mine.push(name);
        break;
      }
      case 1: {
        const self = dice.chance(50) ? [this.as('self', handle, old)] : this.registrars(2);
        const { failure } = await this.add('key-rotated', { handle, oldKey: keyOf(old).hex, key }, [
          this.as('new-key', handle, name),
          ...self,
        ]);
        if (!failure) mine.push(name);
        if (!failure && dice.chance(80)) mine.splice(mine.indexOf(old), 1);
        break;
      }
      case 2: {
        if (mine.length < 2) break;
        const self = dice.chance(50) ? [this.as('self', handle, old)] : this.registrars(2);
        const { failure } = await this.add('key-revoked', { handle, key: keyOf(old).hex }, self);
        if (!failure) mine.splice(mine.indexOf(old), 1);
        break;
      }
      case 3: {
        const self = dice.chance(50) ? [this.as('self', handle, old)] : this.registrars(2);
        const since = Number(this.forge.recordedAt / 86_400_000n) - dice.below(40);
        await this.add('key-compromised', { handle, key: keyOf(old).hex, since }, self);
        break;
      }
      default:
        await this.add(
          'party-updated',
          { handle, particulars: particulars(dice.chance(50) ? handle : name), successor: null },
          this.registrars(dice.chance(90) ? 2 : 1),
        );
    }
  }
}

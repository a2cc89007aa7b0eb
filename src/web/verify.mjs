// A second, independent verifier of giftproof ledgers, written from ledger-spec.md alone.
//
// One plain ECMAScript module for Node (20 or later) and for browsers. It works out again
// whatever can be worked out from the bytes of a log: encoding, signatures, chain, links,
// authority, accounts, verdicts, tree, checkpoint and trust. It has no clock and no network.
//
// What it exports never throws for bad data: it answers with the codes of section 12.
//
//   auditBundle(bytes, trustText)    the audit of a bundle in zip form      (sections 11, 13)
//   auditFiles(getFile, trustText)   the audit of a log in files            (sections 10.3, 11)
//   verifyProof(bytes, trustText)    a proof file                           (section 17)
//   readValue, readTyped, checkPublicKey, checkSignature: single rules, for test vectors
//
// "Section" always means a section of ledger-spec.md. Hashes, keys and nonces are kept as
// lower-case hex, quantities and moments as BigInt, indices as Number: no log that can be read
// has 2^53 entries.
//
// The vendored part at the end is @noble/ed25519, under its own licence, which stands there.

// ---------------------------------------------------------------------------------------------
// Refusals

/** Wrong data, by the code of section 12; `detail` is a code of 12.2. Never leaves this module. */
class Refusal extends Error {
  constructor(code, detail, at) {
    super(code);
    this.code = code;
    this.detail = detail;
    this.at = at;
  }
}

const refuse = (code, detail, at) => {
  throw new Refusal(code, detail, at);
};

const demand = (holds, code, at) => {
  if (!holds) refuse(code, undefined, at);
};

/** What `action` gives; where it refuses, the same under `code`, its own code as the detail. */
const under = (code, action) => {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return refuse(code, error.code);
  }
};

// ---------------------------------------------------------------------------------------------
// Bytes, hex, base64

const ZERO_HASH = '00'.repeat(32);
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

const hexOf = (bytes) => {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
};

/** Bytes of hex that this module made or has checked. */
const bytesOf = (hex) => {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
};

const utf8 = (text) => new TextEncoder().encode(text);

/** UTF-8 by RFC 3629, or a refusal under `code`. A byte order mark stays: it is a character. */
const textOf = (bytes, code) => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse(code);
  }
};

const concat = (...parts) => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

const sameBytes = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

const compareBytes = (a, b) => {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
};

const littleEndian = (bytes) => BigInt(`0x${hexOf(Uint8Array.from(bytes).reverse()) || '0'}`);

/** Plain bytes: a subclass such as Node's Buffer has another idea of `slice`. */
const plain = (bytes) => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const u16 = (value) => Uint8Array.of(value >> 8, value & 255);

const u32 = (value) => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
};

const u64 = (value) => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
};

/** RFC 4648 section 4 with padding, in its one spelling; null for anything else. */
const base64Bytes = (text) => {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const binary = atob(text);
  return btoa(binary) === text ? Uint8Array.from(binary, (c) => c.charCodeAt(0)) : null;
};

// ---------------------------------------------------------------------------------------------
// Section 2: encoding

const QUANTITY_MAX = 1_000_000_000_000_000n;
const FIRST_DAY = -25_567;
const LAST_DAY = 84_370;
const BODY_LEN_MAX = 32_768;
const ENTRY_LEN_MAX = 65_535;

/** A list of codes: names by number. */
const codes = (names) => ({
  name: new Map(Object.entries(names).map(([number, name]) => [Number(number), name])),
  number: new Map(Object.entries(names).map(([number, name]) => [name, Number(number)])),
});

/** Reads the encoding of section 2 from front to back; refuses under the codes of 12.2. */
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  take(count) {
    if (count > this.bytes.length - this.at) refuse('encoding/truncated');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  rest() {
    return this.take(this.bytes.length - this.at);
  }

  end() {
    if (this.at !== this.bytes.length) refuse('encoding/trailing');
  }

  // 2.1 Integers

  u8() {
    return this.take(1)[0];
  }

  u16() {
    this.take(2);
    return this.view.getUint16(this.at - 2);
  }

  u32() {
    this.take(4);
    return this.view.getUint32(this.at - 4);
  }

  u64() {
    this.take(8);
    return this.view.getBigUint64(this.at - 8);
  }

  i16() {
    this.take(2);
    return this.view.getInt16(this.at - 2);
  }

  i32() {
    this.take(4);
    return this.view.getInt32(this.at - 4);
  }

  /** A hash, a digest or a public key. */
  hash() {
    return hexOf(this.take(32));
  }

  // 2.2 Options, booleans, codes

  opt(read) {
    const tag = this.u8();
    if (tag > 1) refuse('encoding/option');
    return tag === 1 ? read(this) : null;
  }

  bool() {
    const byte = this.u8();
    if (byte > 1) refuse('encoding/bool');
    return byte === 1;
  }

  code(list) {
    return list.name.get(this.u8()) ?? refuse('code/unknown');
  }

  // 2.3 Text

  text(limit) {
    const length = this.u16();
    if (length > limit) refuse('text/too-long');
    const text = textOf(this.take(length), 'text/utf-8');
    if (text.startsWith(' ') || text.endsWith(' ')) refuse('text/space');
    for (const character of text) {
      const code = refusedCharacter(character.codePointAt(0));
      if (code) refuse(code);
    }
    return text;
  }

  // 2.4 Identifiers

  handle() {
    const length = this.u16();
    if (length < 3 || length > 64) refuse('handle/malformed');
    const text = String.fromCharCode(...this.take(length));
    if (!/^[a-z0-9-]+$/.test(text)) refuse('handle/malformed');
    return text;
  }

  shipment() {
    const sender = this.handle();
    const number = this.text(40);
    if (number === '') refuse('shipment/malformed');
    return { sender, number };
  }

  // 2.5 Days and moments, 4.7 quantities

  day() {
    const day = this.i32();
    if (day < FIRST_DAY || day > LAST_DAY) refuse('date/out-of-range');
    return day;
  }

  quantity() {
    return quantity(this.u64());
  }

  // 2.6 Lists and blobs

  /** A list of at most `limit` items, strictly increasing by `keyOf(item)`, an array of fields. */
  list(limit, read, keyOf) {
    const count = this.u16();
    if (count > limit) refuse('list/too-long');
    const items = [];
    for (let i = 0; i < count; i++) items.push(read(this));
    for (let i = 1; i < count; i++) {
      const order = compareKeys(keyOf(items[i - 1]), keyOf(items[i]));
      if (order === 0) refuse('list/duplicate');
      if (order > 0) refuse('list/order');
    }
    return items;
  }

  blob(limit) {
    const length = this.u16();
    if (length > limit) refuse('encoding/too-long');
    return this.take(length);
  }
}

const quantity = (value) => {
  if (value === 0n) refuse('quantity/zero');
  if (value > QUANTITY_MAX) refuse('quantity/too-large');
  return value;
};

const REFUSED_CHARACTERS = [
  [
    'text/control',
    [
      [0, 0x1f],
      [0x7f, 0x9f],
      [0x2028, 0x2029],
    ],
  ],
  [
    'text/bidirectional',
    [
      [0x61c, 0x61c],
      [0x200e, 0x200f],
      [0x202a, 0x202e],
      [0x2066, 0x2069],
    ],
  ],
  [
    'text/invisible',
    [
      [0xad, 0xad],
      [0x34f, 0x34f],
      [0x115f, 0x1160],
      [0x17b4, 0x17b5],
      [0x180b, 0x180f],
      [0x200b, 0x200d],
      [0x2060, 0x2065],
      [0x206a, 0x206f],
      [0x3164, 0x3164],
      [0xfe00, 0xfe0f],
      [0xfeff, 0xfeff],
      [0xffa0, 0xffa0],
      [0xfff0, 0xfffb],
      [0x1bca0, 0x1bca3],
      [0x1d173, 0x1d17a],
      [0xe0000, 0xe0fff],
    ],
  ],
];

const refusedCharacter = (point) => {
  if (point >= 0x20 && point < 0x7f) return null;
  for (const [code, ranges] of REFUSED_CHARACTERS) {
    if (ranges.some(([first, last]) => point >= first && point <= last)) return code;
  }
  return null;
};

/** Field by field (2.6): numbers by value, texts by their bytes, an absent value first. */
const compareKeys = (a, b) => {
  for (let i = 0; i < a.length; i++) {
    const order = compareFields(a[i], b[i]);
    if (order !== 0) return order;
  }
  return 0;
};

const compareFields = (a, b) => {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  if (typeof a === 'string') return compareBytes(utf8(a), utf8(b));
  return a < b ? -1 : 1;
};

/** The whole of `bytes` as one value. */
const decode = (bytes, read) => {
  const reader = new Reader(bytes);
  const value = read(reader);
  reader.end();
  return value;
};

// 2.4 Gift ids (bech32m, BIP 350)

const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const BECH32M = 0x2bc830a3;

const bech32Checksum = (values) => {
  const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    generators.forEach((generator, i) => {
      if ((top >>> i) & 1) sum ^= generator;
    });
  }
  return sum;
};

const GIFT_PREFIX = [...'gift']
  .map((c) => c.charCodeAt(0) >> 5)
  .concat(
    0,
    [...'gift'].map((c) => c.charCodeAt(0) & 31),
  );

/** The text form of a gift's id: of the first 20 bytes of its event hash. */
const giftId = (hash) => {
  let bits = '';
  for (const byte of bytesOf(hash.slice(0, 40))) bits += byte.toString(2).padStart(8, '0');
  const values = bits.match(/.{5}/g).map((five) => parseInt(five, 2));
  const checksum = bech32Checksum([...GIFT_PREFIX, ...values, 0, 0, 0, 0, 0, 0]) ^ BECH32M;
  for (let i = 5; i >= 0; i--) values.push((checksum >>> (5 * i)) & 31);
  return `gift1${values.map((value) => BECH32[value]).join('')}`;
};

/** The 20 bytes of a typed id, in hex. */
const parseGiftId = (typed) => {
  if (typed !== typed.toLowerCase() && typed !== typed.toUpperCase()) refuse('gift-id/malformed');
  const text = typed.toLowerCase();
  const shape = new RegExp(`^gift1[${BECH32}]{38}$`);
  if (!shape.test(text)) refuse('gift-id/malformed');
  const values = [...text.slice(5)].map((c) => BECH32.indexOf(c));
  if (bech32Checksum([...GIFT_PREFIX, ...values]) !== BECH32M) refuse('gift-id/mistyped');
  const bits = values
    .slice(0, 32)
    .map((value) => value.toString(2).padStart(5, '0'))
    .join('');
  return hexOf(bits.match(/.{8}/g).map((eight) => parseInt(eight, 2)));
};

// 2.5 Days

const dayText = (day) => new Date(day * 86_400_000).toISOString().slice(0, 10);

const parseDay = (text) => {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) refuse('date/malformed');
  const day = Date.parse(`${text}T00:00:00Z`) / 86_400_000;
  if (!Number.isInteger(day) || dayText(day) !== text) refuse('date/malformed');
  if (day < FIRST_DAY || day > LAST_DAY) refuse('date/out-of-range');
  return day;
};

/** The day on which a moment falls, by `offset_minutes` of the rules that hold there. */
const dayOf = (moment, offset) => {
  const minutes = moment / 60_000n + BigInt(offset);
  // Moments are not negative, but an offset west of Greenwich can reach back before day 0.
  const day = minutes >= 0n ? minutes / 1440n : -((1439n - minutes) / 1440n);
  return day > BigInt(LAST_DAY) ? LAST_DAY : Number(day);
};

// ---------------------------------------------------------------------------------------------
// Section 3: hashes and keys

const sha256 = async (...parts) => {
  const digest = await globalThis.crypto.subtle.digest('SHA-256', concat(...parts));
  return hexOf(new Uint8Array(digest));
};

const context = (name) =>
  concat(Uint8Array.of(0xff), utf8(`giftproof ${name} v1`), Uint8Array.of(0));

const CONTEXT_SIGNATURE = context('event signature');
const CONTEXT_EVENT = context('event hash');
const CONTEXT_SUBJECT = context('subject');
const CONTEXT_ROW = context('seal row');

const leafHash = (entry) => sha256(Uint8Array.of(0), entry);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), bytesOf(left), bytesOf(right));

/** What an event is named by (4.4), and what its signers sign (4.3), but for the context. */
const framed = (genesis, frame) =>
  concat(bytesOf(genesis), u16(frame.kind), u16(frame.version), frame.body);

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

/** 3.3, the first rule: y is below p, and no sign bit stands where x is 0. */
const isCanonicalPoint = (bytes) => {
  const y = littleEndian(bytes) & (2n ** 255n - 1n);
  const signed = (bytes[31] & 0x80) !== 0;
  return y < P && !(signed && (y === 1n || y === P - 1n));
};

/** The point, or null if none has this y. */
const pointOf = (bytes) => {
  try {
    return ed25519.Point.fromBytes(bytes, true);
  } catch {
    return null;
  }
};

/** The code of the first rule of 3.3 that 32 bytes break, or null for a valid public key. */
export const checkPublicKey = (bytes) => {
  if (bytes.length !== 32) return 'key/not-hex';
  if (!isCanonicalPoint(bytes)) return 'key/not-canonical';
  const point = pointOf(bytes);
  if (point === null) return 'key/not-on-curve';
  if (point.is0()) return 'key/identity';
  return point.isTorsionFree() ? null : 'key/torsion';
};

// ---------------------------------------------------------------------------------------------
// Section 7.1: signatures

const SMALL_ORDER = new Set([
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
]);

/** Whether the platform's Ed25519 says yes; no also where it has none, or refuses the key. */
const platformSaysYes = async (key, message, signature) => {
  try {
    const { subtle } = globalThis.crypto;
    const imported = await subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
    return await subtle.verify('Ed25519', imported, signature, message);
  } catch {
    return false;
  }
};

/**
 * The code of the first rule of 7.1 that a signature breaks, or null; `key` is a valid key.
 *
 * The platform evaluates the equation without the factor 8. Its yes is a yes; on its no the
 * equation of ZIP 215 decides, which @noble/ed25519 evaluates.
 */
export const checkSignature = async (key, message, signature) => {
  const R = signature.subarray(0, 32);
  if (littleEndian(signature.subarray(32, 64)) >= L) return 'signature/s-not-reduced';
  if (!isCanonicalPoint(R)) return 'signature/r-not-canonical';
  if (SMALL_ORDER.has(hexOf(R))) return 'signature/r-small-order';
  if (await platformSaysYes(key, message, signature)) return null;
  const holds = await ed25519.verifyAsync(signature, message, key, { zip215: true });
  return holds ? null : 'signature/equation';
};

/** 10.4: the rule for notes, S < L, neither R nor A of small order, SB = R + kA. */
const checkNoteSignature = async (key, message, signature) => {
  const S = littleEndian(signature.subarray(32, 64));
  const A = pointOf(key);
  const R = pointOf(signature.subarray(0, 32));
  if (S >= L || !A || !R || A.isSmallOrder() || R.isSmallOrder()) return false;
  const challenge = concat(signature.subarray(0, 32), key, message);
  const digest = new Uint8Array(await globalThis.crypto.subtle.digest('SHA-512', challenge));
  const k = littleEndian(digest) % L;
  const { BASE } = ed25519.Point;
  return BASE.multiply(S, false).equals(R.add(A.multiply(k, false)));
};

/** Keys that were judged before: the check costs a scalar multiplication. */
class KeyCheck {
  constructor() {
    this.valid = new Map();
  }

  isValid(key) {
    if (!this.valid.has(key)) this.valid.set(key, checkPublicKey(bytesOf(key)) === null);
    return this.valid.get(key);
  }
}

// ---------------------------------------------------------------------------------------------
// Section 4: events

const CAPACITY = codes({
  1: 'operator',
  2: 'registrar',
  3: 'self',
  4: 'new-key',
  5: 'donor',
  6: 'taker',
  7: 'holder',
  8: 'carrier',
  9: 'recipient',
  10: 'coordinator',
  11: 'speaker',
});
const DOCUMENT = codes({
  1: 'waybill',
  2: 'donation-receipt',
  3: 'delivery-note',
  4: 'paper-receipt',
  5: 'order',
  6: 'notice',
  7: 'photo',
  8: 'inspection',
  9: 'customs',
  10: 'consent',
  11: 'contract',
  99: 'other',
});
const REASON = codes({
  1: 'typing',
  2: 'description',
  3: 'quantity',
  4: 'donors-wish',
  5: 'not-usable',
  6: 'greater-need',
  7: 'packing',
  8: 'standard',
  9: 'authority',
  10: 'expired',
  11: 'duplicate',
  99: 'other',
});
const UNIT = codes({ 0: 'stated', 1: 'inner', 2: 'loose' });

/** 4.2. */
const readHead = (r) => {
  const head = {
    occurredOn: r.opt((r) => r.day()),
    signedAt: r.u64(),
    nonce: hexOf(r.take(16)),
    anchor: r.opt((r) => ({ index: r.u64(), leaf: r.hash() })),
    documents: r.list(
      32,
      (r) => ({ kind: r.code(DOCUMENT), number: r.text(80), digest: r.opt((r) => r.hash()) }),
      (document) => [DOCUMENT.number.get(document.kind), document.number, document.digest],
    ),
    reason: r.opt((r) => ({ code: r.code(REASON), text: r.text(400) })),
    signers: r.list(
      16,
      (r) => ({ party: r.opt((r) => r.handle()), key: r.hash(), capacity: r.code(CAPACITY) }),
      (signer) => [CAPACITY.number.get(signer.capacity), signer.party, signer.key],
    ),
  };
  demand(head.signers.length > 0, 'signer/none');
  const keys = new Set(head.signers.map((signer) => signer.key));
  demand(keys.size === head.signers.length, 'signer/duplicate-key');
  return head;
};

// 4.7

const readGoods = (r) => ({
  gift: r.hash(),
  line: r.u16(),
  unit: r.code(UNIT),
  meantFor: r.opt((r) => r.handle()),
});

const goodsKey = (goods) => [goods.gift, goods.line, UNIT.number.get(goods.unit), goods.meantFor];

const some = (items, code) => {
  demand(items.length > 0, code);
  return items;
};

const readPortion = (r) => ({ goods: readGoods(r), quantity: r.quantity() });
const portionKey = (portion) => goodsKey(portion.goods);
const readPortions = (r) => some(r.list(400, readPortion, portionKey), 'portion/none');

// ---------------------------------------------------------------------------------------------
// Section 5: statements

const CLOCK = codes({ 1: 'disclosure', 2: 'filing', 3: 'receipt', 4: 'report' });
const PARTY = codes({ 1: 'organisation', 2: 'group', 3: 'person' });
const ROLE = codes({
  1: 'donor',
  2: 'carrier',
  3: 'recipient',
  4: 'charity',
  5: 'warehouse',
  6: 'coordinator',
  7: 'maker',
  8: 'regulator',
});
const DONOR = codes({ 1: 'enrolled', 2: 'one-time-key', 3: 'slip', 4: 'recorded' });
const BASIS = codes({ 1: 'invoice', 2: 'declared', 3: 'appraised', 4: 'published' });
const CONSENT = codes({ 0: 'none', 1: 'signed', 2: 'standing', 3: 'paper', 4: 'not-needed' });
const PURPOSE = codes({ 1: 'issue', 2: 'transfer', 3: 'return', 4: 'loan' });
const FATE = codes({ 1: 'lost', 2: 'destroyed', 3: 'expired', 4: 'sold', 5: 'lent' });
const CONDITION = codes({ 1: 'good', 2: 'pending', 3: 'damaged', 4: 'on-hold' });
const CAUSE = codes({ 1: 'customs', 2: 'recall', 3: 'quarantine', 4: 'authority' });
const CLAIM = codes({
  1: 'not-received',
  2: 'quantity',
  3: 'item',
  4: 'condition',
  5: 'recipient',
  6: 'signature',
  99: 'other',
});
const EVIDENCE = codes({
  1: 'paper-receipt',
  2: 'photo',
  3: 'inspection',
  4: 'publication',
  5: 'report',
  99: 'other',
});

const readHandle = (r) => r.handle();
const readDay = (r) => r.day();
const readHash = (r) => r.hash();

const readIdentity = (r) => ({ handle: r.handle(), name: r.text(200), key: r.hash() });

const readRegistrars = (r) => {
  const registrars = r.list(15, readIdentity, (identity) => [identity.handle]);
  const threshold = r.u8();
  const n = registrars.length;
  demand(threshold >= 2 && threshold <= n && n < 2 * threshold, 'registrars/threshold');
  const keys = new Set(registrars.map((identity) => identity.key));
  demand(keys.size === n, 'registrars/duplicate-key');
  return { registrars, threshold };
};

const readRules = (r) => {
  demand(r.u16() === 1, 'rules/version');
  const offsetMinutes = r.i16();
  demand(offsetMinutes >= -840 && offsetMinutes <= 840, 'rules/offset');
  return {
    offsetMinutes,
    clocks: r.list(
      16,
      (r) => ({ kind: r.code(CLOCK), days: r.u16(), basis: r.text(400) }),
      (clock) => [CLOCK.number.get(clock.kind)],
    ),
    sealEntries: r.u32(),
    sealSeconds: r.u32(),
    inclusionSeconds: r.u32(),
  };
};

/** 5.1. */
const readLedgerCreated = (r) => {
  const origin = r.text(255);
  demand(isKeyName(origin), 'genesis/origin');
  const operator = readIdentity(r);
  const { registrars, threshold } = readRegistrars(r);
  for (const { handle, key } of registrars) {
    const shared = handle === operator.handle || key === operator.key;
    demand(!shared, 'genesis/operator-is-registrar');
  }
  return { origin, operator, registrars, threshold, rules: readRules(r) };
};

const readParticulars = (r) => ({
  name: r.text(200),
  identifier: r.text(40),
  place: r.text(200),
});

/** 5.2. */
const readPartyEnrolled = (r) => {
  const handle = r.handle();
  const kind = r.code(PARTY);
  const roles = r.list(
    8,
    (r) => r.code(ROLE),
    (role) => [ROLE.number.get(role)],
  );
  demand(roles.length > 0, 'party/no-role');
  const particulars = readParticulars(r);
  demand(particulars.name !== '', 'party/no-name');
  return { handle, kind, roles, particulars, key: r.hash() };
};

/** 5.11. */
const readNeedDeclared = (r) => {
  const item = r.text(200);
  demand(item !== '', 'line/no-item');
  return {
    item,
    standard: r.text(120),
    quantity: r.opt((r) => r.quantity()),
    unit: r.text(24),
    wantedBy: r.opt(readDay),
  };
};

const readDonor = (r) => {
  const donor = {
    kind: r.code(DONOR),
    party: r.opt(readHandle),
    key: r.opt(readHash),
    name: r.text(200),
  };
  const hasParty = donor.kind === 'enrolled' || donor.kind === 'slip';
  const hasKey = donor.kind === 'one-time-key' || donor.kind === 'slip';
  demand((donor.party !== null) === hasParty, 'donor/kind');
  demand((donor.key !== null) === hasKey, 'donor/kind');
  return donor;
};

const readValueOfGoods = (r) => ({ cents: r.u64(), currency: r.text(3), basis: r.code(BASIS) });

const readLine = (r) => {
  const line = { number: r.u16() };
  demand(line.number >= 1, 'line/number');
  line.item = r.text(200);
  demand(line.item !== '', 'line/no-item');
  line.category = r.text(40);
  line.unit = r.text(24);
  demand(line.unit !== '', 'line/no-unit');
  line.pack = r.opt((r) => ({ content: r.quantity(), unit: r.text(24) }));
  if (line.pack) {
    demand(line.pack.unit !== '' && line.pack.unit !== line.unit, 'line/pack-unit');
  }
  line.quantity = r.quantity();
  quantity(line.quantity * contentOf(line));
  line.shares = r.list(
    64,
    (r) => ({ recipient: r.handle(), quantity: r.quantity() }),
    (share) => [share.recipient],
  );
  demand(sharedOf(line) <= line.quantity, 'line/shares-exceed');
  line.lots = r.list(
    64,
    (r) => ({ number: r.text(60), expiresOn: r.opt(readDay) }),
    (lot) => [lot.number],
  );
  line.maker = r.text(120);
  line.productCode = r.text(60);
  line.registration = r.text(60);
  line.standard = r.text(120);
  line.serials = r.list(
    64,
    (r) => r.text(40),
    (serial) => [serial],
  );
  line.storage = r.text(80);
  line.specification = r.text(200);
  line.value = r.opt(readValueOfGoods);
  return line;
};

const contentOf = (line) => line.pack?.content ?? 1n;
const sharedOf = (line) => line.shares.reduce((sum, share) => sum + share.quantity, 0n);

/** 5.13. */
const readDonation = (r) => {
  const donor = readDonor(r);
  const mark = r.opt(readHash);
  const taker = r.opt(readHandle);
  demand(taker !== null || donor.kind === 'enrolled', 'donor/taker-missing');
  demand(!(donor.kind === 'enrolled' && donor.party === taker), 'donor/is-taker');
  const lines = r.list(300, readLine, (line) => [line.number]);
  demand(lines.length > 0, 'gift/no-line');
  const statement = {
    donor,
    mark,
    taker,
    lines,
    standingConsent: r.bool(),
    purpose: r.text(200),
    channel: r.text(80),
    campaign: r.text(60),
    part: r.opt((r) => ({ number: r.u16(), of: r.u16() })),
    deadline: r.opt(readDay),
    historic: r.bool(),
    restates: r.text(80),
    commitments: r.list(
      32,
      (r) => ({ label: r.text(40), digest: r.hash() }),
      (commitment) => [commitment.label],
    ),
  };
  const { part } = statement;
  demand(part === null || (part.number >= 1 && part.number <= part.of), 'gift/part');
  return statement;
};

/** 5.16. */
const readOrder = (r) => ({
  number: r.text(60),
  holder: r.handle(),
  item: r.text(200),
  unit: r.text(24),
  quantity: r.quantity(),
  recipient: r.handle(),
});

const readAssignment = (r) => {
  const assignment = { goods: readGoods(r), recipient: r.handle(), quantity: r.quantity() };
  demand(assignment.recipient !== assignment.goods.meantFor, 'designation/no-change');
  return assignment;
};

/** 5.17. */
const readDesignation = (r) => ({
  holder: r.handle(),
  order: r.opt(readHash),
  decidedBy: r.text(200),
  decision: r.text(60),
  consent: r.code(CONSENT),
  assignments: some(
    r.list(400, readAssignment, (item) => [...goodsKey(item.goods), item.recipient]),
    'portion/none',
  ),
});

/** 5.18. */
const readDispatch = (r) => {
  const statement = {
    shipment: r.shipment(),
    taker: r.handle(),
    purpose: r.code(PURPOSE),
    carrier: r.opt(readHandle),
    carrierName: r.text(120),
    waybill: r.text(60),
    packageCount: r.opt((r) => r.u32()),
    packages: r.list(
      100,
      (r) => ({ label: r.text(40), seal: r.text(40), content: r.text(120) }),
      (item) => [item.label],
    ),
    expectedOn: r.opt(readDay),
    portions: readPortions(r),
  };
  const { taker, carrier, shipment } = statement;
  demand(taker !== shipment.sender, 'shipment/to-oneself');
  demand(
    carrier === null || (carrier !== shipment.sender && carrier !== taker),
    'shipment/carrier-is-party-to-it',
  );
  return statement;
};

/** 5.19. */
const readDelivery = (r) => ({
  shipment: r.shipment(),
  place: r.text(200),
  waybill: r.text(60),
  time: r.text(20),
});

const ARRIVED = ['accepted', 'pending', 'damaged', 'rejected', 'surplus'];
const FOUND = ['opened', 'loose', 'passed', 'failed', 'shortage', 'surplus', 'found'];

/** Goods and a number for each name; what they add up to is judged by the caller. */
const readCounted = (r, names) => {
  const counted = { goods: readGoods(r) };
  for (const name of names) counted[name] = r.u64();
  return counted;
};

const totalOf = (counted, names) => names.reduce((sum, name) => sum + counted[name], 0n);

/** 5.20. */
const readReceipt = (r) => {
  const statement = {
    shipment: r.opt((r) => r.shipment()),
    giver: r.opt(readHandle),
    purpose: r.opt((r) => r.code(PURPOSE)),
    closing: r.bool(),
    packageCount: r.opt((r) => r.u32()),
    temperature: r.text(40),
  };
  const { shipment, giver, purpose, closing } = statement;
  const byHand = shipment === null && giver !== null && purpose !== null && !closing;
  const byShipment = shipment !== null && giver === null && purpose === null;
  demand(byHand || byShipment, 'receipt/source');
  const readArrival = (r) => {
    const arrival = readCounted(r, ARRIVED);
    arrival.actual = r.opt((r) => ({
      item: r.text(200),
      lot: r.text(60),
      expiresOn: r.opt(readDay),
    }));
    const total = totalOf(arrival, ARRIVED);
    if (!(closing && total === 0n)) quantity(total);
    return arrival;
  };
  statement.arrivals = some(r.list(400, readArrival, portionKey), 'portion/none');
  return statement;
};

/** 5.21. */
const readCount = (r) => {
  const looseUnit = r.text(24);
  const readFinding = (r) => {
    const finding = readCounted(r, FOUND);
    quantity(totalOf(finding, FOUND));
    const opens = finding.opened > 0n || finding.loose > 0n;
    demand(!opens || looseUnit !== '', 'count/no-loose-unit');
    demand(finding.loose === 0n || finding.opened > 0n, 'count/loose-without-pack');
    return finding;
  };
  return { looseUnit, findings: some(r.list(400, readFinding, portionKey), 'portion/none') };
};

/** 5.26 to 5.28: what else is said about a gift. */
const readAnswer = (r) => ({ gift: r.hash(), dispute: r.hash(), text: r.text(800) });

/** 5.29. The replacement is decoded as what it replaces; null voids it. */
const readCorrection = (r) => {
  const targetIndex = r.u64();
  const target = r.hash();
  const targetKind = r.u16();
  const kind = KINDS.get(targetKind);
  demand(kind !== undefined && CORRECTABLE.has(kind.name), 'correction/kind');
  const bytes = r.blob(30_000);
  const replacement = bytes.length === 0 ? null : decode(bytes, kind.read);
  return { targetIndex, target, targetKind, kind: kind.name, replacement };
};

/** 5.32. */
const readAttestation = (r) => ({
  evidence: r.code(EVIDENCE),
  text: r.text(2000),
  url: r.text(300),
  from: r.opt(readDay),
  until: r.opt(readDay),
  heldBy: r.opt(readHandle),
  recipientName: r.text(200),
  shipment: r.opt((r) => r.shipment()),
  goods: r.list(400, readPortion, portionKey),
  listed: r.list(
    400,
    (r) => ({ row: r.u32(), item: r.text(200), quantity: r.quantity(), unit: r.text(24) }),
    (item) => [item.row],
  ),
});

/** 5.33. */
const readSealed = (r) => ({
  size: r.u64(),
  root: { number: r.u32(), index: r.u64(), leaf: r.hash() },
  tables: TABLES.map(() => ({ rows: r.u64(), hash: r.hash() })),
});

const TABLES = ['parties', 'gifts', 'lots', 'shipments', 'statements'];

const KINDS = new Map([
  [1, { name: 'ledger-created', read: readLedgerCreated }],
  [2, { name: 'party-enrolled', read: readPartyEnrolled }],
  [3, { name: 'key-added', read: (r) => ({ handle: r.handle(), key: r.hash() }) }],
  [
    4,
    {
      name: 'key-rotated',
      read: (r) => ({ handle: r.handle(), oldKey: r.hash(), key: r.hash() }),
    },
  ],
  [5, { name: 'key-revoked', read: (r) => ({ handle: r.handle(), key: r.hash() }) }],
  [
    6,
    {
      name: 'key-compromised',
      read: (r) => ({ handle: r.handle(), key: r.hash(), since: r.day() }),
    },
  ],
  [
    7,
    {
      name: 'party-updated',
      read: (r) => ({
        handle: r.handle(),
        particulars: readParticulars(r),
        successor: r.opt(readHandle),
      }),
    },
  ],
  [8, { name: 'registrars-changed', read: readRegistrars }],
  [9, { name: 'operator-rotated', read: (r) => ({ key: r.hash() }) }],
  [10, { name: 'rules-changed', read: (r) => ({ rules: readRules(r) }) }],
  [16, { name: 'need-declared', read: readNeedDeclared }],
  [17, { name: 'need-closed', read: (r) => ({ need: r.hash() }) }],
  [32, { name: 'donation', read: readDonation }],
  [33, { name: 'withdrawal', read: (r) => ({ portions: readPortions(r) }) }],
  [34, { name: 'gift-taken-over', read: (r) => ({ gift: r.hash(), donor: readDonor(r) }) }],
  [35, { name: 'order', read: readOrder }],
  [36, { name: 'designation', read: readDesignation }],
  [37, { name: 'dispatch', read: readDispatch }],
  [38, { name: 'delivery', read: readDelivery }],
  [39, { name: 'receipt', read: readReceipt }],
  [40, { name: 'count', read: readCount }],
  [
    41,
    {
      name: 'use',
      read: (r) => ({ ward: r.text(120), purpose: r.text(200), portions: readPortions(r) }),
    },
  ],
  [
    42,
    {
      name: 'disposal',
      read: (r) => ({
        fate: r.code(FATE),
        condition: r.code(CONDITION),
        to: r.text(200),
        proceeds: r.opt(readValueOfGoods),
        portions: readPortions(r),
      }),
    },
  ],
  [
    43,
    {
      name: 'hold',
      read: (r) => ({ cause: r.code(CAUSE), authority: r.text(200), portions: readPortions(r) }),
    },
  ],
  [44, { name: 'release', read: (r) => ({ portions: readPortions(r) }) }],
  [
    48,
    {
      name: 'dispute',
      read: (r) => ({ gift: r.hash(), claim: r.code(CLAIM), text: r.text(800) }),
    },
  ],
  [49, { name: 'answer', read: readAnswer }],
  [50, { name: 'dispute-closed', read: readAnswer }],
  [51, { name: 'correction', read: readCorrection }],
  [
    52,
    {
      name: 'recall',
      read: (r) => ({ item: r.text(200), lot: r.text(60), number: r.text(60), text: r.text(400) }),
    },
  ],
  [
    53,
    {
      name: 'recall-lifted',
      read: (r) => ({ recall: r.hash(), item: r.text(200), lot: r.text(60) }),
    },
  ],
  [54, { name: 'attestation', read: readAttestation }],
  [64, { name: 'epoch-sealed', read: readSealed }],
]);

const CORRECTABLE = new Set([
  'donation',
  'dispatch',
  'delivery',
  'receipt',
  'count',
  'use',
  'disposal',
]);

// ---------------------------------------------------------------------------------------------
// Section 6.1: entries

/** 4.1 with the signatures of 6.1: from the kind to the last signature. */
const readFrame = (r) => {
  const kind = r.u16();
  const version = r.u16();
  const length = r.u32();
  demand(length <= BODY_LEN_MAX, 'event/too-large');
  const body = r.take(length);
  const count = r.u8();
  demand(count <= 16, 'signature/count');
  const signatures = [];
  for (let i = 0; i < count; i++) signatures.push(r.take(64));
  return { kind, version, body, signatures };
};

const readLink = (r) => ({
  subject: r.hash(),
  number: r.u32(),
  previous: r.opt((r) => ({ index: r.u64(), leaf: r.hash() })),
});

const readEntry = (bytes) => {
  demand(bytes.length <= ENTRY_LEN_MAX, 'entry/too-large');
  return decode(bytes, (r) => ({
    index: r.u64(),
    previous: r.hash(),
    recordedAt: r.u64(),
    links: r.list(400, readLink, (link) => [link.subject]),
    frame: readFrame(r),
  }));
};

/**
 * The event of a frame: its head, and its statement if kind and version are known. `name` is
 * null for what is not understood (4.6).
 */
const readEvent = (frame) => {
  const kind = frame.version === 1 ? KINDS.get(frame.kind) : undefined;
  const event = decode(frame.body, (r) => {
    const head = readHead(r);
    if (kind === undefined) {
      r.rest();
      return { name: null, head, statement: null };
    }
    return { name: kind.name, head, statement: kind.read(r) };
  });
  demand(frame.signatures.length === event.head.signers.length, 'signature/count');
  return event;
};

// ---------------------------------------------------------------------------------------------
// Section 6.3: subjects

const encodeText = (text) => {
  const bytes = utf8(text);
  return concat(u16(bytes.length), bytes);
};

const SORT = { root: 1, party: 2, gift: 3, lot: 4, shipment: 5, statement: 6 };

const subjectHash = (sort, encoding) =>
  sha256(CONTEXT_SUBJECT, Uint8Array.of(SORT[sort]), encoding);

const rootSubject = () => subjectHash('root', new Uint8Array());
const partySubject = (handle) => subjectHash('party', encodeText(handle));
/** A gift is the subject of its id alone; all 32 bytes of its event hash will do here too. */
const giftSubject = (hash) => subjectHash('gift', bytesOf(hash.slice(0, 40)));
const lotSubject = (item, lot) => subjectHash('lot', concat(encodeText(item), encodeText(lot)));
const shipmentSubject = ({ sender, number }) =>
  subjectHash('shipment', concat(encodeText(sender), encodeText(number)));
const statementSubject = (hash) => subjectHash('statement', bytesOf(hash));

/** What moves in a statement: its portions, arrivals, findings, assignments or goods. */
const itemsOf = (statement) =>
  statement.portions ??
  statement.arrivals ??
  statement.findings ??
  statement.assignments ??
  statement.goods ??
  [];

/** The gifts that a statement's goods name, each once, in the order of their hashes. */
const giftsIn = (statement) => [...new Set(itemsOf(statement).map((item) => item.goods.gift))];

/** What an event touches by its own statement, by sort; `self` is its event hash. */
const subjectsOf = async (name, statement, self) => {
  const touched = new Map();
  const touch = async (sort, subject) => touched.set(await subject, sort);
  const touchGoods = async () => {
    for (const gift of giftsIn(statement)) await touch('gift', giftSubject(gift));
  };
  switch (name) {
    case 'ledger-created':
    case 'registrars-changed':
    case 'operator-rotated':
    case 'rules-changed':
      await touch('root', rootSubject());
      break;
    case 'party-enrolled':
    case 'key-added':
    case 'key-rotated':
    case 'key-revoked':
    case 'key-compromised':
    case 'party-updated':
      await touch('party', partySubject(statement.handle));
      break;
    case 'need-declared':
    case 'order':
      await touch('statement', statementSubject(self));
      break;
    case 'need-closed':
      await touch('statement', statementSubject(statement.need));
      break;
    case 'donation':
      await touch('gift', giftSubject(self));
      break;
    case 'gift-taken-over':
    case 'dispute':
    case 'answer':
    case 'dispute-closed':
      await touch('gift', giftSubject(statement.gift));
      break;
    case 'designation':
      await touchGoods();
      if (statement.order !== null) await touch('statement', statementSubject(statement.order));
      break;
    case 'recall':
    case 'recall-lifted':
      await touch('lot', lotSubject(statement.item, statement.lot));
      break;
    case 'correction':
      if (statement.replacement === null) return touched;
      return subjectsOf(statement.kind, statement.replacement, statement.target);
    default: // What has goods or a shipment. A seal has neither.
      await touchGoods();
      if (statement.shipment) await touch('shipment', shipmentSubject(statement.shipment));
  }
  return touched;
};

const sortedUnique = (hashes) => [...new Set(hashes)].sort();

// ---------------------------------------------------------------------------------------------
// Section 10.1 to 10.3: tree, proofs, tiles

const TILE = 256;

/** How many hashes are computed at once: more would only hold memory. */
const BATCH = 1024;

/** `action` for each of 0..count, a bounded number at a time. */
const inBatches = async (count, action) => {
  const results = [];
  for (let from = 0; from < count; from += BATCH) {
    const width = Math.min(BATCH, count - from);
    results.push(...(await Promise.all(Array.from({ length: width }, (_, i) => action(from + i)))));
  }
  return results;
};

/** A tree over leaf hashes: on level l, at place i, the root over leaves i * 2^l to (i+1) * 2^l. */
class Tree {
  static async over(leaves) {
    const tree = new Tree();
    tree.levels = [leaves];
    for (let level = leaves; level.length > 1;) {
      const below = level;
      level = await inBatches(below.length >> 1, (i) => nodeHash(below[2 * i], below[2 * i + 1]));
      tree.levels.push(level);
    }
    return tree;
  }

  /** MTH of the first `size` leaves. */
  async root(size) {
    const peaks = [];
    let from = 0;
    for (let level = this.levels.length - 1; level >= 0; level--) {
      const width = 2 ** level;
      if (size - from >= width) {
        peaks.push(this.levels[level][from / width]);
        from += width;
      }
    }
    if (peaks.length === 0) return sha256();
    let root = peaks.pop();
    while (peaks.length > 0) root = await nodeHash(peaks.pop(), root);
    return root;
  }

  /** The hashes of tile `n` of level `level`, `width` of them. */
  tile(level, n, width) {
    return (this.levels[8 * level] ?? []).slice(n * TILE, n * TILE + width);
  }
}

/** 10.2. Places in the tree are BigInt: sizes go up to 2^63 - 1. Gives the refusing code or null. */
export const checkInclusion = async (index, size, leaf, hashes, root) => {
  if (index >= size) return 'proof/index-outside';
  let [f, s, r] = [index, size - 1n, leaf];
  for (const p of hashes) {
    if (s === 0n) return 'proof/too-long';
    if (f % 2n === 1n || f === s) {
      r = await nodeHash(p, r);
      while (f % 2n === 0n && f !== 0n) [f, s] = [f >> 1n, s >> 1n];
    } else {
      r = await nodeHash(r, p);
    }
    [f, s] = [f >> 1n, s >> 1n];
  }
  if (s !== 0n) return 'proof/too-short';
  return r === root ? null : 'proof/root';
};

/** 10.2. */
export const checkConsistency = async (m, n, oldRoot, newRoot, hashes) => {
  if (m === 0n) return 'proof/size-zero';
  if (m > n) return 'proof/sizes-reversed';
  if (m === n) {
    if (hashes.length > 0) return 'proof/too-long';
    return oldRoot === newRoot ? null : 'proof/root';
  }
  const path = (m & (m - 1n)) === 0n ? [oldRoot, ...hashes] : [...hashes];
  if (path.length === 0) return 'proof/too-short';
  let [f, s] = [m - 1n, n - 1n];
  while (f % 2n === 1n) [f, s] = [f >> 1n, s >> 1n];
  let a = path[0];
  let b = path[0];
  for (const c of path.slice(1)) {
    if (s === 0n) return 'proof/too-long';
    if (f % 2n === 1n || f === s) {
      a = await nodeHash(c, a);
      b = await nodeHash(c, b);
      while (f % 2n === 0n && f !== 0n) [f, s] = [f >> 1n, s >> 1n];
    } else {
      b = await nodeHash(b, c);
    }
    [f, s] = [f >> 1n, s >> 1n];
  }
  if (s !== 0n) return 'proof/too-short';
  if (a !== oldRoot) return 'proof/old-root';
  return b === newRoot ? null : 'proof/root';
};

/** 10.3: the index in groups of three digits, all but the last with `x` before them. */
const groups = (n) => {
  const digits = String(n);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const parts = padded.match(/.{3}/g);
  return parts.map((part, i) => (i + 1 < parts.length ? `x${part}` : part)).join('/');
};

/** The files of a log of `size` at one level (or of its entries): path, place, width. */
const filesOf = function* (prefix, count) {
  for (let n = 0; n * TILE < count; n++) {
    const width = Math.min(TILE, count - n * TILE);
    const path = `${prefix}/${groups(n)}${width < TILE ? `.p/${width}` : ''}`;
    yield { path, n, width };
  }
};

/** Every tile of a log of `size`: path, level, place, width. */
const tilesOf = function* (size) {
  for (let level = 0; Math.floor(size / TILE ** level) > 0; level++) {
    for (const file of filesOf(`tile/${level}`, Math.floor(size / TILE ** level))) {
      yield { level, ...file };
    }
  }
};

const entryBundlesOf = (size) => filesOf('tile/entries', size);

/** The entries of an entry bundle that holds exactly `width` of them. */
const readEntryBundle = (bytes, width) => {
  const entries = [];
  let at = 0;
  for (let i = 0; i < width; i++) {
    if (bytes.length - at < 2) refuse('entries/truncated');
    const length = (bytes[at] << 8) | bytes[at + 1];
    if (bytes.length - at - 2 < length) refuse('entries/truncated');
    entries.push(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  if (at !== bytes.length) refuse('entries/trailing-bytes');
  return entries;
};

// ---------------------------------------------------------------------------------------------
// Section 10.4: notes

const NOTE_LEN_MAX = 65_536;
const NOTE_SIGNATURES_MAX = 64;
const TYPE_NOTE = 1;
const TYPE_COSIGNATURE = 4;

const isKeyName = (name) =>
  name !== '' && utf8(name).length <= 255 && !/[\p{White_Space}\p{Cc}+]/u.test(name);

const keyId = async (name, type, key) =>
  (await sha256(utf8(name), Uint8Array.of(0x0a, type), key)).slice(0, 8);

/** A signed note: its text, and its signature lines, as yet unverified. */
const readNote = (bytes) => {
  demand(bytes.length <= NOTE_LEN_MAX, 'note/too-long');
  const whole = textOf(bytes, 'note/encoding');
  demand(!/[\x00-\x09\x0b-\x1f]/.test(whole), 'note/encoding');
  const split = whole.lastIndexOf('\n\n');
  demand(split > 0 && whole.endsWith('\n') && split + 2 < whole.length, 'note/structure');
  const text = whole.slice(0, split + 1);
  const lines = whole.slice(split + 2, -1).split('\n');
  demand(lines.length <= NOTE_SIGNATURES_MAX, 'note/too-many-signatures');
  return { text, signatures: lines.map(readSignatureLine) };
};

const readSignatureLine = (line) => {
  const match = /^\u2014 ([^ ]+) ([^ ]+)$/u.exec(line);
  demand(match !== null, 'note/signature-line');
  const blob = base64Bytes(match[2]);
  demand(isLineName(match[1]) && blob !== null && blob.length > 4, 'note/signature-line');
  return { name: match[1], id: hexOf(blob.subarray(0, 4)), signature: blob.subarray(4) };
};

/** A key name of any length. */
const isLineName = (name) => !/[\p{White_Space}\p{Cc}+]/u.test(name);

/** A verifier key: `name+id+base64(type || key)`. */
const readVerifierKey = async (text) => {
  const match = /^([^+]*)\+([^+]*)\+(.*)$/su.exec(text);
  demand(match !== null && match[1] !== '' && isLineName(match[1]), 'vkey/format');
  demand(/^[0-9a-f]{8}$/.test(match[2]), 'vkey/format');
  const blob = base64Bytes(match[3]);
  demand(blob !== null, 'vkey/base64');
  demand(blob[0] === TYPE_NOTE || blob[0] === TYPE_COSIGNATURE, 'vkey/algorithm');
  demand(blob.length === 33, 'vkey/length');
  const key = blob.slice(1);
  const point = isCanonicalPoint(key) ? pointOf(key) : null;
  demand(point !== null && !point.isSmallOrder(), 'vkey/point');
  const id = await keyId(match[1], blob[0], key);
  demand(id === match[2], 'vkey/id');
  return { name: match[1], id, type: blob[0], key: hexOf(key) };
};

const verifierKey = async (name, type, key) => ({
  name,
  id: await keyId(name, type, bytesOf(key)),
  type,
  key,
});

/**
 * The known keys that signed the note, each with the time of its cosignature. One wrong
 * signature of a known key refuses the note.
 */
const signersOf = async (note, keys) => {
  const nameOf = ({ name, id }) => `${name}+${id}`;
  const known = new Map(keys.map((key) => [nameOf(key), key]));
  demand(known.size === keys.length, 'note/key-ambiguous');
  const signed = [];
  for (const line of note.signatures) {
    const key = known.get(nameOf(line));
    if (key === undefined) continue;
    const time = await verifyLine(note.text, line.signature, key);
    demand(time !== null, 'note/signature-invalid');
    signed.push({ key, time });
  }
  return signed;
};

/** The seconds of a valid cosignature, 0n for another valid signature, null for a wrong one. */
const verifyLine = async (text, blob, { type, key }) => {
  if (type === TYPE_NOTE) {
    if (blob.length !== 64) return null;
    return (await checkNoteSignature(bytesOf(key), utf8(text), blob)) ? 0n : null;
  }
  if (blob.length !== 72) return null;
  const time = new Reader(blob).u64();
  if (time >= 2n ** 63n) return null;
  const message = utf8(`cosignature/v1\ntime ${time}\n${text}`);
  return (await checkNoteSignature(bytesOf(key), message, blob.subarray(8))) ? time : null;
};

// ---------------------------------------------------------------------------------------------
// Section 10.5: checkpoints

const readCheckpoint = (bytes) => {
  const note = readNote(bytes);
  const lines = note.text.split('\n');
  // The text ends in a line feed, so the last piece is empty.
  demand(lines.length >= 4, 'checkpoint/structure');
  demand(lines.length === 4, 'checkpoint/extension');
  return { note, ...readCheckpointText(lines) };
};

const readCheckpointText = ([origin, size, root]) => {
  demand(isKeyName(origin), 'checkpoint/origin');
  demand(isDecimal(size), 'checkpoint/size');
  const hash = base64Bytes(root);
  demand(hash !== null && hash.length === 32, 'checkpoint/root');
  return { origin, size: BigInt(size), root: hexOf(hash) };
};

/** A decimal below 2^64 without sign or leading zero. */
const isDecimal = (text) => /^(0|[1-9][0-9]{0,19})$/.test(text) && BigInt(text) < 2n ** 64n;

// ---------------------------------------------------------------------------------------------
// Section 13.1, 13.2: trust file and policy

const TRUST_LEN_MAX = 139_264;
const AUDITORS_MAX = 16;
const POLICY_LEN_MAX = 65_536;

/** Whether a line names a higher version than the one that is known: `giftproof-trust/v2`. */
const isNewer = (known, line) => {
  const at = known.lastIndexOf('v') + 1;
  const number = line.slice(at);
  if (!line.startsWith(known.slice(0, at)) || !/^[1-9][0-9]*$/.test(number)) return false;
  return BigInt(number) > BigInt(known.slice(at)) && BigInt(number) < 2n ** 64n;
};

/** The first line of a file is the one that is known; a higher version has its own code. */
const demandVersion = (known, lines, family) => {
  demand(lines.length < 2 || !isNewer(known, lines[0]), `${family}/newer-version`);
  demand(lines[0] === known, `${family}/version`);
};

/** A trust file, of bytes or of text. */
const readTrust = async (input) => {
  const bytes = typeof input === 'string' ? utf8(input) : input;
  demand(bytes.length <= TRUST_LEN_MAX, 'trust/too-long');
  const text = textOf(bytes, 'trust/encoding');
  const lines = text.split('\n');
  demandVersion('giftproof-trust/v1', lines, 'trust');
  const value = (line, word) => {
    demand(line !== undefined && line.startsWith(`${word} `), 'trust/structure');
    return line.slice(word.length + 1);
  };
  const origin = value(lines[1], 'origin');
  const genesis = value(lines[2], 'genesis');
  const operatorText = value(lines[3], 'operator');
  let blankAt = 4;
  while (lines[blankAt]?.startsWith('auditor ')) blankAt += 1;
  demand(lines[blankAt] === '' && lines.length > blankAt + 1, 'trust/structure');
  demand(isKeyName(origin), 'trust/origin');
  demand(/^[0-9a-f]{64}$/.test(genesis), 'trust/genesis');
  const operator = await readVerifierKey(operatorText);
  demand(operator.type === TYPE_NOTE && operator.name === origin, 'trust/operator');
  const auditors = await readAuditors(lines.slice(4, blankAt));
  const start = lines.slice(0, blankAt + 1).join('\n').length + 1;
  const blank = text.startsWith('\n', start) ? start - 1 : text.indexOf('\n\n', start);
  const policyText = blank < 0 ? text.slice(start) : text.slice(start, blank + 1);
  const policy = await readPolicy(policyText);
  const witnessed = policy.witnesses.some(({ key }) => key.key === operator.key);
  demand(!witnessed, 'trust/operator-is-witness');
  const taken = new Set(
    [operator, ...policy.witnesses.map(({ key }) => key)].map(({ key }) => key),
  );
  for (const { key } of auditors) {
    demand(!taken.has(key), 'trust/auditor-repeated');
    taken.add(key);
  }
  const checkpoint = blank < 0 ? null : readCheckpoint(utf8(text.slice(blank + 2)));
  demand(checkpoint === null || checkpoint.origin === origin, 'trust/checkpoint-origin');
  return { origin, genesis, operator, auditors, policy, checkpoint };
};

/** Those whose audit statements count for the owner. */
const readAuditors = async (lines) => {
  demand(lines.length <= AUDITORS_MAX, 'trust/too-many-auditors');
  const auditors = [];
  for (const line of lines) {
    let key = null;
    try {
      key = await readVerifierKey(line.slice('auditor '.length));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
    demand(key?.type === TYPE_NOTE && utf8(key.name).length <= 255, 'trust/auditor');
    auditors.push(key);
  }
  return auditors;
};

/** 13.2, in the one spelling that it has in a trust file. */
const readPolicy = async (text) => {
  demand(utf8(text).length <= POLICY_LEN_MAX, 'policy/too-long');
  demand(!/[\x00-\x08\x0b-\x1f\x7f-\x9f]/.test(text), 'policy/encoding');
  demand(text === '' || text.endsWith('\n'), 'policy/unterminated');
  const policy = { logs: [], witnesses: [], names: new Map(), quorum: undefined };
  const members = new Set();
  const keys = new Set();
  const addKey = async (vkey, type) => {
    const key = await readVerifierKey(vkey);
    demand(key.type === type, 'policy/key-kind');
    demand(!keys.has(key.key), 'policy/key-repeated');
    keys.add(key.key);
    return key;
  };
  const define = (name, item) => {
    demand(name !== 'none' && !policy.names.has(name), 'policy/name-taken');
    policy.names.set(name, item);
  };
  for (const line of text.split('\n').slice(0, -1)) {
    const words = line.split(' ');
    // In a trust file: no comment, no empty line, single spaces.
    const plain = !/[\t#]/.test(words[0]) && !line.includes('\t') && !words.includes('');
    demand(plain, /^\s*(#|$)|\s\s|\t|\s$/.test(line) ? 'trust/spelling' : 'policy/syntax');
    const [kind, name, ...rest] = words;
    if (kind === 'log' && (words.length === 2 || words.length === 3)) {
      policy.logs.push(await addKey(name, TYPE_NOTE));
    } else if (kind === 'witness' && (rest.length === 1 || rest.length === 2)) {
      const key = await addKey(rest[0], TYPE_COSIGNATURE);
      define(name, { key });
      policy.witnesses.push({ name, key });
    } else if (kind === 'group' && rest.length >= 2) {
      const [count, ...names] = rest;
      for (const member of names) {
        demand(policy.names.has(member), 'policy/name-unknown');
        demand(!members.has(member), 'policy/member-repeated');
        members.add(member);
      }
      define(name, { need: groupNeed(count, names.length), members: names });
    } else if (kind === 'quorum' && words.length === 2) {
      demand(policy.quorum === undefined, 'policy/quorum-repeated');
      demand(name === 'none' || policy.names.has(name), 'policy/name-unknown');
      policy.quorum = name;
    } else {
      refuse('policy/syntax');
    }
  }
  demand(policy.quorum !== undefined, 'policy/no-quorum');
  return policy;
};

const groupNeed = (count, members) => {
  if (count === 'all') return members;
  if (count === 'any') return 1;
  demand(/^[0-9]+$/.test(count), 'policy/syntax');
  const need = /^[1-9][0-9]{0,8}$/.test(count) ? Number(count) : 0;
  demand(need >= 1 && need <= members, 'policy/threshold');
  return need;
};

/** Whether those who cosigned, by key, satisfy the policy. */
const isSatisfied = (policy, cosigned) => {
  // Members stand on earlier lines than their group.
  const satisfied = new Set();
  for (const [name, { key, members, need }] of policy.names) {
    const holds = key
      ? cosigned.has(key.key)
      : members.filter((member) => satisfied.has(member)).length >= need;
    if (holds) satisfied.add(name);
  }
  return policy.quorum === 'none' || satisfied.has(policy.quorum);
};

// ---------------------------------------------------------------------------------------------
// Section 13.3, 13.4: bundle

const TRUST_COPY_LEN_MAX = 131_072;
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

const crc32 = (bytes) => {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
};

/** Little-endian fields, [width in bytes, value] each. */
const record = (...fields) => {
  const bytes = new Uint8Array(fields.reduce((sum, [width]) => sum + width, 0));
  let at = 0;
  for (const [width, value] of fields) {
    let rest = BigInt(value);
    for (let i = 0; i < width; i++, rest >>= 8n) bytes[at++] = Number(rest & 255n);
  }
  return bytes;
};

const localHeader = ({ path, crc, length }) =>
  concat(
    record([4, 0x04034b50], [2, 45], [2, 0], [2, 0], [2, 0], [2, 0x21], [4, crc]),
    record([4, 0xffffffff], [4, 0xffffffff], [2, path.length], [2, 20]),
    path,
    record([2, 1], [2, 16], [8, length], [8, length]),
  );

const directoryEntry = ({ path, crc, length, offset }) =>
  concat(
    record([4, 0x02014b50], [2, 0x032d], [2, 45], [2, 0], [2, 0], [2, 0], [2, 0x21], [4, crc]),
    record([4, 0xffffffff], [4, 0xffffffff], [2, path.length], [2, 28], [2, 0], [2, 0], [2, 0]),
    record([4, 0x81a40000], [4, 0xffffffff]),
    path,
    record([2, 1], [2, 24], [8, length], [8, length], [8, offset]),
  );

const DIRECTORY_ENTRY_LEN = 46 + 28;
const END_LEN = 56 + 20 + 22;

const endRecords = (files, length, offset) =>
  concat(
    record([4, 0x06064b50], [8, 44], [2, 0x032d], [2, 45], [4, 0], [4, 0]),
    record([8, files], [8, files], [8, length], [8, offset]),
    record([4, 0x07064b50], [4, 0], [8, offset + length], [4, 1]),
    record([4, 0x06054b50], [2, 0], [2, 0], [2, 0xffff], [2, 0xffff]),
    record([4, 0xffffffff], [4, 0xffffffff], [2, 0]),
  );

const littleNumber = (bytes, at, width) => {
  let value = 0;
  for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[at + i];
  return value;
};

/** The files of a bundle, by path: their bytes and the CRC-32 that is stated for them. */
const readZip = (bytes) => {
  const endAt = bytes.length - END_LEN;
  demand(endAt >= 0, 'bundle/truncated');
  const count = littleNumber(bytes, endAt + 24, 8);
  const length = littleNumber(bytes, endAt + 40, 8);
  demand(length <= endAt, 'bundle/truncated');
  // Records are made again from what is there: a hostile number only makes them differ.
  const offset = endAt - length;
  const ends = endRecords(count, length, offset);
  demand(sameBytes(bytes.subarray(endAt), ends), 'bundle/not-canonical');
  demand(count * DIRECTORY_ENTRY_LEN <= length, 'bundle/not-canonical');

  const files = [];
  let directoryAt = offset;
  let fileAt = 0;
  for (let i = 0; i < count; i++) {
    demand(directoryAt + DIRECTORY_ENTRY_LEN <= endAt, 'bundle/not-canonical');
    const pathLength = littleNumber(bytes, directoryAt + 28, 2);
    const pathEnd = directoryAt + 46 + pathLength;
    demand(pathEnd + 28 <= endAt, 'bundle/not-canonical');
    const file = {
      path: bytes.subarray(directoryAt + 46, pathEnd),
      crc: littleNumber(bytes, directoryAt + 16, 4),
      length: littleNumber(bytes, pathEnd + 4, 8),
      offset: fileAt,
    };
    const entry = directoryEntry(file);
    const stated = bytes.subarray(directoryAt, directoryAt + entry.length);
    demand(sameBytes(stated, entry), 'bundle/not-canonical');
    const header = localHeader(file);
    const dataAt = fileAt + header.length;
    demand(dataAt + file.length <= offset, 'bundle/not-canonical');
    file.header = { stated: bytes.subarray(fileAt, dataAt), made: header };
    file.name = textOf(file.path, 'bundle/not-canonical');
    file.bytes = bytes.subarray(dataAt, dataAt + file.length);
    files.push(file);
    fileAt = dataAt + file.length;
    directoryAt += entry.length;
  }
  demand(fileAt === offset && directoryAt === endAt, 'bundle/not-canonical');
  return files;
};

/** The bytes of a file of the bundle: what stands before them, and their CRC-32, are as stated. */
const bytesOfFile = ({ header, crc, bytes }) => {
  const crcAt = 14;
  const before = (of) => of.subarray(0, crcAt);
  const after = (of) => of.subarray(crcAt + 4);
  for (const part of [before, after]) {
    demand(sameBytes(part(header.stated), part(header.made)), 'bundle/not-canonical');
  }
  demand(littleNumber(header.stated, crcAt, 4) === crc && crc32(bytes) === crc, 'bundle/crc');
  return bytes;
};

/** Step 0 of an audit of a zip: the container's form, and that its files are those of its log. */
const openZip = (bytes) => {
  const files = readZip(bytes);
  const byName = new Map(files.map((file) => [file.name, file]));
  const checkpointFile = byName.get('checkpoint');
  demand(checkpointFile !== undefined, 'bundle/not-canonical');
  const inBounds = (file, least, most) => file.length >= least && file.length <= most;
  demand(inBounds(checkpointFile, 1, NOTE_LEN_MAX), 'bundle/wrong-length');
  const note = bytesOfFile(checkpointFile);
  let checkpoint;
  try {
    checkpoint = readCheckpoint(note);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return byName; // The audit will say so, and ends there.
  }
  let at = 0;
  const expect = (path, least, most) => {
    const file = files[at];
    at += 1;
    demand(file?.name === path, 'bundle/not-canonical');
    demand(inBounds(file, least, most), 'bundle/wrong-length');
  };
  const size = Number(checkpoint.size);
  expect('checkpoint', 1, NOTE_LEN_MAX);
  expect('giftproof.trust', 0, TRUST_COPY_LEN_MAX);
  // A hostile size names a file that is not there before this loop has gone far.
  for (const { path, width } of tilesOf(size)) expect(path, 32 * width, 32 * width);
  for (const { path, width } of entryBundlesOf(size)) {
    expect(path, 2 * width, (2 + ENTRY_LEN_MAX) * width);
  }
  demand(at === files.length, 'bundle/not-canonical');
  return byName;
};

// ---------------------------------------------------------------------------------------------
// Section 8: the accounts of one gift

// Marks, weakest first (8.1). The last three are *recipient* with its standing.
const MARK_NONE = 0;
const MARK_OTHER_UNIT = 1;
const MARK_ALONE = 2;
const STANDING = { provisional: 3, recovered: 4, vouched: 5 };
const MARKS = ['none', 'other-unit', 'recorded-alone', 'provisional', 'recovered', 'vouched'];

const noQuantity = () => MARKS.map(() => 0n);
const sum = (quantities) => quantities.reduce((total, each) => total + each, 0n);

/** The same quantities, each under the mark that `change` makes of its own. */
const remark = (moved, change) => {
  const changed = noQuantity();
  moved.forEach((each, mark) => {
    changed[change(mark)] += each;
  });
  return changed;
};

const unmarked = () => MARK_NONE;
const keeps = (mark) => mark;

// Places (8.1), as lists whose JSON is their key.
const ANNOUNCED = ['announced'];
const WITHDRAWN = ['withdrawn'];
const atRest = (holder, condition) => ['rest', holder, condition];
const inspected = (holder, issued) => ['inspected', holder, issued];
const moving = ({ sender, number }, returning) => ['moving', sender, number, returning];
const usedBy = (holder) => ['used', holder];
const disposedBy = (holder, fate) => ['disposed', holder, fate];
const unaccounted = (giver, taker) => ['unaccounted', giver, taker];
const openedBy = (holder) => ['opened', holder];

const shipmentKey = ({ sender, number }) => `${sender}/${number}`;

const within = (value) => {
  if (value > QUANTITY_MAX) refuse('balance/overflow');
  return value;
};

class Gift {
  constructor(record, subject) {
    this.hash = record.hash;
    this.subject = subject;
    this.record = record;
    /** Indices of the accepted entries that touch it, in order; the donation first. */
    this.entries = [record.index];
    /** Corrected donated quantities (8.6 step 4). */
    this.lowered = [];
    /** Indices of the corrections that touch it. */
    this.corrections = [];
    /** Each item and lot that is or was in a line, or arrived in fact, as JSON. */
    this.had = new Set();
    this.clear();
  }

  /** What a fold makes anew. */
  clear() {
    this.donation = null;
    this.donor = null;
    this.lines = new Map();
    /** By line: the unit of the loose book. */
    this.looseUnits = new Map();
    /** By lot, by place: the quantity under each mark. */
    this.accounts = new Map();
    /** By line and book: what was found beyond what was given. */
    this.surplus = new Map();
    /** By line: loose pieces out of opened packs. */
    this.loose = new Map();
    this.journey = new Set();
    this.disputes = new Map();
    this.evidence = [];
    this.changes = [];
    this.unsupported = [];
    this.sums = { damaged: 0n, rejected: 0n, surplus: 0n };
    /** A later event about goods of the gift holds (8.6). */
    this.rested = false;
  }

  copy() {
    const copy = Object.assign(Object.create(Gift.prototype), this);
    copy.entries = [...this.entries];
    copy.lowered = [...this.lowered];
    copy.corrections = [...this.corrections];
    copy.had = new Set(this.had);
    for (const field of ['lines', 'looseUnits', 'surplus', 'loose']) {
      copy[field] = new Map(this[field]);
    }
    copy.accounts = new Map();
    for (const [lot, places] of this.accounts) {
      const copied = new Map();
      for (const [key, account] of places) {
        copied.set(key, { place: account.place, marks: [...account.marks] });
      }
      copy.accounts.set(lot, copied);
    }
    copy.disputes = new Map([...this.disputes].map(([hash, each]) => [hash, { ...each }]));
    copy.journey = new Set(this.journey);
    for (const field of ['evidence', 'changes', 'unsupported']) {
      copy[field] = [...this[field]];
    }
    copy.sums = { ...this.sums };
    return copy;
  }

  /** Whose word announced goods rest on: an enrolled donor. */
  get donorParty() {
    return this.donor.kind === 'enrolled' ? this.donor.party : null;
  }

  /** 8.2: the lot of goods, and how many of its units one of theirs is. */
  lotOf(goods) {
    const line = this.lines.get(goods.line) ?? refuse('line/unknown');
    if (goods.unit === 'inner') demand(line.pack !== null, 'unit/unknown');
    if (goods.unit === 'loose') demand(this.looseUnits.has(goods.line), 'unit/unknown');
    return {
      lot: {
        line: goods.line,
        book: goods.unit === 'loose' ? 'loose' : 'smallest',
        meantFor: goods.meantFor,
      },
      amount: (value) => within(value * (goods.unit === 'stated' ? contentOf(line) : 1n)),
    };
  }

  places(lot) {
    const key = JSON.stringify([lot.line, lot.book, lot.meantFor]);
    if (!this.accounts.has(key)) this.accounts.set(key, new Map());
    return this.accounts.get(key);
  }

  marksAt(lot, place) {
    return this.places(lot).get(JSON.stringify(place))?.marks ?? null;
  }

  totalAt(lot, place) {
    return sum(this.marksAt(lot, place) ?? []);
  }

  /** Takes `amount`, the weakest mark first; gives what was taken, by mark. */
  take(lot, place, amount, code = 'balance/exceeded', strongest = STANDING.vouched) {
    const taken = noQuantity();
    if (amount === 0n) return taken;
    const marks = this.marksAt(lot, place) ?? refuse(code);
    let wanted = amount;
    for (let mark = MARK_NONE; mark <= strongest && wanted > 0n; mark++) {
      taken[mark] = marks[mark] < wanted ? marks[mark] : wanted;
      wanted -= taken[mark];
    }
    demand(wanted === 0n, code);
    taken.forEach((each, mark) => {
      marks[mark] -= each;
    });
    // Moving places stay when they are empty: they tell what was sent.
    const empty = place[0] !== 'moving' && marks.every((each) => each === 0n);
    if (empty) this.places(lot).delete(JSON.stringify(place));
    return taken;
  }

  put(lot, place, moved) {
    if (sum(moved) === 0n) return;
    const key = JSON.stringify(place);
    const places = this.places(lot);
    if (!places.has(key)) places.set(key, { place, marks: noQuantity() });
    const { marks } = places.get(key);
    moved.forEach((each, mark) => {
      marks[mark] = within(marks[mark] + each);
    });
  }

  /** Goods that nobody had before: surplus or loose pieces. */
  putNew(lot, place, amount, mark) {
    const moved = noQuantity();
    moved[mark] = amount;
    this.put(lot, place, moved);
  }

  addSurplus(lot, place, amount) {
    if (amount === 0n) return;
    const key = `${lot.line} ${lot.book}`;
    this.surplus.set(key, (this.surplus.get(key) ?? 0n) + amount);
    this.sums.surplus = within(this.sums.surplus + amount);
    this.putNew(lot, place, amount, MARK_NONE);
  }

  /** 8.3, brought forth: what a donor announced rests with it once it signs as holder. */
  bringForth(lot, giver, wanted) {
    if (giver !== this.donorParty) return;
    const lack = wanted - this.totalAt(lot, atRest(giver, 'good'));
    const there = this.totalAt(lot, ANNOUNCED);
    const amount = lack < there ? lack : there;
    if (amount > 0n) this.put(lot, atRest(giver, 'good'), this.take(lot, ANNOUNCED, amount));
  }

  /** A recall of the lot, or of every lot of the item, concerns the gift (9.4). */
  hadLot(item, lot) {
    this.had.add(JSON.stringify([item, lot]));
    this.had.add(JSON.stringify([item, '']));
  }

  /** Whether this party had some of the lot, in an account that still exists (8.3, surplus). */
  hasHad(lot, holder) {
    const had = ['rest', 'inspected', 'moving', 'unaccounted', 'used', 'disposed', 'opened'];
    return [...this.places(lot).values()].some(
      ({ place }) => had.includes(place[0]) && place[1] === holder,
    );
  }

  *eachAccount() {
    for (const [key, places] of this.accounts) {
      const [line, book, meantFor] = JSON.parse(key);
      for (const account of places.values()) yield { line, book, meantFor, ...account };
    }
  }
}

// ---------------------------------------------------------------------------------------------
// Section 8.3, 8.4: what an event does to one gift

const signerIn = (head, capacity) =>
  head.signers.find((signer) => signer.capacity === capacity && signer.party !== null)?.party ??
  null;

/** 8.4: whether the gift's donor is among the signers. A slip's key never speaks for it. */
const donorSigned = (donor, head) =>
  head.signers.some(
    (signer) =>
      signer.capacity === 'donor' &&
      ((donor.kind === 'enrolled' && signer.party === donor.party) ||
        (donor.kind === 'one-time-key' && signer.key === donor.key)),
  );

/** What accepting makes of a mark, for goods of a lot that pass to the taker (8.4). */
const acceptedMark = (purpose, meantFor, taker, standing) => {
  if (meantFor === taker) return (mark) => Math.max(mark, standing);
  if (purpose === 'return') return unmarked;
  return purpose === 'issue' ? (mark) => Math.max(mark, MARK_OTHER_UNIT) : keeps;
};

/**
 * Applies one statement to one gift. `act` is { index, head, hash, statement, standing, shipment },
 * where `standing(party)` is the rank of a signer's standing and `shipment(id)` what is known of a
 * shipment. Refuses under the codes of 8.3 and 8.7; the caller drops the gift's copy then.
 */
const applyToGift = (gift, name, act) => {
  const { statement } = act;
  const mine = itemsOf(statement).filter((item) => item.goods.gift === gift.hash);
  const effects = {
    'donation': applyDonation,
    'withdrawal': applyWithdrawal,
    'gift-taken-over': applyTakenOver,
    'designation': applyDesignation,
    'dispatch': applyDispatch,
    'receipt': applyReceipt,
    'count': applyCount,
    'use': applyUse,
    'disposal': applyDisposal,
    'hold': (gift, act, mine) => applyMove(gift, act, mine, 'good', 'on-hold'),
    'release': (gift, act, mine) => applyMove(gift, act, mine, 'on-hold', 'good'),
    'dispute': applyDispute,
    'answer': applyAnswer,
    'dispute-closed': applyDisputeClosed,
    'attestation': applyAttestation,
  };
  effects[name]?.(gift, act, mine);
};

const applyDonation = (gift, { statement, head, standing, hash }) => {
  if (hash !== gift.hash) return;
  gift.donation = statement;
  gift.donor = statement.donor;
  const { taker, donor } = statement;
  const takerSigned = taker !== null && signerIn(head, 'taker') === taker;
  const place = takerSigned ? atRest(taker, 'good') : ANNOUNCED;
  const final = donor.kind === 'enrolled' && donorSigned(donor, head) ? standing : () => MARK_ALONE;
  for (const line of statement.lines) {
    gift.lines.set(line.number, line);
    gift.hadLot(line.item, '');
    for (const { number } of line.lots) gift.hadLot(line.item, number);
    const content = contentOf(line);
    const lot = { line: line.number, book: 'smallest' };
    for (const { recipient, quantity } of line.shares) {
      const mark = takerSigned && recipient === taker ? final(taker) : MARK_NONE;
      gift.putNew({ ...lot, meantFor: recipient }, place, quantity * content, mark);
      gift.journey.add(recipient);
    }
    const rest = (line.quantity - sharedOf(line)) * content;
    gift.putNew({ ...lot, meantFor: null }, place, rest, MARK_NONE);
  }
  if (donor.party !== null) gift.journey.add(donor.party);
  if (taker !== null) gift.journey.add(taker);
};

const applyWithdrawal = (gift, act, portions) => {
  for (const { goods, quantity } of portions) {
    const { lot, amount } = gift.lotOf(goods);
    const moved = gift.take(lot, ANNOUNCED, amount(quantity), 'withdrawal/not-announced');
    gift.put(lot, WITHDRAWN, moved);
    gift.rested = true;
  }
};

const applyTakenOver = (gift, { statement }) => {
  if (statement.gift !== gift.hash) return;
  gift.donor = statement.donor;
  if (statement.donor.party !== null) gift.journey.add(statement.donor.party);
};

const applyDesignation = (gift, { statement, index, head }, assignments) => {
  for (const { goods, recipient, quantity } of assignments) {
    const { lot, amount } = gift.lotOf(goods);
    const good = atRest(statement.holder, 'good');
    const wanted = amount(quantity);
    const unmarkedThere = gift.marksAt(lot, good)?.[MARK_NONE] ?? 0n;
    const resting = unmarkedThere < wanted ? unmarkedThere : wanted;
    const lack = wanted - resting;
    demand(lack === 0n || gift.donorParty === statement.holder, 'balance/exceeded');
    const target = { ...lot, meantFor: recipient };
    gift.put(target, good, gift.take(lot, good, resting, 'balance/exceeded', MARK_NONE));
    gift.put(target, ANNOUNCED, gift.take(lot, ANNOUNCED, lack));
    gift.journey.add(recipient);
    gift.rested = true;
  }
  if (assignments.some(({ goods }) => goods.meantFor !== null)) {
    gift.changes.push({ index, consent: statement.consent });
  }
};

/** 5.17: what a change of designated goods rests on; judged gift by gift. */
const checkConsent = (gift, { statement, head }) => {
  const changed = itemsOf(statement).some(
    ({ goods }) => goods.gift === gift.hash && goods.meantFor !== null,
  );
  if (!changed) return;
  const holds = {
    'none': () => true,
    'signed': () => donorSigned(gift.donor, head),
    // Who takes a slip's gift over takes on the consent that it was given with.
    'standing': () =>
      gift.donation.standingConsent &&
      (gift.donor.kind === 'enrolled' || gift.donor.kind === 'one-time-key'),
    'paper': () => head.documents.some(({ kind, digest }) => kind === 'consent' && digest !== null),
    'not-needed': () => false,
  };
  demand(holds[statement.consent](), 'designation/consent');
};

const applyDispatch = (gift, { statement }, portions) => {
  const { shipment, taker, purpose, carrier } = statement;
  const giver = shipment.sender;
  for (const { goods, quantity } of portions) {
    const { lot, amount } = gift.lotOf(goods);
    const wanted = amount(quantity);
    gift.bringForth(lot, giver, wanted);
    const moved = gift.take(lot, atRest(giver, 'good'), wanted);
    gift.put(lot, moving(shipment, comesBack(purpose, lot, taker)), moved);
    for (const party of [giver, taker, carrier]) if (party !== null) gift.journey.add(party);
    gift.rested = true;
  }
};

/** 8.3: the goods come back if the purpose is return and they are not meant for the taker. */
const comesBack = (purpose, lot, taker) => purpose === 'return' && lot.meantFor !== taker;

const applyReceipt = (gift, act, arrivals) => {
  const { statement, head, index } = act;
  const taker = signerIn(head, 'taker');
  const standing = act.standing(taker);
  const byHand = statement.shipment === null;
  const shipment = byHand ? null : act.shipment(statement.shipment);
  const giver = byHand ? statement.giver : statement.shipment.sender;
  const purpose = byHand ? statement.purpose : shipment?.purpose;
  for (const arrival of arrivals) {
    const { lot, amount } = gift.lotOf(arrival.goods);
    const [accepted, pending, damaged, rejected, surplus] = ARRIVED.map((name) =>
      amount(arrival[name]),
    );
    const back = comesBack(purpose, lot, taker);
    const from = byHand ? atRest(giver, 'good') : moving(statement.shipment, back);
    const sent = byHand || (shipment?.taker === taker && gift.marksAt(lot, from) !== null);
    if (!sent) {
      gift.unsupported.push(index);
      continue;
    }
    const kept = back ? unmarked : keeps;
    if (byHand) {
      gift.bringForth(lot, giver, accepted + pending + damaged + rejected);
      // Surplus is found only by who has had some of the lot (8.3).
      demand(surplus === 0n || gift.totalAt(lot, from) > 0n, 'balance/exceeded');
    }
    const take = (quantity, change) => remark(gift.take(lot, from, quantity), change);

    const change = acceptedMark(purpose, lot.meantFor, taker, standing);
    gift.put(lot, atRest(taker, 'good'), take(accepted, change));
    gift.put(lot, inspected(taker, purpose === 'issue'), take(pending, kept));
    gift.put(lot, atRest(taker, 'damaged'), take(damaged, kept));
    if (byHand) {
      demand(gift.totalAt(lot, from) >= rejected, 'balance/exceeded');
    } else {
      gift.put(lot, atRest(giver, 'good'), take(rejected, keeps));
    }
    gift.addSurplus(lot, atRest(taker, 'good'), surplus);
    if (statement.closing) {
      gift.put(lot, unaccounted(giver, taker), take(gift.totalAt(lot, from), kept));
    }
    gift.sums.damaged += damaged;
    gift.sums.rejected += rejected;
    if (arrival.actual) gift.hadLot(arrival.actual.item, arrival.actual.lot);
    gift.journey.add(giver);
    gift.journey.add(taker);
    gift.rested = true;
  }
};

const applyCount = (gift, act, findings) => {
  const { statement, head } = act;
  const holder = signerIn(head, 'holder');
  const standing = act.standing(holder);
  const good = atRest(holder, 'good');
  for (const finding of findings) {
    if (finding.opened > 0n) checkPacks(gift, finding.goods, statement.looseUnit);
    const { lot, amount } = gift.lotOf(finding.goods);
    const [opened, loose, passed, failed, shortage, surplus, found] = FOUND.map((name) =>
      name === 'loose' ? finding.loose : amount(finding[name]),
    );
    if (opened > 0n) openPacks(gift, lot, holder, statement.looseUnit, opened, loose);
    inspect(gift, lot, holder, standing, passed, failed);
    gift.put(lot, unaccounted(holder, null), gift.take(lot, good, shortage));
    findAgain(gift, lot, holder, standing, found);
    if (surplus > 0n) {
      demand(gift.hasHad(lot, holder), 'balance/exceeded');
      gift.addSurplus(lot, good, surplus);
    }
    gift.sums.damaged += failed;
    gift.rested = true;
  }
};

/** 8.3: only sealed packs can be opened, into pieces of one loose unit for each line. */
const checkPacks = (gift, goods, looseUnit) => {
  const line = gift.lines.get(goods.line);
  const unit = gift.looseUnits.get(goods.line) ?? looseUnit;
  const sealed = line?.pack === null && goods.unit === 'stated';
  demand(sealed && looseUnit !== line.unit && looseUnit === unit, 'count/packs');
};

const openPacks = (gift, lot, holder, looseUnit, opened, loose) => {
  gift.looseUnits.set(lot.line, looseUnit);
  const packs = gift.take(lot, atRest(holder, 'good'), opened);
  gift.put(lot, openedBy(holder), packs);
  const weakest = packs.findIndex((each) => each > 0n);
  gift.loose.set(lot.line, within((gift.loose.get(lot.line) ?? 0n) + loose));
  gift.putNew({ ...lot, book: 'loose' }, atRest(holder, 'good'), loose, weakest);
};

/** 8.3: passed and failed of issued goods, then of the others. */
const inspect = (gift, lot, holder, standing, passed, failed) => {
  let [toPass, toFail] = [passed, failed];
  for (const issued of [true, false]) {
    const place = inspected(holder, issued);
    const take = (wanted) => {
      const there = gift.totalAt(lot, place);
      return gift.take(lot, place, wanted < there ? wanted : there);
    };
    const change = acceptedMark(issued ? 'issue' : 'transfer', lot.meantFor, holder, standing);
    const good = take(toPass);
    gift.put(lot, atRest(holder, 'good'), remark(good, change));
    const bad = take(toFail);
    gift.put(lot, atRest(holder, 'damaged'), bad);
    toPass -= sum(good);
    toFail -= sum(bad);
  }
  demand(toPass === 0n && toFail === 0n, 'balance/exceeded');
};

/** 8.3: found again is what was unaccounted where the holder is giver or taker. */
const findAgain = (gift, lot, holder, standing, found) => {
  const lost = [...gift.places(lot).values()]
    .map(({ place }) => place)
    .filter(
      ([sort, giver, taker]) => sort === 'unaccounted' && (giver === holder || taker === holder),
    )
    .sort((a, b) => compareKeys(a.slice(1), b.slice(1)));
  let wanted = found;
  for (const place of lost) {
    const there = gift.totalAt(lot, place);
    const amount = wanted < there ? wanted : there;
    const arrived = place[2] === holder && lot.meantFor === holder;
    const change = arrived ? (mark) => Math.max(mark, standing) : keeps;
    gift.put(lot, atRest(holder, 'good'), remark(gift.take(lot, place, amount), change));
    wanted -= amount;
  }
  demand(wanted === 0n, 'balance/exceeded');
};

const applyUse = (gift, { head }, portions) => {
  const holder = signerIn(head, 'holder');
  for (const { goods, quantity } of portions) {
    const { lot, amount } = gift.lotOf(goods);
    gift.put(lot, usedBy(holder), gift.take(lot, atRest(holder, 'good'), amount(quantity)));
    gift.rested = true;
  }
};

const applyDisposal = (gift, { statement, head }, portions) => {
  const holder = signerIn(head, 'holder');
  const to = disposedBy(holder, statement.fate);
  for (const { goods, quantity } of portions) {
    const { lot, amount } = gift.lotOf(goods);
    let wanted = amount(quantity);
    if (statement.condition === 'pending') {
      const there = gift.totalAt(lot, inspected(holder, true));
      const issued = wanted < there ? wanted : there;
      gift.put(lot, to, gift.take(lot, inspected(holder, true), issued));
      wanted -= issued;
      gift.put(lot, to, gift.take(lot, inspected(holder, false), wanted));
    } else {
      gift.put(lot, to, gift.take(lot, atRest(holder, statement.condition), wanted));
    }
    gift.rested = true;
  }
};

const applyMove = (gift, { head }, portions, from, to) => {
  const holder = signerIn(head, 'holder');
  for (const { goods, quantity } of portions) {
    const { lot, amount } = gift.lotOf(goods);
    gift.put(lot, atRest(holder, to), gift.take(lot, atRest(holder, from), amount(quantity)));
    gift.rested = true;
  }
};

// 8.7: disputes and evidence

const OWN_KEY = 'own key';

/** Who speaks in a dispute: the gift's own key, whichever it is now, a party or a registrar. */
const speakerOf = (head) => {
  if (head.signers.some(({ capacity }) => capacity === 'donor')) return OWN_KEY;
  const { capacity, party } = head.signers[0];
  return `${capacity} ${party}`;
};

const applyDispute = (gift, { statement, head, hash, index }) => {
  if (statement.gift !== gift.hash) return;
  const by = speakerOf(head);
  const open = [...gift.disputes.values()].some((each) => each.by === by && !each.closed);
  demand(!(by === OWN_KEY && open), 'dispute/open');
  const { claim } = statement;
  gift.disputes.set(hash, { index, by, claim, answered: false, closed: false });
};

const openDispute = (gift, { dispute }) => {
  const found = gift.disputes.get(dispute);
  if (found === undefined || found.closed) refuse('dispute/unknown');
  return found;
};

const applyAnswer = (gift, { statement, head }) => {
  if (statement.gift !== gift.hash) return;
  const dispute = openDispute(gift, statement);
  demand(dispute.by !== speakerOf(head), 'party/same');
  dispute.answered = true;
};

const applyDisputeClosed = (gift, { statement, head }) => {
  if (statement.gift !== gift.hash) return;
  const dispute = openDispute(gift, statement);
  const by = speakerOf(head);
  const tookOver =
    dispute.by === OWN_KEY &&
    gift.donor.kind === 'enrolled' &&
    by === `speaker ${gift.donor.party}`;
  demand(dispute.by === by || tookOver, 'signer/wrong');
  dispute.closed = true;
};

const applyAttestation = (gift, { statement, head, index }, goods) => {
  if (goods.length === 0) return;
  for (const { goods: each } of goods) gift.lotOf(each);
  const { evidence, heldBy } = statement;
  gift.evidence.push({ index, evidence, heldBy, by: signerIn(head, 'speaker') });
};

// ---------------------------------------------------------------------------------------------
// Section 7.3: who signs

/** Takes the signers of an event off its list, one by one. */
class Signers {
  constructor(state, head) {
    this.state = state;
    this.left = [...head.signers];
  }

  take(wanted) {
    const at = this.left.findIndex(wanted);
    return at < 0 ? null : this.left.splice(at, 1)[0];
  }

  one(capacity) {
    const signer = this.take((each) => each.capacity === capacity && each.party !== null);
    if (signer) {
      this.state.party(signer.party);
      this.state.keyOf(`party ${signer.party}`, signer.key);
    }
    return signer;
  }

  some(capacity) {
    return this.one(capacity) ?? refuse('signer/missing');
  }

  this(capacity, handle) {
    const signer = this.some(capacity);
    demand(signer.party === handle, 'signer/wrong');
    return signer;
  }

  own(capacity, party, key) {
    return this.take(
      (each) => each.capacity === capacity && each.party === party && each.key === key,
    );
  }

  newKey(party, key) {
    return this.own('new-key', party, key) ?? refuse('signer/missing');
  }

  /** The handles of the registrars that sign. */
  registrars() {
    const signed = new Set();
    for (;;) {
      const signer = this.take((each) => each.capacity === 'registrar');
      if (!signer) return signed;
      const registrar = this.state.registrars.get(signer.party) ?? refuse('signer/wrong');
      demand(registrar.key === signer.key, 'key/not-of-party');
      demand(!signed.has(signer.party), 'signer/extra');
      signed.add(signer.party);
    }
  }

  enoughRegistrars() {
    const signed = this.registrars();
    demand(signed.size >= this.state.threshold, 'registrars/too-few');
    return signed;
  }

  /** Exactly one registrar. */
  oneRegistrar() {
    const signed = this.registrars();
    demand(signed.size === 1, 'signer/missing');
    return [...signed][0];
  }

  operator() {
    const signer = this.take((each) => each.capacity === 'operator');
    if (signer) {
      demand(signer.party === this.state.operator.handle, 'signer/wrong');
      this.state.keyOf('operator', signer.key);
    }
    return signer;
  }

  end() {
    demand(this.left.length === 0, 'signer/extra');
  }
}

const ADMITTED = new Set(['donor', 'carrier']);
const CUSTODY = new Set(['recipient', 'charity', 'warehouse', 'coordinator']);

const admittedOnly = (party) => [...party.roles].every((role) => ADMITTED.has(role));

// ---------------------------------------------------------------------------------------------
// Sections 7 and 8: the state that the accepted entries make

/**
 * The replay of a log: what it makes of each entry in turn. With `only`, a gift's event hash (or
 * '' for none), it is the replay in part of section 17.5.
 */
class State {
  constructor(only = null) {
    this.only = only;
    this.genesis = ZERO_HASH;
    this.origin = null;
    this.rules = null;
    this.threshold = 0;
    /** By handle; those who are registrars now. */
    this.registrars = new Map();
    this.formerRegistrars = new Set();
    this.operator = { handle: null, keys: [] };
    this.parties = new Map();
    /** By key: whose it is for ever, and how it lives (7.2). */
    this.keys = new Map();
    this.keyCheck = new KeyCheck();
    this.gifts = new Map();
    this.giftIds = new Set();
    this.shipments = new Map();
    this.needs = new Map();
    this.orders = new Map();
    this.recalls = new Map();
    /** Accepted entries by index. */
    this.records = new Map();
  }

  // 7.3: the shorthands

  party(handle) {
    return this.parties.get(handle) ?? refuse('party/unknown');
  }

  role(handle, ...roles) {
    const party = this.party(handle);
    demand(
      roles.some((role) => party.roles.has(role)),
      'party/role',
    );
  }

  custody(handle) {
    const party = this.party(handle);
    demand(
      [...party.roles].some((role) => CUSTODY.has(role)),
      'party/role',
    );
  }

  newKey(key) {
    demand(this.keyCheck.isValid(key), 'key/invalid');
    demand(!this.keys.has(key), 'key/taken');
  }

  keyOf(owner, key) {
    const known = this.keys.get(key);
    demand(known !== undefined && known.owner === owner, 'key/not-of-party');
    demand(known.ended === null, 'key/ended');
    return known;
  }

  isNobodys(handle) {
    return (
      !this.parties.has(handle) &&
      handle !== this.operator.handle &&
      !this.registrars.has(handle) &&
      !this.formerRegistrars.has(handle)
    );
  }

  /** A gift that an event names; in a replay in part, null for all but the one. */
  gift(hash) {
    if (this.only !== null && hash !== this.only) return null;
    return this.gifts.get(hash) ?? refuse('gift/unknown');
  }

  /** 7.2: the rank of the standing of a party's signature with a key, now. */
  standing(handle, key) {
    const party = this.parties.get(handle);
    if (party === undefined || party.vouchedAt === null) return STANDING.provisional;
    return this.keys.get(key)?.recovered ? STANDING.recovered : STANDING.vouched;
  }

  registerKey(key, owner, index, recovered = false) {
    this.keys.set(key, { owner, since: index, ended: null, recovered, compromised: null });
  }

  endKey(key, index) {
    this.keys.get(key).ended = index;
  }

  // 6.3, 8.6: corrections

  /** The accepted event that a correction names, if there is one. */
  target(correction) {
    const record = this.records.get(Number(correction.targetIndex));
    const fits = record?.hash === correction.target && record.name === correction.kind;
    return fits ? record : null;
  }

  /** The statement that holds for a record: its own, a correction's, or null if voided. */
  held(record) {
    return record.held ? record.held.statement : record.statement;
  }

  /** All that an event touches, as far as accepted events tell; sorted. */
  touched(event) {
    if (event.name !== 'correction') return event.subjects;
    const target = this.target(event.statement);
    if (target === null) return event.subjects;
    const heldSubjects = target.held?.subjects ?? [];
    return sortedUnique([...event.subjects, ...target.subjects, ...heldSubjects]);
  }

  // 11.1, step 7

  /**
   * The rules, for one event: { index, name, head, statement, hash, subjects, recordedAt }.
   * Refuses, and has changed nothing then; else the event is accepted and has taken effect.
   */
  accept(event) {
    const { name, index } = event;
    const record = { ...event, held: null, standings: new Map() };
    if (name !== null && !this.isLeftOut(event)) {
      const signers = new Signers(this, event.head);
      const effect = AUTHORITY[name](this, signers, event.statement, event);
      signers.end();
      for (const { party, key } of event.head.signers) {
        if (party !== null) record.standings.set(party, this.standing(party, key));
      }
      record.day = dayOf(event.recordedAt, (this.rules ?? event.statement.rules).offsetMinutes);
      record.clocks = (this.rules ?? event.statement.rules).clocks;
      this.effect(record);
      effect?.(record);
    }
    this.records.set(index, record);
  }

  /** 17.5: what a replay in part does not judge. */
  isLeftOut({ name, statement }) {
    if (this.only === null) return false;
    const ofOthers = name === 'attestation' && !giftsIn(statement).includes(this.only);
    return ofOthers || name === 'epoch-sealed';
  }

  /** Section 8: accounts, shipments, orders. All is checked before anything is changed. */
  effect(record) {
    const { name, statement } = record;
    if (name === 'correction') return this.correct(record);
    if (name === 'donation') return this.donate(record);
    if (name === 'epoch-sealed') return checkSealed(statement, record.sealed);
    const after = this.beforeGifts(record);
    const hashes = statement.gift === undefined ? giftsIn(statement) : [statement.gift];
    const copies = [];
    for (const hash of hashes) {
      const gift = this.gift(hash);
      if (gift === null) continue;
      const copy = gift.copy();
      applyToGift(copy, name, this.actOf(record, null));
      if (name === 'designation') checkConsent(copy, record);
      copy.entries.push(record.index);
      copies.push(copy);
    }
    for (const copy of copies) this.gifts.set(copy.hash, copy);
    after?.();
    return undefined;
  }

  /** What a record says to a gift, with the statement that holds. */
  actOf(record, held) {
    const standing = (party) => {
      const own = record.standings.get(party) ?? STANDING.provisional;
      const later = held?.standings.get(party) ?? STANDING.vouched;
      return Math.min(own, later);
    };
    return {
      index: record.index,
      head: record.head,
      hash: record.hash,
      statement: held ? held.statement : record.statement,
      standing,
      shipment: (id) => this.shipments.get(shipmentKey(id)) ?? null,
    };
  }

  donate(record) {
    if (this.only !== null && record.hash !== this.only) return;
    const id = record.hash.slice(0, 40);
    demand(!this.giftIds.has(id), 'gift/id-taken');
    const gift = new Gift(record, record.subjects[0]);
    applyToGift(gift, 'donation', this.actOf(record, null));
    gift.rested = false;
    this.giftIds.add(id);
    this.gifts.set(gift.hash, gift);
  }

  // 8.7: shipments and orders. Each checks, and gives what is to be done once all gifts hold.

  beforeGifts(record) {
    switch (record.name) {
      case 'dispatch':
        return this.dispatch(record);
      case 'delivery':
        return () =>
          this.shipments.get(shipmentKey(record.statement.shipment)).deliveries.push(record);
      case 'receipt':
        return this.receive(record);
      case 'designation':
        return this.carryOut(record);
      default:
        return null;
    }
  }

  dispatch(record) {
    const { statement } = record;
    const key = shipmentKey(statement.shipment);
    const known = this.shipments.get(key);
    if (known) {
      const same = ['taker', 'purpose', 'carrier', 'carrierName'].every(
        (field) => known[field] === statement[field],
      );
      demand(same && countingOf(known.receipts).length === 0, 'shipment/mismatch');
    }
    return () => {
      if (!known) {
        const { shipment, taker, purpose, carrier, carrierName } = statement;
        this.shipments.set(key, {
          ...shipment,
          taker,
          purpose,
          carrier,
          carrierName,
          dispatches: [],
          deliveries: [],
          receipts: [],
        });
      }
      this.shipments.get(key).dispatches.push(record);
    };
  }

  receive(record) {
    const { statement, head } = record;
    if (statement.shipment === null) return null;
    const shipment = this.shipments.get(shipmentKey(statement.shipment));
    if (shipment?.taker !== signerIn(head, 'taker')) return null;
    return () => shipment.receipts.push(record);
  }

  carryOut({ statement }) {
    if (statement.order === null) return null;
    const order = this.orders.get(statement.order) ?? refuse('designation/order');
    demand(statement.holder === order.holder, 'designation/order');
    let carried = order.carried;
    for (const { goods, recipient, quantity } of statement.assignments) {
      const plain = goods.unit === 'stated' && goods.meantFor === null;
      demand(plain && recipient === order.recipient, 'designation/order');
      carried += quantity;
      if (this.only !== null && goods.gift !== this.only) continue;
      const line = this.gifts.get(goods.gift)?.lines.get(goods.line);
      const same = line?.item === order.item && line?.unit === order.unit;
      demand(same, 'designation/order');
    }
    demand(this.only !== null || carried <= order.quantity, 'designation/order');
    return () => {
      order.carried = carried;
    };
  }

  // 8.6

  correct(record) {
    const { statement, index } = record;
    const target = this.target(statement);
    const held = {
      statement: statement.replacement,
      subjects: record.subjects,
      standings: record.standings,
      index,
    };
    const old = this.held(target) ?? target.statement;
    const mentioned = [target.statement, old, statement.replacement].filter(
      (each) => each !== null,
    );
    const hashes = target.name === 'donation' ? [target.hash] : mentioned.flatMap(giftsIn);
    const gifts = [...new Set(hashes)]
      .sort()
      .map((hash) => this.gift(hash))
      .filter((gift) => gift !== null);
    // In part, a correction that does not touch the gift is judged by its signers alone (17.5).
    if (this.only === null || gifts.length > 0) {
      this.checkFixed(target, old, statement.replacement);
      const folded = gifts.map((gift) => this.fold(gift, target, held));
      for (const gift of folded) {
        gift.corrections.push(index);
        this.gifts.set(gift.hash, gift);
      }
      if (target.name === 'donation') this.noteLowered(folded[0], old, record);
    }
    target.held = held;
    if (target.name === 'dispatch' && statement.replacement !== null) {
      const shipment = this.shipments.get(shipmentKey(statement.replacement.shipment));
      if (shipment) shipment.carrierName = statement.replacement.carrierName;
    }
  }

  /** 8.6 step 2. */
  checkFixed(target, old, replacement) {
    const fixed = (...fields) => {
      for (const field of fields) {
        demand(sameValue(old[field], replacement[field]), 'correction/fixed');
      }
    };
    switch (target.name) {
      case 'donation':
        demand(replacement !== null, 'correction/fixed');
        fixed(
          'donor',
          'mark',
          'taker',
          'standingConsent',
          'commitments',
          'part',
          'deadline',
          'historic',
        );
        this.checkFixedLines(target, old, replacement);
        break;
      case 'dispatch': {
        if (replacement !== null) fixed('shipment', 'taker', 'purpose', 'carrier');
        const shipment = this.shipments.get(shipmentKey(target.statement.shipment));
        if (countingOf(shipment.receipts).length === 0) break;
        demand(replacement !== null && this.held(target) !== null, 'correction/rests');
        demand(sameValue(old.portions, replacement.portions), 'correction/rests');
        break;
      }
      case 'receipt':
        if (replacement !== null) fixed('shipment', 'giver', 'purpose');
        break;
      case 'delivery':
        if (replacement !== null) fixed('shipment');
        break;
      default: // Of counts, uses and disposals nothing is fixed.
    }
  }

  checkFixedLines(target, old, replacement) {
    const before = new Map(old.lines.map((line) => [line.number, line]));
    const after = new Map(replacement.lines.map((line) => [line.number, line]));
    for (const number of after.keys()) demand(before.has(number), 'correction/fixed');
    for (const [number, line] of before) {
      const now = after.get(number);
      if (now === undefined) {
        demand(line.shares.length === 0, 'correction/fixed');
        continue;
      }
      const recipients = (each) => each.shares.map(({ recipient }) => recipient);
      demand(sameValue(recipients(line), recipients(now)), 'correction/fixed');
      const grows = now.shares.some((share, i) => share.quantity > line.shares[i].quantity);
      demand(!grows, 'correction/fixed');
      const restGrowth = now.quantity - sharedOf(now) - (line.quantity - sharedOf(line));
      const growth = now.quantity - line.quantity;
      demand(restGrowth <= 0n || restGrowth <= growth, 'correction/fixed');
    }
    if (!this.gifts.get(target.hash).rested) return;
    for (const [number, line] of before) {
      const now = after.get(number);
      if (now === undefined) continue;
      const same = now.unit === line.unit && sameValue(now.pack, line.pack);
      demand(same, 'correction/rests');
    }
  }

  /** 8.6 step 3: the gift anew, with `held` in the place of the target's statement. */
  fold(gift, target, held) {
    const folded = gift.copy();
    const touches = held.statement !== null && giftsIn(held.statement).includes(gift.hash);
    if (touches && !folded.entries.includes(target.index)) {
      folded.entries = [...folded.entries, target.index].sort((a, b) => a - b);
    }
    folded.clear();
    for (const index of folded.entries) {
      const record = this.records.get(index);
      const holding = record === target ? held : record.held;
      if (holding !== null && holding.statement === null) continue;
      try {
        // A correction can bring a gift in that was not there yet at the target's place.
        demand(folded.donation !== null || record.name === 'donation', 'gift/unknown');
        applyToGift(folded, record.name, this.actOf(record, holding));
        if (record.name === 'designation') checkConsent(folded, record);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        const own = record.name === 'donation' && error.code === 'balance/overflow';
        refuse(own ? 'balance/overflow' : 'correction/rests');
      }
      if (record.name === 'donation') folded.rested = false;
    }
    return folded;
  }

  /** 8.6 step 4. */
  noteLowered(gift, old, record) {
    // In smallest units, so that a pack which is corrected shows too.
    const donated = (line) => (line ? line.quantity * contentOf(line) : 0n);
    const by = donorSigned(gift.donor, record.head) ? null : gift.donation.taker;
    for (const line of old.lines) {
      const [from, to] = [donated(line), donated(gift.lines.get(line.number))];
      if (to !== from) gift.lowered.push({ index: record.index, line: line.number, from, to, by });
    }
  }
}

/** Those of a shipment's deliveries or receipts that no correction has voided. */
const countingOf = (records) => records.filter((record) => record.held?.statement !== null);

const sameValue = (a, b) => {
  const plain = (_, value) => (typeof value === 'bigint' ? `${value}n` : value);
  return JSON.stringify(a, plain) === JSON.stringify(b, plain);
};

// ---------------------------------------------------------------------------------------------
// Section 7.3: the checks, event by event. Each gives what takes effect after the entry.

const AUTHORITY = {
  'ledger-created': (state, signers, statement, { index }) => {
    const { operator, registrars } = statement;
    const identities = [operator, ...registrars];
    for (const { key } of identities) state.newKey(key);
    // Entry 0 is signed with the keys that it brings: they are looked up in a state with them.
    const founded = new State();
    foundOn(founded, statement, index);
    signers.state = founded;
    demand(signers.operator() !== null, 'signer/missing');
    demand(signers.registrars().size === registrars.length, 'registrars/too-few');
    return () => foundOn(state, statement, index);
  },

  'party-enrolled': (state, signers, statement, { index }) => {
    const { handle, key, roles } = statement;
    demand(state.isNobodys(handle), 'party/exists');
    state.newKey(key);
    signers.newKey(handle, key);
    const vouching = signers.registrars();
    const operator = signers.operator();
    const party = { ...statement, roles: new Set(roles), successor: null, enrolledAt: index };
    const admitted = operator !== null && admittedOnly(party);
    demand(vouching.size >= 1 || admitted, 'registrars/too-few');
    party.vouchedAt = vouching.size >= state.threshold ? index : null;
    return () => {
      state.parties.set(handle, party);
      state.registerKey(key, `party ${handle}`, index);
    };
  },

  'key-added': (state, signers, { handle, key }, { index }) => {
    const party = state.party(handle);
    state.newKey(key);
    signers.newKey(handle, key);
    const self = signers.one('self');
    if (self === null) signers.enoughRegistrars();
    else demand(self.party === handle && admittedOnly(party), 'signer/wrong');
    return () => state.registerKey(key, `party ${handle}`, index);
  },

  'key-rotated': (state, signers, { handle, oldKey, key }, { index }) => {
    state.party(handle);
    state.newKey(key);
    const old = state.keyOf(`party ${handle}`, oldKey);
    signers.newKey(handle, key);
    const self = signers.own('self', handle, oldKey);
    const recovery = self === null || old.compromised !== null;
    if (recovery) signers.enoughRegistrars();
    return () => {
      state.registerKey(key, `party ${handle}`, index, recovery || old.recovered);
      state.endKey(oldKey, index);
    };
  },

  'key-revoked': (state, signers, { handle, key }, { index }) => {
    state.party(handle);
    state.keyOf(`party ${handle}`, key);
    if (signers.own('self', handle, key) === null) signers.enoughRegistrars();
    return () => state.endKey(key, index);
  },

  'key-compromised': (state, signers, { handle, key, since }) => {
    state.party(handle);
    const known = state.keys.get(key);
    demand(known?.owner === `party ${handle}`, 'key/not-of-party');
    const self = signers.one('self');
    if (self === null) signers.enoughRegistrars();
    else demand(self.party === handle, 'signer/wrong');
    return () => {
      const earlier = known.compromised;
      known.compromised = earlier === null ? since : Math.min(earlier, since);
    };
  },

  'party-updated': (state, signers, { handle, particulars, successor }, { index }) => {
    const party = state.party(handle);
    if (party.vouchedAt !== null) {
      const same = sameValue(party.particulars, particulars) && party.successor === successor;
      demand(!same, 'event/no-change');
    }
    if (successor !== null && state.only === null) state.party(successor);
    signers.enoughRegistrars();
    return () => {
      Object.assign(party, { particulars, successor });
      party.vouchedAt ??= index;
    };
  },

  'registrars-changed': (state, signers, statement, { index }) => {
    const isNew = (identity) => !sameValue(state.registrars.get(identity.handle), identity);
    const brought = statement.registrars.filter(isNew);
    for (const { handle, key } of brought) {
      const knownAsOne = state.registrars.has(handle) || state.formerRegistrars.has(handle);
      demand(knownAsOne || state.isNobodys(handle), 'party/exists');
      state.newKey(key);
      signers.newKey(handle, key);
    }
    signers.enoughRegistrars();
    return () => {
      const kept = new Set(statement.registrars.map(({ key }) => key));
      for (const { handle, key } of state.registrars.values()) {
        if (!kept.has(key)) state.endKey(key, index);
        state.formerRegistrars.add(handle);
      }
      for (const { handle, key } of brought) state.registerKey(key, `registrar ${handle}`, index);
      state.registrars = new Map(statement.registrars.map((each) => [each.handle, each]));
      state.threshold = statement.threshold;
    };
  },

  'operator-rotated': (state, signers, { key }, { index }) => {
    state.newKey(key);
    signers.newKey(state.operator.handle, key);
    signers.enoughRegistrars();
    return () => {
      state.endKey(state.operator.keys.at(-1).key, index);
      state.registerKey(key, 'operator', index);
      state.operator.keys.push({ from: index, key });
    };
  },

  'rules-changed': (state, signers, { rules }) => {
    signers.enoughRegistrars();
    return () => {
      state.rules = rules;
    };
  },

  'need-declared': (state, signers, statement, { hash }) => {
    const { party } = signers.some('recipient');
    state.role(party, 'recipient');
    return () => state.needs.set(hash, { by: party, open: true });
  },

  'need-closed': (state, signers, { need }) => {
    const known = state.needs.get(need);
    if (known === undefined || !known.open) refuse('need/unknown');
    signers.this('recipient', known.by);
    return () => {
      known.open = false;
    };
  },

  'donation': (state, signers, { donor, taker, lines }, { hash, index }) => {
    if (taker !== null) state.custody(taker);
    for (const { shares } of lines) {
      for (const { recipient } of shares) state.role(recipient, 'recipient');
    }
    let taken = null;
    if (taker !== null) {
      taken = signers.one('taker');
      demand(taken === null || taken.party === taker, 'signer/wrong');
    }
    if (donor.kind === 'enrolled') {
      state.role(donor.party, 'donor');
      signers.this('donor', donor.party);
    }
    if (donor.kind === 'slip') state.party(donor.party);
    if (donor.key !== null) {
      state.newKey(donor.key);
      if (signers.own('donor', null, donor.key) === null) refuse('signer/missing');
    }
    demand(donor.kind === 'enrolled' || taken !== null, 'signer/missing');
    return () => {
      if (donor.key !== null) state.registerKey(donor.key, `gift ${hash}`, index);
    };
  },

  'withdrawal': (state, signers, statement) => {
    const taker = signers.one('taker');
    const donor = taker === null ? signers.one('donor') : null;
    for (const hash of giftsIn(statement)) {
      const gift = state.gift(hash);
      if (gift === null) continue;
      const by = taker
        ? gift.donation.taker === taker.party
        : donor !== null && gift.donor.party === donor.party;
      demand(by, 'signer/wrong');
    }
  },

  'gift-taken-over': (state, signers, { gift: hash, donor }, { index }) => {
    const gift = state.gift(hash);
    if (gift === null) return null;
    demand(gift.donor.kind === 'slip', 'gift/take-over');
    const slip = gift.donor.key;
    if (signers.own('donor', null, slip) === null) refuse('signer/missing');
    if (donor.kind === 'one-time-key') {
      state.newKey(donor.key);
      signers.newKey(null, donor.key);
    } else if (donor.kind === 'enrolled') {
      state.role(donor.party, 'donor');
      const other = donor.party !== gift.donation.taker && donor.party !== gift.donor.party;
      demand(other, 'party/same');
      signers.this('self', donor.party);
    } else {
      refuse('gift/take-over');
    }
    return () => {
      state.endKey(slip, index);
      if (donor.key !== null) state.registerKey(donor.key, `gift ${hash}`, index);
    };
  },

  'order': (state, signers, statement, { hash }) => {
    const { party } = signers.some('coordinator');
    state.role(party, 'coordinator');
    state.party(statement.holder);
    state.role(statement.recipient, 'recipient');
    return () => state.orders.set(hash, { ...statement, carried: 0n });
  },

  'designation': (state, signers, { holder, assignments, consent }) => {
    state.party(holder);
    for (const { recipient, goods } of assignments) {
      if (state.only === null || goods.gift === state.only) state.role(recipient, 'recipient');
    }
    const coordinator = signers.one('coordinator');
    if (coordinator) state.role(coordinator.party, 'coordinator');
    else signers.this('holder', holder);
    if (consent !== 'signed') return;
    for (const { goods } of assignments) {
      const gift = state.gift(goods.gift);
      if (gift === null) continue;
      const { party, key } = gift.donor;
      if (key !== null) {
        signers.own('donor', null, key);
      } else if (party !== null) {
        const signer = signers.take((each) => each.capacity === 'donor' && each.party === party);
        if (signer) state.keyOf(`party ${party}`, signer.key);
      }
    }
    if (state.only !== null) {
      signers.left = signers.left.filter(({ capacity }) => capacity !== 'donor');
    }
  },

  'dispatch': (state, signers, { shipment, taker, purpose, carrier }) => {
    state.party(shipment.sender);
    if (purpose === 'return') state.party(taker);
    else state.custody(taker);
    if (carrier !== null) state.role(carrier, 'carrier');
    signers.this('holder', shipment.sender);
    const carried = signers.one('carrier');
    demand(carried === null || carried.party === carrier, 'signer/wrong');
  },

  'delivery': (state, signers, { shipment }) => {
    const known = state.shipments.get(shipmentKey(shipment)) ?? refuse('shipment/unknown');
    const carrier = signers.one('carrier');
    if (carrier === null) signers.this('holder', shipment.sender);
    else demand(carrier.party === known.carrier, 'signer/wrong');
  },

  'receipt': (state, signers, { shipment, giver, purpose }) => {
    const { party: taker } = signers.some('taker');
    const known = shipment && state.shipments.get(shipmentKey(shipment));
    const returned = shipment
      ? known?.taker === taker && known.purpose === 'return'
      : purpose === 'return';
    if (!returned) state.custody(taker);
    if (shipment !== null) return;
    demand(giver !== taker, 'party/same');
    signers.this('holder', giver);
  },

  'count': (state, signers) => void signers.some('holder'),
  'use': (state, signers) => void signers.some('holder'),
  'disposal': (state, signers) => void signers.some('holder'),
  'hold': (state, signers) => void signers.some('holder'),
  'release': (state, signers) => void signers.some('holder'),

  'dispute': (state, signers, statement) => speaks(state, signers, statement.gift),
  'answer': (state, signers, statement) => speaks(state, signers, statement.gift),
  'dispute-closed': (state, signers, statement) => speaks(state, signers, statement.gift),

  'correction': (state, signers, statement) => {
    const target = state.target(statement) ?? refuse('correction/target');
    const gift = target.name === 'donation' ? state.gifts.get(target.hash) : undefined;
    const tookOver = gift && gift.donor !== gift.donation.donor && gift.donor.kind === 'enrolled';
    const wanted = target.head.signers.map(({ capacity, party }) =>
      tookOver && party === null ? { capacity, party: gift.donor.party } : { capacity, party },
    );
    const taken = wanted.map(
      ({ capacity, party }) =>
        signers.take((each) => each.capacity === capacity && each.party === party) ??
        refuse('signer/missing'),
    );
    signers.end();
    for (const { party, key } of taken) {
      if (party !== null) {
        state.party(party);
        state.keyOf(`party ${party}`, key);
      } else if (gift || state.only === null) {
        state.keyOf(`gift ${target.hash}`, key);
      }
    }
  },

  'recall': (state, signers, { item, lot }, { hash }) => {
    const speaker = signers.one('speaker');
    if (speaker) state.role(speaker.party, 'maker', 'regulator');
    const by = speaker ? `party ${speaker.party}` : `registrar ${signers.oneRegistrar()}`;
    return () => state.recalls.set(hash, { item, lot, by, open: true });
  },

  'recall-lifted': (state, signers, { recall, item, lot }) => {
    const known = state.recalls.get(recall);
    const open = known?.open && known.item === item && known.lot === lot;
    if (!open) refuse('recall/unknown');
    const speaker = signers.one('speaker');
    if (speaker) {
      demand(known.by === `party ${speaker.party}`, 'signer/wrong');
    } else {
      const signed = signers.registrars();
      const itself = [...signed].some((handle) => known.by === `registrar ${handle}`);
      demand(itself || signed.size >= state.threshold, 'registrars/too-few');
    }
    return () => {
      known.open = false;
    };
  },

  'epoch-sealed': (state, signers) => {
    if (signers.operator() === null) refuse('signer/missing');
  },

  'attestation': (state, signers, { heldBy, shipment }) => {
    signers.some('speaker');
    if (heldBy !== null) state.party(heldBy);
    if (shipment !== null && state.only === null) {
      demand(state.shipments.has(shipmentKey(shipment)), 'shipment/unknown');
    }
  },
};

/** 7.3 for what is said about a gift: its own key, a party of its journey, or a registrar. */
const speaks = (state, signers, hash) => {
  const gift = state.gift(hash);
  if (gift === null) return;
  const { key } = gift.donor;
  if (key !== null && signers.own('donor', null, key) !== null) return;
  const speaker = signers.one('speaker');
  if (speaker) demand(gift.journey.has(speaker.party), 'signer/wrong');
  else signers.oneRegistrar();
};

const foundOn = (state, { origin, operator, registrars, threshold, rules }, index) => {
  Object.assign(state, { origin, threshold, rules });
  state.operator = { handle: operator.handle, keys: [{ from: index, key: operator.key }] };
  state.registerKey(operator.key, 'operator', index);
  state.registrars = new Map(registrars.map((each) => [each.handle, each]));
  for (const { handle, key } of registrars) state.registerKey(key, `registrar ${handle}`, index);
};

/** 7.2: the operator key valid for a checkpoint of this size. */
const operatorKeyAt = (state, size) => {
  const below = size < 1 ? 1 : size;
  return state.operator.keys.findLast(({ from }) => from < below)?.key ?? null;
};

// ---------------------------------------------------------------------------------------------
// Section 9: verdicts

/** The mark of an account that counts: not while goods come back, nor in opened packs (8.4). */
const countingMark = (place, mark) =>
  (place[0] === 'moving' && place[3]) || place[0] === 'opened' ? MARK_NONE : mark;

/** 21.1: how a place is written. */
const placeText = ([sort, first, second]) => {
  switch (sort) {
    case 'announced':
    case 'withdrawn':
      return sort;
    case 'rest':
      return `${first} ${second}`;
    case 'inspected':
      return `${first} pending`;
    case 'moving':
      return `moving ${first}/${second}`;
    case 'disposed':
      return `${second} ${first}`;
    default: // used, unaccounted, opened
      return `${sort} ${first}`;
  }
};

/** Quantities by place, all lines together; empty ones are left out. */
const whereabouts = (gift) => {
  const where = new Map();
  for (const { place, marks } of gift.eachAccount()) {
    const quantity = sum(marks);
    const text = placeText(place);
    if (quantity > 0n) where.set(text, (where.get(text) ?? 0n) + quantity);
  }
  return where;
};

/** 9.6: what is donated, less withdrawn and opened, plus loose pieces, by line and book. */
const dueByBook = (gift) => {
  const due = new Map();
  const add = (line, book, quantity) => {
    const key = `${line} ${book}`;
    due.set(key, (due.get(key) ?? 0n) + quantity);
  };
  for (const line of gift.lines.values()) {
    add(line.number, 'smallest', line.quantity * contentOf(line));
  }
  for (const [line, loose] of gift.loose) add(line, 'loose', loose);
  for (const { line, book, place, marks } of gift.eachAccount()) {
    if (place[0] === 'withdrawn' || place[0] === 'opened') add(line, book, -sum(marks));
  }
  return due;
};

/** The sums of 9.6 over all lines; the words for places mean what has no mark that counts. */
const sumsOf = (gift, state) => {
  const sums = {
    announced: 0n,
    moving: 0n,
    claimed: 0n,
    lost: 0n,
    disposed: 0n,
    inspected: 0n,
    restForNobody: 0n,
    restForSomebody: 0n,
    recipient: 0n,
    alone: 0n,
    otherUnit: 0n,
    short: 0n,
  };
  const reached = new Map();
  const takerSigned = signerIn(gift.record.head, 'taker') !== null;
  for (const { line, book, meantFor, place, marks } of gift.eachAccount()) {
    if (place[0] === 'unaccounted') sums.short += sum(marks);
    if (place[0] === 'withdrawn' || place[0] === 'opened') continue;
    marks.forEach((quantity, own) => {
      const mark = countingMark(place, own);
      if (mark >= STANDING.provisional) {
        sums.recipient += quantity;
        const key = `${line} ${book}`;
        reached.set(key, (reached.get(key) ?? 0n) + quantity);
      } else if (mark === MARK_ALONE) {
        sums.alone += quantity;
      } else if (mark === MARK_OTHER_UNIT) {
        sums.otherUnit += quantity;
      } else {
        addUnmarked(sums, gift, state, takerSigned, meantFor, place, quantity);
      }
    });
  }
  return { ...sums, reached };
};

const addUnmarked = (sums, gift, state, takerSigned, meantFor, place, quantity) => {
  const [sort, first, second] = place;
  switch (sort) {
    case 'announced':
      sums.announced += quantity;
      break;
    case 'moving': {
      const shipment = state.shipments.get(`${first}/${second}`);
      const alone = first === gift.donorParty && !takerSigned && !carrierAnswers(shipment);
      if (alone) {
        sums.announced += quantity;
        break;
      }
      sums.moving += quantity;
      if (countingOf(shipment.deliveries).length > 0) sums.claimed += quantity;
      break;
    }
    case 'inspected':
      sums.inspected += quantity;
      break;
    case 'rest':
      if (second === 'damaged') break;
      if (meantFor === null) sums.restForNobody += quantity;
      else sums.restForSomebody += quantity;
      break;
    case 'unaccounted':
      sums.lost += quantity;
      break;
    case 'disposed':
      if (second === 'lost') sums.lost += quantity;
      else sums.disposed += quantity;
      break;
    default: // used
      sums.disposed += quantity;
  }
};

/** 8.7: the carrier answers for a shipment if it signed every dispatch. */
const carrierAnswers = ({ carrier, dispatches }) => {
  const counting = countingOf(dispatches);
  return (
    carrier !== null &&
    counting.length > 0 &&
    counting.every(({ head }) => signerIn(head, 'carrier') === carrier)
  );
};

/** 9.6, *open*: what may still reach somebody. */
const openOf = ({ announced, moving, inspected, restForNobody, restForSomebody }) =>
  announced + moving + inspected + restForNobody + restForSomebody;

/** 9.6: the first headline that applies. */
const headlineOf = (gift, state, failed) => {
  if (failed) return 'ledger-fails';
  const due = dueByBook(gift);
  const total = sum([...due.values()]);
  const sums = sumsOf(gift, state);
  const { announced, moving, claimed, lost, disposed, recipient } = sums;
  const open = openOf(sums) > 0n;
  const inFull = [...due].every(([key, quantity]) => (sums.reached.get(key) ?? 0n) >= quantity);
  const disputed = [...gift.disputes.values()].some(({ closed }) => !closed);
  const differs = gift.sums.damaged > 0n || sums.short > 0n || disputed;
  const paper = gift.evidence.some(
    ({ evidence, by }) => evidence === 'paper-receipt' && gift.journey.has(by),
  );
  const rules = [
    ['withdrawn', total === 0n],
    ['announced-only', announced === total],
    ['lost', lost === total],
    ['disposed-of', lost + disposed === total],
    ['received-in-full', inFull && !differs],
    ['received-with-differences', inFull],
    ['received-in-part', recipient > 0n && open],
    ['received-with-differences', recipient > 0n],
    ['recorded-by-recipient-alone', sums.alone > 0n],
    ['reached-another-unit', sums.otherUnit > 0n],
    ['on-the-way', moving > claimed && !paper],
    ['claimed-not-signed', claimed > 0n || (paper && open)],
    ['being-inspected', sums.inspected > 0n],
    ['waiting-to-be-assigned', sums.restForNobody > 0n],
    ['waiting-to-be-sent', sums.restForSomebody > 0n],
    ['announced-only', announced > 0n],
    ['received-with-differences', true],
  ];
  return rules.find(([, applies]) => applies)[0];
};

// 9.4, 9.7: flags and clocks

/** The day of a record: when it happened, if known, else when it was recorded. */
const dayOfRecord = (record) => record.head.occurredOn ?? record.day;

const earliest = (records) => {
  const days = countingOf(records).map(dayOfRecord);
  return days.length > 0 ? Math.min(...days) : null;
};

const clockOf = (clocks, kind) => clocks.find((clock) => clock.kind === kind)?.days ?? null;

/** The shipments that carried goods of a gift, and whether to the party that they were for. */
const shipmentsOf = (gift, state) => {
  const shipments = new Map();
  for (const { place, meantFor } of gift.eachAccount()) {
    const [sort, sender, number, returning] = place;
    if (sort !== 'moving') continue;
    const shipment = state.shipments.get(shipmentKey({ sender, number }));
    const final = (meantFor === shipment.taker && !returning) || shipments.get(shipment) === true;
    shipments.set(shipment, final);
  }
  return shipments;
};

/** Late and overdue clocks of a gift, as of a day: { late: [kind], overdue: [kind] }. */
const clocksOf = (gift, state, day) => {
  const late = new Set();
  const overdue = new Set();
  const shipments = shipmentsOf(gift, state);
  const { deadline, historic } = gift.donation;

  if (deadline !== null) {
    const arrivals = [...shipments]
      .filter(([, final]) => final)
      .map(([{ deliveries, receipts }]) => earliest(deliveries) ?? earliest(receipts))
      .filter((each) => each !== null);
    const sums = sumsOf(gift, state);
    if (arrivals.some((each) => each > deadline)) late.add('deadline');
    else if (day > deadline && openOf(sums) > sums.claimed) overdue.add('deadline');
  }
  const slow = (record, kind) => {
    const days = clockOf(record.clocks, kind);
    const { occurredOn } = record.head;
    return days !== null && occurredOn !== null && record.day - occurredOn > days;
  };
  if (!historic) {
    if (slow(gift.record, 'disclosure')) late.add('disclosure');
    const others = gift.entries.slice(1).map((index) => state.records.get(index));
    const deliveries = [...shipments.keys()].flatMap((shipment) => shipment.deliveries);
    const filed = countingOf([...others, ...deliveries]);
    if (filed.some((record) => slow(record, 'filing'))) late.add('filing');
  }
  const days = clockOf(state.rules.clocks, 'receipt');
  for (const { deliveries, receipts } of days === null ? [] : shipments.keys()) {
    const delivered = earliest(deliveries);
    if (delivered === null) continue;
    const received = earliest(receipts);
    if (received === null && day - delivered > days) overdue.add('receipt');
    if (received !== null && received - delivered > days) late.add('receipt');
  }
  return { late: [...late], overdue: [...overdue] };
};

/** The earliest day on which records say that they happened, or null: when one was written proves
 * nothing of that. */
const earliestStated = (records) => {
  const days = countingOf(records)
    .map(({ head }) => head.occurredOn)
    .filter((day) => day !== null);
  return days.length > 0 ? Math.min(...days) : null;
};

/** Whether a receipt of a shipment says it was before the first delivery. */
const isBeforeDelivery = ({ receipts, deliveries }) => {
  const [received, delivered] = [earliestStated(receipts), earliestStated(deliveries)];
  return received !== null && delivered !== null && received < delivered;
};

const isCompromised = (record, state) =>
  record.head.signers.some(({ key }) => {
    const since = state.keys.get(key)?.compromised ?? null;
    return since !== null && since <= dayOfRecord(record);
  });

/** The flags of a gift, as of a day, and which of them are differences. */
const flagsOf = (gift, state, day, witnessed) => {
  const { late, overdue } = clocksOf(gift, state, day);
  const records = [...gift.entries, ...gift.corrections].map((index) => state.records.get(index));
  const sums = sumsOf(gift, state);
  const changed = (...kinds) => gift.changes.some(({ consent }) => kinds.includes(consent));
  const disputes = [...gift.disputes.values()];
  const isHeld = [...gift.eachAccount()].some(({ place }) => place[2] === 'on-hold');
  const recalled = [...state.recalls.values()].some(
    ({ item, lot, open }) => open && gift.had.has(JSON.stringify([item, lot])),
  );
  const shipments = [...shipmentsOf(gift, state).keys()];
  const flags = [
    ['late', late.length > 0, true],
    ['overdue', overdue.length > 0, true],
    ['receipt-before-delivery', shipments.some(isBeforeDelivery), true],
    ['damaged', gift.sums.damaged > 0n, true],
    ['short', sums.short > 0n, true],
    ['rejected', gift.sums.rejected > 0n, true],
    ['surplus', gift.sums.surplus > 0n, false],
    ['on-hold', isHeld, true],
    ['recorded-by-recipient-alone', sums.alone > 0n, true],
    ['changed-with-consent', changed('signed', 'standing', 'paper'), false],
    ['changed-without-consent', changed('none'), true],
    ['lowered', gift.lowered.length > 0, true],
    ['corrected', gift.corrections.length > 0, false],
    ['disputed', disputes.length > 0, disputes.some(({ closed }) => !closed)],
    ['recalled', recalled, true],
    ['key-compromised', records.some((record) => isCompromised(record, state)), true],
    ['unsupported-receipt', gift.unsupported.length > 0, true],
    ['suspected-duplicate', gift.donation.restates !== '', true],
    ['donor-only-recorded', gift.donor.kind === 'recorded', false],
    ['slip-not-taken-over', gift.donor.kind === 'slip', false],
    ['unwitnessed', !witnessed, false],
  ];
  const raised = flags.filter(([, holds]) => holds);
  return {
    flags: raised.map(([flag]) => flag),
    differs: raised.some(([, , difference]) => difference),
    late,
    overdue,
  };
};

/** The verdicts on all gifts, by gift id. `failedBy` says which entry failed a subject first. */
const verdictsOf = (state, failedBy, day, witnessed) => {
  const verdicts = {};
  for (const gift of state.gifts.values()) {
    const failed = failedBy.get(gift.subject) ?? null;
    verdicts[giftId(gift.hash)] = {
      headline: headlineOf(gift, state, failed !== null),
      where: Object.fromEntries(whereabouts(gift)),
      failed,
      ...flagsOf(gift, state, day, witnessed),
    };
  }
  return verdicts;
};

// ---------------------------------------------------------------------------------------------
// Section 11, steps 3 to 7: the replay

/** The links of a log as they follow from it: the newest entry about each subject (6.2). */
class Links {
  constructor() {
    this.rows = new Map();
    /** By subject: its sort, as far as an event that can be read has told. */
    this.sorts = new Map();
  }

  /** The rows of a table (16.2), as [subject, row] pairs. */
  table(sort) {
    return [...this.rows].filter(([subject]) => this.sorts.get(subject) === sort);
  }

  rowOfRoot() {
    return this.table('root')[0]?.[1] ?? null;
  }

  /** Whether an entry's links are exactly those of the subjects that it touches. */
  follow(links, subjects) {
    return (
      links.length === subjects.length &&
      links.every(({ subject, number, previous }, i) => {
        const row = this.rows.get(subject);
        if (subject !== subjects[i] || number !== (row?.number ?? 0) + 1) return false;
        if (row === undefined) return previous === null;
        return previous?.index === BigInt(row.index) && previous.leaf === row.leaf;
      })
    );
  }

  add(subjects, sorts, index, leaf) {
    for (const [subject, sort] of sorts) this.sorts.set(subject, sort);
    for (const subject of subjects) {
      const number = (this.rows.get(subject)?.number ?? 0) + 1;
      this.rows.set(subject, { number, index, leaf });
    }
  }
}

/** One entry, decoded and hashed: all that can be done before the entries before it are known. */
export const prepare = async (bytes, index, genesis, keyCheck) => {
  const prepared = { bytes, index, leaf: await leafHash(bytes), refused: null };
  try {
    prepared.entry = readEntry(bytes);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    prepared.refused = { code: 'entry/malformed', detail: error.code };
    return prepared;
  }
  const { frame } = prepared.entry;
  try {
    prepared.event = readEvent(frame);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    prepared.malformed = { code: 'event/malformed', detail: error.code };
    return prepared;
  }
  const { event, entry } = prepared;
  const message = framed(genesis, frame);
  event.index = index;
  event.kind = frame.kind;
  event.recordedAt = entry.recordedAt;
  event.hash = await sha256(CONTEXT_EVENT, message);
  event.sorts =
    event.name === null ? new Map() : await subjectsOf(event.name, event.statement, event.hash);
  event.subjects =
    event.name === null
      ? entry.links.map(({ subject }) => subject)
      : sortedUnique(event.sorts.keys());
  prepared.signed = await allSigned(event.head, frame, message, keyCheck);
  return prepared;
};

/** 11.1, step 5. */
const allSigned = async (head, frame, message, keyCheck) => {
  if (!head.signers.every(({ key }) => keyCheck.isValid(key))) return false;
  const whole = concat(CONTEXT_SIGNATURE, message);
  const codesOfAll = await Promise.all(
    head.signers.map(({ key }, i) => checkSignature(bytesOf(key), whole, frame.signatures[i])),
  );
  return codesOfAll.every((code) => code === null);
};

/** Steps 3 to 7 over all entries in turn, and what they make of them. */
export class Replay {
  constructor(state = new State()) {
    this.state = state;
    this.links = new Links();
    this.leaves = [];
    this.hashes = new Set();
    this.failures = [];
    this.unjudged = [];
    this.notUnderstood = [];
    /** By subject: the first entry that touches it and fails. */
    this.failedBy = new Map();
    this.newest = 0n;
    /** The entries after the newest accepted seal, and when the first of them was recorded. */
    this.unsealed = { count: 0, since: null };
    this.missed = false;
    /** Entry 0 fails: no key and no rule is known. */
    this.ended = false;
  }

  /** The entries of one entry bundle. */
  async addAll(entries) {
    let from = 0;
    if (this.leaves.length === 0) {
      await this.add(await prepare(entries[0], 0, ZERO_HASH, this.state.keyCheck));
      from = 1;
    }
    if (this.ended) return;
    const { genesis, keyCheck } = this.state;
    const first = this.leaves.length - from;
    const rest = entries.slice(from);
    const prepared = await Promise.all(
      rest.map((bytes, i) => prepare(bytes, first + from + i, genesis, keyCheck)),
    );
    for (const each of prepared) await this.add(each);
  }

  async add(prepared) {
    const { index, leaf, entry, event } = prepared;
    if (this.isSealMissed(prepared)) {
      const missed = { code: 'seal/missed', at: index };
      (this.notUnderstood.length > 0 ? this.unjudged : this.failures).push(missed);
    }
    if (event?.name === 'epoch-sealed') event.sealed = await this.sealNow(index);
    // Before it takes effect: what a correction touches depends on the one that it replaces.
    let touched = this.touchedBy(prepared);
    const failure = this.judge(prepared);
    // 11.3: the operator may know more of what an unjudged correction touches.
    const isOpen = failure?.unjudged && failure.code === 'links/mismatch';
    if (isOpen) touched = entry.links.map(({ subject }) => subject);
    if (failure) {
      const { code, detail, unjudged } = failure;
      (unjudged ? this.unjudged : this.failures).push({ code, at: index, detail });
      for (const subject of unjudged ? [] : touched) {
        if (!this.failedBy.has(subject)) this.failedBy.set(subject, { code, index });
      }
    } else {
      this.hashes.add(prepared.event.hash);
      if (prepared.event.name === null) this.notUnderstood.push(index);
    }
    this.links.add(touched, prepared.event?.sorts ?? [], index, leaf);
    this.noteSeal(prepared, failure);
    this.keepLeaf(index, leaf);
    if (entry && entry.recordedAt > this.newest) this.newest = entry.recordedAt;
    if (index === 0) {
      this.state.genesis = leaf;
      this.ended = failure !== null;
    }
    return { ...prepared, failure, touched };
  }

  keepLeaf(index, leaf) {
    this.leaves[index] = leaf;
  }

  /** The first of steps 3 to 7 that an entry does not pass, or null. */
  judge(prepared) {
    const { index, entry, event } = prepared;
    if (prepared.refused) return prepared.refused;
    const { frame } = entry;
    const fail = (code) => ({ code });
    if (entry.index !== BigInt(index)) return fail('chain/index');
    if (!this.isLeaf(index - 1, entry.previous)) return fail('chain/previous');
    if (entry.recordedAt < this.newest) return fail('chain/time');
    if ((frame.kind === 1) !== (index === 0)) return fail('genesis/place');
    if (prepared.malformed) return prepared.malformed;
    if (index === 0 && event.name === null) return fail('genesis/place');
    if (this.hashes.has(event.hash)) return fail('event/duplicate');
    if (!prepared.signed) return fail('signature/invalid');
    // 11.3: what follows may be the doing of an event that is not understood.
    const unjudged = this.notUnderstood.length > 0;
    const known = event.name === 'correction' && unjudged;
    if (!this.linksFollow(entry.links, event)) return { code: 'links/mismatch', unjudged: known };
    const { anchor } = event.head;
    if (anchor !== null) {
      const below = anchor.index < BigInt(index);
      const fits = below && this.isLeaf(Number(anchor.index), anchor.leaf);
      if (!fits) return fail('anchor/mismatch');
    }
    try {
      this.state.accept(event);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { code: error.code, unjudged };
    }
    return null;
  }

  // Section 16: seals

  /** 16.3: whether a seal is due before this entry and is not there; reported once. */
  isSealMissed({ entry }) {
    const { rules } = this.state;
    if (!entry || rules === null || entry.frame.kind === KIND_SEAL || this.missed) return false;
    const { sealEntries, sealSeconds } = rules;
    const { count, since } = this.unsealed;
    const elapsed = since === null ? 0n : entry.recordedAt - since;
    this.missed =
      (sealEntries !== 0 && count >= sealEntries) ||
      (sealSeconds !== 0 && elapsed > BigInt(sealSeconds) * 1000n);
    return this.missed;
  }

  noteSeal({ entry, event }, failure) {
    if (event?.name === 'epoch-sealed' && !failure) {
      this.unsealed = { count: 0, since: null };
      this.missed = false;
      return;
    }
    this.unsealed.count += 1;
    this.unsealed.since ??= entry?.recordedAt ?? null;
  }

  /** What a seal at this index says. */
  async sealNow(index) {
    const tables = [];
    for (const sort of TABLE_SORTS) {
      const rows = this.links.table(sort);
      tables.push({ rows: BigInt(rows.length), hash: await tableHash(rows) });
    }
    const root = this.links.rowOfRoot();
    const isNew = this.unsealed.count > 0;
    return {
      isNew,
      size: BigInt(index),
      root: root && { ...root, index: BigInt(root.index) },
      tables,
    };
  }

  /** Whether the entry at this index has this leaf hash; before entry 0 stand zeros. */
  isLeaf(index, leaf) {
    return leaf === (index < 0 ? ZERO_HASH : this.leaves[index]);
  }

  linksFollow(links, event) {
    return this.links.follow(links, this.state.touched(event));
  }

  /** 11.2: what an entry touches follows from its event, else from the operator's links. */
  touchedBy({ refused, malformed, entry, event }) {
    if (refused) return [];
    if (malformed) return entry.links.map(({ subject }) => subject);
    return this.state.touched(event);
  }
}

// ---------------------------------------------------------------------------------------------
// Section 11: the audit

/**
 * The audit of a log in files. `getFile(path)` gives the bytes of a file, or null if it is not
 * there; it may be asynchronous. `trustText` is the trust file, or null.
 *
 * Gives { outcome, failures, unjudged, notUnderstood, gifts, origin, size, asOf, trusted }. The
 * outcome is clean, failed, not-understood, or not-run with { code, detail }. A failure is
 * { code, at, detail }: at an entry, or at the path of a file.
 */
export const auditFiles = async (getFile, trustText = null) => {
  try {
    const getPlain = async (path) => {
      const bytes = await getFile(path);
      return bytes === null ? null : plain(bytes);
    };
    return await audit(getPlain, trustText);
  } catch (error) {
    return notRun(error);
  }
};

/** The audit of a bundle in zip form (13.3). */
export const auditBundle = async (bytes, trustText = null) => {
  try {
    const files = openZip(plain(bytes));
    const getFile = (path) => {
      const file = files.get(path);
      if (file === undefined) return null;
      try {
        return bytesOfFile(file);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return refuse('container/malformed', error.code, path);
      }
    };
    return await audit(getFile, trustText);
  } catch (error) {
    if (!(error instanceof Refusal)) return notRun(error);
    if (error.code === 'trust-file') return notRun(error);
    return report({
      failures: [{ code: 'container/malformed', at: error.at ?? 'zip', detail: error.code }],
    });
  }
};

/** An audit that could not be run: 11.4. What is no refusal is a file that cannot be read. */
const notRun = (error) => {
  const refused = error instanceof Refusal;
  return {
    outcome: 'not-run',
    code: refused ? (error.detail ?? error.code) : 'bundle/io',
    message: refused ? null : String(error?.message ?? error),
    failures: [],
    unjudged: [],
    notUnderstood: [],
    gifts: {},
  };
};

const report = ({ failures, unjudged = [], notUnderstood = [], gifts = {}, ...rest }) => {
  const found = failures.length > 0 ? 'failed' : null;
  const open = notUnderstood.length > 0 || unjudged.length > 0 ? 'not-understood' : 'clean';
  return { outcome: found ?? open, failures, unjudged, notUnderstood, gifts, ...rest };
};

const audit = async (getFile, trustText) => {
  let trust = null;
  try {
    if (trustText !== null) trust = await readTrust(trustText);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse('trust-file', error.code);
  }
  const failures = [];
  const fail = (code, at, detail) => failures.push({ code, at, detail });

  // Step 1. A checkpoint that is malformed ends the audit.
  const note = await getFile('checkpoint');
  if (note === null) refuse('bundle/missing');
  let checkpoint;
  try {
    checkpoint = readCheckpoint(note);
    demand(checkpoint.size < 2n ** 63n, 'tree/too-large');
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return report({
      failures: [{ code: 'checkpoint/malformed', at: 'checkpoint', detail: error.code }],
    });
  }
  // Beyond 2^53 no file can be there; the first that is missing ends the replay.
  const size = Number(checkpoint.size);

  // Steps 2 to 7.
  const replay = new Replay();
  let wholeReplay = true;
  for (const { path, width } of entryBundlesOf(size)) {
    const entries = await entriesOf(getFile, path, width, fail);
    if (entries === null) wholeReplay = false;
    else await replay.addAll(entries);
    if (!wholeReplay || replay.ended) break;
  }
  if (size === 0) fail('genesis/place', 'checkpoint');
  const whole = wholeReplay && !replay.ended && size > 0;
  const { state, leaves } = replay;

  // Step 1, as far as it needs entry 0.
  const named = checkpoint.origin;
  const otherName =
    (trust !== null && named !== trust.origin) || (state.origin !== null && named !== state.origin);
  if (otherName) fail('checkpoint/origin', 'checkpoint');

  // Step 8.
  const tree = await Tree.over(leaves);
  await checkTiles(getFile, tree, checkpoint, size, whole, fail);
  if (whole && (await tree.root(size)) !== checkpoint.root) fail('checkpoint/root', 'checkpoint');

  // Step 9.
  const unjudged = [...replay.unjudged];
  if (whole) {
    const refused = await checkLogSignature(checkpoint, operatorKeyAt(state, size));
    if (refused && replay.notUnderstood.length > 0) unjudged.push(refused);
    else if (refused) failures.push(refused);
  }
  const cosigned =
    trust === null ? [] : await checkTrust(trust, replay, tree, checkpoint, whole, fail);

  const day = state.rules === null ? null : asOf(replay, cosigned);
  return report({
    failures: [...replay.failures, ...failures],
    unjudged,
    notUnderstood: replay.notUnderstood,
    gifts: verdictsOf(state, replay.failedBy, day, cosigned.length > 0),
    origin: named,
    size,
    asOf: day === null ? null : dayText(day),
    trusted: trust !== null,
  });
};

/** Step 2: the entries of one bundle, or null if the replay ends before its first entry. */
const entriesOf = async (getFile, path, width, fail) => {
  const bytes = await readFile(getFile, path, fail);
  if (bytes === undefined) return null;
  if (bytes === null) {
    fail('bundle/mismatch', path, 'bundle/missing');
    return null;
  }
  try {
    return readEntryBundle(bytes, width);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    fail('bundle/mismatch', path, error.code);
    return null;
  }
};

/** A file's bytes, null if it is not there, undefined if the container refuses it. */
const readFile = async (getFile, path, fail) => {
  try {
    return await getFile(path);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    fail(error.code, error.at, error.detail);
    return undefined;
  }
};

/** Step 8. If the replay has ended early, only full tiles below its end are compared. */
const checkTiles = async (getFile, tree, checkpoint, size, whole, fail) => {
  const known = tree.levels[0].length;
  const lowest = [];
  const wrong = [];
  for (const { level, path, n, width } of tilesOf(size)) {
    const needed = (n * TILE + width) * TILE ** level;
    if (needed > known) {
      if (level > 0 || n * TILE > known) continue;
    }
    if (!whole && (width < TILE || needed > known)) continue;
    const bytes = await readFile(getFile, path, fail);
    if (bytes === undefined) continue;
    const expected = tree.tile(level, n, width);
    if (bytes === null) fail('tile/mismatch', path, 'bundle/missing');
    else if (bytes.length !== 32 * width) fail('tile/mismatch', path, 'bundle/wrong-length');
    else if (!sameBytes(bytes, concat(...expected.map(bytesOf)))) wrong.push({ level, n, path });
    if (level === 0 && bytes?.length === 32 * width) {
      for (let i = 0; i < width; i++) lowest.push(hexOf(bytes.subarray(32 * i, 32 * i + 32)));
    }
  }
  const leafTiles = wrong.filter(({ level }) => level === 0);
  const committed =
    whole &&
    leafTiles.length > 0 &&
    lowest.length === size &&
    (await (await Tree.over(lowest)).root(size)) === checkpoint.root;
  const bundles = [...(committed ? entryBundlesOf(size) : [])];
  for (const { level, n, path } of wrong) {
    if (!committed) fail('tile/mismatch', path);
    else if (level === 0) fail('bundle/mismatch', bundles[n].path);
  }
};

/** Step 9: the refusal, or null. */
const checkLogSignature = async (checkpoint, operatorKey) => {
  const refused = (detail) => ({ code: 'checkpoint/signature', at: 'checkpoint', detail });
  try {
    const key = await verifierKey(checkpoint.origin, TYPE_NOTE, operatorKey);
    const signed = await signersOf(checkpoint.note, [key]);
    return signed.length > 0 ? null : refused();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return refused(error.code);
  }
};

/** Steps 10 to 12. Gives the times of the witnesses' cosignatures. */
const checkTrust = async (trust, replay, tree, checkpoint, whole, fail) => {
  const { state, leaves } = replay;
  if (leaves.length > 0) {
    if (leaves[0] !== trust.genesis) fail('trust/genesis', 0);
    const first = state.operator.keys[0]?.key;
    if (first !== undefined && first !== trust.operator.key) fail('trust/operator', 0);
  }
  const seen = trust.checkpoint;
  if (seen !== null && (whole || seen.size <= BigInt(leaves.length))) {
    const fits =
      seen.size <= checkpoint.size &&
      (await tree.root(Number(seen.size))) === seen.root &&
      state.origin !== null &&
      (await checkLogSignature(seen, operatorKeyAt(state, Number(seen.size)))) === null;
    if (!fits) fail('trust/checkpoint', 'checkpoint');
  }
  if (!whole) return [];
  try {
    const signed = await signersOf(
      checkpoint.note,
      trust.policy.witnesses.map(({ key }) => key),
    );
    const cosigned = new Set(signed.map(({ key }) => key.key));
    if (!isSatisfied(trust.policy, cosigned)) fail('trust/policy', 'checkpoint');
    return signed.map(({ time }) => time);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    fail('trust/policy', 'checkpoint', error.code);
    return [];
  }
};

/** 9.1: the day as of which verdicts are: of the newest cosignature, else of the last record. */
const asOf = (replay, cosigned) => {
  const seconds = cosigned.reduce((newest, time) => (time > newest ? time : newest), 0n);
  const moment = cosigned.length > 0 ? seconds * 1000n : replay.newest;
  return dayOf(moment, replay.state.rules.offsetMinutes);
};

// ---------------------------------------------------------------------------------------------
// Section 21.2: single values, for test vectors

/** A value of a type of 21.2 from its bytes: { value } or { code }. */
export const readValue = (type, bytes) => {
  try {
    return { value: decode(bytes, valueReader(type)) };
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code };
    throw error;
  }
};

/** A typed value of 21.2 from its text form. */
export const readTyped = (type, text) => {
  try {
    if (type === 'day-text') return { value: dayText(parseDay(text)) };
    if (type === 'gift-id') return { value: giftId(parseGiftId(text)) };
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code };
    throw error;
  }
  throw new TypeError(`no such type: ${type}`);
};

const valueReader = (type) => {
  const simple = {
    'handle': (r) => r.handle(),
    'opt u16': (r) => r.opt((r) => r.u16()),
    'bool': (r) => r.bool(),
    'u64': (r) => r.u64(),
    'day': (r) => dayText(r.day()),
    'role': (r) => r.code(ROLE),
    'frame': (r) => readFrame(r).kind,
    'public-key': (r) => {
      const bytes = r.take(32);
      const code = checkPublicKey(bytes);
      return code === null ? hexOf(bytes) : refuse(code);
    },
  };
  if (Object.hasOwn(simple, type)) return simple[type];
  const text = /^text (\d+)$/.exec(type);
  if (text) return (r) => r.text(Number(text[1]));
  const list = /^list (\d+) of (.+)$/.exec(type);
  if (list) {
    const item = valueReader(list[2]);
    const key = (value) => [list[2] === 'role' ? ROLE.number.get(value) : value];
    return (r) => r.list(Number(list[1]), item, key);
  }
  for (const { name, read } of KINDS.values()) if (name === type) return read;
  throw new TypeError(`no such type: ${type}`);
};

// ---------------------------------------------------------------------------------------------
// Section 16: seals

const KIND_SEAL = 64;
const NO_ROWS = ZERO_HASH;
const TABLE_SORTS = ['party', 'gift', 'lot', 'shipment', 'statement'];

/** Whether a seal says what follows from the entries before it. */
const checkSealed = (stated, sealed) => {
  demand(sealed.isNew, 'seal/nothing-new');
  for (const member of ['size', 'root', 'tables']) {
    demand(sameValue(stated[member], sealed[member]), 'seal/mismatch');
  }
};

const rowHash = (subject, { number, index, leaf }) =>
  sha256(CONTEXT_ROW, bytesOf(subject), u32(number), u64(index), bytesOf(leaf));

const bitOf = (subject, depth) => (parseInt(subject[depth >> 2], 16) >> (3 - (depth & 3))) & 1;

/** 16.2: the hash of a table of [subject, row] pairs, which share their first `depth` bits. */
const tableHash = async (rows, depth = 0) => {
  if (rows.length === 0) return NO_ROWS;
  if (rows.length === 1) return rowHash(...rows[0]);
  const side = (bit) =>
    tableHash(
      rows.filter(([subject]) => bitOf(subject, depth) === bit),
      depth + 1,
    );
  return nodeHash(await side(0), await side(1));
};

/**
 * 16.4: whether a proof shows, under the hash of a table with so many rows, the claimed row of each
 * subject, or null for none. `claims` is [subject, row or null] pairs. Refuses under seal-path/*.
 */
const checkRows = async (bytes, claims, table) => {
  const reader = new Reader(bytes);
  const take = (count) => {
    if (count > bytes.length - reader.at) refuse('seal-path/truncated');
    return reader.take(count);
  };
  const distinct = new Set(claims.map(([subject]) => subject)).size === claims.length;
  demand(claims.length > 0 && distinct, 'seal-path/contradicted');

  /** A node: its hash, and how many rows it has: 0, 1 or 2 for more. */
  const node = async (wanted, prefix) => {
    const depth = prefix.length;
    const rows = wanted.filter(([, row]) => row !== null);
    switch (take(1)[0]) {
      case 0:
        demand(rows.length === 0, 'seal-path/contradicted');
        return { hash: NO_ROWS, rows: 0 };
      case 1:
        demand(rows.length === 1, 'seal-path/contradicted');
        return { hash: await rowHash(...rows[0]), rows: 1 };
      case 2: {
        const subject = hexOf(take(32));
        const other = new Reader(take(44));
        const row = { number: other.u32(), index: other.u64(), leaf: other.hash() };
        demand(rows.length === 0, 'seal-path/contradicted');
        const placed = prefix.every((bit, i) => bitOf(subject, i) === bit);
        const claimed = wanted.some(([each]) => each === subject);
        demand(placed && !claimed, 'seal-path/misplaced');
        return { hash: await rowHash(subject, row), rows: 1 };
      }
      case 3: {
        demand(depth < 256, 'seal-path/too-deep');
        const sides = [];
        for (const bit of [0, 1]) {
          const here = wanted.filter(([subject]) => bitOf(subject, depth) === bit);
          if (here.length > 0) {
            sides.push(await node(here, [...prefix, bit]));
          } else {
            const hash = hexOf(take(32));
            // How many rows a mere hash stands for is not shown, but for none.
            sides.push({ hash, rows: hash === NO_ROWS ? 0 : 2 });
          }
        }
        const few = sides.some(({ rows }) => rows === 0) && sides.every(({ rows }) => rows < 2);
        demand(!few, 'seal-path/not-compact');
        return { hash: await nodeHash(sides[0].hash, sides[1].hash), rows: 2 };
      }
      default:
        return refuse('seal-path/node');
    }
  };

  const root = await node(claims, []);
  demand(reader.at === bytes.length, 'seal-path/trailing');
  const rows = table.rows > 2n ? 2 : Number(table.rows);
  demand(root.hash === table.hash && root.rows === rows, 'seal-path/root');
};

// ---------------------------------------------------------------------------------------------
// Section 18.4: audit statements

const readAuditStatement = (bytes) => {
  const note = readNote(bytes);
  const lines = note.text.split('\n');
  demandVersion('giftproof audit statement v1', lines, 'audit-statement');
  demand(lines.length === 8, 'audit-statement/structure');
  const [, origin, size, root, outcome, differences, endedAt] = lines;
  let checkpoint;
  try {
    checkpoint = readCheckpointText([origin, size, root]);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse('audit-statement/checkpoint');
  }
  demand(outcome === 'clean', 'audit-statement/outcome');
  for (const number of [differences, endedAt]) {
    demand(isDecimal(number), 'audit-statement/number');
  }
  return { note, ...checkpoint, differences: BigInt(differences), endedAt: BigInt(endedAt) };
};

// ---------------------------------------------------------------------------------------------
// Section 17: proof files

const PROOF_MAGIC = 'giftproof-proof/v1\n';
const PROOF_LEN_MAX = 67_108_864;
const ABOUT = codes({ 1: 'gift', 2: 'absence' });

const isProof = (bytes) =>
  bytes.length >= PROOF_MAGIC.length &&
  sameBytes(bytes.subarray(0, PROOF_MAGIC.length), utf8(PROOF_MAGIC));

/** Whether bytes are a proof file of a higher version. */
const isNewerProof = (bytes) => {
  const end = bytes.subarray(0, 64).indexOf(0x0a);
  const line = String.fromCharCode(...bytes.subarray(0, Math.max(end, 0)));
  return isNewer(PROOF_MAGIC.trimEnd(), line);
};

/** 17.1. */
const readProof = (bytes) => {
  demand(bytes.length <= PROOF_LEN_MAX, 'encoding/too-long');
  const readCounted = (count, read) => Array.from({ length: count }, read);
  return decode(bytes, (r) => {
    demand(isProof(bytes), 'proof-file/magic');
    r.take(PROOF_MAGIC.length);
    const about = r.code(ABOUT);
    const proof = {
      about,
      gift: hexOf(r.take(about === 'gift' ? 32 : 20)),
      checkpoint: r.take(r.u32()),
      seal: r.opt((r) => r.u64()),
    };
    // Counts are not trusted: each item is read, and found missing, before the next is made room for.
    const many = (count, read) => {
      const items = [];
      for (let i = 0; i < count; i++) items.push(read());
      return items;
    };
    proof.entries = many(r.u32(), () => {
      const length = r.u16();
      demand(length >= 59, 'encoding/truncated');
      return r.take(length);
    });
    proof.tree = many(r.u32(), () => r.hash());
    proof.tables = readCounted(TABLES.length, () => r.take(r.u32()));
    const audits = r.u8();
    demand(audits <= 16, 'list/too-long');
    proof.audits = many(audits, () => ({
      statement: r.take(r.u32()),
      path: many(r.u8(), () => r.hash()),
    }));
    return proof;
  });
};

/** The replay in part (17.5): steps 3 to 7 over some of the entries of a log. */
export class PartReplay extends Replay {
  constructor(only) {
    super(new State(only));
    this.known = new Map();
  }

  keepLeaf(index, leaf) {
    this.known.set(index, leaf);
  }

  /** Compared only if the entry is in the file. */
  isLeaf(index, leaf) {
    const known = index < 0 ? ZERO_HASH : this.known.get(index);
    return known === undefined || known === leaf;
  }

  /** The seals between are not in the file. */
  isSealMissed() {
    return false;
  }

  /** Links are compared as a whole, by step 4 of 17.4. */
  linksFollow() {
    return true;
  }
}

/**
 * A proof file about a gift, or about there being none (17). `trustText` is the trust file.
 *
 * Gives { outcome, code, detail, at, ... }. The outcome is verified; failed, with the code of the
 * check of 17.4, or with the failures of the log itself; not-understood; or not-read, if file or
 * trust file could not be read. Beside it stand about, gift, level, asOf, seal, verdict,
 * journey, afterSeal, failures, witnesses and audits.
 */
export const verifyProof = async (bytes, trustText) => {
  let trust;
  try {
    trust = await readTrust(typeof trustText === 'string' ? trustText : plain(trustText));
  } catch (error) {
    return { outcome: 'not-read', code: error instanceof Refusal ? error.code : 'bundle/io' };
  }
  try {
    return await checkProof(plain(bytes), trust);
  } catch (error) {
    if (!(error instanceof Refusal)) return { outcome: 'not-read', code: 'bundle/io' };
    return { outcome: 'failed', code: error.code, detail: error.detail, at: error.at };
  }
};

const checkProof = async (bytes, trust) => {
  // Check 1: bytes and checkpoint.
  if (isNewerProof(bytes)) refuse('proof-file/newer-version', 'proof-file/magic');
  const proof = under('proof-file/malformed', () => readProof(bytes));
  const checkpoint = under('checkpoint/malformed', () => readCheckpoint(proof.checkpoint));
  demand(checkpoint.origin === trust.origin, 'checkpoint/origin');
  demand(checkpoint.size < 2n ** 53n, 'checkpoint/malformed');
  const size = Number(checkpoint.size);

  // Check 2: entries in order, from the trusted entry 0 on.
  const frames = proof.entries.map((entry) => under('entry/malformed', () => readEntry(entry)));
  demand(frames.length > 0, 'proof-file/entry-order');
  for (const [i, { index }] of frames.entries()) {
    const follows = i === 0 ? index === 0n : index > frames[i - 1].index;
    demand(follows && index < checkpoint.size, 'proof-file/entry-order', Number(index));
  }
  demand((await leafHash(proof.entries[0])) === trust.genesis, 'trust/genesis', 0);
  const founding = await prepare(proof.entries[0], 0, ZERO_HASH, new KeyCheck());
  const { statement } = founding.event ?? {};
  demand(statement?.operator?.key === trust.operator.key, 'trust/operator', 0);

  // Check 3: the replay in part.
  const isAbsence = proof.about === 'absence';
  const replay = new PartReplay(isAbsence ? '' : proof.gift);
  const entries = [await replay.add(founding)];
  for (let i = 1; i < frames.length && !replay.ended; i++) {
    const { genesis, keyCheck } = replay.state;
    const index = Number(frames[i].index);
    entries.push(await replay.add(await prepare(proof.entries[i], index, genesis, keyCheck)));
  }
  const gift = replay.state.gifts.get(proof.gift) ?? null;
  const ofThatId = entries.some(
    ({ event, failure }) =>
      event?.name === 'donation' && !failure && event.hash.startsWith(proof.gift),
  );
  demand(isAbsence ? !ofThatId : gift !== null, 'proof-file/gift');

  // Checks 4 and 5: the links of its subjects, and that these are their entries.
  const scope = await scopeOf(proof, entries, replay.state);
  const chains = checkChains(scope, entries);
  checkEntries(proof, scope, entries);

  // Checks 6 and 7: the seal, and the place in the tree.
  const seal = checkSeal(proof, entries, replay.state);
  if (seal) await checkSealRows(proof, scope, chains, seal);
  await checkPlace(proof, scope, entries, chains, seal, checkpoint);

  // Check 8: who signed the checkpoint.
  const wrong = await checkLogSignature(checkpoint, operatorKeyAt(replay.state, size));
  if (wrong) refuse('checkpoint/signature', wrong.detail ?? 'note/no-known-signature');
  const witnesses = await checkWitnesses(trust, checkpoint);
  if (trust.checkpoint !== null && trust.checkpoint.size === checkpoint.size) {
    demand(trust.checkpoint.root === checkpoint.root, 'trust/checkpoint');
  }

  // Check 9: audit statements.
  const audits = await checkAudits(proof, trust, checkpoint);
  const covers = audits.some((each) => each.known && seal && each.size > BigInt(seal.index));

  const level = seal ? (covers ? 'audited' : 'complete') : 'included';
  const { rules } = replay.state;
  const moment = (ms) => dayText(dayOf(ms, rules.offsetMinutes));
  const day = asOf(
    replay,
    witnesses.map(({ time }) => time),
  );
  const verdicts = verdictsOf(replay.state, replay.failedBy, day, witnesses.length > 0);
  const failed = replay.failures.length > 0 ? 'failed' : null;
  const open = replay.notUnderstood.length > 0 || replay.unjudged.length > 0;
  return {
    outcome: failed ?? (open ? 'not-understood' : 'verified'),
    code: failed && replay.failures[0].code,
    about: proof.about,
    gift: giftId(proof.gift),
    level,
    origin: checkpoint.origin,
    size,
    asOf: dayText(day),
    seal: seal && { index: seal.index, recordedAt: momentText(seal.entry.recordedAt) },
    verdict: gift && verdicts[giftId(proof.gift)],
    journey: journeyOf(entries, scope, replay.state, gift, moment),
    afterSeal: seal ? entries.map(({ index }) => index).filter((index) => index > seal.index) : [],
    failures: replay.failures,
    unjudged: replay.unjudged,
    notUnderstood: replay.notUnderstood,
    witnesses,
    audits,
  };
};

/** A moment in UTC, to the second. */
const momentText = (ms) => {
  const moment = new Date(Number(ms));
  if (Number.isNaN(moment.getTime())) return `${ms} ms`;
  return moment.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC');
};

/** What the donor sees: the gift's entries, what these correct, and deliveries of its shipments. */
const journeyOf = (entries, scope, state, gift, moment) => {
  const shipments = gift ? [...shipmentsOf(gift, state).keys()] : [];
  const delivered = new Set(
    shipments.flatMap(({ deliveries }) => countingOf(deliveries).map(({ index }) => index)),
  );
  const mine = entries.filter(({ touched }) => touched.includes(scope.gift));
  const corrected = new Set(mine.map(({ event }) => Number(event?.statement?.targetIndex)));
  return entries
    .filter((each) => mine.includes(each) || corrected.has(each.index) || delivered.has(each.index))
    .map(({ index, entry, event, failure }) => ({
      index,
      name: event?.name ?? null,
      statement: event?.statement ?? null,
      signers: event ? event.head.signers.map(({ party, capacity }) => ({ party, capacity })) : [],
      occurredOn: event?.head.occurredOn == null ? null : dayText(event.head.occurredOn),
      recordedOn: moment(entry.recordedAt),
      failed: failure?.code ?? null,
    }));
};

// 17.2: what is in a proof

const ROOT_KINDS = new Set(
  [...KINDS].filter(([number]) => number <= 10).map(([, { name }]) => name),
);

/** The parties that an event's statement names, as far as the gift is concerned. */
const namedParties = (name, statement, gift) => {
  switch (name) {
    case 'donation':
      return [
        statement.donor.party,
        statement.taker,
        ...statement.lines.flatMap(({ shares }) => shares.map(({ recipient }) => recipient)),
      ];
    case 'gift-taken-over':
      return [statement.donor.party];
    case 'order':
      return [statement.holder, statement.recipient];
    case 'designation': {
      const mine = statement.assignments.filter(({ goods }) => goods.gift === gift);
      return [statement.holder, ...mine.map(({ recipient }) => recipient)];
    }
    case 'dispatch':
      return [statement.shipment.sender, statement.taker, statement.carrier];
    case 'delivery':
      return [statement.shipment.sender];
    case 'receipt':
      return [statement.shipment?.sender ?? null, statement.giver];
    case 'attestation':
      return [statement.heldBy];
    case 'correction':
      return statement.replacement === null
        ? []
        : namedParties(statement.kind, statement.replacement, gift);
    default:
      return [];
  }
};

/** The statement that an event brings, seen through a correction: [name, statement] or null. */
const broughtBy = ({ name, statement }) => {
  if (name !== 'correction') return [name, statement];
  return statement.replacement === null ? null : [statement.kind, statement.replacement];
};

/**
 * The subjects of a proof, by hash, with the table that has their rows; and the further entries,
 * by index. `gift` is the hash of its subject.
 */
export const scopeOf = async (proof, entries, state) => {
  const gift = await giftSubject(proof.gift);
  const root = await rootSubject();
  const subjects = new Map([
    [root, 'root'],
    [gift, 'gift'],
  ]);
  const scope = { gift, root, subjects, further: new Set(), missing: [] };
  if (proof.about === 'absence') return scope;

  const readable = entries.filter(({ event }) => event?.name);
  const mine = readable.filter(({ touched }) => touched.includes(gift));
  const lot = async (item, number) => {
    subjects.set(await lotSubject(item, number), 'lot');
    subjects.set(await lotSubject(item, ''), 'lot');
  };
  for (const { event, failure } of mine) {
    const brought = broughtBy(event);
    if (brought === null) continue;
    const [name, statement] = brought;
    if ((name === 'dispatch' || name === 'receipt') && statement.shipment !== null) {
      subjects.set(await shipmentSubject(statement.shipment), 'shipment');
    }
    if (failure) continue;
    for (const line of name === 'donation' ? statement.lines : []) {
      await lot(line.item, '');
      for (const { number } of line.lots) await lot(line.item, number);
    }
    for (const { goods, actual } of name === 'receipt' ? statement.arrivals : []) {
      if (goods.gift === proof.gift && actual) await lot(actual.item, actual.lot);
    }
  }

  // Further entries: the orders that are cited, and what is corrected.
  const reached = readable.filter(({ touched }) => touched.some((each) => subjects.has(each)));
  const byHash = new Map(readable.map((each) => [each.event.hash, each.index]));
  const orders = new Map();
  for (const { event, entry, index } of reached) {
    if (
      event.name === 'designation' &&
      event.statement.order !== null &&
      mine.some((each) => each.index === index)
    ) {
      const order = byHash.get(event.statement.order);
      if (order !== undefined) scope.further.add(order);
      else orders.set(await statementSubject(event.statement.order), entry);
    }
    if (event.name === 'correction') {
      const target = Number(event.statement.targetIndex);
      if (target < index) scope.further.add(target);
    }
  }
  // An order that is in the log was the first entry about itself.
  for (const [subject, entry] of orders) {
    const link = entry.links.find((each) => each.subject === subject);
    if (link && link.number > 1) scope.missing.push(subject);
  }

  // The parties that sign these entries, or that their statements name.
  for (const { event, touched, index } of readable) {
    const inScope = touched.some((each) => subjects.has(each)) || scope.further.has(index);
    const counts =
      !ROOT_KINDS.has(event.name) &&
      event.name !== 'epoch-sealed' &&
      !(event.name === 'attestation' && !touched.includes(gift));
    if (!inScope || !counts) continue;
    const signing = event.head.signers
      .filter(({ capacity }) => capacity !== 'registrar' && capacity !== 'operator')
      .map(({ party }) => party);
    for (const party of [...signing, ...namedParties(event.name, event.statement, proof.gift)]) {
      if (party !== null) subjects.set(await partySubject(party), 'party');
    }
  }
  return scope;
};

// 17.4, check 4

/** By subject: its entries, in order, as its links name them. */
const checkChains = (scope, entries) => {
  const chains = new Map([...scope.subjects.keys()].map((subject) => [subject, []]));
  for (const { entry, touched, index, leaf } of entries) {
    if (!entry) continue;
    const linked = new Set(entry.links.map(({ subject }) => subject));
    const complete = touched.every((subject) => !chains.has(subject) || linked.has(subject));
    demand(complete, 'proof-file/chain', index);
    for (const { subject, number, previous } of entry.links) {
      const chain = chains.get(subject);
      if (chain === undefined) continue;
      demand(touched.includes(subject), 'proof-file/chain', index);
      const before = chain.at(-1);
      const follows =
        number === chain.length + 1 &&
        (before === undefined
          ? previous === null
          : previous?.index === BigInt(before.index) && previous.leaf === before.leaf);
      demand(follows, 'proof-file/chain', index);
      chain.push({ number, index, leaf });
    }
  }
  return chains;
};

// 17.4, check 5

const checkEntries = (proof, scope, entries) => {
  const present = new Set(entries.map(({ index }) => index));
  for (const { index, touched } of entries) {
    const wanted =
      touched.some((subject) => scope.subjects.has(subject)) ||
      scope.further.has(index) ||
      (proof.seal !== null && BigInt(index) === proof.seal);
    demand(wanted, 'proof-file/entry-extra', index);
  }
  demand(scope.missing.length === 0, 'proof-file/entry-missing');
  for (const index of [...scope.further, ...(proof.seal === null ? [] : [Number(proof.seal)])]) {
    demand(present.has(index), 'proof-file/entry-missing', index);
  }
};

// 17.4, check 6

/** The row that follows for a subject from its entries before the seal, or null. */
const rowBefore = (chain, seal) => chain.findLast(({ index }) => index < seal) ?? null;

const checkSeal = ({ about, seal, tables }, entries, state) => {
  if (seal === null) {
    demand(about === 'gift', 'proof-file/seal');
    demand(
      tables.every(({ length }) => length === 0),
      'proof-file/rows',
    );
    return null;
  }
  const sealed = entries.find(({ index }) => BigInt(index) === seal);
  const { event, index } = sealed;
  // What else is wrong with its entry is a failure of the log, and does not make it no seal.
  const holds =
    event?.name === 'epoch-sealed' &&
    sealed.failure?.code !== 'signature/invalid' &&
    event.statement.size === seal;
  demand(holds, 'proof-file/seal', index);
  const signer = event.head.signers.length === 1 ? event.head.signers[0] : null;
  const { handle } = state.operator;
  const operator = signer?.capacity === 'operator' && signer.party === handle;
  demand(operator && signer.key === operatorKeyAt(state, index), 'proof-file/seal', index);
  return { index, statement: event.statement, entry: sealed.entry };
};

/** The rows of all subjects under the seal, and none beside. */
const checkSealRows = async (proof, scope, chains, seal) => {
  const { root, tables } = seal.statement;
  const rootRow = rowBefore(chains.get(scope.root), seal.index);
  const same =
    rootRow !== null &&
    root.number === rootRow.number &&
    root.index === BigInt(rootRow.index) &&
    root.leaf === rootRow.leaf;
  demand(same, 'proof-file/rows', seal.index);
  for (const [i, table] of TABLE_SORTS.entries()) {
    const claims = [...scope.subjects]
      .filter(([, sort]) => sort === table)
      .map(([subject]) => [subject, rowBefore(chains.get(subject), seal.index)]);
    if (claims.length === 0) {
      demand(proof.tables[i].length === 0, 'proof-file/rows', seal.index);
      continue;
    }
    try {
      await checkRows(proof.tables[i], claims, tables[i]);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refuse('proof-file/rows', error.code, seal.index);
    }
  }
};

// 17.3, 17.4 check 7

const checkPlace = async (proof, scope, entries, chains, seal, checkpoint) => {
  const named = new Set();
  const name = ({ index, leaf }) => named.add(`${index} ${leaf}`);
  for (const { entry } of entries) {
    // An entry is named by what came after it.
    const earlier = ({ previous }) => previous && previous.index < entry.index;
    for (const { previous } of (entry?.links ?? []).filter(earlier)) name(previous);
  }
  if (seal) {
    for (const chain of chains.values()) {
      const row = rowBefore(chain, seal.index);
      if (row) name(row);
    }
  }
  const newest = chains.get(scope.gift).at(-1)?.index;
  const shown = entries.filter(
    ({ index, leaf }) =>
      index === newest || index === seal?.index || !named.has(`${index} ${leaf}`),
  );
  let used = 0;
  const rootOf = async (lo, hi, here) => {
    if (here.length === 0) {
      if (used === proof.tree.length) refuse('proof-file/tree', 'proof/too-short');
      used += 1;
      return proof.tree[used - 1];
    }
    if (hi - lo === 1n) return here[0].leaf;
    let half = 1n;
    while (2n * half < hi - lo) half *= 2n;
    const middle = lo + half;
    const left = here.filter(({ index }) => BigInt(index) < middle);
    const right = here.filter(({ index }) => BigInt(index) >= middle);
    return nodeHash(await rootOf(lo, middle, left), await rootOf(middle, hi, right));
  };
  const root = await rootOf(0n, checkpoint.size, shown);
  if (used < proof.tree.length) refuse('proof-file/tree', 'proof/too-long');
  if (root !== checkpoint.root) refuse('proof-file/tree', 'proof/root');
};

// 17.4, checks 8 and 9

const checkWitnesses = async (trust, checkpoint) => {
  const { policy } = trust;
  let signed;
  try {
    signed = await signersOf(
      checkpoint.note,
      policy.witnesses.map(({ key }) => key),
    );
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse('trust/policy', error.code);
  }
  demand(isSatisfied(policy, new Set(signed.map(({ key }) => key.key))), 'trust/policy');
  return signed.map(({ key, time }) => {
    const { name } = policy.witnesses.find((each) => each.key.key === key.key);
    return { name, time };
  });
};

const checkAudits = async (proof, trust, checkpoint) => {
  const audits = [];
  for (const { statement: bytes, path } of proof.audits) {
    try {
      const statement = readAuditStatement(bytes);
      const signed = await signersOf(statement.note, trust.auditors);
      if (signed.length > 0) {
        demand(statement.origin === checkpoint.origin, 'checkpoint/origin');
        const { size, root } = statement;
        const code = await checkConsistency(size, checkpoint.size, root, checkpoint.root, path);
        if (code !== null) refuse(code);
      }
      const names = signed.length > 0 ? signed.map(({ key }) => key) : statement.note.signatures;
      const { size, endedAt, differences } = statement;
      audits.push({
        known: signed.length > 0,
        names: names.map(({ name }) => name),
        size,
        endedAt,
        differences,
      });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refuse('proof-file/audit', error.code);
    }
  }
  return audits;
};

// ---------------------------------------------------------------------------------------------
// Vendored: @noble/ed25519 3.2.0, as published but for its export line, which is a return here.
//
// The MIT License (MIT)
//
// Copyright (c) 2019 Paul Miller (https://paulmillr.com)
//
// Permission is hereby granted, free of charge, to any person obtaining a copy
// of this software and associated documentation files (the “Software”), to deal
// in the Software without restriction, including without limitation the rights
// to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
// copies of the Software, and to permit persons to whom the Software is
// furnished to do so, subject to the following conditions:
//
// The above copyright notice and this permission notice shall be included in
// all copies or substantial portions of the Software.
//
// THE SOFTWARE IS PROVIDED “AS IS”, WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
// IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
// FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
// AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
// LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
// OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
// THE SOFTWARE.
// prettier-ignore
const ed25519 = (() => {
/*! noble-ed25519 - MIT License (c) 2019 Paul Miller (paulmillr.com) */
/**
 * 5KB JS implementation of ed25519 EdDSA signatures.
 * Targets RFC8032, FIPS 186-5, and ZIP215 behavior.
 * @module
 * @example
 * ```js
import * as ed from '@noble/ed25519';
(async () => {
  const secretKey = ed.utils.randomSecretKey();
  const message = Uint8Array.from([0xab, 0xbc, 0xcd, 0xde]);
  const pubKey = await ed.getPublicKeyAsync(secretKey); // Sync methods are also present
  const signature = await ed.signAsync(message, secretKey);
  const isValid = await ed.verifyAsync(signature, message, pubKey);
})();
```
 */
/**
 * Curve params. edwards25519 uses the RFC equation `-x² + y² = 1 + dx²y²`.
 * The stored `a` literal below is `p - 1`, i.e. the field-element encoding of RFC `a = -1`.
 * * P = `2n**255n - 19n` // field over which calculations are done
 * * N = `2n**252n + 27742317777372353535851937790883648493n` // prime-order subgroup order
 * * h = 8 // cofactor
 * * a = `Fp.create(BigInt(-1))` // equation param, stored here as `p - 1`
 * * d = -121665/121666 a.k.a. `Fp.neg(121665 * Fp.inv(121666))` // equation param
 * * Gx, Gy are coordinates of Generator / base point
 *
 * Mirror noble-curves: Point.CURVE() exposes shared params, but callers must not be able to mutate
 * that shared view and desynchronize it from the arithmetic constants captured below.
 */
const freeze = Object.freeze;
const P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffedn;
const N = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3edn;
const _d = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;
const Gx = 0x216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51an;
const Gy = 0x6666666666666666666666666666666666666666666666666666666666666658n;
const _a = P - 1n; // field-element encoding of RFC `a = -1`
const ed25519_CURVE = freeze({
    p: P,
    n: N,
    h: 8n,
    a: _a,
    d: _d,
    Gx,
    Gy,
});
// Shared 32-byte encoded width for Ed25519 points, scalars, signatures/2, and keys. Named LEN
// rather than RFC 8032's `L`, which names the group order (stored here as `N`).
const LEN = 32;
// Helpers and Precomputes sections are reused between libraries
// ## Helpers
// ----------
/** Checks if something is Uint8Array. Be careful: nodejs Buffer will return true. */
const isBytes = (a) => {
    // Plain `instanceof Uint8Array` is too strict for some Buffer / proxy / cross-realm cases.
    // The fallback still requires a real ArrayBuffer view, so plain
    // JSON-deserialized `{ constructor: ... }` spoofing is rejected, and
    // `BYTES_PER_ELEMENT === 1` keeps the fallback on byte-oriented views.
    return (a instanceof Uint8Array ||
        (ArrayBuffer.isView(a) &&
            a.constructor.name === 'Uint8Array' &&
            a.BYTES_PER_ELEMENT === 1));
};
/** Asserts something is Bytes. */
const abytes = (value, length, title = '') => {
    // Success path first: this runs at the start of every update() / digestInto(), and the
    // common `abytes(data)` form must not pay for length handling it does not use.
    if (isBytes(value) && (length === undefined || value.length === length))
        return value;
    // Error path: recompute freely to build the exact message.
    const bytes = isBytes(value);
    const ofLen = length !== undefined ? ` of length ${length}` : '';
    const got = bytes ? `length=${value.length}` : `type=${typeof value}`;
    const message = (title ? `"${title}" ` : '') + 'expected Uint8Array' + ofLen + ', got ' + got;
    if (!bytes)
        throw new TypeError(message);
    throw new RangeError(message);
};
// Validate, then take one owned copy, so later caller mutation cannot be observed — e.g. cannot
// make sign()'s nonce derivation and challenge derivation see different messages.
const snapshotBytes = (value, title = '', length) => Uint8Array.from(abytes(value, length, title));
// Callers keep values non-negative and within the requested width; padStart() won't truncate over-wide inputs.
const padh = (n, pad) => n.toString(16).padStart(pad, '0');
/** Convert byte array to hex string. */
const bytesToHex = (bytes) => {
    let hex = '';
    for (const byte of abytes(bytes))
        hex += padh(byte, 2);
    return hex;
};
/** Convert hex string to byte array. */
const hexToBytes = (hex) => {
    const e = 'hex invalid'; // Strict ASCII hex only, with one generic error for parse failures.
    if (typeof hex !== 'string')
        throw new TypeError(e);
    if (hex.length % 2 || !/^[\da-f]*$/i.test(hex))
        throw new RangeError(e);
    const array = new Uint8Array(hex.length / 2);
    for (let ai = 0, hi = 0; ai < array.length; ai++, hi += 2) {
        const n1 = hex.charCodeAt(hi);
        const n2 = hex.charCodeAt(hi + 1);
        // Regex guarantees ASCII. For 0..9/A..F/a..f, this maps char codes to 0..15.
        array[ai] = ((n1 & 15) + (n1 >> 6) * 9) * 16 + (n2 & 15) + (n2 >> 6) * 9;
    }
    return array;
};
// WebCrypto is available in all modern environments
/** Copies several Uint8Arrays into one. */
const concatBytes = (...arrays) => {
    let sum = 0;
    for (const a of arrays)
        sum += abytes(a).length;
    const res = new Uint8Array(sum);
    let pad = 0;
    for (const a of arrays) {
        res.set(a, pad);
        pad += a.length;
    }
    return res;
};
/**
 * WebCrypto OS-level CSPRNG (random number generator).
 * Will throw when not available; large-request ceilings are delegated to getRandomValues().
 */
const randomBytes = (len = LEN) => {
    const c = globalThis?.crypto;
    if (typeof c?.getRandomValues !== 'function')
        throw new Error('crypto.getRandomValues must be defined, consider polyfill');
    return c.getRandomValues(new Uint8Array(len));
};
/** Inclusive-lower, exclusive-upper bigint range assertion. */
const arange = (n, min, max, msg = 'bad number: out of range') => {
    if (typeof n !== 'bigint')
        throw new TypeError(msg);
    if (min <= n && n < max)
        return n;
    throw new RangeError(msg);
};
/** Canonical modular reduction. Callers must provide a positive modulus. */
const mod = (a, b = P) => ((a %= b) >= 0n ? a : b + a);
// Low-255-bit mask used by the `2^255 - 19` fast reduction in `modP(...)`.
const P_MASK = (1n << 255n) - 1n;
// Fast reduction for the special prime `2^255 - 19`. This path assumes nonnegative inputs; the
// generic fallback would simply be `mod(num, P)`.
const modP = (num) => {
    if (num < 0n)
        throw new RangeError('negative coordinate');
    let r = (num >> 255n) * 19n + (num & P_MASK);
    r = (r >> 255n) * 19n + (r & P_MASK);
    return r % P;
};
// Reduce modulo the subgroup order stored in implementation constant `N` (RFC 8032's `L`).
const modN = (a) => mod(a, N);
/** Modular inversion using extended euclidean GCD. Variable-time (non-CT). */
const invert = (number, modulo) => {
    if (number === 0n)
        throw new Error('invert: expected non-zero number');
    // modulo = 1 is the zero ring: gcd(x, 1) = 1 makes the loop below "succeed" and return the
    // useless inverse 0. Reject it like pow() and invertCt() do.
    if (modulo <= 1n)
        throw new Error('invert: expected modulus > 1, got ' + modulo);
    // This is variable-time: the loop count depends on `number`.
    let a = mod(number, modulo);
    let b = modulo;
    // Only the Bézout coefficient of `number` (x/u chain) is tracked; the coefficient of `modulo`
    // never affects the output, so it is not computed.
    // prettier-ignore
    let x = 0n, u = 1n;
    while (a !== 0n) {
        const q = b / a;
        const r = b - a * q;
        const m = x - u * q;
        // prettier-ignore
        b = a, a = r, x = u, u = m;
    }
    const gcd = b;
    if (gcd !== 1n)
        throw new Error('invert: does not exist');
    return mod(x, modulo);
};
// Dynamic lookup keeps sync/async hash providers configurable at runtime. Both exported slots are
// caller-owned and may be unset; wrapper helpers use this lookup first and then enforce the digest
// contract instead of trusting provider output.
const _hash = (name) => {
    // @ts-ignore
    const fn = hashes[name];
    if (typeof fn !== 'function')
        throw new Error('hashes.' + name + ' not set');
    return fn;
};
// All exported provider slots are caller-configurable and may be unset or return arbitrary values,
// so wrapper helpers must enforce the exact 64-byte SHA-512 digest contract instead of trusting providers.
const callHash = (name, ...m) => abytes(_hash(name)(concatBytes(...m)), 64, 'digest');
const callHashAsync = async (name, ...m) => abytes(await _hash(name)(concatBytes(...m)), 64, 'digest');
/**
 * SHA-512 helper used by the synchronous API.
 * @param msg - Message bytes to hash.
 * @returns 64-byte SHA-512 digest.
 * @example
 * Hash message bytes after wiring the synchronous SHA-512 implementation.
 *
 * ```ts
 * import * as ed from '@noble/ed25519';
 * import { sha512 } from '@noble/hashes/sha2.js';
 *
 * ed.hashes.sha512 = sha512;
 * const digest = ed.hash(new Uint8Array([1, 2, 3]));
 * ```
 */
// Public helper validates the message boundary explicitly; the configured provider is still looked
// up dynamically and its output is checked with `callHash(...)`.
const hash = (msg) => callHash('sha512', abytes(msg, undefined, 'message'));
// Runtime class guard: this is `instanceof Point`, so cross-realm / duplicate-bundle Point objects
// are rejected even if they are structurally identical.
const apoint = (p) => {
    if (p instanceof Point)
        return p;
    throw new TypeError('Point expected');
};
// ## End of Helpers
// -----------------
// Exclusive upper bound `2^256` used by 32-byte decode/serialization range checks.
const B256 = 2n ** 256n;
/**
 * Point in XYZT extended coordinates.
 * @param X - X coordinate.
 * @param Y - Y coordinate.
 * @param Z - Projective Z coordinate.
 * @param T - Cached cross-product term.
 * @example
 * Do point arithmetic with the built-in base point and encode the result as hex.
 *
 * ```ts
 * const hex = Point.BASE.double().toHex();
 * ```
 */
class Point {
    static BASE;
    static ZERO;
    X;
    Y;
    Z;
    T;
    // Constructor only bounds-checks and freezes XYZT coordinates; it does not prove the point is
    // on-curve or that T matches X*Y/Z.
    constructor(X, Y, Z, T) {
        const max = B256;
        this.X = arange(X, 0n, max);
        this.Y = arange(Y, 0n, max);
        this.Z = arange(Z, 1n, max);
        this.T = arange(T, 0n, max);
        freeze(this);
    }
    static CURVE() {
        return ed25519_CURVE;
    }
    static fromAffine(p) {
        return new Point(p.x, p.y, 1n, modP(p.x * p.y));
    }
    /** RFC8032 5.1.3: Uint8Array to Point. */
    static fromBytes(bytes, zip215 = false) {
        const normed = snapshotBytes(bytes, 'point', LEN); // owned copy: sign-bit mask below mutates it
        // adjust first LE byte = last BE byte
        const lastByte = normed[31];
        normed[31] = lastByte & ~0x80;
        const y = bytesToNumberLE(normed);
        // After clearing the sign bit, parsed `y` is always < 2^255. ZIP-215 still accepts the full
        // post-mask range here, while strict RFC8032 decoding further requires `y < p`.
        if (!zip215)
            arange(y, 0n, P);
        const y2 = modP(y * y); // y²
        const u = mod(y2 - 1n); // u=y²-1
        const v = modP(_d * y2 + 1n); // v=dy²+1
        let { isValid, value: x } = uvRatio(u, v); // (uv³)(uv⁷)^(p-5)/8; square root
        if (!isValid)
            throw new Error('bad point: y not sqrt'); // not square root: bad point
        const isLastByteOdd = !!(lastByte & 0x80); // x_0, last bit
        // ZIP-215-compatible decoding keeps the x=0 / sign-bit=1 encoding accepted; strict RFC 8032
        // rejects it, but the vendored ZIP-215 compliance vectors include this form in A/R bytes.
        if (!zip215 && x === 0n && isLastByteOdd)
            throw new Error('bad point: x==0, isLastByteOdd'); // x=0, x_0=1
        if (isLastByteOdd !== !!(x & 1n))
            x = mod(-x); // adjust sign of x coordinate
        return new Point(x, y, 1n, modP(x * y)); // Z=1, T=xy
    }
    static fromHex(hex, zip215) {
        return Point.fromBytes(hexToBytes(hex), zip215);
    }
    get x() {
        return this.toAffine().x;
    }
    get y() {
        return this.toAffine().y;
    }
    /** Checks if the point is valid and on-curve. */
    assertValidity() {
        const a = _a;
        const d = _d;
        const p = this;
        // Intentional stricter-than-on-curve policy: reject ZERO by default because many protocols
        // require a non-zero point, and silently accepting identity points is a common caller mistake.
        if (p.is0())
            throw new Error('bad point: ZERO');
        // Equation in affine coordinates: ax² + y² = 1 + dx²y²
        // Equation in projective coordinates (X/Z, Y/Z, Z):  (aX² + Y²)Z² = Z⁴ + dX²Y²
        const { X, Y, Z, T } = p;
        const X2 = modP(X * X); // X²
        const Y2 = modP(Y * Y); // Y²
        const Z2 = modP(Z * Z); // Z²
        const Z4 = modP(Z2 * Z2); // Z⁴
        const aX2 = modP(X2 * a); // aX²
        const left = modP(Z2 * (aX2 + Y2)); // (aX² + Y²)Z²
        const right = mod(Z4 + modP(d * modP(X2 * Y2))); // Z⁴ + dX²Y²
        if (left !== right)
            throw new Error('bad point: equation left != right (1)');
        // In Extended coordinates we also have T, which is x*y=T/Z: check X*Y == Z*T
        const XY = modP(X * Y);
        const ZT = modP(Z * T);
        if (XY !== ZT)
            throw new Error('bad point: equation left != right (2)');
        return this;
    }
    /** Equality check: compare points P&Q. */
    equals(other) {
        const { X: X1, Y: Y1, Z: Z1 } = this;
        const { X: X2, Y: Y2, Z: Z2 } = apoint(other); // checks class equality
        return modP(X1 * Z2) === modP(X2 * Z1) && modP(Y1 * Z2) === modP(Y2 * Z1);
    }
    is0() {
        return this.equals(I);
    }
    /** Flip point over y coordinate. */
    negate() {
        return new Point(mod(-this.X), this.Y, this.Z, mod(-this.T));
    }
    /** Point doubling. Complete formula. Cost: `4M + 4S + 1*a + 6add + 1*2`. */
    double() {
        const { X: X1, Y: Y1, Z: Z1 } = this;
        const a = _a;
        // https://hyperelliptic.org/EFD/g1p/auto-twisted-extended.html#doubling-dbl-2008-hwcd
        const A = modP(X1 * X1);
        const B = modP(Y1 * Y1);
        const C = modP(2n * Z1 * Z1);
        const D = modP(a * A);
        const x1y1 = mod(X1 + Y1);
        const E = mod(modP(x1y1 * x1y1) - A - B);
        const G = mod(D + B);
        const F = mod(G - C);
        const H = mod(D - B);
        const X3 = modP(E * F);
        const Y3 = modP(G * H);
        const T3 = modP(E * H);
        const Z3 = modP(F * G);
        return new Point(X3, Y3, Z3, T3);
    }
    /** Point addition. Complete formula. Cost: `9M + 1*a + 1*d + 7add`. */
    add(other) {
        const { X: X1, Y: Y1, Z: Z1, T: T1 } = this;
        const { X: X2, Y: Y2, Z: Z2, T: T2 } = apoint(other); // doesn't check if other on-curve
        const a = _a;
        const d = _d;
        // https://hyperelliptic.org/EFD/g1p/auto-twisted-extended.html#addition-add-2008-hwcd
        const A = modP(X1 * X2);
        const B = modP(Y1 * Y2);
        const C = modP(modP(T1 * d) * T2);
        const D = modP(Z1 * Z2);
        const E = mod(modP(mod(X1 + Y1) * mod(X2 + Y2)) - A - B);
        const F = mod(D - C);
        const G = mod(D + C);
        const H = mod(B - modP(a * A));
        const X3 = modP(E * F);
        const Y3 = modP(G * H);
        const T3 = modP(E * H);
        const Z3 = modP(F * G);
        return new Point(X3, Y3, Z3, T3);
    }
    subtract(other) {
        return this.add(apoint(other).negate());
    }
    /**
     * Point-by-scalar multiplication. Safe mode requires `1 <= n < CURVE.n`.
     * Unsafe mode additionally permits `n = 0` and returns the identity point for that case.
     * Uses {@link wNAF} for base point.
     * Uses fake point to mitigate side-channel leakage.
     * @param n - scalar by which point is multiplied
     * @param safe - safe mode guards against timing attacks; unsafe mode is faster
     */
    multiply(n, safe = true) {
        // Mirror noble-curves: unsafe mode still validates scalar range first, but intentionally keeps
        // `n = 0` as the one extra accepted case used by verification-style callers.
        if (!safe && n === 0n)
            return I;
        arange(n, 1n, N);
        if (!safe && this.is0())
            return I;
        if (n === 1n)
            return this;
        if (this.equals(G))
            return wNAF(n).p;
        // init result point & fake point
        let p = I;
        let f = G;
        let d = this;
        // Safe mode always runs 256 iterations so ladder length can't leak the scalar's
        // leading zero bits; unsafe mode stops at the top set bit for speed.
        for (let i = 0; safe ? i < 256 : n > 0n; i++) {
            // if bit is present, add to point
            // if not present, add to fake, for timing safety
            if (n & 1n)
                p = p.add(d);
            else if (safe)
                f = f.add(d);
            d = d.double();
            n >>= 1n;
        }
        return p;
    }
    multiplyUnsafe(scalar) {
        return this.multiply(scalar, false);
    }
    /** Convert point to 2d xy affine point. (X, Y, Z) ∋ (x=X/Z, y=Y/Z) */
    toAffine() {
        const { X, Y, Z } = this;
        // Fast-path only for the identity point; all other inputs still go through inversion.
        if (this.equals(I))
            return { x: 0n, y: 1n };
        const iz = invert(Z, P);
        // (Z * Z^-1) must be 1, otherwise bad math
        if (modP(Z * iz) !== 1n)
            throw new Error('invalid inverse');
        // x = X*Z^-1; y = Y*Z^-1
        return { x: modP(X * iz), y: modP(Y * iz) };
    }
    toBytes() {
        const { x, y } = this.toAffine();
        const b = numTo32bLE(y);
        // store sign in first LE byte
        b[31] |= x & 1n ? 0x80 : 0;
        return b;
    }
    toHex() {
        return bytesToHex(this.toBytes());
    }
    clearCofactor() {
        return this.multiply(8n, false); // h = 8
    }
    isSmallOrder() {
        return this.clearCofactor().is0();
    }
    isTorsionFree() {
        // Multiply by big number N. We can't `mul(N)` because of checks. Instead, we `mul(N/2)*2+1`;
        // N is odd, so N/2 truncates and the final `add(this)` is always needed.
        return this.multiply(N / 2n, false)
            .double()
            .add(this)
            .is0();
    }
}
/** Generator / base point */
const G = new Point(Gx, Gy, 1n, mod(Gx * Gy));
/** Identity / zero point */
const I = new Point(0n, 1n, 1n, 0n);
// Static aliases
Point.BASE = G;
Point.ZERO = I;
const numTo32bLE = (num) => hexToBytes(padh(arange(num, 0n, B256), 64)).reverse();
// Caller-enforced width: some sites require 32-byte RFC encodings, while others intentionally feed
// wider SHA-512 output chunks through the same little-endian parser.
const bytesToNumberLE = (b) => BigInt('0x' + bytesToHex(Uint8Array.from(abytes(b)).reverse()));
const pow2 = (x, power) => {
    // pow2(x, 4) == x^(2^4)
    // Negative `power` values are not rejected here and currently leave `x` unchanged.
    let r = x;
    while (power-- > 0) {
        r = modP(r * r);
    }
    return r;
};
// prettier-ignore
const pow_2_252_3 = (x) => {
    const x2 = modP(x * x); // x^2,       bits 1
    const b2 = modP(x2 * x); // x^3,       bits 11
    const b4 = modP(pow2(b2, 2) * b2); // x^(2^4-1), bits 1111
    const b5 = modP(pow2(b4, 1) * x); // x^(2^5-1), bits 11111
    const b10 = modP(pow2(b5, 5) * b5); // x^(2^10-1)
    const b20 = modP(pow2(b10, 10) * b10); // x^(2^20-1)
    const b40 = modP(pow2(b20, 20) * b20); // x^(2^40-1)
    const b80 = modP(pow2(b40, 40) * b40); // x^(2^80-1)
    const b160 = modP(pow2(b80, 80) * b80); // x^(2^160-1)
    const b240 = modP(pow2(b160, 80) * b80); // x^(2^240-1)
    const b250 = modP(pow2(b240, 10) * b10); // x^(2^250-1)
    return modP(pow2(b250, 2) * x); // x^((p-5)/8), used by RFC8032 point decode
};
const RM1 = 0x2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0n; // 2^((p-1)/4) = sqrt(-1)
// RFC8032 §5.1.3 square-root helper for point decompression. `value` is only meaningful when
// `isValid` is true; callers are also expected to pass canonical field elements with non-zero `v`.
// prettier-ignore
const uvRatio = (u, v) => {
    const v3 = modP(v * modP(v * v)); // v³
    const v7 = modP(modP(v3 * v3) * v); // v⁷
    const pow = pow_2_252_3(modP(u * v7)); // (uv⁷)^(p-5)/8
    let x = modP(u * modP(v3 * pow)); // (uv³)(uv⁷)^(p-5)/8
    const vx2 = modP(v * modP(x * x)); // vx²
    const root1 = x; // First root candidate
    const root2 = modP(x * RM1); // Second root candidate; RM1 is √-1
    const useRoot1 = vx2 === u; // If vx² = u (mod p), x is a square root
    const useRoot2 = vx2 === mod(-u); // If vx² = -u, set x <-- x * 2^((p-1)/4)
    const noRoot = vx2 === mod(-u * RM1); // There is no valid root, vx² = -u√-1
    if (useRoot1)
        x = root1;
    if (useRoot2 || noRoot)
        x = root2; // We return root2 anyway, for const-time
    if ((mod(x) & 1n) === 1n)
        x = mod(-x); // edIsNegative
    return { isValid: useRoot1 || useRoot2, value: x };
};
// Reduce a little-endian byte string modulo the subgroup order `N` (RFC 8032's `L`); the `hash`
// param name reflects the common caller shape, not an input restriction.
const modL_LE = (hash) => modN(bytesToNumberLE(hash));
// RFC8032 5.1.5. Split the 64-byte hashed seed into the clamped scalar half and nonce prefix.
const hashedToExtK = (hashed) => {
    // slice creates a copy, unlike subarray
    const copy = snapshotBytes(hashed);
    const head = copy.slice(0, 32);
    head[0] &= 248; // Clamp bits: 0b1111_1000
    head[31] &= 127; // 0b0111_1111
    head[31] |= 64; // 0b0100_0000
    const prefix = copy.slice(32); // secret key "prefix"
    // RFC words this as `[s]B`; reducing the clamped little-endian scalar modulo `N` is equivalent
    // for base-point multiplication because `G` already has subgroup order `N`.
    const scalar = modL_LE(head);
    const point = G.multiply(scalar); // public key point
    const pointBytes = point.toBytes(); // point serialized to Uint8Array
    return { head, prefix, scalar, point, pointBytes };
};
// RFC8032 5.1.5; getPublicKey async, sync. Hash secret key and extract point.
const getExtendedPublicKeyAsync = (secretKey) => callHashAsync('sha512Async', abytes(secretKey, LEN, 'secretKey')).then(hashedToExtK);
const getExtendedPublicKey = (secretKey) => hashedToExtK(callHash('sha512', abytes(secretKey, LEN, 'secretKey')));
/**
 * Creates a 32-byte Ed25519 public key from the RFC 8032 32-byte secret-key seed. Async.
 * @param secretKey - 32-byte RFC 8032 secret-key seed, not a 64-byte expanded secret key.
 * @returns 32-byte public key.
 * @throws On wrong argument types. {@link TypeError}
 * @throws On wrong argument ranges or values. {@link RangeError}
 * @example
 * Derive the public key bytes for a newly generated signer secret.
 *
 * ```ts
 * import * as ed from '@noble/ed25519';
 *
 * const secretKey = ed.utils.randomSecretKey();
 * const publicKey = await ed.getPublicKeyAsync(secretKey);
 * ```
 */
const getPublicKeyAsync = (secretKey) => getExtendedPublicKeyAsync(secretKey).then((p) => p.pointBytes);
/**
 * Creates a 32-byte Ed25519 public key from the RFC 8032 32-byte secret-key seed.
 * To use, set `hashes.sha512` first.
 * @param secretKey - 32-byte RFC 8032 secret-key seed, not a 64-byte expanded secret key.
 * @returns 32-byte public key.
 * @throws If synchronous SHA-512 has not been configured in `hashes`. {@link Error}
 * @throws On wrong argument types. {@link TypeError}
 * @throws On wrong argument ranges or values. {@link RangeError}
 * @example
 * Derive the public key entirely through the synchronous API.
 *
 * ```ts
 * import * as ed from '@noble/ed25519';
 * import { sha512 } from '@noble/hashes/sha2.js';
 *
 * ed.hashes.sha512 = sha512;
 * const secretKey = ed.utils.randomSecretKey();
 * const publicKey = ed.getPublicKey(secretKey);
 * ```
 */
const getPublicKey = (secretKey) => getExtendedPublicKey(secretKey).pointBytes;
const hashFinishAsync = async (res) => res[1](await callHashAsync('sha512Async', res[0]));
const hashFinishSync = (res) => res[1](callHash('sha512', res[0]));
// Code, shared between sync & async sign
const _sign = (e, rBytes, msg) => {
    const { pointBytes: A, scalar: s } = e;
    const r = modL_LE(rBytes); // r was created outside, reduce it modulo L
    // RFC 8032 5.1.6 allows r mod L = 0, and SUPERCOP ref10 accepts the resulting identity-point
    // signature.
    // We intentionally keep the safe multiply() rejection here so a miswired all-zero SHA-512 provider
    // fails loudly instead of silently producing a degenerate signature.
    const R = G.multiply(r).toBytes(); // R = [r]B
    const hashable = concatBytes(R, A, msg); // dom2(F, C) || R || A || PH(M)
    const finish = (hashed) => {
        // k = SHA512(dom2(F, C) || R || A || PH(M))
        const S = modN(r + modL_LE(hashed) * s); // S = (r + k * s) mod L; 0 <= s < l
        return abytes(concatBytes(R, numTo32bLE(S)), 64); // 64-byte sig: 32-byte encoded R point || 32-byte LE(S)
    };
    return [hashable, finish];
};
/**
 * Signs message using secret key. Async.
 * Follows RFC8032 5.1.6.
 * @param message - Message bytes to sign.
 * @param secretKey - 32-byte RFC 8032 secret-key seed, not a 64-byte expanded secret key.
 * @returns 64-byte Ed25519 signature.
 * @throws On wrong argument types. {@link TypeError}
 * @throws On wrong argument ranges or values. {@link RangeError}
 * @example
 * Sign an arbitrary message with a fresh Ed25519 secret key.
 *
 * ```ts
 * import * as ed from '@noble/ed25519';
 *
 * const secretKey = ed.utils.randomSecretKey();
 * const message = new Uint8Array([1, 2, 3]);
 * const signature = await ed.signAsync(message, secretKey);
 * ```
 */
const signAsync = async (message, secretKey) => {
    const m = snapshotBytes(message, 'message');
    const e = await getExtendedPublicKeyAsync(secretKey);
    // r = SHA512(dom2(F, C) || prefix || PH(M)); then generate R, k, S and the signature.
    return hashFinishAsync(_sign(e, await callHashAsync('sha512Async', e.prefix, m), m));
};
/**
 * Signs message using secret key. To use, set `hashes.sha512` first.
 * Follows RFC8032 5.1.6.
 * @param message - Message bytes to sign.
 * @param secretKey - 32-byte RFC 8032 secret-key seed, not a 64-byte expanded secret key.
 * @returns 64-byte Ed25519 signature.
 * @throws If synchronous SHA-512 has not been configured in `hashes`. {@link Error}
 * @throws On wrong argument types. {@link TypeError}
 * @throws On wrong argument ranges or values. {@link RangeError}
 * @example
 * Use the sync API when you've wired a SHA-512 implementation yourself.
 *
 * ```ts
 * import * as ed from '@noble/ed25519';
 * import { sha512 } from '@noble/hashes/sha2.js';
 *
 * ed.hashes.sha512 = sha512;
 * const secretKey = ed.utils.randomSecretKey();
 * const signature = ed.sign(new Uint8Array([1, 2, 3]), secretKey);
 * ```
 */
const sign = (message, secretKey) => {
    const m = snapshotBytes(message, 'message');
    const e = getExtendedPublicKey(secretKey);
    // r = SHA512(dom2(F, C) || prefix || PH(M)); then generate R, k, S and the signature.
    return hashFinishSync(_sign(e, callHash('sha512', e.prefix, m), m));
};
// Exported defaults favor ZIP-215 interoperability semantics; callers must opt into the stricter
// branch with `{ zip215: false }`.
// Preserves the exported ZIP-215 default for `{}` / `{ zip215: undefined }`, not just omitted opts.
const getZip215 = (options) => {
    if (options === null || typeof options !== 'object')
        throw new TypeError('expected valid options object');
    return options.zip215 ?? true;
};
const _verify = (sig, msg, publicKey, options) => {
    sig = abytes(sig, 64, 'signature'); // Signature hex str/Bytes, must be 64 bytes
    msg = abytes(msg, undefined, 'message'); // Message hex str/Bytes
    publicKey = abytes(publicKey, LEN, 'publicKey');
    const zip215 = getZip215(options);
    // zip215=false keeps the library's stricter branch, which still canonicalizes `R` / `A` before
    // hashing and rejects small-order public keys earlier than pure RFC8032 text would require.
    const r = sig.subarray(0, LEN);
    const s = bytesToNumberLE(sig.subarray(LEN, 64)); // Decode second half as an integer S;
    let A, R, SB;
    let hashable = Uint8Array.of();
    let finished = false;
    try {
        // zip215=true is good for consensus-critical apps. =false follows RFC8032 / NIST186-5.
        // zip215=true:  0 <= y < MASK (2^256 for ed25519)
        // zip215=false: 0 <= y < P (2^255-19 for ed25519)
        A = Point.fromBytes(publicKey, zip215);
        R = Point.fromBytes(r, zip215);
        SB = G.multiply(s, false); // 0 <= s < l is done inside
        // ZIP-215 accepts noncanonical / unreduced point encodings, so the challenge hash must use the
        // exact signature/public-key bytes rather than canonicalized re-encodings of the decoded points.
        hashable = concatBytes(r, publicKey, msg); // dom2(F, C) || R || A || PH(M)
        finished = true;
    }
    catch (error) { }
    const finish = (hashed) => {
        if (!finished)
            return false;
        // Policy: strict mode intentionally rejects all small-order public keys, even though the raw RFC
        // equation text is looser here. This matches libsodium and avoids weak / ambiguous verification
        // outcomes where unusual low-order public keys can make distinct key/signature combinations verify.
        if (!zip215 && A.isSmallOrder())
            return false;
        // k = SHA512(dom2(F, C) || R || A || PH(M))
        const k = modL_LE(hashed);
        const RkA = R.add(A.multiply(k, false));
        // Extended group equation
        // [8][S]B = [8]R + [8][k]A'
        return RkA.subtract(SB).clearCofactor().is0();
    };
    return [hashable, finish];
};
/**
 * Verifies a signature on message and public key. Async.
 * The implementation is based on RFC8032 5.1.7, but default opts use ZIP-215 semantics; pass
 * `{ zip215: false }` for the library's stricter branch.
 * @param signature - 64-byte signature.
 * @param message - Signed message bytes.
 * @param publicKey - 32-byte public key.
 * @param opts - Verification options. Defaults to ZIP-215 semantics. See {@link EdDSAVerifyOpts}.
 * @returns `true` when the signature is valid.
 * @throws On wrong argument types. {@link TypeError}
 * @throws On wrong argument ranges or values. {@link RangeError}
 * @example
 * Verify the signature against the same message and derived public key.
 *
 * ```ts
 * import * as ed from '@noble/ed25519';
 *
 * const secretKey = ed.utils.randomSecretKey();
 * const message = new Uint8Array([1, 2, 3]);
 * const publicKey = await ed.getPublicKeyAsync(secretKey);
 * const signature = await ed.signAsync(message, secretKey);
 * const isValid = await ed.verifyAsync(signature, message, publicKey);
 * ```
 */
const verifyAsync = async (signature, message, publicKey, opts = {}) => hashFinishAsync(_verify(signature, message, publicKey, opts));
/**
 * Verifies a signature on message and public key using the synchronous hash path.
 * The implementation is based on RFC8032 5.1.7, but default opts use ZIP-215 semantics; pass
 * `{ zip215: false }` for the library's stricter branch.
 * @param signature - 64-byte signature.
 * @param message - Signed message bytes.
 * @param publicKey - 32-byte public key.
 * @param opts - Verification options. Defaults to ZIP-215 semantics. See {@link EdDSAVerifyOpts}.
 * @returns `true` when the signature is valid.
 * @throws If synchronous SHA-512 has not been configured in `hashes`. {@link Error}
 * @throws On wrong argument types. {@link TypeError}
 * @throws On wrong argument ranges or values. {@link RangeError}
 * @example
 * Verify a signature entirely through the synchronous API.
 *
 * ```ts
 * import * as ed from '@noble/ed25519';
 * import { sha512 } from '@noble/hashes/sha2.js';
 *
 * ed.hashes.sha512 = sha512;
 * const secretKey = ed.utils.randomSecretKey();
 * const message = new Uint8Array([1, 2, 3]);
 * const publicKey = ed.getPublicKey(secretKey);
 * const signature = ed.sign(message, secretKey);
 * const isValid = ed.verify(signature, message, publicKey);
 * ```
 */
const verify = (signature, message, publicKey, opts = {}) => hashFinishSync(_verify(signature, message, publicKey, opts));
/**
 * Math, hex, byte helpers. Not in `utils` because utils share API with noble-curves.
 * Exposes the same low-level field-default `mod` reducer and non-CT `invert` helper used
 * internally.
 * @example
 * Convert bytes to a hex string with the low-level helper namespace.
 *
 * ```ts
 * const hex = etc.bytesToHex(new Uint8Array([1, 2, 3]));
 * ```
 */
const etc = /* @__PURE__ */ freeze({
    bytesToHex,
    hexToBytes,
    concatBytes,
    mod,
    invert,
    randomBytes,
});
/**
 * Hash implementations used by the synchronous API plus the default async WebCrypto provider.
 * Both slots are configurable API surface; wrapper helpers revalidate that providers still return
 * 64-byte SHA-512 digests.
 * @example
 * Provide a SHA-512 implementation before calling synchronous helpers.
 *
 * ```ts
 * import * as ed from '@noble/ed25519';
 * import { sha512 } from '@noble/hashes/sha2.js';
 *
 * ed.hashes.sha512 = sha512;
 * const { publicKey } = ed.keygen();
 * ```
 */
const hashes = {
    sha512Async: async (message) => {
        const s = globalThis?.crypto?.subtle;
        if (!s)
            throw new Error('crypto.subtle must be defined, consider polyfill');
        return new Uint8Array(await s.digest('SHA-512', concatBytes(message)));
    },
    sha512: undefined,
};
// Returns the final 32-byte Ed25519 secret-key seed verbatim, generating fresh random bytes only
// when omitted.
const randomSecretKey = (seed) => {
    return abytes(seed === undefined ? randomBytes() : seed, LEN, 'seed');
};
/**
 * Generates a secret/public keypair.
 * @param seed - Optional 32-byte Ed25519 secret-key seed, returned verbatim as `secretKey`.
 * @returns Keypair with `secretKey` and `publicKey`.
 * @throws If synchronous SHA-512 has not been configured in `hashes`. {@link Error}
 * @throws On wrong argument types. {@link TypeError}
 * @throws On wrong argument ranges or values. {@link RangeError}
 * @example
 * Generate a new keypair through the synchronous API after wiring SHA-512.
 *
 * ```ts
 * import * as ed from '@noble/ed25519';
 * import { sha512 } from '@noble/hashes/sha2.js';
 *
 * ed.hashes.sha512 = sha512;
 * const { secretKey, publicKey } = ed.keygen();
 * ```
 */
const keygen = (seed) => {
    const secretKey = randomSecretKey(seed);
    const publicKey = getPublicKey(secretKey);
    return { secretKey, publicKey };
};
/**
 * Generates a secret/public keypair asynchronously.
 * @param seed - Optional 32-byte Ed25519 secret-key seed, returned verbatim as `secretKey`.
 * @returns Keypair with `secretKey` and `publicKey`.
 * @throws On wrong argument types. {@link TypeError}
 * @throws On wrong argument ranges or values. {@link RangeError}
 * @example
 * Generate a new keypair through the asynchronous WebCrypto-backed path.
 *
 * ```ts
 * import * as ed from '@noble/ed25519';
 *
 * const { secretKey, publicKey } = await ed.keygenAsync();
 * ```
 */
const keygenAsync = async (seed) => {
    const secretKey = randomSecretKey(seed);
    const publicKey = await getPublicKeyAsync(secretKey);
    return { secretKey, publicKey };
};
/**
 * Ed25519-specific key utilities.
 * `utils.getExtendedPublicKey*` expose secret-derived internals (`head`, `prefix`, `scalar`, and
 * point objects), not just public-key bytes.
 * @example
 * Generate a new Ed25519 secret key and derive the matching public key.
 *
 * ```ts
 * import * as ed from '@noble/ed25519';
 *
 * const secretKey = ed.utils.randomSecretKey();
 * const publicKey = await ed.getPublicKeyAsync(secretKey);
 * ```
 */
const utils = /* @__PURE__ */ freeze({
    getExtendedPublicKeyAsync,
    getExtendedPublicKey,
    randomSecretKey,
});
// ## Precomputes
// --------------
// Fixed W=8 window: 33 windows (ceil(256/8) + 1, NOT 32 - see wNAF loop), 128 points per window.
// Layout is grouped by window: each block stores the positive multiples `1*base .. 128*base` for
// that window, and the extra `+1` window absorbs carries from signed-digit recoding.
const precompute = () => {
    const points = [];
    let p = G;
    let b;
    for (let w = 0; w < 33; w++) {
        b = p;
        points.push(b);
        for (let i = 1; i < 128; i++) {
            b = b.add(p);
            points.push(b);
        } // i=1, bc we skip 0
        p = b.double();
    }
    return points;
};
let Gpows = undefined; // shared process-wide cache of base-point precomputes
// Branch-based negate helper used for JS/JIT mitigation symmetry, not a strict constant-time claim.
const ctneg = (cnd, p) => {
    const n = p.negate();
    return cnd ? n : p;
};
/**
 * Precomputes give 12x faster getPublicKey(), 10x sign(), 2x verify() by
 * caching multiples of G (base point). Cache is stored in 32MB of RAM.
 * Any time `G.multiply` is done, precomputes are used.
 * Not used for getSharedSecret, which instead multiplies random pubkey `P.multiply`.
 *
 * w-ary non-adjacent form (wNAF) precomputation method is 10% slower than windowed method,
 * but takes 2x less RAM. RAM reduction is possible by utilizing `.subtract`.
 * Returns the real accumulator `p` plus a fake accumulator `f`; callers only care about `p`, while
 * `f` exists to keep similar work in zero-digit branches as a JS/JIT side-channel mitigation.
 *
 * !! Precomputes can be disabled by commenting-out call of the wNAF() inside Point#multiply().
 */
const wNAF = (n) => {
    const comp = Gpows || (Gpows = precompute());
    let p = I;
    let f = G; // f must be G, or could become I in the end
    for (let w = 0; w < 33; w++) {
        let wbits = Number(n & 255n); // extract W=8 bits.
        n >>= 8n; // shift number by W=8 bits.
        // We use negative indexes to reduce size of precomputed table by 2x.
        // Instead of needing precomputes 0..256, we only calculate them for 0..128.
        // If an index > 128 is found, we do (256-index) - where 256 is next window.
        // Naive: index +127 => 127, +224 => 224
        // Optimized: index +127 => 127, +224 => 256-32
        if (wbits > 128) {
            wbits -= 256;
            n += 1n;
        }
        const off = w * 128; // offset of this window's block; also the fake-add index
        const offP = off + Math.abs(wbits) - 1; // real-add index; both offsets always evaluated
        const isOddW = w % 2 !== 0; // conditions, evaluate both; alternates fake-add sign per window
        const isNeg = wbits < 0;
        if (wbits === 0) {
            // wbits == 0 means the real index would be I: can't add it. Add window offset `off` instead.
            f = f.add(ctneg(isOddW, comp[off])); // bits are 0: add garbage to fake point
        }
        else {
            p = p.add(ctneg(isNeg, comp[offP])); // bits are 1: add to result point
        }
    }
    if (n !== 0n)
        throw new Error('invalid wnaf');
    return { p, f }; // return both real and fake points for JIT/leakage-shape symmetry
};
return { Point, verifyAsync };
})();

// ---------------------------------------------------------------------------------------------
// The command line, in Node alone:  node verify.mjs FILE --trust FILE [--json]

const USAGE = 'usage: verify.mjs FILE --trust FILE [--json]    (a proof file, a bundle, or -)';

/** Exit codes of 11.4 and 17.6. */
const EXIT = {
  'verified': 0,
  'clean': 0,
  'failed': 1,
  'not-understood': 2,
  'not-read': 2,
  'not-run': 2,
};

const toJson = (value) =>
  JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? Number(each) : each), 2);

const lineOf = ({ code, detail, at }) =>
  [code, detail && `(${detail})`, at != null && `at ${typeof at === 'number' ? `entry ${at}` : at}`]
    .filter(Boolean)
    .join(' ');

const LEVELS = {
  included: 'these entries are in the ledger; whether others are is not shown',
  complete: 'nothing about this gift was left out, as of',
  audited: 'an auditor has replayed the ledger, and nothing was left out, as of',
};

const words = (code) => code.replaceAll('-', ' ');

const textOfWhere = (where) =>
  Object.entries(where).map(([place, quantity]) => `  ${quantity}  ${place}`);

const textOfProof = ({ gift, verdict, level, seal, asOf, ...answer }) => {
  const sealed = seal ? ` the seal at entry ${seal.index} (${seal.recordedAt})` : '';
  const names = (list, none) => (list.length > 0 ? list.join(', ') : none);
  const lines = [verdict ? words(verdict.headline) : 'there is no such gift', gift];
  if (verdict) {
    lines.push('', `where it is, as of ${asOf}`, ...textOfWhere(verdict.where));
    if (verdict.flags.length > 0) lines.push(`attention: ${verdict.flags.map(words).join(', ')}`);
    lines.push('', 'journey');
  }
  for (const { index, name, signers, occurredOn, recordedOn, failed } of answer.journey) {
    const by = [...new Set(signers.map(({ party }) => party ?? 'its own key'))].join(', ');
    const what = name === null ? 'not understood' : `${words(name)} by ${by}`;
    const refused = failed ? `, refused: ${failed}` : '';
    lines.push(`  ${occurredOn ?? recordedOn}  ${what} (entry ${index}${refused})`);
  }
  lines.push('', `${level}: ${LEVELS[level]}${sealed}`);
  if (answer.afterSeal.length > 0) lines.push(`newer than the seal: ${answer.afterSeal.join(', ')}`);
  lines.push(`witnesses: ${names(answer.witnesses.map(({ name }) => name), 'none')}`);
  for (const { known, names: auditors } of answer.audits) {
    lines.push(`audited by ${auditors.join(', ')}${known ? '' : ' (an unknown auditor)'}`);
  }
  lines.push(`ledger: ${answer.origin}, ${answer.size} entries`);
  return lines;
};

const textOfAudit = (answer) => {
  const gifts = Object.entries(answer.gifts ?? {});
  const lines = [];
  if (answer.origin) {
    lines.push(`ledger: ${answer.origin}, ${answer.size} entries, ${gifts.length} gifts`);
  }
  const differing = gifts.filter(([, { differs }]) => differs);
  if (gifts.length > 0) lines.push(`with differences: ${differing.length}`);
  for (const [gift, { headline }] of differing) lines.push(`  ${gift}  ${words(headline)}`);
  return lines;
};

/** The answer for people: whether it holds, why not, and what it says. */
const toText = (answer) => {
  const failures = answer.failures?.length > 0 ? answer.failures : [answer];
  return [
    words(answer.outcome),
    ...failures.filter(({ code }) => code).map(lineOf),
    ...(answer.notUnderstood ?? []).map((index) => `not understood: entry ${index}`),
    ...(answer.level ? textOfProof(answer) : textOfAudit(answer)),
  ].join('\n');
};

const runCommand = async (process) => {
  const fs = await import('node:fs/promises');
  const options = { file: null, trust: null, json: false };
  const words = process.argv.slice(2);
  for (let i = 0; i < words.length; i++) {
    if (words[i] === '--json') options.json = true;
    else if (words[i] === '--trust') options.trust = words[++i] ?? null;
    else if (options.file === null) options.file = words[i];
    else options.file = undefined;
  }
  if (!options.file || !options.trust) {
    console.error(USAGE);
    return 2;
  }
  const readAll = async () => {
    if (options.file !== '-') return fs.readFile(options.file);
    const chunks = [];
    for await (const chunk of process.stdin) chunks.push(chunk);
    return plain(concat(...chunks));
  };
  let bytes;
  let trust;
  try {
    [bytes, trust] = await Promise.all([readAll(), fs.readFile(options.trust)]);
  } catch (error) {
    console.error(`verify.mjs: ${error.message}`);
    return 2;
  }
  const answer = isProof(plain(bytes)) || isNewerProof(plain(bytes))
    ? await verifyProof(bytes, trust)
    : await auditBundle(bytes, trust);
  console.log(options.json ? toJson(answer) : toText(answer));
  return EXIT[answer.outcome];
};

const { process: here } = globalThis;
if (here?.versions?.node && here.argv[1]) {
  const { pathToFileURL } = await import('node:url');
  const { realpathSync } = await import('node:fs');
  const called = pathToFileURL(realpathSync(here.argv[1])).href;
  if (called === import.meta.url) here.exitCode = await runCommand(here);
}

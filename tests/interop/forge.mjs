// Writes logs: encodes events, signs and links them, and lays them out as files. For tests that
// let two verifiers judge the same bytes. Statements have the shape that verify.mjs decodes.

import { createHash, createPrivateKey, sign } from 'node:crypto';
import { Replay, prepare } from '../../src/web/verify.mjs';
import { root } from './lay-out.mjs';

const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

// Keys are Ed25519 seeds SHA-256(name), as in the vectors.

const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const known = new Map();

/** The secret key of a name, and its public key in hex. */
export const keyOf = (name) => {
  if (!known.has(name)) {
    const der = Buffer.concat([PKCS8, sha256(name)]);
    const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const { x } = secret.export({ format: 'jwk' });
    known.set(name, { secret, hex: Buffer.from(x, 'base64url').toString('hex') });
  }
  return known.get(name);
};

// Section 2: encoding

const uint = (width, value) => {
  const bytes = Buffer.alloc(width);
  let rest = BigInt.asUintN(8 * width, BigInt(value));
  for (let i = width - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 255n);
  return bytes;
};

const u8 = (value) => uint(1, value);
const u16 = (value) => uint(2, value);
const u32 = (value) => uint(4, value);
const u64 = (value) => uint(8, value);
const hex = (text) => Buffer.from(text, 'hex');
const text = (value) => Buffer.concat([u16(Buffer.byteLength(value)), Buffer.from(value)]);
const bool = (value) => u8(value ? 1 : 0);
const opt = (value, write) => (value === null ? u8(0) : Buffer.concat([u8(1), write(value)]));
const code = (list) => (name) => u8(list[name]);
const list = (items, write) => Buffer.concat([u16(items.length), ...items.map(write)]);
const all = (...parts) => Buffer.concat(parts);

/** Sorted by a key of bytes: fixed widths, or texts without their lengths. */
const sorted = (items, keyOfItem) =>
  [...items].sort((a, b) => Buffer.compare(keyOfItem(a), keyOfItem(b)));

const numbered = (names, first = 1) =>
  Object.fromEntries(names.split(' ').map((name, i) => [name, first + i]));

const CAPACITY = numbered(
  'operator registrar self new-key donor taker holder carrier recipient coordinator speaker',
);
const DOCUMENT = {
  ...numbered(
    'waybill donation-receipt delivery-note paper-receipt order notice photo inspection customs ' +
      'consent contract',
  ),
  other: 99,
};
const REASON = { ...numbered('typing description quantity'), other: 99 };
const UNIT = numbered('stated inner loose', 0);
const ROLE = numbered('donor carrier recipient charity warehouse coordinator maker regulator');
const DONOR = numbered('enrolled one-time-key slip recorded');
const CONSENT = numbered('none signed standing paper not-needed', 0);
const PURPOSE = numbered('issue transfer return loan');
const FATE = numbered('lost destroyed expired sold lent');
const CONDITION = numbered('good pending damaged on-hold');
const CAUSE = numbered('customs recall quarantine authority');
const CLAIM = { ...numbered('not-received quantity item'), other: 99 };
const EVIDENCE = { ...numbered('paper-receipt photo inspection publication report'), other: 99 };
const CLOCK = numbered('disclosure filing receipt report');
const PARTY = numbered('organisation group person');

// Section 5: statements

const goods = ({ gift, line, unit, meantFor }) =>
  all(hex(gift), u16(line), code(UNIT)(unit), opt(meantFor, text));

const goodsKey = ({ goods: { gift, line, unit, meantFor } }) =>
  all(
    hex(gift),
    u16(line),
    u8(UNIT[unit]),
    u8(meantFor === null ? 0 : 1),
    Buffer.from(meantFor ?? ''),
  );

const items = (each, write) => list(sorted(each, goodsKey), write);
const portions = (each) => items(each, (item) => all(goods(item.goods), u64(item.quantity)));
const shipment = ({ sender, number }) => all(text(sender), text(number));
const identity = ({ handle, name, key }) => all(text(handle), text(name), hex(key));
const particulars = ({ name, identifier, place }) => all(text(name), text(identifier), text(place));
const value = ({ cents, currency, basis }) =>
  all(u64(cents), text(currency), u8(numbered('invoice declared appraised published')[basis]));
const donor = ({ kind, party, key, name }) =>
  all(code(DONOR)(kind), opt(party, text), opt(key, hex), text(name));
const registrars = ({ registrars: each, threshold }) =>
  all(
    list(
      sorted(each, ({ handle }) => Buffer.from(handle)),
      identity,
    ),
    u8(threshold),
  );

const rules = (it) =>
  all(
    u16(1),
    u16(it.offsetMinutes),
    list(it.clocks, ({ kind, days, basis }) => all(code(CLOCK)(kind), u16(days), text(basis))),
    u32(it.sealEntries),
    u32(it.sealSeconds),
    u32(it.inclusionSeconds),
  );

const day = (value) => uint(4, value);

const line = (it) =>
  all(
    u16(it.number),
    text(it.item),
    text(it.category),
    text(it.unit),
    opt(it.pack, ({ content, unit }) => all(u64(content), text(unit))),
    u64(it.quantity),
    list(
      sorted(it.shares, ({ recipient }) => Buffer.from(recipient)),
      (share) => all(text(share.recipient), u64(share.quantity)),
    ),
    list(it.lots, (lot) => all(text(lot.number), opt(lot.expiresOn, day))),
    text(it.maker),
    text(it.productCode),
    text(it.registration),
    text(it.standard),
    list(it.serials, text),
    text(it.storage),
    text(it.specification),
    opt(it.value, value),
  );

const counted = (names) => (it) => all(goods(it.goods), ...names.map((name) => u64(it[name])));
const ARRIVED = ['accepted', 'pending', 'damaged', 'rejected', 'surplus'];
const FOUND = ['opened', 'loose', 'passed', 'failed', 'shortage', 'surplus', 'found'];

/** By name: number, and the encoding of a statement. */
export const KINDS = {
  'ledger-created': [
    1,
    (it) => all(text(it.origin), identity(it.operator), registrars(it), rules(it.rules)),
  ],
  'party-enrolled': [
    2,
    (it) =>
      all(
        text(it.handle),
        code(PARTY)(it.kind),
        list(
          sorted(it.roles, (role) => u8(ROLE[role])),
          code(ROLE),
        ),
        particulars(it.particulars),
        hex(it.key),
      ),
  ],
  'key-added': [3, (it) => all(text(it.handle), hex(it.key))],
  'key-rotated': [4, (it) => all(text(it.handle), hex(it.oldKey), hex(it.key))],
  'key-revoked': [5, (it) => all(text(it.handle), hex(it.key))],
  'key-compromised': [6, (it) => all(text(it.handle), hex(it.key), day(it.since))],
  'party-updated': [
    7,
    (it) => all(text(it.handle), particulars(it.particulars), opt(it.successor, text)),
  ],
  'registrars-changed': [8, registrars],
  'operator-rotated': [9, (it) => hex(it.key)],
  'rules-changed': [10, (it) => rules(it.rules)],
  'need-declared': [
    16,
    (it) =>
      all(
        text(it.item),
        text(it.standard),
        opt(it.quantity, u64),
        text(it.unit),
        opt(it.wantedBy, day),
      ),
  ],
  'need-closed': [17, (it) => hex(it.need)],
  'donation': [
    32,
    (it) =>
      all(
        donor(it.donor),
        opt(it.mark, hex),
        opt(it.taker, text),
        list(it.lines, line),
        bool(it.standingConsent),
        text(it.purpose),
        text(it.channel),
        text(it.campaign),
        opt(it.part, (part) => all(u16(part.number), u16(part.of))),
        opt(it.deadline, day),
        bool(it.historic),
        text(it.restates),
        list(it.commitments, ({ label, digest }) => all(text(label), hex(digest))),
      ),
  ],
  'withdrawal': [33, (it) => portions(it.portions)],
  'gift-taken-over': [34, (it) => all(hex(it.gift), donor(it.donor))],
  'order': [
    35,
    (it) =>
      all(
        text(it.number),
        text(it.holder),
        text(it.item),
        text(it.unit),
        u64(it.quantity),
        text(it.recipient),
      ),
  ],
  'designation': [
    36,
    (it) =>
      all(
        text(it.holder),
        opt(it.order, hex),
        text(it.decidedBy),
        text(it.decision),
        code(CONSENT)(it.consent),
        list(
          sorted(it.assignments, (item) =>
            all(goodsKey(item), Buffer.from('\0'), Buffer.from(item.recipient)),
          ),
          (item) => all(goods(item.goods), text(item.recipient), u64(item.quantity)),
        ),
      ),
  ],
  'dispatch': [
    37,
    (it) =>
      all(
        shipment(it.shipment),
        text(it.taker),
        code(PURPOSE)(it.purpose),
        opt(it.carrier, text),
        text(it.carrierName),
        text(it.waybill),
        opt(it.packageCount, u32),
        list(it.packages, (each) => all(text(each.label), text(each.seal), text(each.content))),
        opt(it.expectedOn, day),
        portions(it.portions),
      ),
  ],
  'delivery': [
    38,
    (it) => all(shipment(it.shipment), text(it.place), text(it.waybill), text(it.time)),
  ],
  'receipt': [
    39,
    (it) =>
      all(
        opt(it.shipment, shipment),
        opt(it.giver, text),
        opt(it.purpose, code(PURPOSE)),
        bool(it.closing),
        opt(it.packageCount, u32),
        text(it.temperature),
        items(it.arrivals, (each) =>
          all(
            counted(ARRIVED)(each),
            opt(each.actual, (it) => all(text(it.item), text(it.lot), opt(it.expiresOn, day))),
          ),
        ),
      ),
  ],
  'count': [40, (it) => all(text(it.looseUnit), items(it.findings, counted(FOUND)))],
  'use': [41, (it) => all(text(it.ward), text(it.purpose), portions(it.portions))],
  'disposal': [
    42,
    (it) =>
      all(
        code(FATE)(it.fate),
        code(CONDITION)(it.condition),
        text(it.to),
        opt(it.proceeds, value),
        portions(it.portions),
      ),
  ],
  'hold': [43, (it) => all(code(CAUSE)(it.cause), text(it.authority), portions(it.portions))],
  'release': [44, (it) => portions(it.portions)],
  'dispute': [48, (it) => all(hex(it.gift), code(CLAIM)(it.claim), text(it.text))],
  'answer': [49, (it) => all(hex(it.gift), hex(it.dispute), text(it.text))],
  'dispute-closed': [50, (it) => all(hex(it.gift), hex(it.dispute), text(it.text))],
  'correction': [
    51,
    (it) => {
      const replacement =
        it.replacement === null ? Buffer.alloc(0) : KINDS[it.kind][1](it.replacement);
      return all(
        u64(it.targetIndex),
        hex(it.target),
        u16(KINDS[it.kind][0]),
        u16(replacement.length),
        replacement,
      );
    },
  ],
  'recall': [52, (it) => all(text(it.item), text(it.lot), text(it.number), text(it.text))],
  'recall-lifted': [53, (it) => all(hex(it.recall), text(it.item), text(it.lot))],
  'attestation': [
    54,
    (it) =>
      all(
        code(EVIDENCE)(it.evidence),
        text(it.text),
        text(it.url),
        opt(it.from, day),
        opt(it.until, day),
        opt(it.heldBy, text),
        text(it.recipientName),
        opt(it.shipment, shipment),
        portions(it.goods),
        list(it.listed, (row) =>
          all(u32(row.row), text(row.item), u64(row.quantity), text(row.unit)),
        ),
      ),
  ],
  'epoch-sealed': [
    64,
    (it) =>
      all(
        u64(it.size),
        u32(it.root.number),
        u64(it.root.index),
        hex(it.root.leaf),
        ...it.tables.map(({ rows, hash }) => all(u64(rows), hex(hash))),
      ),
  ],
};

// Section 4.2: the head

const signerKey = ({ capacity, party, key }) =>
  all(
    u8(CAPACITY[capacity]),
    u8(party === null ? 0 : 1),
    Buffer.from(party ?? ''),
    Buffer.from('\0'),
    hex(key),
  );

const writeHead = (it) =>
  all(
    opt(it.occurredOn, day),
    u64(it.signedAt),
    hex(it.nonce),
    opt(it.anchor, ({ index, leaf }) => all(u64(index), hex(leaf))),
    list(
      sorted(it.documents, ({ kind, number }) => all(u8(DOCUMENT[kind]), Buffer.from(number))),
      (each) => all(code(DOCUMENT)(each.kind), text(each.number), opt(each.digest, hex)),
    ),
    opt(it.reason, (reason) => all(code(REASON)(reason.code), text(reason.text))),
    list(it.signers, ({ party, key, capacity }) =>
      all(opt(party, text), hex(key), code(CAPACITY)(capacity)),
    ),
  );

const CONTEXT = all(u8(0xff), Buffer.from('giftproof event signature v1'), u8(0));

/** A log that grows; links and acceptance are those of the second verifier. */
export class Forge {
  constructor(origin) {
    this.origin = origin;
    this.entries = [];
    this.replay = new Replay();
    this.recordedAt = 1_767_225_600_000n;
    this.nonce = 0;
  }

  /**
   * Adds an event. Signers are { capacity, party, name }, `name` being that of the key; `head`
   * may state other members of the head; `tamper` is that of append.
   */
  async add(name, statement, signers, head = {}, tamper = {}) {
    const [kind, write] = KINDS[name];
    const listed = sorted(
      signers.map((signer) => ({ ...signer, key: keyOf(signer.name).hex })),
      signerKey,
    );
    this.nonce += 1;
    const body = all(
      writeHead({
        occurredOn: null,
        signedAt: this.recordedAt,
        anchor: null,
        documents: [],
        reason: null,
        nonce: this.nonce.toString(16).padStart(32, '0'),
        signers: listed,
        ...head,
      }),
      write(statement),
    );
    const framed = all(hex(this.replay.state.genesis), u16(kind), u16(1), body);
    const message = all(CONTEXT, framed);
    const signatures = listed.map((signer) => sign(null, message, keyOf(signer.name).secret));
    const frame = all(
      u16(kind),
      u16(1),
      u32(body.length),
      body,
      u8(signatures.length),
      ...signatures,
    );
    return this.append(frame, tamper);
  }

  /** Takes the newest entry back. */
  async undo() {
    this.entries.pop();
    const { entries } = this;
    this.replay = new Replay();
    for (const [index, bytes] of entries.entries()) {
      const { genesis, keyCheck } = this.replay.state;
      await this.replay.add(await prepare(new Uint8Array(bytes), index, genesis, keyCheck));
    }
  }

  /** Adds a seal, of what the second verifier has seen. */
  async seal(operator) {
    const sealed = await this.replay.sealNow(this.entries.length);
    const signer = { capacity: 'operator', party: 'operator', name: operator };
    return this.add('epoch-sealed', sealed, [signer]);
  }

  /** Adds an event of a kind and version that nobody knows, with links of these subjects. */
  async addUnknown(kind, version, statement, signer, subjects) {
    const key = keyOf(signer.name).hex;
    this.nonce += 1;
    const body = all(
      writeHead({
        occurredOn: null,
        signedAt: 0,
        anchor: null,
        documents: [],
        reason: null,
        nonce: this.nonce.toString(16).padStart(32, '0'),
        signers: [{ ...signer, key }],
      }),
      statement,
    );
    const framed = all(hex(this.replay.state.genesis), u16(kind), u16(version), body);
    const signature = sign(null, all(CONTEXT, framed), keyOf(signer.name).secret);
    const frame = all(u16(kind), u16(version), u32(body.length), body, u8(1), signature);
    const links = () =>
      [...new Set(subjects)].sort().map((subject) => {
        const row = this.replay.links.rows.get(subject);
        return { subject, number: (row?.number ?? 0) + 1, previous: row ?? null };
      });
    return this.append(frame, { links });
  }

  /**
   * Appends an entry with the links that follow; gives its failure, or null. `tamper` makes it
   * another: a function for each of index, previous, recordedAt, links, frame and bytes.
   */
  async append(frame, tamper = {}) {
    const same = (value) => value;
    const { recordedAt = same, bytes: change = same } = tamper;
    const index = this.entries.length;
    const { replay } = this;
    const previous = replay.leaves.at(-1) ?? '00'.repeat(32);
    const linked = (links) =>
      all(
        u64((tamper.index ?? same)(index)),
        hex((tamper.previous ?? same)(previous)),
        u64(recordedAt(this.recordedAt)),
        list((tamper.links ?? same)(links), (link) =>
          all(
            hex(link.subject),
            u32(link.number),
            opt(link.previous, ({ index, leaf }) => all(u64(index), hex(leaf))),
          ),
        ),
        (tamper.frame ?? same)(frame),
      );
    const judged = async (bytes) =>
      prepare(new Uint8Array(bytes), index, replay.state.genesis, replay.state.keyCheck);
    const draft = await judged(linked([]));
    const links = replay.touchedBy(draft).map((subject) => {
      const row = replay.links.rows.get(subject);
      return { subject, number: (row?.number ?? 0) + 1, previous: row ?? null };
    });
    const bytes = change(linked(links));
    this.entries.push(bytes);
    const failed = replay.failures.length;
    const prepared = await judged(bytes);
    await replay.add(prepared);
    return { index, hash: prepared.event?.hash, failure: replay.failures[failed] ?? null };
  }

  /** The log as a test vector (21.1), its checkpoint signed by a key of this name. */
  vector(operator) {
    const hash = root(this.entries.map((bytes) => sha256(u8(0), bytes)));
    const note = `${this.origin}\n${this.entries.length}\n${hash.toString('base64')}\n`;
    const key = hex(keyOf(operator).hex);
    const typed = all(u8(1), key);
    const id = sha256(this.origin, '\n', typed).subarray(0, 4);
    const signature = sign(null, Buffer.from(note), keyOf(operator).secret);
    const vkey = `${this.origin}+${id.toString('hex')}+${typed.toString('base64')}`;
    const genesis = this.replay.state.genesis;
    return {
      checkpoint: `${note}\n\u2014 ${this.origin} ${all(id, signature).toString('base64')}\n`,
      trust: `giftproof-trust/v1\norigin ${this.origin}\ngenesis ${genesis}\noperator ${vkey}\n\nquorum none\n`,
      entries: this.entries.map((bytes) => bytes.toString('hex')),
    };
  }
}

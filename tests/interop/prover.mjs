// Writes proof files (ledger-spec.md section 17) from a log, by the definitions and without any
// index: for tests of verifiers, which must accept these and refuse every change to them.

import { createHash } from 'node:crypto';

const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const uint = (width, value) => {
  const bytes = Buffer.alloc(width);
  let rest = BigInt(value);
  for (let i = width - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 255n);
  return bytes;
};

const hex = (text) => Buffer.from(text, 'hex');

// Section 16: rows and tables

const context = (name) =>
  Buffer.concat([hex('ff'), Buffer.from(`giftproof ${name} v1`), hex('00')]);

const rowHash = (subject, { number, index, leaf }) =>
  sha256(context('seal row'), hex(subject), uint(4, number), uint(8, index), hex(leaf));

const bitOf = (subject, depth) => (hex(subject)[depth >> 3] >> (7 - (depth & 7))) & 1;

/** The hash of a table, or of the part of it that shares its first `depth` bits. */
export const tableHash = (rows, depth = 0) => {
  if (rows.length === 0) return Buffer.alloc(32);
  if (rows.length === 1) return rowHash(...rows[0]);
  const side = (bit) =>
    tableHash(
      rows.filter(([subject]) => bitOf(subject, depth) === bit),
      depth + 1,
    );
  return sha256(hex('01'), side(0), side(1));
};

/** The proof of the rows of these subjects, or of their absence (16.4). */
export const rowsProof = (rows, subjects, depth = 0) => {
  if (rows.length === 0) return hex('00');
  if (rows.length === 1) {
    const [subject, { number, index, leaf }] = rows[0];
    if (subjects.includes(subject)) return hex('01');
    return Buffer.concat([hex('02'), hex(subject), uint(4, number), uint(8, index), hex(leaf)]);
  }
  const side = (bit) => {
    const here = rows.filter(([subject]) => bitOf(subject, depth) === bit);
    const asked = subjects.filter((subject) => bitOf(subject, depth) === bit);
    return asked.length > 0 ? rowsProof(here, asked, depth + 1) : tableHash(here, depth + 1);
  };
  return Buffer.concat([hex('03'), side(0), side(1)]);
};

// Section 17.3: the place in the tree

const treeHash = (leaves) => {
  if (leaves.length === 1) return leaves[0];
  let half = 1;
  while (2 * half < leaves.length) half *= 2;
  return sha256(hex('01'), treeHash(leaves.slice(0, half)), treeHash(leaves.slice(half)));
};

/** The hashes that lead from the shown leaves, given by index, to the root. */
const treePath = (leaves, shown, from = 0) => {
  const inside = shown.filter((index) => index >= from && index < from + leaves.length);
  if (inside.length === 0) return [treeHash(leaves)];
  if (leaves.length === 1) return [];
  let half = 1;
  while (2 * half < leaves.length) half *= 2;
  return [
    ...treePath(leaves.slice(0, half), shown, from),
    ...treePath(leaves.slice(half), shown, from + half),
  ];
};

/** The bytes of a proof file (17.1). */
export const writeProof = ({ about, gift, checkpoint, seal, entries, tree, tables, audits }) =>
  Buffer.concat([
    Buffer.from('giftproof-proof/v1\n'),
    uint(1, about === 'gift' ? 1 : 2),
    hex(gift),
    uint(4, Buffer.byteLength(checkpoint)),
    Buffer.from(checkpoint),
    seal === null ? hex('00') : Buffer.concat([hex('01'), uint(8, seal)]),
    uint(4, entries.length),
    ...entries.flatMap((entry) => [uint(2, entry.length), entry]),
    uint(4, tree.length),
    ...tree,
    ...tables.flatMap((table) => [uint(4, table.length), table]),
    uint(1, audits.length),
    ...audits.flatMap(({ statement, path }) => [
      uint(4, Buffer.byteLength(statement)),
      Buffer.from(statement),
      uint(1, path.length),
      ...path,
    ]),
  ]);

/**
 * A proof about a gift. `log` has the entries in bytes, their leaf hashes in hex, and for each its
 * links; `indices` says which of them are in the proof, and `named` by index which leaf hashes a
 * row under the seal names.
 */
export const prove = ({ log, indices, newest, seal, named, ...rest }) => {
  const linked = new Set(named);
  for (const index of indices) {
    for (const { previous } of log.links[index]) if (previous) linked.add(Number(previous.index));
  }
  const shown = indices.filter((index) => index === newest || index === seal || !linked.has(index));
  return writeProof({
    ...rest,
    seal,
    entries: indices.map((index) => log.entries[index]),
    tree: treePath(log.leaves.map(hex), shown),
  });
};

// The files of a log that a test vector describes (ledger-spec.md section 21.1), laid out from its
// entries (section 10.3) with Node's own SHA-256: an independent expectation for the verifier.

import { createHash } from 'node:crypto';

const bytesOf = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));

const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** The path of file `n` of a level, or of the entries. */
const pathOf = (level, n, width) => {
  const groups = [];
  for (let rest = n; groups.length === 0 || rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`${groups.length ? 'x' : ''}${String(rest % 1000).padStart(3, '0')}`);
  }
  return `tile/${level}/${groups.join('/')}${width < 256 ? `.p/${width}` : ''}`;
};

/** RFC 6962 section 2.1, by its recursive definition. */
export const root = (leaves) => {
  if (leaves.length === 1) return leaves[0];
  let half = 1;
  while (2 * half < leaves.length) half *= 2;
  return sha256(Uint8Array.of(1), root(leaves.slice(0, half)), root(leaves.slice(half)));
};

/** All files of a log, by path. */
export const filesOf = (vector) => {
  const files = new Map([['checkpoint', Buffer.from(vector.checkpoint, 'utf8')]]);
  const entries = vector.entries.map(bytesOf);
  for (let n = 0; 256 * n < entries.length; n++) {
    const here = entries.slice(256 * n, 256 * n + 256);
    const framed = here.flatMap((bytes) => [
      Uint8Array.of(bytes.length >> 8, bytes.length & 255),
      bytes,
    ]);
    files.set(pathOf('entries', n, here.length), Buffer.concat(framed));
  }
  let hashes = entries.map((bytes) => sha256(Uint8Array.of(0), bytes));
  for (let level = 0; hashes.length > 0; level++) {
    const above = [];
    for (let n = 0; 256 * n < hashes.length; n++) {
      const here = hashes.slice(256 * n, 256 * n + 256);
      files.set(pathOf(level, n, here.length), Buffer.concat(here));
      if (here.length === 256) above.push(root(here));
    }
    hashes = above;
  }
  for (const [path, hex] of Object.entries(vector.files ?? {})) {
    if (hex === null) files.delete(path);
    else files.set(path, bytesOf(hex));
  }
  return files;
};

/** What an audit reads files with. */
export const layOut = (vector) => {
  const files = filesOf(vector);
  return (path) => files.get(path) ?? null;
};

// Runs the second verifier (src/web/verify.mjs) over all test vectors of ledger-spec.md section 21.
//
//   node tests/interop/second-verifier.mjs
//
// Prints each mismatch, then what it ran by family. Exit 1 if anything differs, if a file has a
// form that it does not know, or if a family has fewer vectors than were ever released.

import { readFile, readdir } from 'node:fs/promises';
import { auditBundle, auditFiles, verifyProof } from '../../src/web/verify.mjs';
import { checkPublicKey, checkSignature, readTyped, readValue } from '../../src/web/verify.mjs';
import { layOut } from './lay-out.mjs';

const FIXTURES = new URL('../../fixtures/', import.meta.url);

/** Never fewer than there are: a runner that finds nothing must not say that all is well. */
const LEAST = {
  'accepted logs': 21,
  'refused logs': 122,
  'accepted values': 52,
  'refused values': 126,
  'signatures': 147,
  'proof files': 43,
};

const ran = {};
const mismatches = [];

const bytesOf = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'));

const show = (value) =>
  JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? Number(each) : each));

/** One vector of a family: `found` and `wanted` are the same, or it is a mismatch. */
const check = (family, name, found, wanted) => {
  ran[family] = (ran[family] ?? 0) + 1;
  if (show(found) === show(wanted)) return;
  mismatches.push(`${family}: ${name}\n  wanted ${show(wanted)}\n  found  ${show(found)}`);
};

const checkValue = (family, name, vector) => {
  const { type, what, hex, text } = vector;
  const wanted = 'expect' in vector ? { code: vector.expect } : { value: vector.value };
  const found = text === undefined ? readValue(type, bytesOf(hex)) : readTyped(type, text);
  // Without a value it is enough that it is taken; an absent option has the value null too.
  if (wanted.value === null && !('code' in found)) found.value = null;
  check(family, `${name}: ${type}: ${what}`, found, wanted);
};

/** Code, place and detail of failures, in one order. */
const sorted = (failures) => failures.map((each) => show(each)).sort();

const checkLog = async (family, name, vector) => {
  const { expect, at, detail, also = [], gifts, trust } = vector;
  const answer = vector.zip
    ? await auditBundle(bytesOf(vector.zip), trust)
    : await auditFiles(await layOut(vector), trust);

  const outcome = { 'ok': 'clean', 'not-understood': 'not-understood' }[expect] ?? 'failed';
  const wanted = { outcome, failures: [], notUnderstood: [], gifts };
  if (outcome === 'failed') {
    wanted.failures = [{ code: expect, at, detail }, ...also];
  } else if (outcome === 'not-understood') {
    wanted.notUnderstood = [at];
  }
  wanted.failures = sorted(wanted.failures.map(({ code, at, detail }) => ({ code, at, detail })));

  const found = {
    outcome: answer.outcome,
    failures: sorted(answer.failures.map(({ code, at, detail }) => ({ code, at, detail }))),
    notUnderstood: answer.notUnderstood,
    gifts: gifts && orderedLike(gifts, answer.gifts),
  };
  check(family, `${name}: ${vector.what}`, found, wanted);
};

/** The verdicts with members in the order of the vector's; what is not in it comes last. */
const orderedLike = (wanted, found) => {
  const ordered = {};
  for (const id of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
    if (!(id in found)) continue;
    const where = {};
    const places = Object.keys(wanted[id]?.where ?? {});
    for (const place of new Set([...places, ...Object.keys(found[id].where)])) {
      if (place in found[id].where) where[place] = found[id].where[place];
    }
    ordered[id] = { headline: found[id].headline, where };
  }
  return ordered;
};

/** The members that a proof file's vector may have (21.3). */
const PROOF_MEMBERS = new Set([
  ...['proof', 'trust', 'expect', 'at', 'detail', 'level', 'headline', 'where', 'flags'],
  ...['journey', 'as_of', 'failures', 'not_understood', 'after_seal', 'witnesses', 'auditors'],
  'what',
]);

/** The answer in the members of a vector; what a vector leaves out when empty is left out. */
const answerOf = (answer) => {
  const some = (list) => (list?.length > 0 ? list : undefined);
  const { verdict } = answer;
  const refused = answer.level === undefined;
  return {
    expect: refused ? answer.code : answer.outcome,
    at: refused ? answer.at : undefined,
    detail: refused ? answer.detail : undefined,
    level: answer.level,
    headline: verdict?.headline,
    where: verdict?.where,
    flags: verdict?.flags,
    journey: verdict === null ? undefined : answer.journey?.map(({ index }) => index),
    as_of: answer.asOf,
    failures: some(answer.failures?.map(({ at, code }) => [at, code])),
    not_understood: some(answer.notUnderstood),
    after_seal: some(answer.afterSeal),
    witnesses: some(answer.witnesses?.map(({ name }) => name)),
    auditors: some(answer.audits?.filter(({ known }) => known).flatMap(({ names }) => names)),
  };
};

const checkProofFile = async (name, vector) => {
  const { proof, trust, what, ...wanted } = vector;
  const found = answerOf(await verifyProof(bytesOf(proof), trust));
  check('proof files', `${name}: ${what}`, inOneOrder(found), inOneOrder(wanted));
};

/** With the members of objects by name, so that two compare by what is in them. */
const inOneOrder = (value) => {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(inOneOrder);
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, each]) => [name, inOneOrder(each)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
};

const checkSignatureOf = async (name, { key, message, signature, verdict }) => {
  const refused =
    checkPublicKey(bytesOf(key)) ??
    (await checkSignature(bytesOf(key), bytesOf(message), bytesOf(signature)));
  check('signatures', name, refused ?? 'ok', verdict);
};

for (const [folder, family] of [
  ['accept', 'accepted'],
  ['reject', 'refused'],
]) {
  const names = (await readdir(new URL(`${folder}/`, FIXTURES))).sort();
  for (const name of names) {
    const vector = JSON.parse(await readFile(new URL(`${folder}/${name}`, FIXTURES), 'utf8'));
    if (Array.isArray(vector)) {
      for (const value of vector) checkValue(`${family} values`, name, value);
    } else if (vector.expect && (vector.entries || vector.zip)) {
      await checkLog(`${family} logs`, `${folder}/${name}`, vector);
    } else {
      mismatches.push(`${folder}/${name}: not a form that this runner knows`);
    }
  }
}
for (const name of (await readdir(new URL('proofs/', FIXTURES))).sort()) {
  const vector = JSON.parse(await readFile(new URL(`proofs/${name}`, FIXTURES), 'utf8'));
  const known = Object.keys(vector).every((member) => PROOF_MEMBERS.has(member));
  if (known && vector.proof && vector.trust && vector.expect) await checkProofFile(name, vector);
  else mismatches.push(`proofs/${name}: not a form that this runner knows`);
}
for (const file of ['crafted.jsonl', 'published.jsonl']) {
  const lines = (await readFile(new URL(`signatures/${file}`, FIXTURES), 'utf8')).trim();
  for (const line of lines.split('\n')) {
    const vector = JSON.parse(line);
    await checkSignatureOf(`${file}: ${vector.name}`, vector);
  }
}

for (const [family, least] of Object.entries(LEAST)) {
  const count = ran[family] ?? 0;
  console.log(`${family}: ${count}`);
  if (count < least) mismatches.push(`${family}: only ${count} of at least ${least}`);
}
for (const mismatch of mismatches) console.log(mismatch);
const total = Object.values(ran).reduce((sum, each) => sum + each, 0);
console.log(`${total - Math.min(total, mismatches.length)} passed, ${mismatches.length} failed`);
process.exitCode = mismatches.length > 0 ? 1 : 0;

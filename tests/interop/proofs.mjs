// Proof files of random logs: verify.mjs must accept each that prover.mjs writes, derive the same
// verdict as from the whole log, and accept none that was changed. Given a giftproof, its answers
// are the same, and it refuses changed files by the same check.
//
//   node tests/interop/proofs.mjs [COUNT [SEED [GIFTPROOF]]]

import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PartReplay, auditFiles, prepare, scopeOf, verifyProof } from '../../src/web/verify.mjs';
import { checkOf, oursOf, theirsOf } from './answers.mjs';
import { filesOf } from './lay-out.mjs';
import { prove, rowsProof } from './prover.mjs';
import { Dice, Story } from './story.mjs';
import { check, finish } from './tally.mjs';

/** How many changes to each proof are shown to giftproof too. */
const COMPARED = 6;

const SORTS = ['party', 'gift', 'lot', 'shipment', 'statement'];

/** The proof about a gift, or about there being none of an id, under the newest seal or none. */
const proofOf = async (story, vector, about, gift, seal) => {
  const { replay } = story.forge;
  const entries = [];
  const part = new PartReplay(about === 'gift' ? gift : '');
  for (const [index, bytes] of story.forge.entries.entries()) {
    const { genesis, keyCheck } = part.state;
    entries.push(await part.add(await prepare(new Uint8Array(bytes), index, genesis, keyCheck)));
  }
  const scope = await scopeOf({ about, gift }, entries, part.state);
  const touches = ({ touched }) => touched.some((subject) => scope.subjects.has(subject));
  const indices = entries
    .filter((each) => touches(each) || scope.further.has(each.index) || each.index === seal)
    .map(({ index }) => index);
  // Rows are those of the whole log: nothing of the replay in part decides them.
  const rows = new Map();
  for (const { index, touched, leaf } of seal === null ? [] : entries.slice(0, seal)) {
    for (const subject of touched) {
      rows.set(subject, { number: (rows.get(subject)?.number ?? 0) + 1, index, leaf });
    }
  }
  const tables = SORTS.map((sort) => {
    const asked = [...scope.subjects]
      .filter(([, each]) => each === sort)
      .map(([subject]) => subject);
    if (seal === null || asked.length === 0) return Buffer.alloc(0);
    const table = [...rows].filter(([subject]) => replay.links.sorts.get(subject) === sort);
    return rowsProof(table, asked);
  });
  const newest = entries.findLast(({ touched }) => touched.includes(scope.gift))?.index;
  const named = [...rows]
    .filter(([subject]) => scope.subjects.has(subject))
    .map(([, row]) => row.index);
  const log = {
    entries: story.forge.entries,
    leaves: entries.map(({ leaf }) => leaf),
    links: entries.map(({ entry }) => entry?.links ?? []),
  };
  return prove({
    log,
    indices,
    newest,
    seal,
    named,
    about,
    gift,
    tables,
    checkpoint: vector.checkpoint,
    audits: [],
  });
};

const plain = (value) =>
  JSON.parse(JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? Number(each) : each)));

/** Changes that no verifier may accept: at each of some places, and of some kinds. */
const changes = function* (bytes, dice) {
  for (let i = 0; i < 12; i++) {
    const flipped = Buffer.from(bytes);
    flipped[dice.below(bytes.length)] ^= 1 << dice.below(8);
    yield flipped;
    yield bytes.subarray(0, dice.below(bytes.length));
    const at = dice.below(bytes.length);
    const cut = 1 + dice.below(64);
    yield Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + cut)]);
  }
  yield Buffer.concat([bytes, Buffer.from([0])]);
};

const [count = '10', seed = '1', giftproof] = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'proofs-'));

/** What giftproof says of a proof file must be what verify.mjs said. */
const compare = async (name, bytes, trust, answer) => {
  if (giftproof === undefined) return;
  await writeFile(`${folder}/proof`, bytes);
  await writeFile(`${folder}/trust`, trust);
  const args = ['verify', `${folder}/proof`, '--trust', `${folder}/trust`, '--json'];
  const { stdout, error } = spawnSync(giftproof, args);
  if (error) throw error;
  const [found, wanted] = [oursOf(answer), theirsOf(JSON.parse(stdout))].map(checkOf);
  check(`${name}, by both`, found, wanted);
};

for (let i = 0; i < Number(count); i++) {
  const story = new Story(Number(seed) + i, true);
  await story.write();
  const sealed = await story.forge.seal('operator');
  const seal = sealed.failure ? null : sealed.index;
  await story.dispatch();
  await story.donation();
  const vector = story.forge.vector('operator');
  const files = filesOf(vector);
  const whole = await auditFiles((path) => files.get(path) ?? null, vector.trust);
  const dice = new Dice(Number(seed) + i);
  for (const { hash } of story.state.gifts.values()) {
    const name = `seed ${Number(seed) + i}, gift ${hash.slice(0, 8)}`;
    for (const under of [seal, null]) {
      const bytes = await proofOf(story, vector, 'gift', hash, under);
      const answer = await verifyProof(bytes, vector.trust);
      const { headline, where, flags } = whole.gifts[answer.gift] ?? {};
      const { verdict = {} } = answer;
      // A proof that ends earlier than the log is of an earlier day.
      const timeless = (all) => all?.filter((flag) => flag !== 'overdue');
      check(
        `${name}, seal ${under}: ${answer.outcome} ${answer.code} ${answer.detail} ${answer.at}`,
        plain({
          level: answer.level,
          headline: verdict?.headline,
          where: verdict?.where,
          flags: timeless(verdict?.flags),
        }),
        plain({
          level: under === null ? 'included' : 'complete',
          headline,
          where,
          flags: timeless(flags),
        }),
      );
      await compare(name, bytes, vector.trust, answer);
      for (const [number, changed] of [...changes(bytes, dice)].entries()) {
        const refused = await verifyProof(changed, vector.trust);
        const { outcome, level } = refused;
        // By its first line giftproof knows what a file is.
        if (number < COMPARED && changed.subarray(0, 19).equals(bytes.subarray(0, 19))) {
          await compare(`${name}, change ${number}`, changed, vector.trust, refused);
        }
        check(
          `${name}: a change is ${outcome}`,
          level === undefined && outcome !== 'verified',
          true,
        );
      }
    }
  }
  if (seal === null) continue;
  const bytes = await proofOf(story, vector, 'absence', '11'.repeat(20), seal);
  const answer = await verifyProof(bytes, vector.trust);
  await compare(`seed ${Number(seed) + i}, no such gift`, bytes, vector.trust, answer);
  const { outcome, level, about } = answer;
  check('no such gift', [outcome, level, about], ['verified', 'complete', 'absence']);
}
await rm(folder, { recursive: true });
finish();

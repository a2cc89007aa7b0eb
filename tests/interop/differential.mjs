// Lets two verifiers judge the same random logs: giftproof itself and src/web/verify.mjs.
//
//   node tests/interop/differential.mjs GIFTPROOF [COUNT [SEED]]
//
// Each log is half sensible and half wrong: its entries are refused under many codes, and whatever
// is accepted goes on. Both must report the same failures, headlines and flags. A log on which
// they differ is kept, and its folder printed; the same seed makes it again.

import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { auditFiles } from '../../src/web/verify.mjs';
import { filesOf } from './lay-out.mjs';
import { Dice, Story } from './story.mjs';

/** What both say, in one form. */
const ours = async (files, vector) => {
  const answer = await auditFiles((path) => files.get(path) ?? null, vector.trust);
  const gifts = Object.values(answer.gifts);
  const count = (names) => {
    const counts = {};
    for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
    return inOrder(counts);
  };
  return {
    outcome: answer.outcome,
    failures: answer.failures
      .map(({ code, at }) => `${code} at ${typeof at === 'number' ? `entry ${at}` : at}`)
      .sort(),
    notUnderstood: answer.notUnderstood,
    headlines: count(gifts.map(({ headline }) => headline)),
    flags: count(gifts.flatMap(({ flags }) => flags)),
    late: count(gifts.flatMap(({ late }) => late)),
    overdue: count(gifts.flatMap(({ overdue }) => overdue)),
    withDifferences: gifts.filter(({ differs }) => differs).length,
  };
};

/** One wrong thing about a file of the log. */
const tamper = (files, dice) => {
  const path = dice.of([...files.keys()]);
  const bytes = Buffer.from(files.get(path));
  const at = dice.below(bytes.length);
  const flipped = Buffer.from(bytes);
  flipped[at] ^= 1 << dice.below(8);
  const changed = dice.of([
    flipped,
    flipped,
    bytes.subarray(0, at),
    Buffer.concat([bytes, Buffer.from([0])]),
    null,
  ]);
  if (changed !== null) files.set(path, changed);
  else if (path !== 'checkpoint') files.delete(path);
};

const inOrder = (counts) =>
  Object.fromEntries(
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .sort(),
  );

const theirs = (giftproof, folder) => {
  let output;
  try {
    output = execFileSync(
      giftproof,
      ['audit', `${folder}/log`, '--trust', `${folder}/trust`, '--json'],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
  } catch (error) {
    output = error.stdout;
  }
  const answer = JSON.parse(output);
  const {
    by_headline = {},
    by_flag = {},
    by_clock = {},
    with_differences = 0,
  } = answer.differences ?? {};
  const clocks = (kind) =>
    Object.fromEntries(Object.entries(by_clock).map(([clock, counts]) => [clock, counts[kind]]));
  return {
    outcome: answer.outcome,
    failures: answer.failures.map(({ code, at }) => `${code} at ${at}`).sort(),
    notUnderstood: answer.not_understood,
    headlines: inOrder(by_headline),
    flags: inOrder(by_flag),
    late: inOrder(clocks('late')),
    overdue: inOrder(clocks('overdue')),
    withDifferences: with_differences,
  };
};

const [giftproof, count = '20', seed = '1'] = process.argv.slice(2);
if (giftproof === undefined) {
  console.error('usage: differential.mjs GIFTPROOF [COUNT [SEED]]');
  process.exit(2);
}
const seen = new Map();
let different = 0;
for (let i = 0; i < Number(count); i++) {
  const folder = await mkdtemp(join(tmpdir(), 'differential-'));
  const dice = new Dice(Number(seed) + i);
  const vector = await new Story(Number(seed) + i, false, dice.chance(5) ? 300 : undefined).write();
  const files = filesOf(vector);
  if (dice.chance(40)) tamper(files, dice);
  for (const [path, bytes] of files) {
    await mkdir(dirname(`${folder}/log/${path}`), { recursive: true });
    await writeFile(`${folder}/log/${path}`, bytes);
  }
  await writeFile(`${folder}/trust`, vector.trust);
  const [a, b] = [await ours(files, vector), theirs(giftproof, folder)];
  for (const failure of b.failures) {
    const code = failure.split(' ')[0];
    seen.set(code, (seen.get(code) ?? 0) + 1);
  }
  if (JSON.stringify(a) === JSON.stringify(b)) {
    await rm(folder, { recursive: true });
    continue;
  }
  different += 1;
  console.log(`seed ${Number(seed) + i}: they differ on ${folder}`);
  for (const member of Object.keys(b)) {
    if (JSON.stringify(a[member]) === JSON.stringify(b[member])) continue;
    const only = (these, those) =>
      Array.isArray(these) ? these.filter((each) => !those.includes(each)) : these;
    console.log(`  ${member}: giftproof ${JSON.stringify(only(b[member], a[member]))}`);
    console.log(`  ${member}: verify.mjs ${JSON.stringify(only(a[member], b[member]))}`);
  }
}
console.log(
  `refused under: ${[...seen]
    .sort()
    .map(([code, times]) => `${code} ${times}`)
    .join(', ')}`,
);
console.log(`${Number(count) - different} passed, ${different} failed`);
process.exitCode = different > 0 || !(Number(count) > 0) ? 1 : 0;

// A ledger made by the giftproof command as in the README, and its proof files and bundle: what
// `giftproof verify` and `audit` say of them, and what `node src/web/verify.mjs` says.
//
//   node tests/interop/command-line.mjs GIFTPROOF
//
// Answers and exit codes are compared, of whole files and of changed ones.

import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkOf, oursOf, theirsOf } from './answers.mjs';
import { Dice } from './story.mjs';
import { check, finish } from './tally.mjs';

const VERIFY = fileURLToPath(new URL('../../src/web/verify.mjs', import.meta.url));
const README = new URL('../../README.md', import.meta.url);
const CHANGES = 60;

const [giftproof] = process.argv.slice(2).map((path) => resolve(path));
if (giftproof === undefined) {
  console.error('usage: command-line.mjs GIFTPROOF');
  process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), 'command-line-'));
const env = {
  ...process.env,
  PATH: `${folder}:${process.env.PATH}`,
  GIFTPROOF_PASSPHRASE_FILE: `${folder}/passphrase`,
  GIFTPROOF_LEDGER: 'office/ledger',
  GIFTPROOF_OPERATOR_KEY: 'office/operator.key',
};

const run = (command, args, input = '') => {
  const { status, stdout, error } = spawnSync(command, args, { cwd: folder, env, input });
  if (error) throw error;
  return { status, output: stdout.toString() };
};

/** A place of giftproof's JSON, as in section 21.1: of those that the README's gift comes to. */
const placeText = (place) => {
  const [[kind, { holder, condition, giver }]] = Object.entries(place);
  if (kind === 'at-rest') return `${holder} ${condition}`;
  if (kind === 'unaccounted') return `unaccounted ${giver}`;
  throw new Error(`a place that the README's gift does not come to: ${kind}`);
};

/** What giftproof says of a proof file: exit code and answer, and where the gift is. */
const theirs = (args, input) => {
  const { status, output } = run(giftproof, ['verify', ...args, '--json'], input);
  const answer = JSON.parse(output);
  const holdings = answer.verdict?.holdings;
  const where = holdings?.map(({ place, quantity }) => [placeText(place), quantity]).sort();
  return { status, ...theirsOf(answer), where };
};

/** What verify.mjs says. */
const ours = (args, input) => {
  const { status, output } = run(process.execPath, [VERIFY, ...args, '--json'], input);
  const answer = JSON.parse(output);
  const where = answer.verdict ? Object.entries(answer.verdict.where).sort() : undefined;
  return { status, ...oursOf(answer), where };
};

const compare = (name, wanted, args, input) => {
  const [found, expected] = [ours(args, input), theirs(args, input)];
  check(name, found, expected);
  check(`${name}: what is said at all`, found.outcome ?? found.code, wanted);
};

/** The ledger of the README, made by its own lines. */
const makeLedger = async () => {
  await symlink(giftproof, `${folder}/giftproof`);
  await writeFile(`${folder}/passphrase`, 'for a test alone\n');
  const [, walk] = /<!-- walk -->(.*)<!-- \/walk -->/s.exec(await readFile(README, 'utf8'));
  const lines = [...walk.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block);
  const { status, output } = run('bash', ['-e', '-c', lines.join('')]);
  const gift = /gift1[a-z0-9]{38}/.exec(output)?.[0];
  if (status !== 0 || gift === undefined) throw new Error(`the README's lines fail: ${output}`);
  return gift;
};

const text = (args, input) => run(process.execPath, [VERIFY, ...args], input);

const checkAll = async () => {
  const gift = await makeLedger();
  const trust = ['--trust', 'office/wuhan.trust'];
  const lookup = (id, file) => run(giftproof, ['lookup', id, '--proof', file]).status;

  run(giftproof, ['seal']);
  check('lookup', lookup(gift, 'gift.proof'), 0);
  compare('a gift', 'verified', ['gift.proof', ...trust]);
  const bytes = await readFile(`${folder}/gift.proof`);
  compare('standard input', 'verified', ['-', ...trust], bytes);

  const noGift = 'gift1j4ur57hd208jw4fwf87jcdctf79sszhtk8nmkq';
  lookup(noGift, 'none.proof');
  compare('no such gift', 'verified', ['none.proof', ...trust]);

  const dispute = ['dispute', gift, '--claim', 'not-received', '--text', 'boxes were empty'];
  const disputed = run(giftproof, [...dispute, '--key', 'hospital/first.key']);
  check('a dispute', disputed.status, 0);
  check('lookup', lookup(gift, 'later.proof'), 0);
  compare('an entry after the seal', 'verified', ['later.proof', ...trust]);

  // Another ledger's trust file; one that is none; files that are none.
  const trusted = await readFile(`${folder}/office/wuhan.trust`, 'utf8');
  const other = trusted.replace(/^genesis .*$/m, `genesis ${'ab'.repeat(32)}`);
  await writeFile(`${folder}/other.trust`, other);
  compare('another ledger', 'trust/genesis', ['gift.proof', '--trust', 'other.trust']);
  await writeFile(`${folder}/no.trust`, 'nothing\n');
  for (const args of [
    ['gift.proof', '--trust', 'no.trust'],
    ['gift.proof', '--trust', 'missing'],
    ['missing', ...trust],
  ]) {
    check(`${args.join(' ')}: both`, text(args).status, 2);
    check(`${args.join(' ')}: giftproof`, run(giftproof, ['verify', ...args]).status, 2);
  }

  // Changed files are refused by the same check.
  const dice = new Dice(1);
  for (let i = 0; i < CHANGES; i++) {
    const at = dice.below(bytes.length);
    const changed = Buffer.from(bytes);
    changed[at] ^= 1 << dice.below(8);
    await writeFile(`${folder}/changed.proof`, i % 6 === 5 ? bytes.subarray(0, at) : changed);
    const [found, wanted] = [ours, theirs].map((verify) => verify(['changed.proof', ...trust]));
    check(`byte ${at} is changed`, checkOf(found), checkOf(wanted));
    check(`byte ${at} is changed: refused`, found.status, 1);
  }

  // The regulator's bundle.
  run(giftproof, ['export', 'all.zip']);
  const audit = run(giftproof, ['audit', 'all.zip', ...trust, '--json']);
  const second = run(process.execPath, [VERIFY, 'all.zip', ...trust, '--json']);
  const [a, b] = [JSON.parse(second.output), JSON.parse(audit.output)];
  check('bundle', [second.status, a.outcome, a.size], [audit.status, b.outcome, b.size]);
  check('bundle: clean', [second.status, a.outcome], [0, 'clean']);
  check(
    'bundle: differences',
    Object.values(a.gifts).filter(({ differs }) => differs).length,
    b.differences.with_differences,
  );

  // For people.
  const { status, output } = text(['gift.proof', ...trust]);
  check('text: exit code', status, 0);
  const lines = output.split('\n');
  check('text', lines.slice(0, 3), ['verified', 'received with differences', gift]);
  check('text: the seal', /^complete: .* seal at entry \d+ \(.* UTC\)$/m.test(output), true);
  check('text: nothing to verify', text(['gift.proof']).status, 2);
};

try {
  await checkAll();
} finally {
  await rm(folder, { recursive: true });
}
finish();

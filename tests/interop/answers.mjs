// What giftproof and src/web/verify.mjs say of a proof file, in one form.

const utc = (ms) => `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** giftproof gives a flag as often as it is raised, each with its details; here it is one word. */
const wordsOf = (flags) => [...new Set(flags)].sort();

/** From `giftproof verify --json`. */
export const theirsOf = (answer) => {
  if (answer.error) return { code: answer.error.code };
  const { verdict, seal, checkpoint } = answer;
  return {
    outcome: answer.outcome,
    gift: answer.gift,
    exists: answer.exists,
    level: answer.level,
    headline: verdict?.headline,
    flags: verdict && wordsOf(verdict.flags.map(({ flag }) => flag)),
    asOf: verdict?.as_of.day,
    journey: answer.journey.map(({ index }) => index),
    seal: seal ? [seal.index, utc(seal.recorded_at_unix_ms)] : null,
    ledger: [checkpoint.origin, checkpoint.size],
    witnesses: answer.witnesses.length,
    afterSeal: answer.after_seal,
    failures: answer.failures.length,
    notUnderstood: answer.not_understood,
  };
};

/** From verifyProof. */
export const oursOf = (answer) => {
  if (answer.level === undefined) return { code: answer.code };
  const { verdict, seal } = answer;
  return {
    outcome: answer.outcome,
    gift: answer.gift,
    exists: answer.about === 'gift',
    level: answer.level,
    headline: verdict?.headline,
    flags: verdict && wordsOf(verdict.flags),
    asOf: verdict ? answer.asOf : undefined,
    journey: answer.journey.map(({ index }) => index),
    seal: seal ? [seal.index, seal.recordedAt] : null,
    ledger: [answer.origin, answer.size],
    witnesses: answer.witnesses.length,
    afterSeal: answer.afterSeal,
    failures: answer.failures.length,
    notUnderstood: answer.notUnderstood,
  };
};

/** The checks of 17.4. A byte may break two things that one check looks at, in either order. */
const CHECKS = [
  ['proof-file/malformed', 'checkpoint/malformed', 'checkpoint/origin'],
  ['entry/malformed', 'proof-file/entry-order', 'trust/genesis', 'trust/operator'],
  ['proof-file/gift'],
  ['proof-file/chain'],
  ['proof-file/entry-extra', 'proof-file/entry-missing'],
  ['proof-file/seal', 'proof-file/rows'],
  ['proof-file/tree'],
  ['checkpoint/signature', 'trust/policy', 'trust/checkpoint'],
  ['proof-file/audit'],
];

/** Of an answer in the form above: the check that refused the file, or the answer itself. */
export const checkOf = (answer) => {
  const number = CHECKS.findIndex((codes) => codes.includes(answer.code));
  return number < 0 ? answer : { check: number + 1 };
};

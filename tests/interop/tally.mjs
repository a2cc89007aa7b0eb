// Counts what held and what did not; whoever ends without having checked anything has failed.

let passed = 0;
let failed = 0;

/** Whether what was found is what was wanted, as JSON has it. */
export const check = (name, found, wanted) => {
  if (JSON.stringify(found) === JSON.stringify(wanted)) {
    passed += 1;
    return;
  }
  failed += 1;
  console.log(`${name}\n  wanted ${JSON.stringify(wanted)}\n  found  ${JSON.stringify(found)}`);
};

/** Prints the counts, and with them decides how the process ends. */
export const finish = () => {
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
};

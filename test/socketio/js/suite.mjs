// Runs checks one by one. Runs in Node and in pages.
import { User } from './user.mjs';
import { binaryAs, within } from './compare.mjs';

/** How many milliseconds one check may take. */
const usual = 60_000;

/** The checks that names lists; without names all. */
export function chosen(checks, names) {
  return Object.fromEntries(Object.entries(checks).filter(([name]) => !names || names.includes(name)));
}

/**
 * Calls every check of checks with a user of its own, and report({test, ms, error}) after each;
 * ms is how long it took, and error undefined when it passed.
 */
export async function runChecks(prefix, checks, environment, report) {
  binaryAs(environment.binary ?? ((array) => array));
  for (const [name, run] of Object.entries(checks)) {
    const user = new User(environment);
    const start = Date.now();
    let error;
    try {
      await within(run(user), environment.limit ?? usual, name);
    } catch (e) {
      error = e?.stack ?? String(e);
    }
    user.close();
    report({ test: `${prefix}/${name}`, ms: Date.now() - start, error });
  }
}

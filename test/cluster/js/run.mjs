// node run.mjs '<settings>'
//
// Runs a suite of suites.mjs and prints a line of JSON for each check: {call,
// from, to, nsp, ms, error}, and at last {done: true}. A line {do: name} asks
// for something; a line on standard input says that it is done.
import { createInterface } from 'node:readline';
import * as suites from './suites.mjs';

const report = (line) => { process.stdout.write(`${JSON.stringify(line)}\n`); };
const input = createInterface({ input: process.stdin });
const order = (name) => new Promise((resolve) => {
  input.once('line', resolve);
  report({ do: name });
});
const settings = JSON.parse(process.argv[2]);
await suites[settings.suite](settings, report, order);
process.stdout.write(`${JSON.stringify({ done: true })}\n`, () => process.exit(0));

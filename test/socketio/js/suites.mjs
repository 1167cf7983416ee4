// The suites of run.mjs. Each gets the settings, report(line), and order(name),
// which asks the test to do something and waits until it is done.
import * as chatChecks from './checks/chat.mjs';
import * as engineChecks from './checks/engine.mjs';
import * as extraChecks from './checks/extra.mjs';
import * as heartbeatChecks from './checks/heartbeat.mjs';
import * as limitChecks from './checks/limits.mjs';
import * as movedChecks from './checks/moved.mjs';
import * as pathChecks from './checks/path.mjs';
import * as reconnectionChecks from './checks/reconnection.mjs';
import * as recoveryChecks from './checks/recovery.mjs';
import * as serveChecks from './checks/serve.mjs';
import * as silenceChecks from './checks/silence.mjs';
import * as stormChecks from './checks/storm.mjs';
import { common as commonChecks } from './checks/index.mjs';
import { clientLibrary } from './libraries.mjs';
import { inPages, withChromium } from './pages.mjs';
import { chosen, runChecks } from './suite.mjs';

/** Runs checks with the client and every transport that the settings name. */
const suite = (checks) => async (settings, report, order) => {
  for (const transport of settings.transports) await byTransport(checks, settings, transport, report, order);
};

/** As suite, with all transports at a time: for checks that mostly wait. */
const idleSuite = (checks) => (settings, report, order) => Promise.all(
  settings.transports.map((transport) => byTransport(checks, settings, transport, report, order)),
);

function byTransport(checks, { client = '4', only, ...environment }, transport, report, order) {
  return runChecks(transport, chosen(checks, only), { ...environment, transport, order, ...clientLibrary(client) }, report);
}

const { expired: expiredCheck, ...recoveryOnly } = recoveryChecks;

export const common = suite(commonChecks);
export const engine = suite(engineChecks);
export const extra = suite(extraChecks);
export const heartbeat = idleSuite(heartbeatChecks);
export const silence = suite(silenceChecks);
export const limits = suite(limitChecks);
export const moved = suite(movedChecks);
export const path = idleSuite(pathChecks);
export const reconnection = suite(reconnectionChecks);
export const recovery = idleSuite(recoveryOnly);
export const expired = idleSuite({ expired: expiredCheck });
export const serve = idleSuite(serveChecks);
export const storm = suite(stormChecks);

/** The common checks in a browser; bundles: [{client, url, transports, only}]. */
export const page = ({ page: port, bundles }, report) => inPages(port, async (open) => {
  for (const bundle of bundles) {
    const page = await open('127.0.0.1', `/page?client=${bundle.client}`, report);
    await page.evaluate(async (s) => (await import('/js/page.mjs')).run(s), bundle);
    await page.close();
  }
});

/** A page of a foreign origin can connect by WebSocket, and by polling only where it is told that it may. */
export const foreignPage = (settings, report) => inPages(settings.page, async (open) => {
  const page = await open('localhost', '/page?client=4', report);
  await page.evaluate(async (s) => (await import('/js/page.mjs')).foreign(s), settings);
});

/** The page of docs/examples/chat, opened twice. */
export const chat = ({ url }, report) => withChromium(async (context) => {
  const pages = [await context.newPage(), await context.newPage()];
  await runChecks('page', chatChecks, { pages, url }, report);
});

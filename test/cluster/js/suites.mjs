// The suites of run.mjs. Each gets the settings, report(line), and order(name),
// which asks the test to do something and waits until it is done.
import { eventually, within } from '../../socketio/js/compare.mjs';
import { far } from '../../socketio/js/user.mjs';
import { balanced as behindProxy } from './checks/balanced.mjs';
import * as calls from './checks/calls.mjs';
import { comesAndGoes } from './checks/members.mjs';
import * as recoveries from './checks/recovery.mjs';
import { Audience } from './audience.mjs';
import { Cluster, Flow } from './cluster.mjs';
import { EmitterFlow } from './emitter.mjs';

/** How many milliseconds one check may take. */
const limit = 60_000;

/** How many milliseconds servers may need, on a busy machine, for what a flood has left in their queues. */
const catchUp = 120_000;

/** Runs one check and reports it. */
async function cell(call, run, { from, to, nsp }, report) {
  const start = Date.now();
  let error;
  try {
    await within(run(), limit, call);
  } catch (e) {
    error = e?.stack ?? String(e);
  }
  report({ call, from, to, nsp, ms: Date.now() - start, error });
}

/** Waits until the servers of flows hear each other. */
async function settle(cluster, flows) {
  for (const nsp of new Set(flows.map((f) => f.nsp))) {
    await cluster.settle(nsp, flows.filter((f) => f.nsp === nsp && f.from !== 'emitter').map(({ from, to }) => [from, to]));
  }
}

/**
 * Waits until each server gets the answers of all others: one that heard of
 * servers that are none waits for them until they count as dead.
 */
async function answering(cluster, flows) {
  for (const { from, nsp } of flows) {
    const socket = await cluster.open(from, nsp);
    const others = cluster.servers.length - 1;
    let last;
    await eventually(async () => {
      last = await far(socket, 'sseAck', { event: 'sse-ask' });
      return !last.error && last.responses.length === others;
    }, `${from} gets ${others} answers in ${nsp}`, catchUp).catch((e) => {
      throw new Error(`${e.message}; at last ${JSON.stringify(last)}`);
    });
  }
}

/** Makes the calls of a flow: {nsp, from, to, calls}. */
async function make(cluster, checks, place, report) {
  const { nsp, from, to } = place;
  const flow = await (from === 'emitter' ? EmitterFlow.open(cluster, nsp, to) : Flow.open(cluster, nsp, from, to));
  for (const call of place.calls) await cell(call, () => checks[call](flow), place, report);
  await flow.close();
}

/** The calls of settings.flows, flows side by side. */
export async function matrix(settings, report) {
  const cluster = new Cluster(settings);
  await settle(cluster, settings.flows);
  await Promise.all(settings.flows.map((place) => make(cluster, calls, place, report)));
  cluster.close();
}

/**
 * Recovery, one flow after the other: a client of Node's server may get what its
 * server sent before what others sent earlier, and then its last offset is not
 * that of all it has got.
 */
export async function recovery(settings, report) {
  const cluster = new Cluster(settings);
  await settle(cluster, settings.flows);
  for (const place of settings.flows) await make(cluster, recoveries, place, report);
  cluster.close();
}

/** Recovery while others talk, flows side by side. */
export async function busyRecovery(settings, report) {
  const cluster = new Cluster(settings);
  await settle(cluster, settings.flows);
  const audience = await Audience.open(cluster);
  await Promise.all(settings.flows.map((place) => make(cluster, recoveries, place, report)));
  await audience.close();
  cluster.close();
}

/** The server to of each flow comes and goes while the server from asks, one flow after the other. */
export async function members(settings, report, order) {
  const cluster = new Cluster(settings);
  await settle(cluster, settings.flows);
  for (const place of settings.flows) {
    for (const signal of place.calls) {
      const run = () => comesAndGoes(cluster, place.nsp, place.from, place.to, signal, order);
      await cell(signal, run, place, report);
    }
  }
  cluster.close();
}

/** What the test does to a cluster with people in it does no harm: all calls work as before. */
export async function harmless(settings, report, order) {
  const cluster = new Cluster(settings);
  await settle(cluster, settings.flows);
  const audience = await Audience.open(cluster);
  await order('act');
  await audience.close();
  await answering(cluster, settings.flows);
  cluster.close();
  await matrix(settings, report);
}

/** People of one room behind the proxy settings.proxy. */
export async function balanced(settings, report) {
  await settle(new Cluster(settings), settings.flows);
  await cell('room', () => behindProxy(settings), { from: 'clients', to: 'proxy', nsp: '/' }, report);
}

// Values as tests compare them. Runs in Node and in pages.

/** The bytes of a binary of any kind, or undefined. */
function bytesOf(value) {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return undefined;
}

const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

/** value with every binary as {$bin: hex} and every object's keys in order. */
export function plain(value) {
  const binary = bytesOf(value);
  if (binary) return { $bin: hex(binary) };
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.keys(value).sort().map((key) => [key, plain(value[key])]));
  }
  return value;
}

function same(a, b) {
  if (Object.is(a, b)) return true;
  if (!a || !b || typeof a !== 'object' || typeof b !== 'object' || Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [bytesOf(a), bytesOf(b)];
  if (left || right) return left?.length === right?.length && left.every((v, i) => v === right[i]);
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}

function show(value) {
  const text = value === undefined ? 'undefined' : JSON.stringify(plain(value));
  return text.length > 300 ? `${text.slice(0, 300)}... (${text.length} characters)` : text;
}

/** Throws unless got is want, in whatever order of keys, binary of any kind being equal to binary of any other. */
export function equal(got, want, what) {
  if (!same(got, want)) throw new Error(`${what}: got ${show(got)}, want ${show(want)}`);
}

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

let binary = (array) => array;

/** Sets what bytes returns: binary(Uint8Array). Socket.IO 2 knows Buffer and ArrayBuffer only. */
export function binaryAs(convert) { binary = convert; }

/** n bytes that are not all the same. */
export function bytes(n, seed = 0) {
  const all = new Uint8Array(n);
  for (let i = 0; i < n; i++) all[i] = (i * i + seed) >> 3;
  return binary(all);
}

let count = 0;

/** A name that no other test uses. */
export function unique(prefix) {
  return `${prefix}-${Math.random().toString(36).slice(2)}-${count++}`;
}

/** Rejects when promise takes longer than ms. */
export function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing for ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Resolves when condition() holds, or rejects after ms. */
export async function eventually(condition, what, ms = 20_000) {
  const until = Date.now() + ms;
  for (;;) {
    if (await condition()) return;
    if (Date.now() > until) throw new Error(`${what}: not within ${ms} ms`);
    await pause(10);
  }
}

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

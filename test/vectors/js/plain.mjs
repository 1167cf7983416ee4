// Values as the transcripts write them.

// plain returns v as JSON, with what JSON cannot say in objects of one $-key.
export function plain(v) {
  if (v === undefined) return { $undefined: true };
  if (typeof v === 'function') return { $function: true };
  if (v instanceof Date) return { $date: v.toISOString() };
  if (v instanceof ArrayBuffer) v = new Uint8Array(v);
  if (ArrayBuffer.isView(v)) return { $bin: Buffer.from(v.buffer, v.byteOffset, v.byteLength).toString('hex') };
  if (Array.isArray(v)) return v.map(plain);
  if (v === null || typeof v !== 'object') return v;
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
}

// real is the reverse of plain.
export function real(v) {
  if (Array.isArray(v)) return v.map(real);
  if (v === null || typeof v !== 'object') return v;
  if ('$undefined' in v) return undefined;
  if ('$bin' in v) return Buffer.from(v.$bin, 'hex');
  if ('$date' in v) return new Date(v.$date);
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, real(x)]));
}

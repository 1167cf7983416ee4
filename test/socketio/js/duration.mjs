const milliseconds = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Reads durations as Go prints them (250ms, 1m30s); a bare number is milliseconds. */
export function duration(text) {
  if (/^\d+$/.test(text)) return Number(text);
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) throw new Error(`"${text}" is no duration`);
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce((sum, [, n, unit]) => sum + n * milliseconds[unit], 0);
}

/** A duration in its largest unit and the next one: `3 h 5 min`. @param {number} ms */
export function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([value]) => value !== 0);
  if (first === -1) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value !== 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ');
}

/** A short duration with suitable precision: `0.4 ms`, `12 ms`, `3.1 s`. @param {number} ms */
export function milliseconds(ms) {
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms);
}

/** An amount of memory, in units of 1024 × 1024 bytes. @param {number} value */
export function bytes(value) {
  return `${Math.round(value / (1024 * 1024)).toLocaleString('en')} MiB`;
}

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';

/** What machine the figures are of. */
export function machine() {
  const all = cpus();
  return {
    cpu: all[0].model.trim(),
    cores: all.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release().split('-')[0]} ${arch()}`,
    node: process.version,
  };
}

export function readResults(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { workloads: {} };
}

/** The results with those of the workloads that were played just now in place of their older ones. */
export function mergedResults(old, played, order) {
  const all = { ...old.workloads, ...played };
  const workloads = Object.fromEntries(order.filter((id) => all[id]).map((id) => [id, all[id]]));
  return { workloads };
}

export function writeResults(file, results) {
  const rounded = (_, value) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value);
  writeFileSync(file, `${JSON.stringify(results, rounded, 2)}\n`);
}

import { readdirSync, readFileSync } from 'node:fs';

const tickNs = 10_000_000;

/** Nanoseconds on a CPU: the first field of a `schedstat`. */
export function runNsOf(schedstat) {
  return Number(schedstat.trim().split(/\s+/)[0]);
}

/** What `/proc/stat` says of all cores together, in nanoseconds. Waiting for a disk is idle. */
export function machineTimesOf(stat) {
  const [user, nice, system, idle, wait, irq, softirq, steal] = stat
    .split('\n', 1)[0]
    .trim()
    .split(/\s+/)
    .slice(1)
    .map((ticks) => Number(ticks) * tickNs);
  return { busyNs: user + nice + system + irq + softirq, stealNs: steal ?? 0, idleNs: idle + wait };
}

/** The parent of a process, from its `stat`; the name before it may hold anything. */
export function parentOf(stat) {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** TCP segments sent, from `/proc/net/snmp`. */
export function segmentsOf(snmp) {
  const [names, values] = snmp.split('\n').filter((line) => line.startsWith('Tcp:'));
  return Number(values.split(' ')[names.split(' ').indexOf('OutSegs')]);
}

/** Resident kilobytes, from `smaps_rollup`. */
export function residentKbOf(rollup) {
  return Number(/^Rss:\s+(\d+) kB/m.exec(rollup)[1]);
}

/** Nanoseconds that a process and its children were on a CPU, all threads together. */
export function cpuNs(pid) {
  let sum = 0;
  for (const each of familyOf(pid))
    for (const thread of list(`/proc/${each}/task`)) {
      const text = read(`/proc/${each}/task/${thread}/schedstat`);
      if (text) sum += runNsOf(text);
    }
  return sum;
}

/** A process and everything that it started. */
export function familyOf(pid) {
  const parents = new Map();
  for (const name of list('/proc')) {
    const stat = /^\d+$/.test(name) ? read(`/proc/${name}/stat`) : undefined;
    if (stat) parents.set(Number(name), parentOf(stat));
  }
  const family = [pid];
  for (const each of family) for (const [child, parent] of parents) if (parent === each) family.push(child);
  return family;
}

export const machineTimes = () => machineTimesOf(readFileSync('/proc/stat', 'utf8'));
export const segments = () => segmentsOf(readFileSync('/proc/net/snmp', 'utf8'));

export function residentKb(pid) {
  return familyOf(pid).reduce((sum, each) => {
    const text = read(`/proc/${each}/smaps_rollup`);
    return text ? sum + residentKbOf(text) : sum;
  }, 0);
}

// Processes and threads come and go between listing and reading.
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function list(path) {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

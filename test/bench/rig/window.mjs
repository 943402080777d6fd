import { cpus } from 'node:os';
import { cpuNs, machineTimes, segments } from './proc-files.mjs';

/** A client that has less than this left may be what is measured. */
const clientShareLimit = 0.85;
/** What others on the machine may take of it. */
const foreignShareLimit = 0.05;

/** Why a round does not count; undefined when it does. */
export function rejectionOf({ clientShare, foreignShare, endedEarly = 0 }) {
  if (endedEarly > 0) return `${endedEarly} streams ended within the window`;
  if (clientShare > clientShareLimit) return `client at ${Math.round(clientShare * 100)} % of its core`;
  if (foreignShare > foreignShareLimit) return `others at ${Math.round(foreignShare * 100)} % of the machine`;
  return undefined;
}

/** The part of the machine that was neither idle nor ours. Never below zero: ticks are coarse. */
export function foreignShareOf(before, after, oursNs) {
  const busy = after.busyNs - before.busyNs;
  const steal = after.stealNs - before.stealNs;
  const all = busy + steal + after.idleNs - before.idleNs;
  return all > 0 ? Math.max(0, busy + steal - oursNs) / all : 0;
}

const sumOf = (programs) => programs.reduce((sum, { pid }) => sum + cpuNs(pid), 0);

/** What the server, or servers, Redis and clients have cost while `work` ran. `clients` holds the mock, too. */
export async function measured({ server, clients, redis }, work) {
  const read = () => ({
    machine: machineTimes(),
    serverNs: sumOf([server].flat()),
    redisNs: redis ? cpuNs(redis.pid) : 0,
    clientNs: sumOf(clients),
    rigNs: cpuNs(process.pid),
    segments: segments(),
    at: performance.now(),
  });
  const callsBefore = await redis?.calls();
  const before = read();
  const result = await work();
  const after = read();
  const callsAfter = await redis?.calls();
  const wallNs = (after.at - before.at) * 1e6;
  const serverNs = after.serverNs - before.serverNs;
  const clientNs = after.clientNs - before.clientNs;
  // The rig's own children are in its family already.
  const oursNs = after.rigNs - before.rigNs;
  return {
    result,
    serverUs: serverNs / 1000,
    ...(redis && { redisUs: (after.redisNs - before.redisNs) / 1000, calls: [callsBefore, callsAfter] }),
    serverShare: serverNs / wallNs,
    clientShare: clientNs / wallNs,
    foreignShare: foreignShareOf(before.machine, after.machine, oursNs),
    segments: after.segments - before.segments,
    wallMs: wallNs / 1e6,
    cores: cpus().length,
  };
}

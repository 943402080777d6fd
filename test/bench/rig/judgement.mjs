import { quartiles } from './quartiles.mjs';

/**
 * What a workload demands of us.
 * @typedef {object} Gate
 * @property {string} text For people.
 * @property {string} ours Name of a contender.
 * @property {string} theirs Name of the one it is compared with; the bound is `factor` times its figure, `plus` a constant.
 * @property {number} [factor]
 * @property {number} [plus]
 * @property {string} [metric] `value` when absent.
 * @property {string} [theirMetric] The same metric when absent.
 * @property {boolean} [atLeast] More is better.
 * @property {boolean} [apart] The quartiles may not overlap.
 */

/** What was measured of one contender in one round, by metric. */
export function figuresOf(rounds, name, metric) {
  return rounds.map((round) => round[name]?.metrics[metric]);
}

/** Of each round: how much of what the gate allows is used. 1 is just allowed. */
export function usedOf(gate, rounds) {
  const { ours, theirs, factor = 1, plus = 0, metric = 'value', theirMetric = metric, atLeast } = gate;
  const our = figuresOf(rounds, ours, metric);
  const their = figuresOf(rounds, theirs, theirMetric);
  return our
    .map((figure, index) => {
      const bound = factor * their[index] + plus;
      return atLeast ? bound / figure : figure / bound;
    })
    .filter((each) => Number.isFinite(each));
}

/** @returns {{ text: string, state: 'holds' | 'fails' | 'not measured', used?: number, busy?: boolean }} */
export function judge(gate, rounds) {
  const { text, ours, theirs, metric = 'value', theirMetric = metric, atLeast = false, apart = false } = gate;
  const used = quartiles(usedOf(gate, rounds));
  if (!used) return { text, state: 'not measured' };
  const our = quartiles(figuresOf(rounds, ours, metric));
  const their = quartiles(figuresOf(rounds, theirs, theirMetric));
  const areApart = atLeast ? our.q1 > their.q3 : our.q3 < their.q1;
  const holds = used.median <= 1 && (!apart || areApart);
  const busy = rounds.some((round) => round[ours]?.busy || round[theirs]?.busy);
  return { text, state: holds ? 'holds' : 'fails', used: used.median, ...(busy && { busy }) };
}

/** Per contender: its figure, its spread, and its ratio to the reference of the same round, its own where it names one. */
export function rowsOf(contenders, rounds, reference) {
  return contenders.map(({ name, ours, rival, reference: own }) => {
    const metrics = {};
    const names = new Set(rounds.flatMap((round) => Object.keys(round[name]?.metrics ?? {})));
    for (const metric of names) metrics[metric] = quartiles(figuresOf(rounds, name, metric));
    const ratios = rounds.map((round) => round[name]?.metrics.value / round[own ?? reference]?.metrics.value);
    const busy = rounds.filter((round) => round[name]?.busy).length;
    return {
      name,
      ours: ours === true,
      ...(rival && { rival }),
      ...(own && own !== reference && { reference: own }),
      ratio: quartiles(ratios),
      metrics,
      ...(busy && { busy }),
    };
  });
}

/** Peers that are ahead of us outside the quartiles. A reference is no peer: it leaves things out. */
export function aheadOf(ours, rows, { atLeast = false, references = [] } = {}) {
  const figureOf = (wanted) => rows.find(({ name }) => name === wanted)?.metrics.value;
  return rows
    .filter(({ name, ours: isOurs, rival = ours, metrics: { value } }) => {
      const own = figureOf(rival);
      if (isOurs || references.includes(name) || !value || !own) return false;
      return atLeast ? value.q1 > own.q3 : value.q3 < own.q1;
    })
    .map(({ name }) => name);
}

/** These peers by the row of ours that they are compared with. */
export function byRival(names, { rows, ours }) {
  const peers = {};
  for (const name of names) {
    const rival = rows.find((row) => row.name === name)?.rival ?? ours;
    peers[rival] ??= [];
    peers[rival].push(name);
  }
  return peers;
}

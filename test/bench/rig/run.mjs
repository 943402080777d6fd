import { writeFileSync } from 'node:fs';
import { workloads } from '../workloads/index.mjs';
import { chartOf } from './chart.mjs';
import { aheadOf, byRival, judge, rowsOf } from './judgement.mjs';
import { readOptions } from './options.mjs';
import { pageOf } from './page.mjs';
import { missing } from './presence.mjs';
import { benchRoot } from './process.mjs';
import { machine, mergedResults, readResults, writeResults } from './results-file.mjs';
import { playRounds } from './rounds.mjs';
import { cellsOf, gateLine, plainTable } from './table.mjs';

const notes = Object.fromEntries(workloads.map(({ id, notes: lines }) => [id, lines]));
const say = (line) => console.log(line);

/** Plays the workloads that were asked for, writes what came of it, and gives the exit code. */
export async function run(args) {
  const options = readOptions(
    args,
    workloads.map(({ id }) => id),
  );
  const played = {};
  for (const workload of workloads.filter(({ id }) => options.ids.includes(id))) {
    played[workload.id] = await play(workload, options);
    publish({ [workload.id]: played[workload.id] }, options);
  }
  return exitCodeOf(Object.values(played), options);
}

/** After every workload, so that an interrupted bench keeps what it has. */
function publish(played, { quick }) {
  // Quick figures must not take the place of real ones.
  const mark = quick ? '.quick' : '';
  const file = `${benchRoot}results${mark}.json`;
  const ids = workloads.map(({ id }) => id);
  const results = mergedResults(readResults(file), played, ids);
  writeResults(file, results);
  writeFileSync(`${benchRoot}chart${mark}.svg`, chartOf(results));
  writeFileSync(`${benchRoot}RESULTS${mark}.md`, pageOf(results, `chart${mark}.svg`, notes));
}

async function play(workload, options) {
  const { id, title, unit, reference, references = [reference], ours, atLeast } = workload;
  say(`\n${id}  ${title}`);
  const skipped = [];
  const present = [];
  for (const contender of workload.contenders) {
    const why = await missing(contender);
    if (!why) present.push(contender);
    else {
      skipped.push({ name: contender.name, why });
      say(`${contender.name}: left out, cannot load ${why}`);
    }
  }
  const { rounds, failures } = await playRounds({
    contenders: present,
    count: options.rounds,
    measure: (contender, index) => workload.measure(contender, { ...options, index }),
    say,
    ...(options.quick && { tries: 1 }),
  });
  const rows = rowsOf(present, rounds, reference);
  const gates = workload.gates.map((gate) => judge(gate, rounds));
  const ahead = aheadOf(ours, rows, { atLeast, references });
  const result = {
    title,
    unit,
    reference,
    references,
    ours,
    atLeast: atLeast === true,
    rounds: options.rounds,
    quick: options.quick,
    date: new Date().toISOString().slice(0, 10),
    machine: machine(),
    rows,
    gates,
    ahead,
    skipped: [...skipped, ...failures],
  };
  say(`\n${plainTable(cellsOf(result))}\n`);
  for (const gate of gates) say(gateLine(gate));
  for (const [rival, peers] of Object.entries(byRival(ahead, result)))
    say(`ahead of ${rival}: ${peers.join('; ')}`);
  return result;
}

/** 0 unless something had to be left out, or a gate fails, where that is not allowed. */
export function exitCodeOf(results, { strict }) {
  if (!strict) return 0;
  const isFine = results.every(
    ({ skipped, gates }) => skipped.length === 0 && gates.every(({ state }) => state === 'holds'),
  );
  return isFine ? 0 : 1;
}

import { byRival } from './judgement.mjs';
import { cellsOf, gateLine, markdownTable } from './table.mjs';

const list = (lines) => lines.map((line) => `- ${line}`).join('\n');

/** Everything that the results say, as a page; what is not in our favour comes first. `notes` are lines by workload. */
export function pageOf({ workloads }, chartFile, notes = {}) {
  const all = Object.entries(workloads);
  const failing = all.flatMap(([id, { gates }]) =>
    gates.filter(({ state }) => state !== 'holds').map((gate) => `${id}: ${gateLine(gate)}`),
  );
  const ahead = all.flatMap(([id, workload]) =>
    Object.entries(byRival(workload.ahead, workload)).map(
      ([rival, peers]) => `${id}: ${peers.join('; ')} (against ${rival})`,
    ),
  );
  const isQuick = all.some(([, { quick }]) => quick);
  return `${[
    '# Results of the bench',
    'Written by `npm run bench`; `npm run bench -- W2` plays one workload and renews its part of this page.',
    ...(isQuick
      ? ['**Some of this was taken with `--quick` and is good for nothing but trying out the bench.**']
      : []),
    `![What others need in proportion to Waggle](${chartFile})`,
    '## Where Waggle is not ahead',
    failing.length > 0 ? `Gates that do not hold:\n\n${list(failing)}` : 'Every gate holds.',
    ahead.length > 0
      ? `Peers that are ahead, outside the quartiles:\n\n${list(ahead)}`
      : 'No peer is ahead outside the quartiles.',
    '## How it was measured',
    method,
    ...all.map(([id, workload]) => sectionOf(id, workload, notes[id] ?? [])),
  ].join('\n\n')}\n`;
}

const method = list([
  'Servers run on core 0, clients and the mock of Ollama on core 1; W4 uses both.',
  'CPU is what `/proc/PID/task/*/schedstat` says of all threads and children of the server, divided by the tokens that the client has counted byte by byte; a few streams of every round are compared as text.',
  'Where streams are paced, the window lies within them: it holds no beginnings and no ends. Rows of whole answers, and all of W10 to W13, include both.',
  'Rounds are interleaved in an order of their own. Ratios are those to the reference of the same round, and only they can be compared: not figures of different days.',
  'A round in which the clients took more than 85 % of their core, or others more than 5 % of the machine, is repeated, and marked as busy when it stays so.',
  'A limit (`uws-limit`, `proxy-limit`, `raw-limit`) is the same agent on bare uWebSockets, with nothing that a server needs besides: what could be had at best.',
  'Segments are those of the whole machine. On loopback a part of the receiver’s work runs in the sender, for all alike.',
]);

function sectionOf(id, { title, machine, date, rounds, gates, skipped, ...workload }, notes) {
  const parts = [
    `## ${id}: ${title}`,
    `${date}, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}, Node ${machine.node}.`,
    markdownTable(cellsOf(workload)),
    list(gates.map(gateLine)),
  ];
  if (skipped.length > 0)
    parts.push(list(skipped.map(({ name, why }) => `${name} was left out: ${why.split('\n')[0]}`)));
  if (notes.length > 0) parts.push('What the profile shows, and what was tried:', list(notes));
  return parts.join('\n\n');
}

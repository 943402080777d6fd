import { judge } from './rig/judgement.mjs';
import { playRounds } from './rig/rounds.mjs';
import { workloads } from './workloads/index.mjs';

/** How much of what a gate allows may be used here: it is to notice what has become several times slower, and nothing else. */
const margin = 3;
/** A noisy machine makes things slower and never faster, so the best of some tries counts. */
const tries = 3;

/** Gates whose reference needs no packages beyond those of the server itself. */
const watched = [
  ['W1', 'waggle, arrays', 'uws-limit, arrays'],
  ['W2', 'waggle', 'uws-limit'],
  ['W4', 'waggle', 'tinypool'],
  ['W10', 'waggle, push 1', 'ws, push 1'],
  ['W10', 'waggle, Ollama 1', 'proxy-limit, Ollama 1'],
];

async function usedAtBest(id, ...names) {
  const workload = workloads.find((each) => each.id === id);
  const contenders = workload.contenders.filter(({ name }) => names.includes(name));
  const gate = workload.gates.find(({ ours, theirs }) => names.includes(ours) && names.includes(theirs));
  let best;
  for (let tried = 0; tried < tries && !(best?.used <= margin); tried++) {
    const { rounds } = await playRounds({
      contenders,
      count: 1,
      tries: 1,
      measure: (contender, index) => workload.measure(contender, { quick: true, index }),
      say: () => {},
    });
    const verdict = judge(gate, rounds);
    if (verdict.used !== undefined && !(verdict.used >= best?.used)) best = verdict;
  }
  console.log(
    `${id}  ${best ? `${Math.round(best.used * 100)} % of "${best.text}"` : 'nothing was measured'}`,
  );
  return best?.used ?? Number.POSITIVE_INFINITY;
}

let slow = false;
for (const gate of watched) slow ||= (await usedAtBest(...gate)) > margin;
console.log(
  slow ? `more than ${margin} times what a gate allows` : `within ${margin} times what the gates allow`,
);
process.exit(slow ? 1 : 0);

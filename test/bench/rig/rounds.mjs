import { rejectionOf } from './window.mjs';

const triesPerRound = 3;

/** A new order, the same for the same `random`. */
export function shuffled(list, random = Math.random) {
  const rest = [...list];
  for (let at = rest.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [rest[at], rest[other]] = [rest[other], rest[at]];
  }
  return rest;
}

/**
 * Measures everyone once a round, in an order of its own. What a busy machine has spoiled is tried again, and kept with
 * a mark when it stays so. Whoever fails is left out of the rounds that follow.
 */
export async function playRounds({ contenders, count, measure, say, random, tries = triesPerRound }) {
  const rounds = [];
  const failures = [];
  let remaining = contenders;
  for (let index = 0; index < count; index++) {
    const round = {};
    for (const contender of shuffled(remaining, random)) {
      try {
        round[contender.name] = await once(contender, { measure, say, tries, index });
      } catch (error) {
        failures.push({ name: contender.name, why: error.message });
        say(`${contender.name}: left out, ${error.message}`);
        remaining = remaining.filter((each) => each !== contender);
      }
    }
    rounds.push(round);
  }
  return { rounds, failures };
}

async function once(contender, { measure, say, tries, index }) {
  for (let tried = 1; ; tried++) {
    const { metrics, window } = await measure(contender, index);
    const why = window && rejectionOf(window);
    if (!why || tried === tries) {
      say(`round ${index + 1}  ${contender.name}  ${brief(metrics)}${why ? `  busy: ${why}` : ''}`);
      return { metrics, ...(why && { busy: why }) };
    }
    say(`round ${index + 1}  ${contender.name}  again: ${why}`);
  }
}

function brief(metrics) {
  return Object.entries(metrics)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
    .join('  ');
}

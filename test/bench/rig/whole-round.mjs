import { perToken, streamingRound } from './streaming.mjs';

/** Answers, and tokens of paced answers, until the code of a server is compiled and its speed is steady. */
const warmUpAnswers = 4000;
const warmUpTokens = 150;

/**
 * One round of whole answers: a token every 20 ms, an answer of a single one at once. The connections ask for so many
 * seconds, and answers of several tokens begin one after the other within a second, as those of people do.
 */
export async function wholeRound(contender, { connections, tokens, seconds, quick, mock }) {
  const second = quick ? 300 : 1000;
  const burst = (count) => ({ question: `burst 1 ${count} ${count}`, tokens: count });
  const { window } = await streamingRound(
    contender,
    {
      connections,
      exact: { ...burst(tokens), on: 4 },
      warmUp: [
        {
          ...burst(Math.min(tokens, 10)),
          waves: Math.ceil((quick ? warmUpAnswers / 5 : warmUpAnswers) / connections),
        },
        // Tokens that come one by one take other ways than those of a burst.
        ...(tokens > 1 && !quick ? [{ question: `paced ${warmUpTokens}`, tokens: warmUpTokens }] : []),
      ],
      whole:
        tokens === 1
          ? { ...burst(1), ms: seconds * second }
          : { question: `paced ${tokens}`, tokens, ms: seconds * second, spreadMs: second },
    },
    { mock },
  );
  return { metrics: perToken(window), window };
}

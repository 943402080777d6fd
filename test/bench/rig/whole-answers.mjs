import { measured } from './window.mjs';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * A window that holds each of its answers from beginning to end. For `ms` milliseconds every connection asks again as
 * soon as its answer has ended; the connections begin one after the other within `spreadMs`.
 */
export function wholeAnswers({ server, clients, client }, { ms, ...how }) {
  return measured({ server, clients }, async () => {
    await client.ask({ do: 'keepAsking', ...how });
    await pause(ms);
    return client.ask({ do: 'stopAsking' });
  });
}

/** CPU of the server for each answer that the client has verified, and the time until its first token. */
export function perAnswer({ result, serverUs, serverShare, segments, clientShare }) {
  return {
    value: serverUs / result.streams,
    'first token p50 ms': result.firstUs.p50 / 1000,
    'first token p99 ms': result.firstUs.p99 / 1000,
    'segments/answer': segments / result.streams,
    'frames/token': result.frames / result.tokens,
    'server core %': serverShare * 100,
    'client core %': clientShare * 100,
  };
}

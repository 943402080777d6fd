import WebSocket from 'ws';
import {
  type Answer,
  type CancelReceipt,
  type Chunk,
  connect,
  type Reply,
  type WaggleClient,
  WaggleClientError,
} from '../../plugins/endpoint-ws/client/index.js';

// Compiled by `npm run typecheck`: whatever is marked must not compile, everything else must.

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Equal<A, B>): void => {};

const client = await connect('ws://localhost:9797/ws/me', { WebSocket, reconnect: { attempts: 3 } });
same<typeof client, WaggleClient>(true);
await connect('ws://localhost:9797/ws/me', { reconnect: false, onState: (state) => state === 'draining' });
// @ts-expect-error the class itself is wanted, not a socket
await connect('ws://localhost:9797/ws/me', { WebSocket: new WebSocket('ws://localhost') });
// @ts-expect-error there is no such state
await connect('ws://localhost:9797/ws/me', { onState: (state) => state === 'ready' });

const reply = client.chat('Hallo', { agent: 'eliza', priority: 'high', signal: AbortSignal.timeout(1000) });
same<typeof reply, Reply>(true);
for await (const chunk of reply) {
  same<typeof chunk, Chunk>(true);
  if (chunk.type === 'tool_call') same<typeof chunk.arguments, unknown>(true);
  else if (chunk.type === 'text' || chunk.type === 'thinking') same<typeof chunk.content, string>(true);
  else if (chunk.type === 'tool_result') same<typeof chunk.output, unknown>(true);
  // @ts-expect-error a tool call has no content
  chunk.content.trim();
  // @ts-expect-error there is no such chunk
  if (chunk.type === 'token') break;
}
same<typeof reply.result, Promise<Answer>>(true);
same<typeof reply.streamId, string | undefined>(true);
const receipt = await reply.cancel();
same<typeof receipt, CancelReceipt | undefined>(true);
// @ts-expect-error the reply may have ended before
receipt.upstreamClosedMs.toFixed();
// @ts-expect-error only the client writes it
reply.text = '';

const answer = await client.ask('Hallo', { options: { temperature: 0, stop: ['\n'] } });
same<typeof answer.text, string>(true);
same<typeof answer, Answer>(true);
// @ts-expect-error not every agent counts
answer.usage.outputTokens.toFixed();
// @ts-expect-error a question needs content
client.chat();
// @ts-expect-error tasks know `urgent`, replies do not
client.chat('Hallo', { priority: 'urgent' });
// @ts-expect-error an option that does not exist
client.ask('Hallo', { options: { heat: 1 } });

same<ReturnType<typeof client.task>, Promise<unknown>>(true);
const sum = await client.task<number>('math:add', [1, 2], { priority: 'urgent', onProgress: () => {} });
same<typeof sum, number>(true);
client.resume('s1', { position: 3, signal: undefined });
// @ts-expect-error a position is a number
client.resume('s1', { position: '3' });

const error = new WaggleClientError('TIMEOUT', 'too late');
const isKnown: boolean = error.code === 'CONNECTION_LOST' || error.code === 'SOME_NEW_CODE';
same<typeof error.retryAfterMs, number | undefined>(true);
void isKnown;

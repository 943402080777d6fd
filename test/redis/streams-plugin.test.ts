import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { type LeakCheck, leakCheck } from '../support/leaks.js';
import { example } from '../support/pages.js';
import { Scrape } from '../support/prometheus.js';
import { RedisServer } from '../support/redis-server.js';
import { type RunningServer, startServer } from '../support/server.js';
import { ask as askFor, framesOf, resume, textOf } from './chat-lines.js';
import { endAll, later } from './node.js';

let leaks: LeakCheck;
let server: RedisServer;

beforeEach(async () => {
  leaks = leakCheck();
  server = await RedisServer.start();
});
afterEach(async () => {
  await endAll();
  await server.stop();
  await leaks.settled();
});

/** A server as the page sets it up, whose agent takes its time. */
async function start(wordDelayMs: number, alone = false): Promise<RunningServer> {
  const eliza = `  agent-eliza: { config: { wordDelayMs: ${wordDelayMs} } }\n`;
  const config = `${example('streams-cluster.yaml').trimEnd()}\n${eliza}`;
  const running = await startServer({ config, env: { REDIS_URL: server.url }, alone });
  later(() => running.stop('SIGKILL'));
  return running;
}

const json = { 'content-type': 'application/json' };
const question = { content: 'I feel sad today', user_id: 'ann', agent: 'eliza', conversation_id: 'c' };
const ask = (running: RunningServer, more: object = {}) => askFor(running, { ...question, ...more });

describe('servers as the page sets them up', () => {
  it('let a client go on at another one, cancel there, and get one answer to one request', async () => {
    const [a, b] = [await start(150), await start(150)];
    const request = { request_id: 'q1' };
    const first = await textOf(framesOf(await ask(a, request)), 8);
    const rest = textOf(framesOf(await resume(b, first.streamId, first.content.length)));
    await eventually(async () =>
      expect((await Scrape.of(b.url)).value('waggle_stream_remote_readers')).toBe(1),
    );
    const { content, last } = await rest;
    expect(last?.type).toBe('streaming_end');
    const whole = await textOf(framesOf(await ask(b, request)));
    expect(first.content + content).toBe(whole.content);
    expect(whole.streamId).toBe(first.streamId);
    const scrape = await Scrape.of(a.url);
    expect(scrape.value('waggle_stream_unflushed_chars')).toBe(0);
    expect(scrape.value('waggle_stream_taken_over_total', { outcome: 'rerun' })).toBe(0);
    const second = await textOf(framesOf(await ask(a)), 1);
    const cancelled = await fetch(`${b.url}/chat/stream/${second.streamId}`, { method: 'DELETE' });
    expect(await cancelled.json()).toMatchObject({ cancelled: true, stopped: { agents: 1 } });
    const ended = await textOf(framesOf(await resume(a, second.streamId, 0)));
    expect(ended.last).toMatchObject({ type: 'cancelled', reason: 'client' });
  });

  it('speak all dialects, with the same answer to the same key on each', async () => {
    const [a, b] = [await start(1), await start(1)];
    for (const [path, body] of [
      ['/v1/chat/completions', { messages: [{ role: 'user', content: 'Hello' }] }],
      ['/v1/responses', { input: 'Hello' }],
      ['/v1/messages', { max_tokens: 100, messages: [{ role: 'user', content: 'Hello' }] }],
    ] as const) {
      const post = ({ url }: RunningServer, more: object = {}) =>
        fetch(`${url}${path}`, {
          method: 'POST',
          headers: { ...json, 'idempotency-key': path },
          body: JSON.stringify({ model: 'eliza', user: 'ann', ...body, ...more }),
        });
      const whole = [await post(a), await post(b)];
      expect(whole.map(({ status }) => status)).toEqual([200, 200]);
      const ids = whole.map(({ headers }) => headers.get('x-stream-id'));
      // Strangers share nothing.
      if (path !== '/v1/messages') expect(ids[1]).toBe(ids[0]);
      const streamed = await post(b, { stream: true });
      expect(await streamed.text()).toMatch(/\[DONE\]|response.completed|message_stop/);
    }
  });

  it('tell the clients of one that was killed that its answer is lost, go on in its conversation, and ask again', async () => {
    const [a, b] = [await start(400, true), await start(400)];
    const request = { request_id: 'q1' };
    const first = await textOf(framesOf(await ask(a, request)), 1);
    const there = textOf(framesOf(await resume(b, first.streamId, 0)));
    await eventually(async () =>
      expect((await Scrape.of(b.url)).value('waggle_stream_remote_readers')).toBe(1),
    );
    const next = textOf(framesOf(await ask(b, { content: 'Hello' })));
    await eventually(async () => expect((await Scrape.of(b.url)).value('waggle_streams_waiting')).toBe(1));
    process.kill(a.pid, 'SIGKILL');
    await a.exited;
    const { content, last } = await there;
    expect(last).toMatchObject({ type: 'error', code: 'SERVER_LOST', streamId: first.streamId });
    expect(content.startsWith(first.content)).toBe(true);
    // The turn of the conversation goes on to the question that waits.
    expect((await next).last?.type).toBe('streaming_end');
    const far = await textOf(framesOf(await resume(b, first.streamId, content.length + 3)));
    expect(far).toMatchObject({ content: '', last: { code: 'SERVER_LOST' } });
    const again = await textOf(framesOf(await ask(b, request)));
    expect(again.last?.type).toBe('streaming_end');
    expect(again.streamId).not.toBe(first.streamId);
  });
});

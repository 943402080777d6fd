import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { done, ScriptedAgent, type Step, text } from '../support/agents.js';
import { eventually } from '../support/eventually.js';
import { type Hive, startHive } from '../support/hive.js';

const whole = 'Hello there';
const long: readonly Step[] = [text('Hello '), text('there')];

// A browser's EventSource comes back after the end of a body, whatever that was; only a status other than 200 stops it.
describe.each(['uws', 'node'] as const)('a client with Last-Event-ID, over transport-%s', (transport) => {
  let agent: ScriptedAgent;
  let hive: Hive;
  beforeEach(async () => {
    agent = new ScriptedAgent('scripted');
    const plugin = definePlugin({
      name: 'agent-scripted',
      apiVersion: 1,
      setup: (ctx) => void ctx.addAgent(agent),
    });
    const config = { 'agent-queen': { candidates: ['scripted'] } };
    hive = await startHive({ transport, plugins: [plugin], config });
  });
  afterEach(() => hive.close());

  const ask = () =>
    fetch(`${hive.url}/chat/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ content: 'Hallo', user_id: 'a' }),
    });
  /** The id of a stream, once all of it or so much text was read. */
  const streamed = async (script: readonly Step[], until?: string): Promise<string> => {
    agent.script = script;
    const answer = await ask();
    const decoder = new TextDecoder();
    let read = '';
    for await (const part of answer.body as unknown as AsyncIterable<Uint8Array>) {
      read += decoder.decode(part);
      if (until && read.includes(until)) break;
    }
    return answer.headers.get('x-stream-id') as string;
  };
  const resume = (id: string, headers: Record<string, string>, query = '') =>
    fetch(`${hive.url}/chat/stream/${id}${query}`, { headers });
  const end = String(whole.length);
  const lines = { accept: 'application/x-ndjson' };

  it.each<[string, Record<string, string>, string, number, string?]>([
    ['at the end', { 'last-event-id': end }, '', 204],
    ['at the end, whatever the address says', { 'last-event-id': end }, '?position=3', 204],
    ['as browsers send it', { 'last-event-id': end, accept: 'text/event-stream' }, '', 204],
    ['beyond the end', { 'last-event-id': '999' }, '', 400],
    ['that is no position', { 'last-event-id': 'x' }, '', 400],
    ['that is empty', { 'last-event-id': '' }, '', 200, whole],
    ['one before the end', { 'last-event-id': String(whole.length - 1) }, '', 200, 'e'],
    ['after the beginning, whatever the address says', { 'last-event-id': '6' }, '?position=3', 200, 'there'],
    ['at the end, in lines', { 'last-event-id': end, ...lines }, '', 200, ''],
    ['none, but a position at the end', {}, `?position=${end}`, 200, ''],
    ['none', {}, '', 200, whole],
  ])('%s of an ended stream', async (_, headers, query, status, content?: string) => {
    const id = await streamed([...long, done]);
    const answer = await resume(id, headers, query);
    expect(answer.status).toBe(status);
    const body = await answer.text();
    if (status === 204) expect(body).toBe('');
    if (content === undefined) return;
    const said = [...body.matchAll(/"content":"([^"]*)"/g)].map(([, piece]) => piece).join('');
    expect(said).toBe(content);
    expect(body).toContain('"streaming_end"');
  });

  it.each<[string, readonly Step[], string]>([
    ['that failed', [...long, new Error('broken')], 'error'],
    ['that was cancelled', [...long, 'wait'], 'cancelled'],
  ])('at the end of a stream %s', async (name, script, last) => {
    const id = await streamed(script, name.includes('cancelled') ? 'there' : undefined);
    if (last === 'cancelled')
      expect((await fetch(`${hive.url}/chat/stream/${id}`, { method: 'DELETE' })).status).toBe(200);
    const first = await resume(id, last === 'cancelled' ? { 'last-event-id': end } : {});
    expect(first.status).toBe(200);
    expect(await first.text()).toContain(`event: ${last}`);
    expect((await resume(id, { 'last-event-id': end })).status).toBe(204);
  });

  it('that has all of the text and not the end is told of the end first', async () => {
    const id = await streamed([...long, 'wait', done], 'there');
    await eventually(() => expect(hive.streams.stats.readers).toBe(0));
    agent.release();
    await hive.settled();
    const answer = await resume(id, { 'last-event-id': end });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('event: streaming_end');
    expect((await resume(id, { 'last-event-id': end })).status).toBe(204);
  });

  it('at the end of what is there so far waits for the rest', async () => {
    const id = await streamed([...long, 'wait', text('!'), done], 'there');
    const answer = await resume(id, { 'last-event-id': end });
    expect(answer.status).toBe(200);
    agent.release();
    expect(await answer.text()).toContain('"content":"!"');
  });
});

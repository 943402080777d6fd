import { describe, expect, it } from 'vitest';
import type {
  Chat,
  ChatSink,
  EventBus,
  LogEntry,
  PieceEntry,
  Reply,
  ReplyReader,
  StreamChunk,
  StreamFrame,
} from '#kernel';
import { Bus } from '../../kernel/kernel-bus.js';
import { Registry } from '../../kernel/registry.js';
import { config as queenConfig } from '../../plugins/agent-queen/config.js';
import { Queen } from '../../plugins/agent-queen/queen.js';
import { config as storeConfig } from '../../plugins/store-memory/config.js';
import { MemoryStore } from '../../plugins/store-memory/memory-store.js';
import { done, ScriptedAgent, type Step, text } from '../support/agents.js';
import type { StreamLimits, StreamsSubject } from './chat-streams.contract.js';

/** What one node answers with. */
export interface NodeParts {
  readonly chat: Chat;
  readonly limits: StreamLimits;
  readonly bus: EventBus;
}

/** One subject for each node, all on one engine. */
export type CreateNodes = (nodes: readonly NodeParts[]) => Promise<readonly StreamsSubject[]>;

let requests = 0;
/** A request of its own each time. */
export const ask = () => ({ userId: 'ann', content: 'Hi', requestId: `s${process.pid}-${++requests}` });

const textOf = (frames: readonly StreamFrame[]) =>
  frames
    .map((frame) =>
      frame.type === 'streaming_token' || frame.type === 'streaming_thinking' ? frame.content : '',
    )
    .join('');
const isEnd = ({ type }: StreamFrame) => /^(streaming_end|message|error|cancelled)$/.test(type);

export async function readFrames(reader: ReplyReader): Promise<readonly StreamFrame[]> {
  const frames: StreamFrame[] = [];
  for await (const batch of reader) frames.push(...batch.map(({ frame }) => frame));
  return frames;
}

/** Reads to the end; fails where the text is not exactly this, or there is not one end and it the last. */
export async function expectText(reader: ReplyReader, expected: string): Promise<readonly StreamFrame[]> {
  const frames = await readFrames(reader);
  expect(textOf(frames)).toBe(expected);
  expect(frames.map(isEnd)).toEqual(frames.map((_, at) => at === frames.length - 1));
  return frames;
}

async function untilFrame(reply: Reply, type: StreamFrame['type']): Promise<void> {
  for await (const batch of reply.read()) if (batch.some((entry) => entry.frame.type === type)) return;
  throw new Error(`no ${type}`);
}

/** The reply on another node, which has to be there. */
export async function onNode(streams: StreamsSubject | undefined, { streamId }: Reply): Promise<Reply> {
  const reply = await streams?.find(streamId);
  if (!reply) throw new Error('the reply is not found');
  return reply;
}

/** Nodes whose agents follow the same script, and one store. */
export async function nodesOver(
  create: CreateNodes,
  count: number,
  script: readonly Step[],
  limits: StreamLimits = {},
) {
  const agent = new ScriptedAgent('a', script);
  const store = new MemoryStore(storeConfig.parse({}));
  const events: string[] = [];
  const parts = Array.from({ length: count }, () => {
    const registry = new Registry<ScriptedAgent>('agent');
    registry.add(agent, 'test');
    const bus = new Bus((error) => {
      throw error;
    });
    for (const event of ['accepted', 'started', 'finished', 'failed', 'cancelled'] as const)
      bus.on(`chat:${event}`, () => void events.push(event));
    return { chat: new Queen(queenConfig.parse({ candidates: ['a'] }), registry, store, bus), limits, bus };
  });
  const [a, b, ...others] = (await create(parts)) as [StreamsSubject, StreamsSubject];
  return { a, b, all: [a, b, ...others], last: others.at(-1) ?? b, agent, events };
}

/** What `ChatStreams` promises where several nodes share an engine. */
export function sharedStreamsContract(name: string, count: number, create: CreateNodes): void {
  const nodes = (script: readonly Step[] = [text('Hello '), text('there'), done], limits?: StreamLimits) =>
    nodesOver(create, count, script, limits);

  describe(`${name} on ${count} nodes`, () => {
    it('gives every position of a reply on any node, while it runs and after its end', async () => {
      const whole = 'one 🐝 two';
      const { a, all, last, agent } = await nodes([
        { type: 'thinking', content: 'one ' },
        text('🐝'),
        'wait',
        { type: 'tool_call', id: 't', name: 'look', arguments: '{"n":1.0}', executor: 'server' },
        text(' two'),
        done,
      ]);
      const reply = await a.start(ask());
      await untilFrame(reply, 'streaming_token');
      const running = await onNode(last, reply);
      const readers = [running.read(), ...Array.from({ length: 7 }, (_, at) => running.read(at))];
      agent.release();
      await Promise.all(readers.map((reader, at) => expectText(reader, whole.slice(Math.max(0, at - 1)))));
      for (const node of all) {
        const ended = await onNode(node, reply);
        const frames = await expectText(ended.read(), whole);
        expect(frames).toEqual(await readFrames(reply.read()));
        for (let at = 0; at <= whole.length; at++) {
          const [first] = await expectText(ended.read(at), whole.slice(at));
          expect(first).toMatchObject({ type: 'streaming_start', resumed: true, streamId: reply.streamId });
        }
        expect(() => ended.read(whole.length + 1)).toThrow(
          expect.objectContaining({ code: 'INVALID_REQUEST' }),
        );
      }
    });

    it('passes each piece on at once', async () => {
      const { a, last, agent } = await nodes([
        text('one'),
        'wait',
        text(' two'),
        'wait',
        text(' three'),
        done,
      ]);
      const reply = await a.start(ask());
      const reader = (await onNode(last, reply)).read();
      const seen: string[] = [];
      for await (const batch of reader) {
        const said = textOf(batch.map(({ frame }) => frame));
        if (said === '') continue;
        seen.push(said);
        agent.release();
      }
      expect(seen.join('')).toBe('one two three');
      expect(seen.length).toBeGreaterThan(1);
    });

    it('gives the same pieces everywhere, early or late', async () => {
      const words = 'a few words of any length'.split(/(?<= )/);
      const { a, all, agent } = await nodes([
        ...words.flatMap((word) => [text(word), 'wait' as const]),
        { type: 'logprobs', logprobs: [{ token: 'x', logprob: -0.5 }] },
        [text('x'), { type: 'tool_call_piece', id: 't', name: 'look', arguments: '{}', from: 0 }],
        { type: 'tool_call', id: 't', name: 'look', arguments: '{}' },
        done,
      ]);
      const reply = await a.start(ask());
      const piecesOf = async (from: Reply) => {
        const seen: unknown[] = [];
        for await (const entries of from.readPieces({ merge: false }))
          for (const entry of entries as (LogEntry | PieceEntry)[])
            seen.push('json' in entry ? [entry.json, entry.position] : { ...entry });
        return seen;
      };
      const early = await Promise.all(
        all.map(async (node) => piecesOf(await onNode(node, reply))).map((p) => [p]),
      );
      for await (const _ of reply.read()) agent.release();
      const late = await Promise.all(all.map(async (node) => piecesOf(await onNode(node, reply))));
      const [expected] = late;
      expect(expected).toHaveLength(words.length + 6);
      for (const [pieces] of early) expect(await pieces).toEqual(expected);
      for (const pieces of late) expect(pieces).toEqual(expected);
    });

    it('is one object on each node, and is nobody else’s', async () => {
      const { a, last, agent } = await nodes([text('x'), 'wait', done]);
      const reply = await a.start(ask());
      const [one, two] = await Promise.all([onNode(last, reply), onNode(last, reply)]);
      expect(two).toBe(one);
      expect(await last.find(reply.streamId)).toBe(one);
      const as = (id: string) => ({ id, name: id, scopes: [] });
      expect(await last.find(reply.streamId, as('ann'))).toBe(one);
      expect(await last.find(reply.streamId, as('ben'))).toBeUndefined();
      expect(one).toMatchObject({ userId: 'ann', conversationId: reply.conversationId, ended: false });
      agent.release();
      await readFrames(one.read());
      expect(await last.find(reply.streamId)).toBe(one);
      expect(one).toMatchObject({ ended: true, position: 1, wasRead: true });
    });

    it('finds nothing where nothing is', async () => {
      const { a, b } = await nodes();
      const { streamId } = await a.start(ask());
      for (const id of [`${streamId}x`, `00${'x'.repeat(24)}`, 'x', '', '99', '🐝'])
        expect(await b.find(id)).toBeUndefined();
    });

    it('is cancelled from any node, once, after its agent has stopped', async () => {
      const { a, last, agent, events } = await nodes([text('Hel'), 'wait', text('lo'), done]);
      const reply = await a.start(ask());
      await untilFrame(reply, 'streaming_token');
      const remote = await onNode(last, reply);
      const frames = readFrames(remote.read());
      const [receipt, second] = await Promise.all([remote.cancel('client'), remote.cancel('client')]);
      expect(agent.running).toBe(0);
      expect(receipt).toMatchObject({ upstreamClosedMs: expect.any(Number), stopped: { agents: 1 } });
      expect(second).toBeUndefined();
      expect((await frames).filter(isEnd)).toEqual([
        { type: 'cancelled', streamId: reply.streamId, reason: 'client', ...receipt },
      ]);
      expect(await readFrames(reply.read())).toEqual(await readFrames((await onNode(last, reply)).read()));
      expect(await (await onNode(last, reply)).cancel('client')).toBeUndefined();
      expect(events).toEqual(['accepted', 'started', 'cancelled']);
    });

    it('can be had as a whole, and fails in the same words', async () => {
      const { a, last } = await nodes();
      expect(await (await onNode(last, await a.start(ask()))).whole()).toEqual({
        content: 'Hello there',
        agent: 'a',
        usage: { inputTokens: 1, outputTokens: 2 },
      });
      const bad = await nodes([text('x'), new Error('secret /etc/x')]);
      const reply = await bad.a.start(ask());
      await readFrames(reply.read());
      const remote = await onNode(bad.last, reply);
      expect(remote.failure).toEqual(reply.failure);
      expect(remote.failure?.message).toBe(reply.failure?.message);
      await expect(remote.whole()).rejects.toMatchObject({ code: 'AGENT_FAILED' });
    });

    it('answers the same request once over all nodes', async () => {
      const { all, agent } = await nodes([text('one'), 'wait', text(' two'), done]);
      const command = ask();
      const replies = await Promise.all(all.flatMap((node) => [node.start(command), node.start(command)]));
      expect(new Set(replies.map(({ streamId }) => streamId)).size).toBe(1);
      const texts = replies.map((reply) => expectText(reply.read(), 'one two'));
      await expect.poll(() => agent.running).toBe(1);
      for (const node of all)
        await expect(node.start({ ...command, content: 'Ho' })).rejects.toMatchObject({
          code: 'IDEMPOTENCY_MISMATCH',
        });
      agent.release();
      await Promise.all(texts);
      expect(agent.requests).toHaveLength(1);
      for (const node of all) {
        await expectText((await node.start(command)).read(), 'one two');
        await expect(node.start({ ...command, content: 'Ho' })).rejects.toMatchObject({
          code: 'IDEMPOTENCY_MISMATCH',
        });
      }
      // Of another user it is another request.
      expect((await all[0]?.start({ ...command, userId: 'ben' }))?.streamId).not.toBe(replies[0]?.streamId);
    });

    it('answers it again on any node after it has failed', async () => {
      const { all, a, agent } = await nodes([new Error('no')]);
      const command = ask();
      const ids = new Set<string>();
      for (const node of [...all, a]) {
        const reply = await node.start(command);
        ids.add(reply.streamId);
        await readFrames(reply.read());
      }
      expect(ids.size).toBe(all.length + 1);
      expect(agent.requests).toHaveLength(all.length + 1);
    });

    it('goes on as long as it has a reader on any node, and for the grace period', async () => {
      const { a, last, agent } = await nodes([text('one'), 'wait', text(' two'), 'wait'], {
        disconnectGraceMs: 300,
      });
      const reply = await a.start(ask());
      const here = reply.read();
      const reader = (await onNode(last, reply)).read();
      await reader.next();
      await expect.poll(() => reply.progress?.readers).toBe(2);
      await here.return();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      expect(reply.ended).toBe(false);
      expect(reply.progress?.readers).toBe(1);
      await reader.return();
      const again = (await onNode(last, reply)).read(1);
      agent.release();
      for await (const batch of again) if (textOf(batch.map(({ frame }) => frame)).endsWith('two')) break;
      await expect.poll(() => reply.ended).toBe(true);
      const frames = await readFrames((await onNode(last, reply)).read());
      expect(frames.at(-1)).toMatchObject({ type: 'cancelled', reason: 'abandoned' });
      expect(agent.running).toBe(0);
    });

    it('is cancelled at once when the last reader of all nodes leaves, where the request says so', async () => {
      const { a, last, agent } = await nodes([text('one'), 'wait'], { disconnectGraceMs: 60_000 });
      const reply = await a.start({ ...ask(), onDisconnect: 'cancel' });
      const [here, there] = [reply.read(), (await onNode(last, reply)).read()];
      await here.next();
      await there.next();
      await expect.poll(() => reply.progress?.readers).toBe(2);
      await here.return();
      expect(reply.progress?.readers).toBe(1);
      await there.return();
      await expect.poll(() => reply.ended).toBe(true);
      expect((await readFrames(reply.read())).at(-1)).toMatchObject({ reason: 'disconnected' });
      expect(agent.running).toBe(0);
    });

    it('is kept for a while on all nodes, and then gone on all', async () => {
      const { all, a } = await nodes(undefined, { keepMs: 400 });
      const command = ask();
      const reply = await a.start(command);
      await readFrames(reply.read());
      for (const node of all) await expectText((await onNode(node, reply)).read(), 'Hello there');
      for (const node of all) await expect.poll(() => node.find(reply.streamId)).toBeUndefined();
      expect((await all.at(-1)?.start(command))?.streamId).not.toBe(reply.streamId);
    });

    it('stays readable when its node has drained and closed, its last words included', async () => {
      const { a, b, agent } = await nodes([text('one'), 'wait', text(' two'), done]);
      const [whole, cut] = [await a.start(ask()), await a.start(ask())];
      const early = (await onNode(b, whole)).read();
      await untilFrame(whole, 'streaming_token');
      await untilFrame(cut, 'streaming_token');
      const draining = a.drain(AbortSignal.timeout(60_000));
      await cut.cancel('shutdown');
      agent.release();
      await draining;
      await a.close();
      await expectText(early, 'one two');
      await expectText((await onNode(b, whole)).read(), 'one two');
      expect((await expectText((await onNode(b, cut)).read(), 'one')).at(-1)).toMatchObject({
        type: 'cancelled',
        reason: 'shutdown',
      });
    });

    it('takes the answers of clients on any node', async () => {
      const answers: unknown[] = [];
      const chat = {
        async reply(_command: unknown, _call: unknown, sink: ChatSink) {
          const say = (...batch: StreamChunk[]) => sink.write(batch);
          sink.write([{ type: 'agent', agent: 'a', fallback: false }]);
          say({ type: 'tool_call', id: 't1', name: 'look', arguments: '{}' });
          const signal = new AbortController().signal;
          answers.push(await sink.answerTo?.('tool_result', 't1', { timeoutMs: 60_000, signal }));
          say(text('thanks'), done);
        },
      } as unknown as Chat;
      const bus = new Bus(() => {});
      const all = await create(Array.from({ length: count }, () => ({ chat, limits: {}, bus })));
      const reply = (await all[0]?.start(ask())) as Reply;
      const remote = await onNode(all.at(-1), reply);
      const frames = expectText(remote.read(), 'thanks');
      await untilFrame(remote, 'streaming_tool_call');
      await expect(remote.answer('t2', { type: 'tool_result', output: 1 })).rejects.toMatchObject({
        code: 'TOOL_CALL_UNKNOWN',
      });
      await remote.answer('t1', { type: 'tool_result', output: { n: 1 } });
      await frames;
      expect(answers).toEqual([{ type: 'tool_result', output: { n: 1 } }]);
    });
  });
}

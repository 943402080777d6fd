import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { TaskDefinition } from '#kernel';
import { ScriptedModel, say, use } from '../support/scripted-model.js';
import { outline, ToolHive } from '../support/tool-hive.js';
import { textOf } from '../support/ws-client.js';

const server = new ToolHive();
let refunds: number[] = [];

const refund: TaskDefinition<{ amount: number }, string> = {
  name: 'orders:refund',
  lane: 'main',
  tool: { approval: 'ask', description: 'Pays back' },
  input: z.object({ amount: z.number() }),
  run({ amount }) {
    refunds.push(amount);
    return 'paid';
  },
};

const script = () =>
  new ScriptedModel('m', [
    [say('I will pay. '), use('orders_refund', '{"amount": 5.00}', 'c1')],
    [say('Done.')],
  ]);

async function begin(queen: object = {}, model = script()) {
  refunds = [];
  await server.start([model], [refund], queen);
  const client = await server.client();
  client.send({ type: 'stream_request', content: 'Pay back', conversationId: 'k', requestId: 'r' });
  const question = await client.until(({ type }) => type === 'approval_required');
  return { client, question, streamId: question.streamId as string, model };
}

describe('a tool that a person has to allow', () => {
  it('waits, and runs once it is allowed', async () => {
    const { client, question, streamId } = await begin();
    expect(question).toEqual({
      type: 'approval_required',
      ...{ streamId, id: 'c1', name: 'orders:refund', arguments: { amount: 5 }, expiresInMs: 240_000 },
    });
    expect(refunds).toEqual([]);
    client.send({ type: 'approve', streamId, id: 'c1', allow: true });
    await client.end();
    expect(outline(client.frames)).toEqual([
      'start',
      'token I will pay. ',
      'tool_call orders:refund',
      'approval_required orders:refund',
      'approval_resolved true',
      'tool_result orders:refund',
      'token Done.',
      'end',
    ]);
    expect(client.frames.find(({ type }) => type === 'approval_resolved')).toMatchObject({
      id: 'c1',
      by: 'ann',
    });
    expect(refunds).toEqual([5]);
  });

  it('has its arguments as the model wrote them', async () => {
    const digits = '12345678901234567890';
    const model = new ScriptedModel('m', [
      [use('orders_refund', `{"amount": ${digits}}`, 'c1')],
      [say('Done.')],
    ]);
    const raw: string[] = [];
    await server.start([model], [refund]);
    const client = await server.client();
    client.socket.on('message', (data) => raw.push(String(data)));
    client.send({ type: 'stream_request', content: 'Hi' });
    const { streamId } = await client.until(({ type }) => type === 'approval_required');
    expect(raw.at(-1)).toContain(`"arguments":{"amount": ${digits}}`);
    client.send({ type: 'cancel', streamId });
    await client.end();
  });

  it.each<[string, object, string]>([
    ['denied', { allow: false }, 'the user has denied it'],
    ['denied with a reason', { allow: false, reason: 'too much' }, 'too much'],
  ])('that is %s is a result that the model sees', async (_, answer, why) => {
    const { client, streamId, model } = await begin();
    client.send({ type: 'approve', streamId, id: 'c1', ...answer });
    await client.end();
    expect(refunds).toEqual([]);
    expect(outline(client.frames)).toContain('tool_result orders:refund APPROVAL_DENIED');
    expect(model.requests[1]?.messages.at(-1)?.content).toContain(why);
    expect(textOf(client.frames)).toBe('I will pay. Done.');
  });

  it('is not run where no person answers in time', async () => {
    const { client } = await begin({ approvalTimeoutMs: 30 });
    await client.end();
    expect(outline(client.frames)).toContain('approval_resolved false');
    expect(client.frames.find(({ type }) => type === 'approval_resolved')).not.toHaveProperty('by');
    expect(refunds).toEqual([]);
  });

  it('stays open when its page is loaded again, and may be allowed there', async () => {
    const { client, streamId } = await begin();
    await client.close();
    const again = await server.client();
    again.send({ type: 'resume', streamId });
    await again.until(({ type }) => type === 'approval_required');
    again.send({ type: 'approve', streamId, id: 'c1', allow: true });
    await again.until(({ type }) => type === 'streaming_end');
    expect(refunds).toEqual([5]);
  });

  it('is asked again of a reader that goes on behind it, until it has its answer', async () => {
    const model = new ScriptedModel('m', async function* (_request, call) {
      const asked = call.useTools(['*'], { id: '', messages: [] }, async function* ({ messages }) {
        if (messages.length === 0) yield [use('orders_refund', { amount: 1 }, 'c1'), use('where', {}, 'c2')];
        yield { type: 'done', reason: 'stop' };
      });
      const all = (async () => {
        for await (const _ of asked);
      })();
      yield say('Meanwhile');
      await all;
      yield say(' done.');
    });
    refunds = [];
    await server.start([model], [refund]);
    const client = await server.client();
    client.send({ type: 'stream_request', content: 'Hi' });
    const { streamId } = await client.until(({ content }) => content === 'Meanwhile');
    await client.until(({ type }) => type === 'approval_required');
    const again = await server.client('phone');
    again.send({ type: 'resume', streamId, position: 'Meanwhile'.length });
    await again.until(({ type }) => type === 'approval_required');
    again.send({ type: 'approve', streamId, id: 'c1', allow: true });
    await client.until(({ type }) => type === 'streaming_end');
    const late = await server.client('late');
    late.send({ type: 'resume', streamId, position: 'Meanwhile done.'.length });
    await late.until(({ type }) => type === 'streaming_end');
    expect(outline(late.frames)).toEqual(['start', 'end']);
    expect(refunds).toEqual([1]);
  });

  it('may be allowed from any other connection, once, and all readers hear of it', async () => {
    const { client, streamId } = await begin();
    const phone = await server.client('phone');
    phone.send({ type: 'approve', streamId, id: 'c1', allow: true });
    phone.send({ type: 'approve', streamId, id: 'c1', allow: false });
    await phone.until(({ code }) => code === 'TOOL_CALL_UNKNOWN');
    await client.until(({ type }) => type === 'streaming_end');
    expect(client.frames.find(({ type }) => type === 'approval_resolved')).toMatchObject({
      allow: true,
      by: 'phone',
    });
    expect(refunds).toEqual([5]);
  });

  it.each<[string, object]>([
    ['of another call', { id: 'c2' }],
    ['of another stream', { streamId: 'x' }],
  ])('is not allowed by an answer %s', async (_, other) => {
    const { client, streamId } = await begin();
    client.send({ type: 'approve', streamId, id: 'c1', allow: true, ...other });
    await client.until(({ code }) => code === 'TOOL_CALL_UNKNOWN');
    // That error ends no stream.
    expect(client.frames.at(-1)).not.toHaveProperty('streamId');
    client.send({ type: 'tool_result', streamId, id: 'c1', output: 'paid' });
    await client.until(
      (frame) => frame.code === 'TOOL_CALL_UNKNOWN' && frame !== client.frames.find(({ code }) => code),
    );
    expect(refunds).toEqual([]);
    client.send({ type: 'cancel', streamId });
    await client.until(({ type }) => type === 'cancelled');
  });

  it('is given up by a cancel', async () => {
    const { client, streamId } = await begin();
    client.send({ type: 'cancel', streamId });
    await client.until(({ type }) => type === 'cancelled');
    expect(refunds).toEqual([]);
  });
});

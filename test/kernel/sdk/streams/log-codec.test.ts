import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StreamFrame } from '#kernel';
import { LogCopy, ReplyLog, type Run, runsOf } from '#sdk/streams';
import { times } from '../../../support/thorough.js';

const streamId = 'secret-id';
const requestId = 'secret-request';
const ids = { streamId, requestId };
const quiet = { grew: () => {}, readersChanged: () => {} };
const newLog = () => new ReplyLog(streamId, quiet);

/** As another process gets it. */
const sent = (runs: readonly Run[]) => {
  const json = JSON.stringify(runs);
  expect(json).not.toMatch(/secret-/);
  return JSON.parse(json) as Run[];
};

/** All that readers of a log get, at the present. Of places in the line only the newest counts. */
function readAll(log: ReplyLog) {
  const pieces = log.readPieces({ merge: false });
  const seen: unknown[] = [];
  for (let batch = pieces.take(); batch?.length; batch = pieces.take())
    for (const entry of batch) {
      if (entry.type === 'queue_update') continue;
      seen.push('json' in entry ? [entry.json, entry.positioned, entry.position] : { ...entry });
    }
  void pieces.return();
  return seen;
}

const callIds = fc.constantFrom('t1', 't2');
const content = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }),
  // Halves of characters, and pieces that are too long to be joined.
  fc.constantFrom('\ud83d', '\udc1d', '"\\\n', 'x'.repeat(300)),
);
const args = fc.constantFrom('{}', '{"n":1.0}', '{"a":12345678901234567890}', 'no JSON', '');
const frames: fc.Arbitrary<StreamFrame> = fc.oneof(
  fc.nat(9).map((ahead) => ({ type: 'queue_update', streamId, ahead, requestId }) as const),
  fc.record({
    type: fc.constant('streaming_tool_result' as const),
    streamId: fc.constant(streamId),
    id: callIds,
    name: fc.constant('look'),
    output: fc.jsonValue(),
    durationMs: fc.nat(),
  }) as fc.Arbitrary<StreamFrame>,
  fc.constant({ type: 'approval_resolved', streamId, id: 't1', allow: true } as const),
  fc.constant({
    ...{ type: 'streaming_agent', streamId, agent: 'a' },
    ...{ via: 'consult', state: 'started', parent: 'queen' },
  } as const),
);
const write = fc.oneof(
  { weight: 8, arbitrary: fc.record({ say: fc.array(content, { minLength: 1, maxLength: 12 }) }) },
  { weight: 2, arbitrary: fc.record({ think: content }) },
  { weight: 1, arbitrary: fc.record({ frame: frames }) },
  { weight: 1, arbitrary: fc.record({ call: fc.record({ id: callIds, name: callIds, arguments: args }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      ask: fc.record({ id: callIds, name: callIds, arguments: args, expiresInMs: fc.nat() }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      piece: fc.record({ id: callIds, name: callIds, arguments: args, from: fc.nat() }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      probs: fc.array(
        fc.record({
          token: content,
          logprob: fc.double({ max: 0, noNaN: true, noDefaultInfinity: true }).map((n) => n || 0),
        }),
      ),
    }),
  },
);
type Write = typeof write extends fc.Arbitrary<infer T> ? T : never;

function perform(log: ReplyLog, what: Write): void {
  if ('say' in what) for (const each of what.say) log.write('text', each);
  else if ('think' in what) log.write('thinking', what.think);
  else if ('frame' in what) log.add(what.frame);
  else if ('call' in what) log.addCall({ ...what.call, executor: 'server', extra: { a: 1 } });
  else if ('ask' in what) log.addApproval(what.ask);
  else if ('piece' in what) log.addPiece(what.piece);
  else log.addLogprobs(what.probs);
}

const start = { type: 'streaming_start', streamId, agent: 'a', conversationId: 'c', requestId } as const;
const endings: fc.Arbitrary<StreamFrame> = fc.oneof(
  fc.constant({ type: 'error', code: 'AGENT_FAILED', message: 'no', streamId } as const),
  fc.constant({ type: 'error', code: 'AGENT_UNKNOWN', message: 'no', requestId } as const),
  fc.constant({ type: 'message', content: 'Hello', agent: 'a', conversationId: 'c', streamId } as const),
);

describe('a log that is sent in parts', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: write },
    { weight: 2, arbitrary: fc.constantFrom('turn', 'send', 'send whole', 'lose', 'read') },
  );

  it('is the same for all readers, wherever it was cut, whatever was lost and sent again', async () => {
    await fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), endings, fc.nat(), (steps, end, at) => {
        const original = newLog();
        const copied = newLog();
        const copy = new LogCopy(copied, ids);
        const tap = original.tap(() => {});
        const readers: ReturnType<ReplyLog['read']>[] = [];
        let isWhole = true;
        const turn = () => {
          original.wake();
          for (const reader of readers) while (reader.take()?.length);
        };
        const send = () => {
          const part = sent(runsOf(tap.take()));
          if (isWhole) copy.add(part);
        };
        const sendWhole = () => {
          tap.take();
          copy.complete(sent(runsOf(original.all())));
          isWhole = true;
        };
        original.add(start);
        for (const each of steps)
          if (each === 'turn') turn();
          else if (each === 'send') send();
          else if (each === 'send whole') sendWhole();
          else if (each === 'read') readers.push(original.read());
          else if (each === 'lose') isWhole = tap.take().length === 0 && isWhole;
          else perform(original, each);
        original.add(end);
        if (isWhole) send();
        else sendWhole();
        expect(copied.ended).toBe(true);
        expect(copied.position).toBe(original.position);
        expect(readAll(copied)).toEqual(readAll(original));
        const position = at % (original.position + 1);
        const rest = (log: ReplyLog) => {
          const reader = log.read(position);
          let text = '';
          for (let batch = reader.take(); batch?.length; batch = reader.take())
            for (const { frame } of batch) text += 'content' in frame ? frame.content : '';
          return text;
        };
        expect(rest(copied)).toBe(rest(original));
        // The copy of a copy, as after a take-over.
        const third = newLog();
        new LogCopy(third, ids).complete(sent(runsOf(copied.all())));
        expect(readAll(third)).toEqual(readAll(original));
      }),
      { numRuns: times(300) },
    );
  });

  it('has the error as programs see it', () => {
    const copy = new LogCopy(newLog(), ids);
    copy.add(sent([['e', 'AGENT_TIMEOUT', { agent: 'a', phase: 'the whole answer', timeoutMs: 5 }]]));
    expect(copy.failure).toMatchObject({ code: 'AGENT_TIMEOUT', message: expect.stringContaining('5') });
  });
});

describe('content that is held', () => {
  const textOf = (reader: ReturnType<ReplyLog['read']>) =>
    (reader.take() ?? []).map(({ frame }) => ('content' in frame ? frame.content : frame.type)).join('');

  it('is shown to nobody before it is released, and to everybody afterwards', () => {
    const log = newLog();
    log.add(start);
    const readers = [log.read(), log.read(0), log.read()];
    expect(textOf(readers[0] as never)).toBe('streaming_start');
    log.hold();
    log.write('text', 'one ');
    log.wake();
    readers.push(log.read(), log.read(2));
    expect(readers.map(textOf)).toEqual(['', ...Array(4).fill('streaming_start')]);
    expect(readers.map(textOf)).toEqual(Array(5).fill(''));
    log.release();
    log.write('text', 'two');
    expect(readers.map(textOf)).toEqual([...Array(4).fill('one two'), 'e two']);
  });

  it('that is dropped has never been', () => {
    const log = newLog();
    const tap = log.tap(() => {});
    log.add(start);
    log.write('text', 'one');
    const readers = [log.read(), log.read(3)];
    for (const reader of readers) while (reader.take()?.length);
    log.hold();
    log.write('text', ' two');
    readers.push(log.read(6));
    expect(tap.take()).toHaveLength(2);
    expect(log.all()).toHaveLength(2);
    expect(textOf(readers[2] as never)).toBe('streaming_start');
    log.dropHeld();
    expect(log.position).toBe(3);
    log.write('text', ' three');
    expect(readers.map(textOf)).toEqual([' three', ' three', 'ree']);
    expect(tap.take()).toHaveLength(1);
  });
});

describe('a reader that has more than there is yet', () => {
  it('gets only what comes after it, and the end in any case', () => {
    const log = newLog();
    log.isPartial = true;
    log.add(start);
    log.write('text', 'one ');
    const [near, far] = [log.read(6), log.read(100)];
    const seen = (reader: ReturnType<ReplyLog['read']>) =>
      (reader.take() ?? []).map(({ frame }) => ('content' in frame ? frame.content : frame.type));
    expect([near, far].map(seen)).toEqual([['streaming_start'], ['streaming_start']]);
    log.write('text', 't');
    expect([near, far].map(seen)).toEqual([[], []]);
    log.write('text', 'wo');
    log.write('text', ' three');
    expect([near, far].map(seen)).toEqual([['o three'], []]);
    log.add({ type: 'error', code: 'AGENT_FAILED', message: 'no', streamId });
    expect([near, far].map(seen)).toEqual([['error'], ['error']]);
    const late = log.read(100);
    expect([late, late].map(seen)).toEqual([['streaming_start'], ['error']]);
  });
});

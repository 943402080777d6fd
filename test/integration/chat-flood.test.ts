import { afterEach, expect, it } from 'vitest';
import { definePlugin, type TaskPriority, taskPriorities } from '#kernel';
import { done, ScriptedAgent, text } from '../support/agents.js';
import { startHive } from '../support/hive.js';
import { leakCheck } from '../support/leaks.js';
import { call } from '../support/transport.js';
import { type Frame, WsClient } from '../support/ws-client.js';

const requests = 500;
const concurrency = 4;
const waiting = 300;
const connections = 25;
const ageEvery = 16;
const priorities = ['low', 'normal', 'high'] as const;

const leaks = leakCheck();
afterEach(() => leaks.settled());

interface Queued {
  readonly taskId: string;
  readonly priority: TaskPriority;
  readonly userId?: string | undefined;
}

/** The order of the rule: the best priority first, its users in turn, and every 16th time the priority whose next is the oldest. */
function expectedOrder(queued: readonly Queued[]): string[] {
  const levels = [...taskPriorities].reverse().map((priority) => {
    const users = new Map<string | undefined, Queued[]>();
    for (const each of queued.filter((one) => one.priority === priority))
      users.set(each.userId, [...(users.get(each.userId) ?? []), each]);
    return [...users.values()];
  });
  const order: string[] = [];
  for (let turn = 1; order.length < queued.length; turn++) {
    const waiting = levels.filter((users) => users.length > 0);
    const age = (users: readonly (readonly Queued[])[]) => queued.indexOf(users[0]?.[0] as Queued);
    if (turn % ageEvery === 0) waiting.sort((a, b) => age(a) - age(b));
    const level = waiting[0] as Queued[][];
    const user = level.shift() as Queued[];
    order.push((user.shift() as Queued).taskId);
    if (user.length > 0) level.push(user);
  }
  return order;
}

it.each(['uws', 'node'] as const)(
  `a flood of ${requests} requests over transport-%s is served by priority without starving anybody, or refused honestly`,
  async (transport) => {
    const agent = new ScriptedAgent('busy', ['wait', [text('an answer'), done]]);
    const hive = await startHive({
      transport,
      plugins: [definePlugin({ name: 'busy', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) })],
      config: {
        'streams-memory': { maxRunning: concurrency, maxWaiting: waiting },
        'tasks-tinypool': { ageEvery },
        'agent-queen': { candidates: ['busy'] },
      },
    });
    const queued: Queued[] = [];
    const started: string[] = [];
    const { bus } = hive.kernel;
    bus.on('task:queued', ({ taskId, priority, userId }) => void queued.push({ taskId, priority, userId }));
    bus.on('task:started', ({ taskId }) => void started.push(taskId));

    const clients = await Promise.all(
      Array.from({ length: connections }, (_, index) => WsClient.connect(`${hive.ws}/c${index}`)),
    );
    const ends: Promise<Frame>[] = [];
    for (let index = 0; index < requests; index++) {
      const client = clients[index % connections] as WsClient;
      const requestId = `r${index}`;
      const priority = priorities[(index * 7) % 3];
      client.send({ type: 'stream_request', content: 'Hi', requestId, priority });
      ends.push(endOf(client, requestId));
    }

    let answered = 0;
    let over = false;
    const health = (async () => {
      while (!over) {
        const { status } = await call(Number(new URL(hive.url).port), { path: '/health' });
        expect(status).toBe(200);
        answered++;
      }
    })();
    while (hive.tasks.countsOf('chat:message')?.submitted !== requests)
      await new Promise((go) => setImmediate(go));
    expect(hive.streams.stats).toMatchObject({ running: concurrency, waiting });
    expect(agent.running).toBe(concurrency);
    const releasing = setInterval(() => agent.release(), 1);
    const frames = await Promise.all(ends);
    clearInterval(releasing);
    over = true;
    await health;

    const refused = frames.filter((frame) => frame.code === 'QUEUE_FULL');
    expect(refused).toHaveLength(requests - concurrency - waiting);
    for (const frame of refused) expect(frame.retryAfterMs).toBeGreaterThan(0);
    expect(frames.filter((frame) => frame.type === 'streaming_end')).toHaveLength(concurrency + waiting);
    expect(started).toEqual([
      ...queued.slice(0, concurrency).map(({ taskId }) => taskId),
      ...expectedOrder(queued.slice(concurrency)),
    ]);
    // Never more than allowed, and everybody who waited was told so.
    const told = clients.flatMap((client) => client.frames.filter((frame) => frame.type === 'queue_update'));
    expect(new Set(told.map((frame) => frame.requestId)).size).toBe(waiting);
    // How often depends on how fast the flood is over.
    expect(answered).toBeGreaterThan(0);
    expect(hive.tasks.stats).toMatchObject({
      submitted: requests,
      succeeded: concurrency + waiting,
      rejected: refused.length,
    });
    await Promise.all(clients.map((client) => client.close()));
    await hive.close();
  },
  60_000,
);

/** The frame that ends the stream of a request, or refuses it. */
async function endOf(client: WsClient, requestId: string): Promise<Frame> {
  const first = await client.until(
    (frame) => frame.requestId === requestId && (frame.type === 'streaming_start' || frame.type === 'error'),
  );
  if (first.type === 'error') return first;
  return client.until((frame) => frame.type === 'streaming_end' && frame.streamId === first.streamId);
}

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LookupFunction } from 'node:net';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type AgentCall, BaseAgent, type ChatRequest, definePlugin } from '#kernel';
import { type Config, config } from '../../../plugins/notify-webhook/config.js';
import { Endpoint } from '../../../plugins/notify-webhook/endpoint.js';
import notifyWebhook from '../../../plugins/notify-webhook/index.js';
import { isPublic } from '../../../plugins/notify-webhook/public-address.js';
import type { Told } from '../../../plugins/notify-webhook/webhook-events.js';
import { eventually } from '../../support/eventually.js';
import { startHive } from '../../support/hive.js';
import { startHttpServer } from '../../support/http-server.js';
import { recordingLogger } from '../../support/kernel.js';

const secret = `whsec_${randomBytes(32).toString('base64')}`;
const another = `whsec_${randomBytes(24).toString('base64')}`;

interface Received {
  readonly id: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  // biome-ignore lint/suspicious/noExplicitAny: any message
  readonly message: any;
}

type Answer = (received: Received, response: ServerResponse, request: IncomingMessage) => void;

/** A receiver on a real socket that checks every signature, and answers 204 where `answer` does not. */
async function startReceiver(answer: Answer = () => {}) {
  const received: Received[] = [];
  const server = await startHttpServer(async (request, response) => {
    let body = '';
    for await (const part of request.setEncoding('utf8')) body += part;
    const headers = request.headers as Record<string, string>;
    const message = new Webhook(secret).verify(body, headers);
    const each = { id: headers['webhook-id'] as string, headers, body, message };
    received.push(each);
    answer(each, response, request);
    if (answer.length === 0) response.writeHead(204).end();
  });
  onTestFinished(() => server.close());
  return { url: server.url, received };
}

/** Says nothing until it is stopped. */
class WaitingAgent extends BaseAgent {
  readonly name = 'waiting';

  // biome-ignore lint/correctness/useYield: that is what it is about
  async *generateResponseStream(_: ChatRequest, { signal }: AgentCall): AsyncGenerator<never> {
    await once(signal, 'abort');
    throw signal.reason;
  }
}

const told = (subject: string, n = 0, type: Told['type'] = 'chat:finished'): Told => ({
  type,
  subject,
  data: { subject, n },
});

/** One endpoint without a kernel. */
function createEndpoint(url: string, more: object = {}, settings: object = {}, lookup?: LookupFunction) {
  const { endpoints, ...limits } = config.parse({
    ...{ retryBaseMs: 1, retryMaxMs: 5 },
    ...settings,
    endpoints: { crm: { url, secret, allowPrivate: true, ...more } },
  });
  const { logger, lines } = recordingLogger();
  const crm = endpoints.crm as Config['endpoints'][string];
  const endpoint = new Endpoint('crm', crm, limits, logger, lookup);
  onTestFinished(() => endpoint.stop(0));
  return { endpoint, lines };
}

describe('webhooks of a server', () => {
  it('tell of replies and tasks, signed, and nothing that is secret', async () => {
    const { url, received } = await startReceiver();
    const failing = definePlugin({
      name: 'failing',
      apiVersion: 1,
      setup(ctx) {
        ctx.registerTask({
          name: 'fail',
          lane: 'main',
          run: () => {
            throw new Error('the password is /home/secret');
          },
        });
      },
    });
    const settings = {
      endpoints: { crm: { url: `${url}/hook?a=b`, secret: [another, secret], allowPrivate: true } },
    };
    const hive = await startHive({
      plugins: [notifyWebhook, failing],
      config: { 'notify-webhook': settings },
    });
    const reply = await hive.streams.start({
      content: 'Guten Morgen',
      userId: 'ann',
      conversationId: 'c',
      agent: 'eliza',
    });
    await reply.whole();
    const lost = await hive.streams.start({ content: 'Hallo', userId: 'ann', agent: 'nobody' });
    await expect(lost.whole()).rejects.toThrow();
    const run = await hive.tasks.submit('fail', {}, { owner: 'bob' });
    await expect(run.result).rejects.toThrow();
    await eventually(() => expect(received.map(({ message }) => message.type)).toContain('task:failed'));
    const { endpoints } = await (await fetch(`${hive.url}/webhooks`)).json();
    expect(endpoints).toEqual([
      { name: 'crm', waiting: 0, delivered: received.length, failed: 0, dropped: 0, deadLetters: [] },
    ]);
    await hive.close();
    const find = (type: string) =>
      received.filter(({ message }) => message.type === type).map(({ message }) => message);
    const reference = expect.stringMatching(/^[\w-]{16}$/);
    const timings = expect.any(Object);
    const [finished] = find('chat:finished');
    expect(finished).toEqual({
      type: 'chat:finished',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      data: {
        ...{ reply: reference, conversationId: 'c', userId: 'ann', agent: 'eliza' },
        ...{ tokens: expect.any(Number), timings, ...('usage' in finished.data && { usage: timings }) },
      },
    });
    expect(find('chat:failed')).toMatchObject([
      {
        data: {
          reply: reference,
          userId: 'ann',
          code: 'AGENT_UNKNOWN',
          message: expect.stringContaining('nobody'),
          timings,
        },
      },
    ]);
    const [queued] = find('task:queued');
    expect(find('task:failed')).toMatchObject([
      { data: { run: queued.data.run, task: 'fail', userId: 'bob', code: 'TASK_FAILED', attempts: 1 } },
    ]);
    expect(received.filter(({ message }) => message.data.task !== undefined)).toHaveLength(3);
    const all = JSON.stringify(received);
    for (const private_ of [reply.streamId, run.id, 'Guten Morgen', '/home/secret', secret, another])
      expect(all).not.toContain(private_);
    expect(received[0]?.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': 'waggle-webhook/1',
    });
  });

  it('are sent before the server stops', async () => {
    const { url, received } = await startReceiver();
    const settings = { endpoints: { crm: { url, secret, allowPrivate: true, events: ['chat:cancelled'] } } };
    const waiting = definePlugin({
      name: 'waiting',
      apiVersion: 1,
      setup: (ctx) => void ctx.addAgent(new WaitingAgent()),
    });
    const hive = await startHive({
      plugins: [notifyWebhook, waiting],
      drainTimeoutMs: 1,
      config: { 'notify-webhook': settings },
    });
    for (let user = 0; user < 5; user++)
      await hive.streams.start({ content: 'Hallo', userId: `u${user}`, agent: 'waiting' });
    await hive.stop();
    expect(received.map(({ message }) => message.type)).toEqual(Array(5).fill('chat:cancelled'));
  });

  it.each<[string, object, string, RegExp]>([
    ['no URL', { url: 'crm' }, 'url', /expected an http\(s\) URL/],
    [
      'http',
      { url: 'http://crm.example' },
      'url',
      /expected https; http is for receivers of your own network/,
    ],
    ['a password', { url: 'https://a:hidden@crm.example' }, 'url', /no user name and password/],
    ['a short secret', { secret: 'whsec_hidden' }, 'secret', /expected "whsec_" and at least 24 bytes/],
    ['no base64', { secret: `whsec_hidden${'!'.repeat(40)}` }, 'secret', /expected "whsec_"/],
    ['an unknown event', { events: ['chat:*', 'chat:token'] }, 'events.1', /Invalid option/],
    ['no event', { events: [] }, 'events', /Too small/],
  ])('are refused with %s, without a secret in the message', (_, more, path, why) => {
    const { error } = config.safeParse({
      endpoints: { crm: { url: 'https://crm.example', secret, ...more } },
    });
    const issues = error?.issues.map((issue) => [issue.path.join('.'), issue.message]) ?? [];
    expect(issues).toEqual([[`endpoints.crm.${path}`, expect.any(String)]]);
    expect(issues.join()).toMatch(why);
    expect(issues.join()).not.toContain('hidden');
  });
});

describe('an endpoint', () => {
  it('tries again, with the same id and a new signature, and keeps the order of one subject', async () => {
    let failures = 3;
    const { url, received } = await startReceiver(({ message }, response) => {
      const fails = message.data.subject === 'a' && message.data.n === 0 && failures-- > 0;
      response.writeHead(fails ? 500 : 200).end('{}');
    });
    const { endpoint, lines } = createEndpoint(url);
    for (let n = 0; n < 3; n++) for (const subject of ['a', 'b']) endpoint.send(told(subject, n));
    await eventually(() => expect(endpoint.counts).toMatchObject({ waiting: 0, delivered: 6 }));
    const of = (subject: string) => received.filter(({ message }) => message.data.subject === subject);
    expect(of('a').map(({ message }) => message.data.n)).toEqual([0, 0, 0, 0, 1, 2]);
    expect(of('b').map(({ message }) => message.data.n)).toEqual([0, 1, 2]);
    expect(
      new Set(
        of('a')
          .slice(0, 4)
          .map(({ id }) => id),
      ).size,
    ).toBe(1);
    expect(new Set(received.map(({ id }) => id)).size).toBe(6);
    const said = lines.filter(({ level }) => level !== 'debug').map(({ msg, why }) => [msg, why]);
    const failing = ['a webhook was not delivered; it is tried again', 'it answered 500'];
    const pairs = Array.from({ length: said.length / 2 }, () => [
      failing,
      ['webhooks are delivered again', undefined],
    ]);
    expect(said).toEqual(pairs.flat());
    expect(said.length).toBeGreaterThan(0);
  });

  it('delivers every message at least once and in order, or as a dead letter, whatever the receiver does', async () => {
    let fate: readonly number[] = [];
    let at = 0;
    const { url, received } = await startReceiver((_, response, request) => {
      const status = fate[at++ % fate.length] as number;
      if (status === 0) request.socket.destroy();
      else response.writeHead(status).end();
    });
    const fates = fc.array(fc.constantFrom(200, 200, 204, 302, 404, 429, 500, 0), {
      minLength: 1,
      maxLength: 9,
    });
    const subjects = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(fates, subjects, fc.integer({ min: 1, max: 4 }), async (given, list, concurrency) => {
        [fate, at] = [given, 0];
        received.length = 0;
        const { endpoint } = createEndpoint(url, {}, { maxRetries: 2, concurrency });
        list.forEach((subject, n) => void endpoint.send(told(subject, n)));
        await eventually(() => expect(endpoint.counts.waiting).toBe(0));
        const { delivered, failed, dropped } = endpoint.counts;
        expect([delivered + failed, dropped, endpoint.deadLetters.length]).toEqual([list.length, 0, failed]);
        for (const subject of ['a', 'b', 'c']) {
          const numbers = received
            .map(({ message }) => message.data)
            .filter((data) => data.subject === subject);
          const order = numbers.map(({ n }) => n);
          expect(order).toEqual([...order].sort((a, b) => a - b));
          expect(new Set(order).size).toBe(list.filter((each) => each === subject).length);
        }
      }),
      { numRuns: 15 },
    );
  });

  it('gives up after all tries, says so, and goes on with the next message', async () => {
    const { url, received } = await startReceiver(({ message }, response) => {
      response.writeHead(message.data.n === 0 ? 503 : 200).end();
    });
    const { endpoint, lines } = createEndpoint(url, {}, { maxRetries: 2, maxDeadLetters: 1 });
    endpoint.send(told('a', 0));
    endpoint.send(told('a', 1));
    await eventually(() =>
      expect(endpoint.counts).toEqual({ waiting: 0, delivered: 1, failed: 1, dropped: 0 }),
    );
    expect(received).toHaveLength(4);
    const [letter] = endpoint.deadLetters;
    expect(letter).toMatchObject({
      id: received[0]?.id,
      type: 'chat:finished',
      attempts: 3,
      reason: 'it answered 503',
    });
    expect(lines.filter(({ level }) => level === 'error')).toMatchObject([
      { msg: 'a webhook was given up', endpoint: 'crm', why: 'it answered 503' },
    ]);
    endpoint.send(told('b', 0));
    await eventually(() => expect(endpoint.counts.failed).toBe(2));
    expect(endpoint.deadLetters).toHaveLength(1);
    expect(endpoint.deadLetters[0]).not.toEqual(letter);
  });

  it('drops what is more than may wait, and says how much', async () => {
    const { url, received } = await startReceiver(
      (_, response) => void setImmediate(() => response.destroy()),
    );
    const { endpoint, lines } = createEndpoint(
      url,
      {},
      { queueLimit: 3, retryBaseMs: 60_000, retryMaxMs: 60_000 },
    );
    for (let n = 0; n < 10; n++) endpoint.send(told(`s${n}`, n));
    expect(endpoint.counts).toMatchObject({ waiting: 3, dropped: 7 });
    endpoint.sayDropped();
    endpoint.sayDropped();
    expect(lines.filter(({ msg }) => String(msg).includes('dropped')).map(({ count }) => count)).toEqual([
      1, 6,
    ]);
    await eventually(() => expect(received).toHaveLength(3));
  });

  it('waits no longer than it may for an answer, and reads no more of it than it needs', async () => {
    const { url } = await startReceiver(({ message }, response) => {
      if (message.data.n === 0) return;
      response.writeHead(200);
      const write = () => {
        while (!response.destroyed && response.write('x'.repeat(10_000)));
        if (!response.destroyed) response.once('drain', write);
      };
      write();
    });
    const { endpoint } = createEndpoint(url, {}, { timeoutMs: 1000, maxRetries: 0 });
    endpoint.send(told('a', 0));
    endpoint.send(told('b', 1));
    await eventually(() => expect(endpoint.counts).toMatchObject({ waiting: 0, delivered: 1, failed: 1 }));
    expect(endpoint.deadLetters[0]?.reason).toBe('no answer within 1000 ms');
  });

  it('follows no redirect', async () => {
    const other = await startReceiver();
    const { url } = await startReceiver((_, response) =>
      response.writeHead(307, { location: other.url }).end(),
    );
    const { endpoint } = createEndpoint(url, {}, { maxRetries: 0 });
    endpoint.send(told('a'));
    await eventually(() => expect(endpoint.deadLetters[0]?.reason).toBe('it answered 307'));
    expect(other.received).toEqual([]);
  });

  it('stops at its deadline, with what it could not deliver in the log', async () => {
    const { url, received } = await startReceiver(({ message }, response) => {
      if (message.data.n !== 2) response.writeHead(message.data.n === 1 ? 500 : 200).end();
    });
    const { endpoint, lines } = createEndpoint(url, {}, { retryBaseMs: 60_000, retryMaxMs: 60_000 });
    for (let n = 0; n < 3; n++) endpoint.send(told(`s${n}`, n));
    await eventually(() => expect(received).toHaveLength(3));
    const deadline = new AbortController();
    const stopped = endpoint.stop(deadline.signal);
    await eventually(() => expect(received).toHaveLength(4));
    deadline.abort();
    await stopped;
    endpoint.send(told('late'));
    expect(lines.at(-1)).toMatchObject({ msg: 'webhooks were not delivered before the stop', count: 2 });
    expect(endpoint.counts).toMatchObject({ waiting: 2, delivered: 1 });
  });
});

describe('a receiver with an address that is not public', () => {
  it.each([
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.255.0.1', '169.254.169.254', '172.16.0.1'],
    ...[
      '172.31.255.255',
      '192.0.0.8',
      '192.0.2.1',
      '192.168.1.1',
      '198.18.0.1',
      '224.0.0.1',
      '255.255.255.255',
    ],
    ...[
      '::',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:8.8.8.8',
      '::127.0.0.1',
      '64:ff9b::7f00:1',
      'fc00::1',
      'fd00:ec2::254',
    ],
    ...[
      'fe80::1',
      'fec0::1',
      'ff02::1',
      '2001::1',
      '2001:db8::1',
      '2002:7f00:1::',
      '3fff::1',
      '100::1',
      'x',
      '',
    ],
  ])('%s is known', (address) => expect(isPublic(address)).toBe(false));

  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '93.184.216.34',
    '172.32.0.1',
    '192.0.1.1',
    '2606:4700::1111',
    '2a00:1450::1',
  ])('%s is another', (address) => expect(isPublic(address)).toBe(true));

  it.each([
    ...[
      '127.0.0.1',
      '127.1',
      '0x7f000001',
      '2130706433',
      '0',
      'localhost',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[::]',
    ],
  ])('is not asked as %s', async (host) => {
    const { url, received } = await startReceiver();
    const { port } = new URL(url);
    const { endpoint } = createEndpoint(
      `https://${host}:${port}`,
      { allowPrivate: false },
      { maxRetries: 0 },
    );
    endpoint.send(told('a'));
    await eventually(() => expect(endpoint.deadLetters[0]?.reason).toMatch(/^its address is not public/));
    expect(received).toEqual([]);
  });

  it('is not asked by a name that resolves to it, also besides others, and each name is resolved once', async () => {
    const { url, received } = await startReceiver();
    const { port } = new URL(url);
    const answers = [['93.184.216.34', '127.0.0.1'], ['127.0.0.1'], []];
    for (const answer of answers) {
      let asked = 0;
      const lookup: LookupFunction = (_, options, callback) => {
        expect(options.all).toBe(true);
        asked++;
        const list = answer.map((address) => ({ address, family: 4 }));
        process.nextTick(callback, null, list);
      };
      const settings = { maxRetries: 0 };
      const at = `https://rebind.example:${port}`;
      const { endpoint } = createEndpoint(at, { allowPrivate: false }, settings, lookup);
      endpoint.send(told('a'));
      await eventually(() => expect(endpoint.deadLetters[0]?.reason).toMatch(/^its address is not public/));
      expect(asked).toBe(1);
    }
    expect(received).toEqual([]);
  });
});

import dns from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Exchange, type Inquiry, type UpstreamResponse } from '#sdk/upstream';
import type { HttpClient } from '../../../../../kernel/sdk/upstream/http-client.js';
import { SocketClient } from '../../../../../kernel/sdk/upstream/http1/socket-client.js';
import { NodeClient } from '../../../../../kernel/sdk/upstream/node-client.js';
import { type ByteServer, startByteServer } from '../../../../support/byte-server.js';
import { eventually } from '../../../../support/eventually.js';
import { leakCheck } from '../../../../support/leaks.js';

const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

describe('the HTTP client over sockets', () => {
  let server: ByteServer;
  let client: HttpClient;
  const start = async (
    answerWith: (socket: Socket, place: number) => unknown = (socket) => socket.write(answer),
    host?: string,
    name?: string,
  ) => {
    server = await startByteServer(answerWith, host, name);
    client = new SocketClient(5000, new NodeClient(5000));
  };
  afterEach(async () => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    client.close();
    await server.close();
  });

  const exchange = (signal = new AbortController().signal) =>
    new Exchange(client, { bodyLimitBytes: 1e6 }, signal);
  const ask = async (inquiry: Inquiry = {}, url = server.url) => {
    const one = exchange();
    try {
      return await one.text(await one.send(url, inquiry));
    } finally {
      await one.close(false);
    }
  };
  const connections = () => server.requests.map(({ connection }) => connection);

  it('sends the URL and the headers of each request, also where their objects are the same and have changed', async () => {
    await start();
    const url = new URL(server.url);
    const headers: Record<string, string> = { authorization: 'first' };
    const frozen = Object.freeze({ authorization: 'frozen' });
    await ask({ headers }, url);
    headers.authorization = 'second';
    await ask({ headers }, url);
    await ask({ headers: frozen }, url);
    url.search = '?key=2';
    await ask({ headers: frozen }, url);
    await ask({ headers: frozen, method: 'POST', body: '{}' }, url);
    const told = server.requests.map(({ text }) => [
      text.split(' HTTP/', 1)[0],
      /authorization: (.*)\r/.exec(text)?.[1],
    ]);
    expect(told).toEqual([
      ['GET /path?query', 'first'],
      ['GET /path?query', 'second'],
      ['GET /path?query', 'frozen'],
      ['GET /path?key=2', 'frozen'],
      ['POST /path?key=2', 'frozen'],
    ]);
  });

  it('sends what Node.js sends', async () => {
    await start();
    const inquiry = { method: 'POST', headers: { 'X-A': 'b', accept: 'c' }, body: 'naïve 🐝' };
    await ask(inquiry);
    await ask();
    client.close();
    client = new NodeClient(5000);
    await ask(inquiry);
    await ask();
    const parts = ({ text }: { readonly text: string }) => {
      const [head = '', body] = text.split('\r\n\r\n');
      const [line, ...headers] = head.split('\r\n');
      return { line, headers: headers.map((each) => each.toLowerCase()).sort(), body };
    };
    const [post, get, ...theirs] = server.requests.map(parts);
    expect([post, get]).toEqual(theirs);
    expect(post).toMatchObject({
      line: 'POST /path?query HTTP/1.1',
      body: Buffer.from('naïve 🐝').toString('latin1'),
    });
  });

  it.each<readonly [what: string, inquiry: Inquiry & { readonly username?: string }]>([
    ['a name and a password', { username: 'a' }],
    ['a header of the connection', { headers: { Connection: 'close' } }],
    ['a header twice', { headers: { 'X-A': 'b', 'x-a': 'c' } }],
    ['a value that is not ASCII', { headers: { 'x-a': '\xe9' } }],
    ['another method', { method: 'PUT', body: 'a' }],
    ['no body', { method: 'POST' }],
  ])('leaves %s to Node.js', async (_, { username = '', ...inquiry }) => {
    await start();
    const url = Object.assign(new URL(server.url), { username, password: username });
    await ask(inquiry, url);
    client.close();
    client = new NodeClient(5000);
    await ask(inquiry, url);
    const [first, second] = server.requests;
    expect(first?.text).toBe(second?.text);
  });

  it.each([
    ['a line break in a value', { a: 'b\r\nc: d' }, 'ERR_INVALID_CHAR'],
    ['a name that is none', { 'a b': 'c' }, 'ERR_INVALID_HTTP_TOKEN'],
  ])('refuses %s as Node.js does', async (_, headers, code) => {
    await start();
    await expect(ask({ headers })).rejects.toMatchObject({ code });
    expect(server.requests).toEqual([]);
  });

  /** From now on names have these addresses; without any they are never found out. */
  const resolveNames = (...addresses: readonly string[]) => {
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    const lookup = (_name: string, _options: object, give: (error: null, all: object) => void) => {
      if (found.length > 0) process.nextTick(give, null, found);
    };
    vi.spyOn(dns, 'lookup').mockImplementation(lookup as never);
  };

  it.each([
    ['127.0.0.1', '127.0.0.1', []],
    ['::1', '[::1]', []],
    ['127.0.0.1', 'localhost', ['::1', '127.0.0.1']],
    ['::1', 'localhost', ['::1', '127.0.0.1']],
    ['::1', 'localhost', ['127.0.0.1', '::1']],
  ])('reaches a server at %s by the name %s with the addresses %j', async (host, name, addresses) => {
    await start(undefined, host, name);
    resolveNames(...addresses);
    expect(await ask()).toBe('hi');
    expect(server.requests[0]?.text).toContain(`\r\nHost: ${name}:${server.url.port}\r\n`);
  });

  it('takes a connection up again, the latest first', async () => {
    await start();
    await Promise.all([ask(), ask(), ask()]);
    expect(server.sockets).toHaveLength(3);
    const latest = connections().at(-1);
    for (let each = 0; each < 3; each++) await ask();
    expect(connections().slice(3)).toEqual([latest, latest, latest]);
  });

  it.each([
    ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
    [
      'a server that keeps it for a second',
      'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nhi',
    ],
    ['more than was asked for', `${answer}${answer}`],
  ])('takes no connection up again after %s', async (_, bytes) => {
    await start((socket) => socket.write(bytes));
    expect([await ask(), await ask()]).toEqual(['hi', 'hi']);
    expect(connections()).toEqual([0, 1]);
  });

  it('takes no connection up again whose request was not read to its end', async () => {
    await start();
    const connected = vi.fn();
    const eager = createServer(
      (socket) =>
        void socket
          .on('error', () => {})
          .pause()
          .write(answer),
    );
    await once(eager.on('connection', connected).listen(0, '127.0.0.1'), 'listening');
    const url = new URL(`http://127.0.0.1:${(eager.address() as AddressInfo).port}`);
    expect(await ask({ method: 'POST', body: 'x'.repeat(20_000_000) }, url)).toBe('hi');
    expect(await ask({}, url)).toBe('hi');
    expect(connected).toHaveBeenCalledTimes(2);
    eager.close();
  });

  it('closes an idle connection on which bytes arrive, and reads none of them', async () => {
    await start();
    await ask();
    const [socket] = server.sockets as [Socket];
    const closed = once(socket, 'close');
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake');
    await closed;
    expect(await ask()).toBe('hi');
    expect(connections()).toEqual([0, 1]);
  });

  it('asks once more, over a new connection, where an idle one closes before it answers', async () => {
    await start((socket, place) => {
      if (place < 3) socket.write(answer);
      else if (place === 3) socket.destroy();
      else socket.write(answer);
    });
    await Promise.all([ask(), ask(), ask()]);
    expect(await ask()).toBe('hi');
    expect(connections().at(-1)).toBe(3);
    expect(server.requests).toHaveLength(5);
  });

  it.each([
    ['a new one', 0, (socket: Socket) => socket.destroy()],
    ['one that has begun to answer', 1, (socket: Socket) => socket.end('HTTP/1.1 2')],
  ])('does not ask again where it is %s that closes', async (_, place, close) => {
    await start((socket, at) => (at === place ? close(socket) : socket.write(answer)));
    if (place > 0) await ask();
    await expect(ask()).rejects.toMatchObject({ code: 'UNANSWERED' });
    expect(server.requests).toHaveLength(place + 1);
  });

  it('keeps as many idle connections as it may', async () => {
    await start((_, place) => {
      if (place === 299) for (const each of server.sockets) each.write(answer);
    });
    await Promise.all(Array.from({ length: 300 }, () => ask()));
    await eventually(() => expect(server.sockets.filter(({ destroyed }) => !destroyed)).toHaveLength(256));
  });

  it.each([
    ['a minute', answer, 50_000, 70_000],
    [
      'nearly as long as its server keeps it',
      answer.replace('\r\n', '\r\nKeep-Alive: timeout=5\r\n'),
      3000,
      4500,
    ],
  ])('closes a connection that has been idle for %s', async (_, bytes, keptMs, overMs) => {
    await start((socket) => socket.write(bytes));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    await ask();
    const [socket] = server.sockets as [Socket];
    vi.advanceTimersByTime(keptMs);
    await ask();
    const closed = once(socket, 'close');
    vi.advanceTimersByTime(overMs);
    await ask();
    expect(connections()).toEqual([0, 0, 1]);
    await closed;
    client.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(['before it is made', 'before its answer', 'in the middle of its answer'])(
    'closes the connection of an abort at once, %s',
    async (when) => {
      const leaks = leakCheck();
      await start((socket) => when === 'in the middle of its answer' && socket.write(answer.slice(0, -1)));
      const abort = new AbortController();
      const one = exchange(abort.signal);
      const sent = one.send(server.url).then((response) => one.text(response));
      if (when !== 'before it is made') await eventually(() => expect(server.requests).toHaveLength(1));
      abort.abort();
      await expect(sent).rejects.toMatchObject({ code: 'ABORTED' });
      await one.close(false);
      for (const socket of server.sockets) if (!socket.closed) await once(socket, 'close');
      await server.close();
      await leaks.settled();
    },
  );

  it('gives up a connection that is not made in time', async () => {
    await start();
    client = new SocketClient(20, new NodeClient(20));
    resolveNames();
    await expect(ask({}, new URL('http://model.example'))).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  });

  it('closes every connection with the client, and keeps none after that', async () => {
    await start((socket, place) => place !== 1 && socket.write(answer));
    await ask();
    const waiting = ask();
    await eventually(() => expect(server.requests).toHaveLength(2));
    client.close();
    await expect(waiting).rejects.toMatchObject({ code: 'UNANSWERED' });
    expect(await ask()).toBe('hi');
    for (const socket of server.sockets) if (!socket.closed) await once(socket, 'close');
  });

  it('says that nothing listens', async () => {
    await start();
    await server.close();
    await expect(ask()).rejects.toMatchObject({ name: 'ExchangeError', code: 'ECONNREFUSED' });
  });

  it('keeps a body whose reader comes later', async () => {
    await start((socket, place) => socket.write(answer.replace('hi', `h${place}`)));
    const [one, two] = [exchange(), exchange()];
    const first = await one.send(server.url);
    const second = await two.send(server.url);
    await ask();
    expect([await one.text(first), await two.text(second)]).toEqual(['h0', 'h1']);
  });

  it('reads no more than its reader takes', async () => {
    const totalBytes = 50_000_000;
    await start((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${totalBytes}\r\n\r\n`);
      socket.write(Buffer.alloc(totalBytes, 'x'));
    });
    const one = exchange();
    const response: UpstreamResponse = await one.send(server.url);
    let bytes = 0;
    let hasEnded = () => {};
    const ended = new Promise<void>((resolve) => {
      hasEnded = resolve;
    });
    response.read({
      onBytes: (some) => {
        bytes += some.length;
        response.pause();
      },
      onEnd: hasEnded,
      onError: hasEnded,
    });
    // Each round trip is time for at least one read.
    for (let turn = 0; turn < 50; turn++)
      await once(connect(Number(server.url.port), '127.0.0.1').resume(), 'connect');
    expect(bytes).toBeLessThan(200_000);
    while (bytes < totalBytes) {
      response.resume();
      await new Promise(setImmediate);
    }
    await ended;
    expect(bytes).toBe(totalBytes);
    expect(one.close(true)).toBeUndefined();
  });
});

import { request } from 'node:https';
import { afterEach, describe, expect, it } from 'vitest';
import { definePlugin, type KernelEvents } from '#kernel';
import endpointDocs from '../../plugins/endpoint-docs/index.js';
import endpointOverview from '../../plugins/endpoint-overview/index.js';
import uiWeb from '../../plugins/ui-web/index.js';
import { done, ScriptedAgent, text } from '../support/agents.js';
import { type Hive, startHive } from '../support/hive.js';
import { WsClient } from '../support/ws-client.js';
import { startRecipe } from './recipe.js';

// On Linux all of 127.0.0.0/8 is this machine: a client that is not the proxy.
const localAddress = '127.0.0.5';
const json = { 'content-type': 'application/json' };

/** A proxy as README sets it up, with TLS, at the root and below a path. */
export function recipeContract(name: 'nginx' | 'caddy'): void {
  describe.each([
    ['uws', ''],
    ['uws', '/waggle'],
    ['node', ''],
    ['node', '/waggle'],
  ] as const)(`README's ${name} in front of transport-%s at "%s"`, (transport, below) => {
    let agent: ScriptedAgent;
    let hive: Hive;
    let front: Awaited<ReturnType<typeof startRecipe>>;
    const opened: KernelEvents['connection:opened'][] = [];
    const start = async (change?: (recipe: string) => string) => {
      agent = new ScriptedAgent('scripted', [text('Hello '), 'wait', text('there'), done]);
      const plugin = definePlugin({
        name: 'agent-scripted',
        apiVersion: 1,
        setup: (ctx) => {
          ctx.addAgent(agent);
          ctx.bus.on('connection:opened', (event) => void opened.push(event));
        },
      });
      hive = await startHive({
        transport,
        plugins: [plugin, endpointOverview, endpointDocs, uiWeb],
        config: {
          transport: { trustedProxies: ['127.0.0.1'], basePath: below },
          'agent-queen': { candidates: ['scripted'] },
        },
      });
      front = await startRecipe(name, {
        port: Number(new URL(hive.url).port),
        below,
        ...(change && { change }),
      });
    };
    afterEach(async () => {
      await front.proxy.close();
      await hive.close();
      opened.length = 0;
    });

    /** One request; `first` is called with what has come so far. */
    const send = (
      path: string,
      { method = 'GET', headers = {}, body, part }: Sending = {},
    ): Promise<{ status: number; headers: Record<string, unknown>; text: string }> =>
      new Promise((resolve, reject) => {
        const options = { method, headers, localAddress, rejectUnauthorized: false, agent: false };
        const outgoing = request(front.url + path, options, (incoming) => {
          let got = '';
          incoming.setEncoding('utf8').on('data', (piece: string) => {
            got += piece;
            part?.(got);
          });
          incoming.on('end', () =>
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text: got }),
          );
        });
        outgoing.on('error', reject);
        outgoing.end(body);
      });

    it('serves pages, documents and links that lead back here', async () => {
      await start();
      const { endpoints } = JSON.parse((await send('/')).text);
      expect(endpoints).toMatchObject({ ui: `${below}/ui`, docs: `${below}/docs`, chat: `${below}/chat` });
      const api = JSON.parse((await send('/openapi.json')).text);
      expect(api.servers).toEqual([{ url: below || '/' }]);
      const frames = JSON.parse((await send('/asyncapi.json')).text);
      expect(frames.servers.here).toEqual({ host: front.host, protocol: 'wss', pathname: below || '/' });
      for (const path of ['/ui', '/ui/', '//ui', '/ui/inspector', '/docs', '/docs/']) {
        const page = await send(path);
        expect(page.status).toBe(200);
        const links = [...page.text.matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, link]) => link as string);
        expect(links.length).toBeGreaterThan(2);
        for (const link of links) {
          expect(link.startsWith(`${below}/`)).toBe(true);
          expect((await send(link.slice(below.length))).status).toBe(200);
        }
      }
    });

    it('passes tokens on as they come, and keeps its connections', async () => {
      await start();
      const answer = await send('/chat/stream', {
        method: 'POST',
        headers: json,
        body: JSON.stringify({ content: 'Hallo', user_id: 'a' }),
        part: (got) => {
          if (got.includes('Hello ')) agent.release();
        },
      });
      expect(answer.text).toContain('event: streaming_end');
      expect((await send('/health')).status).toBe(200);
      // Caddy has no limit of its own, and may answer 502 where Waggle closes before it has all of a body.
      if (name === 'caddy') return;
      const large = { method: 'POST', headers: json, body: 'x'.repeat(32 * 2 ** 20 + 1) };
      expect((await send('/chat', large)).status).toBe(413);
    });

    it('lets pages of its own open WebSockets, and tells who they are', async () => {
      await start();
      const headers = {
        'x-forwarded-for': '6.6.6.6',
        'x-forwarded-prefix': '/evil',
        'x-forwarded-proto': 'ftp',
        forwarded: 'for=6.6.6.6;host=evil.test',
      };
      const client = await WsClient.connect(`${front.url.replace('https', 'wss')}/ws/me`, {
        origin: `https://${front.host}`,
        headers,
        localAddress,
        rejectUnauthorized: false,
        // biome-ignore lint/suspicious/noExplicitAny: `ws` hands it to node:tls
      } as any);
      client.send({ type: 'ping' });
      await client.until(({ type }) => type === 'pong');
      expect(opened).toMatchObject([{ remoteAddress: localAddress }]);
      await client.close();
      expect(JSON.parse((await send('/', { headers })).text).endpoints.ui).toBe(`${below}/ui`);
    });

    it('says what is wrong where "Host" does not come through', async () => {
      await start((recipe) =>
        name === 'nginx'
          ? recipe.replaceAll(/^.*\$http_host.*$/gm, '')
          : recipe.replace('flush_interval -1', 'header_up Host waggle\n header_up -X-Forwarded-Host'),
      );
      const answer = await send('/health');
      expect(answer.status).toBe(421);
      expect(JSON.parse(answer.text).error.message).toContain('a proxy in front has to pass "Host" on');
    });
  });
}

interface Sending {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly part?: (got: string) => void;
}

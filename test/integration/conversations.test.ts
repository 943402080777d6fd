import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startFakeOllama } from '../support/fake-ollama/index.js';
import { tempFolder } from '../support/kernel.js';
import { only, runWaggle, startServer } from '../support/server.js';
import { isThorough } from '../support/thorough.js';
import { textOf, WsClient } from '../support/ws-client.js';

const inFile = (path: string) => ({ plugins: { 'store-memory': { use: 'store-sqlite', config: { path } } } });

describe('conversations in a file', () => {
  it('outlive a kill in the middle of 50 of them: every finished message is there, in order, once', async () => {
    const fake = await startFakeOllama();
    const path = join(tempFolder().path, 'c.sqlite');
    const chat = ['agent-ollama', 'tasks-tinypool', 'agent-queen', 'streams-memory', 'store-memory'];
    const others = only('transport-uws', 'endpoint-ws', 'endpoint-conversations', ...chat);
    const config = { plugins: { ...others, ...inFile(path).plugins } };
    const options = { config, env: { OLLAMA_HOST: fake.url }, alone: true };
    const users = Array.from({ length: 50 }, (_, index) => `user-${index}`);
    /** What each user has seen: questions and answers in turn. */
    const seen = new Map<string, string[]>(users.map((user) => [user, []]));
    let asked = 0;

    for (const finishedBeforeKill of [...(isThorough ? [120, 200] : [60, 80]), 0]) {
      const server = await startServer(options);
      for (const user of users) {
        const { status, json } = await messagesOf(server.url, user);
        const said = seen.get(user) as string[];
        if (said.length === 0 && status === 404) continue;
        const kept = json.messages.map(({ content }) => content);
        // Of the answer that was running when the server was killed, all may be there or nothing.
        expect(kept.slice(0, said.length)).toEqual(said);
        expect([said.length, said.length + 2]).toContain(kept.length);
        expect(json.messages.map(({ role }) => role)).toEqual(
          kept.map((_, index) => (index % 2 === 0 ? 'user' : 'assistant')),
        );
        seen.set(user, kept);
      }
      let finished = 0;
      const talk = async (user: string): Promise<void> => {
        const client = await WsClient.connect(`${server.ws}/${user}`);
        for (;;) {
          const content = `question ${asked++}`;
          const model = `normal?n=${5 + (asked % 20)}&gap=1`;
          const frames = await client.ask({ content, conversationId: 'c', agent: 'ollama', model });
          if (frames.at(-1)?.type !== 'streaming_end') throw new Error(JSON.stringify(frames.at(-1)));
          seen.get(user)?.push(content, textOf(frames));
          if (++finished === finishedBeforeKill) server.signal('SIGKILL');
        }
      };
      if (finishedBeforeKill === 0) expect(await server.stop()).toBe(0);
      else {
        const ends = await Promise.allSettled(users.map(talk));
        for (const end of ends)
          expect(String((end as PromiseRejectedResult).reason)).toMatch(/closed without/);
        await server.exited;
        expect(finished).toBeGreaterThanOrEqual(finishedBeforeKill);
      }
    }
    // A clean stop leaves the file alone.
    expect([path, `${path}-wal`].map(existsSync)).toEqual([true, false]);
    await fake.close();
  }, 60_000);

  it('are not opened by two servers at once; the second one says why and leaves the first one alone', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    const first = await startServer({ config: inFile(path) });
    const second = await runWaggle('start', { config: inFile(path) });
    expect(await second.exited).toBe(1);
    expect(second.stderr).toMatch(
      /^waggle: plugin "store-memory" failed during setup: .*c\.sqlite": another Waggle has it open/,
    );
    const client = await WsClient.connect(`${first.ws}/ann`);
    await client.ask({ content: 'Hallo', conversationId: 'c' });
    await client.close();
    expect((await messagesOf(first.url, 'ann')).json.messages).toHaveLength(2);
    const overview = await (await fetch(first.url)).json();
    expect(overview).toMatchObject({ endpoints: { conversations: '/conversations' } });
    expect(await first.stop()).toBe(0);
  });

  it('and in memory as well are a mistake in the config, which names both', async () => {
    const run = await runWaggle('check', { config: { plugins: { 'store-sqlite': {} } } });
    expect(await run.exited).toBe(78);
    expect(run.stderr).toMatch(
      /"store-sqlite" cannot provide conversations: "store-memory" already does; disable/,
    );
  });
});

interface Messages {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
}

async function messagesOf(
  url: string,
  user: string,
): Promise<{ readonly status: number; readonly json: Messages }> {
  const answer = await fetch(`${url}/conversations/c/messages?user_id=${user}`);
  return { status: answer.status, json: (await answer.json()) as Messages };
}

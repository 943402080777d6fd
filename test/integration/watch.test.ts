import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type TempFolder, tempFolder } from '../support/kernel.js';
import { type RunningServer, startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';

/** An agent that says the same whatever it is asked. */
function saying(text: string, name = 'parrot'): string {
  return `import { BaseAgent, definePlugin } from 'waggle-server';

class Saying extends BaseAgent {
  readonly name: string = '${name}';
  async *generateResponseStream() {
    yield [{ type: 'text' as const, content: ${text} }, { type: 'done' as const, reason: 'stop' as const }];
  }
}

export default definePlugin({
  name: 'agent-${name}',
  apiVersion: 1,
  setup: (ctx) => void ctx.addAgent(new Saying()),
});
`;
}

async function watching(folder: TempFolder, config: object = { extensions: folder.path }) {
  const server = await startServer({ args: ['--watch'], config });
  const client = await WsClient.connect(`${server.ws}/test`);
  return {
    server,
    ask: async (agent = 'parrot') => {
      const frames = await client.ask({ content: 'x', agent });
      return textOf(frames) || frames.at(-1)?.code;
    },
    /** Changes something, and waits until the log says what came of it. */
    afterLog: async (msg: string, change: () => void) => {
      const from = server.logs.length;
      change();
      return server.untilLog((line) => line.msg === msg && server.logs.indexOf(line) >= from);
    },
    end: () => end(server, client),
  };
}

async function end(server: RunningServer, client: WsClient): Promise<void> {
  // The one connection of the whole test is still the first.
  expect(client.socket.readyState).toBe(client.socket.OPEN);
  await client.close();
  expect(await server.stop()).toBe(0);
}

describe('waggle start --watch', () => {
  it('takes a new version of an extension while its clients stay connected, and keeps the old one of a broken one', async () => {
    const folder = tempFolder();
    folder.write('parrot.ts', saying(`'one'`));
    const { server, ask, afterLog, end } = await watching(folder);
    expect(await ask()).toBe('one');
    await afterLog('reloaded', () => folder.write('parrot.ts', saying(`'two'`)));
    expect(await ask()).toBe('two');

    const old = 'not reloaded; the old version runs on';
    const unreadable = await afterLog(old, () => folder.write('parrot.ts', saying(`'three`)));
    expect(unreadable).toMatchObject({
      plugin: 'parrot',
      err: { message: expect.stringMatching(/parrot\.ts:6:\d+: /) },
    });
    expect(await ask()).toBe('two');
    await afterLog(old, () =>
      folder.write('parrot.ts', saying(`'three'`).replace('apiVersion: 1', 'apiVersion: 2 as 1')),
    );
    expect(await ask()).toBe('two');
    await afterLog(old, () =>
      folder.write('parrot.ts', saying(`'three'`).replace('void ctx', 'nothing.at.all')),
    );
    expect(await ask()).toBe('two');
    expect(await (await fetch(`${server.url}/ready`)).json()).toMatchObject({ state: 'ready' });

    await afterLog('reloaded', () => folder.write('parrot.ts', saying(`'three'`)));
    expect(await ask()).toBe('three');
    await end();
  });

  it('loads what is added, unloads what is removed, and loads it again', async () => {
    const folder = tempFolder();
    const { ask, afterLog, end } = await watching(folder);
    expect(await ask()).toBe('AGENT_UNKNOWN');
    await afterLog('loaded', () => folder.write('parrot.ts', saying(`'here'`)));
    expect(await ask()).toBe('here');
    await afterLog('unloaded', () => rmSync(join(folder.path, 'parrot.ts')));
    expect(await ask()).toBe('AGENT_UNKNOWN');
    await afterLog('loaded', () => folder.write('parrot/index.ts', saying(`'back'`)));
    expect(await ask()).toBe('back');
    await end();
  });

  it('sees every file of a folder, also in folders that were not there at first, and reads all of them anew', async () => {
    const folder = tempFolder();
    folder.write('extensions/parrot/index.ts', saying(`'one'`));
    const { ask, afterLog, end } = await watching(folder, { extensions: join(folder.path, 'extensions') });
    await afterLog('reloaded', () => {
      folder.write('extensions/parrot/lib/deep/word.ts', `export const word = 'two';`);
      folder.write(
        'extensions/parrot/index.ts',
        `import { word } from './lib/deep/word.js';\n${saying('word')}`,
      );
    });
    expect(await ask()).toBe('two');
    await afterLog('reloaded', () =>
      folder.write('extensions/parrot/lib/deep/word.ts', `export const word = 'three';`),
    );
    expect(await ask()).toBe('three');
    // A whole new folder in the place of the old one, as an unpacked archive or another branch is.
    folder.write('next/index.ts', saying(`'four'`));
    await afterLog('reloaded', () => {
      rmSync(join(folder.path, 'extensions/parrot'), { recursive: true });
      renameSync(join(folder.path, 'next'), join(folder.path, 'extensions/parrot'));
    });
    expect(await ask()).toBe('four');
    await afterLog('reloaded', () => folder.write('extensions/parrot/index.ts', saying(`'five'`)));
    expect(await ask()).toBe('five');
    await end();
  });

  it('watches plugins that the config names by file, and keeps them when that is gone', async () => {
    const folder = tempFolder();
    const use = folder.write('mine/parrot.ts', saying(`'one'`));
    const { ask, afterLog, end } = await watching(folder, { plugins: { parrot: { use } } });
    await afterLog('reloaded', () => folder.write('mine/parrot.ts', saying(`'two'`)));
    expect(await ask()).toBe('two');
    await afterLog('not reloaded; the old version runs on', () => rmSync(use));
    expect(await ask()).toBe('two');
    await afterLog('reloaded', () => folder.write('mine/parrot.ts', saying(`'three'`)));
    expect(await ask()).toBe('three');
    await end();
  });

  it('loads extensions that need each other in whatever order they come, and what waited comes back', async () => {
    const folder = tempFolder();
    const word = (text: string) => `import { createToken, definePlugin } from 'waggle-server';
const Word = createToken<string>('test.word');
export default definePlugin({
  name: 'word',
  apiVersion: 1,
  provides: [Word],
  setup: (ctx) => void ctx.provide(Word, '${text}'),
});`;
    const parrot = `import { createToken } from 'waggle-server';\n${saying('word')}`
      .replace('class', `let word = '';\nconst Word = createToken<string>('test.word');\nclass`)
      .replace(
        'setup: (ctx) => ',
        'requires: { given: Word },\n  setup: (ctx, { given }) => (word = given) && ',
      );
    const { server, ask, afterLog, end } = await watching(folder);
    folder.write('parrot.ts', parrot);
    folder.write('word.ts', word('one'));
    await server.untilLog((line) => line.msg === 'loaded' && line.plugin === 'parrot');
    expect(await ask()).toBe('one');
    await afterLog('reloaded', () => folder.write('word.ts', word('two')));
    expect(await ask()).toBe('two');
    await afterLog('unloaded', () => rmSync(join(folder.path, 'word.ts')));
    expect(await ask()).toBe('AGENT_UNKNOWN');
    await afterLog('loaded', () => folder.write('word.ts', word('three')));
    expect(await ask()).toBe('three');
    await end();
  });
});

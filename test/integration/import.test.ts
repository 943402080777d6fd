import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.js';
import { tempFolder } from '../support/kernel.js';
import { type RunningServer, startServer } from '../support/server.js';
import { call } from '../support/transport.js';

const cli = fileURLToPath(new URL('../../dist/kernel/cli.js', import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function waggleImport(args: readonly string[], input: string | Buffer = ''): Promise<Outcome> {
  const child = spawn(process.execPath, [cli, 'import', ...args]);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => {}).end(input);
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

describe('`waggle import`', () => {
  let server: RunningServer;

  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.stop());

  const line = (conversation_id: string, content: string, role = 'user') =>
    `${JSON.stringify({ conversation_id, role, content })}\n`;
  const listed = async (user: string): Promise<readonly string[]> =>
    (await call(server.port, { path: `/conversations?user_id=${user}` })).json.conversations.map(
      ({ conversation_id }: { readonly conversation_id: string }) => conversation_id,
    );

  it('sends a file of any size, a few conversations at a time, and says what it has skipped', async () => {
    // Some requests of many conversations, and one conversation that is a request of its own.
    let text = '';
    for (let id = 0; id < 150; id++)
      for (let turn = 0; turn < 4; turn++) text += line(`c${id}`, `${turn} ${'\u2028é'.repeat(1000)}`);
    for (let turn = 0; turn < 200; turn++) text += line('large', 'x'.repeat(10_000));
    const file = tempFolder().write('export.jsonl', text);
    const first = await waggleImport([file, `localhost:${server.port}`, '--user', 'ann']);
    expect(first).toEqual({
      code: 0,
      stderr: '',
      stdout: 'waggle: conversations: 151 imported, 0 skipped\n',
    });
    expect((await listed('ann')).slice(0, 2)).toEqual(['large', 'c149']);
    const { text: exported } = await call(server.port, { path: '/conversations/export?user_id=ann' });
    expect(exported).toBe(text);
    const again = await waggleImport(['-', server.url, '--user', 'ann'], text.trimEnd());
    expect(again).toMatchObject({ code: 0, stdout: 'waggle: conversations: 0 imported, 151 skipped\n' });
    expect(again.stderr.split('\n').slice(0, 2)).toEqual([
      'waggle: line 1: "c0" is skipped: it is there already',
      'waggle: line 5: "c1" is skipped: it is there already',
    ]);
    expect(again.stderr).toContain('waggle: line 601: "large" is skipped: it is there already\n');
  });

  it('names the line of a mistake, and keeps what came before', async () => {
    const large = line('a', 'x'.repeat(1_000_001));
    for (const [at, bad, why] of [
      [0, 'no JSON\n', 'line 3 is not JSON: '],
      [1, '{"role":"user"}\n', 'line 3 has no "conversation_id"; is it an export?'],
      [2, line('c', 'x', 'robot'), 'invalid request: line 3: role: '],
      [3, '\xff\n', 'line 3 is not UTF-8'],
    ] as const) {
      const input = Buffer.concat([Buffer.from(large + line('b', 'x')), Buffer.from(bad, 'latin1')]);
      const { code, stdout, stderr } = await waggleImport(
        ['-', server.url, '--user', `careless${at}`],
        input,
      );
      expect(stderr).toMatch(/^waggle: cannot import "-": .*\n$/);
      expect(stderr).toContain(why);
      expect({ code, stdout }).toEqual({ code: 1, stdout: 'waggle: conversations: 1 imported, 0 skipped\n' });
      expect(await listed(`careless${at}`)).toEqual(['a']);
    }
  });

  it.each<[string, () => Promise<readonly string[]>, RegExp]>([
    ['no file', async () => ['nowhere.jsonl', server.url], /ENOENT/],
    ['a folder', async () => [tempFolder().path, server.url, '--user', 'u'], /EISDIR/],
    ['no server', async () => ['-', `localhost:${await freePort()}`, '--user', 'u'], /ECONNREFUSED/],
    [
      'no address of a server',
      async () => ['-', 'ftp://x', '--user', 'u'],
      /expected the address of a server/,
    ],
    ['no user for an open server', async () => ['-', server.url], /user_id: expected string/],
  ])('fails with %s, and says so', async (_, args, why) => {
    const { code, stdout, stderr } = await waggleImport(await args(), line('c', 'x'));
    expect(stderr).toMatch(why);
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'waggle: conversations: 0 imported, 0 skipped\n' });
  });
});

import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { tempFolder } from '../support/kernel.js';
import { runWaggle, startServer } from '../support/server.js';
import { WsClient } from '../support/ws-client.js';

const makeKey = async (user: string, file?: string) => {
  const run = await runWaggle('key', { args: ['new', user, ...(file ? ['--file', file] : [])] });
  const code = await run.exited;
  const [key = ''] = /^wk_[\w-]{43}$/m.exec(run.stdout) ?? [];
  return { code, key, stdout: run.stdout, stderr: run.stderr };
};
const sha256 = (key: string) => createHash('sha256').update(key).digest('hex');

describe('waggle key new', () => {
  it('prints a key and its entry, with which a server lets the user in until it is gone', async () => {
    const { code, key, stdout } = await makeKey('ann');
    expect(code).toBe(0);
    const [, entry = ''] = /^(- .*)$/m.exec(stdout) ?? [];
    expect(parse(entry)).toEqual([{ user: 'ann', sha256: sha256(key) }]);
    const file = tempFolder().write('keys.yaml', `${entry}\n`);
    const server = await startServer({ config: { plugins: { 'access-keys': { config: { file } } } } });
    const ask = async (token: string) =>
      (await fetch(`${server.url}/agents`, { headers: { authorization: `Bearer ${token}` } })).status;
    expect(await ask(key)).toBe(200);
    expect(await ask('wk_other')).toBe(401);
    const client = await WsClient.connect(`${server.ws}/a`);
    client.send({ type: 'auth', token: key });
    expect(await client.until(({ type }) => type === 'auth_ok')).toMatchObject({ userId: 'ann', scopes: [] });
    writeFileSync(file, '');
    expect(await client.closed).toMatchObject({ code: 4401 });
    expect(await ask(key)).toBe(401);
    expect(server.stdout + server.stderr).not.toContain(key);
    expect(await server.stop()).toBe(0);
  });

  it('adds entries to a file that only its owner may read', async () => {
    const { path, write } = tempFolder();
    const file = join(path, 'keys.yaml');
    const ann = await makeKey('ann', file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const doe = await makeKey('"Doe", Jim: #1', file);
    expect(doe.stdout).not.toContain(sha256(doe.key));
    const both = [
      { user: 'ann', sha256: sha256(ann.key) },
      { user: '"Doe", Jim: #1', sha256: sha256(doe.key) },
    ];
    expect(parse(readFileSync(file, 'utf8'))).toEqual(both);
    const unfinished = write('other.yaml', `# mine\n- { user: ann, sha256: "${sha256('x')}" } # ann`);
    const { key } = await makeKey('bob', unfinished);
    expect(parse(readFileSync(unfinished, 'utf8')).at(1)).toEqual({ user: 'bob', sha256: sha256(key) });
  });

  it.each([
    ['a map', 'keys: []\n'],
    ['a list in brackets', '[]\n'],
    ['no YAML', '- { user: ann\n'],
  ])('changes nothing in a file with %s, and makes no key', async (_, text) => {
    const file = tempFolder().write('keys.yaml', text);
    const { code, key, stderr } = await makeKey('ann', file);
    expect([code, key]).toEqual([1, '']);
    expect(stderr).toContain(`nothing was added to "${file}"`);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  it('refuses a name that no user can have', async () => {
    expect(await makeKey('x'.repeat(129))).toMatchObject({ code: 78, key: '' });
  });
});

import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import accessKeys from '../../../plugins/access-keys/index.js';
import { runGuarded, transports } from '../../support/guarded.js';
import { rejection, tempFolder } from '../../support/kernel.js';
import { Client } from '../../support/transport.js';

const names = Object.keys(transports) as (keyof typeof transports)[];
const sha256 = (key: string) => createHash('sha256').update(key).digest('hex');
const [ann, bob, cid] = ['wk_ann', 'wk_bob', 'wk_cid'].map((key) => ({ key, sha256: sha256(key) })) as [
  { key: string; sha256: string },
  { key: string; sha256: string },
  { key: string; sha256: string },
];
const entry = (user: string, key: { sha256: string }, more = '') =>
  `- { user: ${user}, sha256: "${key.sha256}"${more} }\n`;

describe.each(names)('access-keys on transport-%s', (transport) => {
  it('lets the users of its keys in, in every header that keys come in, and no others', async () => {
    const limits = { requestsPerMinute: 60, tokensPerDay: 1000 };
    const server = await runGuarded(transport, [
      [
        accessKeys,
        {
          keys: [
            { user: 'ann', sha256: ann.sha256.toUpperCase(), scopes: ['admin'], limits },
            { user: 'bob', sha256: bob.sha256 },
          ],
        },
      ],
    ]);
    const annAnswer = await server.askWith(ann.key);
    expect(annAnswer.json).toMatchObject({
      id: 'ann',
      scopes: ['admin'],
      limits,
      keyId: ann.sha256.slice(0, 8),
    });
    expect((await server.ask({ 'x-api-key': bob.key })).json).toMatchObject({ id: 'bob', scopes: [] });
    for (const headers of [
      {},
      { authorization: `Bearer ${cid.key}` },
      { authorization: `Bearer ${ann.sha256}` },
      { authorization: `Basic ${ann.key}` },
      { 'x-api-key': `${ann.key}x` },
    ]) {
      const refused = await server.ask(headers as Record<string, string>);
      expect([refused.status, refused.json.error.code]).toEqual([401, 'UNAUTHORIZED']);
      expect(refused.headers['www-authenticate']).toMatch(/^Bearer/);
    }
    expect(JSON.stringify(server.lines)).not.toContain('wk_');
  });

  it('refuses a key that was taken out of the file, closes its connections, and leaves the others', async () => {
    const folder = tempFolder();
    const file = folder.write('keys.yaml', entry('ann', ann) + entry('bob', bob));
    const server = await runGuarded(transport, [[accessKeys, { file }]]);
    const open = ({ key }: { key: string }) =>
      Client.open(server.port, '/ws', { headers: { 'x-api-key': key } });
    const [first, second] = await Promise.all([open(ann), open(bob)]);
    writeFileSync(file, entry('bob', bob) + entry('cid', cid));
    expect(await first.closed).toMatchObject({ code: 4401 });
    expect((await server.askWith(ann.key)).status).toBe(401);
    expect((await server.askWith(cid.key)).json).toMatchObject({ id: 'cid' });
    second.send('still here');
    expect(await second.take(1)).toEqual(['bob: still here']);
    second.ws.terminate();
  });
});

describe('the file of keys', () => {
  it.each([
    ['written in place', (file: string, text: string) => writeFileSync(file, text)],
    [
      'replaced by a rename',
      (file: string, text: string) => {
        writeFileSync(`${file}.new`, text);
        renameSync(`${file}.new`, file);
      },
    ],
  ])('is read again when it is %s', async (_, write) => {
    const file = tempFolder().write('keys.yaml', entry('ann', ann));
    const server = await runGuarded('node', [[accessKeys, { file }]]);
    write(file, entry('bob', bob));
    await server.untilLog(({ msg }) => msg === 'the keys have changed');
    expect((await server.askWith(bob.key)).status).toBe(200);
    expect((await server.askWith(ann.key)).status).toBe(401);
  });

  it('is read again when a link to its folder is replaced, as Kubernetes does', async () => {
    const { path } = tempFolder();
    const put = (version: string, text: string) => {
      mkdirSync(join(path, version));
      writeFileSync(join(path, version, 'keys.yaml'), text);
      symlinkSync(version, join(path, 'next'));
      renameSync(join(path, 'next'), join(path, 'current'));
    };
    put('1', entry('ann', ann));
    const server = await runGuarded('node', [[accessKeys, { file: join(path, 'current', 'keys.yaml') }]]);
    put('2', entry('bob', bob));
    await server.untilLog(({ msg }) => msg === 'the keys have changed');
    expect((await server.askWith(bob.key)).status).toBe(200);
  });

  it('leaves the keys as they are while it is gone or broken, and says so once', async () => {
    const file = tempFolder().write('keys.yaml', entry('ann', ann));
    const server = await runGuarded('node', [[accessKeys, { file }]]);
    const errors = () => server.lines.filter(({ msg }) => msg.includes('cannot be used'));
    rmSync(file);
    await server.untilLog(({ msg }) => msg.includes('cannot be used'));
    writeFileSync(file, '- { user: ann, sha256: "');
    await server.untilLog(() => errors().length === 2);
    expect((await server.askWith(ann.key)).status).toBe(200);
    writeFileSync(file, entry('ann', ann) + entry('bob', bob));
    await server.untilLog(({ msg }) => msg === 'the keys have changed');
    expect(server.lines.filter(({ msg }) => msg.includes('can be used again'))).toHaveLength(1);
    expect(errors().map(({ err }) => err.code)).toEqual(['KEYS_UNUSABLE', 'KEYS_UNUSABLE']);
    expect((await server.askWith(bob.key)).status).toBe(200);
  });

  it('takes away nothing of an entry that stays, and the connection of one whose rights change', async () => {
    const file = tempFolder().write('keys.yaml', entry('ann', ann) + entry('bob', bob));
    const server = await runGuarded('node', [[accessKeys, { file }]]);
    const client = await Client.open(server.port, '/ws', { headers: { 'x-api-key': ann.key } });
    writeFileSync(file, entry('bob', bob) + entry('ann', ann, ', scopes: [admin]'));
    expect(await client.closed).toMatchObject({ code: 4401 });
    expect((await server.askWith(ann.key)).json).toMatchObject({ scopes: ['admin'] });
    expect(await server.untilLog(({ msg }) => msg === 'the keys have changed')).toMatchObject({ revoked: 1 });
  });

  it.each([
    ['is missing', undefined, /"\S+keys\.yaml": no such file/],
    ['is no list', 'keys: []', /expected array/],
    ['has a digest that is none', '- { user: ann, sha256: abc }', /entry 1\.sha256: expected the SHA-256/],
    ['has an unknown field', entry('ann', ann) + entry('bob', bob, ', scope: [admin]'), /entry 2: .*"scope"/],
    ['has a key twice', entry('ann', ann) + entry('bob', ann), /entry 2\.sha256: .*user "ann".*user "bob"/],
    ['has a key of the config', entry('bob', cid), /entry 1: .*user "bob".*config.*user "cid"/],
    ['is no YAML', '- { user: ann', /cannot use the keys/],
  ])('stops the start when it %s', async (_, text, why) => {
    const folder = tempFolder();
    const file = text === undefined ? join(folder.path, 'keys.yaml') : folder.write('keys.yaml', text);
    const started = runGuarded('node', [[accessKeys, { file, keys: [{ user: 'cid', sha256: cid.sha256 }] }]]);
    expect((await rejection(started)).message).toMatch(why);
  });
});

it('is a mistake in the config to have a key twice, and both are named', async () => {
  const keys = [
    { user: 'ann', sha256: ann.sha256 },
    { user: 'bob', sha256: ann.sha256.toUpperCase() },
  ];
  const { message } = await rejection(runGuarded('node', [[accessKeys, { keys }]]));
  expect(message).toMatch(/keys\.1\.sha256.*user "ann".*user "bob"/);
});

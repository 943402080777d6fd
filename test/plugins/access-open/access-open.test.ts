import { expect, it } from 'vitest';
import accessKeys from '../../../plugins/access-keys/index.js';
import accessOpen from '../../../plugins/access-open/index.js';
import { runGuarded } from '../../support/guarded.js';
import { rejection } from '../../support/kernel.js';

const everywhere = { host: '0.0.0.0', requireAccess: true };

it('lets a server start for anyone where one without access control would not, and says so', async () => {
  expect(await rejection(runGuarded('node', [], everywhere))).toMatchObject({
    message: expect.stringContaining('access-open'),
  });
  const server = await runGuarded('node', [[accessOpen, {}]], everywhere);
  expect((await server.ask()).status).toBe(200);
  const warnings = server.lines.filter(({ level, plugin }) => level === 'warn' && plugin === 'access-open');
  expect(warnings.map(({ msg }) => msg)).toEqual([expect.stringContaining('no access control')]);
});

it('opens nothing beside a plugin that asks for credentials', async () => {
  const keys = [{ user: 'ann', sha256: 'a'.repeat(64) }];
  const server = await runGuarded('node', [
    [accessOpen, {}],
    [accessKeys, { keys }],
  ]);
  expect((await server.ask()).status).toBe(401);
});

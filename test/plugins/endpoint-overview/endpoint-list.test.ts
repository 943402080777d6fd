import { expect, it } from 'vitest';
import { definePlugin, Overview } from '#kernel';
import { EndpointList } from '../../../plugins/endpoint-overview/endpoint-list.js';
import { plugin, startKernel } from '../../support/kernel.js';

it('an entry goes with the plugin that added it', async () => {
  const list = new EndpointList();
  const adds = (name: string) =>
    definePlugin({
      name,
      apiVersion: 1,
      optional: { overview: Overview },
      setup: (_ctx, { overview }) => void overview?.add(name, `/${name}`),
    });
  const kernel = await startKernel([
    plugin('overview', { provides: [Overview], setup: (ctx) => void ctx.provide(Overview, list) }),
    adds('a'),
    adds('b'),
  ]);
  expect(list.below('/base')).toEqual({ a: '/base/a', b: '/base/b' });
  expect(kernel.inspect().plugins[1]?.effects).toEqual(['endpoint a']);
  await kernel.unload('a');
  expect(list.below('')).toEqual({ b: '/b' });
  await kernel.stop();
});

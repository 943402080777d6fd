// Checked by `npm run typecheck`: each wrong use stands under @ts-expect-error, beside the right one.

import { z } from 'zod';
import {
  type BusEvent,
  createToken,
  definePlugin,
  type KernelEvents,
  type PluginContext,
  type Undo,
} from '#kernel';
import { Kernel } from '../../kernel/kernel.js';

interface Clock {
  now(): number;
}
const Clock = createToken<Clock>('types.clock');
const Name = createToken<string>('types.name');

declare module '#kernel' {
  interface KernelEvents {
    'types:happened': { readonly n: number };
  }
}

/** Holds only where both types are the same one. */
function same<A, B>(
  ..._: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : [never]
): void {}

const config = z.strictObject({ port: z.int().default(80), host: z.string() });

export const full = definePlugin({
  name: 'full',
  apiVersion: 1,
  config,
  requires: { clock: Clock },
  optional: { name: Name },
  provides: [Name],
  setup(ctx, services) {
    // The config is what the schema gives, with its defaults filled in.
    same<typeof ctx.config, { port: number; host: string }>();
    same<typeof services.clock, Clock>();
    same<typeof services.name, string | undefined>();
    // @ts-expect-error no such key in the config
    void ctx.config.prot;
    // @ts-expect-error an optional service may be undefined
    void services.name.length;
    // @ts-expect-error a service that was not asked for
    void services.other;
    // @ts-expect-error services are not to be replaced
    services.clock = { now: () => 1 };

    same<Undo, ReturnType<typeof ctx.provide>>();
    ctx.provide(Name, 'a name');
    // @ts-expect-error a token that is not declared in `provides`
    ctx.provide(Clock, { now: () => 1 });
    // @ts-expect-error not what the token stands for
    ctx.provide(Name, 5);

    ctx.bus.on('types:happened', ({ n }) => void n.toFixed());
    ctx.bus.emit('types:happened', { n: 1 });
    // @ts-expect-error an event nobody knows
    ctx.bus.on('types:hapened', () => {});
    // @ts-expect-error a payload of another type
    ctx.bus.emit('types:happened', { n: '1' });
    // @ts-expect-error a payload that lacks something
    void ctx.bus.emitSeries('types:happened', {});
    ctx.bus.on('types:happened', (event) => {
      // @ts-expect-error what happened is not to be changed
      event.n = 2;
    });

    ctx.bus.watch(({ events, dropped }) => {
      void dropped.toFixed();
      for (const { name, event, at } of events) {
        void at.toFixed();
        // The name says what the event is.
        if (name === 'types:happened') same<typeof event, KernelEvents['types:happened']>();
        if (name === 'plugin:state') void event.plugin.length;
        // @ts-expect-error what only some events have
        void event.plugin;
        // @ts-expect-error an event nobody knows
        if (name === 'types:hapened') return;
      }
      // @ts-expect-error what happened is not to be changed
      events.length = 0;
    });

    same<Undo, ReturnType<typeof ctx.addAgent>>();
    const undo: Undo = ctx.effect('timer', () => () => {});
    const later: Promise<Undo> = ctx.effect('socket', async () => () => {});
    void [undo, later];
    // @ts-expect-error an effect without an undo
    ctx.effect('timer', () => {});
  },
});

export const plain = definePlugin({
  name: 'plain',
  apiVersion: 1,
  setup(ctx, services) {
    same<typeof ctx.config, undefined>();
    // biome-ignore lint/complexity/noBannedTypes: nothing was asked for
    const none: {} = services;
    // @ts-expect-error nothing is declared in `provides`
    ctx.provide(Name, 'a name');
    return void none;
  },
});

const settings = z.strictObject({ size: z.int(), name: z.string() });
definePlugin({ name: 'live', apiVersion: 1, config: settings, live: ['size'], setup() {} });
definePlugin({ name: 'live', apiVersion: 1, config: settings, live: true, setup() {} });
// @ts-expect-error a key that the config does not have
definePlugin({ name: 'live', apiVersion: 1, config: settings, live: ['sise'], setup() {} });

// @ts-expect-error another version of the interface
definePlugin({ name: 'old', apiVersion: 0, setup() {} });
// @ts-expect-error a plugin without a name
definePlugin({ apiVersion: 1, setup() {} });
// @ts-expect-error a token that is none
definePlugin({ name: 'wrong', apiVersion: 1, requires: { clock: 'clock' }, setup() {} });

const kernel = new Kernel();
// What has a default may be left out.
kernel.use(full, { config: { host: '::' } });
// @ts-expect-error what has none may not
kernel.use(full, { config: { port: 80 } });
// @ts-expect-error a value of another type
kernel.use(full, { config: { host: 5 } });
// @ts-expect-error a plugin without a config takes none
kernel.use(plain, { config: { host: '::' } });

same<ReturnType<typeof kernel.get<Clock>>, Clock>();
kernel.get(Clock).now();
// @ts-expect-error not what the token stands for
kernel.get(Name).now();

kernel.bus.on('kernel:state', ({ from, to }) => void [from, to]);
// @ts-expect-error a listener of another payload
kernel.bus.on('kernel:state', ({ plugin }) => void plugin);

// Merged events are seen wherever the events are named.
same<KernelEvents['types:happened'], { readonly n: number }>();
same<Extract<BusEvent, { name: 'types:happened' }>['event'], KernelEvents['types:happened']>();
// @ts-expect-error an event nobody knows
export type Unknown = KernelEvents['types:hapened'];

/** A helper may take the context of any plugin. */
export function helper(ctx: PluginContext): void {
  // @ts-expect-error it does not know that plugin's config
  void ctx.config.port;
}

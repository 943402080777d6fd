import type { IncomingHttpHeaders } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { type Plugin, type PluginContext, type TaskDefinition, WaggleError } from '#kernel';
import {
  checkNow,
  ExpiringSet,
  jsonSchemaOf,
  longestMs,
  milliseconds,
  millisecondsOrNone,
  seconds,
  timerMs,
} from '#sdk';
import { Watchdog } from '#sdk/upstream';
import type { KernelOptions } from '../../../kernel/contracts/kernel-options.js';
import { configFile } from '../../../kernel/host/config/read-config.js';
import { builtInNames } from '../../../kernel/host/loader/resolve-plugin.js';
import { retryAfterMs } from '../../../kernel/sdk/upstream/retry-after.js';
import { submission } from '../../../plugins/endpoint-tasks/docs.js';
import { clientFrames } from '../../../plugins/endpoint-ws/frames.js';
import { createEngine } from '../../support/engine.js';
import { kernelWith, plugin, rejection, startKernel } from '../../support/kernel.js';

interface Node {
  readonly type?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Node>>;
}

/** Ages, which are compared: no timer waits for them. */
const ages = new Set(['timeToLiveMs']);
const hundredYearsMs = 100 * 365 * 24 * 3_600_000;

function mostOf(name: string): number {
  if (ages.has(name)) return hundredYearsMs;
  return name.endsWith('S') ? Math.floor(longestMs / 1000) : longestMs;
}

/** Every duration below a schema, by its path. */
function durationsIn(node: Node, path: readonly string[] = []): readonly (readonly [string, Node])[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const at = [...path, name];
    const isDuration = /(Ms|_ms|[a-z]S)$/.test(name) && child.type !== 'object';
    return isDuration ? [[at.join('.'), child] as const] : durationsIn(child, at);
  });
}

/** The durations of a schema that a timer cannot wait for. */
function endless(schema: z.ZodType): readonly string[] {
  return durationsIn(jsonSchemaOf(schema) as Node).flatMap(([path, { type, minimum = -1, maximum }]) => {
    const most = mostOf(path.split('.').at(-1) as string);
    return type === 'integer' && minimum >= 0 && maximum !== undefined && maximum <= most ? [] : path;
  });
}

const schemas: (readonly [string, z.ZodType])[] = [['the config file', configFile]];
for (const name of builtInNames()) {
  const { default: used } = (await import(`../../../plugins/${name}/index.ts`)) as {
    readonly default: Plugin;
  };
  if (used.config) schemas.push([name, used.config as z.ZodType]);
}
const requests: readonly (readonly [string, z.ZodType])[] = [
  ['POST /tasks/{task}', submission],
  ...Object.entries(clientFrames).map(([type, frame]) => [`a frame ${type}`, frame] as const),
];
const configured = schemas.flatMap(([name, schema]) =>
  durationsIn(jsonSchemaOf(schema) as Node).map(([path]) => [`${name}: ${path}`, schema, path] as const),
);

describe('every duration has a maximum', () => {
  it.each([...schemas, ...requests])('in %s', (_, schema) => {
    expect(endless(schema)).toEqual([]);
  });

  it.each(configured)('%s', (_, schema, path) => {
    const name = path.split('.').at(-1) as string;
    const nested = (value: unknown) =>
      path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
    for (const wrong of [mostOf(name) + 1, 1e308, Number.POSITIVE_INFINITY, Number.NaN, -1, 1.5, 'soon'])
      expect(checkNow(schema, nested(wrong)), String(wrong)).toMatchObject({
        issues: expect.arrayContaining([expect.stringContaining(`${path}: expected integer`)]),
      });
  });

  it('of all that there are', () => {
    const names = configured.map(([name]) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        'the config file: server.drainTimeoutMs',
        'agent-ollama: firstTokenTimeoutMs',
        'transport-uws: idleTimeoutS',
        'transport-node: idleTimeoutS',
        'store-sqlite: timeToLiveMs',
        'streams-memory: disconnectGraceMs',
        'endpoint-chat: startTimeoutMs',
      ]),
    );
  });

  it.each([
    ['a plain integer', { waitMs: z.int().min(1) }, ['waitMs']],
    ['one in seconds', { waitS: z.int().min(1).max(longestMs) }, ['waitS']],
    ['one that may be broken', { waitMs: z.number().min(0).max(1000) }, ['waitMs']],
    ['one that may be negative', { waitMs: z.int().max(1000) }, ['waitMs']],
    ['one further down', { retries: z.object({ base_ms: z.int().min(1) }) }, ['retries.base_ms']],
    ['the shared ones', { aMs: milliseconds, bMs: millisecondsOrNone.max(10), cS: seconds }, []],
  ])('and this notices %s', (_, shape, found) => {
    expect(endless(z.strictObject(shape))).toEqual(found);
  });
});

const odd = [longestMs + 1, 9_999_999_999, Number.POSITIVE_INFINITY, Number.NaN, -1, 0.5];

describe('a duration in code', () => {
  const task: TaskDefinition = { name: 'a:b', lane: 'main', run: () => 1 };
  const tasks: readonly (readonly [string, (ms: number) => object])[] = [
    ['timeoutMs', (timeoutMs) => ({ ...task, timeoutMs })],
    ['baseMs', (baseMs) => ({ ...task, retries: { max: 1, baseMs } })],
    ['maxMs', (maxMs) => ({ ...task, retries: { max: 1, maxMs } })],
  ];
  it.each(tasks)('of a task is refused where no timer can wait for it: %s', async (key, made) => {
    for (const ms of odd) {
      const setup = (ctx: PluginContext) => void ctx.registerTask(made(ms) as TaskDefinition);
      expect((await rejection(startKernel([plugin('p', { setup })]))).cause).toMatchObject({
        code: 'KERNEL_TASK_INVALID',
        message: expect.stringContaining(`${key}: expected integer`),
      });
    }
    const setup = (ctx: PluginContext) => void ctx.registerTask(made(longestMs) as TaskDefinition);
    await (await startKernel([plugin('p', { setup })])).stop();
  });

  it.each(['timeoutMs', 'delayMs'])('of one run is refused, too: %s', async (key) => {
    const { engine, tasks } = createEngine({ workers: 0 });
    tasks.add(task, 'p');
    for (const ms of odd)
      await expect(engine.submit('a:b', 1, { [key]: ms })).rejects.toThrow(
        expect.objectContaining({ code: 'INVALID_REQUEST', message: expect.stringContaining(key) }),
      );
    const run = await engine.submit('a:b', 1, { [key]: longestMs });
    expect(run.state).toBe(key === 'delayMs' ? 'delayed' : 'running');
    await engine.close();
  });

  it.each(['pluginTimeoutMs', 'drainTimeoutMs'])('of the kernel is refused, too: %s', (key) => {
    for (const ms of odd)
      expect(() => kernelWith([], { [key]: ms } as KernelOptions)).toThrow(
        expect.objectContaining({ code: 'KERNEL_CONFIG_INVALID', message: expect.stringContaining(key) }),
      );
  });

  it.each([
    [0, 0],
    [longestMs, longestMs],
    [longestMs + 1, longestMs],
    [Number.POSITIVE_INFINITY, longestMs],
    [Number.NaN, longestMs],
  ])('%d is %d for a timer', (ms, timer) => {
    expect(timerMs(ms)).toBe(timer);
  });

  it.each([
    [1500, 1500],
    [0, 0],
    [9_999_999_999, longestMs],
    [Number.POSITIVE_INFINITY, longestMs],
    [Number.NaN, undefined],
    [-1, undefined],
    ['1000', undefined],
  ])('to try again after %s is told as %s', (retryAfterMs, told) => {
    const details = { limit: 1, what: 'runs', retryAfterMs: retryAfterMs as number };
    expect(new WaggleError('QUEUE_FULL', details).retryAfterMs).toBe(told);
  });
});

describe('Retry-After of a model server', () => {
  const inTenSeconds = () => new Date(Date.now() + 10_000).toUTCString();
  it.each<[headers: IncomingHttpHeaders, least: number | undefined, most?: number]>([
    [{ 'retry-after': '3' }, 3000],
    [{ 'retry-after': ' 3 ' }, 3000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '1.5' }, 1500],
    [{ 'retry-after': '9999999999' }, 30_000],
    [{ 'retry-after': '1e400' }, 30_000],
    [{ 'retry-after': '-5' }, undefined],
    [{ 'retry-after': '' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '2019-01-01' }, undefined],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, undefined],
    [{ 'retry-after': 'Fri, 01 Jan 2100 00:00:00 GMT' }, 30_000],
    [{ 'retry-after': inTenSeconds() }, 1, 10_000],
    [{ 'retry-after-ms': '250' }, 250],
    [{ 'retry-after-ms': '250', 'retry-after': '3' }, 250],
    [{ 'retry-after-ms': 'x', 'retry-after': '3' }, 3000],
    [{}, undefined],
  ])('%j is told as %s', (headers, least, most = least) => {
    const told = retryAfterMs(headers);
    if (least === undefined || most === undefined) return expect(told).toBeUndefined();
    expect(told).toBeGreaterThanOrEqual(least);
    expect(told).toBeLessThanOrEqual(most);
  });
});

describe('a timer that is set for very long', () => {
  beforeEach(() => void vi.spyOn(globalThis, 'setTimeout'));
  afterEach(() => void vi.restoreAllMocks());
  const delays = () => vi.mocked(setTimeout).mock.calls.map(([, ms]) => ms as number);

  it.each<readonly [string, () => void | Promise<void>]>([
    [
      'a watchdog of a plugin',
      () => {
        const dog = new Watchdog(new AbortController().signal);
        dog.watch(9_999_999_999, 'until the first token');
        dog.stop();
      },
    ],
    [
      'what a plugin keeps',
      () => {
        const kept = new ExpiringSet<string>({ keepMs: 9_999_999_999, maxKept: 1 }, () => {});
        kept.keep('it');
        kept.clear();
      },
    ],
    [
      'a drain and what comes on top',
      async () => {
        const bounds = { drainTimeoutMs: longestMs, pluginTimeoutMs: longestMs };
        const setup = (ctx: PluginContext) => void ctx.onDrain(() => {});
        await (await startKernel([plugin('p', { setup })], bounds)).stop();
      },
    ],
  ])('is never one of a millisecond: %s', async (_, act) => {
    await act();
    expect(delays().length).toBeGreaterThan(0);
    expect(Math.max(...delays())).toBe(longestMs);
  });
});

import { type ClientErrorCode, type Cluster, toClientError, type Undo, WaggleError } from '#kernel';
import { type Deferred, deferred, ExpiringSet, randomId, settleWithin } from '#sdk';
import { unavailable } from '#sdk/redis';

/** Calls by name. Their arguments and results are JSON. */
export type Methods = Readonly<Record<string, (args: never, from: string) => unknown>>;

const callTopic = 'streams:call';
const resultTopic = 'streams:result';

const repeatMs = 250;
/** Results for calls that come again. */
const kept = { keepMs: 30_000, maxKept: 10_000 };

type Result = { readonly value: unknown } | { readonly code: ClientErrorCode; readonly details: unknown };

/** Calls of other nodes, each of which is performed once: a call is repeated until its result has come. */
export class NodeCalls {
  readonly #cluster: Cluster;
  readonly #methods: Methods;
  readonly #waiting = new Map<string, { readonly nodeId: string; readonly result: Deferred<unknown> }>();
  readonly #performed = new Map<string, Promise<Result>>();
  readonly #old = new ExpiringSet<string>(kept, (key) => void this.#performed.delete(key));
  readonly #undos: readonly Undo[];

  constructor(cluster: Cluster, methods: Methods) {
    this.#cluster = cluster;
    this.#methods = methods;
    this.#undos = [
      cluster.on(callTopic, (body, from) => this.#perform(body as [string, string, unknown], from)),
      cluster.on(resultTopic, (body) => this.#settle(body as [string, Result])),
    ];
  }

  /** Resolves with the result. @throws ENGINE_UNAVAILABLE when none comes in time; the error of the other node */
  async call(nodeId: string, method: string, args: unknown, boundMs: number): Promise<unknown> {
    const id = randomId();
    const result = deferred<unknown>();
    this.#waiting.set(id, { nodeId, result });
    const send = () => void this.#cluster.send(nodeId, callTopic, [id, method, args]);
    send();
    const timer = setInterval(send, repeatMs);
    try {
      if (await settleWithin(result.promise, boundMs)) return await result.promise;
      throw unavailable('another server does not answer');
    } finally {
      clearInterval(timer);
      this.#waiting.delete(id);
    }
  }

  /** A node answers no more. */
  gone(nodeId: string): void {
    for (const each of this.#waiting.values())
      if (each.nodeId === nodeId) each.result.reject(unavailable('another server is gone'));
  }

  close(): void {
    for (const undo of this.#undos) void undo();
    for (const { result } of this.#waiting.values()) result.reject(unavailable('this server is stopping'));
    this.#old.clear();
  }

  async #perform([id, method, args]: [string, string, unknown], from: string): Promise<void> {
    const key = `${from} ${id}`;
    const known = this.#performed.get(key);
    const running = known ?? this.#run(method, args, from);
    if (!known) {
      this.#performed.set(key, running);
      this.#old.keep(key);
    }
    void this.#cluster.send(from, resultTopic, [id, await running]);
  }

  async #run(method: string, args: unknown, from: string): Promise<Result> {
    try {
      return { value: (await this.#methods[method]?.(args as never, from)) ?? null };
    } catch (error) {
      const { code, details } = toClientError(error);
      return { code, details };
    }
  }

  #settle([id, result]: [string, Result]): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if ('value' in result) waiting.result.resolve(result.value);
    else waiting.result.reject(new WaggleError(result.code, result.details as never));
  }
}

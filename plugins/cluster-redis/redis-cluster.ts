import { hostname } from 'node:os';
import type {
  Cluster,
  ClusterNode,
  ClusterStats,
  ClusterWatcher,
  Logger,
  NodeLoad,
  SequenceFollower,
  Undo,
} from '#kernel';
import { randomId, settleWithin } from '#sdk';
import {
  type LinkTimes,
  linkTimes,
  parseRedisUrl,
  preparation,
  type RedisConfig,
  RedisLink,
} from '#sdk/redis';
import { Census } from './census.js';
import { Claims, type ClaimTimes, claimTimes } from './claims.js';
import { Inbox } from './inbox.js';
import { Keys } from './keys.js';
import { Membership } from './membership.js';
import { Outbox } from './outbox.js';
import { Sequence } from './sequence.js';
import { guarded, Topics } from './topics.js';

/** Bounds of a node. */
export interface ClusterTimes {
  readonly link: LinkTimes;
  readonly claims: ClaimTimes;
  readonly leaseMs: number;
  /** Interval of renewals, looks and probes. */
  readonly beatMs: number;
  /** Time after a disturbance in which no node is lost. */
  readonly graceMs: number;
  /** Beats without a message until the subscription is replaced. */
  readonly silentBeats: number;
  /** Time until trouble is shown. */
  readonly troubleMs: number;
}

export const clusterTimes: ClusterTimes = {
  link: linkTimes,
  claims: claimTimes,
  leaseMs: 5000,
  beatMs: 1000,
  graceMs: 10_000,
  silentBeats: 3,
  troubleMs: 3000,
};

/** Topics of this plugin. */
const bye = 'cluster:bye';
const superseded = 'cluster:superseded';

const leaveMs = 1000;

/** One node of a cluster on a Redis server. */
export class RedisCluster implements Cluster {
  readonly nodeId = `${hostname()
    .replace(/[^\w.-]/g, '')
    .slice(0, 32)}-${randomId().slice(0, 8)}`;
  readonly #logger: Logger;
  readonly #times: ClusterTimes;
  readonly #keys: Keys;
  readonly #commands: RedisLink;
  readonly #messages: RedisLink;
  readonly #membership: Membership;
  readonly #census: Census<NodeLoad>;
  readonly #inbox = new Inbox();
  readonly #outbox: Outbox;
  readonly #topics: Topics;
  readonly #claims: Claims;
  readonly #sequence: Sequence;
  readonly #watchers = new Set<ClusterWatcher>();
  readonly #loads = new Set<() => NodeLoad>();
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;
  /** Since when the lease could not be renewed although there is a connection. */
  #failingSince: number | undefined;
  /** Beats in a row in which no message came, not even the probe to itself. */
  #silentBeats = 0;
  #isHeard = false;
  #isProbed = false;

  constructor(config: RedisConfig, logger: Logger, times: ClusterTimes = clusterTimes) {
    this.#logger = logger;
    this.#times = times;
    const { database = 0 } = parseRedisUrl(config.url) ?? {};
    const keys = new Keys(config.prefix, database);
    this.#keys = keys;
    const check = preparation(config);
    const link = { config, logger, times: times.link };
    this.#commands = new RedisLink({
      ...link,
      name: `waggle:${this.nodeId}`,
      prepare: check,
      onUp: (isFirst) => {
        if (!isFirst) this.#onBack();
      },
    });
    this.#messages = new RedisLink({
      ...link,
      name: `waggle:${this.nodeId}:messages`,
      prepare: (connection) =>
        connection.subscribe([keys.node(this.nodeId), keys.all, keys.sequence], (text, channel) =>
          this.#receive(channel, text),
        ),
      onUp: (isFirst) => {
        this.#silentBeats = 0;
        this.#isProbed = false;
        if (!isFirst) this.#gap(undefined);
      },
    });
    this.#membership = new Membership(this.nodeId, keys, times.leaseMs, this.#commands, logger);
    this.#census = new Census(
      { secondLookMs: 0.9 * times.beatMs, graceMs: times.graceMs },
      performance.now(),
    );
    this.#outbox = new Outbox(this.nodeId, async (channel, text) => {
      const receivers = Number(await this.#commands.send('PUBLISH', channel, text));
      // This node hears what it tells all.
      return channel === keys.all && this.#messages.isUp ? receivers - 1 : receivers;
    });
    this.#topics = new Topics(logger);
    this.#sequence = new Sequence(keys, this.#commands, logger);
    this.#claims = new Claims({
      ...{ nodeId: this.nodeId, keys, logger, link: this.#commands, times: times.claims },
      tell: (node, hash, generation) => void this.send(node, superseded, [hash, generation]),
    });
    this.#topics.add(bye, (_, from) => this.#onBye(from));
    this.#topics.add(superseded, (body) => {
      const [hash, generation] = body as [string, number];
      this.#claims.superseded(hash, generation);
    });
  }

  /** Joins the others. @throws ENGINE_UNUSABLE */
  async start(): Promise<void> {
    try {
      await Promise.all([this.#commands.start(), this.#messages.start()]);
      await this.#beat();
    } catch (error) {
      await Promise.all([this.#commands.close(), this.#messages.close()]);
      throw error;
    }
    this.#timer = setInterval(() => {
      this.#beating ??= this.#beat()
        .catch(() => {}) // said there
        .finally(() => {
          this.#beating = undefined;
        });
    }, this.#times.beatMs);
  }

  /** Leaves the others, who know at once. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#beating) await settleWithin(this.#beating, leaveMs);
    const left = Promise.all([this.#membership.leave(), this.broadcast(bye, null)]);
    this.#outbox.flush();
    const isDone = await settleWithin(left, leaveMs).catch(() => false);
    if (!isDone) this.#logger.warn('the others are not told that this node leaves');
    await Promise.all([this.#commands.close(), this.#messages.close()]);
  }

  get trouble(): string | undefined {
    return this.#awayMs < this.#times.troubleMs ? undefined : 'the engine that the servers share is away';
  }

  /** Those of the other link are subscriptions. */
  get engineCommands(): Readonly<Record<string, number>> {
    return this.#commands.commands;
  }

  get stats(): ClusterStats {
    const awayMs = this.#awayMs;
    return {
      ...{ up: awayMs === 0, awayMs, rttMs: this.#commands.rttMs },
      ...{ nodes: this.#census.alive.size + 1, takeovers: this.#claims.takeovers },
    };
  }

  alive(): readonly ClusterNode[] {
    const others = [...this.#census.alive].map(([id, load]) => ({ id, load }));
    return [{ id: this.nodeId, load: this.#load() }, ...others];
  }

  send(nodeId: string, topic: string, body: unknown): Promise<boolean> {
    return this.#post(this.#keys.node(nodeId), topic, body);
  }

  broadcast(topic: string, body: unknown): Promise<boolean> {
    return this.#post(this.#keys.all, topic, body);
  }

  on(topic: string, listener: (body: unknown, from: string) => void): Undo {
    return this.#topics.add(topic, listener);
  }

  get reached(): number {
    return this.#sequence.reached;
  }

  sequence(topic: string, body: unknown): Promise<number> {
    return this.#sequence.send(topic, body);
  }

  follow(topic: string, follower: SequenceFollower): Undo {
    return this.#sequence.follow(topic, follower);
  }

  watch(watcher: ClusterWatcher): Undo {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  publishLoad(read: () => NodeLoad): Undo {
    this.#loads.add(read);
    return () => void this.#loads.delete(read);
  }

  claim(clientId: string, lost: () => void): Undo {
    return this.#claims.take(clientId, lost);
  }

  get #awayMs(): number {
    const failingMs = this.#failingSince === undefined ? 0 : performance.now() - this.#failingSince;
    return Math.max(this.#commands.awayMs, this.#messages.awayMs, failingMs);
  }

  /** The loads of all plugins as one, without those that fail. */
  #load(): NodeLoad {
    const load: Record<string, number> = {};
    for (const read of this.#loads)
      try {
        Object.assign(load, read());
      } catch (error) {
        this.#logger.error({ err: error }, 'a load cannot be read');
        this.#loads.delete(read);
      }
    return load;
  }

  /** @throws TOO_LARGE */
  #post(channel: string, topic: string, body: unknown): Promise<boolean> {
    return this.#commands.isUp ? this.#outbox.send(channel, topic, body) : Promise.resolve(false);
  }

  async #beat(): Promise<void> {
    this.#listen();
    this.#outbox.echo();
    this.#claims.beat();
    try {
      const { listed, hasLapsed, isOther } = await this.#membership.beat(this.#load());
      this.#sequence.look(Number((await this.#commands.urgent('GET', this.#keys.counter)) ?? 0));
      this.#failingSince = undefined;
      const nowMs = performance.now();
      if (hasLapsed) this.#onLapsed(nowMs);
      if (isOther) this.#onOther();
      for (const id of this.#census.look(nowMs, listed)) void this.#onLost(id);
      this.#inbox.keep((id) => id === this.nodeId || this.#census.alive.has(id));
    } catch (error) {
      const nowMs = performance.now();
      // Without a connection the link has said so.
      if (this.#failingSince === undefined && this.#commands.isUp)
        this.#logger.warn({ err: error }, 'the lease of this node cannot be renewed');
      if (this.#commands.isUp) this.#failingSince ??= nowMs;
      this.#census.disturbed(nowMs);
      throw error;
    }
  }

  /** A subscription may be dead although its connection lives, as after a fail-over: a message to itself shows it. */
  #listen(): void {
    if (this.#isHeard) this.#silentBeats = 0;
    else if (this.#isProbed) this.#silentBeats++;
    this.#isHeard = false;
    this.#isProbed = false;
    if (this.#silentBeats >= this.#times.silentBeats) {
      this.#silentBeats = 0;
      this.#messages.replace('no message comes through the subscription');
      return;
    }
    if (!this.#commands.isUp) return;
    this.#outbox.probe(this.#keys.node(this.nodeId)).then(
      () => {
        this.#isProbed = true;
      },
      () => {},
    );
  }

  #receive(channel: string, text: string): void {
    this.#isHeard = true;
    const isSequence = channel === this.#keys.sequence;
    if (isSequence && this.#sequence.receive(text)) return;
    const delivery = isSequence ? undefined : this.#inbox.read(channel, text);
    if (!delivery) {
      this.#logger.warn({ channel }, 'a message that no server has sent is ignored');
      return;
    }
    const { from, messages, hasGap } = delivery;
    if (from === this.nodeId && channel === this.#keys.all) return;
    if (hasGap) this.#gap(from);
    for (const { topic, body } of messages) this.#topics.deliver(topic, body, from);
  }

  #gap(nodeId: string | undefined): void {
    this.#claims.review();
    this.#tell((watcher) => watcher.gap?.(nodeId));
  }

  #onBack(): void {
    this.#census.disturbed(performance.now());
    this.#claims.review();
  }

  #onLapsed(nowMs: number): void {
    this.#logger.warn('the lease of this node had expired: it was too late, or the engine has lost it');
    this.#census.disturbed(nowMs);
    this.#claims.review();
    this.#tell((watcher) => watcher.lapsed?.());
  }

  #onOther(): void {
    this.#logger.warn('the engine has lost its data');
    this.#claims.review();
    this.#tell((watcher) => watcher.emptied?.());
  }

  #onBye(nodeId: string): void {
    if (!this.#census.leave(nodeId)) return;
    this.#outbox.forget(this.#keys.node(nodeId));
    this.#logger.info({ node: nodeId }, 'a server has left');
    void this.#announce(nodeId, 'left');
  }

  async #onLost(nodeId: string): Promise<void> {
    this.#logger.warn({ node: nodeId }, 'a server is lost');
    const isSettled = await this.#announce(nodeId, 'lost');
    if (!isSettled) {
      this.#census.again(performance.now(), nodeId);
      return;
    }
    this.#census.settled(nodeId);
    await this.#membership
      .strike(nodeId)
      .catch((error) => this.#logger.debug({ err: error }, 'a lost server is still listed'));
  }

  /** Resolves with whether all watchers have done what there is to do. */
  async #announce(nodeId: string, why: 'left' | 'lost'): Promise<boolean> {
    const tasks = [...this.#watchers].map(async (watcher) => watcher.gone?.(nodeId, why));
    const failed = (await Promise.allSettled(tasks)).filter((each) => each.status === 'rejected');
    for (const { reason } of failed) this.#logger.error({ err: reason, node: nodeId }, 'a take-over failed');
    return failed.length === 0;
  }

  #tell(call: (watcher: ClusterWatcher) => void): void {
    for (const watcher of this.#watchers)
      guarded(
        () => call(watcher),
        (error) => this.#logger.error({ err: error }, 'a watcher of the cluster failed'),
      );
  }
}

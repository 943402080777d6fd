import { type Cluster, type ClusterWatcher, type SequenceFollower, WaggleError } from '#kernel';

type Listener = (body: unknown, from: string) => void;

/** Nodes in this process, whose messages come in the next microtask, or not at all. */
export class FakeNodes {
  readonly #nodes = new Map<
    string,
    {
      readonly listeners: Map<string, Listener>;
      readonly watchers: ClusterWatcher[];
      readonly followers: SequenceFollower[];
    }
  >();
  #seq = 1000;
  /** Messages to all in order that are late, by node. */
  readonly late = new Map<string, (() => void)[]>();
  readonly #claims = new Map<string, () => void>();
  /** Whether the engine is away: nothing is sent. */
  isAway = false;
  /** Whether what is sent gets lost. */
  loses = false;
  /** Messages by topic. */
  readonly sent: string[] = [];

  /** Claims in force. */
  get claims(): readonly string[] {
    return [...this.#claims.keys()];
  }

  /** Tells a node that messages of another one may be missing. */
  gap(nodeId: string, of?: string): void {
    for (const watcher of this.#nodes.get(nodeId)?.watchers ?? []) watcher.gap?.(of);
  }

  /** Tells a node that it has missed all up to the newest message. */
  miss(nodeId: string, from: number): void {
    for (const follower of this.#nodes.get(nodeId)?.followers ?? []) follower.missing(from, this.#seq);
  }

  #sequence(body: unknown): number {
    if (this.isAway) throw new WaggleError('ENGINE_UNAVAILABLE', { why: 'it is away', retryAfterMs: 1 });
    const seq = ++this.#seq;
    for (const [id, { followers }] of this.#nodes)
      for (const follower of followers) {
        const hear = () => follower.message(seq, JSON.parse(JSON.stringify(body)));
        const late = this.late.get(id);
        if (late) late.push(hear);
        else hear();
      }
    return seq;
  }

  join(nodeId: string): Cluster {
    const node = {
      listeners: new Map<string, Listener>(),
      watchers: [] as ClusterWatcher[],
      followers: [] as SequenceFollower[],
    };
    this.#nodes.set(nodeId, node);
    const send = async (to: readonly string[], topic: string, body: unknown) => {
      if (this.isAway || to.length === 0) return false;
      this.sent.push(topic);
      const text = JSON.stringify(body);
      const { loses } = this;
      await null;
      if (!loses) for (const id of to) this.#nodes.get(id)?.listeners.get(topic)?.(JSON.parse(text), nodeId);
      return true;
    };
    const others = () => [...this.#nodes.keys()].filter((id) => id !== nodeId);
    const cluster: Pick<
      Cluster,
      'nodeId' | 'alive' | 'send' | 'broadcast' | 'on' | 'watch' | 'claim' | 'sequence' | 'follow' | 'reached'
    > = {
      nodeId,
      alive: () => [nodeId, ...others()].map((id) => ({ id, load: {} })),
      send: (to, topic, body) => send([to], topic, body),
      broadcast: (topic, body) => send(others(), topic, body),
      on: (topic, listener) => {
        node.listeners.set(topic, listener);
        return () => void node.listeners.delete(topic);
      },
      watch: (watcher) => {
        node.watchers.push(watcher);
        return () => {};
      },
      sequence: async (_, body) => this.#sequence(body),
      reached: this.#seq,
      follow: (_, follower) => {
        node.followers.push(follower);
        return () => {};
      },
      claim: (clientId, lost) => {
        const before = this.#claims.get(clientId);
        this.#claims.set(clientId, lost);
        before?.();
        return () => {
          if (this.#claims.get(clientId) === lost) this.#claims.delete(clientId);
        };
      },
    };
    return cluster as Cluster;
  }
}

import { createToken } from '../services.js';
import type { Undo } from './effect.js';
import type { EngineUser } from './engine-user.js';

/** The work of a node, as names and numbers: `{ running: 3, maxRunning: 64 }`. */
export type NodeLoad = Readonly<Record<string, number>>;

/** One process that shares the engine with others. */
export interface ClusterNode {
  /** Another one after each start. */
  readonly id: string;
  /** As it was published last, a second ago or so. */
  readonly load: NodeLoad;
}

/** The changes of a cluster that its users have to act on. */
export interface ClusterWatcher {
  /**
   * A node has `left`, which it said itself, or is `lost`: its lease was gone at two looks, a second apart. No node is lost
   * within 10 s after this one could not renew its own lease. Until all promises of one node have resolved, a lost node is
   * announced again, to nodes that start later as well: take over in a way that can be repeated.
   */
  gone?(nodeId: string, why: 'left' | 'lost'): void | Promise<void>;
  /**
   * Messages of a node to this one may be missing; of any node where none is named. Also called where none is missing. Comes
   * within two seconds or so after the message, as long as the sender lives.
   */
  gap?(nodeId: string | undefined): void;
  /** The lease of this node had expired: others may own now what it owned. It must ask before it goes on. */
  lapsed?(): void;
  /** The engine has lost its data, or has other data now: write again what has to be there. */
  emptied?(): void;
}

/** Hears messages to all nodes, in their order. */
export interface SequenceFollower {
  /** The next one. Numbers grow, and most of those between two are of none. */
  message(seq: number, body: unknown): void;
  /** Messages with these numbers, the first and the last included, may be lost for this node: they do not come any more. */
  missing(from: number, to: number): void;
}

/** Figures of this node. */
export interface ClusterStats {
  /** Whether the engine can be reached, for commands and for messages. */
  readonly up: boolean;
  /** How long it has not been reached; 0 while it is up. */
  readonly awayMs: number;
  /** The time of the latest round trip; undefined before the first one. */
  readonly rttMs: number | undefined;
  /** Nodes alive, this one included. */
  readonly nodes: number;
  /** Claims that other nodes have taken from this one. */
  readonly takeovers: number;
}

/** The nodes that share one engine: who is alive, messages between them, and names that only one of them may hold. */
export interface Cluster extends EngineUser {
  readonly nodeId: string;
  /** The reason why this node is cut off from the others, once that has lasted 3 s. Public in `GET /ready`, so without addresses. */
  readonly trouble?: string | undefined;
  readonly stats: ClusterStats;
  /** All nodes alive, this one first. */
  alive(): readonly ClusterNode[];
  /**
   * Sends JSON to a node, to all its listeners for the topic; those of one node in order, in one batch for each turn of the
   * event loop. Resolves with whether a node of that id was there to take it; false at once while the engine is away and when
   * too much is under way. A message may be lost even so, and is never doubled: see `gap`. @throws TOO_LARGE
   */
  send(nodeId: string, topic: string, body: unknown): Promise<boolean>;
  /** The same to all other nodes; false where there is none. @throws TOO_LARGE */
  broadcast(topic: string, body: unknown): Promise<boolean>;
  on(topic: string, listener: (body: unknown, from: string) => void): Undo;
  /**
   * Sends JSON to all nodes, this one included, which hear such messages of all nodes in the order of their numbers.
   * Resolves with the number, which is that of a time in microseconds or greater. @throws TOO_LARGE, ENGINE_UNAVAILABLE, where
   * it may have been sent all the same
   */
  sequence(topic: string, body: unknown): Promise<number>;
  /** The number of the last of these messages, of any topic, that was heard here or is missing. */
  readonly reached: number;
  follow(topic: string, follower: SequenceFollower): Undo;
  watch(watcher: ClusterWatcher): Undo;
  /** Adds to the load that the others see; read about once a second. */
  publishLoad(read: () => NodeLoad): Undo;
  /**
   * Claims an id for this node. One claim of an id is in force over all nodes: a later one ends it and calls `lost`, within a
   * second. Works at once, also while the engine is away: then each node may have a claim of the id, and within 30 s after its
   * return the latest by the clocks of the nodes is in force. The undo is the caller's: it does not end with the plugin.
   */
  claim(clientId: string, lost: () => void): Undo;
}

/** Provided by the plugin that connects several servers. */
export const Cluster = createToken<Cluster>('cluster', {
  on: (topic) => ({ kind: 'cluster topic', name: topic }),
  follow: (topic) => ({ kind: 'cluster sequence', name: topic }),
  watch: () => ({ kind: 'watcher', name: 'cluster' }),
  publishLoad: () => ({ kind: 'load', name: 'cluster' }),
});

import { createToken } from '../services.js';

/** The connected clients, and messages to them outside of any reply. */
export interface Clients {
  /**
   * Sends a `notification` to all connections of a user, on all servers, and keeps it in the user's inbox for those that come
   * later. `topic` has 1 to 128 characters, `data` is any JSON. Gives its `seq`: a promise where several servers number them
   * together. @throws INVALID_REQUEST, TOO_LARGE for one that is larger than an inbox; the promise rejects with
   * ENGINE_UNAVAILABLE, where it may have been sent all the same
   */
  send(userId: string, topic: string, data?: unknown): number | Promise<number>;
  /** The same to all users. It is encoded once, whatever the number of connections. @throws INVALID_REQUEST, TOO_LARGE */
  broadcast(topic: string, data?: unknown): number | Promise<number>;
  /** Whether the user has a connection to this server. */
  online(userId: string): boolean;
  /** The number of open connections to this server. */
  readonly count: number;
}

/** Provided by the plugin that holds the connections. */
export const Clients = createToken<Clients>('clients');

declare module './bus.js' {
  interface KernelEvents {
    /** The first connection of a user to this server is open. */
    'client:online': { readonly userId: string };
    /** The last connection of a user to this server has closed. */
    'client:offline': { readonly userId: string };
  }
}

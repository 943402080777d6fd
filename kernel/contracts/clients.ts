import { createToken } from '../services.js';

/** The clients that are connected to this server, and messages to them outside of any reply. */
export interface Clients {
  /**
   * Sends a `notification` to all connections of a user, and keeps it in the user's inbox for those that come later. `topic`
   * has 1 to 128 characters, `data` is any JSON. Returns its `seq`. @throws INVALID_REQUEST, TOO_LARGE for one that is larger
   * than an inbox
   */
  send(userId: string, topic: string, data?: unknown): number;
  /** The same to all users. It is encoded once, whatever the number of connections. @throws INVALID_REQUEST, TOO_LARGE */
  broadcast(topic: string, data?: unknown): number;
  /** Whether the user has a connection. */
  online(userId: string): boolean;
  /** The number of open connections. */
  readonly count: number;
}

/** Provided by the plugin that holds the connections. */
export const Clients = createToken<Clients>('clients');

declare module './bus.js' {
  interface KernelEvents {
    /** The first connection of a user is open. */
    'client:online': { readonly userId: string };
    /** The last connection of a user has closed. */
    'client:offline': { readonly userId: string };
  }
}

import { connect } from 'waggle-server/client';
import { randomId } from './random-id.js';
import { root } from './server.js';

/**
 * `signed-out`: the server asks for credentials. `refused`: another attempt would fail as well.
 * @typedef {'connecting' | 'open' | 'draining' | 'reconnecting' | 'signed-out' | 'refused'} LineState
 * @typedef {import('waggle-server/client').WaggleClient} Client
 *
 * @typedef {object} LineEvents
 * @property {(state: LineState) => void} entered
 * @property {() => void} expiring called shortly before the end of the credentials
 * @property {(reply: import('waggle-server/client').ClientEvents['stream_available']) => void} available another
 *   connection of the user, or the server, has started a reply
 */

const baseMs = 250;
const maxMs = 5000;

/** States by close code. @type {Readonly<Record<number, LineState>>} */
const ends = { 4401: 'signed-out', 4403: 'signed-out' };

/** The connection of this page, retried until the server is available. */
export class Line {
  /** @type {LineState} */
  state = 'connecting';
  /** Resolves with the client after the first connection. @type {Promise<Client>} */
  client;
  /** For requests; undefined for the user of the credentials. */
  userId;
  #url;
  #events;
  /** The client that is connected. @type {Client | undefined} */
  #current;
  /** Counts the clients: events of an older one are not heard. */
  #turn = 0;

  /** @param {string | undefined} userId @param {LineEvents} events */
  constructor(userId, events) {
    // Each tab is a client of its own.
    const url = new URL(`ws/${randomId()}`, root);
    if (userId !== undefined) url.searchParams.set('user_id', userId);
    url.protocol = root.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#url = url.href;
    this.userId = userId;
    this.#events = events;
    this.client = this.#connect();
  }

  /** Connects with newer credentials. Running answers fail with `CLOSED`, and can be resumed. */
  renew() {
    this.#turn++;
    void this.#current?.close();
    this.#current = undefined;
    this.#enter('connecting');
    this.client = this.#connect();
  }

  /** @returns {Promise<Client>} */
  async #connect() {
    const turn = this.#turn;
    for (let failures = 0; turn === this.#turn; failures++) {
      try {
        const client = await connect(this.#url, {
          reconnect: { attempts: Number.POSITIVE_INFINITY, baseMs, maxMs },
          onState: (state, error) => {
            if (turn !== this.#turn) return;
            // Before the first connection, `closed` is one failed attempt of many.
            if (state !== 'closed') this.#enter(state);
            else if (this.state !== 'connecting') this.#enter(ends[error?.closeCode ?? 0] ?? 'refused');
          },
        });
        client.on('auth_expiring', this.#events.expiring);
        client.on('stream_available', this.#events.available);
        if (turn === this.#turn) this.#current = client;
        else void client.close();
      } catch {
        if (turn === this.#turn && failures > 0) this.#events.entered('reconnecting');
        await pause(Math.random() * Math.min(maxMs, baseMs * 2 ** failures));
      }
      if (this.#current) return this.#current;
    }
    return this.client;
  }

  /** @param {LineState} state */
  #enter(state) {
    this.state = state;
    this.#events.entered(state);
  }
}

/** @param {number} ms @returns {Promise<void>} */
function pause(ms) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener('online', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener('online', done);
  });
}

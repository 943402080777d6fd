import { connect } from 'waggle-server/client';
import { root } from './server.js';

/**
 * `elsewhere`: another tab has taken over. `refused`: another attempt would fail as well.
 * @typedef {'connecting' | 'open' | 'draining' | 'reconnecting' | 'elsewhere' | 'refused'} LineState
 * @typedef {import('waggle-server/client').WaggleClient} Client
 */

const baseMs = 250;
const maxMs = 5000;

/** The connection of this page, retried until the server is available. */
export class Line {
  /** @type {LineState} */
  state = 'connecting';
  /** Resolves with the client after the first connection. @type {Promise<Client>} */
  client;
  userId;
  #url;
  #onState;

  /** @param {string} userId @param {(state: LineState) => void} onState */
  constructor(userId, onState) {
    const url = new URL(`ws/${userId}`, root);
    url.protocol = root.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#url = url.href;
    this.userId = userId;
    this.#onState = onState;
    this.client = this.#connect();
  }

  /** @returns {Promise<Client>} */
  async #connect() {
    for (let failures = 0; ; failures++) {
      try {
        return await connect(this.#url, {
          reconnect: { attempts: Number.POSITIVE_INFINITY, baseMs, maxMs },
          onState: (state, error) => {
            // Before the first connection, `closed` is one failed attempt of many.
            if (state !== 'closed') this.#enter(state);
            else if (this.state !== 'connecting')
              this.#enter(error?.closeCode === 4409 ? 'elsewhere' : 'refused');
          },
        });
      } catch {
        if (failures > 0) this.#onState('reconnecting');
        await pause(Math.random() * Math.min(maxMs, baseMs * 2 ** failures));
      }
    }
  }

  /** @param {LineState} state */
  #enter(state) {
    this.state = state;
    this.#onState(state);
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

/** What can be had for a push over WebSockets: a prepared prefix, a list of what waits, and one cork a turn. */
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, prefixOf, restOf, startOf } from './frame.mjs';
import { decode, serve, socketOptions } from './uws-listen.mjs';

const waiting = new Set();

class Stream {
  #frames = [];
  #ws;
  #send = () => {
    for (const frame of this.#frames) this.#ws.send(frame);
  };

  constructor(ws) {
    this.#ws = ws;
  }

  async reply(question) {
    const streamId = newStreamId();
    const prefix = prefixOf(streamId);
    this.#push(JSON.stringify(startOf(streamId)));
    for await (const batch of answer(question)) {
      if (Array.isArray(batch)) for (const { content } of batch) this.#push(prefix + restOf(content));
      else if (batch.type === 'text') this.#push(prefix + restOf(batch.content));
      else this.#push(JSON.stringify(endOf(streamId)));
    }
  }

  flush() {
    this.#ws.cork(this.#send);
    this.#frames = [];
  }

  #push(frame) {
    if (this.#frames.push(frame) > 1) return;
    if (waiting.size === 0) setImmediate(flushAll);
    waiting.add(this);
  }
}

function flushAll() {
  const streams = [...waiting];
  waiting.clear();
  for (const stream of streams) stream.flush();
}

serve((app) =>
  app.ws('/ws/:id', {
    ...socketOptions,
    message: (ws, message) => void new Stream(ws).reply(JSON.parse(decode(message)).content),
  }),
);

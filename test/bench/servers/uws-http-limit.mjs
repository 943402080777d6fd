/** What can be had for a push over HTTP: a prepared prefix, and one corked `write` a turn. */
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, prefixOf, restOf, startOf } from './frame.mjs';
import { serve } from './uws-listen.mjs';

const waiting = new Set();

class Stream {
  #parts = [];
  #response;
  #isSse;
  #position = 0;
  #gone = false;
  #ended = false;
  #send = () => {
    this.#response.write(this.#parts.join(''));
    if (this.#ended) this.#response.end();
  };

  constructor(response, isSse) {
    this.#response = response;
    this.#isSse = isSse;
    response.onAborted(() => {
      this.#gone = true;
    });
  }

  async reply(question) {
    const streamId = newStreamId();
    const prefix = prefixOf(streamId);
    this.#response.cork(() =>
      this.#response
        .writeHeader(
          'content-type',
          this.#isSse ? 'text/event-stream; charset=utf-8' : 'application/x-ndjson',
        )
        .writeHeader('cache-control', 'no-cache, no-transform'),
    );
    this.#push('streaming_start', JSON.stringify(startOf(streamId)));
    for await (const chunk of answer(question)) {
      if (chunk.type === 'done') this.#ended = true;
      else this.#position += chunk.content.length;
      if (this.#ended) this.#push('streaming_end', JSON.stringify(endOf(streamId)));
      else this.#push('streaming_token', prefix + restOf(chunk.content));
    }
  }

  flush() {
    if (!this.#gone) this.#response.cork(this.#send);
    this.#parts = [];
  }

  #push(type, json) {
    const part = this.#isSse ? `id: ${this.#position}\nevent: ${type}\ndata: ${json}\n\n` : `${json}\n`;
    if (this.#parts.push(part) > 1) return;
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
  app.post('/chat/stream', (response, request) => {
    const isSse = !request.getHeader('accept').includes('ndjson');
    const stream = new Stream(response, isSse);
    let body = '';
    response.onData((part, isLast) => {
      body += Buffer.from(part).toString();
      if (isLast) void stream.reply(JSON.parse(body).content);
    });
  }),
);

/** The clients of all workloads: one process, raw sockets, told what to do by the rig. */
import { RawConnection } from './connection.mjs';
import { dialects } from './frames.mjs';
import { HttpConnection } from './http-connection.mjs';
import { percentiles } from './percentile.mjs';
import { CountedStream, ExactStream, StampedLines, StampedStream } from './stream.mjs';

const streamKinds = {
  counted: CountedStream,
  exact: ExactStream,
  stamped: StampedStream,
  stampedLines: StampedLines,
};
/** Handshakes under way at the same time, below every listen backlog. */
const openAtOnce = 100;

let connections = [];
let dialect;
let where;
/** What `begin` has begun. */
let running = [];
let ended;

const actions = {
  async connect({ port, count, path = '/ws/c', dialectName = 'waggle' }) {
    dialect = dialects[dialectName];
    where = { port, path, dialectName };
    const begun = performance.now();
    for (let at = connections.length; at < count; at += openAtOnce)
      connections.push(...(await openMany(at, Math.min(count, at + openAtOnce))));
    return { connections: connections.length, ms: performance.now() - begun };
  },

  /** One stream on each of the first `on` connections, `waves` times, with a pause in between. */
  async streams({ question, tokens, on = connections.length, waves = 1, pauseMs = 0, kind = 'counted' }) {
    const total = { tokens: 0, frames: 0, streams: 0, mistakes: [] };
    const times = { lateUs: [], gapsUs: [], firstUs: [] };
    for (let wave = 0; wave < waves; wave++) {
      if (wave > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const streams = await Promise.all(
        connections.slice(0, on).map((connection) => ask(connection, question, tokens, streamKinds[kind])),
      );
      for (const { stream, mistake } of streams) {
        total.streams++;
        total.frames += stream.frames;
        if (mistake) total.mistakes.push(mistake);
        else total.tokens += stream.tokens;
        if (kind.startsWith('stamped')) {
          for (const late of stream.lateUs) times.lateUs.push(late);
          for (const gap of stream.gapsUs) times.gapsUs.push(gap);
          times.firstUs.push(stream.firstUs);
        }
      }
    }
    total.mistakes = total.mistakes.slice(0, 3);
    if (!kind.startsWith('stamped')) return total;
    return {
      ...total,
      lateUs: percentiles(times.lateUs),
      gapUs: { ...percentiles(times.gapsUs), max: times.gapsUs.reduce((a, b) => Math.max(a, b), 0) },
      firstUs: percentiles(times.firstUs),
    };
  },

  /** Streams on all connections that go on; answers when each of them has so many tokens. */
  async begin({ question, tokens, settled = 5 }) {
    const reading = connections.map((connection) => follow(connection, question, tokens));
    running = reading.map(({ stream }) => stream);
    ended = Promise.all(reading.map(({ end }) => end));
    while (running.some(({ frames }) => frames < settled)) {
      const first = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 20))]);
      if (first) throw new Error(`streams ended early: ${first.find(({ mistake }) => mistake)?.mistake}`);
    }
    return { frames: framesOf(running) };
  },

  /** Frames of those streams so far. */
  async count() {
    return { frames: framesOf(running) };
  },

  /** Answers when all of those have ended. */
  async finish() {
    const all = await ended;
    return {
      tokens: all.reduce((sum, { stream, mistake }) => sum + (mistake ? 0 : stream.tokens), 0),
      frames: framesOf(running),
      streams: all.length,
      mistakes: all.flatMap(({ mistake }) => mistake ?? []).slice(0, 3),
    };
  },

  /** One asks, all others read along from the second token on. */
  async fanOut({ question, tokens, position }) {
    const [first, ...others] = connections;
    const { promise: started, resolve: onStarted } = Promise.withResolvers?.() ?? withResolvers();
    const own = ask(first, question, tokens, CountedStream, onStarted);
    const streamId = await started;
    const all = await Promise.all([own, ...others.map((each) => join(each, streamId, tokens, position))]);
    const mistakes = all.flatMap(({ mistake }) => mistake ?? []);
    return {
      tokens: all.reduce((sum, { stream, mistake }) => sum + (mistake ? 0 : stream.tokens), 0),
      frames: all.reduce((sum, { stream }) => sum + stream.frames, 0),
      streams: all.length,
      mistakes: mistakes.slice(0, 3),
    };
  },

  async leave() {
    for (const connection of connections) connection.drop();
    connections = [];
    return { connections: 0 };
  },
};

function withResolvers() {
  let resolve;
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

function openMany(from, to) {
  const { port, path, dialectName } = where;
  return Promise.all(
    Array.from({ length: to - from }, (_, index) => {
      if (dialect.http) return HttpConnection.open(port);
      const place = path.startsWith('/socket.io') ? path : `${path}${from + index}`;
      return RawConnection.open(port, place, dialectName);
    }),
  );
}

const framesOf = (streams) => streams.reduce((sum, { frames }) => sum + frames, 0);

function follow(connection, question, tokens) {
  let stream;
  const make = (onEnd) => {
    stream = new CountedStream(dialect, tokens, onEnd);
    return stream;
  };
  const end = read(connection, make, undefined, () => connection.send(dialect.request(question)));
  return { stream, end };
}

function ask(connection, question, tokens, Stream, onStarted) {
  return read(
    connection,
    (onEnd) => new Stream(dialect, tokens, onEnd),
    onStarted,
    () => connection.send(dialect.request(question)),
  );
}

function join(connection, streamId, tokens, position) {
  return read(
    connection,
    (onEnd) => new CountedStream(dialect, tokens, onEnd, 1),
    undefined,
    () => connection.send(dialect.resume(streamId, position)),
  );
}

function read(connection, make, onStarted, begin) {
  return new Promise((resolve) => {
    const stream = make((mistake) => {
      connection.onText = () => {};
      resolve({ stream, mistake });
    });
    connection.onText = (bytes, from, to) => {
      stream.text(bytes, from, to);
      if (onStarted && stream.streamId) {
        onStarted(stream.streamId);
        onStarted = undefined;
      }
    };
    connection.onClosed = () => resolve({ stream, mistake: 'the connection was closed' });
    begin();
  });
}

process.on('message', async ({ do: action, ...how }) => {
  try {
    process.send(await actions[action](how));
  } catch (error) {
    process.send({ error: `client: ${error.stack}` });
  }
});
process.on('disconnect', () => process.exit());

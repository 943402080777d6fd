/** The clients of all workloads: one process, raw sockets, told what to do by the rig. */
import { textOf } from '../answers/corpus.mjs';
import { Asking } from './asking.mjs';
import { broadcast } from './broadcast.mjs';
import { RawConnection } from './connection.mjs';
import { dialects } from './frames.mjs';
import { HttpConnection } from './http-connection.mjs';
import { percentiles } from './percentile.mjs';
import {
  CountedStream,
  ExactStream,
  JoinedStream,
  StampedLines,
  StampedStream,
  TimedStream,
} from './stream.mjs';

const streamKinds = {
  counted: CountedStream,
  timed: TimedStream,
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
/** The answers that `keepAsking` has begun. */
let asking;

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
    const total = { tokens: 0, frames: 0, streams: 0, issues: [] };
    const times = { lateUs: [], gapsUs: [], firstUs: [] };
    for (let wave = 0; wave < waves; wave++) {
      if (wave > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const streams = await Promise.all(
        connections
          .slice(0, on)
          .map((connection) => ask(connection, question, tokens, streamKinds[kind]).end),
      );
      for (const { stream, mistake } of streams) {
        total.streams++;
        total.frames += stream.frames;
        if (mistake) total.issues.push(mistake);
        else total.tokens += stream.tokens;
        if (stream.firstUs !== undefined) times.firstUs.push(stream.firstUs);
        for (const late of stream.lateUs ?? []) times.lateUs.push(late);
        for (const gap of stream.gapsUs ?? []) times.gapsUs.push(gap);
      }
    }
    total.issues = total.issues.slice(0, 3);
    return {
      ...total,
      lateUs: percentiles(times.lateUs),
      gapUs: { ...percentiles(times.gapsUs), max: times.gapsUs.reduce((a, b) => Math.max(a, b), 0) },
      firstUs: percentiles(times.firstUs),
    };
  },

  /** Streams on all connections that go on; answers when each of them has so many tokens. */
  async begin({ question, tokens, settled = 5 }) {
    const reading = connections.map((connection) => ask(connection, question, tokens, CountedStream));
    running = reading.map(({ stream }) => stream);
    ended = Promise.all(reading.map(({ end }) => end));
    while (running.some(({ frames }) => frames < settled)) {
      const first = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 20))]);
      if (first) throw new Error(`streams ended early: ${first.find(({ mistake }) => mistake)?.mistake}`);
    }
    return { frames: framesOf(running) };
  },

  /** Frames of those streams so far, and how many of them have ended. */
  async count() {
    return { frames: framesOf(running), ended: running.filter(({ ended: isOver }) => isOver).length };
  },

  /** Answers when all of those have ended. */
  async finish() {
    const all = await ended;
    return {
      tokens: all.reduce((sum, { stream, mistake }) => sum + (mistake ? 0 : stream.tokens), 0),
      frames: framesOf(running),
      streams: all.length,
      issues: all.flatMap(({ mistake }) => mistake ?? []).slice(0, 3),
    };
  },

  /** Whole answers on the first `on` connections, one after the other, until `stopAsking`. */
  async keepAsking({ question, tokens, on = connections.length, spreadMs }) {
    asking = new Asking(
      connections.slice(0, on),
      (connection) => ask(connection, question, tokens, TimedStream),
      spreadMs,
    );
    return { connections: on };
  },

  /** Frames of those answers so far. */
  async countAsked() {
    return { frames: asking.frames };
  },

  /** Answers when the last of them has ended. */
  async stopAsking() {
    const { firstUs, ...total } = await asking.finish();
    return { ...total, firstUs: percentiles(firstUs) };
  },

  /** One asks, all others read along from the second token on; answers when all have joined. */
  async joinAll({ question, tokens, position }) {
    const [first, ...others] = connections;
    const one = ask(first, question, tokens, JoinedStream);
    await one.stream.spoken;
    const { streamId } = one.stream;
    const joining = others.map((connection) => join(connection, streamId, tokens, position));
    running = [one, ...joining].map(({ stream }) => stream);
    ended = Promise.all([one, ...joining].map(({ end }) => end));
    await Promise.all(running.map(({ begun }) => begun));
    return { joined: running.length, streamId };
  },

  /** Begins a stream on each connection, for others to read. Answers with their ids. */
  async start({ question }) {
    const streams = connections.map((connection) => ask(connection, question, 0, JoinedStream).stream);
    await Promise.all(streams.map(({ spoken }) => spoken));
    return { streamIds: streams.map(({ streamId }) => streamId) };
  },

  /** Reads streams that were begun elsewhere, one on each connection, from the second token on; answers when all have joined. */
  async follow({ streamIds, tokens, position, isStamped = false }) {
    const reading = streamIds.map((streamId, at) =>
      isStamped
        ? read(
            connections[at],
            (onEnd) => new StampedStream(dialect, tokens - 1, onEnd),
            dialect.resume(streamId, position),
          )
        : join(connections[at], streamId, tokens, position),
    );
    running = reading.map(({ stream }) => stream);
    ended = Promise.all(reading.map(({ end }) => end));
    if (!isStamped) await Promise.all(running.map(({ begun }) => begun));
    return { joined: running.length };
  },

  /** The delays of streams whose tokens say when they were sent, at the end of all. */
  async finishStamped() {
    const all = await ended;
    return {
      lateUs: percentiles(all.flatMap(({ stream }) => stream.lateUs)),
      issues: all.flatMap(({ mistake }) => mistake ?? []).slice(0, 3),
    };
  },

  /** The same to its end. */
  async fanOut(how) {
    await actions.joinAll(how);
    return actions.finish();
  },

  /** Streams on all connections, which are dropped in the middle of it and opened again, all at once, there or at another server. */
  async storm({ question, tokens, backTo = where.port }) {
    const before = connections.map((connection) => followText(connection, dialect.request(question)));
    const enough = tokens / 5;
    while (before.some(({ frames }) => frames < enough))
      await new Promise((resolve) => setTimeout(resolve, 20));
    for (const connection of connections) {
      connection.onClosed = () => {};
      connection.onText = () => {};
      connection.drop();
    }
    where = { ...where, port: backTo };
    const dropped = performance.now();
    const handshakes = [];
    const after = await Promise.all(
      before.map(async ({ streamId, text }, index) => {
        const connection = await openOne(index);
        handshakes.push(performance.now() - dropped);
        connections[index] = connection;
        const reading = followText(connection, dialect.resume(streamId, text.length), text);
        await reading.goesOn;
        return reading;
      }),
    );
    const backMs = performance.now() - dropped;
    await Promise.all(after.map(({ end }) => end));
    const whole = textOf(tokens);
    const missing = after.map(({ text }) => whole.length - text.length);
    const wrong = after.find(({ text }) => text.length >= whole.length && text !== whole);
    if (wrong) throw new Error('a text is not what was sent');
    const perToken = whole.length / tokens;
    return {
      backMs,
      handshakeP99Ms: percentiles(handshakes, [99]).p99,
      lost: Math.round(missing.reduce((sum, each) => sum + Math.max(0, each), 0) / perToken),
      incomplete: missing.filter((each) => each > 0).length,
    };
  },

  /** Notifications to all connections, of which a share is asleep. */
  async broadcast({ stalledShare = 0, ...how }) {
    const asleep = Math.round(connections.length * stalledShare);
    for (const connection of connections.slice(0, asleep)) connection.sleep();
    return broadcast(connections.slice(asleep), how);
  },

  async leave() {
    for (const connection of connections) connection.drop();
    connections = [];
    return { connections: 0 };
  },
};

function openMany(from, to) {
  return Promise.all(Array.from({ length: to - from }, (_, index) => openOne(from + index)));
}

function openOne(index) {
  const { port, path, dialectName } = where;
  if (dialect.http) return HttpConnection.open(port);
  const place = path.startsWith('/socket.io') ? path : `${path}${index}`;
  return RawConnection.open(port, place, dialectName);
}

const framesOf = (streams) => streams.reduce((sum, { frames }) => sum + frames, 0);

function join(connection, streamId, tokens, position) {
  const request = dialect.resume(streamId, position);
  return read(connection, (onEnd) => new JoinedStream(dialect, tokens, onEnd, 1), request);
}

function ask(connection, question, tokens, Stream) {
  return read(connection, (onEnd) => new Stream(dialect, tokens, onEnd), dialect.request(question));
}

/** Reads one answer: its stream, and `end`, which resolves when it is whole or can no longer be. */
function read(connection, make, text) {
  let stream;
  const end = new Promise((resolve) => {
    stream = make((mistake) => {
      connection.onText = () => {};
      stream.ended = true;
      resolve({ stream, mistake });
    });
    connection.onText = (bytes, from, to) => stream.text(bytes, from, to);
    connection.onClosed = () => resolve({ stream, mistake: 'the connection was closed' });
    connection.send(text);
  });
  return { stream, end };
}

/** Reads a stream as its text. `goesOn` resolves at the first token, or at the end where none is left. */
function followText(connection, request, text = '') {
  const reading = { text, frames: 0, streamId: undefined };
  reading.goesOn = new Promise((goOn) => {
    reading.end = new Promise((resolve) => {
      connection.onText = (bytes, from, to) => {
        const frame = dialect.read(bytes.toString('utf8', from, to));
        if (frame.type === 'streaming_start') reading.streamId = frame.streamId;
        else if (frame.type === 'streaming_token') {
          reading.text += frame.content;
          reading.frames++;
          goOn();
        } else {
          goOn();
          resolve();
        }
      };
      connection.onClosed = () => {
        goOn();
        resolve();
      };
    });
  });
  connection.send(request);
  return reading;
}

process.on('message', async ({ do: action, ...how }) => {
  try {
    process.send(await actions[action](how));
  } catch (error) {
    process.send({ error: `client: ${error.stack}` });
  }
});
process.on('disconnect', () => process.exit());

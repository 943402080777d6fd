import { answer, type Mode, type Run, say } from './run.js';

const midStreamError = 'an error was encountered while running the model: unexpected EOF';
const runnerDied =
  'model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check ollama server logs for details';

/** Bytes that are no valid UTF-8: a cut two-byte character and one that never occurs. */
const invalidBytes = Buffer.of(0xc3, 0x28, 0xff);

const oddLines = new Map([
  ['null', 'null'],
  ['array', '[1,2]'],
  ['number', '42'],
]);

function halfLine(run: Run): string {
  const line = run.reply.render({ content: 'cut off here' });
  return line.slice(0, Math.floor(line.length / 2));
}

/** `k` tokens, with `mid` half a line, then the connection is cut. */
function cut(how: 'reset' | 'finish'): Mode {
  return {
    counts: 'k',
    async play(run) {
      const { reply, params } = run;
      await say(run, run.tokens);
      if (params.flag('mid')) await reply.bytes(halfLine(run));
      // A turn of the loop, so a reset does not overtake the bytes before it.
      await reply.pause(params.number('ms', 0));
      reply.connection[how]('fake');
    },
  };
}

/** `n` tokens with something odd after the first `k`. */
function interrupted(odd: (run: Run, next: string[]) => Promise<void>): Mode {
  return {
    counts: 'n',
    async play(run) {
      const { reply, params, tokens } = run;
      const k = params.number('k', 5);
      const next = tokens.slice(k);
      await say(run, tokens.slice(0, k));
      await odd(run, next);
      await say(run, next);
      await reply.done();
    },
  };
}

async function hugeLine(run: Run): Promise<void> {
  const { reply, params } = run;
  const size = params.number('bytes', 1_048_576);
  const line = reply.render({ content: '|' });
  const [start = '', rest = ''] = line.split('|');
  const filler = Buffer.alloc(65_536, 'x');
  await reply.bytes(start);
  for (let left = size; left > 0; left -= filler.length) {
    await reply.bytes(filler.subarray(0, left));
    await reply.pause(params.number('ms', 0));
  }
  if (!params.flag('whole')) {
    await reply.end();
    return;
  }
  await reply.bytes(rest, 1);
  await reply.done();
}

/** Modes in which the answer goes wrong on its way. */
export const brokenModes = {
  silent: { counts: 'none', play: (run) => run.reply.hang() },

  stall: {
    counts: 'k',
    async play(run) {
      await say(run, run.tokens);
      await run.reply.hang();
    },
  },

  reset: cut('reset'),
  'fin-cut': cut('finish'),

  'no-done': {
    counts: 'k',
    async play(run) {
      await say(run, run.tokens);
      await run.reply.end();
    },
  },

  'half-line': {
    counts: 'k',
    async play(run) {
      await say(run, run.tokens);
      await run.reply.bytes(halfLine(run));
      await run.reply.end();
    },
  },

  'done-reason-only': {
    counts: 'k',
    async play(run) {
      await say(run, run.tokens);
      await run.reply.line({}, { done: false, reason: 'stop' });
      await run.reply.end();
    },
  },

  'error-line': {
    counts: 'k',
    async play(run) {
      const { reply, params } = run;
      const text = params.text('text', midStreamError);
      await say(run, run.tokens);
      const error = params.flag('object') ? { message: text, code: 'runner' } : text;
      await reply.jsonLine({ error });
      await reply.end();
    },
  },

  'error-first': {
    counts: 'none',
    play: (run) => run.reply.error(run.params.number('status', 500), run.params.text('text', runnerDied)),
  },

  malformed: interrupted(async (run) => {
    await run.reply.frame('{"model":"broken","message":{"content":"lost"},"done":fal}');
  }),

  'odd-lines': interrupted(async (run, next) => {
    for (const kind of run.params.text('kind', 'blank,crlf,null,array,number').split(',')) {
      if (kind === 'crlf') {
        const content = next.shift() ?? '';
        await run.reply.bytes(run.reply.render({ content }).replaceAll('\n', '\r\n'), 1);
      } else if (kind === 'blank') await run.reply.bytes('\n', 1);
      else await run.reply.frame(oddLines.get(kind) ?? '');
    }
  }),

  'huge-line': { counts: 'none', play: hugeLine },

  'bad-utf8': interrupted(async (run) => {
    const [start = '', rest = ''] = run.reply.render({ content: '|' }).split('|');
    await run.reply.bytes(Buffer.concat([Buffer.from(start), invalidBytes, Buffer.from(rest)]), 1);
  }),

  'done-open': {
    counts: 'n',
    async play(run) {
      const { reply, params } = run;
      await say(run, run.tokens);
      await reply.line({}, reply.ending());
      for (let left = params.number('more', 0); left > 0; left -= 1)
        await reply.line({ content: 'too late' });
      if (params.flag('junk')) await reply.bytes('\0junk}');
      await reply.hang();
    },
  },

  'stale-keepalive': {
    counts: 'n',
    async play(run) {
      const { connection, record } = run.reply;
      if (record.position === 1) await answer(run);
      else if (run.params.flag('reset')) connection.reset('fake');
      else connection.finish('fake');
    },
  },
} as const satisfies Record<string, Mode>;

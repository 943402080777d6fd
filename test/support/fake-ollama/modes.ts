import type { Delta, ToolCall } from './dialect.js';
import { goJson } from './dialect.js';
import type { GenerationRequest } from './models.js';
import { Params } from './params.js';
import type { Reply } from './reply.js';
import { contentTokens, thinkingTokens } from './tokens.js';

/** One request in the hands of a mode. */
export interface Run {
  readonly reply: Reply;
  readonly request: GenerationRequest;
  readonly params: Params;
  /** The content tokens that are still to be sent. */
  readonly tokens: string[];
  /** An explicit token list of the fake. */
  readonly explicitTokens: readonly string[] | undefined;
}

/** One thing that a mode does. */
type Step = (run: Run) => Promise<void> | void;

/** One behaviour of the fake. */
export interface Mode {
  /** The parameter with the number of content tokens. */
  readonly counts: 'n' | 'k' | 'none';
  readonly steps: readonly Step[];
  /** The number of tokens by default. */
  readonly defaultCount?: number;
  /** Tokens that no option changes. */
  readonly fixedTokens?: readonly string[];
}

const n = (...steps: Step[]): Mode => ({ counts: 'n', steps });
const k = (...steps: Step[]): Mode => ({ counts: 'k', steps });
const none = (...steps: Step[]): Mode => ({ counts: 'none', steps });

async function speak(run: Run, tokens: Iterable<string>, part: keyof Delta, gapMs = 0): Promise<void> {
  for (const token of tokens) {
    await run.reply.line({ [part]: token });
    await run.reply.pause(run.params.number('ms', gapMs));
  }
}

/** Tokens, each in a line of its own, with the gap `ms`. */
const say: Step = (run) => speak(run, run.tokens.splice(0), 'content');
const sayAllButOne: Step = (run) => speak(run, run.tokens.splice(0, run.tokens.length - 1), 'content');
const sayFirst: Step = (run) => speak(run, run.tokens.splice(0, run.params.number('k', 5)), 'content');
const saySlowly: Step = (run) => speak(run, run.tokens.splice(0), 'content', 200);
const sayForEver: Step = (run) =>
  speak(run, contentTokens(run.params.number('seed', 1), run.explicitTokens), 'content');

const lastLine =
  (reason: string): Step =>
  ({ reply }) =>
    reply.lastLine(reason);
const end: Step = ({ reply }) => reply.end();
const done: Step = async ({ reply, tokens }) => {
  await reply.lastLine('stop', tokens.length > 0 ? { content: tokens.join('') } : {});
  await reply.end();
};
const hang: Step = ({ reply }) => reply.hang();
const reset: Step = ({ reply }) => reply.connection.reset('fake');
const finish: Step = ({ reply }) => reply.connection.finish();
const wait =
  (name: string, ms: number): Step =>
  ({ reply, params }) =>
    reply.pause(params.number(name, ms));

const halfLine: Step = ({ reply }) => {
  const line = reply.render({ content: 'cut off here' });
  return reply.bytes(line.slice(0, line.length >> 1));
};
const when =
  (flag: string, step: Step): Step =>
  (run) =>
    run.params.flag(flag) ? step(run) : undefined;

/** Content of the mode `escapes`: everything that JSON may write as an escape. */
const escapedTokens = ['<b>&amp;</b>', ' \u2028\u2029', ' 😀', ' a\0b', ' "\\/\b\f\n\r\t', ' ü'];
/** Bytes that are no valid UTF-8: a cut two-byte character and one that never occurs. */
const invalidBytes = Buffer.of(0xc3, 0x28, 0xff);

/** Changes how each line is written from here on. */
const writing =
  (rewrite: (line: string) => string): Step =>
  ({ reply }) => {
    reply.send = (line) => reply.bytes(rewrite(line), 1);
  };
const asciiOnly = (line: string) =>
  line.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Single bytes, or with `split=emoji` the ASCII runs whole and only wider characters cut. */
const bytewise: Step = ({ reply, params }) => {
  const runs = params.text('split', 'all') === 'emoji' ? /[\0-\x7f]+|[^\0-\x7f]/gu : /[\s\S]/gu;
  reply.send = async (line) => {
    const parts = (line.match(runs) ?? []).flatMap((run) => {
      const bytes = Buffer.from(run);
      return bytes[0]! < 0x80 ? [bytes] : [...bytes].map((byte) => Buffer.of(byte));
    });
    for (const [index, part] of parts.entries()) {
      await reply.bytes(part, index === parts.length - 1 ? 1 : 0);
      await reply.pause(params.number('ms', 0));
    }
  };
};

/** Everything in one write. */
const burst: Step = async ({ reply, tokens }) => {
  const lines: string[] = [];
  reply.send = async (line) => void lines.push(line);
  for (const content of tokens) await reply.line({ content });
  await reply.lastLine('stop');
  await reply.bytes(lines.join(''), lines.length);
};

const think: Step = async (run) => {
  if (run.request.think === false) return;
  const thoughts = thinkingTokens(run.params);
  await speak(run, thoughts.slice(0, -1), 'thinking');
  await run.reply.line({ thinking: thoughts.at(-1)!, content: run.tokens.shift() ?? '' });
};

function toolCalls({ reply, request, params }: Run): ToolCall[] {
  const name = params.text('tool', request.toolNames[0] ?? 'get_weather');
  const args = JSON.parse(params.text('args', '{"city":"Rome"}')) as object;
  return Array.from({ length: params.number('calls', 1) }, (_, index) => {
    const id = `call_${(reply.record.id * 1_000 + index).toString(36).padStart(8, '0')}`;
    return { ...(params.flag('id', true) && { id }), function: { index, name, arguments: args } };
  });
}

/** The model calls a tool first and speaks once it has the result. */
const tool = (call: Step): Mode =>
  n(async (run) => {
    if (!run.request.afterTool) return call(run);
    await say(run);
    await done(run);
  });

const oddLines: Readonly<Record<string, string>> = { null: 'null', array: '[1,2]', number: '42' };
const odd: Step = async ({ reply, params, tokens }) => {
  for (const kind of params.text('kind', 'blank,crlf,null,array,number').split(',')) {
    if (kind === 'crlf')
      await reply.bytes(reply.render({ content: tokens.shift() ?? '' }).replaceAll('\n', '\r\n'), 1);
    else if (kind === 'blank') await reply.bytes('\n', 1);
    else await reply.frame(oddLines[kind] ?? '');
  }
};

const badUtf8: Step = ({ reply }) => {
  const [start = '', rest = ''] = reply.render({ content: '|' }).split('|');
  return reply.bytes(Buffer.concat([Buffer.from(start), invalidBytes, Buffer.from(rest)]), 1);
};

const hugeLine: Step = async ({ reply, params }) => {
  const [start = '', rest = ''] = reply.render({ content: '|' }).split('|');
  const filler = Buffer.alloc(65_536, 'x');
  await reply.bytes(start);
  for (let left = params.number('bytes', 1_048_576); left > 0; left -= filler.length) {
    await reply.bytes(filler.subarray(0, left));
    await reply.pause(params.number('ms', 0));
  }
  if (!params.flag('whole')) return;
  await reply.bytes(rest, 1);
  await reply.lastLine('stop');
};

const errorLine: Step = ({ reply, params }) => {
  const text = params.text('text', 'an error was encountered while running the model: unexpected EOF');
  const error = params.flag('object') ? { message: text, code: 'runner' } : text;
  return reply.frame(goJson({ error }));
};

const tooLate: Step = async ({ reply, params }) => {
  for (let left = params.number('more', 0); left > 0; left -= 1) await reply.line({ content: 'too late' });
};

/** An error body; the parameter `retry` gives the seconds of `Retry-After`. */
const error =
  (status: number, textOf: (model: string) => string): Step =>
  ({ reply, params, request }) => {
    const seconds = params.text('retry', '');
    const text = params.text('text', textOf(request.model));
    return reply.error(params.number('status', status), text, seconds ? { 'Retry-After': seconds } : {});
  };
const whole =
  (status: number, type: string | undefined, body: string): Step =>
  ({ reply }) =>
    reply.whole(status, type, body);

const html = 'text/html; charset=utf-8';
const proxyPage =
  '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body>\r\n</html>\r\n';
const unauthorized = {
  error: 'unauthorized',
  signin_url: 'https://example.invalid/connect?name=fake&key=secret',
};
const runnerDied =
  'model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check ollama server logs for details';

const table = {
  // Answers that a correct client reads to their end.
  normal: n(say, done),
  'slow-headers': n(wait('t', 200), say, done),
  'early-headers': n(({ reply }) => reply.flushHeaders(), wait('t', 200), say, done),
  'slow-tokens': n(saySlowly, done),
  bytewise: n(bytewise, say, done),
  burst: { ...n(burst, end), defaultCount: 1_000 },
  'no-last-newline': n(
    say,
    writing((line) => line.trimEnd()),
    done,
  ),
  escapes: { ...n(writing(asciiOnly), say, done), fixedTokens: escapedTokens },
  thinking: n(think, say, done),
  'tool-early': tool(async (run) => {
    await run.reply.line({ toolCalls: toolCalls(run) });
    await run.reply.pause(run.params.number('ms', 0));
    await run.reply.lastLine('stop');
    await run.reply.end();
  }),
  'tool-late': tool(async (run) => {
    await run.reply.lastLine('stop', { toolCalls: toolCalls(run) });
    await run.reply.end();
  }),
  'done-text': n(sayAllButOne, done),
  length: n(say, lastLine('length'), end),

  // Answers that go wrong on their way.
  endless: n(sayForEver),
  silent: none(hang),
  stall: k(say, hang),
  // A turn of the loop, so a reset does not overtake the bytes before it.
  reset: k(say, when('mid', halfLine), wait('ms', 0), reset),
  'fin-cut': k(say, when('mid', halfLine), wait('ms', 0), finish),
  'no-done': k(say, end),
  'half-line': k(say, halfLine, end),
  'done-reason-only': k(say, ({ reply }) => reply.line({}, { done: false, reason: 'stop' }), end),
  'error-line': k(say, errorLine, end),
  malformed: n(sayFirst, ({ reply }) => reply.frame('{"message":{"content":"lost"},"done":fal}'), say, done),
  'odd-lines': n(sayFirst, odd, say, done),
  'huge-line': none(hugeLine, end),
  'bad-utf8': n(sayFirst, badUtf8, say, done),
  'done-open': n(
    say,
    lastLine('stop'),
    tooLate,
    when('junk', ({ reply }) => reply.bytes('\0junk}')),
    hang,
  ),
  'stale-keepalive': n(async (run) => {
    if (run.reply.record.position > 1) return run.params.flag('reset') ? reset(run) : finish(run);
    await say(run);
    await done(run);
  }),

  // Answers that are no stream.
  'error-first': none(error(500, () => runnerDied)),
  'http-404': none(error(404, (model) => `model '${model}' not found`)),
  'http-400': none(error(400, (model) => `"${model}" does not support chat`)),
  'http-429': none(error(429, () => 'too many requests')),
  'http-503': none(error(503, () => 'server busy, please try again.  maximum pending requests exceeded')),
  'http-502-html': none(whole(502, 'text/html', proxyPage)),
  'http-403-empty': none(whole(403, undefined, '')),
  'http-401-ndjson': none(whole(401, 'application/x-ndjson', goJson(unauthorized))),
  'html-200': none(whole(200, html, '<!doctype html>\n<title>Sign in</title>\n<p>secret-of-the-proxy</p>\n')),
  redirect: none(({ reply, params }) =>
    reply.whole(302, html, '<a href="/">Found</a>.\n', { Location: params.text('to', '/') }),
  ),
  'not-http': none(({ reply }) => reply.raw('SSH-2.0-fake\r\n\0\xff\xfe no http here\r\n'), finish),
};

/** The name of a mode, without parameters. */
export type ModeName = keyof typeof table;

/** Every mode; a model of that name, with `?parameters`, chooses it. */
export const modes: Readonly<Record<ModeName, Mode>> = table;
export const modeNames = Object.keys(table) as ModeName[];

/** Reads a model name as a mode; undefined for a plain model. */
export function parseMode(model: string): { readonly name: ModeName; readonly params: Params } | undefined {
  const [head = '', ...query] = model.split('?');
  const plain = head.replace(/:latest$/, '');
  const name = modeNames.find((mode) => mode === plain);
  return name && { name, params: new Params(query.join('?')) };
}

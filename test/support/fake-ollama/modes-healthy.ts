import type { ToolCall } from './lines.js';
import { answer, endlessTokens, type Mode, type Run, say } from './run.js';
import { thinkingTokens } from './tokens.js';

/** Content of the mode `escapes`: everything that JSON may write as an escape. */
const escapedTokens = ['<b>&amp;</b>', ' \u2028\u2029', ' 😀', ' a\0b', ' "\\/\b\f\n\r\t', ' ü'];

function asciiOnly(line: string): string {
  return line.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Single bytes, or with `onlyWide` the ASCII runs whole and only wider characters cut. */
function pieces(text: string, onlyWide: boolean): Buffer[] {
  const runs = onlyWide ? (text.match(/[\0-\x7f]+|[^\0-\x7f]/gu) ?? []) : [text];
  return runs.flatMap((run) => {
    const bytes = Buffer.from(run);
    return onlyWide && run.charCodeAt(0) < 0x80 ? [bytes] : [...bytes].map((byte) => Buffer.of(byte));
  });
}

async function bytewise(run: Run): Promise<void> {
  const { reply, params } = run;
  const onlyWide = params.text('split', 'all') === 'emoji';
  const send = async (line: string): Promise<void> => {
    const parts = pieces(line, onlyWide);
    for (const [index, part] of parts.entries()) {
      await reply.bytes(part, index === parts.length - 1 ? 1 : 0);
      await reply.pause(params.number('ms', 0));
    }
  };
  for (const content of run.tokens) await send(reply.render({ content }));
  await send(reply.render({}, reply.ending()));
  await reply.end();
}

/** The thoughts of an answer: `k` in lines of their own and one that shares a line with content. */
export function thoughtsOf(run: Pick<Run, 'params'>): string[] {
  return thinkingTokens(run.params.number('k', 5) + 1);
}

async function thinking(run: Run): Promise<void> {
  if (run.request.think === false) {
    await answer(run);
    return;
  }
  const thoughts = thoughtsOf(run);
  const [first = '', ...rest] = run.tokens;
  await say(run, thoughts.slice(0, -1), 'thinking');
  await run.reply.line({ thinking: thoughts.at(-1) ?? '', content: first });
  await say(run, rest);
  await run.reply.done();
}

function toolCalls(run: Run): ToolCall[] {
  const name = run.params.text('tool', run.request.toolNames[0] ?? 'get_weather');
  const args = JSON.parse(run.params.text('args', '{"city":"Rome"}')) as object;
  return Array.from({ length: run.params.number('calls', 1) }, (_, index) => {
    const id = (run.reply.record.id * 1_000 + index).toString(36).padStart(8, '0');
    return {
      ...(run.params.flag('id', true) && { id: `call_${id}` }),
      function: { index, name, arguments: args },
    };
  });
}

/** The model calls a tool first and speaks once it has the result. */
function tool(call: (run: Run, calls: ToolCall[]) => Promise<void>): Mode {
  return {
    counts: 'n',
    async play(run) {
      if (run.request.afterTool) await answer(run);
      else await call(run, toolCalls(run));
    },
  };
}

/** Modes that a correct client turns into a complete answer, or that never come to an end. */
export const healthyModes = {
  endless: {
    counts: 'n',
    async play(run) {
      for (const content of endlessTokens(run)) {
        await run.reply.line({ content });
        await run.reply.pause(run.params.number('ms', 0));
      }
    },
  },

  normal: { counts: 'n', play: answer },

  'slow-headers': {
    counts: 'n',
    async play(run) {
      await run.reply.pause(run.params.number('t', 200));
      await answer(run);
    },
  },

  'early-headers': {
    counts: 'n',
    async play(run) {
      run.reply.flushHeaders();
      await run.reply.pause(run.params.number('t', 200));
      await answer(run);
    },
  },

  'slow-tokens': {
    counts: 'n',
    async play(run) {
      for (const content of run.tokens) {
        await run.reply.line({ content });
        await run.reply.pause(run.params.number('ms', 200));
      }
      await run.reply.done();
    },
  },

  bytewise: { counts: 'n', play: bytewise },

  burst: {
    counts: 'n',
    defaultCount: 1_000,
    async play(run) {
      const { reply, tokens } = run;
      const lines = tokens.map((content) => reply.render({ content }));
      await reply.bytes(lines.join('') + reply.render({}, reply.ending()), lines.length + 1);
      await reply.end();
    },
  },

  'no-last-newline': {
    counts: 'n',
    async play(run) {
      const { reply } = run;
      await say(run, run.tokens);
      await reply.bytes(reply.render({}, reply.ending()).trimEnd(), 1);
      await reply.end();
    },
  },

  escapes: {
    counts: 'n',
    fixedTokens: escapedTokens,
    async play(run) {
      const { reply } = run;
      for (const content of run.tokens) {
        await reply.bytes(asciiOnly(reply.render({ content })), 1);
        await reply.pause(run.params.number('ms', 0));
      }
      await reply.done();
    },
  },

  thinking: { counts: 'n', play: thinking },

  'tool-early': tool(async (run, calls) => {
    await run.reply.line({ toolCalls: calls });
    await run.reply.pause(run.params.number('ms', 0));
    await run.reply.done();
  }),

  'tool-late': tool(async (run, calls) => {
    await run.reply.done('stop', { toolCalls: calls });
  }),

  'done-text': {
    counts: 'n',
    async play(run) {
      await say(run, run.tokens.slice(0, -1));
      await run.reply.done('stop', { content: run.tokens.at(-1) ?? '' });
    },
  },

  length: {
    counts: 'n',
    async play(run) {
      await say(run, run.tokens);
      await run.reply.done('length');
    },
  },
} as const satisfies Record<string, Mode>;

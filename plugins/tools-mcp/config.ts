import { milliseconds, millisecondsOrNone, parseUrl } from '#sdk';
import { z } from '#zod';

const count = z.int().min(1);

const server = z
  .strictObject({
    command: z.string().min(1).optional(),
    args: z.array(z.string()).optional(),
    env: z.record(z.string().min(1), z.string()).optional(),
    cwd: z.string().min(1).optional(),
    url: z
      .string()
      .refine(
        (url) => /^https?:\/\//.test(url) && parseUrl(url) !== undefined,
        'expected an http or https URL',
      )
      .refine((url) => !/^\w+:\/\/[^/]*@/.test(url), 'expected no user in it; credentials go into "headers"')
      .optional(),
    headers: z.record(z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/), z.string().regex(/^[\t -~]*$/)).optional(),
    tools: z.array(z.string().min(1)).default(['*']),
    approval: z.literal('ask').optional(),
  })
  .superRefine(({ command, args, env, cwd, url, headers }, { addIssue }) => {
    const wrong = (path: string[], message: string) => addIssue({ code: 'custom', path, message });
    if ((command === undefined) === (url === undefined)) wrong([], 'expected either "command" or "url"');
    for (const [key, value] of Object.entries({ args, env, cwd }))
      if (value !== undefined && command === undefined) wrong([key], 'expected only beside "command"');
    if (headers !== undefined && url === undefined) wrong(['headers'], 'expected only beside "url"');
  });

export const config = z.strictObject({
  /** The servers by name. A process: `{ command, args, env, cwd }`; a server that runs: `{ url, headers }`. `tools` chooses some of them, with `*` for any text; `approval: ask` lets a person allow each call. */
  servers: z
    .record(
      z.string().regex(/^[A-Za-z\d._-]{1,32}$/, 'expected 1 to 32 characters of A-Z a-z 0-9 . _ -'),
      server,
    )
    .default({}),
  /** `text`: a result is its text, and anything else a short note in it. `all`: the content as the server sent it. */
  content: z.enum(['text', 'all']).default('text'),
  /** How long the start waits for the tools of all servers. Those of a slower one are registered when it answers. */
  startWaitMs: millisecondsOrNone.default(3000),
  /** Time limit of each step of connecting: the handshake, and each page of the list of tools. */
  connectTimeoutMs: milliseconds.default(30_000),
  /** Time limit of a call. */
  callTimeoutMs: milliseconds.default(60_000),
  /** How long a call waits for a server that is being reconnected. */
  reconnectWaitMs: millisecondsOrNone.default(2000),
  /** The longest pause before the first reconnect; it doubles with each failure. */
  reconnectMinMs: milliseconds.default(500),
  /** The longest pause before any reconnect. */
  reconnectMaxMs: milliseconds.default(60_000),
  /** Time for a process to end by itself, first after the end of its input and then after SIGTERM; SIGKILL follows. */
  closeGraceMs: milliseconds.default(2000),
  /** Tools of one server; the rest is left out. */
  maxTools: count.default(128),
  /** Length of a tool's description, which is cut there. */
  descriptionLimitChars: count.default(4000),
  /** Length of a tool's schema as JSON; a tool with a longer one is left out. */
  schemaLimitChars: count.default(32_000),
  /** Length of a result, which is cut there. */
  resultLimitChars: count.default(100_000),
  /** Size of one message from a server. */
  messageLimitBytes: count.default(10 * 1024 * 1024),
});

export type Config = z.infer<typeof config>;
/** One entry of `servers`. */
export type ServerConfig = Config['servers'][string];

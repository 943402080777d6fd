import { milliseconds, reasoningTags } from '#kernel';
import { z } from '#zod';

export const config = z.strictObject({
  /** Name under which it is registered; that of the instance, without `agent-`, when absent. */
  name: z.string().min(1).optional(),
  /** Up to and with `/v1`. */
  baseUrl: z
    .string()
    .refine(isBaseUrl, 'expected an http or https URL without a user or password')
    .default('https://api.openai.com/v1'),
  /** Sent as a bearer token, and shown to nobody; none is sent when empty. */
  apiKey: z
    .string()
    .regex(/^[!-~]*$/, 'expected visible ASCII')
    .default(''),
  /** The model that answers when a request names none; the first that the server lists when empty. */
  model: z.string().default(''),
  /** `pass`: images by their http(s) URL go to the model server, which fetches them. This server fetches none. */
  imageUrls: z.enum(['refuse', 'pass']).default('refuse'),
  /** Whether its models write what they think into their answer, between `<think>` and `</think>`; or the names of such tags. */
  reasoningTags: reasoningTags.default(false),
  connectTimeoutMs: milliseconds.default(3000),
  /** Until the first token. */
  firstTokenTimeoutMs: milliseconds.default(120_000),
  /** Between two tokens. */
  tokenTimeoutMs: milliseconds.default(60_000),
  /** One event of an answer, and all tool calls of one. An answer that is not streamed may have 4 MB. */
  eventLimitBytes: z
    .int()
    .min(1024)
    .default(1 << 20),
});

export type Config = z.infer<typeof config>;

function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, hostname } = new URL(text);
  return /^https?:$/.test(protocol) && hostname !== '' && username === '' && password === '';
}

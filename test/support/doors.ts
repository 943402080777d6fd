import type { Hive } from './hive.js';
import { type Frame, textOf, WsClient } from './ws-client.js';

type Server = Pick<Hive, 'url' | 'ws'>;

/** What a client has got, through whichever door. */
export interface Got {
  readonly text: string;
  readonly thinking: string;
  /** How it ended well; at `/v1` in its words. */
  readonly reason?: string | undefined;
  readonly usage?: unknown;
  /** Why it did not; at `/v1` in its words. */
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly status?: number;
  /** The arguments of the tools that it wants to be called, as text where they are no JSON. */
  readonly calls?: readonly unknown[];
}

const ofFrames = (frames: readonly Frame[], status = 200): Got => {
  const last = frames.at(-1);
  const thinking = frames.map(({ type, content }) => (type === 'streaming_thinking' ? content : '')).join('');
  const { reason, usage, code, message } = (last ?? {}) as Partial<Got>;
  const calls = frames.filter(({ type }) => type === 'streaming_tool_call');
  const wanted = calls.map((call) => call.argumentsText ?? call.arguments);
  return { text: textOf(frames), thinking, reason, usage, code, message, status, calls: wanted };
};

/** Sends JSON. */
export const post = ({ url }: Server, path: string, body: object, headers: object = {}) =>
  fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

let clients = 0;

/** Each asks an agent for a model, or for the one that it chooses where that is empty. */
export const doors: Readonly<
  Record<string, (server: Server, agent: string, model?: string) => Promise<Got>>
> = {
  async '/ws'({ ws }, agent, model = 'm') {
    const client = await WsClient.connect(`${ws}/door-${++clients}`);
    const frames = await client.ask({ content: 'Hallo', agent, ...(model && { model }) });
    await client.close();
    return ofFrames(frames);
  },

  async '/chat/stream'(server, agent, model = 'm') {
    const headers = { accept: 'application/x-ndjson' };
    const body = { content: 'Hallo', user_id: 'door', agent, ...(model && { model }) };
    const answer = await post(server, '/chat/stream', body, headers);
    const text = (await answer.text()).trim();
    return ofFrames(
      text.split('\n').map((line) => JSON.parse(line) as Frame),
      answer.status,
    );
  },

  async '/v1'(server, agent, model = 'm') {
    const body = {
      model: model ? `${agent}/${model}` : agent,
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ role: 'user', content: 'Hallo' }],
    };
    const answer = await post(server, '/v1/chat/completions', body);
    const { status } = answer;
    const all = (await answer.text()).split('\n\n').map((event) => event.replace(/^data: /, ''));
    const pieces = all.filter((data) => /^\{/.test(data)).map((data) => JSON.parse(data));
    const join = (field: string) => pieces.map(({ choices }) => choices?.[0]?.delta?.[field] ?? '').join('');
    const calls: string[] = [];
    for (const piece of pieces.flatMap(({ choices }) => choices?.[0]?.delta?.tool_calls ?? [])) {
      calls[piece.index] = (calls[piece.index] ?? '') + (piece.function?.arguments ?? '');
    }
    const { code, message } = pieces.find(({ error }) => error)?.error ?? {};
    return {
      status,
      text: join('content'),
      thinking: join('reasoning_content'),
      reason: pieces.find(({ choices }) => choices?.[0]?.finish_reason)?.choices[0].finish_reason,
      usage: pieces.find(({ usage }) => usage)?.usage,
      code,
      message,
      calls: calls.map((text) => (text.endsWith('}') ? JSON.parse(text) : text)),
    };
  },
};

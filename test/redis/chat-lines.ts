import type { StreamFrame } from '#kernel';

interface At {
  readonly url: string;
}

const headers = { 'content-type': 'application/json', accept: 'application/x-ndjson' };

/** Asks for an answer in lines of JSON. */
export function ask({ url }: At, body: object): Promise<Response> {
  return fetch(`${url}/chat/stream`, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** Reads an answer that was begun before, from a position. */
export function resume({ url }: At, streamId: string, position: number): Promise<Response> {
  return fetch(`${url}/chat/stream/${streamId}?position=${position}`, { headers });
}

/** The lines of an answer as they come. */
export async function* framesOf(response: Response): AsyncGenerator<StreamFrame> {
  let rest = '';
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const lines = `${rest}${part}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('{')) yield JSON.parse(line) as StreamFrame;
  }
}

/** What a reader has had of an answer. */
export interface Had {
  readonly content: string;
  readonly streamId: string;
  readonly last: StreamFrame | undefined;
}

/** Reads an answer to its end, or until it has so many characters. */
export async function textOf(
  frames: AsyncIterable<StreamFrame>,
  limit = Number.POSITIVE_INFINITY,
): Promise<Had> {
  let content = '';
  let streamId = '';
  let last: StreamFrame | undefined;
  for await (const frame of frames) {
    last = frame;
    if (frame.type === 'streaming_start') streamId = frame.streamId;
    if (frame.type === 'streaming_token') content += frame.content;
    if (content.length >= limit) break;
  }
  return { content, streamId, last };
}

/** How the frames of a server look on the wire: what differs between the protocols, and nothing else. */
const waggle = {
  open: [],
  request: (content) => JSON.stringify({ type: 'stream_request', content }),
  resume: (streamId, position) => JSON.stringify({ type: 'resume', streamId, position }),
  read: (text) => JSON.parse(text),
  /** Where `streaming_token`, `streaming_start` and `streaming_end` differ. */
  kindAt: '{"type":"streaming_'.length,
  token: { before: '{"type":"streaming_token","streamId":"', between: '","content":"', after: '"}' },
};
const socketIo = {
  open: ['40'],
  request: (content) => `42["stream_request",${JSON.stringify({ content })}]`,
  resume: (streamId, position) => `42["resume",${JSON.stringify({ streamId, position })}]`,
  read: (text) => {
    const [type, fields] = JSON.parse(text.slice(2));
    return { type, ...fields };
  },
  kindAt: '42["streaming_'.length,
  token: { before: '42["streaming_token",{"streamId":"', between: '","content":"', after: '"}]' },
};

/** Events of the Responses API: a token is one of several kinds, and ends with its number. */
const responses = {
  open: [],
  request: (content) =>
    JSON.stringify({ type: 'response.create', model: 'queen', input: content, store: false }),
  read: (text) => {
    const { type, delta, response } = JSON.parse(text);
    if (type === 'response.output_text.delta') return { type: 'streaming_token', content: delta };
    if (type === 'response.created') return { type: 'streaming_start', streamId: response.id };
    return { type: type === 'response.completed' ? 'streaming_end' : 'ignored' };
  },
  kindAt: '{"type":"response.'.length,
  token: {
    before: '{"type":"response.output_text.delta","item_id":"msg_',
    between: '_0","output_index":0,"content_index":0,"delta":"',
    after: '","logprobs":[],"sequence_number":}',
  },
  isNumbered: true,
};

/** HTTP/1.1 on a kept connection; `X` in the body is the question. */
const post = (path, body, headers = '') => {
  const [before, after] = body.split('X');
  return (question) => {
    const text = before + JSON.stringify(question).slice(1, -1) + after;
    const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n${headers}`;
    return `${head}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
  };
};
const chat = '{"content":"X","user_id":"bench"}';
const sse = { ...waggle, http: true, request: post('/chat/stream', chat, 'Accept: text/event-stream\r\n') };
const ndjson = {
  ...waggle,
  http: true,
  request: post('/chat/stream', chat, 'Accept: application/x-ndjson\r\n'),
};
const ollama = {
  ...waggle,
  http: true,
  request: post('/api/chat', '{"model":"bench","messages":[{"role":"user","content":"X"}],"stream":true}'),
};
export const dialects = { waggle, responses, socketIo, sse, ndjson, ollama };

/** Ids of streams have this length, but for those of several servers, which have a few characters more. */
export const streamIdChars = 24;

/** Bytes of a token's frame without its content. */
export function overheadBytes({ token: { before, between, after } }, idChars = streamIdChars) {
  return before.length + idChars + between.length + after.length;
}

/** Where the content of a token's frame begins. */
export function contentAt({ token: { before, between } }, idChars = streamIdChars) {
  return before.length + idChars + between.length;
}

/** The length of the id that a first frame has. */
export function idCharsOf({ read }, bytes, from, to) {
  return read(bytes.toString('utf8', from, to)).streamId.length;
}

/** A frame of a client. The mask is zero, so that masking costs nothing. */
export function maskedFrame(text, opcode = 1) {
  const payload = Buffer.from(text);
  const head = payload.length < 126 ? Buffer.alloc(6) : Buffer.alloc(8);
  head[0] = 0x80 | opcode;
  if (payload.length < 126) head[1] = 0x80 | payload.length;
  else {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(payload.length, 2);
  }
  return Buffer.concat([head, payload]);
}

/**
 * Reads frame headers out of `bytes` and calls `onFrame(opcode, bytes, from, to)`; gives the index of what is not
 * whole yet.
 */
export function eachFrame(bytes, end, onFrame) {
  let at = 0;
  while (end - at >= 2) {
    let length = bytes[at + 1];
    let from = at + 2;
    if (length === 126) {
      if (end - at < 4) break;
      length = (bytes[at + 2] << 8) | bytes[at + 3];
      from = at + 4;
    } else if (length === 127) {
      if (end - at < 10) break;
      length = bytes.readUInt32BE(at + 6);
      from = at + 10;
    }
    if (from + length > end) break;
    onFrame(bytes[at] & 15, bytes, from, from + length);
    at = from + length;
  }
  return at;
}

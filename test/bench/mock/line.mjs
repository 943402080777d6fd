const before =
  '{"model":"bench","created_at":"2026-01-01T00:00:00.000000Z","message":{"role":"assistant","content":';

/** Where the text of a line begins. */
export const lineContentAt = before.length + 1;

/** A line of `/api/chat`, as a chunk of HTTP. `json` is the text with its quotes. */
export function chunkOfLine(json) {
  return chunkOf(`${before}${json}},"done":false}\n`);
}

/** The last line and the end of the body. */
export function lastChunk(count) {
  const line = `${before}""},"done":true,"done_reason":"stop","prompt_eval_count":1,"eval_count":${count}}\n`;
  return Buffer.concat([chunkOf(line), Buffer.from('0\r\n\r\n')]);
}

function chunkOf(line) {
  const bytes = Buffer.from(line);
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

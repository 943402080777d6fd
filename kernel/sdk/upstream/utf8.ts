/** The text of the bytes before the first that are not UTF-8. */
export function validText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
  for (let at = text.indexOf('\ufffd'); at >= 0; at = text.indexOf('\ufffd', at + 1)) {
    const before = text.slice(0, at);
    // The replacement character itself may be part of a text.
    const byteAt = Buffer.byteLength(before);
    if (bytes[byteAt] !== 0xef || bytes[byteAt + 1] !== 0xbf || bytes[byteAt + 2] !== 0xbd) return before;
  }
  return text;
}

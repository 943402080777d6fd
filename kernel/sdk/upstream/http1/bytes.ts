// Bytes that have a meaning in HTTP, and classes of bytes.
export const tab = 9;
export const lf = 10;
export const cr = 13;
export const space = 32;
export const quote = 34;
export const colon = 58;
export const semicolon = 59;
export const equals = 61;
export const backslash = 92;

/** Bytes of names and tokens. */
export const isToken = tableOf((byte) => /[\w!#$%&'*+.^`|~-]/.test(String.fromCharCode(byte)));

/** Bytes of values. */
export const isText = tableOf((byte) => byte === tab || (byte >= space && byte !== 127));

/** Bytes of a quoted text that stand for themselves. */
export const isQuotable = tableOf((byte) => isText[byte] === 1 && byte !== quote && byte !== backslash);

/** Values of hexadecimal digits; -1 for all other bytes. */
export const hexValue = Int8Array.from({ length: 256 }, (_, byte) => {
  const value = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(value) ? -1 : value;
});

function tableOf(has: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (has(byte) ? 1 : 0));
}

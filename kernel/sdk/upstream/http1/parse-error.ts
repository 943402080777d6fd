/** A response that violates HTTP, or a limit. `code` is one of Node's: `HPE_INVALID_CONSTANT`. */
export class ParseError extends Error {
  override readonly name = 'ParseError';
  constructor(
    readonly code: `HPE_${string}`,
    message: string,
  ) {
    super(message);
  }
}

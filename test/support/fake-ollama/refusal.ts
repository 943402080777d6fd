/** An answer that is an error body. */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  /** `fromStream`: raised by a stream before its first line, which changes the content type. */
  constructor(
    readonly status: number,
    message: string,
    readonly fromStream = false,
  ) {
    super(message);
  }
}

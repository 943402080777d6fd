/** Receiver of the news of a readable: an object, because thousands of functions would be as many cold places in memory. */
export interface ReadableListener {
  /** There is something to take. */
  readable(): void;
}

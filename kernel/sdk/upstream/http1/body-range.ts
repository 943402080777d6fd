/** Place of the body's bytes within one read. */
export class BodyRange {
  from = 0;
  to = 0;

  clear(): void {
    this.from = 0;
    this.to = 0;
  }

  /** Adds the bytes from `from` to `to`, moved up to those before them, so that the splitter gets one array for each read. */
  add(bytes: Buffer, from: number, to: number): void {
    if (this.to === 0) this.from = from;
    else if (from !== this.to) bytes.copyWithin(this.to, from, to);
    this.to = this.to === 0 ? to : this.to + to - from;
  }
}

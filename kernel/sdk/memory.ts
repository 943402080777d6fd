/** Memory of this process, in bytes. */
export interface Memory {
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly heapTotalBytes: number;
  readonly externalBytes: number;
}

let last: Memory = { rssBytes: 0, heapBytes: 0, heapTotalBytes: 0, externalBytes: 0 };

/** Memory now, or the last known while no file descriptor is free, because Node.js opens a file to read it. */
export function memoryNow(): Memory {
  try {
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
    last = { rssBytes: rss, heapBytes: heapUsed, heapTotalBytes: heapTotal, externalBytes: external };
  } catch {
    // EMFILE, which others report.
  }
  return last;
}

/** Memory of this process. */
export interface Memory {
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly heapTotalBytes: number;
  readonly externalBytes: number;
}

let last: Memory = { rssBytes: 0, heapBytes: 0, heapTotalBytes: 0, externalBytes: 0 };

/** Memory as it is now; as it last was while the process may open no more files, because Node.js has to open one to know. */
export function memoryNow(): Memory {
  try {
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
    last = { rssBytes: rss, heapBytes: heapUsed, heapTotalBytes: heapTotal, externalBytes: external };
  } catch {
    // EMFILE, which whatever needs a file of its own reports.
  }
  return last;
}

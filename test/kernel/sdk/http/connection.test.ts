import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Connection, type ConnectionHost } from '#sdk/http';
import { Bus } from '../../../../kernel/kernel-bus.js';
import { SlowReaders } from '../../../../kernel/sdk/http/slow-readers.js';
import { silentLogger } from '../../../support/kernel.js';

/** What uWebSockets collects before it asks the system to send it; a frame has a head of up to ten bytes. */
const bufferBytes = 16 * 1024;
const bytesOf = (frames: readonly string[]) => frames.reduce((sum, { length }) => sum + length + 10, 0);

/** A connection whose peer takes everything at once. */
class Recorded extends Connection {
  readonly bufferedBytes = 0;
  readonly batches: string[][] = [];

  protected writeBatch(frames: readonly string[], from: number, to: number): void {
    this.batches.push(frames.slice(from, to));
  }
  protected write(): boolean {
    return true;
  }
  protected end(): void {}
  destroy(): void {}
  async leave(): Promise<void> {}
}

function connect(): Recorded {
  const host = {
    config: { backlogLimitBytes: 1, highWaterMarkBytes: 1 },
    logger: silentLogger,
    bus: new Bus(() => {}),
    slow: new SlowReaders(1000, (error) => {
      throw error;
    }),
    connections: new Set(),
  } as unknown as ConnectionHost;
  const endpoint = { path: '/', open: () => ({ message: () => {} }) };
  return new Recorded({ host, endpoint, params: {}, remoteAddress: '' });
}

describe('frames that are sent together', () => {
  const lengths = fc.array(fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 20_000 })), { maxLength: 60 });

  it('go out once each and in order, in as few writes as fit the buffer of a native layer', () => {
    fc.assert(
      fc.property(lengths, (all) => {
        const frames = all.map((length, index) => String(index % 10).repeat(length));
        const connection = connect();
        expect(connection.send(frames)).toBe(true);
        const { batches } = connection;
        expect(batches.flat()).toEqual(frames);
        for (const [index, batch] of batches.entries()) {
          expect(batch.length).toBeGreaterThan(0);
          if (batch.length > 1) expect(bytesOf(batch)).toBeLessThanOrEqual(bufferBytes);
          // Less than a sixteenth of it is given away.
          const next = batches[index + 1];
          if (next) expect(bytesOf([...batch, next[0] as string])).toBeGreaterThan((bufferBytes * 15) / 16);
        }
      }),
      { numRuns: 500 },
    );
  });
});

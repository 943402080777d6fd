import { describe, expect, it } from 'vitest';
import { Bus } from '../../../kernel/kernel-bus.js';
import { EventBatches } from '../../../plugins/endpoint-metrics/event-batches.js';

const event = { connection: 'c', clientId: 'ann', type: 'chat' };

function batches() {
  const failed: string[] = [];
  const bus = new Bus((error) => expect.unreachable(String(error)));
  return { bus, failed, events: new EventBatches(bus, (_error, name) => void failed.push(name)) };
}

describe('events that are counted many at a time', () => {
  it('are all there, once and in order, after a drain', () => {
    const { bus, events } = batches();
    const seen: string[] = [];
    events.on('message:received', ({ type }) => void seen.push(type));
    for (let type = 0; type < 1000; type++) bus.emit('message:received', { ...event, type: String(type) });
    events.drain();
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, type) => String(type)));
    events.drain();
    expect(seen).toHaveLength(1000);
  });

  it('are not kept without limit where nothing asks', () => {
    const { bus, events } = batches();
    let seen = 0;
    events.on('message:received', () => void seen++);
    for (let sent = 0; sent < 10_000; sent++) bus.emit('message:received', event);
    expect(seen).toBeGreaterThan(9000);
  });

  it('reach every listener where one throws, and that is named', () => {
    const { bus, events, failed } = batches();
    let seen = 0;
    events.on('message:received', () => {
      throw new Error('broken');
    });
    events.on('message:received', () => void seen++);
    for (let sent = 0; sent < 3; sent++) bus.emit('message:received', event);
    events.drain();
    expect(seen).toBe(3);
    expect(failed).toEqual(['message:received', 'message:received', 'message:received']);
  });

  it('end with the listener', () => {
    const { bus, events } = batches();
    let seen = 0;
    const undo = events.on('message:received', () => void seen++);
    undo();
    bus.emit('message:received', event);
    events.drain();
    expect(seen).toBe(0);
  });
});

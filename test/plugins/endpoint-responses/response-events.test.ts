import { afterEach, describe, expect, it, vi } from 'vitest';
import { ResponseEvents } from '../../../plugins/endpoint-responses/response-events.js';
import type { ResponseHead } from '../../../plugins/endpoint-responses/response-object.js';

const headOf = (): ResponseHead => ({
  id: 'resp_x',
  createdAt: 1,
  body: { model: 'm' },
  custom: new Set(),
  isWarmUp: false,
  readers: 0,
  modelOf: () => 'm',
});

/** A reader of the response, and what it was given. */
function readerOf(head: ResponseHead, after?: number) {
  const given: string[] = [];
  const events = new ResponseEvents(head, (_type, json) => void given.push(json), after);
  events.begin();
  return { events, given };
}

describe('the events of a response with several readers', () => {
  afterEach(() => vi.restoreAllMocks());

  it('are written once where they are read together', () => {
    const head = headOf();
    const readers = [readerOf(head), readerOf(head), readerOf(head)];
    for (const { events } of readers) events.text('first');
    const written = vi.spyOn(JSON, 'stringify');
    for (let at = 0; at < 100; at++) for (const { events } of readers) events.text(`word ${at}`);
    expect(written).toHaveBeenCalledTimes(100);
    vi.restoreAllMocks();
    expect(new Set(readers.map(({ given }) => given.join('\n'))).size).toBe(1);
  });

  it('are the same for those that are far behind, or come late', () => {
    const head = headOf();
    const [early, slow, late] = [readerOf(head), readerOf(head), readerOf(head, 40)];
    const words = Array.from({ length: 100 }, (_, at) => `${at}"`);
    for (const word of words) early.events.text(word);
    for (const word of words) slow.events.text(word);
    for (const word of words) late.events.text(word);
    expect(slow.given).toEqual(early.given);
    expect(late.given).toEqual(early.given.slice(41));
  });
});

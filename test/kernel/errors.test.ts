import { describe, expect, it } from 'vitest';
import { messageOf, toClientError, WaggleError } from '../../kernel/errors.js';

describe('an error', () => {
  it('has a code, its details, a message for people and the cause', () => {
    const cause = new Error('ENOENT');
    const details = { plugin: 'p', phase: 'setup', why: 'ENOENT' };
    const error = new WaggleError('KERNEL_PLUGIN_FAILED', details, { cause });
    expect(error).toMatchObject({ name: 'WaggleError', code: 'KERNEL_PLUGIN_FAILED', details, cause });
    expect(error.message).toBe('plugin "p" failed during setup: ENOENT');
    expect(error).toBeInstanceOf(Error);
  });

  it('lists what it is about line by line, and says so where a list is empty', () => {
    const missing = new WaggleError('KERNEL_DEPENDENCY_MISSING', { missing: ['a needs b', 'c needs d'] });
    expect(missing.message).toBe('unsatisfied requirements:\n  a needs b\n  c needs d');
    const unknown = new WaggleError('KERNEL_PLUGIN_UNKNOWN', { plugin: 'x', known: [] });
    expect(unknown.message).toBe('no plugin has the id "x" (running: none)');
  });

  it('tells when to try again where that helps', () => {
    const details = { limit: 1, what: 'replies', retryAfterMs: 500 };
    expect(new WaggleError('QUEUE_FULL', details).retryAfterMs).toBe(500);
    expect(new WaggleError('INTERNAL', {}).retryAfterMs).toBeUndefined();
  });

  it('is told by its code, so that one of another copy of this package counts, too', () => {
    const foreign = Object.assign(new Error('gone'), { name: 'WaggleError', code: 'NOT_FOUND' });
    expect(WaggleError.is(foreign, 'NOT_FOUND')).toBe(true);
    expect(WaggleError.is(foreign, 'BUSY')).toBe(false);
    expect(WaggleError.is(Object.assign(new Error('x'), { code: 'BUSY' }), 'BUSY')).toBe(false);
    for (const other of [undefined, null, 'BUSY', { name: 'WaggleError', code: 'BUSY' }])
      expect(WaggleError.is(other, 'BUSY')).toBe(false);
  });
});

describe('what a client sees of an error', () => {
  it('is the error itself when it was made for clients', () => {
    const missing = new WaggleError('NOT_FOUND', { path: '/x' });
    expect(toClientError(missing)).toBe(missing);
  });

  it.each([
    new WaggleError('KERNEL_SERVICE_MISSING', { service: 'secret-service' }),
    Object.assign(new Error('open /etc/shadow'), { code: 'toString' }),
    Object.assign(new Error('odd'), { name: 'WaggleError', code: 'NO_SUCH_CODE' }),
    'a text',
    undefined,
  ])('is INTERNAL, with the error as its cause, for anything else: %s', (error) => {
    const seen = toClientError(error);
    expect(seen).toMatchObject({ code: 'INTERNAL', cause: error });
    expect(seen.message).toBe('internal error; the log of the server knows more');
  });
});

it('an error of a copy of the former release has its issues under their new name', () => {
  const former = Object.assign(new Error('invalid request: a: no'), {
    name: 'WaggleError',
    code: 'INVALID_REQUEST',
    details: { mistakes: ['a: no'] },
  });
  expect(toClientError(former)).toMatchObject({ message: former.message, details: { issues: ['a: no'] } });
});

describe('the text of what was thrown', () => {
  it('is the message of an error and else the thing itself', () => {
    expect(messageOf(new Error('boom'))).toBe('boom');
    expect(messageOf('boom')).toBe('boom');
    expect(messageOf(undefined)).toBe('undefined');
    expect(messageOf(Symbol('s'))).toBe('Symbol(s)');
  });
});

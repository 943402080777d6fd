import { describe, expect, it } from 'vitest';
import { check } from '../../../../kernel/sdk/check-request.js';
import { transportConfig } from '../../../../kernel/sdk/http/config.js';

const shape = 'never matches: an origin is scheme://host or scheme://host:port, or * for all';
const judge = async (origin: string) => (await check(transportConfig, { allowedOrigins: [origin] })).issues;

describe('an allowed origin', () => {
  it.each([
    '*',
    'null',
    'https://chat.example.com',
    'http://localhost:3000',
    'https://[::1]:8443',
    'https://xn--bcher-kva.example',
    'chrome-extension://abcdefgh',
    'capacitor://localhost',
    'tauri://localhost',
  ])('may be what a browser sends: %s', async (origin) => {
    expect(await judge(origin)).toBeUndefined();
  });

  it.each([
    ['with a slash', 'https://a.example/', 'https://a.example'],
    ['with a path', 'https://a.example/chat', 'https://a.example'],
    ['with a query', 'https://a.example?x', 'https://a.example'],
    ['with a fragment', 'https://a.example#x', 'https://a.example'],
    ['in capitals', 'https://A.example', 'https://a.example'],
    ['with a scheme in capitals', 'HTTPS://a.example', 'https://a.example'],
    ['with the default port of https', 'https://a.example:443', 'https://a.example'],
    ['with the default port of http', 'http://a.example:80', 'http://a.example'],
    ['with a user', 'https://me:pw@a.example', 'https://a.example'],
    ['with a name that is not ASCII', 'https://bücher.example', 'https://xn--bcher-kva.example'],
    ['with a space', ' https://a.example', 'https://a.example'],
    ['with an address written long', 'http://[0:0:0:0:0:0:0:1]:80', 'http://[::1]'],
    ['of an app, with a path', 'capacitor://localhost/x', 'capacitor://localhost'],
  ])('%s is refused, with what is meant: %s', async (_, origin, meant) => {
    expect(await judge(origin)).toEqual([`allowedOrigins.0: ${shape}; write ${meant}`]);
  });

  it.each([
    'a.example',
    'localhost:3000',
    '//a.example',
    'https://',
    'https://*.example.com',
    '*.example.com',
    'file:///x',
    'Null',
    'nonsense',
    'https//a',
  ])('that is none is refused: %s', async (origin) => {
    expect(await judge(origin)).toEqual([`allowedOrigins.0: ${shape}`]);
  });
});

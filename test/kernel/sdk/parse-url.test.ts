import { expect, it } from 'vitest';
import { parseUrl } from '#sdk';

it('reads a name that is not ASCII, also after Node.js has compiled the call', () => {
  for (let n = 0; n < 200_000; n++) parseUrl(`https://example.com/${n % 7}`);
  expect(parseUrl('https://bücher.example')?.hostname).toBe('xn--bcher-kva.example');
  expect(parseUrl('https://')).toBeUndefined();
});

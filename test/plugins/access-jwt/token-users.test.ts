import { expect, it } from 'vitest';
import { TokenUsers } from '../../../plugins/access-jwt/token-users.js';
import { secretKey } from '../../../plugins/access-jwt/verification-key.js';
import { hs256, inSeconds, makeToken } from '../../support/jwt.js';

const secret = 'a secret of at least thirty-two bytes';
const config = { userClaim: 'sub', scopesClaim: 'scope', clockToleranceS: 0 };
const token = makeToken({ alg: 'HS256' }, { sub: 'ann', exp: inSeconds(60) }, hs256(secret));

it('judges a token that it has seen at once, and gives the same user', async () => {
  const key = secretKey(secret);
  const users = new TokenUsers(config, () => key);
  const first = users.authenticate(token);
  expect(first).toBeInstanceOf(Promise);
  expect(users.authenticate(token)).toBeInstanceOf(Promise);
  await first;
  const user = users.authenticate(token);
  expect(user).toMatchObject({ id: 'ann' });
  expect(users.authenticate(token)).toBe(user);
});

it('takes no token whose key goes while it is verified', async () => {
  const key = secretKey(secret);
  const users = new TokenUsers(config, () => key);
  const judged = users.authenticate(token);
  users.drop(new Set([key.key]));
  await expect(judged).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
});

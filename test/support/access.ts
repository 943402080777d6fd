import { Access, type Authenticator, definePlugin, type Principal } from '#kernel';

/** Users by token, which a test may change. */
export class TestUsers implements Authenticator {
  readonly name = 'test users';
  readonly #users = new Map<string, Principal>();
  /** Answers with a promise, as a key set that has to be fetched. */
  isSlow = false;

  constructor(users: Readonly<Record<string, Omit<Principal, 'scopes'> & Partial<Principal>>> = usual) {
    for (const [token, user] of Object.entries(users)) this.add(token, user);
  }

  add(token: string, user: Omit<Principal, 'scopes'> & Partial<Principal>): void {
    this.#users.set(token, { scopes: [], ...user });
  }

  remove(token: string): Principal | undefined {
    const user = this.#users.get(token);
    this.#users.delete(token);
    return user;
  }

  authenticate({ token }: { readonly token?: string | undefined }) {
    const user = token === undefined ? undefined : this.#users.get(token);
    return this.isSlow ? new Promise<Principal | undefined>((done) => setImmediate(done, user)) : user;
  }
}

const usual = {
  'token-of-ann': { id: 'ann' },
  'token-of-bob': { id: 'bob' },
  'token-of-root': { id: 'root', scopes: ['admin'] },
  'token-of-proxy': { id: 'proxy', scopes: ['act-as'] },
};

/** The credentials of a user of `TestUsers`. */
export const as = (user: string) => ({ authorization: `Bearer token-of-${user}` });

/** A plugin that asks for their credentials. */
export const accessPlugin = (users: Authenticator = new TestUsers()) =>
  definePlugin({
    name: 'test-access',
    apiVersion: 1,
    requires: { access: Access },
    setup: (_ctx, { access }) => void access.add(users),
  });

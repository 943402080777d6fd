import { Webhook } from 'standardwebhooks';

const leastBytes = 24;

/** @throws what is wrong with a secret, without the secret */
export function checkSecret(secret: string): void {
  const text = secret.replace(/^whsec_/, '');
  const isBase64 = /^[A-Za-z\d+/]+={0,2}$/.test(text) && text.length % 4 === 0;
  if (isBase64 && Buffer.from(text, 'base64').length >= leastBytes) return;
  throw new Error(
    `expected "whsec_" and at least ${leastBytes} bytes as base64, as \`openssl rand -base64 32\` makes them`,
  );
}

/** Signs messages as the specification of Standard Webhooks has it, with each of the secrets. */
export class Signer {
  readonly #webhooks: readonly Webhook[];

  constructor(secrets: readonly string[]) {
    this.#webhooks = secrets.map((secret) => new Webhook(secret));
  }

  /** The headers of one try. */
  headers(id: string, body: string, now: Date): Readonly<Record<string, string>> {
    return {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': this.#webhooks.map((webhook) => webhook.sign(id, now, body)).join(' '),
    };
  }
}

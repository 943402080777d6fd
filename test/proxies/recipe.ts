import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '../support/certificate.js';
import { freePort } from '../support/free-port.js';
import { example } from '../support/pages.js';
import { type RunningProxy, runProxy, temporaryFolders } from './proxy.js';

/** The recipe of config/README.md with other ports and files; `change` makes an error in it. */
export interface RecipeOptions {
  readonly port: number;
  /** `/waggle`, or `''` for the root. */
  readonly below: string;
  readonly change?: (recipe: string) => string;
}

/** The recipe of a proxy, running in front of a port. */
export async function startRecipe(
  name: 'nginx' | 'caddy',
  { port, below, change = (recipe) => recipe }: RecipeOptions,
): Promise<{ readonly proxy: RunningProxy; readonly host: string; readonly url: string }> {
  const listenPort = await freePort();
  const host = `localhost:${listenPort}`;
  const config = (folder: string) => {
    const { cert, key } = makeCertificate('localhost');
    const files = { cert: join(folder, 'cert'), key: join(folder, 'key') };
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key);
    const ours = name === 'nginx' ? nginx : caddy;
    return ours({ folder, port, below, host, listenPort, ...files }, change);
  };
  const proxy = await runProxy(name, config, listenPort);
  return { proxy, host, url: `https://${host}${below}` };
}

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly below: string;
  readonly host: string;
  readonly listenPort: number;
  readonly cert: string;
  readonly key: string;
}

function nginx(
  { folder, port, below, listenPort, cert, key }: Place,
  change: (recipe: string) => string,
): string {
  const recipe = inPlace(example('nginx.conf'), [
    ['127.0.0.1:9797', `127.0.0.1:${port}`],
    ['listen 443 ssl;', `listen 127.0.0.1:${listenPort} ssl;`],
    ['/etc/ssl/chat.example.com.crt', cert],
    ['/etc/ssl/chat.example.com.key', key],
    ['location / {', `location ${below}/ {`],
  ]);
  return `
    daemon off; master_process off; pid ${folder}/pid; error_log stderr warn;
    events {}
    http { access_log off; ${temporaryFolders(folder)}
    ${change(recipe)}
    }`;
}

function caddy({ port, below, host, cert, key }: Place, change: (recipe: string) => string): string {
  const recipe = inPlace(example('Caddyfile'), [
    ['chat.example.com {', `https://${host} {\n  tls ${cert} ${key}`],
    ['reverse_proxy 127.0.0.1:9797', `reverse_proxy ${below ? `${below}/* ` : ''}127.0.0.1:${port}`],
  ]);
  return `{
      admin off
      auto_https disable_redirects
      log {
        level ERROR
      }
    }
    ${change(recipe)}`;
}

function inPlace(text: string, changes: readonly (readonly [string, string])[]): string {
  return changes.reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`the recipe has no "${from}"`);
    return changed.replace(from, to);
  }, text);
}

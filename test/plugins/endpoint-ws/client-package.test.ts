import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const built = join(root, 'dist/plugins/endpoint-ws/client');
const sources = join(root, 'plugins/endpoint-ws/client');

describe('the client, as others get it,', () => {
  it('imports nothing but its own files, and nothing of Node.js', () => {
    const files = readdirSync(sources).map((name) => name.replace(/\.ts$/, '.js'));
    expect(files).toContain('index.js');
    for (const file of files) {
      const text = readFileSync(join(built, file), 'utf8');
      const imports = [...text.matchAll(/\bfrom\s+'([^']+)'|\bimport\s*\(?\s*'([^']+)'/g)];
      for (const [, from, bare] of imports) expect(from ?? bare).toMatch(/^\.\/[a-z-]+\.js$/);
      expect(text).not.toMatch(/\b(process|Buffer|require|__dirname)\b/);
    }
  });

  it('is small: less than 600 lines of code', () => {
    const lines = readdirSync(sources).flatMap((name) =>
      readFileSync(join(sources, name), 'utf8')
        .replace(/^import [^;]*;$/gm, '')
        // What declares types is for the reader; none of it runs.
        .replace(/^(export )?interface .*?^}$/gms, '')
        .replace(/^(export )?type .*?;$/gms, '')
        .split('\n')
        .filter((line) => /\w/.test(line) && !/^\s*(\/\/|\/?\*)/.test(line)),
    );
    expect(lines.length).toBeGreaterThan(200);
    expect(lines.length).toBeLessThan(600);
  });

  it('has types that are good in a page, without those of Node.js', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'page-'));
    try {
      await symlink(root, join(folder, 'waggle-server'));
      const page = `import { connect, type Chunk } from './waggle-server/dist/plugins/endpoint-ws/client/index.js';
const client = await connect('ws://localhost:9797/ws/me', { WebSocket });
for await (const chunk of client.chat('Hallo')) { const each: Chunk = chunk; document.body.append(each.type); }
const { text, usage }: { text: string; usage?: { inputTokens: number } | undefined } = await client.ask('Hallo');
document.title = text + usage?.inputTokens;
`;
      await writeFile(join(folder, 'page.mts'), page);
      const options = ['--strict', '--noEmit', '--skipLibCheck', 'false', '--exactOptionalPropertyTypes'];
      const target = ['--target', 'ES2022', '--lib', 'ES2022,DOM', '--module', 'NodeNext'];
      const tsc = join(root, 'node_modules/typescript/bin/tsc');
      const args = [tsc, ...options, ...target, '--types', '', join(folder, 'page.mts')];
      const run = promisify(execFile)(process.execPath, args, { cwd: folder });
      await expect(run.catch((error) => error)).resolves.toMatchObject({ stdout: '' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

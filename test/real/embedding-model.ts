import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const headBytes = 24;
const uint32 = Buffer.from([4, 0, 0, 0]);

/** Installs, beside the model `say` of an Ollama on this machine, one with the same weights that makes embeddings. */
export async function installEmbeddingModel(url: string, name: string): Promise<void> {
  const shown = await fetch(`${url}/api/show`, { method: 'POST', body: JSON.stringify({ model: 'say' }) });
  const { modelfile } = (await shown.json()) as { readonly modelfile: string };
  const path = /^FROM (\/.*)$/m.exec(modelfile)?.[1] as string;
  const weights = embedding(readFileSync(path));
  const digest = `sha256:${createHash('sha256').update(weights).digest('hex')}`;
  const models = dirname(dirname(path));
  await writeFile(join(models, 'blobs', digest.replace(':', '-')), weights);
  const library = join(models, 'manifests/registry.ollama.ai/library');
  const text = readFileSync(join(library, 'say/latest'), 'utf8');
  const former = basename(path).replace('-', ':');
  await mkdir(join(library, name), { recursive: true });
  await writeFile(join(library, name, 'latest'), text.replaceAll(former, digest));
}

/** A model file with a pooling type, which is what makes it one for embeddings. */
function embedding(file: Buffer): Buffer {
  // Together 64 bytes: the tensors behind them stay aligned.
  const added = Buffer.concat([field('llama.pooling_type', 1), field('general.filler', 0)]);
  const head = Buffer.from(file.subarray(0, headBytes));
  head.writeBigUInt64LE(head.readBigUInt64LE(16) + 2n, 16);
  return Buffer.concat([head, added, file.subarray(headBytes)]);
}

function field(key: string, value: number): Buffer {
  const [length, number] = [Buffer.alloc(8), Buffer.alloc(4)];
  length.writeBigUInt64LE(BigInt(key.length));
  number.writeUInt32LE(value);
  return Buffer.concat([length, Buffer.from(key), uint32, number]);
}

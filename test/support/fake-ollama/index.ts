import { FakeOllama, type FakeOllamaOptions } from './fake.js';

export { goJson } from './dialect.js';
export { expectedText, expectedThinking, expectedTokens } from './expected.js';
export type { FakeOllama, FakeOllamaOptions } from './fake.js';
export { type ModeName, modeNames } from './modes.js';
export type { RequestRecord } from './record.js';

/** Starts a fake Ollama server on 127.0.0.1. */
export async function startFakeOllama(options: FakeOllamaOptions = {}): Promise<FakeOllama> {
  const fake = new FakeOllama(options);
  await fake.listen();
  return fake;
}

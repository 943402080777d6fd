import { type FakeOllama, type FakeOllamaOptions, startFakeOllama } from './fake-ollama/index.js';

/** A fake server of OpenAI's API: Ollama serves that as well, so it goes wrong in all the same ways. */
export interface FakeOpenAi {
  readonly fake: FakeOllama;
  /** With `/v1`. */
  readonly baseUrl: string;
}

/** Starts one on 127.0.0.1. */
export async function startFakeOpenAi(options?: FakeOllamaOptions): Promise<FakeOpenAi> {
  const fake = await startFakeOllama(options);
  return { fake, baseUrl: `${fake.url}/v1` };
}

import type { HttpRequest, HttpResponse } from '#kernel';
import { expectValid } from '#sdk';
import { type Embedder, exposedHeaders, userIn } from '#sdk/dialect';
import { checkNoTokens, type EmbeddingsBody, embeddingsBody } from './body.js';
import { listOf } from './embedding-list.js';

/** `POST /v1/embeddings` */
export async function embed(embedder: Embedder, request: HttpRequest, response: HttpResponse): Promise<void> {
  const input = await request.json();
  checkNoTokens(input);
  const body: EmbeddingsBody = await expectValid(embeddingsBody, input);
  const { model, input: texts, encoding_format: encoding, dimensions, user, ...more } = body;
  const asked = {
    model,
    input: typeof texts === 'string' ? [texts] : texts,
    dimensions: dimensions ?? undefined,
    user: userIn('user', user),
    ...(Object.keys(more).length > 0 && { more }),
  };
  const embedded = await embedder.embed(asked, request);
  response.json(200, listOf(embedded, encoding ?? 'float'), { ...exposedHeaders, ...embedded.headers });
}

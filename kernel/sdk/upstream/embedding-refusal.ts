import type { WaggleError } from '../../errors.js';
import { lacksEmbeddings } from '../embeddings.js';
import type { Upstream } from './failure.js';
import { faultKind } from './fault-kind.js';
import { oneLine } from './one-line.js';
import { ModelError } from './pieces.js';

/** Statuses of a server without this endpoint. */
const missing = [404, 405, 501];
const wording =
  /not support(ed)?( the)? embedd?ings?|embeddings? (is|are|api is) not (supported|enabled|available)|not allowed to generate embeddings|not an embeddings? model|--embeddings?\b/i;

/** The error of a server or a model that makes no embeddings; undefined for all others. */
export function embeddingRefusal({ agent, secrets }: Upstream, error: unknown): WaggleError | undefined {
  if (!(error instanceof ModelError)) return undefined;
  const { status = 0, code = '' } = error.info;
  const isMissing = missing.includes(status) && faultKind(status, code, error.message) !== 'model';
  if (!isMissing && !wording.test(error.message)) return undefined;
  return lacksEmbeddings(agent, `it makes no embeddings: ${oneLine(error.message, secrets)}`);
}

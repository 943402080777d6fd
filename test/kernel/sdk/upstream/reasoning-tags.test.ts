import { expect, it } from 'vitest';
import type { StreamChunk } from '#kernel';
import { ReasoningTags } from '#sdk/upstream';

it('blanks that may stand before thinking are held back, but not for ever', () => {
  const tags = ReasoningTags.of(true);
  const chunks: StreamChunk[] = [];
  tags?.push(' '.repeat(1000), chunks);
  expect(chunks).toEqual([]);
  tags?.push(' ', chunks);
  expect(chunks).toEqual([{ type: 'text', content: ' '.repeat(1001) }]);
});

import { WaggleError } from '#kernel';
import { type Block, isForeign } from './blocks.js';
import type { CountBody } from './body.js';
import { blocksOf } from './messages.js';

/** Kinds of blocks that belong into messages of certain roles; others may be in those of the user and the assistant. */
const roles: Partial<Record<Block['type'], readonly string[]>> = {
  text: ['user', 'assistant', 'system'],
  tool_use: ['assistant'],
  tool_result: ['user'],
  thinking: ['assistant'],
  redacted_thinking: ['assistant'],
  mid_conv_system: ['user'],
};
const mostIssues = 10;

/** Refuses blocks in messages where no agent would get them. @throws INVALID_REQUEST */
export function checkPlacement(messages: CountBody['messages']): void {
  const issues = messages.flatMap(({ role, content }, place) =>
    blocksOf(content).flatMap((block, at) => {
      const { [block.type]: allowed = ['user', 'assistant'] } = roles;
      return allowed.includes(role) || isForeign(block)
        ? []
        : `messages.${place}.content.${at}.type: "${block.type}" cannot be in a message of the role "${role}"`;
    }),
  );
  if (issues.length > 0) throw new WaggleError('INVALID_REQUEST', { issues: issues.slice(0, mostIssues) });
}

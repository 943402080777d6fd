/** The limit of the names of tasks. */
const limitChars = 128;

/** The task of a tool: `mcp:files:read_file`. Undefined for a name that is too long. */
export function taskName(server: string, tool: string): string | undefined {
  if (tool === '') return undefined;
  const name = `mcp:${server}:${tool.replace(/[^A-Za-z\d._:-]/gu, '_')}`;
  return name.length > limitChars ? undefined : name;
}

/** Whether one of the patterns, in which `*` stands for any text, is the whole name. */
export function isChosen(patterns: readonly string[], tool: string): boolean {
  return patterns.some((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
    return new RegExp(`^${parts.join('.*')}$`, 's').test(tool);
  });
}

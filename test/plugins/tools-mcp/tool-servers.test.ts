import { describe, expect, it } from 'vitest';
import type { ServerConfig } from '../../../plugins/tools-mcp/config.js';
import { ToolServers } from '../../../plugins/tools-mcp/tool-servers.js';
import { never } from '../../support/kernel.js';

const settings = (url: string) => ({ url }) as ServerConfig;

function recorded(start: () => Promise<void> = async () => {}) {
  const done: string[] = [];
  const servers = new ToolServers((name) => {
    done.push(`+${name}`);
    return { start, close: async () => void done.push(`-${name}`) };
  });
  return { done, servers };
}

describe('the MCP servers of a config that changes', () => {
  it('are closed where they are gone or have other settings, and the others stay', async () => {
    const { done, servers } = recorded();
    await servers.become({ a: settings('x'), b: settings('x'), c: settings('x') }, 1000);
    expect(done.splice(0)).toEqual(['+a', '+b', '+c']);
    await servers.become({ a: settings('x'), b: settings('y'), d: settings('x') }, 1000);
    expect(done.splice(0)).toEqual(['-b', '-c', '+b', '+d']);
    await servers.become({ a: settings('x'), b: settings('y'), d: settings('x') }, 1000);
    expect(done).toEqual([]);
    await servers.close();
    expect(done.sort()).toEqual(['-a', '-b', '-d']);
  });

  it('are waited for, but not for ever, and none starts after the end', async () => {
    const { done, servers } = recorded(never);
    const starting = servers.become({ a: settings('x') }, 1);
    await starting;
    const late = servers.become({ a: settings('x'), b: settings('x') }, 1);
    await servers.close();
    await late;
    expect(done).toEqual(['+a', '-a']);
  });
});

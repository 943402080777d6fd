import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { peersOf } from '../../../plugins/transport-uws/peers.js';

describe.runIf(process.platform === 'linux')('the peers at a port', () => {
  it('that other processes share are those of this one', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = connect(port, '127.0.0.1');
    const [accepted] = await once(server, 'connection');
    for (const isShared of [false, true]) expect(peersOf(port, isShared)).toEqual(['127.0.0.1']);
    client.destroy();
    accepted.destroy();
    server.close();

    const program = `const s = require('net').createServer((c) => c.write('x')).listen(0, '127.0.0.1', () => console.log(s.address().port))`;
    const child = spawn(process.execPath, ['-e', program]);
    const [line] = await once(child.stdout, 'data');
    const other = Number(line);
    const socket = connect(other, '127.0.0.1');
    await once(socket, 'data');
    expect(peersOf(other)).toEqual(['127.0.0.1']);
    expect(peersOf(other, true)).toEqual([]);
    socket.destroy();
    child.kill();
    await once(child, 'close');
  });
});

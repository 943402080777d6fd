import { Transform } from 'node:stream';
import type { Filter } from './fault-proxy.js';

const head = '>3\r\n$7\r\nmessage\r\n';

/** Leaves single messages of subscriptions out of what a Redis server says (RESP3). `isLost` is asked for each. */
export function dropMessages(isLost: (text: string) => boolean): Filter {
  return () => {
    let rest = Buffer.alloc(0);
    return new Transform({
      transform(piece: Buffer, _encoding, done) {
        rest = Buffer.concat([rest, piece]);
        for (let length = nextLength(rest); length > 0; length = nextLength(rest)) {
          const part = rest.subarray(0, length);
          rest = rest.subarray(length);
          if (!part.toString('latin1').startsWith(head) || !isLost(part.toString())) this.push(part);
        }
        done();
      },
    });
  };
}

/** The length of what comes next: a whole message, or all bytes before one. 0 where the end is still to come. */
function nextLength(bytes: Buffer): number {
  const at = bytes.indexOf(head);
  if (at !== 0) return at === -1 ? bytes.length : at;
  const channel = endOfText(bytes, head.length);
  return channel === 0 ? 0 : endOfText(bytes, channel);
}

function endOfText(bytes: Buffer, from: number): number {
  const line = bytes.indexOf('\r\n', from);
  if (line === -1) return 0;
  const end = line + 2 + Number(bytes.toString('latin1', from + 1, line)) + 2;
  return end <= bytes.length ? end : 0;
}

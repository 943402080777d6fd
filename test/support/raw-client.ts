import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Waiters } from './waiters.js';

// Below the runner's own limit, so that the message here is the one that is seen.
const defaultTimeoutMs = 4_000;

/** How a connection ended. */
export interface CloseInfo {
  /** The peer sent FIN before the close. */
  readonly ended: boolean;
  /** Error code such as `ECONNRESET`, when there was one. */
  readonly errorCode: string | undefined;
}

/** Where to connect to and how. */
export interface RawClientOptions {
  readonly port: number;
  readonly host?: string;
  /** Where it comes from: on Linux, all of 127.0.0.0/8 is this machine. */
  readonly localAddress?: string;
  /** Keeps the own half open after the FIN of the peer. */
  readonly allowHalfOpen?: boolean;
}

/** A TCP client that does exactly what it is told. */
export class RawClient {
  /** Resolves when the socket closed, with or without an error; never rejects. */
  readonly closed: Promise<CloseInfo>;
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  readonly #waiters = new Waiters();
  #byteCount = 0;
  #ended = false;
  #errorCode: string | undefined;
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isClosed = true;
        this.#check();
        resolve({ ended: this.#ended, errorCode: this.#errorCode });
      });
    });
    socket.setNoDelay(true);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#errorCode = error.code ?? error.message;
    });
    socket.on('end', () => {
      this.#ended = true;
      this.#check();
    });
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#byteCount += chunk.length;
      this.#check();
    });
  }

  /** Opens a connection; rejects when it is refused. */
  static async connect(target: number | RawClientOptions): Promise<RawClient> {
    const options = typeof target === 'number' ? { port: target } : target;
    const socket = connect({ host: '127.0.0.1', ...options });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** Everything that arrived so far. */
  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Everything that arrived so far, as UTF-8. */
  get text(): string {
    return this.bytes.toString();
  }

  /** How many bytes arrived so far. */
  get byteCount(): number {
    return this.#byteCount;
  }

  /** The pieces as they arrived. */
  get chunks(): readonly Buffer[] {
    return this.#chunks;
  }

  /** The peer sent FIN. */
  get ended(): boolean {
    return this.#ended;
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  /** Writes in one piece; resolves when the operating system has it. */
  send(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Writes byte by byte with a gap; stops when the connection closes. */
  async dribble(data: string | Uint8Array, gapMs = 0): Promise<void> {
    for (const byte of Buffer.from(data)) {
      if (this.#isClosed) return;
      await this.send(Buffer.of(byte));
      await (gapMs > 0 ? sleep(gapMs) : setImmediate());
    }
  }

  /** Sends FIN and keeps reading. */
  async halfClose(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.end(resolve));
  }

  /** Sends RST. */
  async reset(): Promise<CloseInfo> {
    this.#socket.resetAndDestroy();
    return this.closed;
  }

  /** Closes both halves. */
  async close(): Promise<CloseInfo> {
    this.#socket.destroy();
    return this.closed;
  }

  /** Stops reading, so the peer feels back-pressure. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#socket.resume();
  }

  /** Resolves with the first value `find` gives; looks again at each piece, FIN and close. */
  waitFor<T>(find: () => T | undefined, timeoutMs = defaultTimeoutMs): Promise<T> {
    const findOrClosed = (): T | undefined => {
      const found = find();
      if (found === undefined && this.#isClosed)
        throw new Error(`closed (${this.#errorCode ?? 'no error'}) after ${this.#summary()}`);
      return found;
    };
    return this.#waiters.until(findOrClosed, timeoutMs, () => `got ${this.#summary()}`);
  }

  /** Resolves with all text as soon as it contains `part`. */
  waitForText(part: string, timeoutMs?: number): Promise<string> {
    return this.waitFor(() => (this.text.includes(part) ? this.text : undefined), timeoutMs);
  }

  /** Resolves with all bytes as soon as there are at least `count`. */
  waitForBytes(count: number, timeoutMs?: number): Promise<Buffer> {
    return this.waitFor(() => (this.#byteCount >= count ? this.bytes : undefined), timeoutMs);
  }

  /** Resolves with all bytes when the peer sent FIN or the socket closed. */
  waitForEnd(timeoutMs?: number): Promise<Buffer> {
    return this.waitFor(() => (this.#ended || this.#isClosed ? this.bytes : undefined), timeoutMs);
  }

  #check(): void {
    this.#waiters.check();
  }

  #summary(): string {
    const { bytes } = this;
    return `${bytes.length} bytes: ${JSON.stringify(bytes.subarray(0, 200).toString('latin1'))}`;
  }
}

/** What a raw HTTP request is built from. */
export interface RawHttpRequest {
  readonly method?: string;
  readonly path?: string;
  /** A list sends a header several times; undefined leaves out a default one. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Anything but text and bytes is sent as JSON. */
  readonly body?: unknown;
}

/** The bytes of an HTTP/1.1 request; `Host` and `Content-Length` are set unless given. */
export function httpRequest(request: RawHttpRequest = {}): Buffer {
  const { body } = request;
  const bytes =
    body === undefined
      ? undefined
      : typeof body === 'string' || body instanceof Uint8Array
        ? Buffer.from(body)
        : Buffer.from(JSON.stringify(body));
  const given = new Set(Object.keys(request.headers ?? {}).map((name) => name.toLowerCase()));
  const headers = {
    ...(!given.has('host') && { Host: '127.0.0.1' }),
    ...(bytes !== undefined && !given.has('content-length') && { 'Content-Length': String(bytes.length) }),
    ...request.headers,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`),
  );
  const method = request.method ?? (bytes === undefined ? 'GET' : 'POST');
  const head = `${method} ${request.path ?? '/'} HTTP/1.1\r\n${lines.join('')}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes ?? Buffer.alloc(0)]);
}

/** The head of an HTTP response and where its body starts. */
export interface ResponseHead {
  readonly status: number;
  /** Names in lower case; repeated ones joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyStart: number;
}

/** Reads the head of an HTTP response; undefined while it is not complete. */
export function parseResponseHead(bytes: Buffer): ResponseHead | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [statusLine = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [, name = '', value = ''] = /^([^:]*):\s*(.*)$/.exec(line) ?? [];
    const key = name.toLowerCase();
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
  }
  return { status: Number(statusLine.split(' ')[1]), headers, bodyStart: end + 4 };
}

/** WebSocket opcodes. */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** What a WebSocket frame is built from; nothing is checked. */
export interface RawFrame {
  /** 0 to 15. */
  readonly opcode: number;
  readonly payload?: string | Uint8Array;
  readonly fin?: boolean;
  /** The three reserved bits, 0 to 7. */
  readonly rsv?: number;
  readonly masked?: boolean;
  /** Length to declare, when it shall differ from the payload's. */
  readonly declaredLength?: number;
  /** Bytes of the length field, to break the rule of the shortest form. */
  readonly lengthBytes?: 0 | 2 | 8;
}

/** The bytes of a WebSocket frame, masked unless told otherwise. */
export function webSocketFrame(frame: RawFrame): Buffer {
  const payload = Buffer.from(frame.payload ?? '');
  const masked = frame.masked ?? true;
  const length = frame.declaredLength ?? payload.length;
  const lengthBytes = frame.lengthBytes ?? (length < 126 ? 0 : length < 65_536 ? 2 : 8);
  const first = (frame.fin === false ? 0 : 0x80) | ((frame.rsv ?? 0) << 4) | frame.opcode;
  const marker = lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127;
  const extended = Buffer.alloc(lengthBytes);
  if (lengthBytes === 2) extended.writeUInt16BE(length);
  if (lengthBytes === 8) extended.writeBigUInt64BE(BigInt(length));
  const head = Buffer.concat([Buffer.of(first, (masked ? 0x80 : 0) | marker), extended]);
  if (!masked) return Buffer.concat([head, payload]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, payload.map((byte, index) => byte ^ mask[index % 4]!)]);
}

/** The bytes of a close frame. */
export function webSocketCloseFrame(code: number, reason = ''): Buffer {
  const payload = Buffer.concat([Buffer.alloc(2), Buffer.from(reason)]);
  payload.writeUInt16BE(code);
  return webSocketFrame({ opcode: opcodes.close, payload });
}

/** A frame as the server sent it. */
export interface ServerFrame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: Buffer;
  /** Payload as UTF-8; of a close frame the reason. */
  readonly text: string;
  /** Of a close frame that has one. */
  readonly closeCode: number | undefined;
}

/** Reads all complete frames; the rest stays for later. */
export function parseFrames(bytes: Buffer): { readonly frames: ServerFrame[]; readonly rest: Buffer } {
  const frames: ServerFrame[] = [];
  let rest = bytes;
  for (let found = parseFrame(rest); found !== undefined; found = parseFrame(rest)) {
    frames.push(found.frame);
    rest = rest.subarray(found.size);
  }
  return { frames, rest };
}

function parseFrame(bytes: Buffer): { readonly frame: ServerFrame; readonly size: number } | undefined {
  if (bytes.length < 2) return undefined;
  const first = bytes.readUInt8(0);
  const second = bytes.readUInt8(1);
  const masked = (second & 0x80) !== 0;
  const marker = second & 0x7f;
  const lengthBytes = marker === 126 ? 2 : marker === 127 ? 8 : 0;
  const start = 2 + lengthBytes + (masked ? 4 : 0);
  if (bytes.length < start) return undefined;
  const length =
    lengthBytes === 0 ? marker : lengthBytes === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (bytes.length < start + length) return undefined;
  const mask = bytes.subarray(start - 4, start);
  const raw = bytes.subarray(start, start + length);
  const payload = masked ? Buffer.from(raw.map((byte, index) => byte ^ mask[index % 4]!)) : raw;
  const opcode = first & 0x0f;
  const hasCode = opcode === opcodes.close && payload.length >= 2;
  const frame = {
    fin: (first & 0x80) !== 0,
    rsv: (first >> 4) & 7,
    opcode,
    masked,
    payload,
    text: payload.subarray(hasCode ? 2 : 0).toString(),
    closeCode: hasCode ? payload.readUInt16BE(0) : undefined,
  };
  return { frame, size: start + length };
}

/** How to shake hands. */
export interface HandshakeOptions {
  readonly path?: string;
  /** Added to the usual headers or in their place. */
  readonly headers?: RawHttpRequest['headers'];
}

/** A WebSocket client whose frames are built by hand. */
export class RawWebSocket {
  #taken = 0;

  private constructor(
    readonly client: RawClient,
    readonly head: ResponseHead,
  ) {}

  /** Connects and shakes hands; rejects when the server does not switch protocols. */
  static async open(
    target: number | RawClientOptions,
    options: HandshakeOptions = {},
    timeoutMs?: number,
  ): Promise<RawWebSocket> {
    const client = await RawClient.connect(target);
    try {
      return await RawWebSocket.handshake(client, options, timeoutMs);
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  /** Shakes hands on an open connection. */
  static async handshake(
    client: RawClient,
    options: HandshakeOptions = {},
    timeoutMs?: number,
  ): Promise<RawWebSocket> {
    const key = randomBytes(16).toString('base64');
    await client.send(
      httpRequest({
        path: options.path ?? '/',
        headers: {
          Connection: 'Upgrade',
          Upgrade: 'websocket',
          'Sec-WebSocket-Version': '13',
          'Sec-WebSocket-Key': key,
          ...options.headers,
        },
      }),
    );
    const head = await client.waitFor(() => parseResponseHead(client.bytes), timeoutMs);
    if (head.status !== 101) throw new Error(`no WebSocket: status ${head.status}`);
    const sentKey = options.headers?.['Sec-WebSocket-Key'] ?? key;
    const accept = createHash('sha1')
      .update(`${sentKey}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    if (head.headers['sec-websocket-accept'] !== accept) throw new Error('wrong Sec-WebSocket-Accept');
    return new RawWebSocket(client, head);
  }

  /** All complete frames so far. */
  get frames(): ServerFrame[] {
    return parseFrames(this.client.bytes.subarray(this.head.bodyStart)).frames;
  }

  /** Sends a frame, or bytes as they are. */
  async send(frame: RawFrame | Uint8Array): Promise<void> {
    await this.client.send(frame instanceof Uint8Array ? frame : webSocketFrame(frame));
  }

  /** Sends a text frame. */
  async sendText(text: string): Promise<void> {
    await this.send({ opcode: opcodes.text, payload: text });
  }

  /** Resolves with the next frame not yet taken. */
  async nextFrame(timeoutMs?: number): Promise<ServerFrame> {
    const at = this.#taken;
    this.#taken += 1;
    return this.client.waitFor(() => this.frames[at], timeoutMs);
  }

  /** Resolves with the first frame that matches. */
  waitForFrame(predicate: (frame: ServerFrame) => boolean, timeoutMs?: number): Promise<ServerFrame> {
    return this.client.waitFor(() => this.frames.find(predicate), timeoutMs);
  }
}

/** Names of keys and channels of one installation. */
export class Keys {
  readonly nodes: string;
  readonly epoch: string;
  readonly layout: string;
  /** The channel to all nodes. */
  readonly all: string;
  /** The last number of a message to all in order. */
  readonly counter: string;
  /** The channel of these. */
  readonly sequence: string;

  constructor(
    readonly prefix: string,
    database: number,
  ) {
    this.nodes = `${prefix}:nodes`;
    this.epoch = `${prefix}:epoch`;
    this.layout = `${prefix}:layout`;
    // Channels are the same in all databases of a server.
    this.all = database === 0 ? `${prefix}:all` : `${prefix}:all:${database}`;
    this.counter = `${prefix}:seq`;
    this.sequence = database === 0 ? `${prefix}:seq` : `${prefix}:seq:${database}`;
  }

  /** The lease of a node, and the channel to it. */
  node(id: string): string {
    return `${this.prefix}:n:${id}`;
  }

  claim(hash: string): string {
    return `${this.prefix}:c:${hash}`;
  }
}

import { randomId } from '#sdk';
import type { RedisLink } from '#sdk/redis';
import type { Run } from '#sdk/streams';
import type { Keys, ReplyKeys } from './keys.js';
import {
  beginScript,
  endScript,
  forgetScript,
  ownerScript,
  restoreScript,
  takeOverScript,
} from './scripts.js';

/** The place of an entry in a log. A take-over begins another epoch, and the engine takes no older one any more. */
export interface EntryId {
  readonly epoch: number;
  readonly seq: number;
}

/** One write to a log: the position behind it, and whether it has all from the beginning. */
export type Entry = readonly [position: number, isWhole: 0 | 1, runs: readonly Run[]];

/** The request that a reply answers, where it has an id. */
export interface RequestClaim {
  /** Of its user and its id. */
  readonly keyHash: string;
  /** The hash of its reply, the sealed id of it, and the fingerprint of the request. */
  readonly value: string;
  /** Its id, for those who know that of the reply. */
  readonly sealedId: string;
}

/** The part of a reply that does not change. */
export interface ReplyRecord {
  readonly keys: ReplyKeys;
  readonly userId: string;
  readonly conversationId: string;
  readonly claim: RequestClaim | undefined;
}

/** The part of a reply that all nodes know. */
export interface ReplyMeta {
  readonly userId: string;
  readonly conversationId: string;
  readonly nodeId: string;
  readonly hasEnded: boolean;
  readonly sealedRequestId: string | undefined;
}

/** A reply of a lost node that is one of this node now. */
export interface TakenOver {
  readonly epoch: number;
  /** The request, to be run; undefined where the reply has ended with an error. */
  readonly command: string | undefined;
  readonly claim: RequestClaim | undefined;
}

/** Entries in one answer of the engine. */
const pageSize = 200;

/** The outcome of a write. */
export type Outcome = 'done' | 'not whole' | 'of another node';

/** The replies of all nodes, as the engine has them. All methods throw ENGINE_UNAVAILABLE. */
export class ReplyTable {
  readonly #link: Pick<RedisLink, 'send' | 'run'>;
  readonly #keys: Keys;
  readonly #nodeId: string;
  /** How long a reply may be written, and can be read after its end. */
  readonly #times: { readonly ttlMs: number; readonly keepMs: number };

  constructor(
    link: Pick<RedisLink, 'send' | 'run'>,
    keys: Keys,
    nodeId: string,
    times: { readonly ttlMs: number; readonly keepMs: number },
  ) {
    this.#link = link;
    this.#keys = keys;
    this.#nodeId = nodeId;
    this.#times = times;
  }

  /** Begins a reply; resolves with the value of the request where it has one already. */
  async begin(record: ReplyRecord, command: string): Promise<string | undefined> {
    const { keys, userId, conversationId, claim } = record;
    const { hash, meta } = keys;
    const known = await this.#link.run(
      beginScript,
      [...this.#allOf(record)],
      [
        ...[hash, String(this.#times.ttlMs), userId, conversationId, this.#nodeId],
        ...[claim?.keyHash ?? '', claim?.value ?? '', command, meta.slice(0, -hash.length)],
        claim?.sealedId ?? '',
      ],
    );
    return known === null ? undefined : String(known);
  }

  /** Adds to a log; false where it is not there. Rejects with an error of Redis where `isFenced` says so. */
  async append({ log }: ReplyKeys, id: EntryId, entry: Entry): Promise<boolean> {
    return (
      (await this.#link.send('XADD', log, 'NOMKSTREAM', textOf(id), 'd', JSON.stringify(entry))) !== null
    );
  }

  /** Writes a whole log, and everything else of the reply. */
  async restore(record: ReplyRecord, id: EntryId, entry: Entry, isSent: boolean): Promise<Outcome> {
    const { keys, userId, conversationId, claim } = record;
    const [meta, log, owned, , ...request] = this.#allOf(record) as [string, string, string, string];
    const reply = await this.#link.run(
      restoreScript,
      [meta, log, owned, ...request],
      [
        ...[keys.hash, String(this.#times.ttlMs), userId, conversationId, this.#nodeId],
        ...[claim?.keyHash ?? '', claim?.value ?? ''],
        ...[String(id.epoch), textOf(id), JSON.stringify(entry), isSent ? 'sent' : 'waits'],
        claim?.sealedId ?? '',
      ],
    );
    return outcomeOf(reply);
  }

  /** The log is whole: `last` is its last entry. */
  async end(record: ReplyRecord, last: EntryId, isAnswered: boolean): Promise<Outcome> {
    const args = [record.keys.hash, String(this.#times.keepMs), this.#nodeId, textOf(last)];
    return outcomeOf(await this.#link.run(endScript, this.#allOf(record), [...args, isAnswered ? '1' : '0']));
  }

  async forget(record: ReplyRecord): Promise<void> {
    await this.#link.run(forgetScript, this.#allOf(record), [record.keys.hash, this.#nodeId]);
  }

  /** Content is about to be shown: the reply is never run again. */
  async sent({ meta }: ReplyKeys): Promise<void> {
    await this.#link.send('HSET', meta, 's', 'sent');
  }

  /** Its client does not want it any more: it is never run again. */
  async cancelled({ meta }: ReplyKeys): Promise<void> {
    await this.#link.send('HSET', meta, 'x', '1');
  }

  /** Drops the request of a reply. */
  async dropCommand({ command }: ReplyKeys): Promise<void> {
    await this.#link.send('DEL', command);
  }

  /** The name of the data that the engine has; those that have none get one. */
  async dataSet(): Promise<string> {
    const [, name] = await Promise.all([
      this.#link.send('SET', this.#keys.dataSet, randomId(), 'NX').catch(() => {}), // it may have no room
      this.#link.send('GET', this.#keys.dataSet),
    ]);
    return String(name);
  }

  /** The hashes of all replies that a node runs. */
  async ownedBy(nodeId: string): Promise<readonly ReplyKeys[]> {
    const all = this.#keys.allOwned(nodeId);
    const found = await Promise.all(all.map(({ key }) => this.#link.send('SMEMBERS', key)));
    return found.flatMap((hashes, at) =>
      (hashes as string[]).map((hash) => this.#keys.ofHash(all[at]?.shard ?? '', hash)),
    );
  }

  /** Takes a reply of a lost node over, which ends with `error` where its content has been seen; undefined where another node has done it. */
  async takeOver(keys: ReplyKeys, lost: string, error: readonly Run[]): Promise<TakenOver | undefined> {
    const { hash, shard, meta, log, command } = keys;
    const owned = [this.#keys.owned(shard, lost), this.#keys.owned(shard, this.#nodeId)];
    const { ttlMs, keepMs } = this.#times;
    const result = await this.#link.run(
      takeOverScript,
      [meta, log, ...owned, command],
      [
        ...[hash, lost, this.#nodeId, String(ttlMs), String(keepMs)],
        ...[`,0,${JSON.stringify(error)}]`, this.#keys.request(shard, '')],
      ],
    );
    if (result === null) return undefined;
    const [epoch, asked, value, keyHash, sealedId] = result as [number, ...string[]];
    if (!asked) return { epoch, command: undefined, claim: undefined };
    return {
      epoch,
      command: asked,
      claim: value && keyHash && sealedId ? { keyHash, value, sealedId } : undefined,
    };
  }

  async read({ meta }: ReplyKeys): Promise<ReplyMeta | undefined> {
    const [userId, conversationId, nodeId, state, sealedId] = (await this.#link.send(
      ...['HMGET', meta, 'u', 'c', 'n', 's', 'i'],
    )) as (string | null)[];
    if (userId == null || conversationId == null || nodeId == null) return undefined;
    const sealed = sealedId || undefined;
    return { userId, conversationId, nodeId, hasEnded: state === 'ended', sealedRequestId: sealed };
  }

  /** The owner, and the last entry of the log; each undefined where there is none. */
  async owner({
    meta,
    log,
  }: ReplyKeys): Promise<{ readonly nodeId: string | undefined; readonly last: EntryId | undefined }> {
    const [nodeId, last] = (await this.#link.run(ownerScript, [meta, log], [])) as (string | null)[];
    return { nodeId: nodeId ?? undefined, last: last == null ? undefined : idOf(last) };
  }

  /** A page of a log after an entry; undefined once there is no more. */
  async page(
    { log }: ReplyKeys,
    after: EntryId | undefined,
  ): Promise<readonly { readonly id: EntryId; readonly entry: Entry }[]> {
    const from = after ? `(${textOf(after)}` : '-';
    const found = await this.#link.send('XRANGE', log, from, '+', 'COUNT', String(pageSize));
    return (found as [string, [string, string]][]).map(([id, [, text]]) => ({
      id: idOf(id),
      entry: JSON.parse(text) as Entry,
    }));
  }

  #allOf({ keys, claim }: ReplyRecord): readonly string[] {
    const { shard, meta, log, command } = keys;
    const all = [meta, log, this.#keys.owned(shard, this.#nodeId), command];
    return claim ? [...all, this.#keys.request(shard, claim.keyHash)] : all;
  }
}

/** Whether the engine has refused an entry because a later one is there: another node has taken the reply over. */
export function isFenced(error: unknown): boolean {
  return error instanceof Error && error.message.includes('equal or smaller than the target stream top item');
}

function outcomeOf(reply: unknown): Outcome {
  if (reply === -1) return 'of another node';
  return reply === 1 ? 'done' : 'not whole';
}

function textOf({ epoch, seq }: EntryId): string {
  return `${epoch}-${seq}`;
}

function idOf(text: string): EntryId {
  const [epoch = 0, seq = 0] = text.split('-').map(Number);
  return { epoch, seq };
}

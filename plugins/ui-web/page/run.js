import { noteOf } from './answer-note.js';
import { nextFrame } from './elements.js';
import { postChat } from './post-chat.js';
import { randomId } from './random-id.js';
import { askedOf, isRefusal } from './request.js';
import { isAsked, noteStep, wasHandedOver } from './steps.js';

/**
 * @typedef {import('./conversations.js').Message} Message
 * @typedef {import('./conversations.js').Choice} Choice
 *
 * Callbacks of a running answer.
 * @typedef {object} Watcher
 * @property {(type: 'text' | 'thinking', content: string) => void} [grew]
 * @property {(step: import('./steps.js').Step) => void} [stepped] a step is new or has changed
 * @property {(isOpen: boolean) => void} [asked] the server asks about a tool, or no more
 * @property {(ahead: number) => void} [queued]
 * @property {() => void} [ended]
 */

// For pages that are killed; closed ones save on `pagehide`.
const saveEveryMs = 2000;
// A longer question may exceed the limit of a frame.
const frameChars = 16 * 1024;
// It is there when one returns.
const onDisconnect = /** @type {const} */ ('finish');

/** A running answer. It continues whatever the page shows. */
export class Run {
  /** @type {Message} */
  message;
  ended = false;
  /** True if the server has asked for credentials first. */
  needsUser = false;
  /** True if the server has not taken the question. */
  wasRefused = false;
  /** Number of requests ahead while it waits. */
  ahead = 0;
  /** @type {Set<Watcher>} */
  watchers = new Set();
  /** Calls of tools that the server asks about. @type {Set<string>} */
  asks = new Set();
  #stop = new AbortController();
  #save;
  #savedAt = performance.now();
  /** @type {import('waggle-server/client').Reply | undefined} */
  #reply;

  /**
   * @param {{ line: import('./line.js').Line, conversationId: string, question: Message, message: Message, save: () => void }} options
   */
  constructor({ line, conversationId, question, message, save }) {
    this.message = message;
    this.#save = save;
    /** Resolves when the answer has ended, whatever the outcome. @type {Promise<void>} */
    this.over = this.#follow(line, conversationId, question);
  }

  /** An answer before its request. @param {Choice} choice @param {number} [replaces] the question whose place it takes @returns {Message} */
  static message(choice, replaces) {
    const pending = { requestId: randomId(), ...(replaces !== undefined && { replaces }) };
    return { role: 'assistant', content: '', choice, pending };
  }

  /** True if it is the answer of this stream. @param {string} streamId */
  isOf(streamId) {
    return this.#reply?.streamId === streamId || this.message.pending?.streamId === streamId;
  }

  /** True after the user's request to stop. */
  get stopping() {
    return this.#stop.signal.aborted;
  }

  /** Stops the model. The text so far stays. */
  stop() {
    if (this.ended || this.stopping) return;
    this.#stop.abort();
    this.#reply?.cancel().catch(() => {}); // How it went is told by the reply itself.
  }

  /** Answers whether a tool may be run. @param {string} id @param {boolean} allow @param {string} [reason] for the model */
  approve(id, allow, reason) {
    this.#reply?.approve(id, allow, reason);
  }

  /** @param {import('./line.js').Line} line @param {string} conversationId @param {Message} question */
  async #follow(line, conversationId, question) {
    const { message } = this;
    try {
      const client = await this.#unlessStopped(line.client);
      const { requestId, streamId, replaces } = /** @type {NonNullable<Message['pending']>} */ (
        message.pending
      );
      const { content, images } = question;
      const onQueued = (/** @type {number} */ ahead) => {
        this.ahead = ahead;
        this.#tell(({ queued }) => queued?.(ahead));
      };
      const asked = { ...askedOf(message.choice), conversationId, requestId, replaces, images, onDisconnect };
      const post = async () => {
        const { streamId, leave } = await postChat({ ...asked, content, userId: line.userId });
        await this.#take(client.resume(streamId, { onQueued })).finally(leave);
      };
      // Continues after the text so far. Without a `streamId` there is none: the same `requestId` joins a stream that
      // may have started.
      const position = message.content.length + (message.thinking?.length ?? 0);
      if (streamId) await this.#take(client.resume(streamId, { position, onQueued }));
      else if (content.length > frameChars || images) await post();
      else
        await this.#take(client.chat(content, { ...asked, onQueued })).catch((error) => {
          if (error.code !== 'TOO_LARGE') throw error;
          return post();
        });
    } catch (error) {
      this.#fail(/** @type {any} */ (error));
    }
    this.ended = true;
    this.#tell(({ ended }) => ended?.());
  }

  /** @param {import('waggle-server/client').Reply} reply */
  async #take(reply) {
    const { message } = this;
    this.#reply = reply;
    if (this.stopping) reply.cancel().catch(() => {});
    // A server repeats only what stands at the end of the text so far.
    for (const step of message.steps ?? []) if (step.type === 'call' && isAsked(step)) this.#ask(step, true);
    for await (const chunk of reply) {
      if (!message.pending?.streamId) this.#name(reply);
      if ('content' in chunk) {
        this.#grow(chunk.type, chunk.content);
        // Text up to then arrives at once.
        await nextFrame();
      } else this.#step(chunk);
    }
    this.#finish(await reply.result);
  }

  /** Notifies watchers; an error of the view does not end the answer. @param {(watcher: Watcher) => void} tell */
  #tell(tell) {
    for (const watcher of this.watchers)
      try {
        tell(watcher);
      } catch (error) {
        reportError(error);
      }
  }

  /** @template T @param {Promise<T>} promise @returns {Promise<T>} */
  #unlessStopped(promise) {
    const { signal } = this.#stop;
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject({ code: 'STOPPED' }));
      promise.then(resolve, reject);
    });
  }

  /** @param {import('waggle-server/client').Reply} reply */
  #name({ streamId, agent }) {
    const { message } = this;
    if (streamId && message.pending) message.pending = { ...message.pending, streamId };
    if (agent) message.agent = agent;
    this.#save();
  }

  /** @param {'text' | 'thinking'} type @param {string} content */
  #grow(type, content) {
    const { message } = this;
    if (type === 'text') message.content += content;
    else message.thinking = (message.thinking ?? '') + content;
    this.#tell(({ grew }) => grew?.(type, content));
    this.#saveAtTimes();
  }

  /** @param {import('./steps.js').StepChunk} chunk */
  #step(chunk) {
    const step = noteStep(this.message, chunk);
    if (!step) return;
    if (chunk.type.startsWith('approval')) this.#save();
    else this.#saveAtTimes();
    if (step.type === 'call' && this.asks.has(step.id) !== isAsked(step)) this.#ask(step, isAsked(step));
    else this.#tell(({ stepped }) => stepped?.(step));
  }

  /** @param {import('./steps.js').CallStep} step @param {boolean} isOpen */
  #ask(step, isOpen) {
    if (isOpen) this.asks.add(step.id);
    else this.asks.delete(step.id);
    this.#tell(({ stepped }) => stepped?.(step));
    this.#tell(({ asked }) => asked?.(isOpen));
  }

  #saveAtTimes() {
    if (performance.now() - this.#savedAt < saveEveryMs) return;
    this.#savedAt = performance.now();
    this.#save();
  }

  /** @param {import('waggle-server/client').Answer} answer */
  #finish(answer) {
    const { message } = this;
    const { agent, reason } = answer;
    delete message.pending;
    if (agent && !wasHandedOver(message)) message.agent = agent;
    if (reason === 'cancelled') message.stopped = true;
    if (reason === 'length') message.cut = true;
    message.note = noteOf(answer, message.choice?.model);
    this.#save();
  }

  /** @param {{ code?: string, message?: string, retryAfterMs?: number }} error */
  #fail({ code, message: text, retryAfterMs }) {
    const { message } = this;
    // Only this connection is gone: the tab that has the conversation resumes the answer.
    if (code === 'CONNECTION_LOST' || code === 'CLOSED') return;
    this.needsUser = code === 'UNAUTHORIZED';
    if (this.needsUser) return;
    const hasBegun = message.pending?.streamId !== undefined || this.#reply?.streamId !== undefined;
    delete message.pending;
    if (this.stopping) message.stopped = true;
    else {
      this.wasRefused = message.content === '' && (!hasBegun || isRefusal(code));
      message.error = {
        ...(code !== undefined && { code }),
        ...(text !== undefined && { message: text }),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      };
    }
    this.#save();
  }
}

/// <reference lib="dom" />
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { definePlugin, type Plugin } from '#kernel';
import endpointConversations from '../../plugins/endpoint-conversations/index.js';
import endpointOverview from '../../plugins/endpoint-overview/index.js';
import uiWeb from '../../plugins/ui-web/index.js';
import { ScriptedAgent, type Step } from '../support/agents.js';
import { startBrowser, Visitor } from '../support/browser.js';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.js';
import { type Hive, startHive } from '../support/hive.js';

const boundMs = 20_000;

export interface StageOptions {
  /** Plugins beside those of every stage, made for each test. */
  readonly plugins?: () => readonly Plugin[];
  /** Config of `agent-queen`, over that of every stage. */
  readonly queen?: object;
  /** Lines of the browser's console that are no fault. */
  readonly tolerates?: RegExp;
}

/** One server with an agent that follows a script and a fake Ollama, and a browser, for each test of a file. */
export class Stage {
  agent!: ScriptedAgent;
  fake!: FakeOllama;
  hive!: Hive;
  #browser!: Browser;
  #visitors: Visitor[] = [];

  constructor({ plugins = () => [], queen = {}, tolerates = /^$/ }: StageOptions = {}) {
    beforeAll(async () => {
      this.#browser = await startBrowser();
    });
    afterAll(() => this.#browser.close());
    beforeEach(async () => {
      this.agent = new ScriptedAgent('scripted');
      this.fake = await startFakeOllama();
      const agent = definePlugin({
        name: 'agent-scripted',
        apiVersion: 1,
        setup: (ctx) => void ctx.addAgent(this.agent),
      });
      this.hive = await startHive({
        fake: this.fake,
        config: {
          'agent-queen': { candidates: ['scripted'], ...queen },
          // A page that is told of it need not hold 32 MiB.
          'endpoint-chat': { bodyLimitBytes: 1024 * 1024 },
        },
        plugins: [...plugins(), agent, endpointOverview, endpointConversations, uiWeb],
      });
    });
    afterEach(async () => {
      const visitors = this.#visitors.splice(0);
      for (const visitor of visitors) await visitor.close();
      await this.hive.close();
      await this.fake.close();
      const problems = visitors.flatMap((visitor) => visitor.problems);
      expect(problems.filter((each) => !tolerates.test(each))).toEqual([]);
    });
  }

  /** What the agent will answer. */
  script(...steps: readonly Step[]): void {
    this.agent.script = steps;
  }

  /** Resolves when no answer is on its way any more. */
  async quiet(): Promise<void> {
    const { streams } = this.hive;
    const deadline = performance.now() + boundMs;
    while (streams.stats.running > 0 || this.fake.requests.some(({ endedBy }) => !endedBy)) {
      if (performance.now() > deadline) throw new Error(`an answer still runs after ${boundMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Somebody with a browser profile of their own. */
  async visitor(options?: BrowserContextOptions): Promise<Visitor> {
    const visitor = await Visitor.come(this.#browser, this.hive.url, options);
    this.#visitors.push(visitor);
    return visitor;
  }

  /** The chat page, connected, of a new visitor. */
  async chat(options?: BrowserContextOptions): Promise<Page> {
    const page = await (await this.visitor(options)).visit();
    await connected(page);
    return page;
  }
}

/** Resolves when the page has its connection and knows who can answer. */
export async function connected(page: Page): Promise<void> {
  await page.locator('#connection[data-state="open"]').waitFor();
  await page.locator('#agent option').nth(1).waitFor({ state: 'attached' });
}

/** Types a question and sends it, without waiting for the answer. */
export async function send(page: Page, text: string): Promise<void> {
  await page.locator('#message').fill(text);
  await page.locator('#message').press('Enter');
}

/** Resolves when the newest answer has ended, in whatever way. */
export async function answered(page: Page): Promise<void> {
  await page.locator('.answer').last().locator('.note').waitFor({ state: 'attached' });
}

/** The text of the newest answer. */
export async function answer(page: Page): Promise<string> {
  return (await page.locator('.answer .markdown').last().textContent())?.trim() ?? '';
}

/** Chooses who answers. */
export async function choose(page: Page, agent: string, model?: string): Promise<void> {
  await page.locator('#agent').selectOption(JSON.stringify({ agent, model }));
}

/** Chooses a model that no list has, as one who had it listed yesterday. */
export async function chooseUnlisted(page: Page, agent: string, model: string): Promise<void> {
  await page.evaluate(
    (value) => localStorage.setItem('waggle:choice', value),
    JSON.stringify({ agent, model }),
  );
  await page.reload();
  await connected(page);
}

/** The messages of the open conversation, as the page has stored them. */
export function stored(page: Page): Promise<{ readonly content: string; readonly thinking?: string }[]> {
  return page.evaluate(() => {
    const name = `waggle:messages:${location.hash.slice('#c/'.length)}`;
    return JSON.parse(localStorage.getItem(name) ?? '[]');
  });
}

/// <reference lib="dom" />
import type { Page } from 'playwright-core';
import { z } from 'zod';
import { definePlugin, type TaskDefinition } from '#kernel';
import { ScriptedModel, say, type Turn } from '../support/scripted-model.js';
import { Stage, type StageOptions } from './stage.js';

/** A stage with models that follow a script and may ask one another, and with tools that tests let go on. */
export class WorkStage extends Stage {
  model!: ScriptedModel;
  support!: ScriptedModel;
  /** Inputs of the tools that have run. */
  ran: unknown[] = [];
  #release: (() => void)[] = [];

  constructor(options: StageOptions = {}) {
    super({
      ...options,
      queen: { candidates: ['model'], tools: ['*'], delegates: ['support'] },
      plugins: () => [...(options.plugins?.() ?? []), this.#plugin()],
    });
  }

  /** What the model says and calls, by turn. */
  turns(...turns: readonly Turn[]): void {
    let at = 0;
    this.model.turn = () => turns[at++] ?? [];
  }

  /** Waits until a test lets it go on. */
  pause(): Promise<string> {
    return new Promise((resolve) => this.#release.push(() => resolve('waited')));
  }

  /** Lets the tools go on that wait. */
  letGo(): void {
    for (const go of this.#release.splice(0)) go();
  }

  #plugin() {
    this.ran = [];
    this.model = new ScriptedModel('model', [[say('Hello.')]]);
    this.support = new ScriptedModel('support', [[say('Support here.')]]);
    const input = z.looseObject({});
    const base = { lane: 'main', tool: true, input } as const;
    const tasks: readonly TaskDefinition<object, unknown>[] = [
      { ...base, name: 'echo', run: (given) => given },
      { ...base, name: 'say', run: (given) => Object.values(given).join() },
      {
        ...base,
        name: 'wait',
        run: () => this.pause(),
      },
      {
        ...base,
        name: 'break',
        run: () => {
          throw new Error('broken');
        },
      },
      {
        ...base,
        name: 'orders:refund',
        tool: { approval: 'ask' },
        run: (given) => {
          this.ran.push(given);
          return 'paid';
        },
      },
    ];
    return definePlugin({
      name: 'at-work',
      apiVersion: 1,
      setup: (ctx) => {
        for (const task of tasks) ctx.registerTask(task);
        ctx.addAgent(this.model);
        ctx.addAgent(this.support);
      },
    });
  }
}

/** The parts of the newest answer in their order, in one line each. */
export function parts(page: Page): Promise<readonly string[]> {
  return page
    .locator('.answer')
    .last()
    .locator('.parts > *')
    .evaluateAll((all) =>
      all.map((each) => {
        const shown = each.querySelector('summary') ?? each;
        return (shown.textContent ?? '').trim().replace(/ · [\d.]+ m?s$/, '');
      }),
    );
}
